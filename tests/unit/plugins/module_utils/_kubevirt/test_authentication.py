# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a cluster is and who asks, as it is read here and as the Python client reads it. On this machine alone."""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import ssl
import subprocess
import sys
import threading
import typing as t
from pathlib import Path

import pytest

pytest.importorskip("kubernetes")

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt import authentication
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.authentication import (
    AUTHENTICATION,
    access_from,
    secrets_of,
)
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.session import Access, ApiError, Session
from tests.control_plane.certificates import Authority

Object = dict[str, t.Any]


def kubeconfig(
    user: Object | None = None, cluster: Object | None = None, server: str = "https://file.invalid"
) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "one",
        "clusters": [{"name": "c", "cluster": {"server": server, **(cluster or {})}}],
        "users": [{"name": "u", "user": {"token": "hunter2-file"} if user is None else user}],
        "contexts": [
            {"name": "one", "context": {"cluster": "c", "user": "u"}},
            {"name": "two", "context": {"cluster": "c", "user": "u"}},
        ],
    }


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No kubeconfig of whoever runs the tests, and no proxy."""
    monkeypatch.setenv("HOME", str(tmp_path))
    names = ["KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"]
    for name in (*names, *(f"{kind}_proxy" for kind in ("all", "http", "https", "no"))):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return tmp_path


def nobody(*_arguments: t.Any, **_more: t.Any) -> t.NoReturn:
    raise AssertionError("it was for the other to read")


@pytest.fixture(params=["here", "client"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test twice: by ourselves, and by the Python client."""
    if request.param == "here":
        monkeypatch.setattr(authentication, "_by_the_client", nobody)
    else:
        monkeypatch.setattr(authentication, "plain_access", lambda _params, *, from_kubeconfig: None)


def read(**params: t.Any) -> tuple[str, str | None]:
    access = access_from(params)
    return access.host, access.authorization()


@pytest.mark.usefixtures("reader")
class TestBoth:
    def test_host_and_key(self) -> None:
        assert read(host="https://a.invalid", api_key="hunter2") == ("https://a.invalid", "Bearer hunter2")
        assert read(host="https://a.invalid", username="ada", password="p") == ("https://a.invalid", None)

    def test_a_file_and_options_over_it(self, tmp_path: Path) -> None:
        file = tmp_path / "kubeconfig"
        file.write_text(yaml.safe_dump(kubeconfig()))
        assert read(kubeconfig=str(file)) == ("https://file.invalid", "Bearer hunter2-file")
        over = read(kubeconfig="~/kubeconfig", host="https://b.invalid", context="two")
        assert over == ("https://b.invalid", "Bearer hunter2-file")
        assert read(kubeconfig=str(file), api_key="other") == ("https://file.invalid", "Bearer other")

    def test_the_users_own(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (home / ".kube").mkdir()
        (home / ".kube" / "config").write_text(yaml.safe_dump(kubeconfig()))
        assert read() == ("https://file.invalid", "Bearer hunter2-file")

    def test_a_mapping(self) -> None:
        assert read(kubeconfig=kubeconfig()) == ("https://file.invalid", "Bearer hunter2-file")

    def test_what_is_no_url(self) -> None:
        with pytest.raises(RtvirtError, match=r"https://a\.invalid"):
            read(host="a.invalid", api_key="hunter2")

    def test_whom_to_act_as(self) -> None:
        params = {"host": "https://a.invalid", "api_key": "k", "impersonate_user": "ada"}
        headers = access_from({**params, "impersonate_groups": ["x", "y"]}).headers
        assert ("Impersonate-User", "ada") in headers
        assert [value for name, value in headers if name == "Impersonate-Group"] == ["x", "y"]


def test_secrets() -> None:
    assert secrets_of({"kubeconfig": kubeconfig()}) == {"hunter2-file"}
    assert secrets_of({"kubeconfig": "/path"}) == secrets_of({}) == set()


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"kubeconfig": "/no/such/file"},
        {"kubeconfig": {}},
        {"kubeconfig": {"users": "hunter2"}},
        {"kubeconfig": {"clusters": [], "users": [], "contexts": [], "current-context": "hunter2"}},
        {"kubeconfig": "apiVersion: v1\nusers: hunter2"},
        {"context": "nowhere"},
        {"kubeconfig": "/proc/self/exe"},
    ],
    ids=str,
)
def test_none_that_could_be_read(params: Object) -> None:
    with pytest.raises(RtvirtError, match="kubeconfig") as failed:
        access_from(params)
    assert "hunter2" not in failed.value.message


