# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from a change of a domain's XML: values that libvirt filled in for its predecessor.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import re
import typing as t
import xml.etree.ElementTree as ET

from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.element import device_name

__all__ = ["keep_coherent"]

_BUS = re.compile(r"devices/disk\[(.+)\]/target/@bus")


def keep_coherent(domain: ET.Element, changed: t.Collection[str]) -> None:
    """Bring what belongs to changed parts of a domain into line with them, in place.

    :arg changed: the paths of the changes.
    """
    _follow_memory(domain, changed)
    _choose_one_boot_order(domain)
    _look_firmware_up_anew(domain, changed)
    _leave_addresses_of_other_buses(domain, changed)
    _give_usb_devices_a_controller(domain)


def _follow_memory(domain: ET.Element, changed: t.Collection[str]) -> None:
    """The balloon's size is that of the memory, or the guest would not see more of it."""
    memory, current = domain.find("memory"), domain.find("currentMemory")
    if "memory" in changed and memory is not None and current is not None:
        current.text = memory.text


def _choose_one_boot_order(domain: ET.Element) -> None:
    """libvirt refuses the boot order of devices beside its own default for the whole domain."""
    system = domain.find("os")
    if system is not None and domain.find("devices/*/boot") is not None:
        for boot in system.findall("boot"):
            system.remove(boot)


def _look_firmware_up_anew(domain: ET.Element, changed: t.Collection[str]) -> None:
    """The image and the template are libvirt's choice by the firmware's features; the guest's variables stay. BIOS has
    neither."""
    system = domain.find("os")
    if system is None or not any(path.startswith(("os/firmware", "os/@firmware")) for path in changed):
        return
    for element in system.findall("loader") + system.findall("nvram"):
        if "os/@firmware" in changed and system.get("firmware") is None:
            system.remove(element)
            continue
        for attribute in ("type", "readonly", "template"):
            element.attrib.pop(attribute, None)
        if element.tag == "loader":
            element.text = None


def _leave_addresses_of_other_buses(domain: ET.Element, changed: t.Collection[str]) -> None:
    moved = {match.group(1) for match in map(_BUS.fullmatch, changed) if match}
    for disk in domain.findall("devices/disk"):
        if device_name(disk) in moved:
            for address in disk.findall("address"):
                disk.remove(address)


def _give_usb_devices_a_controller(domain: ET.Element) -> None:
    """A domain that was made without a USB device has no USB controller."""
    controller = domain.find("devices/controller[@type='usb'][@model='none']")
    if controller is not None and domain.find("devices//*[@bus='usb']") is not None:
        controller.set("model", "qemu-xhci")
