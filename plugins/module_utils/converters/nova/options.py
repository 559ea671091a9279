# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A flavor and an image of OpenStack's Nova to the options of a declaration.

Nova says by extra specs of a flavor (``hw:cpu_policy``) and properties of an image (``hw_cpu_policy``) what a
declaration says by options. What has no counterpart is refused, so that nothing is lost without a word; a caller names
what may be.

Source: Nova 34.0.0, ``nova/virt/hardware.py`` for who has the say where flavor and image differ and for the CPU
topology, ``nova/api/validation/extra_specs`` for the values.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import ConversionError, DeclarationError, Problem
from ansible_collections.rtvirt.core.plugins.module_utils.converters.cpuset import format_ranges, parse
from ansible_collections.rtvirt.core.plugins.module_utils.converters.nova.request import Options, Request, is_yes
from ansible_collections.rtvirt.core.plugins.module_utils.converters.nova.topology import topology
from ansible_collections.rtvirt.core.plugins.module_utils.converters.overlay import overlay
from ansible_collections.rtvirt.core.plugins.module_utils.converters.quantity import from_bytes, to_bytes

__all__ = ["nova"]

_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}

#: Bytes of a page that is not huge.
_SMALL = 4096

_WATCHDOG_ACTIONS = ("none", "pause", "poweroff", "reset")

_EFI: Options = {"firmware": {"bootloader": "efi"}}
_SECURE: Options = {"firmware": {"bootloader": "efi", "secure_boot": True, "smm": True}}
_TPM: Options = {"spec": {"domain": {"devices": {"tpm": {"persistent": True}}}}}

#: Extra specs whose values are options as they are. Image properties have the same names, written ``hw_cpu_policy``.
_VALUES: dict[str, dict[str, Options]] = {
    "hw:cpu_policy": {"shared": {}, "dedicated": {"dedicated_cpus": True}},
    # The first is what placement does anyway.
    "hw:cpu_thread_policy": {"prefer": {}, "require": {"cpu_thread_policy": "require"}},
    # QEMU's threads are outside of the pool anyway.
    "hw:emulator_threads_policy": {"share": {}, "isolate": {"isolate_emulator_thread": True}},
    "hw:architecture": {"x86_64": {}},
    "hw:firmware_type": {"bios": {"firmware": {"bootloader": "bios"}}, "uefi": _EFI},
    "hw:numa_nodes": {"1": {}},
    "hw:rng_model": {"virtio": {}},
    "hw:tpm_model": {"tpm-crb": {}},
    "hw:tpm_version": {"2.0": _TPM},
    "hw:vm_mode": {"hvm": {}},
    "os:type": {"linux": {}},
    "hw:watchdog_action": {
        "disabled": {},
        **{action: {"watchdog": {"name": "watchdog", "i6300esb": {"action": action}}} for action in _WATCHDOG_ACTIONS},
    },
    # Yes or no, however it is written. Nova has a realtime guest in one node of its host; here that is asked for.
    "hw:cpu_realtime": {"true": {"realtime": True, "numa_passthrough": True}, "false": {}},
    "hw:hide_hypervisor_id": {"true": {"spec": {"domain": {"features": {"kvm": {"hidden": True}}}}}, "false": {}},
    "hw:locked_memory": {"true": {"spec": {"domain": {"memory": {"libvirt": {"locked": True}}}}}, "false": {}},
    # There always is a channel for it.
    "hw:qemu_guest_agent": {"true": {}, "false": {}},
    "hw:vif_multiqueue_enabled": {"true": {"multiqueue": True}, "false": {}},
    "hw_rng:allowed": {"true": {}},
}


