# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""network_attachment and kubevirt_config with their role and playbook: what they set, keep, take away and write."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.tests.control_plane.api import Object
from ansible_collections.rtvirt.core.tests.integration.control_plane.bed import AGENT, KUBEVIRT, LAST_APPLIED, Bed
from ansible_collections.rtvirt.core.tests.integration.control_plane.kubevirt import (
    GATE,
    Configuration,
    definitions_path,
    kept,
)
from ansible_collections.rtvirt.core.tests.integration.task import Module, TaskError

# They change what the whole cluster has.
pytestmark = pytest.mark.alone

NETWORKS = Module("network_attachment")
CONFIG = Module("kubevirt_config")
PXE: Object = {
    "name": "pxe-net-conf",
    "bridge": {"type": "cnv-bridge", "bridge": "br1", "vlan": 1},
    "tuning": {"type": "cnv-tuning"},
}
FAST: Object = {"name": "fast", "resource_name": "intel.com/fast", "sriov": {"vlan": 100}}
RESOURCE = "k8s.v1.cni.cncf.io/resourceName"
PLUGIN = {"sidecarImage": "registry.invalid/vhostuser"}


def access(bed: Bed) -> Object:
    return {"kubeconfig": str(bed.cluster.kubeconfig)}


def attach(bed: Bed, *networks: Object, check: bool = False, **options: t.Any) -> Object:
    return NETWORKS.run(check=check, **access(bed), namespace=bed.namespace, networks=[*networks], **options)


def actions(result: Object) -> list[str]:
    return [one["action"] for one in result["networks"]]


def there(bed: Bed) -> dict[str, Object]:
    return {one["metadata"]["name"]: one for one in bed.api.get(definitions_path(bed.namespace))["items"]}


@pytest.fixture
def configuration(bed: Bed) -> t.Iterator[Configuration]:
    with kept(Configuration(bed)) as configuration:
        yield configuration


# Networks


def test_networks_are_made_and_changed_and_left_alone(bed: Bed) -> None:
    assert bed.audit is not None
    assert actions(attach(bed, PXE, FAST, check=True)) == ["create", "create"]
    assert there(bed) == {}
    result = attach(bed, PXE, FAST)
    assert (result["changed"], actions(result)) == (True, ["create", "create"])
    assert json.loads(there(bed)["pxe-net-conf"]["spec"]["config"]) == {
        "cniVersion": "0.3.1",
        "name": "pxe-net-conf",
        "plugins": [{"type": "cnv-bridge", "bridge": "br1", "vlan": 1}, {"type": "cnv-tuning"}],
    }
    assert there(bed)["fast"]["metadata"]["annotations"][RESOURCE] == "intel.com/fast"
    for check in (True, False):
        with bed.audit.record() as recorded:
            assert attach(bed, PXE, FAST, check=check)["changed"] is False
        assert recorded.by(AGENT).counts() == {"list network-attachment-definitions": 1}
    other = {**PXE, "bridge": {**PXE["bridge"], "vlan": 2}}
    for check in (True, False):
        result = attach(bed, other, FAST, check=check)
        assert actions(result) == ["update", ""]
        assert '"vlan": 1' in result["diff"][0]["before"]["spec"]["config"]
        assert '"vlan": 2' in result["diff"][0]["after"]["spec"]["config"]
        assert ('"vlan": 2' in there(bed)["pxe-net-conf"]["spec"]["config"]) != check


def test_what_is_no_longer_declared_goes_and_what_others_set_stays(bed: Bed) -> None:
    attach(bed, {**FAST, "labels": {"ours": "1"}})
    path = f"{definitions_path(bed.namespace)}/fast"
    bed.api.patch(path, {"metadata": {"labels": {"theirs": "1"}, "annotations": {"their": "note"}}})
    bridge = {"name": "fast", "bridge": {"bridge": "br1"}}
    assert actions(attach(bed, bridge)) == ["update"]
    metadata = there(bed)["fast"]["metadata"]
    assert metadata["labels"] == {"theirs": "1"}
    assert {*metadata["annotations"]} == {"their", LAST_APPLIED}
    assert attach(bed, bridge)["changed"] is False


