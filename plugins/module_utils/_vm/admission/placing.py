# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of labels, and of what they select: node selectors, affinity, spreading. Kubernetes' own.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

virt-api judges affinity and spreading when the VM is made; labels and node selectors only the start of its instance
or of its pod would, so that a mistake there is told here.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.report import (
    DNS_LABEL,
    POD,
    Report,
    is_dns_name,
)
from ansible_collections.rtvirt.core.plugins.module_utils.converters.overlay import Path

__all__ = ["check_placing"]

_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_METADATA: tuple[Path, ...] = (("metadata",), ("spec", "template", "metadata"))
_NAME_REMEDY = "write letters, digits and -_. in between, 63 at most, after a DNS name and / if any"

#: KubeVirt's own labels, which only its controllers may set.
_RESERVED = [
    f"kubevirt.io/{name}"
    for name in (
        "created-by",
        "migrationJobUID",
        "nodeName",
        "migrationTargetNodeName",
        "schedulable",
        "install-strategy",
    )
]

#: How many values an operator takes, at least and at most.
_COUNTS: dict[str, tuple[int, int]] = {
    "In": (1, 10**6),
    "NotIn": (1, 10**6),
    "Exists": (0, 0),
    "DoesNotExist": (0, 0),
    "Gt": (1, 1),
    "Lt": (1, 1),
}
_FIELD_OPERATORS = ("In", "NotIn")
_LABEL_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


def check_placing(report: Report) -> None:
    for at in _METADATA:
        metadata: t.Any = report.document
        for step in at:
            metadata = (metadata or {}).get(step)
        _check_metadata(report, at, metadata or {})
    _check_labels(report, (*POD, "nodeSelector"), report.spec.get("nodeSelector") or {})
    _check_tolerations(report)
    affinity = report.spec.get("affinity") or {}
    at = (*POD, "affinity")
    _check_node_affinity(report, (*at, "nodeAffinity"), affinity.get("nodeAffinity") or {})
    for kind in ("podAffinity", "podAntiAffinity"):
        _check_pod_affinity(report, (*at, kind), affinity.get(kind) or {})
    _check_spread(report)


def _check_metadata(report: Report, at: Path, metadata: dict[str, t.Any]) -> None:
    labels = metadata.get("labels") or {}
    _check_labels(report, (*at, "labels"), labels)
    for name in _RESERVED if len(at) > 1 else ():
        if name in labels:
            report.add((*at, "labels", name), "is KubeVirt's own label: leave it out")
    for key in metadata.get("annotations") or {}:
        _check_name(report, (*at, "annotations", key), key)


def _check_labels(report: Report, at: Path, labels: dict[str, str]) -> None:
    for key, value in labels.items():
        _check_name(report, (*at, key), key)
        if value and not _NAME.fullmatch(value):
            report.add(
                (*at, key), f"{value!r} is no label's value: write letters, digits and -_. in between, 63 at most"
            )


def _check_name(report: Report, at: Path, key: str) -> None:
    prefix, slash, name = str(key).rpartition("/")
    if not _NAME.fullmatch(name) or (slash and not is_dns_name(prefix)):
        report.add(at, f"{key!r} is no name of a label: {_NAME_REMEDY}")


def _check_tolerations(report: Report) -> None:
    for index, toleration in enumerate(report.spec.get("tolerations") or []):
        at = (*POD, "tolerations", index)
        if toleration.get("key"):
            _check_name(report, (*at, "key"), toleration["key"])
        elif toleration.get("operator") != "Exists":
            report.add((*at, "key"), "is missing: write a key, or operator Exists for all")
        if toleration.get("operator") == "Exists" and toleration.get("value"):
            report.add((*at, "value"), "stands beside operator Exists: leave it out, or write operator Equal")
        if toleration.get("value") and not _NAME.fullmatch(toleration["value"]):
            report.add((*at, "value"), f"{toleration['value']!r}: write letters, digits and -_. in between, 63 at most")
        if toleration.get("tolerationSeconds") is not None and toleration.get("effect") != "NoExecute":
            report.add((*at, "tolerationSeconds"), "is only for the effect NoExecute: write that, or leave it out")


def _check_node_affinity(report: Report, at: Path, affinity: dict[str, t.Any]) -> None:
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is not None:
        terms_at = (*at, "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms")
        terms = required.get("nodeSelectorTerms") or []
        if not terms:
            report.add(terms_at, "is missing: write at least one term, with matchExpressions")
        for index, term in enumerate(terms):
            _check_node_term(report, (*terms_at, index), term)
    for place, preferred in _weighted(report, at, affinity, "preference"):
        _check_node_term(report, place, preferred)


