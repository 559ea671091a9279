# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a VM has from its cluster: instance types, DataVolumes, DNS, probes, credentials; and what is right on one."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.cluster import CLUSTER_RULES
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.rules import admit
from ansible_collections.rtvirt.core.plugins.module_utils._vm.declaration import Options
from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._vm.admission.cases import (
    Given,
    Table,
    assert_told,
    domain,
    machine,
    pod,
    vm,
)


def typed(kind: t.Any = None, **options: t.Any) -> Given:
    matcher = {"name": "small"} if kind is None else kind
    return vm(memory=None, definition={"spec": {"instancetype": matcher}}, **options)


def template(volume: t.Any = None, **spec: t.Any) -> Given:
    good = {"storage": {}, "source": {"blank": {}}, **spec}
    made = {"metadata": {"name": "root"}, "spec": {key: value for key, value in good.items() if value is not None}}
    used = {"name": "root", "volume": {"dataVolume": {"name": "root"}} if volume is None else volume}
    return vm(disks=[used], definition={"spec": {"dataVolumeTemplates": [made]}})


def key_of(*users: str) -> Given:
    agent = {"qemuGuestAgent": {"users": list(users)}}
    return {"sshPublicKey": {"source": {"secret": {"secretName": "a"}}, "propagationMethod": agent}}


TEMPLATE = "definition.spec.dataVolumeTemplates[0]"
USERS = "spec.accessCredentials[0].sshPublicKey.propagationMethod.qemuGuestAgent"

TABLE: Table = {
    "instance type without a name": (typed({}), "definition.spec.instancetype.name", "inferFromVolume"),
    "instance type inferred and named": (
        typed({"name": "small", "inferFromVolume": "root"}),
        "definition.spec.instancetype.name",
        "one of them",
    ),
    "kind of instance type": (
        typed({"name": "small", "kind": "Machine"}),
        "definition.spec.instancetype.kind",
        "VirtualMachineInstancetype",
    ),
    "what to do when nothing is inferred": (
        typed({"inferFromVolume": "root", "inferFromVolumeFailurePolicy": "Ask"}),
        "definition.spec.instancetype.inferFromVolumeFailurePolicy",
        "Ignore or Reject",
    ),
    "memory beside an instance type": (
        vm(definition={"spec": {"instancetype": {"name": "small"}}}),
        "memory",
        "leave instancetype out",
    ),
    "cores beside an instance type": (typed(cpu_cores=2), "cpu_cores", "leave it out"),
    "preference without a name": (machine(preference={}), "definition.spec.preference.name", "is missing"),
    "template without a name": (
        machine(dataVolumeTemplates=[{"spec": {"storage": {}, "source": {"blank": {}}}}]),
        f"{TEMPLATE}.metadata.name",
        "write the DataVolume's name",
    ),
    "template that is not used": (
        template({"emptyDisk": {"capacity": "1Gi"}}),
        f"{TEMPLATE}.metadata.name",
        "add one with dataVolume.name root",
    ),
    "template of nothing": (machine(dataVolumeTemplates=[{}]), f"{TEMPLATE}.spec", "is missing"),
    "template without storage": (template(storage=None), f"{TEMPLATE}.spec", "storage or pvc"),
    "template with two storages": (template(pvc={}), f"{TEMPLATE}.spec", "storage or pvc"),
    "template without a source": (template(source=None), f"{TEMPLATE}.spec.source", "http with a url"),
    "template with two sources": (
        template(source={"blank": {}, "upload": {}}),
        f"{TEMPLATE}.spec.source",
        "exactly one",
    ),
    "template of a URL without one": (template(source={"http": {}}), f"{TEMPLATE}.spec.source.http.url", "is missing"),
    "populated twice": (
        template(storage={"dataSource": {"kind": "PersistentVolumeClaim", "name": "a"}}),
        f"{TEMPLATE}.spec.source",
        "beside dataSource",
    ),
    "access mode": (
        template(storage={"accessModes": ["ReadWrite"]}),
        f"{TEMPLATE}.spec.storage.accessModes[0]",
        "ReadWriteOnce",
    ),
    "DNS policy": (pod(dnsPolicy="Never"), "spec.dnsPolicy", "ClusterFirst"),
    "DNS of nothing": (pod(dnsPolicy="None"), "spec.dnsConfig.nameservers", "at least one"),
    "nameserver by name": (pod(dnsConfig={"nameservers": ["ns1"]}), "spec.dnsConfig.nameservers[0]", "no IP address"),
    "four nameservers": (pod(dnsConfig={"nameservers": ["1.1.1.1"] * 4}), "spec.dnsConfig.nameservers", "at most 3"),
    "seven searches": (pod(dnsConfig={"searches": ["a"] * 7}), "spec.dnsConfig.searches", "at most 6"),
    "search of no domain": (pod(dnsConfig={"searches": ["a b"]}), "spec.dnsConfig.searches[0]", "no DNS name"),
    "DNS option without a name": (pod(dnsConfig={"options": [{}]}), "spec.dnsConfig.options[0].name", "is missing"),
    "probe of nothing": (pod(readinessProbe={"periodSeconds": 3}), "spec.readinessProbe", "exactly one of exec"),
    "probe of two": (
        pod(readinessProbe={"guestAgentPing": {}, "exec": {"command": ["true"]}}),
        "spec.readinessProbe",
        "exactly one",
    ),
    "probe without the pod network": (
        vm(autoattach_pod_interface=False, spec={"livenessProbe": {"tcpSocket": {"port": 22}}}),
        "spec.livenessProbe.tcpSocket",
        "guestAgentPing",
    ),
    "probe without a port": (pod(readinessProbe={"httpGet": {}}), "spec.readinessProbe.httpGet.port", "is missing"),
    "paused and probed": (
        pod(startStrategy="Paused", livenessProbe={"guestAgentPing": {}}),
        "spec.startStrategy",
        "beside livenessProbe",
    ),
    "start strategy": (pod(startStrategy="Running"), "spec.startStrategy", "Paused"),
    "eviction strategy": (pod(evictionStrategy="Migrate"), "spec.evictionStrategy", "LiveMigrate"),
    "no credential": (pod(accessCredentials=[{}]), "spec.accessCredentials[0]", "sshPublicKey or userPassword"),
    "credential without a secret": (
        pod(accessCredentials=[{"userPassword": {"source": {}, "propagationMethod": {"qemuGuestAgent": {}}}}]),
        "spec.accessCredentials[0].userPassword.source",
        "write secret",
    ),
    "credential without a way": (
        pod(accessCredentials=[{"userPassword": {"source": {"secret": {"secretName": "a"}}, "propagationMethod": {}}}]),
        "spec.accessCredentials[0].userPassword.propagationMethod",
        "qemuGuestAgent",
    ),
    "credential by a seed that is not there": (
        pod(
            accessCredentials=[
                {"sshPublicKey": {"source": {"secret": {"secretName": "a"}}, "propagationMethod": {"noCloud": {}}}}
            ]
        ),
        "spec.accessCredentials[0].sshPublicKey.propagationMethod.noCloud",
        "cloudInitNoCloud",
    ),
    "credential of nobody": (pod(accessCredentials=[key_of()]), f"{USERS}.users", "name a user"),
    "credential of one user twice": (pod(accessCredentials=[key_of("root", "root")]), f"{USERS}.users[1]", "once"),
    "template of another namespace": (
        vm(namespace="lab", definition={"spec": {"dataVolumeTemplates": [{"metadata": {"namespace": "other"}}]}}),
        f"{TEMPLATE}.metadata.namespace",
        "leave it out",
    ),
    "claims of one name": (pod(resourceClaims=[{"name": "a"}] * 2), "spec.resourceClaims[1].name", "same name"),
}


