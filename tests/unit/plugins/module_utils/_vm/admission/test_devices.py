# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only a cluster has in a machine's devices: its disks, volumes, interfaces and host devices."""

from __future__ import annotations

import pytest

from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._vm.admission.cases import (
    Table,
    assert_told,
    devices,
    disk,
    nic,
    pod,
    vm,
)

VOLUME = "disks[0].volume"
SEED = f"{VOLUME}.cloudInitNoCloud"

DISKS: Table = {
    "a volume of libvirt": (disk({"libvirt": {"device": "/dev/sdb"}}), f"{VOLUME}.libvirt.device", "use dataVolume"),
    "a volume without a source": (disk({}), VOLUME, "such as dataVolume"),
    "a volume of two sources": (
        disk({"emptyDisk": {"capacity": "1Gi"}, "containerDisk": {"image": "a"}}),
        VOLUME,
        "exactly one",
    ),
    "two service accounts": (
        pod(volumes=[{"name": name, "serviceAccount": {"serviceAccountName": "a"}} for name in ("a", "b")]),
        "spec.volumes[1].serviceAccount",
        "a VM can have one",
    ),
    "a claim without a name": (
        disk({"persistentVolumeClaim": {}}),
        f"{VOLUME}.persistentVolumeClaim.claimName",
        "is missing",
    ),
    "an emptyDisk without a capacity": (disk({"emptyDisk": {}}), f"{VOLUME}.emptyDisk.capacity", "10Gi"),
    "a disk to find with a capacity": (
        disk({"hostDisk": {"path": "/srv/a.img", "type": "Disk", "capacity": "1Gi"}}),
        f"{VOLUME}.hostDisk.capacity",
        "DiskOrCreate",
    ),
    "a host's disk of no type": (disk({"hostDisk": {"path": "/srv/a.img"}}), f"{VOLUME}.hostDisk.type", "is missing"),
    "a host's disk of another type": (
        disk({"hostDisk": {"path": "/srv/a.img", "type": "File"}}),
        f"{VOLUME}.hostDisk.type",
        "Disk or DiskOrCreate",
    ),
    "an image by a relative path": (
        disk({"containerDisk": {"image": "a", "path": "disk.img"}}),
        f"{VOLUME}.containerDisk.path",
        "absolute path",
    ),
    "pull policy": (
        disk({"containerDisk": {"image": "a", "imagePullPolicy": "Sometimes"}}),
        f"{VOLUME}.containerDisk.imagePullPolicy",
        "IfNotPresent",
    ),
    "a seed of nothing": (disk({"cloudInitNoCloud": {"userData": ""}}), SEED, "is empty"),
    "a large seed": (disk({"cloudInitNoCloud": {"userData": "x" * 2049}}), f"{SEED}.userData", "secretRef"),
    "a large seed of ours": (vm(cloud_init={"user_data": "x" * 2049}), "cloud_init", "2048"),
    "a large encoded seed": (
        disk({"cloudInitConfigDrive": {"networkDataBase64": "eHh4" * 700}}),
        f"{VOLUME}.cloudInitConfigDrive.networkDataBase64",
        "networkDataSecretRef",
    ),
    "a seed and its secret": (
        disk({"cloudInitNoCloud": {"userData": "a", "secretRef": {"name": "b"}}}),
        f"{SEED}.secretRef",
        "beside userData",
    ),
    "a LUN of no claim": (
        disk({"emptyDisk": {"capacity": "1Gi"}}, lun={"bus": "scsi"}),
        "disks[0].lun",
        "persistentVolumeClaim or dataVolume",
    ),
    "metrics that are no disk": (disk({"downwardMetrics": {}}, cdrom={}), "disks[0].disk", "a disk of bus virtio"),
    "metrics on SATA": (disk({"downwardMetrics": {}}, disk={"bus": "sata"}), "disks[0].disk.bus", "write virtio"),
    "a PCI address on SCSI": (
        disk(disk={"bus": "scsi", "pciAddress": "0000:81:00.1"}),
        "disks[0].disk.pciAddress",
        "only for bus virtio",
    ),
    "a PCI address": (
        disk(disk={"bus": "virtio", "pciAddress": "81:00.1"}),
        "disks[0].disk.pciAddress",
        "0000:81:00.1",
    ),
    "a block size on SATA": (
        disk(disk={"bus": "sata"}, blockSize={"custom": {"logical": 4096, "physical": 4096}}),
        "disks[0].blockSize.custom.logical",
        "512 on a SATA bus",
    ),
    "a block size of its own and the volume's": (
        disk(disk={"bus": "virtio"}, blockSize={"custom": {"logical": 512, "physical": 512}, "matchVolume": {}}),
        "disks[0].blockSize.matchVolume",
        "one of them",
    ),
    "discards between blocks": (
        disk(
            disk={"bus": "virtio"},
            blockSize={"custom": {"logical": 4096, "physical": 4096, "discardGranularity": 512}},
        ),
        "disks[0].blockSize.custom.discardGranularity",
        "no multiple",
    ),
    "a shared folder without a volume": (
        devices(filesystems=[{"name": "share", "virtiofs": {}}]),
        "spec.domain.devices.filesystems[0].name",
        "no volume",
    ),
    "a shared folder of no kind": (
        devices(filesystems=[{"name": "share"}]),
        "spec.domain.devices.filesystems[0].virtiofs",
        "is missing",
    ),
}

