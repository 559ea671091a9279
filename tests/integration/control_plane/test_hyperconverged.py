# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""kubevirt_config where HyperConverged keeps the KubeVirt resource, by a stand-in for it, and the real API server."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rtvirt.core.tests.control_plane.api import Object
from ansible_collections.rtvirt.core.tests.integration.control_plane.bed import AGENT, Bed
from ansible_collections.rtvirt.core.tests.integration.control_plane.hyperconverged import (
    FIXED_BINDING,
    FIXED_GATE,
    HyperConverged,
)
from ansible_collections.rtvirt.core.tests.integration.control_plane.kubevirt import GATE, Configuration, kept
from ansible_collections.rtvirt.core.tests.integration.task import Module, TaskError

# They change what the whole cluster has.
pytestmark = pytest.mark.alone

CONFIG = Module("kubevirt_config", wait_timeout=20)
PLUGIN = {"sidecarImage": "registry.invalid/vhostuser"}
CARD: Object = {"pci_device_selector": "10DE:1DB6", "resource_name": "nvidia.com/GV100GL"}
SLICE: Object = {"mdev_name_selector": "GRID T4-1Q", "resource_name": "nvidia.com/GRID_T4-1Q"}
THEIRS: Object = {"pciDeviceSelector": "8086:6f54", "resourceName": "intel.com/qat", "externalResourceProvider": True}
OFF: Object = {"pciDeviceSelector": "10de:1eb8", "resourceName": "nvidia.com/TU104GL", "disabled": True}
ADDITION = {"op": "add", "path": "/spec/configuration/developerConfiguration/featureGates/-"}


@pytest.fixture(params=["v1beta1", "v1"])
def hyperconverged(bed: Bed, request: pytest.FixtureRequest) -> t.Iterator[HyperConverged]:
    with kept(Configuration(bed)):
        found = HyperConverged(bed, request.param)
        with found.installed():
            yield found


def test_all_is_set_in_its_resource_and_comes_to_kubevirt(bed: Bed, hyperconverged: HyperConverged) -> None:
    assert bed.audit is not None
    options = {
        "kubeconfig": str(bed.cluster.kubeconfig),
        "feature_gates": [FIXED_GATE, "AlignCPUs", GATE],
        "bindings": {"vhostuser": PLUGIN},
        "pci_host_devices": [CARD],
        "mediated_devices": [SLICE],
        "mediated_device_types": [
            {"types": ["nvidia-222"]},
            {"node_selector": {"gpu": "a40"}, "types": ["nvidia-558"]},
        ],
    }
    with hyperconverged.working():
        for check in (True, False):
            with bed.audit.record() as recorded:
                result = CONFIG.run(check=check, **options)
            assert recorded.by(AGENT).writes.counts() == {"patch hyperconvergeds": 1}
            assert result["changed"] is True
            assert {FIXED_GATE, "AlignCPUs", GATE} <= {*result["feature_gates"]}
            # Only the one that it has no field for.
            assert [gate for gate in options["feature_gates"] if f"for {gate}" in str(result["warnings"])] == [GATE]
            assert (hyperconverged.align is True) != check
        assert hyperconverged.patches == [{**ADDITION, "value": GATE}]
        assert hyperconverged.bindings == {"vhostuser": PLUGIN}
        # It was waited for.
        configuration = hyperconverged.kubevirt()
        assert {"AlignCPUs", GATE} <= {*configuration["developerConfiguration"]["featureGates"]}
        assert configuration["network"]["binding"] == {"vhostuser": PLUGIN, **FIXED_BINDING}
        assert configuration["permittedHostDevices"] == {
            "pciHostDevices": [{"pciVendorSelector": "10DE:1DB6", "resourceName": "nvidia.com/GV100GL"}],
            "mediatedDevices": [{"mdevNameSelector": "GRID T4-1Q", "resourceName": "nvidia.com/GRID_T4-1Q"}],
        }
        assert configuration["mediatedDevicesConfiguration"] == {
            "mediatedDeviceTypes": ["nvidia-222"],
            "nodeMediatedDeviceTypes": [{"nodeSelector": {"gpu": "a40"}, "mediatedDeviceTypes": ["nvidia-558"]}],
        }
        with bed.audit.record() as recorded:
            result = CONFIG.run(**options)
        assert result["changed"] is False
        assert recorded.by(AGENT).writes == []

        gone = {**options, "feature_gates": ["AlignCPUs", GATE], "state": "absent"}
        assert [CONFIG.run(**gone)["changed"] for _time in range(2)] == [True, False]
        assert (hyperconverged.align, hyperconverged.patches, hyperconverged.bindings) == (False, [], {})
        configuration = hyperconverged.kubevirt()
        assert configuration["developerConfiguration"]["featureGates"] == [FIXED_GATE]
        assert configuration["network"]["binding"] == FIXED_BINDING
        assert not any(configuration["permittedHostDevices"].values())
        assert hyperconverged.types is None
        assert "mediatedDevicesConfiguration" not in configuration


