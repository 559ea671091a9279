# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a network of libvirt.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

Documented in ``plugins/modules/libvirt_network.py``. A part that is not given is left as it is; an empty one is taken
away.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.connection import CONNECTION

__all__ = ["ARGUMENTS", "MODES", "Options", "is_given", "tags_of"]

Options = t.Mapping[str, t.Any]

#: How packets leave a network; ``bridge`` is one on a bridge of the host, all others have a bridge that libvirt makes.
MODES = ("isolated", "nat", "route", "open", "bridge")

_VLAN: dict[str, t.Any] = {
    "type": "dict",
    "options": {"tags": {"type": "list", "elements": "int"}, "native": {"type": "int"}},
}

ARGUMENTS: dict[str, t.Any] = {
    **CONNECTION,
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "active", "inactive", "absent"], "default": "active"},
    "autostart": {"type": "bool"},
    "mode": {"type": "str", "choices": [*MODES]},
    "device": {"type": "str"},
    "bridge": {"type": "str"},
    "openvswitch": {"type": "bool"},
    "vlan": _VLAN,
    "portgroups": {
        "type": "list",
        "elements": "dict",
        "options": {
            "name": {"type": "str", "required": True},
            "default": {"type": "bool", "default": False},
            "vlan": _VLAN,
        },
    },
    "mtu": {"type": "int"},
    "domain": {"type": "str"},
    "ipv4": {
        "type": "dict",
        "options": {
            "address": {"type": "str"},
            "dhcp": {
                "type": "dict",
                "options": {
                    "ranges": {
                        "type": "list",
                        "elements": "dict",
                        "options": {
                            "start": {"type": "str", "required": True},
                            "end": {"type": "str", "required": True},
                        },
                    },
                    "hosts": {
                        "type": "list",
                        "elements": "dict",
                        "options": {
                            "mac": {"type": "str", "required": True},
                            "address": {"type": "str", "required": True},
                            "name": {"type": "str"},
                        },
                    },
                },
            },
            "pxe": {
                "type": "dict",
                "options": {
                    "tftp_root": {"type": "path"},
                    "boot_file": {"type": "str"},
                    "server": {"type": "str"},
                },
            },
        },
    },
    "ipv6": {"type": "dict", "options": {"address": {"type": "str"}}},
    "allow_restart": {"type": "bool", "default": False},
    "disconnect_guests": {"type": "bool", "default": False},
}


def is_given(part: t.Any) -> bool:
    """Whether a part has a value that is not empty, in itself or in what it holds."""
    if isinstance(part, t.Mapping):
        return any(is_given(value) for value in part.values())
    return part not in (None, "", [], 0, False)


def tags_of(vlan: Options | None) -> list[int]:
    """All VLANs that a port is in, the untagged one too."""
    given = vlan or {}
    native = [] if given.get("native") is None else [given["native"]]
    return sorted({*(given.get("tags") or []), *native})
