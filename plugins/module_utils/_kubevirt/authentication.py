# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a cluster is and who asks: kubernetes.core's options and environment variables, so that tasks of both agree.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

Documented in ``plugins/doc_fragments/kubernetes.py``.
"""

from __future__ import annotations

import dataclasses
import os
import traceback
import typing as t
import urllib.parse

from ansible.module_utils.common.parameters import env_fallback

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.kubeconfig import plain_access
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.session import Access
from ansible_collections.rtvirt.core.plugins.module_utils._vm import secrets

try:
    import urllib3
    import yaml

    _IMPORT_ERROR: str | None = None
except ImportError:
    _IMPORT_ERROR = traceback.format_exc()

__all__ = ["AUTHENTICATION", "access_from", "secrets_of"]


def _option(variable: str, kind: str = "str", **more: t.Any) -> dict[str, t.Any]:
    return {"type": kind, "fallback": (env_fallback, [f"K8S_AUTH_{variable}"]), **more}


AUTHENTICATION: dict[str, dict[str, t.Any]] = {
    # Not hidden as a whole: each of its strings would be blotted out of the result, "v1" among them. See secrets_of.
    "kubeconfig": _option("KUBECONFIG", "raw", no_log=False),
    "context": _option("CONTEXT"),
    "host": _option("HOST"),
    "api_key": _option("API_KEY", no_log=True),
    "username": _option("USERNAME"),
    "password": _option("PASSWORD", no_log=True),
    "validate_certs": _option("VERIFY_SSL", "bool", aliases=["verify_ssl"]),
    "ca_cert": _option("SSL_CA_CERT", "path", aliases=["ssl_ca_cert"]),
    "client_cert": _option("CERT_FILE", "path", aliases=["cert_file"]),
    "client_key": _option("KEY_FILE", "path", aliases=["key_file"], no_log=False),
    "proxy": _option("PROXY"),
    "no_proxy": _option("NO_PROXY"),
    "proxy_headers": {
        "type": "dict",
        "options": {
            "basic_auth": _option("PROXY_HEADERS_BASIC_AUTH", no_log=True),
            "proxy_basic_auth": _option("PROXY_HEADERS_PROXY_BASIC_AUTH", no_log=True),
            "user_agent": _option("PROXY_HEADERS_USER_AGENT"),
        },
    },
    "persist_config": _option("PERSIST_CONFIG", "bool"),
    "impersonate_user": _option("IMPERSONATE_USER"),
    "impersonate_groups": _option("IMPERSONATE_GROUPS", "list", elements="str"),
}

#: Keys of a kubeconfig's users whose values are secrets.
_SECRET_KEYS = ("token", "password", "client-key-data", "id-token", "refresh-token", "access-token", "client-secret")


def access_from(params: t.Mapping[str, t.Any]) -> Access:
    """:raises RtvirtError: where no cluster is named, or its kubeconfig cannot be read."""
    if _IMPORT_ERROR is not None:
        raise _missing(_IMPORT_ERROR)
    given = params.get("kubeconfig")
    if given is not None and not isinstance(given, dict) and not secrets.is_path(given):
        raise RtvirtError("kubeconfig: is text: write its path, or its contents as a mapping (the filter from_yaml)")
    who = params.get("api_key") or params.get("password") or params.get("client_cert")
    more = not (params.get("host") and who)
    access = plain_access(params, from_kubeconfig=more) or _by_the_client(params, from_kubeconfig=more)
    if "://" not in access.host:
        raise RtvirtError(f"host: is {access.host!r}: write a URL, https://{access.host}")
    return dataclasses.replace(access, headers=_headers(params))


def _missing(trace: str) -> RtvirtError:
    return RtvirtError(
        "the Python library kubernetes is not installed on this host for the interpreter that runs the module: "
        "install kubernetes by pip, or python3-kubernetes",
        exception=trace,
    )


def _by_the_client(params: t.Mapping[str, t.Any], *, from_kubeconfig: bool) -> Access:
    """The way to a cluster as the Python client finds it: with its proxy, and tokens that renew themselves."""
    try:
        import kubernetes
    except ImportError as error:
        raise _missing(traceback.format_exc()) from error
    configuration = kubernetes.client.Configuration()
    if from_kubeconfig:
        _load(kubernetes.config, params, configuration)
    for option, attribute in (
        ("host", "host"),
        ("validate_certs", "verify_ssl"),
        ("ca_cert", "ssl_ca_cert"),
        ("client_cert", "cert_file"),
        ("client_key", "key_file"),
        ("proxy", "proxy"),
        ("no_proxy", "no_proxy"),
    ):
        if params.get(option) is not None:
            setattr(configuration, attribute, params[option])
    if params.get("api_key"):
        configuration.refresh_api_key_hook = None
        configuration.api_key = {"authorization": f"Bearer {params['api_key']}"}
        configuration.api_key_prefix = {}

    def pool(connections: int) -> t.Any:
        configuration.connection_pool_maxsize = connections
        return kubernetes.client.rest.RESTClientObject(configuration).pool_manager

    def authorization() -> str | None:
        return configuration.auth_settings().get("BearerToken", {}).get("value")

    return Access(configuration.host, pool, authorization)


def _load(config: t.Any, params: t.Mapping[str, t.Any], configuration: t.Any) -> None:
    """From a kubeconfig; without one, from the pod that we run in, else the user's own.

    :arg config: the module ``kubernetes.config``.
    """
    given, context = params.get("kubeconfig"), params.get("context")
    chosen = {"context": context, "client_configuration": configuration}
    if params.get("persist_config") is not None:
        chosen["persist_config"] = params["persist_config"]
    try:
        if isinstance(given, dict):
            config.load_kube_config_from_dict(given, **chosen)
        elif given is not None or context is not None:
            config.load_kube_config(None if given is None else os.path.expanduser(str(given)), **chosen)
        else:
            try:
                config.load_incluster_config(client_configuration=configuration)
            except config.ConfigException:
                config.load_kube_config(**chosen)
    except (config.ConfigException, OSError, yaml.YAMLError, TypeError, ValueError, AttributeError, KeyError) as error:
        remedy = "set kubeconfig, or host with api_key"
        # The library quotes what it could not read: never more than its first line, and nothing of a dict.
        reason = "its contents are not a kubeconfig" if isinstance(given, dict) else str(error).split("\n", 1)[0]
        where = f"{given}: " if isinstance(given, str) and given not in reason else ""
        raise RtvirtError(f"kubeconfig: {where}{reason}: {remedy}") from error


def _headers(params: t.Mapping[str, t.Any]) -> tuple[tuple[str, str], ...]:
    made = {key: value for key, value in (params.get("proxy_headers") or {}).items() if value is not None}
    if params.get("username") and params.get("password"):
        # The API server takes no passwords; a proxy before it may.
        made["basic_auth"] = f"{params['username']}:{params['password']}"
    headers = [*urllib3.make_headers(**made).items()]
    if params.get("impersonate_user"):
        headers.append(("Impersonate-User", params["impersonate_user"]))
    return (*headers, *(("Impersonate-Group", group) for group in params.get("impersonate_groups") or []))


def secrets_of(params: t.Mapping[str, t.Any]) -> set[str]:
    """Values of the options of a cluster that must not be printed, wherever they turn up."""
    kubeconfig = params.get("kubeconfig")
    urls = (str(params.get(option) or "") for option in ("host", "proxy"))
    found = {password for url in urls if (password := urllib.parse.urlsplit(url).password)}
    if kubeconfig is not None and not isinstance(kubeconfig, dict):
        return found if secrets.is_path(kubeconfig) else {*found, str(kubeconfig)}
    waiting: list[t.Any] = [(kubeconfig or {}).get("users")]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            found.update(item for key, item in value.items() if key in _SECRET_KEYS and isinstance(item, str))
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return found