def test_what_others_have_set_stays(bed: Bed, hyperconverged: HyperConverged) -> None:
    theirs = {"permittedHostDevices": {"pciHostDevices": [THEIRS, OFF]}}
    other = '{"op": "add", "path": "/spec/configuration/developerConfiguration/featureGates/-", "value": "HostDisk"}'
    hyperconverged.write(
        theirs if hyperconverged.version == "v1beta1" else {"virtualization": theirs}, patches=f"[{other}]"
    )
    options = {"kubeconfig": str(bed.cluster.kubeconfig), "feature_gates": [GATE], "pci_host_devices": [CARD]}
    with hyperconverged.working():
        result = CONFIG.run(**options)
        # One that is disabled is not permitted.
        assert [one["resourceName"] for one in result["pci_host_devices"]] == ["intel.com/qat", "nvidia.com/GV100GL"]
        ours = {"pciDeviceSelector": "10DE:1DB6", "resourceName": "nvidia.com/GV100GL"}
        assert hyperconverged.devices["pciHostDevices"] == [THEIRS, OFF, ours]
        assert [one["value"] for one in hyperconverged.patches] == ["HostDisk", GATE]
        # To take away what is disabled already changes nothing, and to permit it does.
        off = {"pci_device_selector": "10DE:1EB8", "resource_name": "nvidia.com/TU104GL"}
        assert (
            CONFIG.run(**{**options, "feature_gates": [], "pci_host_devices": [off], "state": "absent"})["changed"]
            is False
        )
        CONFIG.run(**{**options, "pci_host_devices": [off]})
        assert "disabled" not in hyperconverged.devices["pciHostDevices"][1]
        CONFIG.run(**options, state="absent")
        assert [one["value"] for one in hyperconverged.patches] == ["HostDisk"]
        assert len(hyperconverged.devices["pciHostDevices"]) == 2


TIMES = {"ca": {"duration": "4h", "renew_before": "1h"}, "server": {"duration": "4h", "renew_before": "30m"}}


def test_how_long_certificates_last(bed: Bed, hyperconverged: HyperConverged) -> None:
    access = {"kubeconfig": str(bed.cluster.kubeconfig)}
    with hyperconverged.working():
        assert [CONFIG.run(**access, certificates=TIMES)["changed"] for _time in range(2)] == [True, False]
        written = {"ca": {"duration": "4h", "renewBefore": "1h"}, "server": {"duration": "4h", "renewBefore": "30m"}}
        assert hyperconverged.certificates == hyperconverged.rotation() == written
        # Document B, 8.14.3: one value alone may be at odds with the others.
        with pytest.raises(TaskError) as refused:
            CONFIG.run(**access, certificates={"ca": {"duration": "50m"}})
        assert [problem["path"] for problem in refused.value.result["problems"]] == [
            "certificates.ca.renew_before",
            "certificates.server.duration",
        ]
        assert hyperconverged.certificates == written
    for times, told in (
        ({"duration": "9m59s"}, r"'9m59s': write a duration of 10 min"),
        ({"renew_before": "1d"}, "'1d'"),
    ):
        with pytest.raises(TaskError, match=told):
            CONFIG.run(**access, certificates={"server": times})
    with pytest.raises(TaskError, match="certificates: cannot be taken away"):
        CONFIG.run(**access, certificates=TIMES, state="absent")


