# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options of a cluster; their argument spec is ``module_utils/_kubevirt/authentication.py``."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - Path of a kubeconfig, or its contents as a mapping. Environment variable E(K8S_AUTH_KUBECONFIG).
      - Where neither it nor O(host) is given, the service account of the pod that the module runs in, else the
        kubeconfig of its user.
    type: raw
  context:
    description: Context of the kubeconfig. Environment variable E(K8S_AUTH_CONTEXT).
    type: str
  host:
    description: URL of the API server. Environment variable E(K8S_AUTH_HOST).
    type: str
  api_key:
    description: Bearer token. Environment variable E(K8S_AUTH_API_KEY).
    type: str
  username:
    description: User name for a proxy that asks for one. Environment variable E(K8S_AUTH_USERNAME).
    type: str
  password:
    description: Its password. Environment variable E(K8S_AUTH_PASSWORD).
    type: str
  validate_certs:
    description: Whether the API server's certificate is verified. Environment variable E(K8S_AUTH_VERIFY_SSL).
    type: bool
    aliases: [verify_ssl]
  ca_cert:
    description: Path of the CA's certificate. Environment variable E(K8S_AUTH_SSL_CA_CERT).
    type: path
    aliases: [ssl_ca_cert]
  client_cert:
    description: Path of a client certificate. Environment variable E(K8S_AUTH_CERT_FILE).
    type: path
    aliases: [cert_file]
  client_key:
    description: Path of the client certificate's key. Environment variable E(K8S_AUTH_KEY_FILE).
    type: path
    aliases: [key_file]
  proxy:
    description: URL of an HTTP proxy. Environment variable E(K8S_AUTH_PROXY).
    type: str
  no_proxy:
    description: Hosts that are reached without it, with commas between them. Environment variable E(K8S_AUTH_NO_PROXY).
    type: str
  proxy_headers:
    description: Headers for a proxy.
    type: dict
    suboptions:
      basic_auth:
        description: C(user:password). Environment variable E(K8S_AUTH_PROXY_HEADERS_BASIC_AUTH).
        type: str
      proxy_basic_auth:
        description: The same for the proxy itself. Environment variable E(K8S_AUTH_PROXY_HEADERS_PROXY_BASIC_AUTH).
        type: str
      user_agent:
        description: User agent. Environment variable E(K8S_AUTH_PROXY_HEADERS_USER_AGENT).
        type: str
  persist_config:
    description: Whether renewed tokens are written to the kubeconfig. Environment variable E(K8S_AUTH_PERSIST_CONFIG).
    type: bool
  impersonate_user:
    description: User to act as. Environment variable E(K8S_AUTH_IMPERSONATE_USER).
    type: str
  impersonate_groups:
    description: Groups to act as. Environment variable E(K8S_AUTH_IMPERSONATE_GROUPS), commas between them.
    type: list
    elements: str
requirements:
  - kubernetes (the Python library, 28.1.0 or newer) on the host that the module runs on
"""
