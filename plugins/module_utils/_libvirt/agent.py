# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a guest's own agent says of it.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._libvirt import waiting

try:
    import libvirt
except ImportError:  # connection.py tells
    pass

__all__ = ["guest_facts"]

#: libvirt's groups of guest information that cost one command each.
_GROUPS = ("OS", "HOSTNAME", "TIMEZONE", "FILESYSTEM", "USERS")


def guest_facts(handle: t.Any) -> dict[str, t.Any]:
    """Operating system, host name, time zone, file systems and users of a guest; empty without an agent.

    Keys are libvirt's typed parameters (``os.pretty-name``, ``hostname``, ``fs.0.mountpoint``, …).
    """
    facts: dict[str, t.Any] = {}
    if not waiting.agent_is_connected(handle):
        return facts
    for group in _GROUPS:
        try:
            facts.update(handle.guestInfo(getattr(libvirt, f"VIR_DOMAIN_GUEST_INFO_{group}")))
        except libvirt.libvirtError as error:
            # An agent may be old, or forbidden to answer: the other groups still count. One that hangs costs 5 s each.
            if error.get_error_code() == libvirt.VIR_ERR_AGENT_UNRESPONSIVE:
                break
    return facts
