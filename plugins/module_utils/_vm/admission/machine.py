# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of the VirtualMachine as a whole: its names, its power, its machine type, firmware and clock.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import fnmatch
import re
import typing as t
import uuid

from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.report import (
    DNS_LABEL,
    DOMAIN,
    Report,
    is_dns_name,
    listed,
)
from ansible_collections.rtvirt.core.plugins.module_utils.converters import defaults
from ansible_collections.rtvirt.core.plugins.module_utils.converters.overlay import Path

__all__ = ["check_machine", "check_names"]

_STRATEGIES = ("Always", "Halted", "Manual", "Once", "RerunOnFailure")

#: Behind a feature gate, which the server knows.
_CLUSTER_STRATEGIES = (*_STRATEGIES, "WaitAsReceiver")
_FIRMWARE = (*DOMAIN, "firmware")
_TIMERS = ("hpet", "hyperv", "kvm", "pit", "rtc")
_TICK_POLICIES = ("delay", "catchup", "merge", "discard")

#: What libvirt's schema and QEMU's driver let in of them (libvirt 9.0, qemuValidateDomainDefClockTimers).
_LIBVIRT_TICK_POLICIES = {"hpet": _TICK_POLICIES, "pit": ("delay", "catchup", "discard"), "rtc": ("delay", "catchup")}

#: KubeVirt's globs of machine types by architecture; libvirt on x86 has i440fx too.
_MACHINES = ("q35*", "pc-q35*", "virt*", "s390-ccw-virtio*")
_LIBVIRT_MACHINES = (*_MACHINES, "pc", "pc-i440fx*")
_MACHINES_OF = {"amd64": _MACHINES[:2], "arm64": _MACHINES[2:3], "s390x": _MACHINES[3:]}

#: A domain's name becomes part of file names.
_LIBVIRT_NAME = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*$")

#: A file's name has 255 bytes: the domain's, a volume's (63) and what stands around them.
_MOST_LETTERS = 180


def check_names(report: Report) -> None:
    """The names alone: all that ``state: absent`` needs."""
    metadata = report.document.get("metadata") or {}
    name = metadata.get("name")
    if not name:
        report.add(("metadata", "name"), "is missing: write the VM's name")
        return
    if report.backend == "kubevirt":
        _check_cluster_names(report, name, metadata.get("namespace"))
        return
    for key in ("name", "namespace"):
        value = metadata.get(key)
        if value is not None and not _LIBVIRT_NAME.fullmatch(str(value)):
            report.add(("metadata", key), f"{value!r}: write letters, digits and _.+-")
    if len(str(name)) + len(str(metadata.get("namespace") or "")) > _MOST_LETTERS:
        report.add(("metadata", "name"), f"is too long: write at most {_MOST_LETTERS} letters, with the namespace")


def _check_cluster_names(report: Report, name: str, namespace: str | None) -> None:
    if not is_dns_name(name):
        remedy = "write lower-case letters, digits, - and . (a DNS name), at most 253"
        report.add(("metadata", "name"), f"{name!r}: {remedy}")
    if namespace is not None and not DNS_LABEL.fullmatch(namespace):
        report.add(("metadata", "namespace"), f"{namespace!r}: write lower-case letters, digits and -, at most 63")


def check_machine(report: Report) -> None:
    document = report.document
    if document.get("kind") != "VirtualMachine":
        report.add(("kind",), f"is {document.get('kind')!r}: write VirtualMachine")
    version = str(document.get("apiVersion") or "")
    if not version.startswith("kubevirt.io/v1"):
        report.add(("apiVersion",), f"is {document.get('apiVersion')!r}: write kubevirt.io/v1")
    spec = document.get("spec") or {}
    if spec.get("running") is not None and spec.get("runStrategy") is not None:
        report.add(("spec", "running"), "stands beside runStrategy: write one of them, runStrategy is the newer")
    strategies = _STRATEGIES if report.backend == "libvirt" else _CLUSTER_STRATEGIES
    report.choice(("spec", "runStrategy"), spec.get("runStrategy"), strategies)
    grace = report.spec.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0:
        report.add(("spec", "template", "spec", "terminationGracePeriodSeconds"), f"is {grace}: write 0 or more")
    _check_type(report)
    _check_firmware(report)
    _check_features(report)
    _check_clock(report)


