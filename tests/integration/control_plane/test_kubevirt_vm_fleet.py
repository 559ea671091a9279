# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many VMs in one task: planned from one look, tried before any is made, several at a time, each with its result."""

from __future__ import annotations

import http.server
import threading
import time
import typing as t
import uuid

import pytest
import urllib3

from ansible_collections.rtvirt.core.tests.control_plane.cluster import Cluster
from ansible_collections.rtvirt.core.tests.integration.control_plane.bed import Bed, schedule
from ansible_collections.rtvirt.core.tests.integration.control_plane.conftest import clear
from ansible_collections.rtvirt.core.tests.integration.control_plane.task import TaskError, play, run, start

# Neither the alphabet's order nor the server's.
ORDER = [7, 3, 0, 12, 5, 9, 1, 14, 11, 4, 2, 8, 6, 10, 13]


@pytest.fixture
def other(control_plane: Cluster, bed: Bed) -> t.Iterator[Bed]:
    """A second namespace."""
    name = f"rtvirt-test-{uuid.uuid4().hex[:8]}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    control_plane.api.post("/api/v1/namespaces", body)
    try:
        yield Bed(control_plane, name, bed.audit)
    finally:
        clear(control_plane, name)


def fleet(bed: Bed, vms: t.Sequence[dict[str, t.Any]], **options: t.Any) -> dict[str, t.Any]:
    own = bed.bare(**options)
    del own["name"]
    return {**own, "vms": list(vms)}


def named(count: int, **options: t.Any) -> list[dict[str, t.Any]]:
    return [{"name": f"vm{number:02}", **options} for number in range(count)]


def test_thirty_vms_in_two_namespaces(bed: Bed, other: Bed, tmp_path: t.Any) -> None:
    entries = []
    for number in ORDER:
        for one in (bed, other):
            entry = {"name": f"vm{number:02}", "namespace": one.namespace}
            entries.append({**entry, "memory": "128Mi"} if number == 5 else entry)
    task = {"rtvirt.core.kubevirt_vm": fleet(bed, entries, labels={"fleet": "one"})}
    some = {"rtvirt.core.kubevirt_vm": fleet(bed, entries, labels={"fleet": "one"}, memory="96Mi")}
    alone = [{"name": entry["name"], "namespace": entry["namespace"]} for entry in entries]
    access = {"kubeconfig": str(bed.cluster.kubeconfig)}
    absent = {"rtvirt.core.kubevirt_vm": {**access, "vms": alone, "state": "absent", "wait": True}}
    first, second, changed, gone = play(tmp_path, task, task, some, absent).results

    for result in (first, second, changed, gone):
        assert [(vm["name"], vm["namespace"]) for vm in result["vms"]] == [
            (entry["name"], entry["namespace"]) for entry in entries
        ]
        assert "result" not in result
    assert [vm["actions"] for vm in first["vms"]] == [["create"]] * 30
    assert not second["changed"]
    assert [vm["changed"] for vm in changed["vms"]] == ["memory" not in entry for entry in entries]
    assert {tuple(vm["actions"]) for vm in gone["vms"]} == {("delete",)}
    assert bed.names() == other.names() == []


def test_one_look_for_each_namespace(bed: Bed, other: Bed) -> None:
    entries = [{"name": f"vm{number}", "namespace": one.namespace} for number in range(5) for one in (bed, other)]
    options = fleet(bed, entries)
    run(**options)
    for check in (True, False):
        for one in (bed, other):
            with one.requests() as requests:
                assert run(check=check, **options)["changed"] is False
            assert requests.counts() == {"list virtualmachines": 1}


def test_an_unknown_field_of_one_is_refused_before_any_is_made(bed: Bed) -> None:
    vms = named(10)
    # Something that admission leaves to the server.
    vms[6]["definition"] = {"spec": {"template": {"spec": {"domain": {"devices": {"noSuchField": True}}}}}}
    for check in (True, False):
        with pytest.raises(TaskError, match=r"vms\[6\].*noSuchField") as refused:
            run(check=check, **fleet(bed, vms))
        assert "vms[5]" not in refused.value.msg
        assert bed.names() == []


def test_what_the_server_refuses_of_one_is_refused_before_any_is_made(bed: Bed) -> None:
    vms = named(10)
    vms[6]["labels"] = {"a": "-no-value-"}
    with pytest.raises(TaskError, match="-no-value-"):
        run(**fleet(bed, vms))
    assert bed.names() == []


def test_two_of_one_name_are_refused(bed: Bed) -> None:
    with pytest.raises(TaskError, match=r"vms\[1\]"):
        run(**fleet(bed, [{"name": "vm"}, {"name": "vm"}]))
    assert bed.names() == []


