# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the connection to libvirt; its argument spec is ``module_utils/_libvirt/connection.py``."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  uri:
    description:
      - URI of libvirt's daemon.
      - The module runs on the hypervisor. With a remote URI, options that need the hypervisor's files are refused.
    type: str
    default: qemu:///system
requirements:
  - libvirt-python (Debian's python3-libvirt) on the host that the module runs on
  - pycdlib (Debian's python3-pycdlib) there, for cloud-init
  - qemu-img there, for disks that are created
"""