def provider(name: str, **config: str) -> Object:
    return {"auth-provider": {"name": name, "config": config}}


@pytest.mark.parametrize(
    "params",
    [
        {"kubeconfig": kubeconfig({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "/bin/true"}})},
        {"kubeconfig": kubeconfig({**provider("oidc"), "token": "hunter2"})},
        {"kubeconfig": kubeconfig({"tokenFile": "/run/token"})},
        {"kubeconfig": kubeconfig({"username": "ada", "password": "hunter2"})},
        {"kubeconfig": kubeconfig({"token": None})},
        {"kubeconfig": kubeconfig({"token": ""})},
        {"kubeconfig": kubeconfig({"token": 7})},
        {"kubeconfig": kubeconfig(cluster={"proxy-url": "http://proxy.invalid"})},
        {"kubeconfig": kubeconfig(cluster={"certificate-authority-data": "!"})},
        {"kubeconfig": kubeconfig(cluster={"certificate-authority-data": base64.b64encode(b"no PEM").decode()})},
        {"kubeconfig": kubeconfig({"client-certificate": "/no/such/file", "client-key": "/no/such/file"})},
        {"kubeconfig": kubeconfig({"client-certificate-data": base64.b64encode(b"no PEM").decode()})},
        {"kubeconfig": {**kubeconfig(), "clusters": kubeconfig()["clusters"] * 2}},
        {"kubeconfig": kubeconfig(), "context": "three"},
        {"kubeconfig": kubeconfig(), "proxy": "http://proxy.invalid"},
        {"kubeconfig": kubeconfig(), "ca_cert": "/no/such/file"},
    ],
)
def test_what_is_left_to_the_client(params: Object, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Access("https://client.invalid", nobody, lambda: None)
    monkeypatch.setattr(authentication, "_by_the_client", lambda *_arguments, **_more: asked)
    assert access_from(params).host == "https://client.invalid"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTPS_PROXY", "http://proxy.invalid"),
        ("all_proxy", "http://proxy.invalid"),
        ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
        ("KUBECONFIG", "{home}/kubeconfig:{home}/other"),
    ],
)
def test_an_environment_that_is_left_to_the_client(
    name: str, value: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "kubeconfig").write_text(yaml.safe_dump(kubeconfig()))
    monkeypatch.setenv("KUBECONFIG", str(home / "kubeconfig"))
    assert read()[0] == "https://file.invalid"
    monkeypatch.setenv(name, value.format(home=home))
    monkeypatch.setattr(authentication, "_by_the_client", nobody)
    with pytest.raises(AssertionError):
        read()


