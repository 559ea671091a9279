# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A network's declaration to a ``NetworkAttachmentDefinition`` (k8s.cni.cncf.io/v1), by which a VM has it over Multus.

A declaration has a name and one kind, whose mapping holds the options of that CNI plugin under the plugin's own names.
They are those of containernetworking/plugins (``bridge``, ``tuning``), k8snetworkplumbingwg/sriov-cni and ovs-cni,
kubevirt/macvtap-cni and intel/userspace-cni-network-plugin; OpenShift has the first two as ``cnv-bridge`` and
``cnv-tuning``.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem
from ansible_collections.rtvirt.core.plugins.module_utils.converters.overlay import overlay

__all__ = ["API_VERSION", "KINDS", "network_attachment"]

API_VERSION = "k8s.cni.cncf.io/v1"

#: By which Multus asks a node's device plugin for the network's device.
_RESOURCE = "k8s.v1.cni.cncf.io/resourceName"

_CNI_VERSION = "0.3.1"

_VLAN = range(4095)
_MTU = range(68, 65536)
_RATE = range(2**32)
_SWITCH = ("on", "off")

#: What may be said of a network, whatever its kind.
_COMMON: dict[str, t.Any] = {
    **dict.fromkeys(("name", "namespace", "cni_version", "resource_name"), str),
    **dict.fromkeys(("labels", "annotations", "capabilities", "ipam"), dict),
}

#: The options of each plugin: a type, texts to choose from, or the range of a number.
KINDS: dict[str, dict[str, t.Any]] = {
    "bridge": {
        "type": ("bridge", "cnv-bridge"),
        **dict.fromkeys(("bridge", "ipMasqBackend"), str),
        **dict.fromkeys(("disableContainerInterface", "enabledad", "forceAddress", "hairpinMode", "ipMasq"), bool),
        **dict.fromkeys(("isDefaultGateway", "isGateway", "macspoofchk", "portIsolation", "preserveDefaultVlan"), bool),
        "promiscMode": bool,
        "mtu": _MTU,
        "vlan": _VLAN,
        "vlanTrunk": list,
    },
    "macvtap": {"group": _RATE, "mac": str, "mtu": _MTU, "owner": _RATE, "promiscMode": bool},
    "ovs": {
        **dict.fromkeys(("bridge", "configuration_path", "interface_type", "socket_file"), str),
        **dict.fromkeys(("link_state_check_interval", "link_state_check_retries"), _RATE),
        "mtu": _MTU,
        "ofport_request": range(1, 65280),
        "trunk": list,
        "vlan": _VLAN,
    },
    "sriov": {
        **dict.fromkeys(("logFile", "logLevel", "mac"), str),
        **dict.fromkeys(("max_tx_rate", "min_tx_rate"), _RATE),
        **dict.fromkeys(("spoofchk", "trust"), _SWITCH),
        "link_state": ("auto", "enable", "disable"),
        "vlan": _VLAN,
        "vlanProto": ("802.1q", "802.1ad"),
        "vlanQoS": range(8),
    },
    "userspace": {
        **dict.fromkeys(("kubeconfig", "logFile", "logLevel", "sharedDir"), str),
        **dict.fromkeys(("container", "host"), dict),
    },
}

#: The plugin that changes an interface which another has made.
_TUNING: dict[str, t.Any] = {
    "type": ("tuning", "cnv-tuning"),
    **dict.fromkeys(("dataDir", "mac"), str),
    **dict.fromkeys(("allmulti", "promisc"), bool),
    "mtu": _MTU,
    "sysctl": dict,
    "txQLen": _RATE,
}

#: Either end of a vhost-user interface, as userspace CNI has it.
_END: dict[str, t.Any] = {
    "bridge": dict,
    "engine": ("ovs-dpdk",),
    "iftype": ("vhostuser",),
    "netType": ("none", "bridge", "interface"),
    "vhost": dict,
}

#: QEMU is the server of the socket, and Open vSwitch connects to it: so either may be started anew.
_USERSPACE: dict[str, t.Any] = {
    "host": {"engine": "ovs-dpdk", "iftype": "vhostuser", "netType": "bridge", "vhost": {"mode": "client"}},
    "container": {"engine": "ovs-dpdk", "iftype": "vhostuser", "netType": "interface", "vhost": {"mode": "server"}},
}

