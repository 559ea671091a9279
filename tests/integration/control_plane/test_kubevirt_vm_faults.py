# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of the real server: each ends with a clear message, nothing is made twice, and the next run catches up."""

from __future__ import annotations

import collections
import http.server
import json
import socket
import subprocess
import threading
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.tests.control_plane.api import ApiError, Object
from ansible_collections.rtvirt.core.tests.control_plane.cluster import Cluster
from ansible_collections.rtvirt.core.tests.integration.control_plane.bed import Bed, schedule, until
from ansible_collections.rtvirt.core.tests.integration.control_plane.task import (
    TaskError,
    attempt,
    run,
    run_one,
    start,
)

pytestmark = pytest.mark.alone

Crash = t.Callable[[str], None]


@pytest.fixture(autouse=True)
def kubelet(simulator: Cluster) -> t.Iterator[None]:
    """virt-controller ends when it cannot renew its lease; in a cluster it is started again."""
    over = threading.Event()

    def keep() -> None:
        while not over.wait(2):
            lines = simulator.script("status").splitlines()
            if any(line.split() == ["virt-controller", "-"] for line in lines):
                simulator.restart("virt-controller")

    thread = threading.Thread(target=keep)
    thread.start()
    yield
    over.set()
    thread.join()


def message(**options: t.Any) -> str:
    """What a task of one VM fails with, through the module's own mouth."""
    with pytest.raises(TaskError) as failed:
        run_one(**options)
    assert "Traceback" not in failed.value.msg
    assert " object at 0x" not in failed.value.msg
    return failed.value.msg


def fleet(bed: Bed, count: int, **options: t.Any) -> dict[str, t.Any]:
    own = bed.bare(**options)
    del own["name"]
    return {**own, "vms": [{"name": f"vm{number:03}"} for number in range(count)]}


def comes_back(bed: Bed) -> None:
    """The API server answers, KubeVirt admits again, and its subresources are to be had.

    A component that was started again ends at once where a client that looked for it has come by its port.
    """

    def whole() -> None:
        bed.cluster.script("start")
        bed.api.post(f"{bed.folder}/virtualmachines?dryRun=All", bed.manifest("probe"))
        bed.api.get("/apis/subresources.kubevirt.io/v1")

    patient(whole)


def patient(act: t.Callable[[], t.Any]) -> t.Any:
    def answered() -> t.Any:
        try:
            return act() or True
        except (ApiError, TaskError, subprocess.CalledProcessError):
            return None

    return until("the control plane answers again", answered, patience=120)


# The server goes away


@pytest.mark.parametrize("down", [0.0, 2.0])
def test_killed_and_restarted_while_creating(bed: Bed, simulator: Cluster, crash: Crash, down: float) -> None:
    task = start(**fleet(bed, 60, concurrency=4))
    until("some are made", lambda: len(bed.names()) >= 5)
    crash("kube-apiserver")
    time.sleep(down)
    simulator.restart("kube-apiserver")
    comes_back(bed)
    # What was done is told of each, and what was not is not claimed.
    result, text = attempt(task.result)
    assert not text or "127.0.0.1" in text or "webhook" in text
    made = {vm["name"] for vm in result["vms"] if "create" in vm["actions"]}
    there = set(bed.names())
    assert made <= there
    assert all("error" in vm for vm in result["vms"] if vm["name"] not in made)
    again = run(**fleet(bed, 60))
    assert {vm["name"] for vm in again["vms"] if vm["changed"]} == {vm["name"] for vm in again["vms"]} - there
    assert len(bed.names()) == 60
    assert run(**fleet(bed, 60))["changed"] is False


def test_killed_and_restarted_while_waiting(bed: Bed, simulator: Cluster, crash: Crash) -> None:
    """The watch breaks off, and is taken up again; nothing is asked for a second time."""
    options = bed.bare(state="running", wait=True, wait_timeout=100, annotations=schedule(run_after="10"))
    with bed.requests() as requests:
        task = start(**options)
        until("it is on a node", lambda: (bed.vmi() or {"status": {}})["status"].get("phase") == "Scheduled")
        crash("kube-apiserver")
        time.sleep(1)
        simulator.restart("kube-apiserver")
        comes_back(bed)
        result = task.result()["result"]
    assert (result["state"], result["actions"]) == ("running", ["create"])
    made = [one for one in requests.of("create", "virtualmachines") if one.code < 300]
    assert len(made) == 1
    assert bed.condition("Ready") == "True"


