# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a declaration this host cannot do, found before anything is touched.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import os
import typing as t
import uuid
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._errors import ConversionError, DeclarationError, Problem
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt import domains, folders, vhostuser
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils._vm import lifecycle
from ansible_collections.rtvirt.core.plugins.module_utils.converters import cpuset, defaults, quantity
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import (
    POD,
    Manifest,
    full_address,
    has_dedicated_cpus,
    mapping_at,
    pod_spec,
)
from ansible_collections.rtvirt.core.plugins.module_utils.converters.overlay import Path

__all__ = ["Settings", "check_cpus", "check_host", "check_remote", "check_sockets", "page_size"]

#: Beyond it an x86 guest needs an IOMMU of its own (libvirt: "more than 255 vCPUs require extended interrupt mode").
_MOST_VCPUS = 255

_KERNEL: Path = ("domain", "firmware", "kernelBoot", "libvirt")


@dataclass(frozen=True)
class Settings:
    """The options of the module that are not part of the declaration.

    :ivar reclaim_after: seconds that a deleted VM is kept.
    :ivar local: whether the module runs on the hypervisor, and so sees its files.
    """

    state: lifecycle.State = "present"
    virt_type: str = "auto"
    volume_dir: str = "/var/lib/libvirt/images"
    cpu_pool: str | None = None
    autostart: bool | None = None
    allow_restart: bool = False
    delete_volumes: bool = False
    reclaim_after: int = 0
    local: bool = True


def check_host(manifest: Manifest, host: Host, settings: Settings, existing: domains.Domain | None) -> list[Problem]:
    """Problems of a declaration on a host; ``existing`` is the domain that is there."""
    spec = pod_spec(manifest.document)
    problems: list[Problem] = []

    def add(path: Path, message: str) -> None:
        problems.append(Problem(manifest.option_path((*POD, *path)), message))

    if existing is None and defaults.guest_memory(spec) is None:
        add(("domain", "memory", "guest"), "is missing: there is no such VM yet, and a new one needs memory")
    page = page_size(spec)
    if page is not None and quantity.to_bytes(page) not in host.page_sizes:
        offered = ", ".join(quantity.from_bytes(size) for size in host.page_sizes) or "none"
        add(("domain", "memory", "hugepages", "pageSize"), f"this host has no pages of {page}: it offers {offered}")
    _check_networks(spec, host, settings, add)
    if settings.local:
        _check_kernel(spec, host, add)
    _check_machine(spec, host, existing, add)
    # As for networks: a device may come after the definition.
    if settings.local and settings.state != "present":
        _check_devices(spec, add)
        _check_sockets(spec, host, add)
    if existing is not None and settings.virt_type not in ("auto", existing.definition.get("type")):
        have = existing.definition.get("type")
        problems.append(Problem("virt_type", f"{existing.name} is a {have} domain: remove it to make it another"))
    return problems


def check_uuid(manifest: Manifest, others: t.Iterable[domains.Domain]) -> list[Problem]:
    """A UUID that another domain has, which libvirt refuses when the VM is defined."""
    wanted = mapping_at(pod_spec(manifest.document), "domain", "firmware").get("uuid")
    owners = [other.name for other in others if wanted and other.uuid == str(uuid.UUID(wanted))]
    path = manifest.option_path((*POD, "domain", "firmware", "uuid"))
    return [Problem(path, f"{wanted} is {owner}'s: write another") for owner in owners]


def check_sockets(manifest: Manifest, others: t.Iterable[domains.Domain]) -> list[Problem]:
    """Sockets of vhost-user that other domains have: a QEMU takes one over without a word, and cuts its guest off."""
    owners = {path: other.name for other in others for path in vhostuser.sockets(other.definition)}
    found = [
        (index, mapping_at(network, "libvirt", "vhostuser").get("socket"))
        for index, network in enumerate(pod_spec(manifest.document).get("networks") or [])
    ]
    return [
        Problem(
            manifest.option_path((*POD, "networks", index, "libvirt", "vhostuser", "socket")),
            f"{path} is the socket of {owners[path]}: write another",
        )
        for index, path in found
        if path in owners
    ]


def check_cpus(option: str, value: str | None) -> None:
    """:raises DeclarationError: for a value that is no set of CPUs; whether the host has them is not known yet."""
    try:
        cpuset.parse(value or "", range(cpuset.CPU_LIMIT))
    except ConversionError as error:
        raise DeclarationError([Problem(option, error.message)]) from error


def page_size(spec: t.Mapping[str, t.Any]) -> str | None:
    """The size of huge pages that an instance spec declares."""
    memory = (spec.get("domain") or {}).get("memory") or {}
    return t.cast("str | None", (memory.get("hugepages") or {}).get("pageSize"))


def _check_kernel(spec: t.Mapping[str, t.Any], host: Host, add: t.Callable[[Path, str], None]) -> None:
    firmware = (spec.get("domain") or {}).get("firmware") or {}
    for key, path in ((firmware.get("kernelBoot") or {}).get("libvirt") or {}).items():
        closed = folders.closed_folder(path, host.qemu_user)
        if not os.path.exists(path):
            add((*_KERNEL, key), f"{path} does not exist on this host")
        elif closed:
            add((*_KERNEL, key), f"{path} is below {closed}, which QEMU's user may not enter: copy it elsewhere")


