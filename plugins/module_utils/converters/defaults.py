# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The defaults that KubeVirt's webhooks give a VirtualMachine, as a pure step of its own.

A domain is created from the manifest with its defaults; afterwards only what was declared is held to. Source of each
value: KubeVirt 1.9's ``pkg/defaults`` and ``vmi-mutator``; a value that is ours says so.
"""

from __future__ import annotations

import posixpath
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils.converters import quantity

__all__ = [
    "HYPERV_NEEDS",
    "bus_of",
    "declared_memory",
    "guest_memory",
    "host_path",
    "target_kind",
    "vcpu_count",
    "with_defaults",
    "without_nulls",
]

#: Hyper-V enlightenments -> what each needs, which is turned on with it. Source: KubeVirt's ``pkg/defaults/hyperv.go``.
HYPERV_NEEDS = {"evmcs": "vapic", "ipi": "vpindex", "tlbflush": "vpindex", "synictimer": "synic", "synic": "vpindex"}

_MACHINES = {"x86_64": "q35", "aarch64": "virt", "s390x": "s390-ccw-virtio"}
#: Those of which libvirt knows no models that are like a host's CPU.
_CPU_MODELS = {"aarch64": "host-passthrough"}
_TOPOLOGY = ("sockets", "cores", "threads")
_TARGETS = ("disk", "cdrom", "lun")


def target_kind(disk: t.Mapping[str, t.Any]) -> str:
    """``disk``, ``cdrom`` or ``lun``; a disk where nothing is said."""
    return next((kind for kind in _TARGETS if kind in disk), "disk")


def bus_of(disk: t.Mapping[str, t.Any], arch: str) -> str:
    """The bus of a disk: by default sata on amd64, and virtio where machines have none (pkg/defaults/arm64.go).

    :arg arch: libvirt's name of the guest's architecture (``aarch64``), or KubeVirt's (``arm64``).
    """
    kind = target_kind(disk)
    bus = (disk.get(kind) or {}).get("bus")
    if bus:
        return str(bus)
    if arch in ("x86_64", "amd64"):
        return "sata"
    # KubeVirt has virtio for these too, which QEMU does not have (ours).
    return "scsi" if kind == "cdrom" else "virtio"


def host_path(volume: t.Mapping[str, t.Any]) -> str | None:
    """The host's file or device behind a volume in its one spelling, None for a volume that has none of its own."""
    path = (volume.get("hostDisk") or {}).get("path") or (volume.get("libvirt") or {}).get("device")
    return posixpath.normpath(path) if path else None


def vcpu_count(spec: t.Mapping[str, t.Any]) -> int | None:
    """vCPUs of an instance spec (``spec.template.spec``), None where it declares none.

    KubeVirt counts sockets x cores x threads, each 1 where unset; without any of them the CPU limit, else the request.
    """
    domain = spec.get("domain") or {}
    cpu = domain.get("cpu") or {}
    if any(cpu.get(part) for part in _TOPOLOGY):
        count = 1
        for part in _TOPOLOGY:
            count *= cpu.get(part) or 1
        return count
    resources = domain.get("resources") or {}
    for kind in ("limits", "requests"):
        amount = (resources.get(kind) or {}).get("cpu")
        if amount is not None:
            return max(1, -(-quantity.to_fraction(amount) // 1))
    return None


def guest_memory(spec: t.Mapping[str, t.Any]) -> str | int | None:
    """The guest's memory (a quantity), None where nothing says it: as declared, else one huge page, as in KubeVirt."""
    amount = declared_memory(spec)
    if amount is not None:
        return amount
    memory = (spec.get("domain") or {}).get("memory") or {}
    return t.cast("str | None", (memory.get("hugepages") or {}).get("pageSize"))


def declared_memory(spec: t.Mapping[str, t.Any]) -> str | int | None:
    """KubeVirt takes memory.guest, else the memory request, else the memory limit."""
    domain = spec.get("domain") or {}
    memory = domain.get("memory") or {}
    resources = domain.get("resources") or {}
    for amount in (
        memory.get("guest"),
        (resources.get("requests") or {}).get("memory"),
        (resources.get("limits") or {}).get("memory"),
    ):
        if amount is not None:
            return t.cast("str | int", amount)
    return None


def without_nulls(value: t.Any) -> t.Any:
    """A copy of a tree without the keys whose value is null: Kubernetes takes them as not given."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def with_defaults(spec: t.Mapping[str, t.Any], *, arch: str = "x86_64", virt_type: str = "kvm") -> dict[str, t.Any]:
    """A copy of an instance spec with every default filled in that a new domain needs."""
    result: dict[str, t.Any] = without_nulls(spec)
    domain = result.setdefault("domain", {})
    cpu = domain.setdefault("cpu", {})
    if not any(cpu.get(part) for part in _TOPOLOGY):
        cpu["sockets"] = vcpu_count(spec) or 1
    # KubeVirt's models of the host need KVM; emulation has none of the host to give (ours: TCG's widest model).
    cpu.setdefault("model", _CPU_MODELS.get(arch, "host-model") if virt_type == "kvm" else "maximum")
    amount = guest_memory(spec)
    if amount is not None:
        domain.setdefault("memory", {}).setdefault("guest", amount)
    domain.setdefault("machine", {}).setdefault("type", _MACHINES.get(arch, "virt"))
    firmware = domain.setdefault("firmware", {})
    if arch == "aarch64":
        # What has no SMM has no secure boot.
        firmware.setdefault("bootloader", {"efi": {"secureBoot": False}})
    elif arch == "x86_64":
        firmware.setdefault("bootloader", {"bios": {}})
    efi = (firmware.get("bootloader") or {}).get("efi")
    if efi is not None:
        efi.setdefault("secureBoot", True)
    features = domain.setdefault("features", {})
    features.setdefault("acpi", {})
    domain.setdefault("clock", {"utc": {}})
    _default_devices(domain.setdefault("devices", {}), arch)
    _default_network(result, domain["devices"])
    return result


def _default_devices(devices: dict[str, t.Any], arch: str) -> None:
    for disk in devices.get("disks") or []:
        target = target_kind(disk)
        disk[target] = {**(disk.get(target) or {}), "bus": bus_of(disk, arch)}
    for interface in devices.get("interfaces") or []:
        interface.setdefault("model", "virtio")
    for given in devices.get("inputs") or []:
        given.setdefault("bus", "usb")
    watchdog = devices.get("watchdog")
    if watchdog is not None:
        watchdog["i6300esb"] = {"action": "reset", **(watchdog.get("i6300esb") or {})}


def _default_network(spec: dict[str, t.Any], devices: dict[str, t.Any]) -> None:
    """One user-mode interface where nothing says otherwise.

    KubeVirt attaches the pod network by its ``defaultNetworkInterface``; a plain host's nearest is user-mode.
    """
    if devices.get("interfaces") or spec.get("networks") or devices.get("autoattachPodInterface") is False:
        return
    devices["interfaces"] = [{"name": "default", "masquerade": {}, "model": "virtio"}]
    spec["networks"] = [{"name": "default", "pod": {}}]
