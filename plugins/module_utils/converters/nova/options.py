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

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem
from ansible_collections.rtvirt.core.plugins.module_utils.converters.nova.request import Options, Request
from ansible_collections.rtvirt.core.plugins.module_utils.converters.nova.topology import topology
from ansible_collections.rtvirt.core.plugins.module_utils.converters.overlay import overlay
from ansible_collections.rtvirt.core.plugins.module_utils.converters.quantity import from_bytes

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
    # What placement does anyway.
    "hw:cpu_thread_policy": {"prefer": {}},
    # QEMU's threads are outside of the pool anyway.
    "hw:emulator_threads_policy": {"share": {}, "isolate": {"isolate_emulator_thread": True}},
    "hw:firmware_type": {"bios": {"firmware": {"bootloader": "bios"}}, "uefi": _EFI},
    "hw:numa_nodes": {"1": {}},
    "hw:rng_model": {"virtio": {}},
    "hw:tpm_model": {"tpm-crb": {}},
    "hw:tpm_version": {"2.0": _TPM},
    "hw:watchdog_action": {
        "disabled": {},
        **{action: {"watchdog": {"name": "watchdog", "i6300esb": {"action": action}}} for action in _WATCHDOG_ACTIONS},
    },
    "os:secure_boot": {"disabled": {}, "required": _SECURE},
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
    options: Options = {"memory": from_bytes(ram * _UNITS["M"])}
    parts = [
        topology(request, vcpus),
        *(request.choice(name, values) for name, values in _VALUES.items()),
        _pages(request, large_pages),
    ]
    for part in parts:
        options = overlay(options, part)
    mask, machine_type = (
        request.take(f"hw:{name}", image_first=True) for name in ("cpu_realtime_mask", "machine_type")
    )
    # Without it the mask means nothing to Nova.
    if mask is not None and "realtime" in options:
        options["realtime_mask"] = mask
    if machine_type is not None:
        options["machine_type"] = machine_type
    # A guest in one node of its host needs pages of that node.
    if options.get("dedicated_cpus") and "hugepages" in options:
        options["numa_passthrough"] = True
    request.refuse_the_rest()
    if problems:
        raise DeclarationError(problems)
    return options


def _pages(request: Request, large_pages: str | None) -> Options:
    """What ``small`` and ``any`` are is there without. An image may say which, where the flavor leaves that open."""
    name = "hw:mem_page_size"
    value = request.take(name, image_first=request.of_flavor(name) in ("large", "any"))
    if value == "large" and large_pages is None:
        request.add(name, "is 'large', any size that a host has: say which by large_pages, such as 2Mi or 1Gi")
    if value in (None, "small", "any", "large"):
        return {"hugepages": large_pages} if value == "large" else {}
    size = _bytes(value)
    if size is None:
        request.add(name, f"is {value!r}: write small, large, any, or a size such as 2MB or 1GB")
        return {}
    return {} if size == _SMALL else {"hugepages": from_bytes(size)}


def _bytes(size: str) -> int | None:
    """Nova's sizes: KiB without a unit, and powers of 1024 with one (2MB, 2MiB)."""
    found = re.fullmatch(r"(\d+)(?:([kKMG])i?B)?", size)
    return None if found is None else int(found[1]) * _UNITS[(found[2] or "K").upper()]
