# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt's domain XML back to a VirtualMachine: what of a domain, whoever made it, a declaration can say.

Pins, schedulers and huge pages are left out: they are a placement's result, not a declaration.
"""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET

from ansible_collections.rtvirt.core.plugins.module_utils.converters import quantity
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.element import device_name

__all__ = ["to_manifest"]

_UNITS = {"b": 1, "bytes": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4}


def to_manifest(domain: ET.Element) -> dict[str, t.Any]:
    """A VirtualMachine of a domain's XML. Devices without a name of ours are named by their place in it."""
    disks, volumes = _disks(domain)
    interfaces, networks = _interfaces(domain)
    devices = _some(
        disks=disks,
        interfaces=interfaces,
        watchdog=_watchdog(domain),
        autoattachMemBalloon=False if _attribute(domain, "devices/memballoon", "model") == "none" else None,
    )
    spec: dict[str, t.Any] = {
        "domain": _some(
            cpu=_cpu(domain),
            memory=_memory(domain),
            machine=_some(type=_attribute(domain, "os/type", "machine")),
            firmware=_firmware(domain),
            features=_features(domain),
            devices=devices,
        )
    }
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachine",
        "metadata": _identity(domain.findtext("name", "")),
        "spec": {"template": {"spec": {**spec, **_some(volumes=volumes, networks=networks)}}},
    }


def _identity(domain_name: str) -> dict[str, str]:
    """The way back from ``manifest.domain_name``: names of VMs and namespaces have no underscore of their own."""
    namespace, separator, name = domain_name.partition("_")
    if not (separator and namespace and name) or "_" in name:
        return {"name": domain_name}
    return {"name": name, "namespace": namespace}


def _some(**values: t.Any) -> dict[str, t.Any]:
    """The values that say something."""
    return {key: value for key, value in values.items() if value is not None and value != [] and value != {}}


def _attributes(domain: ET.Element, path: str) -> dict[str, str]:
    element = domain.find(path)
    return {} if element is None else element.attrib


def _attribute(domain: ET.Element, path: str, name: str) -> str | None:
    return _attributes(domain, path).get(name)


def _bytes(element: ET.Element | None) -> int:
    if element is None:
        return 0
    return int(element.text or element.get("size") or 0) * _UNITS[element.get("unit", "KiB")]


def _cpu(domain: ET.Element) -> dict[str, t.Any]:
    topology = _attributes(domain, "cpu/topology")
    mode = _attribute(domain, "cpu", "mode")
    features = [
        _some(name=feature.get("name"), policy=feature.get("policy")) for feature in domain.findall("cpu/feature")
    ]
    return _some(
        **{part: int(topology[part]) for part in ("sockets", "cores", "threads") if part in topology},
        model=domain.findtext("cpu/model") if mode == "custom" else mode,
        features=features,
    )


def _memory(domain: ET.Element) -> dict[str, t.Any]:
    return _some(
        guest=quantity.from_bytes(_bytes(domain.find("memory"))),
        libvirt={"locked": True} if domain.find("memoryBacking/locked") is not None else None,
    )


def _firmware(domain: ET.Element) -> dict[str, t.Any]:
    system = domain.find("os")
    if system is None:
        return {}
    secure = _attribute(domain, "os/loader", "secure")
    files = _some(kernelPath=system.findtext("kernel"), initrdPath=system.findtext("initrd"))
    return _some(
        bootloader={"efi": {"secureBoot": secure == "yes"}} if system.get("firmware") == "efi" else None,
        kernelBoot=_some(kernelArgs=system.findtext("cmdline"), libvirt=files),
    )


def _features(domain: ET.Element) -> dict[str, t.Any]:
    found: dict[str, t.Any] = {name: {} for name in ("acpi", "apic") if domain.find(f"features/{name}") is not None}
    smm = _attribute(domain, "features/smm", "state")
    return {**found, **({} if smm is None else {"smm": {"enabled": smm == "on"}})}


def _watchdog(domain: ET.Element) -> dict[str, t.Any] | None:
    watchdog = domain.find("devices/watchdog[@model='i6300esb']")
    return None if watchdog is None else {"name": "watchdog", "i6300esb": {"action": watchdog.get("action", "reset")}}


def _disks(domain: ET.Element) -> tuple[list[dict[str, t.Any]], list[dict[str, t.Any]]]:
    disks, volumes = [], []
    for disk in domain.findall("devices/disk"):
        source, driver = _attributes(disk, "source"), _attributes(disk, "driver")
        kind = disk.get("device", "disk")
        is_empty = not {"file", "dev"} & source.keys()
        if kind not in ("disk", "cdrom", "lun") or (is_empty and (kind != "cdrom" or source)):
            continue
        name = device_name(disk) or str(_attribute(disk, "target", "dev"))
        boot = _attribute(disk, "boot", "order")
        disks.append(
            {
                "name": name,
                kind: _some(bus=_attribute(disk, "target", "bus")),
                **_some(cache=driver.get("cache"), io=driver.get("io"), serial=disk.findtext("serial")),
                **_some(bootOrder=None if boot is None else int(boot)),
                **_some(shareable=True if disk.find("shareable") is not None else None),
            }
        )
        if is_empty:
            continue
        volume: dict[str, t.Any] = {"name": name}
        if "file" in source:
            volume["hostDisk"] = {"path": source["file"], "type": "Disk"}
            volume["libvirt"] = {"format": driver.get("type", "raw")}
        else:
            volume["libvirt"] = {"device": source["dev"]}
        volumes.append(volume)
    return disks, volumes


def _interfaces(domain: ET.Element) -> tuple[list[dict[str, t.Any]], list[dict[str, t.Any]]]:
    interfaces, networks = [], []
    for index, interface in enumerate(domain.findall("devices/interface")):
        name = device_name(interface) or f"net{index}"
        network = _network(interface.get("type", ""), _attributes(interface, "source"))
        if network is None:
            continue
        binding = "masquerade" if "pod" in network else "bridge"
        boot = _attribute(interface, "boot", "order")
        interfaces.append(
            {
                "name": name,
                binding: {},
                **_some(
                    macAddress=_attribute(interface, "mac", "address"), model=_attribute(interface, "model", "type")
                ),
                **_some(bootOrder=None if boot is None else int(boot)),
            }
        )
        networks.append({"name": name, **network})
    return interfaces, networks


def _network(kind: str, source: t.Mapping[str, str]) -> dict[str, t.Any] | None:
    if kind == "user":
        return {"pod": {}}
    if kind == "network" and kind in source:
        return {"libvirt": {key: source[key] for key in (kind, "portgroup") if key in source}}
    if kind == "bridge" and kind in source:
        return {"libvirt": {kind: source[kind]}}
    if kind == "direct":
        return {"libvirt": {"macvtap": {"device": source["dev"], "mode": source.get("mode", "vepa")}}}
    return None