def test_killed_and_restarted_while_deleting(bed: Bed, simulator: Cluster, crash: Crash) -> None:
    run(**fleet(bed, 30, state="running", wait=True))
    task = start(**fleet(bed, 30, state="absent", wait=True, wait_timeout=100, concurrency=2))
    until("some are gone", lambda: len(bed.names()) < 28)
    crash("kube-apiserver")
    simulator.restart("kube-apiserver")
    comes_back(bed)
    result, text = attempt(task.result)
    if text:
        assert len(result["vms"]) == 30
        run(**fleet(bed, 30, state="absent", wait=True, wait_timeout=100))
    else:
        assert all(vm["state"] == "absent" for vm in result["vms"])
    assert bed.names() == []


def test_killed_for_good_while_waiting(bed: Bed, simulator: Cluster, crash: Crash) -> None:
    options = bed.bare(state="running", wait=True, wait_timeout=8, annotations=schedule(run_after="60"))
    task = start(**options)
    until("there is an instance", bed.vmi)
    crash("kube-apiserver")
    with pytest.raises(TaskError, match=r"vm: not ready within 8 s|cannot reach") as failed:
        task.result()
    assert failed.value.result["vms"][0]["actions"] == ["create"]
    simulator.restart("kube-apiserver")
    comes_back(bed)


def test_unreachable(bed: Bed) -> None:
    begin = time.monotonic()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {**bed.bare(), "kubeconfig": None, "host": f"https://127.0.0.1:{port}", "api_key": "x"}
    text = message(**options)
    assert f"127.0.0.1:{port}" in text
    assert "refused" in text
    assert time.monotonic() - begin < 30


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("https://no-such-host.invalid:6443", "no-such-host.invalid"),
        ("http://{netloc}", "HTTP"),
        ("https://{netloc}/nothing/here", "no KubeVirt"),
        ("{netloc}", "host"),
    ],
)
def test_a_host_that_is_none(bed: Bed, host: str, words: str) -> None:
    netloc = bed.cluster.url.removeprefix("https://")
    access = {"kubeconfig": None, "host": host.format(netloc=netloc), "api_key": bed.cluster.token}
    assert words in message(**{**bed.bare(), **access, "ca_cert": bed.cluster.ca})
    assert bed.names() == []


def test_a_certificate_of_another_authority(bed: Bed, tmp_path: Path, simulator: Cluster) -> None:
    other = simulator.simulated / "certificates" / "kubevirt-ca.crt"
    access = {"kubeconfig": None, "host": bed.cluster.url, "api_key": bed.cluster.token, "ca_cert": str(other)}
    assert "certificate" in message(**{**bed.bare(), **access}).lower()
    # urllib3 warns of it, which the tests would take for an error.
    start(**{**bed.bare(), **access, "validate_certs": False}).result()
    assert bed.names() == ["vm"]


