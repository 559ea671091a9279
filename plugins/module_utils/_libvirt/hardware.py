# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a declared machine this host's QEMU cannot be: its CPU, EFI firmware, TPM.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

libvirt would say it too, but only when the VM is defined or started, and so after other VMs of the task.
"""

from __future__ import annotations

import re
import typing as t
import xml.etree.ElementTree as ET

from ansible_collections.rtvirt.core.plugins.module_utils._errors import Problem
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.connection import doing
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import POD, Manifest, mapping_at, pod_spec
from ansible_collections.rtvirt.core.plugins.module_utils.converters.overlay import Path

try:
    import libvirt
except ImportError:  # connection.py tells
    pass

__all__ = ["Hardware"]

_DOMAIN: Path = (*POD, "domain")

#: libvirt's messages about a CPU: of a name that it does not know, and of what the host's lacks.
_UNKNOWN = re.compile(r"Unknown CPU (?:model|feature) (\S+)")
_LACKING = re.compile(r"required features: (.+)")


class Hardware:
    """A host's QEMU, asked of libvirtd when it matters, and once for each kind of machine."""

    def __init__(self, connection: t.Any, arch: str) -> None:
        self._connection = connection
        self._arch = arch
        self._offers: dict[tuple[str, str], ET.Element] = {}

    def problems(self, manifest: Manifest, complete: ET.Element, *, starts: bool) -> list[Problem]:
        """Problems of a domain that is to be defined, and started if ``starts``."""
        spec = pod_spec(manifest.document)
        found: list[tuple[Path, str]] = []
        cpu = mapping_at(spec, "domain", "cpu")
        if cpu.get("model") or cpu.get("features"):
            found += self._cpu_problems(cpu, complete, starts)
        system = complete.find("os")
        if system is not None and system.get("firmware") == "efi":
            found += self._efi_problems(system, complete)
        if complete.find("devices/tpm") is not None and self._offer(complete, "devices/tpm[@supported='yes']") is None:
            found.append((("devices", "tpm"), "this host has no software TPM: install swtpm"))
        return [Problem(manifest.option_path((*_DOMAIN, *path)), message) for path, message in found]

    def _cpu_problems(self, cpu: dict[str, t.Any], complete: ET.Element, starts: bool) -> list[tuple[Path, str]]:
        element = complete.find("cpu")
        mode = None if element is None else element.get("mode")
        if element is None or mode is None:
            return []
        if mode != "custom" and self._offer(complete, f"cpu/mode[@name='{mode}'][@supported='yes']") is None:
            kind = complete.get("type")
            return [(("cpu", "model"), f"{mode} is not to be had with virt_type {kind} here: write another model")]
        flag = libvirt.VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE
        kind, machine = self._kind(complete)
        try:
            self._connection.compareHypervisorCPU(
                None, self._arch, machine, kind, ET.tostring(element, encoding="unicode"), flag
            )
        except libvirt.libvirtError as error:
            return _cpu_refused(cpu, str(error.get_error_message()), starts)
        return []

    def _efi_problems(self, system: ET.Element, complete: ET.Element) -> list[tuple[Path, str]]:
        at = ("firmware", "bootloader", "efi")
        if "efi" not in self._values(complete, "os/enum[@name='firmware']"):
            return [(at, "this host has no EFI firmware: install ovmf (Fedora and RHEL: edk2-ovmf)")]
        if system.find("loader[@secure='yes']") is not None and "yes" not in self._values(
            complete, "os/loader/enum[@name='secure']"
        ):
            return [((*at, "secureBoot"), "this host's EFI firmware has no secure boot: install one, or turn it off")]
        return []

    def _values(self, complete: ET.Element, path: str) -> list[str | None]:
        element = self._offer(complete, path)
        return [] if element is None else [value.text for value in element.findall("value")]

    def _offer(self, complete: ET.Element, path: str) -> ET.Element | None:
        """A part of what QEMU offers a domain of this kind."""
        kind, machine = self._kind(complete)
        if (kind, machine) not in self._offers:
            with doing("read what QEMU offers"):
                text = self._connection.getDomainCapabilities(None, self._arch, machine, kind)
            self._offers[kind, machine] = ET.fromstring(text)
        return self._offers[kind, machine].find(path)

    @staticmethod
    def _kind(complete: ET.Element) -> tuple[str, str]:
        system = complete.find("os/type")
        return complete.get("type", ""), "" if system is None else system.get("machine", "")


def _cpu_refused(cpu: dict[str, t.Any], message: str, starts: bool) -> list[tuple[Path, str]]:
    """libvirt's refusal of a CPU in the declaration's terms; nothing where it could not compare at all."""
    features = {feature["name"]: index for index, feature in enumerate(cpu.get("features") or [])}
    unknown, lacking = _UNKNOWN.search(message), _LACKING.search(message)
    if unknown is not None:
        name = unknown.group(1)
        if name in features:
            return [(("cpu", "features", features[name], "name"), f"libvirt knows no CPU feature {name!r}")]
        return [(("cpu", "model"), f"libvirt knows no CPU model {name!r}: virsh cpu-models lists them")]
    # As for networks: a VM that is only defined may be started on another host, or by another hypervisor.
    if lacking is None or not starts:
        return []
    names = lacking.group(1).split(", ")
    declared = [name for name in names if name in features]
    if declared:
        return [
            (
                ("cpu", "features", features[name]),
                f"this host's CPU does not have {name}: leave it out or make it optional",
            )
            for name in declared
        ]
    text = f"this host's CPU lacks what {cpu.get('model')} needs ({', '.join(names)})"
    return [(("cpu", "model"), f"{text}: write another model, or host-model")]