def test_one_that_says_the_same_is_left_as_it_is(bed: Bed) -> None:
    attach(bed, PXE)
    (before,) = there(bed).values()
    config = json.dumps(json.loads(before["spec"]["config"]))
    assert config != before["spec"]["config"]
    body = {key: before[key] for key in ("apiVersion", "kind")}
    bed.api.post(definitions_path(bed.namespace), {**body, "metadata": {"name": "adopted"}, "spec": {"config": config}})
    other = {**PXE, "name": "adopted", "bridge": {**PXE["bridge"], "vlan": 2}}
    same = re.sub("pxe-net-conf", "adopted", config)
    bed.api.patch(f"{definitions_path(bed.namespace)}/adopted", {"spec": {"config": same}})
    assert attach(bed, {**PXE, "name": "adopted"})["changed"] is False
    assert actions(attach(bed, other)) == ["update"]


def test_only_what_is_declared_goes(bed: Bed) -> None:
    attach(bed, PXE, FAST)
    for check in (True, False):
        assert actions(attach(bed, {"name": "fast"}, {"name": "none"}, state="absent", check=check)) == ["delete", ""]
        assert ("fast" in there(bed)) == check
    assert {*there(bed)} == {"pxe-net-conf"}
    assert attach(bed, {"name": "fast"}, state="absent")["changed"] is False


def test_all_mistakes_are_told_before_anything_is_made(bed: Bed) -> None:
    wrong = [PXE, {"name": "a", "bridge": {"bridge": "br1", "vlan": 5000}}, {"name": "b", "sriov": {}}, PXE]
    with pytest.raises(TaskError) as error:
        attach(bed, *wrong)
    for text in (
        "networks[1].bridge.vlan: is 5000: write a number from 0 to 4094",
        "networks[2].resource_name: is missing",
        "networks[3].name: 'pxe-net-conf' is declared twice",
    ):
        assert text in error.value.msg
    assert there(bed) == {}
    with pytest.raises(TaskError, match=r"networks\[0\].namespace: is missing"):
        NETWORKS.run(**access(bed), networks=[PXE])


# KubeVirt's configuration


def test_gates_and_plugins_are_set_beside_others(bed: Bed, configuration: Configuration) -> None:
    assert bed.audit is not None
    configuration.set(gate=False, bindings=["passt"])
    before = configuration.gates
    options = {**access(bed), "feature_gates": [GATE, before[0]], "bindings": {"vhostuser": PLUGIN}}
    for check in (True, False):
        result = CONFIG.run(check=check, **options)
        assert result["changed"] is True
        assert result["feature_gates"] == [*before, GATE]
        assert {*result["bindings"]} == {"passt", "vhostuser"}
        assert (GATE in configuration.gates) != check
    assert configuration.gates == [*before, GATE]
    assert configuration.bindings["vhostuser"] == PLUGIN
    for check in (True, False):
        with bed.audit.record() as recorded:
            assert CONFIG.run(check=check, **options)["changed"] is False
        assert recorded.by(AGENT).counts() == {"list kubevirts": 1}
    # A plugin is declared as a whole.
    other = {"networkAttachmentDefinition": "default/passt"}
    CONFIG.run(**access(bed), bindings={"vhostuser": other})
    assert configuration.bindings["vhostuser"] == other
    gone = {**access(bed), "feature_gates": [GATE], "bindings": {"vhostuser": {}}, "state": "absent"}
    assert [CONFIG.run(**gone)["changed"] for _time in range(2)] == [True, False]
    assert configuration.gates == before
    assert {*configuration.bindings} == {"passt"}


