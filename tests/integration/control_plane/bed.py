# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a test of kubevirt_vm works on: VMs in a namespace of its own, seen and changed by plain requests."""

from __future__ import annotations

import contextlib
import functools
import time
import typing as t

from ansible_collections.rtvirt.core.tests.control_plane.api import Api, ApiError, Object
from ansible_collections.rtvirt.core.tests.control_plane.audit import Audit, Requests
from ansible_collections.rtvirt.core.tests.control_plane.cluster import Cluster
from ansible_collections.rtvirt.core.tests.integration import waiting

KUBEVIRT = "/apis/kubevirt.io/v1"
SUBRESOURCES = "/apis/subresources.kubevirt.io/v1"
NODE = "node.rtvirt.test/"
LAST_APPLIED = "rtvirt.core/last-applied"
#: How the module calls itself.
AGENT = "rtvirt.core"
#: A server that is started again answers later.
until = functools.partial(waiting.until, through=(ApiError,))


def schedule(**times: str) -> dict[str, str]:
    """Annotations that tell the simulated node what to do with a VM."""
    return {NODE + key.replace("_", "-"): value for key, value in times.items()}


class Bed:
    def __init__(self, cluster: Cluster, namespace: str, audit: Audit | None = None) -> None:
        self.cluster = cluster
        self.api: Api = cluster.api
        self.namespace = namespace
        self.folder = f"{KUBEVIRT}/namespaces/{namespace}"
        self.audit = audit
        self._quotas = f"/api/v1/namespaces/{namespace}/resourcequotas"

    def bare(self, name: str = "vm", **options: t.Any) -> dict[str, t.Any]:
        """Options of a small VM."""
        return {
            "kubeconfig": str(self.cluster.kubeconfig),
            "namespace": self.namespace,
            "name": name,
            "memory": "64Mi",
            "interfaces": [{"name": "default", "masquerade": {}, "network": {"pod": {}}}],
            **options,
        }

    def manifest(self, name: str = "vm", *, strategy: str = "Halted", **pod: t.Any) -> Object:
        """A VM as another tool would write it; ``pod`` is laid over its instance's spec."""
        devices = {"interfaces": [{"name": "default", "masquerade": {}}]}
        domain = {"memory": {"guest": "64Mi"}, "devices": devices}
        spec = {"domain": domain, "networks": [{"name": "default", "pod": {}}], **pod}
        meta = {"name": name, "namespace": self.namespace}
        template = {"spec": spec}
        body: Object = {"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine", "metadata": meta}
        return {**body, "spec": {"runStrategy": strategy, "template": template}}

    def create(self, manifest: Object) -> Object:
        return self.api.post(f"{self.folder}/virtualmachines?fieldManager=kubectl-create", manifest)

    def limit(self, resource: str, count: int) -> None:
        """A quota that is in force, until :meth:`unlimit`.

        The quota controller hears of KubeVirt's kinds up to half a minute after its start, and never counts them for a
        quota that was there before: such a one is made anew.
        """
        quota = {"metadata": {"name": "limit"}, "spec": {"hard": {resource: str(count)}}}

        def in_force() -> bool:
            self.api.post(self._quotas, quota)
            time.sleep(0.5)
            status = self.api.get(f"{self._quotas}/limit").get("status", {})
            if resource in status.get("used", {}):
                return True
            self.unlimit()
            return False

        until("the quota is in force", in_force)

    def unlimit(self) -> None:
        self.api.delete(f"{self._quotas}/limit")
        until("there is no quota", lambda: not self.api.get(self._quotas)["items"])

    # What is there

    def _get(self, path: str) -> Object | None:
        try:
            return t.cast(Object, self.api.get(path))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def find(self, name: str = "vm") -> Object | None:
        return self._get(f"{self.folder}/virtualmachines/{name}")

    def vm(self, name: str = "vm") -> Object:
        found = self.find(name)
        assert found is not None, f"there is no VM {name}"
        return found

    def vmi(self, name: str = "vm") -> Object | None:
        return self._get(f"{self.folder}/virtualmachineinstances/{name}")

    def names(self) -> list[str]:
        return sorted(one["metadata"]["name"] for one in self.api.get(f"{self.folder}/virtualmachines")["items"])

    def pod(self, name: str = "vm") -> Object:
        """The spec of the VM's instances."""
        return t.cast(Object, self.vm(name)["spec"]["template"]["spec"])

    def printable(self, name: str = "vm") -> str:
        return str((self.find(name) or {}).get("status", {}).get("printableStatus", ""))

    def condition(self, kind: str, name: str = "vm") -> str | None:
        conditions = (self.vmi(name) or {}).get("status", {}).get("conditions") or []
        return next((one["status"] for one in conditions if one["type"] == kind), None)

    def power(self, name: str = "vm") -> str:
        """What the VM does, as its instance and not its specification has it, once it is on its way no more."""
        return str(until(f"{name} is in any state", lambda: self._power_now(name)))

    def _power_now(self, name: str) -> str:
        """Empty between two states."""
        if self.find(name) is None:
            return "absent" if self.vmi(name) is None else ""
        vmi = self.vmi(name)
        if vmi is None:
            status = (self.find(name) or {}).get("status", {})
            # KubeVirt calls one stopped a moment before it knows that its instance has gone.
            return "stopped" if status.get("printableStatus") == "Stopped" and not status.get("created") else ""
        if vmi["metadata"].get("deletionTimestamp") or vmi["status"].get("phase") != "Running":
            return ""
        if self.condition("Paused", name) == "True":
            return "paused" if self.printable(name) == "Paused" else ""
        return "running" if self.printable(name) == "Running" and self.condition("Ready", name) == "True" else ""

    def comes_to(self, power: str, name: str = "vm") -> None:
        until(f"{name} is {power}", lambda: self._power_now(name) == power)

    def versions(self, name: str = "vm") -> tuple[str | None, ...]:
        """Of the VM and its instance, once nothing writes to them any more."""
        last: tuple[str | None, ...] = ()
        since = time.monotonic()
        deadline = since + 20
        while time.monotonic() - since < 0.7:
            now = tuple(
                None if one is None else f"{one['metadata']['uid']}/{one['metadata']['resourceVersion']}"
                for one in (self.find(name), self.vmi(name))
            )
            if now != last:
                last, since = now, time.monotonic()
            assert time.monotonic() < deadline, f"{name} does not come to rest"
            time.sleep(0.05)
        return last

    # What others do

    def act(self, action: str, name: str = "vm", resource: str = "virtualmachines", body: Object | None = None) -> None:
        self.api.put(f"{SUBRESOURCES}/namespaces/{self.namespace}/{resource}/{name}/{action}", body or {})

    def edit(self, patch: Object, name: str = "vm", *, manager: str = "kubectl-edit") -> Object:
        """What another does with a VM."""
        path = f"{self.folder}/virtualmachines/{name}?fieldManager={manager}"
        return t.cast(Object, self.api.patch(path, patch))

    def edit_pod(self, patch: Object, name: str = "vm", *, manager: str = "kubectl-edit") -> Object:
        return self.edit({"spec": {"template": {"spec": patch}}}, name, manager=manager)

    # What was asked

    @contextlib.contextmanager
    def requests(self) -> t.Iterator[Requests]:
        """The module's own requests about this namespace, complete when the block is over."""
        assert self.audit is not None, "needs a control plane of ours: ask for the fixture `simulator`"
        ours = Requests()
        with self.audit.record() as recorded:
            yield ours
        ours += [one for one in recorded.by(AGENT) if self.namespace in (one.namespace, one.name)]


def changed_for_good(requests: Requests) -> Requests:
    """The writes that were no dry runs, as far as their URLs say; that of a subresource says it in its body."""
    return Requests(one for one in requests.writes if "dryRun=All" not in one.path)
