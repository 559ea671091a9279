# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a running guest can be given without a restart.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

By libvirt's documentation of each call: CPU pins move at once; limits of CPU and memory follow where the host has the
control groups for them; disks, interfaces and host devices come and go where the machine has a free port; a CD-ROM's
medium, an interface's network and link are updated in place. The rest waits in the persistent definition.
"""

from __future__ import annotations

import copy
import re
import typing as t
import xml.etree.ElementTree as ET

from ansible_collections.rtvirt.core.plugins.module_utils._libvirt import identity
from ansible_collections.rtvirt.core.plugins.module_utils._plan import Change
from ansible_collections.rtvirt.core.plugins.module_utils.converters import cpuset
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.element import device_name

try:
    import libvirt
except ImportError:  # connection.py tells
    pass

__all__ = ["apply_live", "can_be_live"]

_PIN = re.compile(r"^cputune/(vcpupin|iothreadpin|emulatorpin)(?:\[(\d+)\])?(/@cpuset)?$")
#: Limits that control groups enforce, with the values that take them away again: libvirt's "unlimited" of each. A
#: period limits nothing by itself.
_LIMITS = {"cputune/global_period": 100000, "cputune/global_quota": -1, "memtune/hard_limit": (1 << 53) - 1}

_DEVICE = re.compile(r"^devices/(disk|interface|hostdev)\[([^\]]+)\](/.+)?$")

#: Parts of a device that libvirt's update-device changes in place, by tag.
_UPDATABLE = {"disk": ("/source/@file", "/source/@dev", "/source"), "interface": ("/source", "/link", "/@type")}


def can_be_live(handle: t.Any, change: Change, definition: ET.Element) -> bool:
    """Whether a difference of a running guest may be tried without a restart."""
    if _PIN.match(change.path):
        return change.after is not None
    if change.path in _LIMITS:
        return _has_controller(handle, change.path)
    match = _DEVICE.match(change.path)
    if match is None:
        return False
    tag, name, rest = match.groups()
    if rest is None:
        return True
    device = _device(definition, tag, name)
    if device is None or (tag == "disk" and device.get("device") != "cdrom"):
        return False
    return rest.startswith(_UPDATABLE.get(tag, ()))


def apply_live(
    handle: t.Any, changes: t.Iterable[Change], *, definition: ET.Element, running: ET.Element, host_cpus: int
) -> list[Change]:
    """Try each difference on the running guest; the ones that it would not take."""
    refused: list[Change] = []
    updated: dict[str, bool] = {}
    for change in changes:
        if not can_be_live(handle, change, definition):
            refused.append(change)
            continue
        try:
            if _PIN.match(change.path):
                _pin(handle, change, host_cpus)
            elif change.path in _LIMITS:
                _limit(handle, change.path, definition)
            elif not _change_device(handle, change, definition, running, updated):
                refused.append(change)
        except libvirt.libvirtError:
            refused.append(change)
    return refused


def _pin(handle: t.Any, change: Change, host_cpus: int) -> None:
    kind, number, attribute = t.cast("re.Match[str]", _PIN.match(change.path)).groups()
    after = change.after or ""
    wanted = cpuset.parse(after if attribute else ET.fromstring(after).get("cpuset", ""))
    cpumap = tuple(cpu in wanted for cpu in range(host_cpus))
    live = libvirt.VIR_DOMAIN_AFFECT_LIVE
    if kind == "emulatorpin":
        handle.pinEmulator(cpumap, live)
    elif kind == "vcpupin":
        handle.pinVcpuFlags(int(number), cpumap, live)
    else:
        handle.pinIOThread(int(number), cpumap, live)


def _has_controller(handle: t.Any, path: str) -> bool:
    """Whether the guest is in a control group by which libvirt can limit it: reading the limits fails otherwise."""
    try:
        if path.startswith("memtune"):
            handle.memoryParameters(libvirt.VIR_DOMAIN_AFFECT_LIVE)
        else:
            handle.schedulerParametersFlags(libvirt.VIR_DOMAIN_AFFECT_LIVE)
    except libvirt.libvirtError:
        return False
    return True


def _limit(handle: t.Any, path: str, definition: ET.Element) -> None:
    name, value = path.partition("/")[2], int(definition.findtext(path) or _LIMITS[path])
    if path.startswith("memtune"):
        handle.setMemoryParameters({name: value}, libvirt.VIR_DOMAIN_AFFECT_LIVE)
    else:
        handle.setSchedulerParametersFlags({name: value}, libvirt.VIR_DOMAIN_AFFECT_LIVE)


def _change_device(
    handle: t.Any, change: Change, definition: ET.Element, running: ET.Element, updated: dict[str, bool]
) -> bool:
    """Add, remove or update a device; whether the guest went along with it.

    :arg updated: whether the update of a device, which is one for all its changes, was taken.
    """
    tag, name, rest = t.cast("re.Match[str]", _DEVICE.match(change.path)).groups()
    live = libvirt.VIR_DOMAIN_AFFECT_LIVE
    if rest is None and change.after is None:
        # One that others have made has no name of ours, and is told by what it is.
        gone = ET.fromstring(change.before or "")
        device = identity.find(_devices(running), gone)
        if device is None:
            return False
        handle.detachDeviceFlags(ET.tostring(device, encoding="unicode"), live)
        # libvirt waits 5 s for the guest to let go, and does not say whether it did.
        return identity.find(_devices(ET.fromstring(handle.XMLDesc(0))), gone) is None
    device = copy.deepcopy(t.cast(ET.Element, _device(definition, tag, name)))
    if rest is None:
        # The address that the definition has may be another device's in the guest that runs.
        for address in device.findall("address"):
            device.remove(address)
        handle.attachDeviceFlags(ET.tostring(device, encoding="unicode"), live)
        return True
    key = f"{tag}[{name}]"
    if key not in updated:
        updated[key] = False
        _keep_address(device, _device(running, tag, name))
        handle.updateDeviceFlags(ET.tostring(device, encoding="unicode"), live)
        updated[key] = True
    return updated[key]


def _keep_address(device: ET.Element, current: ET.Element | None) -> None:
    for address in device.findall("address"):
        device.remove(address)
    if current is not None:
        device.extend(copy.deepcopy(address) for address in current.findall("address"))


def _devices(domain: ET.Element) -> ET.Element:
    found = domain.find("devices")
    return ET.Element("devices") if found is None else found


def _device(domain: ET.Element, tag: str, name: str) -> ET.Element | None:
    return next((device for device in domain.findall(f"devices/{tag}") if device_name(device) == name), None)
