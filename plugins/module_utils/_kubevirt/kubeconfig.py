# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters that are reached by what options and a kubeconfig say as it is: an address, certificates and a token.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

The Python client ``kubernetes`` takes longer to be imported than a task takes for 200 VMs (0.15 to 0.2 s, version 37 on
Python 3.11), and most kubeconfigs need nothing that it can do. They are read here. What is not plain is not: a program
or an identity provider that hands out tokens, several files, a proxy; nor is a mistake, of which the client tells.
"""

from __future__ import annotations

import base64
import contextlib
import os
import ssl
import tempfile
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.session import Access

try:
    import urllib3
    import yaml
except ImportError:  # authentication.py tells
    pass

__all__ = ["plain_access"]

#: Environment variables of proxies, in small letters.
_PROXIES = ("all_proxy", "http_proxy", "https_proxy")

#: What may stand in a cluster and a user beside names and extensions, as
#: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/ has it.
_CLUSTER = {"certificate-authority", "certificate-authority-data", "server", "tls-server-name"}
_USER = {"client-certificate", "client-certificate-data", "client-key", "client-key-data", "token"}

#: The path of a file, or what would stand in it.
_Material = t.Union[str, bytes, None]


def plain_access(params: t.Mapping[str, t.Any], *, from_kubeconfig: bool) -> Access | None:
    """The way to a cluster; ``None`` where it is not plain.

    :arg params: the options of ``authentication.py``, which go before the kubeconfig's.
    :arg from_kubeconfig: whether there is one to be read.
    """
    if params.get("proxy") or any(value and name.lower() in _PROXIES for name, value in os.environ.items()):
        return None
    try:
        cluster, user, folder = _entries(params) if from_kubeconfig else ({}, {}, "")
        host = params.get("host") or cluster["server"]
        verified = params.get("validate_certs")
        if verified is None:
            verified = not cluster.get("insecure-skip-tls-verify", False)
        more: dict[str, t.Any] = {}
        if host.startswith("https:"):
            more["ssl_context"] = _tls(
                verified,
                params.get("ca_cert") or _material(cluster, "certificate-authority", folder),
                params.get("client_cert") or _material(user, "client-certificate", folder),
                params.get("client_key") or _material(user, "client-key", folder),
            )
            if "tls-server-name" in cluster:
                more["server_hostname"] = cluster["tls-server-name"]
    except (AttributeError, KeyError, OSError, TypeError, ValueError, yaml.YAMLError):
        return None
    token = params.get("api_key") or user.get("token")
    return Access(
        host,
        pool=lambda connections: urllib3.PoolManager(maxsize=connections, **more),
        authorization=lambda: f"Bearer {token}" if token else None,
    )


def _entries(params: t.Mapping[str, t.Any]) -> tuple[dict[str, t.Any], dict[str, t.Any], str]:
    """The cluster and the user of a kubeconfig's context, and the folder that its paths start from.

    :raises ValueError: where they say more than is known here; and other errors of values that are not as expected.
    """
    given, context = params.get("kubeconfig"), params.get("context")
    if given is None and context is None and os.environ.get("KUBERNETES_SERVICE_HOST"):
        raise ValueError("a pod knows its cluster")
    folder = ""
    if not isinstance(given, dict):
        path = os.path.expanduser(str(given or os.environ.get("KUBECONFIG") or "~/.kube/config"))
        folder = os.path.dirname(path)
        with open(path, encoding="utf-8") as file:
            given = yaml.load(file, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    chosen = _named(given["contexts"], context or given["current-context"])["context"]
    cluster = _named(given["clusters"], chosen["cluster"])["cluster"]
    user = _named(given["users"], chosen["user"])["user"]
    texts = {key: value for key, value in cluster.items() if key not in ("extensions", "insecure-skip-tls-verify")}
    known = {*texts} <= _CLUSTER and {*user} <= _USER
    if not known or not all(isinstance(value, str) and value for value in (*texts.values(), *user.values())):
        raise ValueError("more than is known here")
    return cluster, user, folder


def _named(items: t.Any, name: str) -> t.Any:
    (found,) = (item for item in items if item["name"] == name)
    return found


def _material(entry: t.Mapping[str, str], key: str, folder: str) -> _Material:
    if f"{key}-data" in entry:
        return base64.b64decode(entry[f"{key}-data"])
    return os.path.join(folder, entry[key]) if key in entry else None


def _tls(verified: bool, authority: _Material, certificate: _Material, key: _Material) -> ssl.SSLContext:
    """:raises OSError, ValueError: where a file or what stands in it cannot be read."""
    # urllib3's own, as the client library has it: what it asks of certificates differs between Python's versions.
    context = urllib3.util.ssl_.create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED if verified else ssl.CERT_NONE)
    if isinstance(authority, bytes):
        context.load_verify_locations(cadata=authority.decode("ascii"))
    elif authority is not None:
        context.load_verify_locations(cafile=authority)
    else:
        context.load_default_certs()
    if certificate is not None:
        with _path(certificate) as certificate_path, _path(key) as key_path:
            context.load_cert_chain(certificate_path or "", key_path)
    return context


@contextlib.contextmanager
def _path(material: _Material) -> t.Iterator[str | None]:
    """OpenSSL takes certificates and keys by file names only. Ours is readable for nobody else, and goes at once."""
    if not isinstance(material, bytes):
        yield material
        return
    with tempfile.NamedTemporaryFile() as file:
        file.write(material)
        file.flush()
        yield file.name
