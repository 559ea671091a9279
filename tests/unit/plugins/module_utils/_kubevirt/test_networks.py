# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of a cluster about VMs' networks, and what is said where it does not answer."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.networks import check_networks
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.plan import VmPlan, plan_vm
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.session import ApiError
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import from_options

Object = dict[str, t.Any]

BOUND = {"name": "data", "binding": {"name": "vdpa"}, "network": {"multus": {"networkName": "lan"}}}
KUBEVIRTS = "/apis/kubevirt.io/v1/kubevirts"
DEFINITIONS = "/apis/k8s.cni.cncf.io/v1/namespaces/ns/network-attachment-definitions"


class Answers:
    """A session that answers lists, with an error where a number is given."""

    def __init__(self, **answers: t.Any) -> None:
        self.answers = {KUBEVIRTS: answers.get("kubevirts", 404), DEFINITIONS: answers.get("definitions", 404)}
        self.asked: list[str] = []

    def pages(self, path: str) -> t.Iterator[Object]:
        self.asked.append(path)
        answer = self.answers[path]
        if isinstance(answer, int):
            raise ApiError("no", answer)
        yield {"items": answer}


def plan(*interfaces: Object, state: str = "present") -> VmPlan:
    manifest = from_options({"name": "vm", "namespace": "ns", "memory": "1Gi", "interfaces": [*interfaces]})
    return plan_vm(manifest, "ns", None, t.cast(t.Any, state))


def told(session: Answers, *plans: VmPlan) -> str:
    with pytest.raises(DeclarationError) as error:
        check_networks(t.cast(t.Any, session), plans)
    return error.value.message


@pytest.mark.parametrize("status", [403, 404])
def test_what_is_not_answered_is_left_to_the_server(status: int) -> None:
    session = Answers(kubevirts=status, definitions=status)
    check_networks(t.cast(t.Any, session), [plan(BOUND)])
    assert session.asked == [KUBEVIRTS, DEFINITIONS]


def test_another_error_is_one() -> None:
    with pytest.raises(ApiError):
        check_networks(t.cast(t.Any, Answers(kubevirts=500)), [plan(BOUND)])


def test_nothing_is_asked_where_nothing_is_needed() -> None:
    session = Answers()
    pod = {"name": "default", "masquerade": {}, "network": {"pod": {}}}
    check_networks(t.cast(t.Any, session), [plan(pod), plan(), plan(BOUND, state="absent")])
    assert session.asked == []


def test_all_that_is_missing_is_told_once() -> None:
    session = Answers(kubevirts=[{"spec": {}}], definitions=[])
    message = told(session, plan(BOUND), plan(BOUND))
    assert message.startswith("2 problems: interfaces[0].binding (")
    assert "no binding plugin vdpa" in message
    assert "no NetworkAttachmentDefinition lan in namespace ns, which has none" in message
    assert session.asked == [KUBEVIRTS, DEFINITIONS]


def test_what_is_there_is_right() -> None:
    registered = {"spec": {"configuration": {"network": {"binding": {"vdpa": {}}}}}}
    session = Answers(kubevirts=[registered], definitions=[{"metadata": {"name": "lan"}}])
    check_networks(t.cast(t.Any, session), [plan(BOUND)])
