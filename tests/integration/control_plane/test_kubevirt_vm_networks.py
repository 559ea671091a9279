# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""vhost-user interfaces and networks of Multus: what the cluster lacks for them is told before a VM is made."""

from __future__ import annotations

import copy
import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.tests.control_plane.api import Object
from ansible_collections.rtvirt.core.tests.control_plane.cluster import Cluster
from ansible_collections.rtvirt.core.tests.integration.control_plane.bed import AGENT, Bed
from ansible_collections.rtvirt.core.tests.integration.control_plane.kubevirt import (
    DRY,
    GATE,
    Configuration,
    add_definition,
    kept,
)
from ansible_collections.rtvirt.core.tests.integration.control_plane.task import TaskError, run, run_one
from ansible_collections.rtvirt.core.tests.integration.control_plane.test_kubevirt_vm_faults import (
    as_user,
    bind,
    patient,
)

# They change what the whole cluster has.
pytestmark = pytest.mark.alone

CLAIM: Object = {
    "hugepages": "2Mi",
    "interfaces": [
        {
            "name": "data",
            "macAddress": "52:54:00:00:00:01",
            "vhostuser": {},
            "network": {"resourceClaim": {"claimName": "dpdk", "requestName": "port"}},
        }
    ],
    "spec": {"resourceClaims": [{"name": "dpdk", "resourceClaimTemplateName": "vhost-port"}]},
}
BOUND = {"name": "data", "macAddress": "52:54:00:00:00:01", "binding": {"name": "vhostuser"}}
NOT_ENABLED = f"contains DRA networks but {GATE} feature gate is not enabled"


def attached(name: str, binding: str = "bridge") -> Object:
    return {"interfaces": [{"name": "lan", binding: {}, "network": {"multus": {"networkName": name}}}]}


@pytest.fixture
def configuration(bed: Bed) -> t.Iterator[Configuration]:
    with kept(Configuration(bed)) as configuration:
        yield configuration


@pytest.fixture
def ready(configuration: Configuration) -> Configuration:
    """A cluster that can do all of it."""
    configuration.set(gate=True, bindings=["vhostuser"])
    configuration.is_followed(gate=True)
    return configuration


def instance(bed: Bed) -> Object:
    """The VM's template as an instance of its own, which its start would make: virt-api's verdict."""
    body = {"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstance", "metadata": {"name": "vm"}}
    path = f"{bed.folder}/virtualmachineinstances{DRY}"
    return bed.api.post(path, {**body, "spec": copy.deepcopy(bed.pod())})


def refused(**options: t.Any) -> str:
    with pytest.raises(TaskError) as error:
        run(**options)
    return error.value.msg


# Resource claims, and the binding plugin


def test_a_claim_is_taken_where_the_gate_is_on(bed: Bed, ready: Configuration) -> None:
    options = bed.bare(**CLAIM)
    assert run_one(check=True, **options)["actions"] == ["create"]
    assert run_one(**options)["actions"] == ["create"]
    assert bed.pod()["domain"]["devices"]["interfaces"] == [BOUND]
    assert bed.pod()["networks"] == [{"name": "data", **CLAIM["interfaces"][0]["network"]}]
    assert instance(bed)["spec"]["domain"]["devices"]["interfaces"][0]["binding"] == {"name": "vhostuser"}
    # The binding in KubeVirt's own words is the same.
    own = {**BOUND, "network": CLAIM["interfaces"][0]["network"]}
    for interfaces in (CLAIM["interfaces"], [own]):
        with bed.requests() as requests:
            assert run_one(**{**options, "interfaces": interfaces})["changed"] is False
        assert requests.counts() == {"list virtualmachines": 1}


def test_without_the_gate_it_is_named(bed: Bed, configuration: Configuration) -> None:
    configuration.set(gate=False, bindings=["vhostuser"])
    configuration.is_followed(gate=False)
    for check in (True, False):
        text = refused(check=check, **bed.bare(**CLAIM))
        assert text.startswith("interfaces[0].network.resourceClaim.claimName")
        assert f"needs KubeVirt's feature gate {GATE}, which is off" in text
        assert "turn it on by rtvirt.core.kubevirt_config" in text
    assert bed.names() == []
    # The server's own refusal, which comes without the look.
    assert NOT_ENABLED in configuration.refusal()