def test_what_does_not_come_to_kubevirt_is_told(bed: Bed, hyperconverged: HyperConverged) -> None:
    options = {"kubeconfig": str(bed.cluster.kubeconfig), "feature_gates": [GATE]}
    assert CONFIG.run(**options, wait_timeout=0)["changed"] is True
    for _time in range(2):
        # Also where nothing is left to be written.
        with pytest.raises(TaskError, match="HyperConverged has not brought this to KubeVirt within 1 s: see its cond"):
            CONFIG.run(**options, bindings={"vhostuser": PLUGIN}, wait_timeout=1)
    with hyperconverged.working():
        assert CONFIG.run(**options, bindings={"vhostuser": PLUGIN})["changed"] is False
        assert "vhostuser" in hyperconverged.kubevirt()["network"]["binding"]
    # A gate that is just being taken away is none that is kept.
    for changed in (True, False):
        assert CONFIG.run(**options, state="absent", wait_timeout=0)["changed"] is changed
    with hyperconverged.working():
        assert CONFIG.run(**options, state="absent")["changed"] is False
        assert GATE not in hyperconverged.kubevirt()["developerConfiguration"]["featureGates"]


def test_what_it_does_not_take_is_told_before_anything_is_written(bed: Bed, hyperconverged: HyperConverged) -> None:
    access = {"kubeconfig": str(bed.cluster.kubeconfig)}
    before = hyperconverged.read()
    with pytest.raises(TaskError, match=f"HyperConverged keeps {FIXED_GATE} on: leave it out"):
        CONFIG.run(**access, feature_gates=[FIXED_GATE], pci_host_devices=[CARD], state="absent")
    with pytest.raises(
        TaskError, match="HyperConverged keeps NodeRestriction off, and KubeVirt takes no gate that is in"
    ):
        CONFIG.run(**access, feature_gates=["NodeRestriction"], pci_host_devices=[CARD])
    for gate in ("", "alignCPUs", "A B"):
        with pytest.raises(TaskError, match=rf"feature_gates\[0\]: is '{gate}': write KubeVirt's name of a gate"):
            CONFIG.run(**access, feature_gates=[gate])
    with pytest.raises(TaskError, match="wait_timeout: is -1: write 0 or more seconds"):
        CONFIG.run(**access, feature_gates=[GATE], wait_timeout=-1)
    if hyperconverged.version == "v1beta1":
        # An older one knows fewer gates of its own; the API server says so.
        with pytest.raises(TaskError, match=r'unknown field "spec\.featureGates\.objectGraph"'):
            CONFIG.run(**access, feature_gates=["ObjectGraph"], pci_host_devices=[CARD])
    assert hyperconverged.read() == before
    for text in ("no json", '{"op": "add"}', '["add"]'):
        hyperconverged.write({}, patches=text)
        with pytest.raises(TaskError, match=r"annotation kubevirt\.kubevirt\.io/jsonpatch .* is no list of operations"):
            CONFIG.run(**access, feature_gates=[GATE])


def test_a_kubevirt_of_a_hyperconverged_that_is_gone(bed: Bed, hyperconverged: HyperConverged) -> None:
    hyperconverged.remove()
    with pytest.raises(TaskError, match="namespace kubevirt has no HyperConverged"):
        CONFIG.run(kubeconfig=str(bed.cluster.kubeconfig), feature_gates=[GATE])
