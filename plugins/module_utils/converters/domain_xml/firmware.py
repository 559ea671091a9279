# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a guest boots with: machine type, firmware, kernel; and its platform's features and clock."""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET

from ansible_collections.rtvirt.core.plugins.module_utils.converters import defaults
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.element import (
    ABSENT,
    Context,
    absent,
    container,
    el,
    yes_no,
)

__all__ = ["firmware_elements"]

#: KubeVirt's clock.timer names -> libvirt's timer names.
_TIMERS = {"hpet": "hpet", "hyperv": "hypervclock", "kvm": "kvmclock", "pit": "pit", "rtc": "rtc"}

#: Hyper-V enlightenments with more than a switch: KubeVirt's nested field, libvirt's attribute, KubeVirt's default.
_HYPERV_VALUES = {"spinlocks": ("spinlocks", "retries", 4096), "vendorid": ("vendorid", "value", None)}


def firmware_elements(spec: dict[str, t.Any], context: Context) -> list[ET.Element | None]:
    domain = spec["domain"]
    return [_os(domain, context), _features(domain, context), _clock(domain.get("clock"), context)]


def _os(domain: dict[str, t.Any], context: Context) -> ET.Element | None:
    firmware = domain.get("firmware") or {}
    machine = (domain.get("machine") or {}).get("type")
    bootloader = firmware.get("bootloader") or {}
    efi, bios = bootloader.get("efi"), bootloader.get("bios")
    secure = efi.get("secureBoot", True) if efi is not None else None
    kernel_boot = firmware.get("kernelBoot") or {}
    files = kernel_boot.get("libvirt") or {}
    kernel = [
        el(tag, None, value)
        for tag, value in (
            ("kernel", files.get("kernelPath")),
            ("initrd", files.get("initrdPath")),
            ("cmdline", kernel_boot.get("kernelArgs")),
        )
        if value is not None
    ]
    attributes = {"firmware": "efi" if efi is not None else ABSENT if bios is not None else None}
    kind = el("type", {"arch": context.arch, "machine": machine}, "hvm") if machine is not None else None
    children: list[ET.Element | None] = [kind, *_secure_boot(secure), *kernel]
    if bios is not None and bios.get("useSerial") is not None:
        children.append(el("bios", {"useserial": yes_no(bios["useSerial"])}))
    if not any(attributes.values()) and not any(child is not None for child in children):
        return None
    return el("os", attributes, *children)


def _secure_boot(secure: bool | None) -> list[ET.Element | None]:
    """libvirt picks the firmware image by these features (descriptors of /usr/share/qemu/firmware)."""
    if secure is None:
        return []
    # Keys are enrolled in the NVRAM template; secure boot without them verifies nothing.
    features = [el("feature", {"enabled": yes_no(secure), "name": name}) for name in ("enrolled-keys", "secure-boot")]
    # libvirt 9.0 refuses secure="no" beside its own selection.
    return [el("firmware", None, *features), el("loader", {"secure": "yes"}) if secure else None]


def _features(domain: dict[str, t.Any], context: Context) -> ET.Element | None:
    features = domain.get("features") or {}
    cpu = domain.get("cpu") or {}
    children: list[ET.Element | None] = []
    for name in ("acpi", "apic"):
        if name in features:
            enabled = (features[name] or {}).get("enabled", True)
            children.append(el(name) if enabled else absent(name))
    if "smm" in features:
        children.append(el("smm", {"state": "on" if (features["smm"] or {}).get("enabled", True) else "off"}))
    if cpu.get("realtime") is not None:
        # The PMU's counters interrupt the vCPU: KubeVirt turns it off for every real-time VM.
        children.append(el("pmu", {"state": "off"}))
    children.append(_kvm(features, cpu, context))
    children.append(_hyperv(features.get("hyperv")))
    return container("features", *children)


def _kvm(features: dict[str, t.Any], cpu: dict[str, t.Any], context: Context) -> ET.Element | None:
    children: list[ET.Element | None] = []
    if "kvm" in features:
        children.append(el("hidden", {"state": _on_off((features["kvm"] or {}).get("hidden"))}))
    # A property of x86 CPUs alone.
    if cpu.get("dedicatedCpuPlacement") and (context.virt_type, context.arch) == ("kvm", "x86_64"):
        children.append(el("hint-dedicated", {"state": "on"}))
    return container("kvm", *children)


def _hyperv(given: dict[str, t.Any] | None) -> ET.Element | None:
    if given is None:
        return None
    children: list[ET.Element | None] = []
    for name, value in sorted(_with_needs(given).items()):
        settings = value or {}
        attributes: dict[str, t.Any] = {"state": _on_off(settings.get("enabled", True))}
        if name in _HYPERV_VALUES:
            field, attribute, default = _HYPERV_VALUES[name]
            attributes[attribute] = settings.get(field, default)
        children.append(el(_HYPERV_TAGS.get(name, name), attributes))
    return container("hyperv", *children)


def _with_needs(given: dict[str, t.Any]) -> dict[str, t.Any]:
    result = dict(given)
    # In an order in which what one needs may need another.
    for name, needed in defaults.HYPERV_NEEDS.items():
        if name in result and (result[name] or {}).get("enabled", True):
            result.setdefault(needed, {})
    return result


_HYPERV_TAGS = {"synictimer": "stimer", "vendorid": "vendor_id"}


def _on_off(value: t.Any) -> str:
    return "on" if value else "off"


def _clock(clock: dict[str, t.Any] | None, context: Context) -> ET.Element | None:
    if clock is None:
        return None
    timers = [
        el(
            "timer",
            {
                "name": _TIMERS[name],
                "tickpolicy": (timer or {}).get("tickPolicy"),
                "track": (timer or {}).get("track"),
                "present": _present(timer or {}, context),
            },
        )
        for name, timer in (clock.get("timer") or {}).items()
    ]
    if clock.get("timezone") is not None:
        return el("clock", {"offset": "timezone", "timezone": clock["timezone"]}, *timers)
    offset = (clock.get("utc") or {}).get("offsetSeconds")
    if offset is not None:
        return el("clock", {"offset": "variable", "adjustment": offset, "basis": "utc"}, *timers)
    return el("clock", {"offset": "utc"}, *timers)


def _present(timer: dict[str, t.Any], context: Context) -> str | None:
    return yes_no(timer.get("present", True)) if context.complete or "present" in timer else None