def test_a_plugin_that_is_not_registered_is_named(bed: Bed, configuration: Configuration) -> None:
    configuration.set(gate=True)
    text = refused(**bed.bare(**CLAIM))
    assert text.startswith("interfaces[0].vhostuser (spec.template.spec.domain.devices.interfaces[0].binding): ")
    assert "this cluster has no binding plugin vhostuser: register it by rtvirt.core.kubevirt_config" in text
    configuration.set(gate=True, bindings=["passt", "vhostuser"])
    own = {**BOUND, "binding": {"name": "vdpa"}, "network": CLAIM["interfaces"][0]["network"]}
    text = refused(**bed.bare(**{**CLAIM, "interfaces": [own]}))
    assert text.startswith("interfaces[0].binding (")
    assert "no binding plugin vdpa (it has passt, vhostuser): register it" in text
    assert bed.names() == []


def test_a_change_of_networks_is_looked_at_and_no_other(bed: Bed, ready: Configuration) -> None:
    run_one(**bed.bare(hugepages="2Mi"))
    ready.set(gate=True)
    text = refused(**bed.bare(**CLAIM))
    assert "no binding plugin vhostuser" in text
    ready.set(gate=True, bindings=["vhostuser"])
    assert run_one(**bed.bare(**CLAIM))["actions"] == ["update"]
    ready.set(gate=True)
    assert run_one(**bed.bare(**CLAIM, labels={"a": "b"}))["actions"] == ["update"]
    assert run_one(**{**bed.bare(), "memory": None, "interfaces": None, "state": "absent"})["actions"] == ["delete"]


def test_one_look_for_all(bed: Bed, ready: Configuration) -> None:
    assert bed.audit is not None
    add_definition(bed, "lan")
    vms: list[Object] = [{"name": f"claim{number}", **CLAIM} for number in range(3)]
    vms += [{"name": f"lan{number}", **attached("lan")} for number in range(3)]
    own = {"kubeconfig": str(bed.cluster.kubeconfig), "namespace": bed.namespace, "memory": "64Mi"}
    with bed.audit.record() as recorded:
        assert [vm["actions"] for vm in run(**own, vms=vms)["vms"]] == [["create"]] * 6
    looks = recorded.by(AGENT).counts()
    assert (looks["list kubevirts"], looks["list network-attachment-definitions"]) == (1, 1)
    with bed.audit.record() as recorded:
        assert run(**own, vms=vms)["changed"] is False
    assert recorded.by(AGENT).counts() == {"list virtualmachines": 1}


# Networks of Multus


@pytest.mark.parametrize("binding", ["bridge", "vhostuser"])
def test_a_network_that_is_not_there_is_told_before(bed: Bed, ready: Configuration, binding: str) -> None:
    options = bed.bare(hugepages="2Mi", **attached("lan", binding))
    path = re.escape("interfaces[0].network.multus.networkName (spec.template.spec.networks[0].multus.networkName): ")
    missing = f"there is no NetworkAttachmentDefinition lan in namespace {bed.namespace}, which has "
    assert re.match(f"{path}{missing}none: make it first$", refused(**options))
    for name in ("wan", "dmz"):
        add_definition(bed, name)
    assert re.match(f"{path}{missing}dmz or wan: make it first$", refused(**options))
    assert bed.names() == []
    add_definition(bed, "lan")
    assert run_one(**options)["actions"] == ["create"]
    assert instance(bed)["spec"]["networks"][0]["multus"] == {"networkName": "lan"}
    assert run_one(**options)["changed"] is False


def test_a_network_of_another_namespace(bed: Bed) -> None:
    options = bed.bare(**attached("default/rtvirt-lan"))
    assert "rtvirt-lan in namespace default" in refused(**options)
    add_definition(bed, "lan")
    assert run_one(**bed.bare(**attached(f"{bed.namespace}/lan")))["actions"] == ["create"]


def test_what_may_not_be_seen_is_left_to_the_server(bed: Bed, simulator: Cluster, tmp_path: Path) -> None:
    rules = [{"apiGroups": ["kubevirt.io"], "resources": ["virtualmachines"], "verbs": ["get", "list", "create"]}]
    bind(bed, "editor", rules=rules)
    access = as_user(bed, simulator, tmp_path, "editor")
    patient(lambda: simulator.api_with(Path(access["kubeconfig"])).get(f"{bed.folder}/virtualmachines"))
    assert run_one(**{**bed.bare(**attached("lan")), **access})["actions"] == ["create"]
    # The KubeVirt resource everyone may see.
    assert f"feature gate {GATE}" in refused(**{**bed.bare("claimed", **CLAIM), **access})