def test_no_kubeconfig(bed: Bed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = message(**bed.bare(kubeconfig=str(tmp_path / "missing")))
    assert "kubeconfig" in text
    assert "missing" in text
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "kubeconfig" in message(**{**bed.bare(), "kubeconfig": None})
    assert "nowhere" in message(**bed.bare(context="nowhere"))


# It is there, and does not want


class Busy(http.server.ThreadingHTTPServer):
    """A server before the API server that turns away the first requests of each kind.

    :ivar seen: (time, method, path) of all.
    """

    daemon_threads = True

    def __init__(self, cluster: Cluster, status: int, times: int, after: str | None, after_passing: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Refusing)
        self.cluster, self.status, self.times, self.after = cluster, status, times, after
        self.after_passing = after_passing
        self.seen: list[tuple[float, str, str]] = []
        self.refused: collections.Counter[str] = collections.Counter()

    def access(self) -> dict[str, t.Any]:
        return {"kubeconfig": None, "host": f"http://127.0.0.1:{self.server_port}", "api_key": self.cluster.token}


class _Refusing(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Busy

    def answer(self) -> None:
        busy = self.server
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        busy.seen.append((time.monotonic(), self.command, self.path))
        refuse = busy.refused[self.command] < busy.times
        if not refuse or busy.after_passing:
            status, text = self.passed_on(body)
        if refuse:
            busy.refused[self.command] += 1
            status = busy.status
            text = json.dumps({"kind": "Status", "status": "Failure", "message": "too much of it", "code": status})
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if refuse and busy.after is not None:
            self.send_header("Retry-After", busy.after)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def passed_on(self, body: bytes) -> tuple[int, str]:
        api = self.server.cluster.api
        headers = {key: value for key, value in self.headers.items() if key != "Host"}
        pool = api.client.rest_client.pool_manager
        answer = pool.request(self.command, api.host + self.path, body=body, headers=headers)
        return answer.status, answer.data.decode()

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = answer  # noqa: N815  http.server looks for these

    def log_message(self, *_arguments: t.Any) -> None:
        pass


@pytest.fixture
def busy(simulator: Cluster) -> t.Iterator[t.Callable[..., Busy]]:
    servers: list[Busy] = []

    def make(status: int, times: int, after: str | None = None, after_passing: bool = False) -> Busy:
        servers.append(Busy(simulator, status, times, after, after_passing))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return servers[-1]

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_passes_is_tried_again(bed: Bed, busy: t.Callable[..., Busy], status: int) -> None:
    server = busy(status, 2)
    done = run_one(**{**bed.bare(), **server.access()})
    assert done["actions"] == ["create"]
    sent = [(method, path.partition("?")[0]) for _time, method, path in server.seen]
    assert sent == [("GET", f"{bed.folder}/virtualmachines")] * 3 + [("POST", f"{bed.folder}/virtualmachines")] * 3
    assert bed.names() == ["vm"]


def test_retry_after_is_honoured(bed: Bed, busy: t.Callable[..., Busy]) -> None:
    server = busy(429, 1, after="3")
    run_one(**{**bed.bare(), **server.access()})
    times = [moment for moment, method, _path in server.seen if method == "POST"]
    assert times[1] - times[0] >= 3


def test_too_many_requests_without_end(bed: Bed, busy: t.Callable[..., Busy]) -> None:
    server = busy(429, 1000)
    begin = time.monotonic()
    text = message(**{**bed.bare(), **server.access()})
    assert "too much of it" in text
    assert "429" in text or "too many requests" in text.lower()
    assert time.monotonic() - begin < 60
    assert 3 <= len(server.seen) <= 10


def test_an_answer_that_is_lost_is_no_second_vm(bed: Bed, busy: t.Callable[..., Busy]) -> None:
    """The server has done it, and a proxy before it says 504."""
    server = busy(504, 1, after_passing=True)
    done = run_one(**{**bed.bare(), **server.access()})
    assert (done["actions"], done["adopted"]) == (["create"], False)
    assert bed.names() == ["vm"]
    server.refused.clear()
    done = run_one(**{**bed.bare(), **server.access(), "hostname": "other"})
    assert done["changed"] is True
    assert bed.pod()["hostname"] == "other"
    server.refused.clear()
    done = run_one(**{**bed.bare(), **server.access(), "hostname": "other", "state": "running", "wait": False})
    assert done["actions"] == ["start"]
    server.refused.clear()
    done = run_one(**{**bed.bare(), **server.access(), "state": "absent"})
    assert done["actions"] == ["delete"]


def test_names_that_the_server_makes_are_not_made_twice(bed: Bed, busy: t.Callable[..., Busy]) -> None:
    """A lost answer to a creation by generate_name: there is nothing to find it by."""
    server = busy(504, 1, after_passing=True)
    options = {**bed.bare(), **server.access(), "name": None, "generate_name": "vm-"}
    done, text = attempt(run, **options)
    assert len(bed.names()) <= 1
    assert text or bed.names() == [done["result"]["name"]]


def test_an_answer_that_is_no_json(bed: Bed) -> None:
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>Please log in</html>")

        def log_message(self, *_arguments: t.Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        access = {"kubeconfig": None, "host": f"http://127.0.0.1:{server.server_port}", "api_key": "x"}
        assert f"127.0.0.1:{server.server_port}" in message(**{**bed.bare(), **access})
        server.shutdown()


def test_the_webhook_is_down(bed: Bed, simulator: Cluster, crash: Crash) -> None:
    run_one(**bed.bare("there"))
    crash("virt-api")
    for options in (bed.bare(), bed.bare("there", hostname="other"), fleet(bed, 5)):
        with pytest.raises(TaskError, match=r"failed calling webhook|connection refused") as failed:
            run(**options)
        assert "virt-api" in failed.value.msg or "webhook" in failed.value.msg
    with pytest.raises(TaskError):
        run_one(**bed.bare("there", state="running"))
    # What needs it not goes on.
    assert run_one(**bed.bare("there"))["changed"] is False
    simulator.restart("virt-api")
    comes_back(bed)
    assert bed.names() == ["there"]


def test_the_webhook_comes_back(bed: Bed, simulator: Cluster, crash: Crash) -> None:
    crash("virt-api")
    task = start(**bed.bare())
    time.sleep(1.5)
    simulator.restart("virt-api")
    result, text = attempt(task.result)
    assert "webhook" in text if text else result["result"]["actions"] == ["create"]
    comes_back(bed)


def test_a_namespace_that_is_not_there(bed: Bed) -> None:
    text = message(**bed.bare(namespace="no-such-namespace"))
    assert "no-such-namespace" in text
    assert "not found" in text
    assert run_one(**bed.bare(namespace="no-such-namespace", state="absent"))["changed"] is False


def test_a_namespace_that_is_terminating(bed: Bed) -> None:
    finalizer = {"name": "vm-held", "finalizers": ["rtvirt.test/hold"]}
    path = f"/api/v1/namespaces/{bed.namespace}/configmaps"
    bed.api.post(path, {"metadata": finalizer})
    bed.api.delete(f"/api/v1/namespaces/{bed.namespace}")
    try:
        text = message(**bed.bare())
        assert bed.namespace in text
        assert "terminat" in text
        assert bed.names() == []
    finally:
        bed.api.patch(f"{path}/vm-held", {"metadata": {"finalizers": None}})


def test_kubevirt_is_not_there(bed: Bed) -> None:
    """A cluster without it answers 404, as a namespace without VMs does not."""

    class Nothing(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = b"404 page not found\n"
            self.send_response(404)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_arguments: t.Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Nothing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        access = {"kubeconfig": None, "host": f"http://127.0.0.1:{server.server_port}", "api_key": "x"}
        for state in ("present", "absent"):
            assert "KubeVirt" in message(**{**bed.bare(state=state), **access})
        server.shutdown()


# It does not let us


def bind(bed: Bed, user: str, role: str | None = None, rules: list[Object] | None = None) -> None:
    folder = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{bed.namespace}"
    reference = {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole" if role else "Role",
        "name": role or user,
    }
    if rules is not None:
        bed.api.post(f"{folder}/roles", {"metadata": {"name": user}, "rules": rules})
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}
    bed.api.post(f"{folder}/rolebindings", {"metadata": {"name": user}, "roleRef": reference, "subjects": [subject]})


def as_user(bed: Bed, simulator: Cluster, folder: Path, user: str) -> dict[str, t.Any]:
    return {"kubeconfig": str(simulator.write_kubeconfig(folder / user, simulator.token_of(user)))}


def test_without_any_right(bed: Bed, simulator: Cluster, tmp_path: Path) -> None:
    access = as_user(bed, simulator, tmp_path, "nobody")
    for state in ("present", "absent"):
        text = message(**{**bed.bare(state=state), **access})
        assert "nobody" in text
        assert "cannot" in text
        assert "virtualmachines" in text
    assert bed.names() == []


def test_without_the_right_to_keep_volumes(bed: Bed, simulator: Cluster, tmp_path: Path) -> None:
    """By KubeVirt's own role for editors, which has no DataVolumes. The VM goes on."""
    volume = {"source": {"blank": {}}, "storage": {"resources": {"requests": {"storage": "1Gi"}}}}
    disk = {"name": "a", "disk": {}, "volume": {"dataVolume": {"name": "vm-a"}}}
    templates = [{"metadata": {"name": "vm-a"}, "spec": volume}]
    run_one(**bed.bare(data_volume_templates=templates, disks=[disk], state="running", wait=True))
    bind(bed, "editor", "kubevirt.io:edit")
    machines = {"apiGroups": ["kubevirt.io"], "resources": ["virtualmachines"], "verbs": ["get", "list", "delete"]}
    volumes = {"apiGroups": ["cdi.kubevirt.io"], "resources": ["datavolumes"], "verbs": ["list"]}
    bind(bed, "viewer", rules=[machines, volumes])
    for user, verb in (("editor", "get"), ("viewer", "patch")):
        access = as_user(bed, simulator, tmp_path, user)
        api = simulator.api_with(Path(access["kubeconfig"]))
        patient(lambda api=api: api.get(f"{bed.folder}/virtualmachines"))
        text = message(**{**bed.bare(state="absent", delete_volumes=False), **access})
        assert "vm: cannot be taken out of the owners of its DataVolumes, which would go with it" in text
        assert f"cannot {verb} resource" in text
        assert bed.power() == "running"
    run_one(**bed.bare("plain"))
    access = as_user(bed, simulator, tmp_path, "editor")
    gone = run_one(**{**bed.bare("plain", state="absent", delete_volumes=False), **access})
    assert (gone["actions"], gone["volumes_kept"]) == (["delete"], [])


def test_without_the_right_to_write(bed: Bed, simulator: Cluster, tmp_path: Path) -> None:
    run_one(**bed.bare())
    bind(bed, "viewer", "kubevirt.io:view")
    access = as_user(bed, simulator, tmp_path, "viewer")
    patient(lambda: simulator.api_with(Path(access["kubeconfig"])).get(f"{bed.folder}/virtualmachines"))
    before = bed.versions()
    # Nothing is to be done, so that nothing is missing.
    assert run_one(**{**bed.bare(), **access})["changed"] is False
    attempts = [
        bed.bare("new"),
        bed.bare(hostname="other"),
        bed.bare(state="running"),
        bed.bare(state="absent"),
        fleet(bed, 3),
    ]
    for options in attempts:
        for check in (True, False):
            with pytest.raises(TaskError, match=r"viewer.* cannot (create|patch|update|delete)"):
                run(check=check, **{**options, **access})
    assert bed.versions() == before
    assert bed.names() == ["vm"]


def test_without_the_right_to_list(bed: Bed, simulator: Cluster, tmp_path: Path) -> None:
    """Who may get and write each VM needs no list; nor does a wait."""
    rules: list[Object] = [
        {
            "apiGroups": ["kubevirt.io"],
            "resources": ["virtualmachines", "virtualmachineinstances"],
            "verbs": ["get", "create", "patch", "delete"],
        }
    ]
    bind(bed, "no-list", rules=rules)
    access = as_user(bed, simulator, tmp_path, "no-list")
    patient(lambda: run_one(**{**bed.bare(), **access}))
    assert bed.names() == ["vm"]
    assert run_one(**{**bed.bare(), **access})["changed"] is False
    options = {**fleet(bed, 3), **access}
    assert run(**options)["changed"] is True
    assert run(**options)["changed"] is False
    begin = time.monotonic()
    options = {**bed.bare(run_strategy="Always", wait=True, wait_timeout=30), **access}
    done, text = attempt(run_one, **options)
    # Or said in words, and not after the timeout.
    assert (
        ("no-list" in text and "list" in text and time.monotonic() - begin < 15) if text else done["state"] == "running"
    )


def test_a_token_that_is_not_known(bed: Bed) -> None:
    access = {"kubeconfig": None, "host": bed.cluster.url, "ca_cert": bed.cluster.ca, "api_key": "no-such-token"}
    text = message(**{**bed.bare(), **access})
    assert "401" in text or "Unauthorized" in text
    assert "log in" in text
    assert "no-such-token" not in text


def test_a_token_that_has_expired(bed: Bed, simulator: Cluster, tmp_path: Path) -> None:
    path = f"/api/v1/namespaces/{bed.namespace}/serviceaccounts/default"
    patient(lambda: simulator.api.get(path))
    token = simulator.signed_token(bed.namespace, "default", -3600)
    text = message(**bed.bare(kubeconfig=str(simulator.write_kubeconfig(tmp_path / "old", token))))
    assert "log in" in text
    assert token not in text


def test_a_token_that_expires_while_waiting(bed: Bed, simulator: Cluster, tmp_path: Path) -> None:
    path = f"/api/v1/namespaces/{bed.namespace}/serviceaccounts/default"
    patient(lambda: simulator.api.get(path))
    user = f"system:serviceaccount:{bed.namespace}:default"
    bind(bed, user.replace(":", "-"), "kubevirt.io:admin")
    folder = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{bed.namespace}/rolebindings"
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": bed.namespace}
    bed.api.patch(f"{folder}/{user.replace(':', '-')}", {"subjects": [subject]})
    token = simulator.signed_token(bed.namespace, "default", 6)
    kubeconfig = str(simulator.write_kubeconfig(tmp_path / "short", token))
    patient(lambda: run_one(**bed.bare("other", kubeconfig=kubeconfig)))
    options = bed.bare(state="running", wait=True, wait_timeout=45, annotations=schedule(outcome="never"))
    begin = time.monotonic()
    result, text = attempt(run_one, **{**options, "kubeconfig": kubeconfig})
    assert "log in" in text or "not ready within 45 s" in text
    # What was done before is told.
    assert [vm["actions"] for vm in result["vms"]] == [["create"]]
    assert result["changed"] is True
    assert time.monotonic() - begin < 60