def test_a_disabled_gate_is_so_no_more(bed: Bed, configuration: Configuration) -> None:
    content = configuration.read()
    content["developerConfiguration"]["disabledFeatureGates"] += [GATE]
    configuration.write(content)
    CONFIG.run(**access(bed), feature_gates=[GATE])
    assert GATE not in configuration.read()["developerConfiguration"]["disabledFeatureGates"]
    assert configuration.read()["developerConfiguration"]["disabledFeatureGates"]


def test_host_devices_are_permitted_and_no_more(bed: Bed, configuration: Configuration) -> None:
    theirs = {"pciVendorSelector": "8086:6f54", "resourceName": "intel.com/qat", "externalResourceProvider": True}
    configuration.write({**configuration.read(), "permittedHostDevices": {"pciHostDevices": [theirs]}})
    card = {"pci_device_selector": "10DE:1DB6", "resource_name": "nvidia.com/GV100GL"}
    slice_ = {"mdev_name_selector": "GRID T4-1Q", "resource_name": "nvidia.com/GRID_T4-1Q"}
    # The other one says what is there already, in capitals.
    same = {"pci_device_selector": "8086:6F54", "resource_name": "intel.com/qat", "external_resource_provider": True}
    options = {**access(bed), "pci_host_devices": [card, same], "mediated_devices": [slice_]}
    for check in (True, False):
        result = CONFIG.run(check=check, **options)
        assert result["changed"] is True
        assert result["pci_host_devices"] == [
            theirs,
            {"pciVendorSelector": "10DE:1DB6", "resourceName": "nvidia.com/GV100GL"},
        ]
        assert ("mediatedDevices" in configuration.read()["permittedHostDevices"]) != check
    assert CONFIG.run(**options)["changed"] is False
    renamed = {**access(bed), "pci_host_devices": [{**card, "resource_name": "nvidia.com/V100"}]}
    assert CONFIG.run(**renamed)["pci_host_devices"][1]["resourceName"] == "nvidia.com/V100"
    gone = {**access(bed), "pci_host_devices": [card], "mediated_devices": [slice_], "state": "absent"}
    assert [CONFIG.run(**gone)["changed"] for _time in range(2)] == [True, False]
    assert configuration.read()["permittedHostDevices"]["pciHostDevices"] == [theirs]


def test_mediated_devices_are_made_of_these_types(bed: Bed, configuration: Configuration) -> None:
    theirs = {"nodeSelector": {"gpu": "t4"}, "mediatedDeviceTypes": ["nvidia-230"]}
    before = {"enabled": False, "nodeMediatedDeviceTypes": [theirs]}
    configuration.write({**configuration.read(), "mediatedDevicesConfiguration": before})
    present = {"gpu": True}
    ours = [{"types": ["nvidia-222", "nvidia-228"]}, {"types": ["nvidia-558"], "node_selector": present}]
    options = {**access(bed), "mediated_device_types": ours}
    for check in (True, False):
        result = CONFIG.run(check=check, **options)
        assert result["changed"] is True
        assert result["mediated_device_types"] == [
            {"mediatedDeviceTypes": ["nvidia-222", "nvidia-228"]},
            theirs,
            {"nodeSelector": {"gpu": "true"}, "mediatedDeviceTypes": ["nvidia-558"]},
        ]
        assert "makes none: see mediatedDevicesConfiguration.enabled" in str(result["warnings"])
    assert CONFIG.run(**options)["changed"] is False
    assert configuration.read()["mediatedDevicesConfiguration"] == {
        "enabled": False,
        "mediatedDeviceTypes": ["nvidia-222", "nvidia-228"],
        "nodeMediatedDeviceTypes": [theirs, {"nodeSelector": {"gpu": "true"}, "mediatedDeviceTypes": ["nvidia-558"]}],
    }
    gone = {**access(bed), "mediated_device_types": [{}, {"node_selector": {"gpu": "true"}}], "state": "absent"}
    assert [CONFIG.run(**gone)["changed"] for _time in range(2)] == [True, False]
    assert configuration.read()["mediatedDevicesConfiguration"] == before
    both = [{"types": ["nvidia-222"], "node_selector": present}, {"node_selector": {"gpu": "true"}}]
    with pytest.raises(TaskError) as refused:
        CONFIG.run(**access(bed), mediated_device_types=[*both, {"types": ["x"], "node_selector": {"gpu": None}}])
    assert [problem["path"] for problem in refused.value.result["problems"]] == [
        "mediated_device_types[1].types",
        "mediated_device_types[1].node_selector",
        "mediated_device_types[2].node_selector.gpu",
    ]


