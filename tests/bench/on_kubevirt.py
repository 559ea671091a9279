# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole ansible-playbook runs of ours beside kubevirt.core's and kubernetes.core's, on the same API server.

kubevirt.core takes one VM a task, and so has a loop; kubernetes.core is given all documents in one task. Requests are
those that the API server's audit log has of the run's user. The server is on this machine, and answers sooner than any
other: --round-trip puts it further away.

    tests/bench/on_kubevirt.py [--vms 20 200] [--fleet 1000] [--round-trip 10]

needs PEERS, and RTVIRT_CONTROL_PLANE (control-plane run).
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import pathlib
import re
import tempfile
import typing as t
import urllib.parse

from distance import relay

from playbooks import Run, playbook, run

NAMESPACE = "rtvirt-bench"
CONTROL_PLANE = pathlib.Path(os.environ["RTVIRT_CONTROL_PLANE"])
SPEC = {"domain": {"cpu": {"cores": 1}, "devices": {}, "memory": {"guest": "64Mi"}}}


def names(count: int) -> list[str]:
    return [f"vm-{index}" for index in range(count)]


class Bench:
    """Playbooks for one way to the server, in a folder of their own."""

    def __init__(self, folder: pathlib.Path, kubeconfig: pathlib.Path) -> None:
        self._folder = folder
        self._server = {"kubeconfig": str(kubeconfig)}

    def _playbook(self, name: str, task: dict[str, t.Any]) -> pathlib.Path:
        return playbook(self._folder, name, [task])

    def namespace(self, state: str) -> pathlib.Path:
        options = {**self._server, "api_version": "v1", "kind": "Namespace", "name": NAMESPACE, "state": state}
        return self._playbook(f"namespace-{state}", {"kubernetes.core.k8s": options})

    def nothing(self) -> pathlib.Path:
        """What Ansible itself costs: a task that does nothing."""
        return self._playbook("nothing", {"ansible.builtin.ping": {}})

    def ours(self, count: int, state: str = "present") -> pathlib.Path:
        vms = [{"name": name} for name in names(count)]
        options = {**self._server, "namespace": NAMESPACE, "cpu_cores": 1, "memory": "64Mi", "vms": vms}
        options |= {"state": state, "wait": state == "absent"}
        return self._playbook(f"ours-{count}-{state}", {"rtvirt.core.kubevirt_vm": options})

    def kubevirt_core(self, count: int) -> pathlib.Path:
        options = {**self._server, "namespace": NAMESPACE, "name": "{{ item }}", "run_strategy": "Halted", "spec": SPEC}
        return self._playbook(f"kubevirt-{count}", {"kubevirt.core.kubevirt_vm": options, "loop": names(count)})

    def kubernetes_core(self, count: int) -> pathlib.Path:
        documents = [
            {
                "apiVersion": "kubevirt.io/v1",
                "kind": "VirtualMachine",
                "metadata": {"name": name, "namespace": NAMESPACE},
                "spec": {"runStrategy": "Halted", "template": {"spec": SPEC}},
            }
            for name in names(count)
        ]
        return self._playbook(f"k8s-{count}", {"kubernetes.core.k8s": {**self._server, "definition": documents}})

    def compare(self, count: int, *, loop: bool, where: str = "") -> None:
        """:arg loop: whether kubevirt.core's loop takes part, which takes a second for each VM."""
        sides = {"ours": self.ours, "kubernetes.core": self.kubernetes_core}
        sides |= {"kubevirt.core": self.kubevirt_core} if loop else {}
        created: dict[str, tuple[Run, str]] = {}
        unchanged: dict[str, tuple[Run, str]] = {}
        for side, make in sides.items():
            run(self.ours(count, "absent"))
            created[side] = measured(make(count))
            # The first run finds the server busy with what was created. The loop of minutes does not feel that.
            rounds = 1 if side == "kubevirt.core" else 3
            again = [measured(make(count)) for _round in range(rounds)]
            unchanged[side] = min(again, key=lambda one: one[0].seconds)
        run(self.ours(count, "absent"))
        show(f"{count} VMs{where}, created", created)
        show(f"{count} VMs{where}, unchanged", unchanged)


class Requests:
    """Counts the administrator's requests that the audit log has got since."""

    def __init__(self) -> None:
        self._log = CONTROL_PLANE / "audit.log"
        self._begin = self._log.stat().st_size

    def count(self) -> str:
        verbs: collections.Counter[str] = collections.Counter()
        with self._log.open("rb") as log:
            log.seek(self._begin)
            for line in log:
                event = json.loads(line)
                if (event.get("objectRef") or {}).get("namespace") == NAMESPACE and event["user"][
                    "username"
                ] == "admin":
                    verbs[event["verb"]] += 1
        return ", ".join(f"{number} {verb}" for verb, number in sorted(verbs.items()))


def measured(path: pathlib.Path) -> tuple[Run, str]:
    requests = Requests()
    return run(path), requests.count()


def show(label: str, results: dict[str, tuple[Run, str]]) -> None:
    base = results["ours"][0]
    for side, (one, requests) in results.items():
        whole, task = (
            "" if side == "ours" else f"{theirs / mine:.1f} x"
            for theirs, mine in ((one.seconds, base.seconds), (one.tasks, base.tasks))
        )
        times = f"{one.seconds:8.2f} s {whole:>8}   task {one.tasks:7.2f} s {task:>8}"
        print(f"{label:34} {side:18} {times} {one.memory:6.0f} MiB   {requests}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--vms", type=int, nargs="*", default=[20, 200], help="rows with all three")
    parser.add_argument("--fleet", type=int, default=0, help="rows without kubevirt.core's loop")
    parser.add_argument("--round-trip", type=float, default=10, help="milliseconds, for another time the last of --vms")
    options = parser.parse_args()
    kubeconfig = CONTROL_PLANE / "kubeconfig"
    with tempfile.TemporaryDirectory(prefix="rtvirt-bench-") as name:
        here = Bench(pathlib.Path(name), kubeconfig)
        run(here.namespace("present"))
        floor = min(run(here.nothing()).seconds for _round in range(3))
        print(f"A task that does nothing: {floor:.2f} s", flush=True)
        for count in options.vms:
            here.compare(count, loop=True)
        if options.fleet:
            here.compare(options.fleet, loop=False)
        if options.vms and options.round_trip:
            server = urllib.parse.urlsplit(re.findall(r'server: "([^"]+)"', kubeconfig.read_text())[0])
            with relay(server.hostname or "", server.port or 0, options.round_trip / 1000) as port:
                moved = pathlib.Path(name) / "kubeconfig"
                moved.write_text(kubeconfig.read_text().replace(f":{server.port}", f":{port}"))
                away = Bench(pathlib.Path(name), moved)
                away.compare(options.vms[-1], loop=False, where=f", {options.round_trip:g} ms away")
        run(here.namespace("absent"))


if __name__ == "__main__":
    main()