NETWORKS: Table = {
    "a network of libvirt": (
        nic({"libvirt": {"network": "default"}}),
        "interfaces[0].network.libvirt.network",
        "networkName",
    ),
    "Multus without a network": (nic({"multus": {}}), "interfaces[0].network.multus.networkName", "is missing"),
    "masquerade on Multus": (nic(masquerade={}), "interfaces[0].masquerade", "write bridge"),
    "slirp": (nic({"pod": {}}, slirp={}), "interfaces[0].slirp", "use masquerade"),
    "two pod networks": (
        vm(interfaces=[{"name": name, "bridge": {}, "network": {"pod": {}}} for name in ("a", "b")]),
        "interfaces[1].network",
        "second default network",
    ),
    "the pod's network and another default": (
        vm(
            interfaces=[
                {"name": "a", "bridge": {}, "network": {"pod": {}}},
                {"name": "b", "bridge": {}, "network": {"multus": {"networkName": "lan", "default": True}}},
            ]
        ),
        "interfaces[1].network",
        "without default",
    ),
    "passt on Multus": (nic(passtBinding={}), "interfaces[0].passtBinding", "write bridge"),
    "the pod bridge's address": (
        nic({"pod": {}}, masquerade={}, macAddress="02:00:00:00:00:00"),
        "interfaces[0].macAddress",
        "another one",
    ),
    "an interface's PCI address": (nic(pciAddress="81:00.1"), "interfaces[0].pciAddress", "0000:81:00.1"),
    "a link": (nic(state="on"), "interfaces[0].state", "absent, down or up"),
    "the link of SR-IOV": (nic(sriov={}, state="down"), "interfaces[0].state", "leave it out"),
    "absent by SR-IOV": (nic(sriov={}, state="absent"), "interfaces[0].state", "only for bridge"),
    "the pod's network is absent": (nic({"pod": {}}, state="absent"), "interfaces[0].state", "not the default"),
    "port 0": (nic({"pod": {}}, ports=[{"port": 0}]), "interfaces[0].ports[0].port", "1 to 65535"),
    "no port": (nic({"pod": {}}, ports=[{}]), "interfaces[0].ports[0].port", "is missing"),
    "a port's name": (
        nic({"pod": {}}, ports=[{"port": 1, "name": "much-too-long-a-name"}]),
        "interfaces[0].ports[0].name",
        "at most 15",
    ),
    "ports of one name": (
        nic({"pod": {}}, ports=[{"port": 1, "name": "a"}, {"port": 2, "name": "a"}]),
        "interfaces[0].ports[1].name",
        "same name",
    ),
    "protocol": (
        nic({"pod": {}}, ports=[{"port": 1, "protocol": "ICMP"}]),
        "interfaces[0].ports[0].protocol",
        "TCP or UDP",
    ),
    "a time server by name": (
        nic(dhcpOptions={"ntpServers": ["ntp"]}),
        "interfaces[0].dhcpOptions.ntpServers[0]",
        "no IPv4 address",
    ),
    "an assigned DHCP option": (
        nic(dhcpOptions={"privateOptions": [{"option": 1, "value": "a"}]}),
        "interfaces[0].dhcpOptions.privateOptions[0].option",
        "224 to 254",
    ),
    "a DHCP option twice": (
        nic(dhcpOptions={"privateOptions": [{"option": 240, "value": "a"}] * 2}),
        "interfaces[0].dhcpOptions.privateOptions[1].option",
        "once",
    ),
}

DEVICES: Table = {
    "a PCI device of libvirt": (
        vm(host_devices=[{"name": "nic", "pci": "0000:3b:00.0"}]),
        "host_devices[0].pci",
        "use deviceName",
    ),
    "a mediated device of libvirt": (
        vm(gpus=[{"name": "gpu", "mdev": "5d307ca9-b3ef-428c-8861-06e72d69f223"}]),
        "gpus[0].mdev",
        "permittedHostDevices",
    ),
    "a device of no resource": (vm(host_devices=[{"name": "nic"}]), "host_devices[0].deviceName", "claimName"),
    "a device by resource and claim": (
        vm(gpus=[{"name": "a", "deviceName": "b", "claimName": "c", "requestName": "d"}]),
        "gpus[0].deviceName",
        "stands beside claimName",
    ),
    "a device of no claim": (
        vm(gpus=[{"name": "a", "claimName": "c", "requestName": "d"}]),
        "gpus[0].claimName",
        "none of resourceClaims",
    ),
    "two displays": (
        vm(gpus=[{"name": n, "deviceName": "b", "virtualGPUOptions": {"display": {}}} for n in ("a", "b")]),
        "gpus[1].virtualGPUOptions.display",
        "ramFB.enabled false",
    ),
    "watchdog action of libvirt": (
        vm(watchdog={"name": "dog", "i6300esb": {"action": "pause"}}),
        "watchdog.i6300esb.action",
        "poweroff, reset or shutdown",
    ),
    "a keyboard": (
        devices(inputs=[{"name": "keys", "type": "keyboard"}]),
        "spec.domain.devices.inputs[0].type",
        "write tablet",
    ),
    "sound": (devices(sound={"name": "a", "model": "sb16"}), "spec.domain.devices.sound.model", "ac97 or ich9"),
    "sound without a name": (devices(sound={}), "spec.domain.devices.sound.name", "is missing"),
}

TABLE: Table = {**DISKS, **NETWORKS, **DEVICES}


@pytest.mark.parametrize("what", TABLE)
def test_a_mistake_is_told_by_its_path_with_its_remedy(what: str) -> None:
    assert_told(TABLE[what])
