# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""record.py: prints what a machine's kernel tells of it, as far as the host modules read it: a recorded tree, in JSON.

    tests/lab_host/lab-host ssh NAME python3 - <tests/lab_host/record.py >trees/SHAPE.json

A file is its text, a link is {"link": where it leads}. Nothing in it tells of the machine's owner.
"""

from __future__ import annotations

import glob
import json
import os

CPUS, NODES, PCI = "/sys/devices/system/cpu", "/sys/devices/system/node", "/sys/bus/pci/devices"
PATTERNS = (
    "/proc/cmdline",
    "/proc/meminfo",
    "/proc/net/if_inet6",
    "/proc/net/route",
    "/proc/self/mounts",
    "/proc/swaps",
    "/proc/sys/kernel/osrelease",
    "/proc/sys/kernel/version",
    f"{CPUS}/isolated",
    f"{CPUS}/nohz_full",
    f"{CPUS}/online",
    f"{CPUS}/cpu[0-9]*/topology/core_cpus_list",
    f"{NODES}/node[0-9]*/cpulist",
    f"{NODES}/node[0-9]*/meminfo",
    f"{NODES}/node[0-9]*/hugepages/*/*_hugepages",
    *(f"{PCI}/*/{name}" for name in ("vendor", "device", "class", "numa_node", "driver_override", "boot_vga")),
    *(f"{PCI}/*/{name}" for name in ("driver", "iommu_group")),
    "/sys/kernel/iommu_groups/*/type",
    "/sys/kernel/mm/hugepages/*/*_hugepages",
    "/sys/class/net/*",
    "/sys/class/block/*",
    "/sys/class/watchdog/*/identity",
    "/sys/class/watchdog/*/state",
    "/sys/class/watchdog/*/timeout",
    "/sys/module/kvm*/parameters/nested",
    "/sys/module/kvm*/refcnt",
)


def read(path: str) -> object:
    if os.path.islink(path) and path.startswith("/sys/"):
        return {"link": os.readlink(path)}
    with open(path) as file:
        return file.read()


def main() -> None:
    found = {}
    for pattern in PATTERNS:
        for path in sorted(glob.glob(pattern)):
            try:
                found[path] = read(path)
            except OSError:
                continue
    with open("/proc/cpuinfo") as file:
        # One of its processors, which are alike, and what is said of its kind.
        lines = file.read().split("\n\n")[0].splitlines()
    found["/proc/cpuinfo"] = "".join(
        f"{line}\n" for line in lines if line.startswith(("processor", "vendor_id", "model name", "flags"))
    )
    print(json.dumps(found, indent=1, sort_keys=True))


if __name__ == "__main__":
    main()
