# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tables of mistakes share: declarations that are right but for a case, and how a case is held."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.cluster import CLUSTER_RULES
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.rules import admit
from ansible_collections.rtvirt.core.plugins.module_utils._vm.declaration import Options

Given = dict[str, t.Any]
Table = dict[str, tuple[Given, str, str]]


def vm(**options: t.Any) -> Given:
    """A VM with memory, but for what a case takes away (None) or sets."""
    return {key: value for key, value in {"name": "vm1", "memory": "2Gi", **options}.items() if value is not None}


def pod(**spec: t.Any) -> Given:
    return vm(spec=spec)


def domain(**parts: t.Any) -> Given:
    return pod(domain=parts)


def machine(**spec: t.Any) -> Given:
    return vm(definition={"spec": spec})


def devices(**parts: t.Any) -> Given:
    return domain(devices=parts)


def disk(volume: t.Any = None, **more: t.Any) -> Given:
    used = {"persistentVolumeClaim": {"claimName": "a"}} if volume is None else volume
    return vm(disks=[{"name": "root", "volume": used, **more}])


def nic(network: t.Any = None, **more: t.Any) -> Given:
    item = {"name": "lan", "network": {"multus": {"networkName": "lan"}} if network is None else network}
    bound = {"bridge", "masquerade", "sriov", "binding", "passtBinding"} & more.keys()
    return vm(interfaces=[{**item, **({} if bound else {"bridge": {}}), **more}])


def assert_told(case: tuple[Given, str, str]) -> None:
    """The mistake is told by its option's path, with what would be right."""
    options, path, remedy = case
    with pytest.raises(DeclarationError) as refused:
        admit([Options(options)], CLUSTER_RULES)
    problems = [(problem.path, problem.message) for problem in refused.value.problems]
    assert [message for found, message in problems if found == path and remedy in message], problems
