# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt_vm, run: there is no KVM where the tests run, and all their VMs are emulated."""

from __future__ import annotations

from ansible_collections.rtvirt.core.tests.integration.task import Module, Process, TaskError, play

__all__ = ["Process", "TaskError", "play", "run", "run_one", "start"]

_MODULE = Module("libvirt_vm", virt_type="qemu")
run, run_one, start = _MODULE.run, _MODULE.run_one, _MODULE.start
