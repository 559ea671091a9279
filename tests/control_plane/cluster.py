# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A control plane as the tests see it: where it is, its users and their tokens, and its components to be killed."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
import typing as t
from pathlib import Path

import yaml
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from ansible_collections.rtvirt.core.tests.control_plane.api import Api

SCRIPT = Path(__file__).resolve().parent / "control-plane"
ISSUER = "https://kubernetes.default.svc"
# kube-apiserver takes a token for this much longer than the token says.
LEEWAY = 60


class Cluster:
    """One that this kubeconfig leads to. ``folder`` is control-plane's state, None for another's cluster."""

    def __init__(self, kubeconfig: Path, folder: Path | None = None) -> None:
        self.kubeconfig = kubeconfig
        self.folder = folder
        content = yaml.safe_load(kubeconfig.read_text())
        self.url: str = content["clusters"][0]["cluster"]["server"]
        self.ca: str | None = content["clusters"][0]["cluster"].get("certificate-authority")
        self.token: str | None = content["users"][0]["user"].get("token")
        self.api = self.api_with(kubeconfig)

    @classmethod
    def of_environment(cls) -> Cluster | None:
        """The one that "control-plane run" or RTVIRT_TEST_KUBECONFIG says."""
        if kubeconfig := os.environ.get("RTVIRT_TEST_KUBECONFIG"):
            return cls(Path(kubeconfig))
        if folder := os.environ.get("RTVIRT_CONTROL_PLANE"):
            return cls(Path(folder) / "kubeconfig", Path(folder))
        return None

    @staticmethod
    def api_with(kubeconfig: Path) -> Api:
        return Api(str(kubeconfig), "rtvirt-tests")

    @property
    def simulated(self) -> Path:
        """The folder of a control plane that is ours."""
        assert self.folder is not None, "a cluster of somebody else: ask for the fixture `simulator`"
        return self.folder

    @property
    def audit_log(self) -> Path:
        return self.simulated / "audit.log"

    def script(self, *arguments: str) -> str:
        # What is started within a run goes with the run.
        environment = {**os.environ, "RTVIRT_CONTROL_PLANE_RUN": os.environ.get("RTVIRT_CONTROL_PLANE_RUN", "tests")}
        command = [str(SCRIPT), *arguments]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout

    def kill(self, component: str) -> None:
        self.script("kill", component)

    def restart(self, component: str) -> None:
        self.script("restart", component)

    # Users

    def token_of(self, user: str) -> str:
        """Of admin, or of viewer, editor, no-list and nobody, who may do nothing until a test gives them a role."""
        for line in (self.simulated / "tokens.csv").read_text().splitlines():
            token, name, *_rest = line.split(",")
            if name == user:
                return token
        raise KeyError(user)

    def write_kubeconfig(self, path: Path, token: str) -> Path:
        content = yaml.safe_load(self.kubeconfig.read_text())
        content["users"][0]["user"] = {"token": token}
        path.write_text(yaml.safe_dump(content))
        path.chmod(0o600)
        return path

    def request_token(self, namespace: str, account: str, seconds: int = 600) -> str:
        """A token as the API server itself gives it; ten minutes is the least it does."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": seconds},
        }
        return self.api.post(path, body)["status"]["token"]

    def signed_token(self, namespace: str, account: str, seconds: float) -> str:
        """A token that is good for this long, negative for one that was good once.

        Signed with the API server's own key, as it gives none of less than ten minutes. Whoever was let in with a token
        is let in for up to ten seconds more: kube-apiserver remembers that.
        """
        uid = self.api.get(f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}")["metadata"]["uid"]
        now = time.time()
        claims = {
            "iss": ISSUER,
            "aud": [ISSUER],
            "sub": f"system:serviceaccount:{namespace}:{account}",
            "iat": int(now) - 3600,
            "nbf": int(now) - 3600,
            "exp": int(now + seconds - LEEWAY),
            "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": account, "uid": uid}},
        }
        return signed(self.simulated / "certificates" / "service-account.key", claims)


def signed(key_file: Path, claims: dict[str, t.Any]) -> str:
    key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    text = ".".join(encoded(json.dumps(part).encode()) for part in ({"alg": "ES256", "typ": "JWT"}, claims))
    r, s = utils.decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{text}.{encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