def _check_features(report: Report) -> None:
    hyperv = (report.domain.get("features") or {}).get("hyperv") or {}
    at = (*DOMAIN, "features", "hyperv")
    retries = (hyperv.get("spinlocks") or {}).get("spinlocks")
    if retries is not None and retries < 4096:
        report.add((*at, "spinlocks", "spinlocks"), f"is {retries}: write 4096 or more")
    vendor = (hyperv.get("vendorid") or {}).get("vendorid")
    if vendor is not None and not 0 < len(vendor) <= 12:
        report.add((*at, "vendorid", "vendorid"), f"{vendor!r}: write 1 to 12 characters")
    elif vendor is None and report.backend == "libvirt" and "vendorid" in hyperv:
        report.add((*at, "vendorid", "vendorid"), "is missing: write 1 to 12 characters")
    for name, needed in defaults.HYPERV_NEEDS.items():
        # What one needs is turned on with it, unless it is turned off by name.
        is_on = name in hyperv and (hyperv[name] or {}).get("enabled", True)
        if is_on and (hyperv.get(needed) or {}).get("enabled") is False:
            report.add((*at, name), f"needs {needed}, which is off: turn {needed} on, or {name} off")


def _check_clock(report: Report) -> None:
    clock = report.domain.get("clock") or {}
    timers = clock.get("timer") or {}
    for name in _TIMERS:
        at, timer = (*DOMAIN, "clock", "timer", name), timers.get(name) or {}
        report.choice((*at, "tickPolicy"), timer.get("tickPolicy"), _TICK_POLICIES)
        report.choice((*at, "track"), timer.get("track"), ("guest", "wall"))
        if report.backend == "libvirt":
            _check_libvirt_timer(report, at, name, timer)
    if clock.get("utc") is not None and clock.get("timezone") is not None:
        report.add((*DOMAIN, "clock", "timezone"), "stands beside utc: write one of them")


def _check_libvirt_timer(report: Report, at: Path, name: str, timer: dict[str, t.Any]) -> None:
    policy, has = timer.get("tickPolicy"), _LIBVIRT_TICK_POLICIES.get(name, ())
    if policy in _TICK_POLICIES and policy not in has:
        remedy = f"write {listed(has)}" if has else "leave it out"
        report.add((*at, "tickPolicy"), f"{policy} is nothing that {name} does on libvirt: {remedy}")
    if timer.get("track") is not None and name != "rtc":
        report.add((*at, "track"), "is the rtc's alone: leave it out")


def _check_type(report: Report) -> None:
    machine = (report.domain.get("machine") or {}).get("type")
    architecture = report.spec.get("architecture") or ""
    allowed = _LIBVIRT_MACHINES if report.backend == "libvirt" else _MACHINES_OF.get(architecture, _MACHINES)
    if machine == "" and report.backend == "libvirt":
        report.add((*DOMAIN, "machine", "type"), f"is empty: write one of {', '.join(allowed)}, or leave it out")
    if machine and not any(fnmatch.fnmatchcase(machine, glob) for glob in allowed):
        report.add((*DOMAIN, "machine", "type"), f"{machine!r} is not supported: write one of {', '.join(allowed)}")


def _check_firmware(report: Report) -> None:
    firmware = report.domain.get("firmware") or {}
    bootloader = firmware.get("bootloader") or {}
    if bootloader.get("efi") is not None and bootloader.get("bios") is not None:
        report.add((*_FIRMWARE, "bootloader"), "has both efi and bios: write one of them")
    elif bootloader.get("efi") is not None:
        _check_secure_boot(report, bootloader["efi"])
    kernel_boot = firmware.get("kernelBoot")
    if kernel_boot is not None and report.backend == "libvirt":
        files = kernel_boot.get("libvirt") or {}
        at = (*_FIRMWARE, "kernelBoot", "libvirt")
        if not files.get("kernelPath"):
            report.add((*at, "kernelPath"), "is missing: arguments and initrd need a kernel on the host")
        for key in ("kernelPath", "initrdPath"):
            if files.get(key) and not files[key].startswith("/"):
                report.add((*at, key), f"{files[key]!r} is no absolute path")
        if not (kernel_boot.get("kernelArgs") or "").isprintable():
            report.add((*_FIRMWARE, "kernelBoot", "kernelArgs"), "has more than one line, or what cannot be printed")
    if firmware.get("uuid") is not None:
        try:
            uuid.UUID(firmware["uuid"])
        except ValueError:
            report.add((*_FIRMWARE, "uuid"), f"{firmware['uuid']!r} is no UUID")


def _check_secure_boot(report: Report, efi: dict[str, t.Any]) -> None:
    smm = (report.domain.get("features") or {}).get("smm")
    smm_on = smm is not None and smm.get("enabled", True)
    # Where there is no SMM, KubeVirt's default is no secure boot (pkg/defaults/arm64.go).
    default = report.architecture != "arm64"
    if efi.get("secureBoot", default) and not smm_on:
        said = "is on" if "secureBoot" in efi else "is on where efi does not say"
        report.add(
            (*_FIRMWARE, "bootloader", "efi", "secureBoot"),
            f"{said} and needs SMM: set firmware.smm (features.smm.enabled), or turn secure boot off",
        )