def _weighted(
    report: Report, at: Path, affinity: dict[str, t.Any], key: str
) -> t.Iterator[tuple[Path, dict[str, t.Any]]]:
    """(place, term) of what is preferred, which has a weight each."""
    for index, item in enumerate(affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or []):
        place = (*at, "preferredDuringSchedulingIgnoredDuringExecution", index)
        if not 1 <= (item.get("weight") or 0) <= 100:
            report.add((*place, "weight"), f"is {item.get('weight')}: write 1 to 100")
        if item.get(key) is None:
            report.add((*place, key), "is missing: write what is preferred")
        yield (*place, key), item.get(key) or {}


def _check_node_term(report: Report, at: Path, term: dict[str, t.Any]) -> None:
    for index, expression in enumerate(term.get("matchExpressions") or []):
        _check_expression(report, (*at, "matchExpressions", index), expression, tuple(_COUNTS))
    for index, expression in enumerate(term.get("matchFields") or []):
        place = (*at, "matchFields", index)
        if expression.get("key") != "metadata.name":
            report.add((*place, "key"), f"{expression.get('key')!r} is no field to select by: write metadata.name")
        values = expression.get("values") or []
        if expression.get("operator") not in _FIELD_OPERATORS:
            report.choice((*place, "operator"), expression.get("operator") or "", _FIELD_OPERATORS)
        elif len(values) != 1:
            report.add((*place, "values"), f"has {len(values)} values: a field is selected by one, write it")
        elif not is_dns_name(values[0]):
            report.add((*place, "values", 0), f"{values[0]!r} is no node's name")


def _check_expression(report: Report, at: Path, expression: dict[str, t.Any], operators: tuple[str, ...]) -> None:
    operator = expression.get("operator") or ""
    count = len(expression.get("values") or [])
    if operator not in operators:
        report.choice((*at, "operator"), operator, operators)
    else:
        least, most = _COUNTS[operator]
        if count < least:
            report.add(
                (*at, "values"), f"is missing: operator {operator} needs {'one value' if most == 1 else 'values'}"
            )
        elif count > most:
            report.add((*at, "values"), f"has {count} values: operator {operator} takes {most or 'none'}")
    _check_name(report, (*at, "key"), expression.get("key") or "")


def _check_pod_affinity(report: Report, at: Path, affinity: dict[str, t.Any]) -> None:
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    for index, term in enumerate(affinity.get(required) or []):
        _check_pod_term(report, (*at, required, index), term)
    for place, term in _weighted(report, at, affinity, "podAffinityTerm"):
        _check_pod_term(report, place, term)


def _check_pod_term(report: Report, at: Path, term: dict[str, t.Any]) -> None:
    _check_topology_key(report, at, term)
    for key in ("labelSelector", "namespaceSelector"):
        _check_selector(report, (*at, key), term.get(key) or {})
    for index, name in enumerate(term.get("namespaces") or []):
        if not DNS_LABEL.fullmatch(name):
            report.add((*at, "namespaces", index), f"{name!r} is no namespace: write lower-case letters, digits and -")


def _check_topology_key(report: Report, at: Path, term: dict[str, t.Any]) -> None:
    if not term.get("topologyKey"):
        report.add((*at, "topologyKey"), "is missing: write a label of nodes, such as kubernetes.io/hostname")
    else:
        _check_name(report, (*at, "topologyKey"), term["topologyKey"])


def _check_selector(report: Report, at: Path, selector: dict[str, t.Any]) -> None:
    _check_labels(report, (*at, "matchLabels"), selector.get("matchLabels") or {})
    for index, expression in enumerate(selector.get("matchExpressions") or []):
        place = (*at, "matchExpressions", index)
        _check_expression(report, place, expression, _LABEL_OPERATORS)
        for number, value in enumerate(expression.get("values") or []):
            if value and not _NAME.fullmatch(value):
                report.add((*place, "values", number), f"{value!r} is no label's value")


def _check_spread(report: Report) -> None:
    seen: set[t.Any] = set()
    for index, constraint in enumerate(report.spec.get("topologySpreadConstraints") or []):
        at = (*POD, "topologySpreadConstraints", index)
        if (constraint.get("maxSkew") or 1) < 1 or constraint.get("maxSkew") == 0:
            report.add((*at, "maxSkew"), f"is {constraint['maxSkew']}: write 1 or more")
        if constraint.get("topologyKey"):
            _check_name(report, (*at, "topologyKey"), constraint["topologyKey"])
        _check_selector(report, (*at, "labelSelector"), constraint.get("labelSelector") or {})
        kind = (constraint.get("topologyKey"), constraint.get("whenUnsatisfiable"))
        if kind in seen:
            report.add(at, "has the topologyKey and whenUnsatisfiable of another one: write them once")
        seen.add(kind)