def nova(
    flavor: t.Mapping[str, t.Any],
    image: t.Mapping[str, t.Any] | None = None,
    *,
    large_pages: str | None = None,
    ignore: t.Sequence[str] = (),
) -> Options:
    """The options of a declaration that says what a flavor and an image say.

    :arg flavor: ``ram`` in MiB, ``vcpus``, and ``extra_specs`` (or ``properties``).
    :arg image: its properties, or an image that has them in ``properties``.
    :arg large_pages: the size of huge pages that ``hw:mem_page_size=large`` means: whichever a host has, to Nova.
    :arg ignore: patterns (``trait:*``) of what may be left out.
    :returns: options without name, disks and interfaces, which a flavor does not have.
    :raises DeclarationError: with all that has no counterpart, contradicts itself, or is no flavor.
    """
    problems: list[Problem] = []
    request = Request(flavor, image or {}, ignore, problems)
    ram, vcpus = request.number("ram"), request.number("vcpus")
    parts = [
        {"memory": from_bytes(ram * _UNITS["M"])},
        topology(request, vcpus),
        *(request.choice(name, values, _first(request, name, vcpus)) for name, values in _VALUES.items()),
        _pages(request, large_pages),
    ]
    options: Options = {}
    for part in parts:
        options = overlay(options, part)
    options = overlay(options, _machine(request, uefi=options.get("firmware") == _EFI["firmware"]))
    mask = request.take("hw:cpu_realtime_mask", "image")
    # Without it the mask means nothing to Nova.
    if mask is not None and "realtime" in options:
        options.update(_mask(request, mask, vcpus))
    if options.get("cpu_thread_policy") == "require" and options.get("cpu_threads") == 1:
        message = "is 'require', and Nova takes the threads of a core from the host: write hw:cpu_threads=2"
        request.add("hw:cpu_thread_policy", message)
    if vcpus == 1:
        options.pop("multiqueue", None)
    # A guest in one node of its host needs pages of that node.
    if options.get("dedicated_cpus") and "hugepages" in options:
        options["numa_passthrough"] = True
    request.refuse_the_rest()
    if problems:
        raise DeclarationError(problems)
    return options


def _first(request: Request, name: str, vcpus: int) -> str | None:
    """Who has the say to Nova, where flavor and image say different things."""
    if name == "hw:watchdog_action":
        return "image"
    if name == "hw:cpu_policy" and request.said("flavor", name) == "dedicated":
        return "flavor"
    if name == "hw:hide_hypervisor_id":
        # One that wants it is enough.
        return "flavor" if is_yes(request.said("flavor", name)) else "image"
    return "image" if name == "hw:vif_multiqueue_enabled" and vcpus == 1 else None


def _machine(request: Request, *, uefi: bool) -> Options:
    """The machine and secure boot, which Nova looks at with UEFI alone: a disk made for BIOS would not boot."""
    secure = request.choice("os:secure_boot", {"disabled": {}, "required": _SECURE})
    machine_type = request.take("hw:machine_type")
    if secure and not uefi:
        request.add("os:secure_boot", "counts with hw_firmware_type=uefi alone: write that, or name it in ignore")
    if secure and machine_type is not None and "q35" not in machine_type:
        request.add("properties.hw_machine_type", f"is {machine_type!r}, and secure boot needs q35")
    return {**secure, **({} if machine_type is None else {"machine_type": machine_type})}


def _mask(request: Request, mask: str, vcpus: int) -> Options:
    """The vCPUs that are real-time ones. One that begins with an exclusion is of all vCPUs, whatever else it has."""
    try:
        cpus = parse(f"0-{vcpus - 1},{mask}" if mask.startswith("^") else mask)
    except ConversionError as error:
        request.add("hw:cpu_realtime_mask", error.message)
        return {}
    if not cpus or max(cpus) >= vcpus:
        request.add("hw:cpu_realtime_mask", f"is {mask!r}: write some of the vCPUs 0-{vcpus - 1}")
    return {"realtime_mask": format_ranges(cpus)}


def _pages(request: Request, large_pages: str | None) -> Options:
    """``small`` is what is there without, and so is ``any`` where no size is given. An image may choose of several."""
    name = "hw:mem_page_size"
    of_flavor = request.said("flavor", name)
    # Of an image alone it is refused with the rest, as Nova does.
    if of_flavor is None:
        return {}
    value = request.take(name, "image" if of_flavor in ("large", "any") else None)
    if value in ("large", "any"):
        if large_pages is not None:
            return {"hugepages": from_bytes(_size_of(request, large_pages))}
        if value == "large":
            request.add(name, "is 'large', any size that a host has: say which by large_pages, such as 2Mi or 1Gi")
        return {}
    size = _SMALL if value == "small" else _bytes(value or "")
    if size is None or size % _SMALL:
        request.add(name, f"is {value!r}: write small, large, any, or a size such as 2MB or 1GB")
        return {}
    return {} if size == _SMALL else {"hugepages": from_bytes(size)}


def _size_of(request: Request, large_pages: t.Any) -> int:
    try:
        return to_bytes(large_pages if isinstance(large_pages, str) else str(large_pages))
    except ConversionError as error:
        request.add("large_pages", error.message)
        return 0


def _bytes(size: str) -> int | None:
    """Nova's sizes: KiB without a unit, and powers of 1024 with one (2MB, 2MiB)."""
    found = re.fullmatch(r"0*([1-9][0-9]{0,8})(?:([kKMG])i?B)?", size)
    return None if found is None else int(found[1]) * _UNITS[(found[2] or "K").upper()]
