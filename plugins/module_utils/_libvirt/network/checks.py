# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the declaration of a network, by itself and for the kind of network that there is.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import re
import typing as t
import xml.etree.ElementTree as ET

from ansible_collections.rtvirt.core.plugins.module_utils._errors import Problem
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.network.addresses import check_addresses
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.network.definition import mode_of
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.network.options import (
    MODES,
    Options,
    is_given,
    tags_of,
)

__all__ = ["check_kind", "check_options"]

_NAME = re.compile(r"^[^/\s\x00-\x1f]+$")
#: The kernel's limit is 15 bytes.
_DEVICE = re.compile(r"^(?!\.{1,2}$)[^/\s:]{1,15}$")
#: The first libvirt that has a Linux bridge filter VLANs.
_LINUX_VLANS = 11_000_000

Add = t.Callable[[str, str], None]


def check_options(options: Options) -> list[Problem]:
    """What no host could do."""
    problems: list[Problem] = []

    def add(path: str, message: str) -> None:
        problems.append(Problem(path, message))

    if not _NAME.match(options["name"]):
        add("name", f"{options['name']!r}: write a name without / and blanks")
    if options["state"] == "absent":
        return problems
    for key, empty in (("bridge", False), ("device", True)):
        value = options.get(key)
        if value is not None and not (_DEVICE.match(value) or (empty and not value)):
            add(key, f"{value!r}: write the name of a network device, at most 15 letters")
    mtu = options.get("mtu")
    if mtu and not 68 <= mtu <= 65535:
        add("mtu", f"is {mtu}: write 68 to 65535 bytes, or 0 for the default")
    _check_vlan("vlan", options.get("vlan"), add)
    names: set[str] = set()
    for index, group in enumerate(options.get("portgroups") or []):
        if not group["name"] or group["name"] in names:
            add(f"portgroups[{index}].name", f"{group['name']!r}: write a name that no other group has")
        names.add(group["name"])
        _check_vlan(f"portgroups[{index}].vlan", group.get("vlan"), add)
    if sum(group["default"] for group in options.get("portgroups") or []) > 1:
        add("portgroups", "has several defaults: one group is for the guests that name none")
    return problems + check_addresses(options)


def check_kind(options: Options, existing: ET.Element | None, library: int) -> list[Problem]:
    """What the kind of network cannot have, be it declared or there.

    :arg existing: the definition of a network of that name.
    :arg library: the version of libvirt, as it counts.
    """
    problems: list[Problem] = []

    def add(path: str, message: str) -> None:
        problems.append(Problem(path, message))

    have = None if existing is None else mode_of(existing)
    mode = options.get("mode") or have or "isolated"
    if have is not None and (mode in MODES[:-1]) != (have in MODES[:-1]):
        message = f"is {have}, which is another kind of bridge for guests: remove the network and declare it anew"
        add("mode", message)
        return problems
    if mode == "bridge":
        bridge = None if existing is None else existing.find("bridge")
        # One of others may have devices for macvtap instead.
        if bridge is None and not options.get("bridge") and have != "bridge":
            add("bridge", "is missing: write the name of a bridge of the host")
        for part in ("device", "domain", "mtu", "ipv4", "ipv6"):
            if is_given(options.get(part)):
                add(part, "is nothing that libvirt does for a bridge of the host: leave it out, or write another mode")
    elif mode == "isolated" and is_given(options.get("device")):
        add("device", "is where packets leave the network, and none leave an isolated one: write a mode that lets them")
    if options.get("openvswitch") and mode != "bridge":
        add("openvswitch", f"a network of mode {mode} has a Linux bridge of libvirt's own: write mode bridge")
    _check_tagging(options, existing, mode, library, add)
    return problems


def _check_tagging(options: Options, existing: ET.Element | None, mode: str, library: int, add: Add) -> None:
    """libvirt itself says it only to the guest that starts."""
    port = None if existing is None else existing.find("virtualport")
    openvswitch = options.get("openvswitch")
    if openvswitch is None:
        openvswitch = port is not None and port.get("type") == "openvswitch"
    if openvswitch or mode not in MODES or (mode == "bridge" and library >= _LINUX_VLANS):
        return
    whose = "with this libvirt" if mode == "bridge" else f"of mode {mode}"
    instead = "write mode bridge with openvswitch true, or make a bridge on the VLAN's own device"
    message = f"a Linux bridge {whose} has no VLANs: {instead}"
    if is_given(options.get("vlan")):
        add("vlan", message)
    for index, group in enumerate(options.get("portgroups") or []):
        if is_given(group.get("vlan")):
            add(f"portgroups[{index}].vlan", message)


def _check_vlan(path: str, vlan: Options | None, add: Add) -> None:
    for tag in tags_of(vlan):
        if not 1 <= tag <= 4094:
            add(path, f"{tag} is no VLAN: write 1 to 4094")