def _check_networks(
    spec: t.Mapping[str, t.Any], host: Host, settings: Settings, add: t.Callable[[Path, str], None]
) -> None:
    # A VM that is only defined may be there before its networks.
    for index, network in enumerate(spec.get("networks") or [] if settings.state != "present" else []):
        source = network.get("libvirt") or {}
        name = source.get("network")
        if name and host.networks is not None and name not in host.networks:
            have = ", ".join(sorted(host.networks)) or "none"
            add(("networks", index, "libvirt", "network"), f"this host has no network {name!r}: it has {have}")
        elif name and host.networks is not None and not host.networks[name]:
            message = f"the network {name!r} is not active: start it (virsh net-start {name})"
            add(("networks", index, "libvirt", "network"), message)
        elif name and source.get("portgroup") and host.networks is not None:
            # libvirt takes a group that is not there for none, and the guest is in no VLAN.
            groups = host.portgroups.get(name, frozenset())
            if source["portgroup"] not in groups:
                message = (
                    f"the network {name!r} has no such group of ports: it has {', '.join(sorted(groups)) or 'none'}"
                )
                add(("networks", index, "libvirt", "portgroup"), message)
        for key, device in (("bridge", source.get("bridge")), ("macvtap", (source.get("macvtap") or {}).get("device"))):
            if device and settings.local and not os.path.exists(f"/sys/class/net/{device}"):
                add(("networks", index, "libvirt", key), f"this host has no network device {device!r}")


def _check_devices(spec: t.Mapping[str, t.Any], add: t.Callable[[Path, str], None]) -> None:
    """The host's devices that are to be passed through."""
    for kind in ("hostDevices", "gpus"):
        for index, device in enumerate(mapping_at(spec, "domain", "devices").get(kind) or []):
            pci = full_address(device.get("pci") or "")
            if pci and not os.path.exists(f"/sys/bus/pci/devices/{pci}"):
                add(("domain", "devices", kind, index, "pci"), f"this host has no PCI device {pci}")
            mdev = device.get("mdev")
            if mdev and not os.path.exists(f"/sys/bus/mdev/devices/{uuid.UUID(mdev)}"):
                message = f"this host has no mediated device {mdev}: the module mediated_devices makes it"
                add(("domain", "devices", kind, index, "mdev"), message)


def _check_sockets(spec: t.Mapping[str, t.Any], host: Host, add: t.Callable[[Path, str], None]) -> None:
    """QEMU makes the sockets of vhost-user, as the user that it runs as."""
    for index, network in enumerate(spec.get("networks") or []):
        path = mapping_at(network, "libvirt", "vhostuser").get("socket")
        if not path:
            continue
        folder, where = os.path.dirname(path), ("networks", index, "libvirt", "vhostuser", "socket")
        remedy = "declare its port with rtvirt.core.ovs_bridges, which makes the folder"
        if not os.path.isdir(folder):
            add(where, f"there is no folder {folder} on this host: {remedy}")
        elif folders.closed_folder(path, host.qemu_user) or not folders.may_make_files(folder, host.qemu_user):
            add(where, f"{folder} is closed to QEMU's user ({host.qemu_user[0]}), who makes the socket: {remedy}")


def _check_machine(
    spec: t.Mapping[str, t.Any], host: Host, existing: domains.Domain | None, add: t.Callable[[Path, str], None]
) -> None:
    wanted = ((spec.get("domain") or {}).get("machine") or {}).get("type")
    system = None if existing is None else existing.definition.find("os/type")
    have = None if system is None else system.get("machine")
    count = defaults.vcpu_count(spec) or 0
    if host.arch == "x86_64" and count > _MOST_VCPUS:
        cpu = mapping_at(spec, "domain", "cpu")
        part = max(("cores", "sockets", "threads"), key=lambda name: cpu.get(name) or 0)
        message = f"makes {count} vCPUs, and libvirt gives a guest of x86 at most {_MOST_VCPUS}: write less"
        add(("domain", "cpu", part), message)
    wanted_uuid = mapping_at(spec, "domain", "firmware").get("uuid")
    if existing is not None and wanted_uuid and str(uuid.UUID(wanted_uuid)) != existing.uuid:
        add(("domain", "firmware", "uuid"), f"{existing.name} has {existing.uuid}, which is for good: write that")
    if wanted and host.machines and wanted not in host.machines:
        families = ", ".join(sorted(machine for machine in host.machines if machine in ("q35", "pc", "virt")))
        add(("domain", "machine", "type"), f"this host's QEMU has no machine {wanted!r}: write {families or 'another'}")
    elif wanted and have and _is_q35(wanted) != _is_q35(have):
        message = f"the VM was made as {have}, and its devices have their places by that: remove it (its disks stay)"
        add(
            ("domain", "machine", "type"), f"{message} and declare it anew, or write {'q35' if _is_q35(have) else 'pc'}"
        )


def _is_q35(machine: str) -> bool:
    return machine.startswith(("q35", "pc-q35"))


def check_remote(manifests: t.Sequence[Manifest], *, removes: bool, has_pool: bool) -> None:
    """:raises DeclarationError: for what cannot be done from another machine: files are made where they are used.

    :arg has_pool: whether the CPUs for dedicated vCPUs are named.
    :arg removes: whether the VMs are to be removed with their volumes.
    """
    problems = [
        Problem(
            manifest.option_path((*POD, "volumes", index)),
            "needs a file made on the hypervisor: run the module there, not by a remote uri",
        )
        for manifest in manifests
        for index, volume in enumerate(pod_spec(manifest.document).get("volumes") or [])
        if {"emptyDisk", "cloudInitNoCloud"} & volume.keys()
        or mapping_at(volume, "hostDisk").get("type") == "DiskOrCreate"
    ]
    problems += [
        Problem("cpu_pool", "is missing: which CPUs a remote host isolates cannot be seen from here, write its pool")
        for manifest in manifests
        if not has_pool and has_dedicated_cpus(manifest.document)
    ][:1]
    if removes:
        message = "would remove files of this machine, not of the hypervisor: run the module there, or leave it out"
        problems = [Problem("delete_volumes", message)]
    if problems:
        raise DeclarationError(problems)
