# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that bind PCI devices to vfio-pci at boot, each by its address or all of a kind by their ids.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

Source: ``modprobe.d(5)`` (softdep), ``initramfs-tools(7)``, ``dracut.conf(5)``. A driver that is in the initramfs takes
its devices there, so what comes before it has to be there too, for every kernel that may boot. Where vfio-pci is built
in (Ubuntu since 20.04), options of modprobe are not read, and the ids go on the kernel's command line.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.pci import Device
from ansible_collections.rtvirt.core.plugins.module_utils._host.record import signed
from ansible_collections.rtvirt.core.plugins.module_utils._host.vfio import VFIO

__all__ = ["INITRAMFS", "UNIT", "Method", "binding_files", "ids_of", "initramfs_command", "is_built_in"]

Method = t.Literal["driver_override", "ids"]

UNIT = "/etc/systemd/system/rtvirt-vfio.service"
_LOADED = "/etc/modules-load.d/zz-rtvirt-vfio.conf"
_OPTIONS = "/etc/modprobe.d/vfio.conf"
_HOOK = "/etc/initramfs-tools/hooks/rtvirt-vfio"
_DRACUT = "/etc/dracut.conf.d/zz-rtvirt-vfio.conf"

#: What of it is in the initramfs.
INITRAMFS = (_OPTIONS, _HOOK, _DRACUT)

_DEVICES = "/sys/bus/pci/devices"


def ids_of(devices: t.Iterable[Device]) -> list[str]:
    return sorted({f"{one.vendor}:{one.device}" for one in devices})


def is_built_in(host: Host) -> bool:
    """Whether vfio-pci is a part of the kernel that runs."""
    release = host.word("/proc/sys/kernel/osrelease")
    return "/vfio-pci.ko" in (host.read(f"/lib/modules/{release}/modules.builtin") or "")


def initramfs_command(host: Host) -> tuple[str, ...] | None:
    """What makes the initramfs of every kernel anew, None where this host has none that is known here."""
    if host.has_tool("update-initramfs"):
        return "update-initramfs", "-u", "-k", "all"
    if host.has_tool("dracut"):
        return "dracut", "--force", "--regenerate-all"
    return None


def binding_files(host: Host, devices: t.Sequence[Device], method: Method, drivers: t.Iterable[str]) -> dict[str, str]:
    """path -> text of the files that bind devices.

    :arg drivers: those that the devices have without us, which are to come later.
    """
    if not devices:
        return {}
    if method == "driver_override":
        return _signed({UNIT: _unit(devices), _LOADED: f"{VFIO}\n"})
    if is_built_in(host):
        return {}
    later = "".join(f"softdep {driver} pre: {VFIO}\n" for driver in sorted({*drivers} - {"", VFIO}))
    files = {
        _OPTIONS: f"options {VFIO} ids={','.join(ids_of(devices))}\n{later}",
        _LOADED: f"{VFIO}\n",
    }
    if host.has_tool("update-initramfs"):
        files[_HOOK] = (
            f'#!/bin/sh\n[ "$1" != prereqs ] || exit 0\n'
            f". /usr/share/initramfs-tools/hook-functions\nforce_load {VFIO}\n"
        )
    elif host.has_tool("dracut"):
        files[_DRACUT] = f'force_drivers+=" {VFIO} "\n'
    return _signed(files)


def _signed(files: t.Mapping[str, str]) -> dict[str, str]:
    return {path: signed("iommu_vfio", text) for path, text in files.items()}


def _unit(devices: t.Iterable[Device]) -> str:
    """systemd's unit that binds devices at boot, before the network is set up.

    What is at an address is looked at first: addresses move when cards are moved. One that is not there any more does
    not keep the others from being bound.
    """
    lines = []
    for one in devices:
        folder = f"{_DEVICES}/{one.address}"
        steps = (
            f'[ "$(cat {folder}/vendor):$(cat {folder}/device)" = "0x{one.vendor}:0x{one.device}" ] || exit 1; '
            f"echo {VFIO} > {folder}/driver_override; "
            f'[ "$(basename "$(readlink {folder}/driver)")" = {VFIO} ] && exit 0; '
            f"[ -e {folder}/driver ] && echo {one.address} > {folder}/driver/unbind; "
            f"echo {one.address} > /sys/bus/pci/drivers_probe"
        )
        lines.append("ExecStart=-/bin/sh -c '" + steps.replace("$", "$$") + "'")
    return (
        "[Unit]\nDescription=PCI devices for virtual machines\nDefaultDependencies=no\n"
        "After=systemd-modules-load.service systemd-udev-trigger.service\nBefore=network-pre.target sysinit.target\n"
        "Wants=network-pre.target\n\n"
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=-/sbin/modprobe vfio-pci\n"
        + "\n".join(lines)
        + "\n\n[Install]\nWantedBy=sysinit.target\n"
    )
