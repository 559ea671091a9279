# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""node.py: a fake. It plays scheduler, kubelet, virt-handler, virt-launcher and CDI to a real control plane.

There is no guest, no container and no volume behind any of it: pods and VMIs are only said to run, a moment after they
were made. What happens to one VM, and when, a test says by annotations (schedule.py). Left out are: resources of nodes,
affinity and taints; migrations; hotplug; consoles; guest commands other than pause, unpause, reset and soft reboot;
probes; real content of any kind.
"""

from __future__ import annotations

import argparse
import threading
import time

import guests
import nodes
import pods
from api import Api, ApiError, Object
from handler import Endpoint
from informer import TRANSIENT, Informer, Key, Queue, name_of, say
from schedule import Schedule, remaining, schedule_of
from volumes import Volumes

VMIS = "/apis/kubevirt.io/v1"
STRATEGIC = "application/strategic-merge-patch+json"
HEARTBEAT = 60


def pod_path(pod: Object) -> str:
    return "/api/v1/namespaces/{}/pods/{}".format(*name_of(pod))


def vmi_path(key: Key) -> str:
    return "{}/namespaces/{}/virtualmachineinstances/{}".format(VMIS, *key)


def version(item: Object) -> int:
    return int(item["metadata"]["resourceVersion"])


def owned_by(pod: Object, vmi: Object | None) -> bool:
    owners = pod["metadata"].get("ownerReferences", [])
    return vmi is not None and any(owner["uid"] == vmi["metadata"]["uid"] for owner in owners)


class Simulator:
    def __init__(self, api: Api, nodes: list[Object]) -> None:
        self.api = api
        self.nodes = nodes
        self.queue = Queue(self.look)
        self.vmis = Informer(api, f"{VMIS}/virtualmachineinstances", lambda vmi: self.queue.add(name_of(vmi)))
        self.pods = Informer(api, "/api/v1/pods?labelSelector=kubevirt.io%3Dvirt-launcher", self.pod_changed)
        # The pods of each VMI: what ends and what begins may overlap.
        self.launchers: dict[Key, set[Key]] = {}
        self.since: dict[tuple[str, str], float] = {}

    def start(self) -> None:
        self.queue.start()
        self.pods.start()
        self.vmis.start()

    def pod_changed(self, pod: Object) -> None:
        key = (pod["metadata"]["namespace"], pod["metadata"]["annotations"]["kubevirt.io/domain"])
        names = self.launchers.setdefault(key, set())
        (names.add if name_of(pod) in self.pods.objects else names.discard)(name_of(pod))
        self.queue.add(key)

    def elapsed(self, item: Object, what: str) -> float:
        """Seconds since it was first asked. The API's own times are in whole seconds, which is too coarse here."""
        now = time.monotonic()
        return now - self.since.setdefault((item["metadata"]["uid"], what), now)

    def look(self, key: Key) -> float | None:
        vmi = self.vmis.objects.get(key)
        waits = []
        ours: Object | None = None
        for name in list(self.launchers.get(key, ())):
            pod = self.pods.objects.get(name)
            if pod is None:
                continue
            waits.append(self.look_at_pod(pod, vmi))
            ours = pod if owned_by(pod, vmi) else ours
        if vmi is not None and ours is not None:
            waits.append(self.look_at_guest(vmi, ours))
        return min((wait for wait in waits if wait is not None), default=None)

    # The pod

    def look_at_pod(self, pod: Object, vmi: Object | None) -> float | None:
        guest = vmi["status"].get("phase") if vmi is not None and owned_by(pod, vmi) else None
        if "deletionTimestamp" in pod["metadata"]:
            if guest not in ("Scheduled", "Running"):
                self.remove(pod)
        elif pod["status"].get("phase") in pods.FINAL or guest is None:
            pass
        elif guest in pods.FINAL:
            self.patch_pod(pod, pods.ended(pod, guest == "Failed"))
        elif "nodeName" not in pod["spec"]:
            return self.place(pod, schedule_of(pod))
        elif pod["status"].get("phase") == "Pending":
            self.run_pod(pod, schedule_of(pod))
        elif change := pods.wanted_ready(pod):
            self.patch_pod(pod, change)
        return None

    def place(self, pod: Object, schedule: Schedule) -> float | None:
        if schedule.outcome == "never":
            return None
        node = next((node for node in self.nodes if pods.fits(pod, node)), None)
        if schedule.outcome != "unschedulable" and node is not None:
            self.api.post(f"{pod_path(pod)}/binding", pods.binding(pod, node["metadata"]["name"]))
            return None
        if not pods.has(pod, "PodScheduled", "False"):
            why = "Insufficient memory" if node is not None else "node(s) didn't match Pod's node affinity/selector"
            text = f"0/{len(self.nodes)} nodes are available: {len(self.nodes)} {why}."
            self.patch_pod(pod, pods.unschedulable(text))
            self.tell(pods.event(pod, "default-scheduler", "FailedScheduling", text))
        return None

    def run_pod(self, pod: Object, schedule: Schedule) -> None:
        if schedule.outcome != "image-pull-back-off":
            self.patch_pod(pod, pods.running(pod))
        elif not pod["status"].get("containerStatuses"):
            change = pods.image_missing(pod)
            self.patch_pod(pod, change)
            text = change["status"]["containerStatuses"][0]["state"]["waiting"]["message"]
            self.tell(pods.event(pod, "kubelet", "BackOff", text))

    def patch_pod(self, pod: Object, change: Object) -> None:
        self.remember(self.pods, self.api.patch(f"{pod_path(pod)}/status", change, STRATEGIC))

    def remove(self, pod: Object) -> None:
        exactly = {"uid": pod["metadata"]["uid"]}
        self.api.delete(pod_path(pod), {"gracePeriodSeconds": 0, "preconditions": exactly})

    def tell(self, event: Object) -> None:
        self.api.post(f"/api/v1/namespaces/{event['metadata']['namespace']}/events", event)

    # The guest

    def look_at_guest(self, vmi: Object, pod: Object) -> float | None:
        schedule = schedule_of(vmi)
        asked = "deletionTimestamp" in vmi["metadata"] or "deletionTimestamp" in pod["metadata"]
        phase = vmi["status"].get("phase")
        if phase == "Scheduled":
            return self.boot(vmi, pod, schedule, asked)
        if phase != "Running":
            return None
        if asked:
            return self.shut_down(vmi, schedule)
        waits = []
        if schedule.outcome in ("failed", "succeeded"):
            wait = remaining(schedule.end_after, self.elapsed(vmi, "running"))
            if wait == 0:
                return self.end(vmi, schedule.outcome.capitalize())
            waits.append(wait)
        if guests.wants_agent(vmi):
            wait = remaining(schedule.agent_after, self.elapsed(vmi, "without agent"))
            if wait == 0:
                self.write_vmi(guests.agent_connected(vmi, pods.address(pod)))
            waits.append(wait or None)
        return min((wait for wait in waits if wait is not None), default=None)

    def boot(self, vmi: Object, pod: Object, schedule: Schedule, asked: bool) -> float | None:
        if asked:
            return self.end(vmi, "Failed")
        if wait := remaining(schedule.run_after, self.elapsed(vmi, "scheduled")):
            return wait
        if schedule.outcome == "crash-loop":
            return self.end(vmi, "Failed")
        self.since.pop((vmi["metadata"]["uid"], "without agent"), None)
        self.write_vmi(guests.running(vmi, pods.address(pod), agent=schedule.agent_after == 0))
        self.elapsed(vmi, "running")
        return 0.01

    def shut_down(self, vmi: Object, schedule: Schedule) -> float | None:
        elapsed = self.elapsed(vmi, "asked to stop")
        grace = guests.grace_period(vmi)
        if elapsed >= min(schedule.stop_after, grace):
            # virt-handler: a guest with ACPI that had to be destroyed has failed.
            return self.end(vmi, "Succeeded" if schedule.stop_after <= elapsed else "Failed")
        return min(schedule.stop_after, grace) - elapsed

    def end(self, vmi: Object, phase: str) -> None:
        self.write_vmi(guests.ended(vmi, phase))
        if phase == "Failed":
            text = "The VirtualMachineInstance crashed."
            self.tell(pods.event(vmi, "virt-handler", "Stopped", text))

    def write_vmi(self, vmi: Object) -> None:
        """Refused with a conflict when virt-controller has written meanwhile; then there is another look."""
        self.remember(self.vmis, self.api.put(vmi_path(name_of(vmi)), vmi))

    def remember(self, informer: Informer, item: Object) -> None:
        """The next look shall not do the same again only because the event is still on its way."""
        known = informer.objects.get(name_of(item))
        if known is not None and version(known) < version(item):
            informer.objects[name_of(item)] = item

    # What virt-api passes on

    def act(self, namespace: str, name: str, action: str) -> Object | None:
        """Again after a conflict, as virt-controller writes to the VMI as well."""
        for _try in range(20):
            vmi = self.api.get(vmi_path((namespace, name)))
            try:
                return self.act_once(vmi, action)
            except ApiError as error:
                if error.status != 409:
                    raise
        raise ApiError(409, f"{action}: conflicts without end")

    def act_once(self, vmi: Object, action: str) -> Object | None:
        if action == "guestosinfo":
            return {"os": vmi["status"].get("guestOSInfo", {}), "hostname": vmi["metadata"]["name"]}
        if action in ("softreboot", "reset"):
            # The agent goes, and comes again after its time.
            self.since.pop((vmi["metadata"]["uid"], "without agent"), None)
        changes = {
            "pause": guests.paused,
            "unpause": guests.unpaused,
            "softreboot": guests.agent_lost,
            "reset": guests.agent_lost,
        }
        self.write_vmi(changes[action](vmi))
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kubeconfig", required=True)
    parser.add_argument("--port", type=int, required=True, help="where virt-api looks for virt-handler")
    parser.add_argument("--certificate", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--ca", required=True, help="of virt-api's client certificate")
    parser.add_argument("--nodes", type=int, default=1)
    options = parser.parse_args()
    api = Api(options.kubeconfig, "rtvirt-node-simulator", connections=16)
    machines = [nodes.node(f"node{number}") for number in range(1, options.nodes + 1)]
    simulator = Simulator(api, machines)
    endpoint = Endpoint(options.port, options.certificate, options.key, options.ca, simulator.act)
    threading.Thread(target=endpoint.serve_forever, daemon=True).start()
    for one in machines:
        nodes.register(api, one)
    simulator.start()
    Volumes(api).start()
    while True:
        try:
            nodes.heartbeat(api, machines)
        except TRANSIENT as error:
            say(f"heartbeat: {error}")
        time.sleep(HEARTBEAT)


if __name__ == "__main__":
    main()