@pytest.mark.parametrize("go_on", [False, True])
def test_some_fail(bed: Bed, go_on: bool) -> None:
    """A quota is for none of them alone, so that nothing can tell before."""
    bed.limit("count/virtualmachines.kubevirt.io", 4)
    with pytest.raises(TaskError, match="exceeded quota") as failed:
        run(**fleet(bed, named(12), continue_on_error=go_on, concurrency=2))
    vms = failed.value.result["vms"]
    made = bed.names()
    assert len(made) == 4
    assert [vm["name"] for vm in vms] == [f"vm{number:02}" for number in range(12)]
    assert [vm["name"] for vm in vms if vm["actions"] == ["create"]] == made
    assert all((vm["changed"], "error" in vm) == (vm["name"] in made, vm["name"] not in made) for vm in vms)
    assert failed.value.result["changed"] is True
    tried = [vm for vm in vms if "exceeded quota" in vm.get("error", "")]
    left = [vm for vm in vms if "left as it is" in vm.get("error", "")]
    if go_on:
        assert (len(tried), len(left)) == (8, 0)
    else:
        assert 1 <= len(tried) <= 2
        assert len(tried) + len(left) == 8
    # What the first failure was is not lost among those that were left.
    assert "vm" in failed.value.msg
    assert "exceeded quota" in failed.value.msg


def test_those_that_were_left_are_made_by_the_next_run(bed: Bed) -> None:
    bed.limit("count/virtualmachines.kubevirt.io", 3)
    with pytest.raises(TaskError):
        run(**fleet(bed, named(8)))
    bed.unlimit()
    made = bed.names()
    result = run(**fleet(bed, named(8)))
    assert [vm["changed"] for vm in result["vms"]] == [vm["name"] not in made for vm in result["vms"]]
    assert run(**fleet(bed, named(8)))["changed"] is False


def test_one_that_does_not_come_up_fails_alone(bed: Bed) -> None:
    vms = named(4)
    vms[2]["annotations"] = schedule(outcome="image-pull-back-off")
    with pytest.raises(TaskError, match="ImagePullBackOff") as failed:
        run(**fleet(bed, vms, state="running", wait=True, wait_timeout=60))
    assert ["error" in vm for vm in failed.value.result["vms"]] == [False, False, True, False]
    assert [vm["state"] for vm in failed.value.result["vms"]].count("running") >= 3
    assert all(bed.condition("Ready", f"vm{number:02}") == "True" for number in (0, 1, 3))


class Gate(http.server.ThreadingHTTPServer):
    """A proxy before the API server that counts how many requests are under way at once.

    :ivar most: the most that there were.
    """

    daemon_threads = True

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        self.url = cluster.url
        self.pool = urllib3.PoolManager(maxsize=64, cert_reqs="CERT_REQUIRED", ca_certs=cluster.ca)
        self.lock = threading.Lock()
        self.now = self.most = self.writes = 0


class _Passing(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Gate

    def pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        gate, writes = self.server, self.command != "GET"
        with gate.lock:
            gate.now += writes
            gate.writes += writes
            gate.most = max(gate.most, gate.now)
        try:
            if writes:
                time.sleep(0.05)
            headers = {key: value for key, value in self.headers.items() if key != "Host"}
            answer = gate.pool.request(self.command, gate.url + self.path, body=body, headers=headers)
        finally:
            with gate.lock:
                gate.now -= writes
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.headers.get("Content-Type", ""))
        self.send_header("Content-Length", str(len(answer.data)))
        self.end_headers()
        self.wfile.write(answer.data)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = pass_on  # noqa: N815  http.server looks for these

    def log_message(self, *_arguments: t.Any) -> None:
        pass


@pytest.fixture
def gate(simulator: Cluster) -> t.Iterator[Gate]:
    with Gate(simulator) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize("concurrency", [1, 4])
def test_so_many_at_a_time_and_no_more(bed: Bed, gate: Gate, concurrency: int) -> None:
    options = fleet(bed, named(16), concurrency=concurrency)
    del options["kubeconfig"]
    access = {"host": f"http://127.0.0.1:{gate.server_port}", "api_key": bed.cluster.token}
    run(**options, **access)
    # One of them is tried before.
    assert gate.writes == 17
    assert gate.most == concurrency
    gate.most = 0
    run(**{**options, **access, "state": "running"})
    assert gate.most == concurrency


@pytest.mark.alone
@pytest.mark.slow
def test_a_thousand_vms_unchanged(bed: Bed) -> None:
    """Bounded memory, one paged list, no write. The module creates them as well, which takes most of the time."""
    vms = [{"name": f"vm{number:04}", "labels": {"number": str(number)}} for number in range(1000)]
    options = fleet(bed, vms, concurrency=16, cpu_cores=2, disks=[disk(name) for name in ("root", "data")])
    begin = time.monotonic()
    creation = start(**options)
    created = creation.result(timeout=400)
    print(f"created in {time.monotonic() - begin:.1f} s, {creation.peak:.0f} MiB")
    assert len(created["vms"]) == 1000
    assert all(vm["actions"] == ["create"] for vm in created["vms"])
    with bed.requests() as requests:
        begin = time.monotonic()
        task = start(**options)
        again = task.result(timeout=120)
        print(f"unchanged in {time.monotonic() - begin:.1f} s, {task.peak:.0f} MiB")
    assert again["changed"] is False
    assert not requests.writes
    # Pages of 500.
    assert requests.counts() == {"list virtualmachines": 2}
    assert task.peak < 300
    assert creation.peak < 300


def disk(name: str) -> dict[str, t.Any]:
    return {"name": name, "disk": {"bus": "virtio"}, "volume": {"emptyDisk": {"capacity": "1Gi"}}}