#: Where Multus leaves the credentials by which the plugin reads a pod's shared folder.
_KUBECONFIG = "/etc/cni/net.d/multus.d/multus.kubeconfig"

#: Kinds whose device is a device plugin's -> an example of its name.
_OF_DEVICE_PLUGINS = {"macvtap": "macvtap.network.kubevirt.io/dataplane", "sriov": "intel.com/sriov_net_a"}


def network_attachment(declaration: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Convert a network's declaration.

    :raises DeclarationError: with all that is wrong with it.
    """
    given = {key: value for key, value in declaration.items() if value is not None}
    problems = [*_check_common(given)]
    kinds = [kind for kind in KINDS if kind in given]
    if len(kinds) != 1:
        problems.append(
            Problem("kind", f"is {' and '.join(kinds) or 'missing'}: write exactly one of {_listed(KINDS)}")
        )
    parts: dict[str, dict[str, t.Any]] = {}
    for part, fields in (*((kind, KINDS[kind]) for kind in kinds), ("tuning", _TUNING)):
        if part in given:
            parts[part], wrong = _read(part, given[part], fields)
            problems += wrong
    if not problems:
        problems += _check_kind(given, kinds[0], parts[kinds[0]])
    if problems:
        raise DeclarationError(problems)
    return _document(given, _config(given, kinds[0], parts))


def _check_common(given: t.Mapping[str, t.Any]) -> t.Iterator[Problem]:
    known = {**_COMMON, **dict.fromkeys((*KINDS, "tuning"), dict)}
    yield from _read("", {key: value for key, value in given.items() if key not in {*KINDS, "tuning"}}, known)[1]
    if not given.get("name"):
        yield Problem("name", "is missing: write the network's name")


def _read(part: str, value: t.Any, fields: t.Mapping[str, t.Any]) -> tuple[dict[str, t.Any], list[Problem]]:
    """The options of a part as they are meant, and what is wrong with them."""
    if not isinstance(value, dict):
        return {}, [Problem(part, f"is {value!r}: write a mapping")]
    found: dict[str, t.Any] = {}
    problems: list[Problem] = []
    for key, item in value.items():
        path = f"{part}.{key}" if part else str(key)
        if key not in fields:
            problems.append(Problem(path, f"there is no such option: write {_listed(sorted(fields))}"))
            continue
        found[key] = _settled(item, fields[key])
        wanted = _wanted(found[key], fields[key])
        if wanted:
            problems.append(Problem(path, f"is {item!r}: write {wanted}"))
    return found, problems


def _settled(value: t.Any, field: t.Any) -> t.Any:
    """Templates give text for numbers before ansible-core 2.19, and YAML reads on and off as true and false."""
    if isinstance(field, range) and isinstance(value, str) and value.isdigit():
        return int(value)
    return _SWITCH[not value] if field is _SWITCH and isinstance(value, bool) else value


def _wanted(value: t.Any, field: t.Any) -> str:
    """What would be right in a value's place; empty where it is right."""
    if isinstance(field, tuple):
        return "" if value in field else _listed(field)
    if isinstance(field, range):
        fits = isinstance(value, int) and not isinstance(value, bool) and value in field
        return "" if fits else f"a number from {field[0]} to {field[-1]}"
    names = {bool: "true or false", dict: "a mapping", list: "a list", str: "text"}
    return "" if isinstance(value, field) else names[field]


def _check_kind(given: t.Mapping[str, t.Any], kind: str, options: dict[str, t.Any]) -> t.Iterator[Problem]:
    """What only one kind has to say, of options of the right type."""
    if kind in _OF_DEVICE_PLUGINS and not given.get("resource_name"):
        example = _OF_DEVICE_PLUGINS[kind]
        yield Problem("resource_name", f"is missing: write what the device plugin calls the devices, as {example}")
    if kind == "bridge" and not options.get("bridge"):
        yield Problem("bridge.bridge", "is missing: write the name of the nodes' bridge, such as br1")
    # A bridge has no port that is in VLAN 0.
    for key, known in (("vlanTrunk", _VLAN[1:]), ("trunk", _VLAN)):
        yield from _check_trunk(f"{kind}.{key}", options.get(key) or [], known)
    if kind == "sriov":
        yield from _check_sriov(options)
    if kind == "userspace":
        yield from _check_userspace(given, options)


def _check_sriov(options: dict[str, t.Any]) -> t.Iterator[Problem]:
    most = options.get("max_tx_rate") or _RATE[-1]
    if options.get("min_tx_rate", 0) > most:
        yield Problem("sriov.min_tx_rate", f"is above max_tx_rate, {most}: write less")
    for key in ("vlanQoS", "vlanProto"):
        if key in options and not options.get("vlan"):
            yield Problem(f"sriov.{key}", "is a VLAN's: write vlan, from 1 to 4094")


def _check_trunk(path: str, trunk: list[t.Any], known: range) -> t.Iterator[Problem]:
    for index, item in enumerate(trunk):
        keys = {*item} if isinstance(item, dict) else set()
        if keys not in ({"id"}, {"minID", "maxID"}):
            yield Problem(f"{path}[{index}]", f"is {item!r}: write id, or minID and maxID")
            continue
        wrong = {key: wanted for key in sorted(keys) if (wanted := _wanted(item[key], known))}
        for key, wanted in wrong.items():
            yield Problem(f"{path}[{index}].{key}", f"is {item[key]!r}: write {wanted}")
        if not wrong and "maxID" in item and item["maxID"] < item["minID"]:
            yield Problem(f"{path}[{index}].maxID", f"is below minID, {item['minID']}: write that or more")


def _check_userspace(given: t.Mapping[str, t.Any], options: dict[str, t.Any]) -> t.Iterator[Problem]:
    if "tuning" in given:
        yield Problem("tuning", "has no interface to change, as userspace makes a socket: leave it out")
    if "kubeconfig" in options and "sharedDir" in options:
        yield Problem("userspace.sharedDir", "stands beside kubeconfig: write one of them")
    for end in ("host", "container"):
        yield from _read(f"userspace.{end}", options.get(end) or {}, _END)[1]
    host = options.get("host") or {}
    if not isinstance(host.get("bridge"), dict) or not host["bridge"].get("bridgeName"):
        yield Problem("userspace.host.bridge.bridgeName", "is missing: write Open vSwitch's bridge, such as br-dpdk0")
    if isinstance(host.get("vhost"), dict) and host["vhost"].get("mode", "client") != "client":
        reason = "a port of type dpdkvhostuser, after whose switch is restarted every VM has to be, too"
        yield Problem("userspace.host.vhost.mode", f"is {host['vhost']['mode']!r}, {reason}: write client")


def _config(given: t.Mapping[str, t.Any], kind: str, parts: dict[str, dict[str, t.Any]]) -> dict[str, t.Any]:
    head = {"cniVersion": given.get("cni_version", _CNI_VERSION), "name": given["name"]}
    plugin = {"type": kind, **(_userspace(parts[kind]) if kind == "userspace" else parts[kind])}
    for key in ("capabilities", "ipam"):
        if key in given:
            plugin[key] = given[key]
    if "tuning" not in parts:
        return {**plugin, **head}
    return {**head, "plugins": [plugin, {"type": "tuning", **parts["tuning"]}]}


def _userspace(options: dict[str, t.Any]) -> dict[str, t.Any]:
    whole = t.cast("dict[str, t.Any]", overlay(_USERSPACE, options))
    return whole if "sharedDir" in whole else {"kubeconfig": _KUBECONFIG, **whole}


def _document(given: t.Mapping[str, t.Any], config: dict[str, t.Any]) -> dict[str, t.Any]:
    metadata: dict[str, t.Any] = {"name": given["name"]}
    annotations = dict(given.get("annotations") or {})
    if given.get("resource_name"):
        annotations[_RESOURCE] = given["resource_name"]
    for key, value in (
        ("namespace", given.get("namespace")),
        ("labels", _texts(given.get("labels") or {})),
        ("annotations", _texts(annotations)),
    ):
        if value:
            metadata[key] = value
    # In an order that never changes: it is compared as the text that it is.
    text = json.dumps(config, sort_keys=True, indent=1) + "\n"
    return {
        "apiVersion": API_VERSION,
        "kind": "NetworkAttachmentDefinition",
        "metadata": metadata,
        "spec": {"config": text},
    }


def _texts(values: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Kubernetes takes text alone, and YAML makes numbers of what looks like one."""
    return {key: str(value) if type(value) in (int, float) else value for key, value in values.items()}


def _listed(values: t.Iterable[str]) -> str:
    *head, last = values
    return f"{', '.join(head)} or {last}" if head else last