def test_the_client_is_not_loaded_for_what_is_plain(tmp_path: Path) -> None:
    """That is what this reading is for."""
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(kubeconfig()))
    script = (
        f"import sys; from {authentication.__name__} import access_from; "
        f"access_from({{'kubeconfig': '{tmp_path}/kubeconfig'}}); print('kubernetes' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=in_path())
    assert done.stdout.strip() == "False"


def in_path() -> dict[str, str]:
    """The environment of a process that finds what this one finds."""
    return {"PYTHONPATH": ":".join(path for path in sys.path if path)}


# A server that asks for certificates


class Told(http.server.BaseHTTPRequestHandler):
    """Tells who asks."""

    def do_GET(self) -> None:
        connection = t.cast(ssl.SSLSocket, self.connection)
        subject = dict(pair for part in (connection.getpeercert() or {}).get("subject", ()) for pair in part)
        data = json.dumps({"name": subject.get("commonName"), "token": self.headers["Authorization"]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_arguments: t.Any) -> None:
        pass


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    authority = Authority(folder, "ca")
    authority.issue("server", "server", ["named.invalid"])
    authority.issue("ada", "ada", [])
    Authority(folder, "other-ca")
    return folder


@pytest.fixture(scope="module")
def server(keys: Path) -> t.Iterator[str]:
    """Its URL. Whoever has a certificate of the authority is let in, and whoever has none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keys / "server.crt", keys / "server.key")
    context.load_verify_locations(keys / "ca.crt")
    context.verify_mode = ssl.CERT_OPTIONAL
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Told) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with contextlib.ExitStack() as end:
            end.callback(thread.join)
            end.callback(server.shutdown)
            yield f"https://127.0.0.1:{server.server_port}"


def asked(**params: t.Any) -> Object:
    with Session(access_from(params)) as session:
        return session.get("/who")


def not_trusted(**params: t.Any) -> None:
    with Session(access_from(params)) as session, pytest.raises(ApiError) as failed:
        # Once, without the waits between several.
        session._request_once("GET", "/who", {}, None, "")
    assert "CERTIFICATE_VERIFY_FAILED" in failed.value.message or "doesn't match" in failed.value.message


def data(keys: Path, name: str) -> str:
    return base64.b64encode((keys / name).read_bytes()).decode()


@pytest.mark.usefixtures("reader")
class TestCertificates:
    def test_as_files(self, server: str, keys: Path) -> None:
        """Their paths start from the kubeconfig's folder."""
        user = {"client-certificate": "ada.crt", "client-key": "ada.key"}
        (keys / "kubeconfig").write_text(
            yaml.safe_dump(kubeconfig(user, {"certificate-authority": "ca.crt", "extensions": []}, server))
        )
        assert asked(kubeconfig=str(keys / "kubeconfig")) == {"name": "ada", "token": None}

    def test_as_data(self, server: str, keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Beside paths they go first, as the client has it."""
        user = {
            "client-certificate": "/no/such/file",
            "client-certificate-data": data(keys, "ada.crt"),
            "client-key-data": data(keys, "ada.key"),
            "token": "hunter2",
        }
        content = kubeconfig(user, {"certificate-authority-data": data(keys, "ca.crt")}, server)
        assert asked(kubeconfig=content) == {"name": "ada", "token": "Bearer hunter2"}

    def test_options(self, server: str, keys: Path) -> None:
        access = {"host": server, "ca_cert": str(keys / "ca.crt")}
        who = {"client_cert": str(keys / "ada.crt"), "client_key": str(keys / "ada.key")}
        assert asked(**access, **who) == {"name": "ada", "token": None}
        assert asked(**access, api_key="hunter2") == {"name": None, "token": "Bearer hunter2"}

    def test_an_authority_that_is_not_the_servers(self, server: str, keys: Path) -> None:
        not_trusted(host=server, api_key="hunter2", ca_cert=str(keys / "other-ca.crt"))
        # Nor is it one that this machine knows.
        not_trusted(host=server, api_key="hunter2")

    @pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
    def test_unverified(self, server: str) -> None:
        assert asked(host=server, api_key="hunter2", validate_certs=False)["token"] == "Bearer hunter2"
        content = kubeconfig(cluster={"insecure-skip-tls-verify": True}, server=server)
        assert asked(kubeconfig=content)["token"] == "Bearer hunter2-file"

    def test_another_name_of_the_server(self, server: str, keys: Path) -> None:
        def named(name: str) -> Object:
            cluster = {"certificate-authority-data": data(keys, "ca.crt"), "tls-server-name": name}
            return kubeconfig(cluster=cluster, server=server)

        assert asked(kubeconfig=named("named.invalid"))["token"] == "Bearer hunter2-file"
        not_trusted(kubeconfig=named("other.invalid"))


def test_an_authority_that_this_machine_knows(server: str, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Older clients have a list of authorities of their own."""
    monkeypatch.setattr(authentication, "_by_the_client", nobody)
    monkeypatch.setenv("SSL_CERT_FILE", str(keys / "ca.crt"))
    assert asked(host=server, api_key="hunter2")["token"] == "Bearer hunter2"


def test_no_key_stays_in_a_file(keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(authentication, "_by_the_client", nobody)
    user = {"client-certificate-data": data(keys, "ada.crt"), "client-key-data": data(keys, "ada.key")}
    access_from({"kubeconfig": kubeconfig(user)})
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("option", [name for name in AUTHENTICATION if name != "proxy_headers"])
def test_each_option_has_kubernetes_cores_variable(option: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {
        "validate_certs": "VERIFY_SSL", "ca_cert": "SSL_CA_CERT", "client_cert": "CERT_FILE", "client_key": "KEY_FILE",
    }  # fmt: skip
    value = "yes" if AUTHENTICATION[option]["type"] == "bool" else "/value"
    monkeypatch.setenv(f"K8S_AUTH_{names.get(option, option.upper())}", value)
    validator: t.Any = ArgumentSpecValidator
    given = validator(AUTHENTICATION).validate({})
    assert given.error_messages == []
    expected: t.Any = {"bool": True, "list": ["/value"]}.get(AUTHENTICATION[option]["type"], "/value")
    assert given.validated_parameters[option] == expected
    # What the task says comes before.
    if AUTHENTICATION[option]["type"] == "str":
        own = validator(AUTHENTICATION).validate({option: "task"})
        assert own.validated_parameters[option] == "task"
