# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens, cloud-init's data and the contents of kubeconfigs are printed and logged nowhere, at -vvv and --diff either.

Each secret is a word of its own, so that what is found tells where it came from.
"""

from __future__ import annotations

import base64
import http.server
import json
import logging
import logging.handlers
import os
import re
import socket
import threading
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.rtvirt.core.tests.control_plane.cluster import Cluster
from ansible_collections.rtvirt.core.tests.integration.control_plane.bed import Bed, until
from ansible_collections.rtvirt.core.tests.integration.control_plane.task import Played, TaskError, play, run

#: Words that stand nowhere else.
SECRETS = {
    "user data": "hunter2-user",
    "network data": "hunter2-network",
    "user": "hunter2-plain",
    "disk": "hunter2-disk",
    "volume": "hunter2-volume",
    "spec": "hunter2-spec",
    "definition": "hunter2-definition",
    "vms": "hunter2-vms",
    "base64": base64.b64encode(b"hunter2-base64").decode(),
    "config drive": "hunter2-drive",
}


def cloud_init(word: str) -> dict[str, t.Any]:
    return {"cloudInitNoCloud": {"userData": f"#cloud-config\npassword: {word}\n", "networkData": f"key: {word}"}}


#: Ways to give cloud-init's data.
WAYS: dict[str, dict[str, t.Any]] = {
    "cloud_init": {
        "cloud_init": {
            "user_data": {"password": SECRETS["user data"]},
            "network_data": {"wifi": SECRETS["network data"]},
            "users": [{"name": "ada", "plain_text_passwd": SECRETS["user"]}],
        }
    },
    "alias": {"cloud_init_nocloud": {"userData": SECRETS["user data"], "networkData": SECRETS["network data"]}},
    "disks": {"disks": [{"name": "seed", "disk": {}, "volume": cloud_init(SECRETS["disk"])}]},
    "volumes": {
        "disks": [{"name": "seed", "disk": {}}],
        "volumes": [{"name": "seed", **cloud_init(SECRETS["volume"])}],
    },
    "spec": {
        "spec": {
            "domain": {"devices": {"disks": [{"name": "seed", "disk": {}}]}},
            "volumes": [{"name": "seed", **cloud_init(SECRETS["spec"])}],
        }
    },
    "definition": {
        "definition": {
            "spec": {
                "template": {
                    "spec": {
                        "domain": {"devices": {"disks": [{"name": "seed", "disk": {}}]}},
                        "volumes": [{"name": "seed", **cloud_init(SECRETS["definition"])}],
                    }
                }
            }
        }
    },
    "inline": {
        "inline": {
            "spec": {
                "template": {
                    "spec": {
                        "domain": {"devices": {"disks": [{"name": "seed", "disk": {}}]}},
                        "volumes": [{"name": "seed", **cloud_init(SECRETS["definition"])}],
                    }
                }
            }
        }
    },
    "base64": {
        "disks": [
            {"name": "seed", "disk": {}, "volume": {"cloudInitNoCloud": {"userDataBase64": SECRETS["base64"]}}},
        ]
    },
    "config drive": {
        "disks": [{"name": "drive", "disk": {}, "volume": {"cloudInitConfigDrive": {"userData": "hunter2-drive"}}}]
    },
}
WAYS["vms"] = {
    "name": None,
    "vms": [
        {"name": "vm", "cloud_init": {"user_data": {"password": SECRETS["vms"]}}},
        {"name": "vm2", **WAYS["disks"]},
    ],
}


def found(text: str, *more: str) -> list[str]:
    """Where a secret stands, with what is around it."""
    words = "|".join(re.escape(word) for word in ("hunter2", SECRETS["base64"], *more))
    return re.findall(f".{{0,200}}(?:{words}).{{0,60}}", text)


class Log:
    """Stands where syslog does, if nobody else does."""

    def __init__(self, path: Path) -> None:
        self.lines: list[str] = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        path.chmod(0o666)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self) -> None:
        while data := self.socket.recv(1 << 20):
            self.lines.append(data.decode(errors="replace"))


@pytest.fixture(scope="module")
def log() -> t.Iterator[Log | None]:
    """All that is written to syslog; None where the machine has one of its own."""
    path = Path("/dev/log")
    if path.exists() or os.geteuid() != 0:
        yield None
        return
    log = Log(path)
    yield log
    path.unlink()


@pytest.fixture
def played(tmp_path: Path, log: Log | None) -> t.Iterator[t.Callable[..., Played]]:
    """Plays as a user does who wants to see everything; all that was printed and logged must be without secrets."""
    secrets: list[str] = []

    def act(*tasks: dict[str, t.Any], check: bool = False, secret: str = "", **environment: str) -> Played:
        if secret:
            secrets.append(secret)
        played = play(tmp_path, *tasks, check=check, verbose=True, environment=environment)
        assert found(played.output, *secrets) == []
        # The invocation is there: it is what would have shown them.
        assert '"invocation"' in played.output
        assert found(json.dumps(played.results), *secrets) == []
        return played

    before = 0 if log is None else len(log.lines)
    yield act
    if log is not None:
        lines = log.lines[before:]
        assert any("kubevirt_vm" in line and "Invoked" in line for line in lines)
        assert found("\n".join(lines), *secrets) == []


def task(bed: Bed, **options: t.Any) -> dict[str, t.Any]:
    return {"rtvirt.core.kubevirt_vm": bed.bare(**options)}


@pytest.mark.parametrize("way", WAYS)
def test_cloud_init_in_success_and_each_kind_of_failure(bed: Bed, played: t.Callable[..., Played], way: str) -> None:
    options = WAYS[way]
    changed = json.loads(json.dumps(options).replace("hunter2", "hunter2-new"))
    if way == "base64":
        changed = json.loads(json.dumps(options).replace(SECRETS["base64"], base64.b64encode(b"hunter2-n").decode()))
    results = played(
        task(bed, **options),
        task(bed, **options),
        task(bed, **changed),
        # Arguments
        task(bed, **options, no_such_option=True),
        task(bed, **options, wait_timeout="soon"),
        # Admission
        task(bed, **{**options, "memory": "much"}),
        task(bed, **{**options, "cpu_cores": 0}),
        # The server
        task(bed, **{**options, "annotations": {"not a key": "x"}}),
        task(bed, **{**options, "namespace": "no-such-namespace"}),
        task(bed, **{**options, "labels": {"a": "-not a value-"}}),
        # Waiting
        task(bed, **options, state="running", wait=True, wait_timeout=0),
        secret=base64.b64encode(b"hunter2-n").decode(),
    ).results
    assert [one["changed"] for one in results[:3]] == [True, False, True]
    assert [one["failed"] for one in results[3:11]] == [True] * 8
    data = json.dumps(bed.pod()["volumes"])
    assert any(word in data for word in ("hunter2", SECRETS["base64"]))


@pytest.mark.parametrize("way", WAYS)
def test_cloud_init_in_check_mode(bed: Bed, played: t.Callable[..., Played], way: str) -> None:
    options = WAYS[way]
    results = played(
        task(bed, **options),
        task(bed, **options, state="running"),
        task(bed, **{**options, "memory": "much"}),
        task(bed, **{**options, "labels": {"a": "-not a value-"}}),
        check=True,
    ).results
    assert [one["failed"] for one in results] == [False, False, True, True]
    assert bed.names() == []


def test_data_of_the_wrong_type(bed: Bed, played: t.Callable[..., Played]) -> None:
    """Messages about a value like to quote it."""
    word = "hunter2-wrong"
    wrong: list[dict[str, t.Any]] = [
        {"cloud_init": word},
        {"cloud_init": {"user_data": [word]}},
        {"cloud_init": {"user_dat": word}},
        {"cloud_init": {"users": {"name": word}}},
        {"disks": [{"name": "a", "disk": {}, "volume": {"cloudInitNoCloud": word}}]},
        {"disks": [{"name": "a", "disk": {}, "volume": {"cloudInitNoCloud": {"userData": {"password": word}}}}]},
        {"disks": [{"name": "a", "disk": {}, "volume": {"cloudInitNoCloud": {"userData": [word]}}}]},
        {"disks": [{"name": "a", "disk": {}, "volume": {"cloudInitNoCloud": {"userDatta": word}}}]},
        {"volumes": [{"name": "a", "cloudInitNoCloud": {"userDataBase64": f"{word} is no base64"}}]},
        {"volumes": [{"name": "a", "cloudInitNoCloud": {"userData": word, "userDataBase64": word}}]},
        {"spec": {"volumes": {"cloudInitNoCloud": {"userData": word}}}},
        {"definition": {"spec": [{"userData": word}]}},
        {"definition": f"userData: {word}"},
        {"vms": [{"name": "a", "cloud_init": word}], "name": None},
        {"vms": {"cloud_init": {"user_data": word}}, "name": None},
        {"vms": [{"name": "a", "no_such": 1, "cloud_init": {"user_data": word}}], "name": None},
    ]
    results = played(*(task(bed, **options) for options in wrong)).results
    assert [index for index, one in enumerate(results) if not one["failed"]] == []


def kubeconfig(cluster: Cluster, **user: t.Any) -> dict[str, t.Any]:
    content: dict[str, t.Any] = yaml.safe_load(cluster.kubeconfig.read_text())
    content["users"][0]["user"].update(user)
    return content


def test_a_token(bed: Bed, simulator: Cluster, played: t.Callable[..., Played]) -> None:
    assert bed.cluster.token is not None
    options = {key: value for key, value in bed.bare().items() if key != "kubeconfig"}
    access = {"host": bed.cluster.url, "ca_cert": bed.cluster.ca, "api_key": bed.cluster.token}
    wrong = {**access, "api_key": "hunter2-token"}
    results = played(
        {"rtvirt.core.kubevirt_vm": {**options, **access}},
        {"rtvirt.core.kubevirt_vm": {**options, **access, "no_such": 1}},
        {"rtvirt.core.kubevirt_vm": {**options, **access, "namespace": "no-such-namespace"}},
        {"rtvirt.core.kubevirt_vm": {**options, **wrong}},
        {"rtvirt.core.kubevirt_vm": {**options, **wrong, "host": "https://127.0.0.1:1"}},
        secret=bed.cluster.token,
    ).results
    assert [one["failed"] for one in results] == [False, True, True, True, True]


def test_a_token_of_the_environment(bed: Bed, simulator: Cluster, played: t.Callable[..., Played]) -> None:
    assert bed.cluster.token is not None
    assert bed.cluster.ca is not None
    options = {key: value for key, value in bed.bare().items() if key != "kubeconfig"}
    results = played(
        {"rtvirt.core.kubevirt_vm": options},
        {"rtvirt.core.kubevirt_vm": {**options, "namespace": "no-such-namespace"}},
        secret=bed.cluster.token,
        K8S_AUTH_HOST=bed.cluster.url,
        K8S_AUTH_SSL_CA_CERT=bed.cluster.ca,
        K8S_AUTH_API_KEY=bed.cluster.token,
    ).results
    assert [one["failed"] for one in results] == [False, True]


def test_a_kubeconfig_as_a_mapping(bed: Bed, simulator: Cluster, played: t.Callable[..., Played]) -> None:
    """Of a mapping Ansible would hide each string, "v1" among them: the result has to stay readable."""
    assert bed.cluster.token is not None
    content = kubeconfig(simulator)
    broken: list[t.Any] = [
        {**content, "users": "hunter2-users"},
        {**content, "users": [{"name": "admin", "user": "hunter2-user"}]},
        {**content, "users": [{"name": "admin", "user": {"token": ["hunter2-token"]}}]},
        {**content, "clusters": []},
        {"token": "hunter2-flat"},
        kubeconfig(simulator, **{"token": None, "client-key-data": "hunter2-key", "client-certificate-data": "aGk="}),
        kubeconfig(simulator, token="hunter2-token"),
        kubeconfig(simulator, token=None, username="ada", password="hunter2-password"),
        kubeconfig(
            simulator,
            token=None,
            **{"auth-provider": {"name": "oidc", "config": {"client-secret": "hunter2-c", "id-token": "hunter2-id"}}},
        ),
        kubeconfig(
            simulator,
            token=None,
            exec={
                "apiVersion": "client.authentication.k8s.io/v1",
                "command": "/bin/false",
                "args": ["hunter2-argument"],
                "env": [{"name": "PASSWORD", "value": "hunter2-env"}],
            },
        ),
    ]
    results = played(
        task(bed, kubeconfig=content),
        task(bed, kubeconfig=content, no_such=1),
        task(bed, kubeconfig=content, memory="much"),
        task(bed, kubeconfig=content, namespace="no-such-namespace"),
        *(task(bed, kubeconfig=one) for one in broken),
        secret=bed.cluster.token,
    ).results
    assert results[0]["failed"] is False
    assert results[0]["result"]["apiVersion"] == "kubevirt.io/v1"
    assert [index for index, one in enumerate(results[1:]) if not one["failed"]] == []


def test_a_program_that_hands_out_tokens(
    bed: Bed, simulator: Cluster, tmp_path: Path, played: t.Callable[..., Played]
) -> None:
    assert bed.cluster.token is not None
    version = "client.authentication.k8s.io/v1"
    program = tmp_path / "login"
    credential = {"apiVersion": version, "kind": "ExecCredential", "status": {"token": bed.cluster.token}}
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(credential)}\nEND\n")
    program.chmod(0o700)
    content = kubeconfig(simulator)
    content["users"][0]["user"] = {"exec": {"apiVersion": version, "command": str(program), "interactiveMode": "Never"}}
    results = played(
        task(bed, kubeconfig=content),
        task(bed, kubeconfig=content, namespace="no-such-namespace"),
        secret=bed.cluster.token,
    ).results
    assert [one["failed"] for one in results] == [False, True]


class Echo(http.server.BaseHTTPRequestHandler):
    """A proxy that shows what it was sent, as some do in their error pages."""

    def do_GET(self) -> None:
        data = json.dumps({"message": f"not understood: {self.headers['Authorization']}"}).encode()
        self.send_response(400)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_arguments: t.Any) -> None:
        pass


def test_a_token_that_comes_back_in_an_error(bed: Bed, simulator: Cluster, played: t.Callable[..., Played]) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        host = f"http://127.0.0.1:{server.server_port}"
        content = kubeconfig(simulator, token="hunter2-token")
        content["clusters"][0]["cluster"] = {"server": host}
        results = played(
            task(bed, kubeconfig=content), task(bed, kubeconfig=None, host=host, api_key="hunter2-key")
        ).results
        server.shutdown()
    assert ["not understood" in one["msg"] for one in results] == [True, True]


def test_a_kubeconfig_as_text(bed: Bed, simulator: Cluster, played: t.Callable[..., Played]) -> None:
    """A mapping in a template becomes text where somebody quotes it, and so no path."""
    text = json.dumps(kubeconfig(simulator, token="hunter2-token"))
    broken = yaml.safe_dump(kubeconfig(simulator, token="hunter2-token"))
    results = played(task(bed, kubeconfig=text), task(bed, kubeconfig=f" {text}"), task(bed, kubeconfig=broken)).results
    assert len(results) == 3


def test_a_kubeconfig_file_that_is_broken(
    bed: Bed, played: t.Callable[..., Played], tmp_path: Path, simulator: Cluster
) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text("users:\n- user: {token: hunter2-token\n  x")
    assert played(task(bed, kubeconfig=str(file))).results[0]["failed"]
    file.write_text("token: hunter2-token")
    assert played(task(bed, kubeconfig=str(file))).results[0]["failed"]
    file.write_text("hunter2-token")
    assert played(task(bed, kubeconfig=str(file))).results[0]["failed"]


def test_a_password_for_a_proxy(bed: Bed, played: t.Callable[..., Played]) -> None:
    headers = {"proxy_basic_auth": "ada:hunter2-proxy", "basic_auth": "ada:hunter2-basic"}
    encoded = base64.b64encode(b"ada:hunter2-proxy").decode()
    results = played(
        task(bed, proxy="http://ada:hunter2-url@127.0.0.1:1", proxy_headers=headers),
        task(bed, username="ada", password="hunter2-password", proxy_headers=headers),
        secret=encoded,
    ).results
    assert results[0]["failed"] is True


def test_libvirt_vm_hides_the_same(tmp_path: Path, log: Log | None) -> None:
    """Without a libvirtd: arguments and admission are refused before, and the rest with the connection."""
    tasks = [
        {"rtvirt.core.libvirt_vm": {"name": "vm", "uri": "test:///no/such/file", "memory": "64Mi", **options}}
        for way in WAYS.values()
        for options in (way, {**way, "no_such": 1}, {**way, "memory": "much"})
    ]
    for check in (True, False):
        played = play(tmp_path, *tasks, check=check, verbose=True)
        assert found(played.output) == []
        assert all(one["failed"] for one in played.results)
    if log is not None:
        assert found("\n".join(log.lines)) == []


def test_the_result_has_no_secret(bed: Bed) -> None:
    """In result, changes, conflicts and diff of a change that another has made."""
    options = bed.bare(**WAYS["cloud_init"])
    run(**options)
    volumes = bed.pod()["volumes"]
    volumes[0]["cloudInitNoCloud"]["userData"] = "hunter2-theirs"
    bed.edit_pod({"volumes": volumes})
    until("it is there", lambda: "hunter2-theirs" in json.dumps(bed.pod()))
    result = run(**options)
    assert result["changed"]
    assert len(result["vms"][0]["conflicts"]) == 1
    assert found(json.dumps(result)) == []
    with pytest.raises(TaskError) as refused:
        run(
            **{**options, "spec": {"volumes": [{"name": "cloudinit", "cloudInitNoCloud": {"noSuch": "hunter2-field"}}]}}
        )
    assert "hunter2-user" not in json.dumps(refused.value.result)


def test_nothing_of_it_is_logged_by_libraries(bed: Bed, caplog: pytest.LogCaptureFixture) -> None:
    """urllib3 and kubernetes log requests, for whoever turns that on."""
    with caplog.at_level(logging.DEBUG):
        run(**bed.bare(**WAYS["cloud_init"]))
    assert bed.cluster.token is not None
    assert found(caplog.text, bed.cluster.token) == []