@pytest.mark.parametrize("what", TABLE)
def test_a_mistake_is_told_by_its_path_with_its_remedy(what: str) -> None:
    assert_told(TABLE[what])


GOOD: dict[str, Given] = {
    "the least": vm(),
    "an instance type": typed(),
    "an instance type of memory that grows": typed(spec={"domain": {"memory": {"maxGuest": "4Gi"}}}),
    "an instance type, and dedicated CPUs of its number": typed(dedicated_cpus=True),
    "a template": template(),
    "DNS": pod(dnsPolicy="None", dnsConfig={"nameservers": ["10.0.0.1", "fd00::1"], "searches": ["lab.example"]}),
    "a probe on the default network": pod(readinessProbe={"tcpSocket": {"port": "ssh"}}),
    "what a newer KubeVirt may know": domain(cpu={"newSwitch": True}),
    "a strategy behind a gate": vm(run_strategy="WaitAsReceiver"),
    "one path on two nodes": {
        "memory": "1Gi",
        "disks": [{"name": "a", "volume": {"hostDisk": {"path": "/srv/a.img", "type": "Disk"}}}],
    },
}


@pytest.mark.parametrize("what", GOOD)
def test_what_is_right_is_admitted(what: str) -> None:
    """The control of this file: without it, rules that refuse all would pass."""
    entries = [{**GOOD[what], "name": name} for name in ("vm1", "vm2")]
    manifests = admit([Options(entry) for entry in entries], CLUSTER_RULES)
    for manifest in manifests:
        assert "devices" in manifest.document["spec"]["template"]["spec"]["domain"], "KubeVirt's schema wants it"


def test_two_vms_of_one_name_are_told_by_it() -> None:
    entry = vm(namespace="lab")
    with pytest.raises(DeclarationError, match="'lab/vm1' is declared twice"):
        admit([Options(entry, "vms[0]."), Options(entry, "vms[1].")], CLUSTER_RULES)
