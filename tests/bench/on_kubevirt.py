# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole ansible-playbook runs of ours beside kubevirt.core's and kubernetes.core's, on the same API server.

kubevirt.core takes one VM a task, and so has a loop; kubernetes.core is given all documents in one task. Requests are
those that the API server's audit log has of the run's user.

    tests/bench/on_kubevirt.py [--vms 20 200]     needs PEERS, and RTVIRT_CONTROL_PLANE (control-plane run)
    tests/bench/on_kubevirt.py --fleet 1000       ours alone
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import pathlib
import tempfile
import typing as t

from playbooks import Run, playbook, run

NAMESPACE = "rtvirt-bench"
FOLDER = pathlib.Path(os.environ["RTVIRT_CONTROL_PLANE"])
KUBECONFIG = {"kubeconfig": str(FOLDER / "kubeconfig")}
SPEC = {"domain": {"cpu": {"cores": 1}, "devices": {}, "memory": {"guest": "64Mi"}}}


def names(count: int) -> list[str]:
    return [f"vm-{index}" for index in range(count)]


def ours(folder: pathlib.Path, count: int, state: str = "present") -> pathlib.Path:
    vms = [{"name": name} for name in names(count)]
    options = {**KUBECONFIG, "namespace": NAMESPACE, "cpu_cores": 1, "memory": "64Mi", "vms": vms, "state": state}
    return playbook(
        folder, f"ours-{count}-{state}", [{"rtvirt.core.kubevirt_vm": {**options, "wait": state == "absent"}}]
    )


def kubevirt_core(folder: pathlib.Path, count: int) -> pathlib.Path:
    options = {**KUBECONFIG, "namespace": NAMESPACE, "name": "{{ item }}", "run_strategy": "Halted", "spec": SPEC}
    return playbook(folder, f"kubevirt-{count}", [{"kubevirt.core.kubevirt_vm": options, "loop": names(count)}])


def kubernetes_core(folder: pathlib.Path, count: int) -> pathlib.Path:
    documents = [
        {
            "apiVersion": "kubevirt.io/v1",
            "kind": "VirtualMachine",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"runStrategy": "Halted", "template": {"spec": SPEC}},
        }
        for name in names(count)
    ]
    return playbook(folder, f"k8s-{count}", [{"kubernetes.core.k8s": {**KUBECONFIG, "definition": documents}}])


class Requests:
    """Counts the administrator's requests that the audit log has got since."""

    def __init__(self) -> None:
        self._log = FOLDER / "audit.log"
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


def clean(folder: pathlib.Path, count: int) -> None:
    run(ours(folder, count, "absent"))


def measured(path: pathlib.Path) -> tuple[Run, str]:
    requests = Requests()
    return run(path), requests.count()


def show(label: str, results: dict[str, tuple[Run, str]]) -> None:
    base = results["ours"][0].seconds
    for side, (one, requests) in results.items():
        ratio = "" if side == "ours" else f"{one.seconds / base:8.1f} x"
        print(f"{label:26} {side:18} {one.seconds:8.2f} s {ratio:10} {one.memory:6.0f} MiB   {requests}", flush=True)


def compare(folder: pathlib.Path, count: int) -> None:
    sides: dict[str, t.Callable[[pathlib.Path, int], pathlib.Path]] = {
        "ours": ours,
        "kubernetes.core": kubernetes_core,
        "kubevirt.core": kubevirt_core,
    }
    created: dict[str, tuple[Run, str]] = {}
    unchanged: dict[str, tuple[Run, str]] = {}
    for side, make in sides.items():
        clean(folder, count)
        created[side] = measured(make(folder, count))
        unchanged[side] = measured(make(folder, count))
    clean(folder, count)
    show(f"{count} VMs, created", created)
    show(f"{count} VMs, unchanged", unchanged)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--vms", type=int, nargs="*", default=[20, 200])
    parser.add_argument("--fleet", type=int, default=0)
    options = parser.parse_args()
    kubectl = {**KUBECONFIG, "api_version": "v1", "kind": "Namespace", "name": NAMESPACE}
    with tempfile.TemporaryDirectory(prefix="rtvirt-bench-") as name:
        folder = pathlib.Path(name)
        run(playbook(folder, "namespace", [{"kubernetes.core.k8s": kubectl}]))
        for count in options.vms:
            compare(folder, count)
        if options.fleet:
            path = ours(folder, options.fleet)
            for label in ("created", "unchanged"):
                show(f"{options.fleet} VMs, {label}", {"ours": measured(path)})
            clean(folder, options.fleet)
        run(playbook(folder, "no-namespace", [{"kubernetes.core.k8s": {**kubectl, "state": "absent"}}]))


if __name__ == "__main__":
    main()
