# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports of Open vSwitch with DPDK, by whole ansible-playbook runs: one task of ours beside the peer's task a port.

The peer is openvswitch.openvswitch: one task for the bridge, and one for the ports, in a loop, as its documentation
has it. Each run is one round: of the peer's, one takes minutes.

    tests/bench/on_ovs.py [--ports 200]      needs PEERS, and a switch and huge pages as tests/harness/bench has them
"""

from __future__ import annotations

import argparse
import pathlib
import subprocess
import tempfile

from playbooks import playbook, run

BRIDGE = "br-bench"
KIND = "dpdkvhostuserclient"
DPDK = {"socket_mem": [256], "pmd_cpus": "1", "extra": "--no-pci --iova-mode=va", "allow_restart": True}


def clean() -> None:
    subprocess.run(["ovs-vsctl", "--if-exists", "del-br", BRIDGE], check=True)


def ours(folder: pathlib.Path, count: int) -> pathlib.Path:
    ports = [{"name": f"vh{index}", "type": KIND} for index in range(count)]
    bridges = [{"name": BRIDGE, "ports": ports}]
    task = {"rtvirt.core.ovs_bridges": {"socket_folder": str(folder / "sockets"), "bridges": bridges}}
    return playbook(folder, "ours", [task])


def theirs(folder: pathlib.Path, count: int) -> pathlib.Path:
    netdev = {"bridge": BRIDGE, "set": "Bridge br-bench datapath_type=netdev"}
    fields = [f"Interface vh{{{{ item }}}} type={KIND}"]
    fields.append(f"Interface vh{{{{ item }}}} options:vhost-server-path={folder}/sockets/vh{{{{ item }}}}")
    port = {"bridge": BRIDGE, "port": "vh{{ item }}", "set": fields}
    tasks = [
        {"openvswitch.openvswitch.openvswitch_bridge": netdev},
        {"openvswitch.openvswitch.openvswitch_port": port, "loop": list(range(count))},
    ]
    return playbook(folder, "theirs", tasks)


def measure(path: pathlib.Path) -> list[float]:
    """Seconds from nothing, and of a second run."""
    clean()
    return [run(path).seconds for _row in range(2)]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--ports", type=int, default=200)
    count = parser.parse_args().ports
    with tempfile.TemporaryDirectory(prefix="rtvirt-bench-") as name:
        folder = pathlib.Path(name)
        run(playbook(folder, "dpdk", [{"rtvirt.core.ovs_dpdk": DPDK}]))
        pair = ours(folder, count), theirs(folder, count)
        try:
            taken = [measure(path) for path in pair]
        finally:
            clean()
    print(f"{'':38} {'ours':>10} {'openvswitch':>13} {'ratio':>9}")
    for row, what in enumerate(("from nothing", "unchanged")):
        label, (mine, peer) = f"{count} ports, {what}", (side[row] for side in taken)
        print(f"{label:38} {mine:8.2f} s {peer:11.2f} s {peer / mine:7.1f} x", flush=True)


if __name__ == "__main__":
    main()