def test_how_long_certificates_last(bed: Bed) -> None:
    path = f"{KUBEVIRT}/namespaces/kubevirt/kubevirts/kubevirt"
    times = {"ca": {"duration": "48h", "renew_before": "24h"}, "server": None}
    try:
        assert [CONFIG.run(**access(bed), certificates=times)["changed"] for _time in range(2)] == [True, False]
        strategy = bed.api.get(path)["spec"]["certificateRotateStrategy"]
        assert strategy == {"selfSigned": {"ca": {"duration": "48h", "renewBefore": "24h"}}}
    finally:
        bed.api.patch(path, {"spec": {"certificateRotateStrategy": None}})


def test_devices_that_are_none(bed: Bed) -> None:
    bad = {"pci_device_selector": "0000:3b:00.0", "resource_name": "GV100GL"}
    good = {"pci_device_selector": "10DE:1DB6", "resource_name": "nvidia.com/GV100GL"}
    with pytest.raises(TaskError) as refused:
        CONFIG.run(**access(bed), pci_host_devices=[bad, good, good])
    assert [problem["path"] for problem in refused.value.result["problems"]] == [
        "pci_host_devices[0].pci_device_selector",
        "pci_host_devices[0].resource_name",
        "pci_host_devices[2].pci_device_selector",
    ]


# As users run them


def played(bed: Bed, folder: Path, book: str, **variables: t.Any) -> int:
    """Run a playbook of the collection with variables; the number of changed tasks."""
    file = folder / "variables.json"
    file.write_text(json.dumps({"ansible_python_interpreter": sys.executable, **variables}))
    tool = str(Path(sys.executable).parent / "ansible-playbook")
    done = subprocess.run(
        [tool, "-i", "localhost,", "-c", "local", book, "-e", f"@{file}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"changed=(\d+)", done.stdout)
    assert found is not None
    return int(found.group(1))


def test_the_playbook_for_vhost_user(bed: Bed, configuration: Configuration, checkout: Path, tmp_path: Path) -> None:
    configuration.set(gate=False)
    variables = {"vhostuser_binding_kubeconfig": str(bed.cluster.kubeconfig), "vhostuser_binding_image": "a/b:c"}
    book = str(checkout / "playbooks" / "vhostuser_binding.yml")
    assert [played(bed, tmp_path, book, **variables) for _time in range(2)] == [1, 0]
    assert GATE in configuration.gates
    assert configuration.bindings == {"vhostuser": {"sidecarImage": "a/b:c"}}


def test_the_role_for_networks(bed: Bed, tmp_path: Path) -> None:
    book = tmp_path / "networks.yml"
    play = {"hosts": "localhost", "gather_facts": False, "roles": [{"role": "rtvirt.core.network_attachments"}]}
    book.write_text(json.dumps([play]))
    variables = {
        "network_attachments_kubeconfig": str(bed.cluster.kubeconfig),
        "network_attachments_namespace": bed.namespace,
        "network_attachments_declared": [PXE, FAST],
    }
    assert [played(bed, tmp_path, str(book), **variables) for _time in range(2)] == [1, 0]
    assert {*there(bed)} == {"pxe-net-conf", "fast"}
    played(bed, tmp_path, str(book), **{**variables, "network_attachments_state": "absent"})
    assert there(bed) == {}
