# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of the other devices, and of the boot order that disks and interfaces share.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import re
import typing as t
import uuid

from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.report import DEVICES, DOMAIN, Report
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import PCI_ADDRESS, full_address
from ansible_collections.rtvirt.core.plugins.module_utils.converters.overlay import Path

__all__ = ["check_devices"]

#: KubeVirt's watchdog actions, and libvirt's beside them (formatdomain: watchdog).
_ACTIONS = ("poweroff", "reset", "shutdown")
_LIBVIRT_ACTIONS = (*_ACTIONS, "pause", "none", "dump", "inject-nmi")

#: A device's name becomes a part of its alias (domaincommon.rng, aliasName).
_ALIAS = re.compile(r"[A-Za-z0-9_.-]+")

#: More than any host has use for; a bound, so that a slip of the pen is told as one.
_MOST_IO_THREADS = 256


def check_devices(report: Report) -> None:
    _check_boot_order(report)
    _check_watchdog(report)
    _check_io_threads(report)
    inputs: set[str] = set()
    for at, given in report.items("inputs"):
        if not given.get("name"):
            report.add((*at, "name"), "is missing: write a name for the device")
        elif report.backend == "libvirt":
            _check_alias(report, at, given["name"])
            report.once(at, given["name"], inputs, "inputs must not have the same name")
        report.choice(
            (*at, "type"),
            given.get("type"),
            ("tablet",) if report.backend == "kubevirt" else ("tablet", "keyboard", "mouse"),
        )
        report.choice((*at, "bus"), given.get("bus"), ("usb", "virtio"))
    names: set[str] = set()
    addresses: dict[str, str] = {}
    for kind in ("hostDevices", "gpus"):
        for at, device in report.items(kind):
            name = str(device.get("name") or "")
            report.once(at, name, names, "host devices and GPUs must not have the same name")
            if report.backend == "libvirt":
                _check_alias(report, at, name)
                _check_host_device(report, at, device)
                address = full_address(device.get("pci") or "")
                if address and addresses.setdefault(address, name) != name:
                    report.add((*at, "pci"), f"{address} is {addresses[address]!r} already: a guest has a device once")
            else:
                _check_cluster_device(report, at, device)
    if report.backend == "kubevirt":
        _check_displays(report)


def _check_alias(report: Report, at: Path, name: str) -> None:
    if not _ALIAS.fullmatch(name):
        report.add((*at, "name"), f"{name!r}: write letters, digits and _.-" if name else "is missing: write a name")


def _check_boot_order(report: Report) -> None:
    taken: dict[int, Path] = {}
    for key in ("disks", "interfaces"):
        for at, device in report.items(key):
            order = device.get("bootOrder")
            if order is None:
                continue
            if order < 1:
                report.add((*at, "bootOrder"), f"is {order}: write 1 or more")
            elif order in taken:
                report.add((*at, "bootOrder"), f"{order} is taken by another disk or interface: write another number")
            taken[order] = at


def _check_watchdog(report: Report) -> None:
    watchdog = report.devices.get("watchdog")
    if watchdog is None:
        return
    at = (*DEVICES, "watchdog")
    if not watchdog.get("name"):
        report.add((*at, "name"), "is missing: write a name for the device")
    action = (watchdog.get("i6300esb") or {}).get("action")
    allowed = _LIBVIRT_ACTIONS if report.backend == "libvirt" else _ACTIONS
    report.choice((*at, "i6300esb", "action"), action, allowed)


def _check_io_threads(report: Report) -> None:
    policy = report.domain.get("ioThreadsPolicy")
    report.choice((*DOMAIN, "ioThreadsPolicy"), policy, ("shared", "auto", "supplementalPool"))
    count = (report.domain.get("ioThreads") or {}).get("supplementalPoolThreadCount")
    at = (*DOMAIN, "ioThreads", "supplementalPoolThreadCount")
    if policy == "supplementalPool" and count is None:
        report.add(at, f"is missing: the policy supplementalPool needs a number of threads, 1 to {_MOST_IO_THREADS}")
    elif count is not None and not 1 <= count <= _MOST_IO_THREADS:
        report.add(at, f"is {count}: write 1 to {_MOST_IO_THREADS}")


def _check_host_device(report: Report, at: Path, device: dict[str, t.Any]) -> None:
    kinds = [kind for kind in ("pci", "mdev") if device.get(kind)]
    if "deviceName" in device:
        report.add((*at, "deviceName"), "names a cluster's resource: on libvirt write the device's pci or mdev")
    elif len(kinds) != 1:
        report.add(at, f"has {' and '.join(kinds) or 'no device'}: write exactly one of pci or mdev")
    elif kinds == ["pci"] and not PCI_ADDRESS.fullmatch(device["pci"]):
        report.add((*at, "pci"), f"{device['pci']!r} is no PCI address: write it as lspci -D does, 0000:3b:00.0")
    elif kinds == ["mdev"]:
        _check_uuid(report, (*at, "mdev"), device["mdev"])


def _check_cluster_device(report: Report, at: Path, device: dict[str, t.Any]) -> None:
    claim = [key for key in ("claimName", "requestName") if device.get(key)]
    named = device.get("deviceName")
    if named and claim:
        report.add((*at, "deviceName"), f"stands beside {claim[0]}: write deviceName, or a claim with its request")
    elif not named and len(claim) != 2:
        remedy = "write the resource's name of permittedHostDevices, or claimName and requestName"
        report.add((*at, "deviceName"), f"is missing: {remedy}")
    claims = [item.get("name") for item in report.spec.get("resourceClaims") or []]
    if device.get("claimName") and device["claimName"] not in claims:
        report.add((*at, "claimName"), f"{device['claimName']!r} is none of resourceClaims: add one of that name")


def _check_displays(report: Report) -> None:
    """One virtual GPU can show the guest's display from the start; each does that says nothing else."""
    shown: list[Path] = []
    for at, gpu in report.items("gpus"):
        display = (gpu.get("virtualGPUOptions") or {}).get("display")
        if display is not None and display.get("enabled", True):
            buffer = display.get("ramFB")
            shown += [at] if buffer is None or buffer.get("enabled") else []
    for at in shown[1:]:
        remedy = "set ramFB.enabled false in all but one"
        report.add((*at, "virtualGPUOptions", "display"), f"is the second with a ramFB: {remedy}")


def _check_uuid(report: Report, at: Path, value: t.Any) -> None:
    try:
        uuid.UUID(str(value))
    except ValueError:
        report.add(at, f"{value!r} is no UUID")
