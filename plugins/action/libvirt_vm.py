# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a module of the collection as Ansible runs any, and let Python collect its garbage afterwards.

All modules come here, by meta/runtime.yml. It has the name of one, as ansible-test asks of an action plugin.
"""

from __future__ import annotations

import gc
import typing as t

from ansible.plugins.action.normal import ActionModule as NormalAction


class ActionModule(NormalAction):
    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        # To pack a module, Ansible parses all that it imports. Each tree sends the collector through all that the
        # controller holds, which was half of the time and freed nothing. A worker is gone after its task anyway.
        collects = gc.isenabled()
        gc.disable()
        try:
            return super().run(tmp, task_vars)
        finally:
            if collects:
                gc.enable()
