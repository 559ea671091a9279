# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What users get wrong, each through the module's own main(): told by the option's path with what would be right.

No case may end in a traceback, and none may so much as open a connection to libvirt.
"""

from __future__ import annotations

import typing as t

import libvirt
import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

from ansible_collections.rtvirt.core.plugins.modules import libvirt_vm

Options = dict[str, t.Any]
Expected = tuple[str, str]  # the path of a problem, a part of its message


class Exit(Exception):  # noqa: N818  it is how a module ends
    """The module ended, with this result."""

    def __init__(self, result: dict[str, t.Any]) -> None:
        super().__init__(str(result))
        self.result = result


class Connected(Exception):  # noqa: N818  it ends a run, and is no error
    """The module wanted to talk to libvirt."""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> t.Callable[[Options], dict[str, t.Any]]:
    """Runs the module with a task's options and returns how it failed."""

    def fail(_module: AnsibleModule, msg: str, **result: t.Any) -> t.NoReturn:
        raise Exit({"failed": True, "msg": msg, **result})

    def leave(_module: AnsibleModule, **result: t.Any) -> t.NoReturn:
        raise Exit({"failed": False, **result})

    def connect(*_arguments: t.Any) -> t.NoReturn:
        raise Connected

    monkeypatch.setattr(AnsibleModule, "fail_json", fail)
    monkeypatch.setattr(AnsibleModule, "exit_json", leave)
    for name in ("open", "openAuth", "openReadOnly", "virEventRegisterDefaultImpl"):
        monkeypatch.setattr(libvirt, name, connect)

    def main(options: Options) -> dict[str, t.Any]:
        with patch_module_args(options), pytest.raises(Exit) as ended:
            libvirt_vm.main()
        return ended.value.result

    return main


def vm(**options: t.Any) -> Options:
    return {"name": "vm1", "memory": "1Gi", **options}


def realtime(**options: t.Any) -> Options:
    """All that a real-time VM needs, but for what a case takes away (None) or sets."""
    good = {
        "cpu_cores": 2,
        "dedicated_cpus": True,
        "hugepages": "2Mi",
        "numa_passthrough": True,
        "realtime": True,
    }
    return {key: value for key, value in vm(**{**good, **options}).items() if value is not None}


def disk(volume: t.Any = None, **more: t.Any) -> Options:
    good = {"hostDisk": {"path": "/srv/root.img", "type": "Disk"}}
    return {"name": "root", "disk": {"bus": "virtio"}, "volume": good if volume is None else volume, **more}


def made(path: str = "/srv/root.img", capacity: t.Any = "1Gi", **own: t.Any) -> Options:
    """A disk with a volume that is created."""
    host_disk = {"path": path, "type": "DiskOrCreate", "capacity": capacity}
    given = {key: value for key, value in host_disk.items() if value is not None}
    return disk({"hostDisk": given, "libvirt": own})


def nic(network: t.Any = None, **more: t.Any) -> Options:
    item = {"name": "lan", "network": {"libvirt": {"network": "default"}} if network is None else network}
    return {**item, **({} if "masquerade" in more else {"bridge": {}}), **more}


VHOSTUSER: Options = {
    "name": "lan",
    "vhostuser": {},
    "network": {"libvirt": {"vhostuser": {"socket": "/run/vhost/lan.sock"}}},
}


def vhostuser(
    settings: Options | None = None, *, more: t.Sequence[Options] = (), socket: str | None = "", **given: t.Any
) -> Options:
    """A VM with a vhost-user interface: its settings, its socket, and what else is given of the VM or the interface."""
    item = {**VHOSTUSER, "vhostuser": settings or {}}
    if socket != "":
        item["network"] = {"libvirt": {"vhostuser": {"socket": socket or ""}}}
    item.update({key: given.pop(key) for key in ("model", "network") if key in given})
    return vm(**{"hugepages": "2Mi", "interfaces": [item, *more], **given})


def manifest(pod: Options, **machine: t.Any) -> Options:
    return {
        "definition": {
            "apiVersion": "kubevirt.io/v1",
            "kind": "VirtualMachine",
            "metadata": {"name": "vm1"},
            "spec": {**machine, "template": {"spec": pod}},
        }
    }


SHA256 = "sha256:" + "0" * 64

CPU: dict[str, tuple[Options, str, str]] = {
    "no core": (vm(cpu_cores=0), "cpu_cores", "write 1 or more"),
    "negative sockets": (vm(cpu_sockets=-2), "cpu_sockets", "write 1 or more"),
    "no thread": (vm(cpu_threads=0), "cpu_threads", "write 1 or more"),
    "three dedicated threads": (
        vm(cpu_cores=1, cpu_threads=3, dedicated_cpus=True),
        "cpu_threads",
        "at most 2 threads",
    ),
    "feature policy": (
        vm(cpu_features=[{"name": "vmx"}, {"name": "pcid", "policy": "required"}]),
        "cpu_features[1].policy",
        "force, require, optional, disable or forbid",
    ),
    "feature without a name": (vm(cpu_features=[{"policy": "require"}]), "cpu_features[0].name", "name"),
    "dedicated CPUs without a number": (vm(dedicated_cpus=True), "dedicated_cpus", "set cpu_cores"),
    "a CPU limit that libvirt cannot set": (
        vm(resources={"limits": {"cpu": "5m"}}),
        "resources.limits.cpu",
        "10m or more",
    ),
    "a CPU limit of nothing": (vm(resources={"limits": {"cpu": 0}}), "resources.limits.cpu", "or leave it out"),
    "half a dedicated CPU": (
        vm(dedicated_cpus=True, resources={"limits": {"cpu": "1500m"}}),
        "resources.limits.cpu",
        "whole number",
    ),
    "half a dedicated CPU requested": (
        vm(dedicated_cpus=True, resources={"requests": {"cpu": 0.5}}),
        "resources.requests.cpu",
        "whole number",
    ),
    "dedicated request is not the limit": (
        vm(dedicated_cpus=True, resources={"requests": {"cpu": 1}, "limits": {"cpu": 2}}),
        "resources.requests.cpu",
        "must equal limits.cpu",
    ),
    "limit disagrees with the topology": (
        vm(dedicated_cpus=True, cpu_cores=4, resources={"limits": {"cpu": 2}}),
        "resources.limits.cpu",
        "write 4",
    ),
    "dedicated memory request is not the limit": (
        vm(
            dedicated_cpus=True,
            cpu_cores=1,
            resources={"requests": {"memory": "1Gi"}, "limits": {"memory": "2Gi"}},
        ),
        "resources.requests.memory",
        "must equal limits.memory",
    ),
    "isolated emulator without dedicated CPUs": (
        vm(cpu_cores=2, isolate_emulator_thread=True),
        "isolate_emulator_thread",
        "dedicated_cpus",
    ),
    "siblings without dedicated CPUs": (
        vm(cpu_threads=2, cpu_thread_policy="require"),
        "cpu_thread_policy",
        "set dedicated_cpus and cpu_threads: 2",
    ),
    "siblings of one thread": (
        vm(cpu_cores=2, dedicated_cpus=True, cpu_thread_policy="require"),
        "cpu_thread_policy",
        "set dedicated_cpus and cpu_threads: 2",
    ),
    "another policy of threads": (
        vm(spec={"domain": {"cpu": {"libvirt": {"threadPolicy": "isolate"}}}}),
        "spec.domain.cpu.libvirt.threadPolicy",
        "prefer or require",
    ),
    "request above the limit": (
        vm(resources={"requests": {"cpu": 3}, "limits": {"cpu": 2}}),
        "resources.requests.cpu",
        "raise the limit",
    ),
    "negative limit": (vm(resources={"limits": {"cpu": "-1"}}), "resources.limits.cpu", "0 or more"),
    "limit in words": (vm(resources={"limits": {"cpu": "two"}}), "resources.limits.cpu", "not a quantity"),
    "real-time without dedicated CPUs": (realtime(dedicated_cpus=None), "realtime", "set dedicated_cpus"),
    "real-time without NUMA": (realtime(numa_passthrough=None), "realtime", "set numa_passthrough"),
    "NUMA without huge pages": (realtime(hugepages=None), "numa_passthrough", "set hugepages"),
    "NUMA without dedicated CPUs": (
        realtime(realtime=None, dedicated_cpus=None),
        "numa_passthrough",
        "set dedicated_cpus",
    ),
    "mask beyond the vCPUs": (realtime(realtime_mask="0-2"), "realtime_mask", "vCPUs 0-1"),
    "mask backwards": (realtime(cpu_cores=4, realtime_mask="3-1"), "realtime_mask", "1-3"),
    "mask of letters": (realtime(realtime_mask="all"), "realtime_mask", "'all'"),
    "mask of nothing": (realtime(realtime_mask="^0-1"), "realtime_mask", "name at least one"),
    "mask with a negative CPU": (realtime(realtime_mask="-1"), "realtime_mask", "start at 0"),
    "cores in words": (vm(spec={"domain": {"cpu": {"cores": "two"}}}), "spec.domain.cpu.cores", "a whole number"),
    "cores true": (vm(spec={"domain": {"cpu": {"cores": True}}}), "spec.domain.cpu.cores", "a whole number"),
}

MEMORY: dict[str, tuple[Options, str, str]] = {
    "GB": (vm(memory="2GB"), "memory", "write 2G or 2Gi"),
    "small g": (vm(memory="2g"), "memory", "write 2G or 2Gi"),
    "half a byte": (vm(memory="1.5"), "memory", "whole number"),
    "thousandths": (vm(memory="512m"), "memory", "512M or 512Mi"),
    "megabytes forgotten": (vm(memory="512"), "memory", "write 1M or more"),
    "negative": (vm(memory="-1Gi"), "memory", "0 bytes or more"),
    "limit of GB": (vm(memory_limit="2GB"), "memory_limit", "write 2G or 2Gi"),
    "guest above the limit": (vm(memory="2Gi", memory_limit="1Gi"), "memory", "more than the memory limit 1Gi"),
    "request above the limit": (
        vm(resources={"requests": {"memory": "3Gi"}, "limits": {"memory": "2Gi"}}),
        "resources.requests.memory",
        "raise the limit",
    ),
    "page in MB": (vm(hugepages="2MB"), "hugepages", "2M or 2Mi"),
    "page of a decimal size": (vm(hugepages="2M"), "hugepages", "write 2Mi or 1Gi"),
    "page of the usual size": (vm(hugepages="4Ki"), "hugepages", "write 2Mi or 1Gi"),
    "no multiple of the page": (vm(memory="1535Mi", hugepages="1Gi"), "memory", "write 1Gi or 2Gi"),
    "less than a page": (vm(memory="512Mi", hugepages="1Gi"), "memory", "write 1Gi"),
    "request no multiple of the page": (
        vm(hugepages="2Mi", resources={"requests": {"memory": "1025Mi"}}),
        "resources.requests.memory",
        "write 1Gi or 1026Mi",
    ),
    "hugepages without a size": (
        vm(spec={"domain": {"memory": {"hugepages": {}}}}),
        "spec.domain.memory.hugepages",
        "write 2Mi or 1Gi",
    ),
}

MACHINE: dict[str, tuple[Options, str, str]] = {
    "no name": ({"memory": "1Gi"}, "name", "is missing"),
    "name with a slash": (vm(name="a/b"), "name", "letters, digits"),
    "name with a space": (vm(name="my vm"), "name", "letters, digits"),
    "name with the end of its line": (vm(name="vm1\n"), "name", "letters, digits"),
    "name that starts with a dash": (vm(name="-vm"), "name", "letters, digits"),
    "namespace with a slash": (vm(namespace="../etc"), "namespace", "letters, digits"),
    "machine type": (vm(machine_type="i440"), "machine_type", "q35*"),
    "API version": (vm(api_version="v1"), "api_version", "kubevirt.io/v1"),
    "secure boot without SMM": (
        vm(firmware={"bootloader": "efi", "secure_boot": True}),
        "firmware.secure_boot",
        "set firmware.smm",
    ),
    "secure boot with SMM off": (
        vm(firmware={"bootloader": "efi", "secure_boot": True, "smm": False}),
        "firmware.secure_boot",
        "set firmware.smm",
    ),
    "secure boot by default, without SMM": (
        vm(spec={"domain": {"firmware": {"bootloader": {"efi": {}}}}}),
        "spec.domain.firmware.bootloader.efi.secureBoot",
        "turn secure boot off",
    ),
    "secure boot with BIOS": (
        vm(firmware={"bootloader": "bios", "secure_boot": True, "smm": True}),
        "firmware.bootloader",
        "both efi and bios",
    ),
    "kernel arguments without a kernel": (
        vm(spec={"domain": {"firmware": {"kernelBoot": {"kernelArgs": "quiet"}}}}),
        "spec.domain.firmware.kernelBoot.libvirt.kernelPath",
        "need a kernel",
    ),
    "kernel by a relative path": (
        vm(spec={"domain": {"firmware": {"kernelBoot": {"libvirt": {"kernelPath": "vmlinuz"}}}}}),
        "spec.domain.firmware.kernelBoot.libvirt.kernelPath",
        "absolute path",
    ),
    "UUID": (vm(spec={"domain": {"firmware": {"uuid": "1234"}}}), "spec.domain.firmware.uuid", "no UUID"),
    "clock with two zones": (
        vm(clock={"utc": {}, "timezone": "Europe/Prague"}),
        "clock.timezone",
        "write one of them",
    ),
    "tick policy": (
        vm(clock={"utc": {}, "timer": {"rtc": {"tickPolicy": "catch-up"}}}),
        "clock.timer.rtc.tickPolicy",
        "catchup",
    ),
    "clock track": (
        vm(clock={"utc": {}, "timer": {"rtc": {"track": "host"}}}),
        "clock.timer.rtc.track",
        "guest",
    ),
    "too few spinlocks": (
        vm(spec={"domain": {"features": {"hyperv": {"spinlocks": {"spinlocks": 1}}}}}),
        "spec.domain.features.hyperv.spinlocks.spinlocks",
        "4096",
    ),
    "a long Hyper-V vendor": (
        vm(spec={"domain": {"features": {"hyperv": {"vendorid": {"vendorid": "much too long"}}}}}),
        "spec.domain.features.hyperv.vendorid.vendorid",
        "12",
    ),
    "negative grace": (
        vm(termination_grace_period_seconds=-1),
        "termination_grace_period_seconds",
        "0 or more",
    ),
}

DISKS: dict[str, tuple[Options, str, str]] = {
    "no name": (vm(disks=[{"disk": {}}]), "disks[0].name", "is missing"),
    "an empty name": (vm(disks=[disk(name="")]), "disks[0].name", "write a name"),
    "a name that is a number": (vm(disks=[disk(name=7)]), "disks[0].name", "write a name"),
    "a name in capitals": (vm(disks=[disk(name="Root")]), "disks[0].name", "lower-case"),
    "a name twice": (
        vm(
            disks=[
                disk(),
                disk(volume={"hostDisk": {"path": "/srv/b.img", "type": "Disk"}}),
            ]
        ),
        "disks[1].name",
        "must not have the same name",
    ),
    "a disk without a volume": (vm(disks=[{"name": "root", "disk": {}}]), "disks[0].name", "no volume"),
    "a volume without a disk": (
        vm(volumes=[{"name": "data", "emptyDisk": {"capacity": "1Gi"}}]),
        "volumes[0].name",
        "add a disk",
    ),
    "a volume without a source": (vm(disks=[disk({})]), "disks[0].volume", "write exactly one of hostDisk"),
    "a volume with two sources": (
        vm(
            disks=[
                disk(
                    {
                        "hostDisk": {"path": "/srv/a.img", "type": "Disk"},
                        "emptyDisk": {"capacity": "1Gi"},
                    }
                )
            ]
        ),
        "disks[0].volume",
        "write exactly one",
    ),
    "bus ide": (vm(disks=[disk(disk={"bus": "ide"})]), "disks[0].disk.bus", "virtio, scsi, sata or usb"),
    "virtio CD-ROM": (
        vm(disks=[{**disk(cdrom={"bus": "virtio"}), "disk": {}}]),
        "disks[0]",
        "more than one target",
    ),
    "CD-ROM on virtio": (
        vm(disks=[{"name": "iso", "cdrom": {"bus": "virtio"}, "volume": disk()["volume"]}]),
        "disks[0].cdrom.bus",
        "write sata, scsi or usb",
    ),
    "a LUN of a file": (
        vm(disks=[{"name": "lun", "lun": {"bus": "scsi"}, "volume": disk()["volume"]}]),
        "disks[0].lun",
        "libvirt.device",
    ),
    "a LUN on SATA": (
        vm(disks=[{"name": "lun", "lun": {"bus": "sata"}, "volume": {"libvirt": {"device": "/dev/sdb"}}}]),
        "disks[0].lun.bus",
        "scsi",
    ),
    "two targets": (vm(disks=[disk(cdrom={"bus": "sata"})]), "disks[0]", "write one of disk, cdrom, lun"),
    "tray": (
        vm(disks=[{"name": "iso", "cdrom": {"bus": "sata", "tray": "out"}, "volume": disk()["volume"]}]),
        "disks[0].cdrom.tray",
        "open or closed",
    ),
    "read-only SATA disk": (
        vm(disks=[disk(disk={"bus": "sata", "readonly": True})]),
        "disks[0].disk.readonly",
        "virtio or scsi",
    ),
    "cache": (vm(disks=[disk(cache="unsafe")]), "disks[0].cache", "none, writethrough or writeback"),
    "io": (vm(disks=[disk(io="io_uring")]), "disks[0].io", "native or threads"),
    "native io with a cache": (vm(disks=[disk(io="native", cache="writeback")]), "disks[0].io", "cache none"),
    "shareable with a cache": (vm(disks=[disk(shareable=True, cache="writeback")]), "disks[0].cache", "cache none"),
    "error policy": (vm(disks=[disk(errorPolicy="panic")]), "disks[0].errorPolicy", "stop, ignore, report"),
    "serial with a space": (vm(disks=[disk(serial="my disk")]), "disks[0].serial", "letters, digits"),
    "block size": (
        vm(disks=[disk(blockSize={"custom": {"logical": 1000, "physical": 4096}})]),
        "disks[0].blockSize.custom",
        "powers of 2",
    ),
    "logical above physical": (
        vm(disks=[disk(blockSize={"custom": {"logical": 4096, "physical": 512}})]),
        "disks[0].blockSize.custom.logical",
        "greater than physical",
    ),
    "I/O thread on SCSI": (
        vm(disks=[disk(disk={"bus": "scsi"}, dedicatedIOThread=True)]),
        "disks[0].dedicatedIOThread",
        "write bus virtio",
    ),
    "boot order 0": (vm(disks=[disk(bootOrder=0)]), "disks[0].bootOrder", "1 or more"),
    "boot order in words": (vm(disks=[disk(bootOrder="first")]), "disks[0].bootOrder", "a whole number"),
    "boot order of disk and interface": (
        vm(disks=[disk(bootOrder=1)], interfaces=[nic(bootOrder=1)]),
        "interfaces[0].bootOrder",
        "another number",
    ),
    "path is relative": (
        vm(disks=[disk({"hostDisk": {"path": "root.img", "type": "Disk"}})]),
        "disks[0].volume.hostDisk.path",
        "absolute path",
    ),
    "path is a folder": (
        vm(disks=[disk({"hostDisk": {"path": "/srv/", "type": "Disk"}})]),
        "disks[0].volume.hostDisk.path",
        "path of a file",
    ),
    "no path": (
        vm(disks=[disk({"hostDisk": {"type": "Disk"}})]),
        "disks[0].volume.hostDisk.path",
        "absolute path",
    ),
    "type": (
        vm(disks=[disk({"hostDisk": {"path": "/srv/root.img", "type": "File"}})]),
        "disks[0].volume.hostDisk.type",
        "Disk or DiskOrCreate",
    ),
    "no capacity": (vm(disks=[made(capacity=None)]), "disks[0].volume.hostDisk.capacity", "10Gi"),
    "capacity in GB": (vm(disks=[made(capacity="10GB")]), "disks[0].volume.hostDisk.capacity", "write 10G or 10Gi"),
    "capacity 0": (vm(disks=[made(capacity=0)]), "disks[0].volume.hostDisk.capacity", "multiple of 512"),
    "odd capacity": (vm(disks=[made(capacity=1000)]), "disks[0].volume.hostDisk.capacity", "multiple of 512"),
    "emptyDisk without a capacity": (
        vm(disks=[disk({"emptyDisk": {}})]),
        "disks[0].volume.emptyDisk.capacity",
        "write its size",
    ),
    "format": (vm(disks=[made(format="vmdk")]), "disks[0].volume.libvirt.format", "raw or qcow2"),
    "a raw qcow2": (vm(disks=[made(path="/srv/a.qcow2")]), "disks[0].volume.libvirt.format", "write format qcow2"),
    "an image from a URL without a checksum": (
        vm(disks=[made(image="https://example.com/debian.raw")]),
        "disks[0].volume.libvirt.checksum",
        "sha256",
    ),
    "an image by FTP": (
        vm(disks=[made(image="ftp://example.com/debian.raw", checksum=SHA256)]),
        "disks[0].volume.libvirt.image",
        "http, https or file",
    ),
    "an image by a relative path": (
        vm(disks=[made(image="debian.raw")]),
        "disks[0].volume.libvirt.image",
        "absolute path",
    ),
    "an MD5 checksum": (
        vm(disks=[made(image="/srv/debian.raw", checksum="md5:" + "0" * 32)]),
        "disks[0].volume.libvirt.checksum",
        "64 hex digits",
    ),
    "a short checksum": (
        vm(disks=[made(image="/srv/debian.raw", checksum="sha256:abc")]),
        "disks[0].volume.libvirt.checksum",
        "64 hex digits",
    ),
    "an image for a disk that is there": (
        vm(
            disks=[
                disk(
                    {
                        "hostDisk": {"path": "/srv/root.img", "type": "Disk"},
                        "libvirt": {"image": "/srv/debian.raw"},
                    }
                )
            ]
        ),
        "disks[0].volume.hostDisk.type",
        "write DiskOrCreate",
    ),
    "image and backing file": (
        vm(
            disks=[
                made(
                    path="/srv/a.qcow2",
                    format="qcow2",
                    image="/srv/b.qcow2",
                    backingFile="/srv/b.qcow2",
                )
            ]
        ),
        "disks[0].volume.libvirt.backingFile",
        "beside image",
    ),
    "a raw layer": (vm(disks=[made(backingFile="/srv/b.raw")]), "disks[0].volume.libvirt.format", "write format qcow2"),
    "mode": (vm(disks=[made(mode="rw-r--r--")]), "disks[0].volume.libvirt.mode", "'0640'"),
    "mode as a number": (vm(disks=[made(mode=416)]), "disks[0].volume.libvirt.mode", "text"),
    "one file behind two disks": (
        vm(disks=[disk(), disk(name="data")]),
        "disks[1].volume",
        "a file of its own",
    ),
    "cloud-init of nothing": (vm(cloud_init={}), "cloud_init", "short form"),
    "cloud-init beside text": (
        vm(cloud_init={"hostname": "vm1", "user_data": "#!/bin/sh\n"}),
        "cloud_init.hostname",
        "user_data",
    ),
    "user data is a list": (vm(cloud_init={"user_data": ["packages"]}), "cloud_init.user_data", "mapping"),
    "no base64": (
        vm(disks=[disk({"cloudInitNoCloud": {"userDataBase64": "#cloud-config"}})]),
        "disks[0].volume.cloudInitNoCloud.userDataBase64",
        "no base64",
    ),
    "user data twice": (
        vm(disks=[disk({"cloudInitNoCloud": {"userData": "a", "userDataBase64": "YQ=="}})]),
        "disks[0].volume.cloudInitNoCloud.userDataBase64",
        "write one of them",
    ),
    "a shared folder without a folder": (
        vm(
            spec={
                "domain": {"devices": {"filesystems": [{"name": "src", "virtiofs": {}}]}},
                "volumes": [{"name": "src", "emptyDisk": {"capacity": "1Gi"}}],
            }
        ),
        "spec.domain.devices.filesystems[0].name",
        "libvirt.directory",
    ),
}

NETWORKS: dict[str, tuple[Options, str, str]] = {
    "no binding": (
        vm(interfaces=[{"name": "lan", "network": {"pod": {}}}]),
        "interfaces[0]",
        "write exactly one, masquerade or bridge",
    ),
    "two bindings": (
        vm(interfaces=[nic(network={"pod": {}}, masquerade={}, bridge={})]),
        "interfaces[0]",
        "exactly one",
    ),
    "masquerade on a libvirt network": (
        vm(interfaces=[nic(masquerade={})]),
        "interfaces[0].masquerade",
        "write bridge",
    ),
    "bridge on the pod network": (
        vm(interfaces=[nic(network={"pod": {}})]),
        "interfaces[0].bridge",
        "write masquerade",
    ),
    "an interface without a network": (
        vm(interfaces=[{"name": "lan", "bridge": {}}]),
        "interfaces[0].name",
        "no network",
    ),
    "a network without an interface": (
        vm(networks=[{"name": "lan", "pod": {}}]),
        "networks[0].name",
        "add one of that name",
    ),
    "a network of no type": (vm(interfaces=[nic(network={})]), "interfaces[0].network", "write exactly one"),
    "a network of two types": (
        vm(interfaces=[nic(network={"pod": {}, "libvirt": {"network": "default"}}, masquerade={})]),
        "interfaces[0].network",
        "exactly one, pod or libvirt",
    ),
    "a network of two sources": (
        vm(interfaces=[nic(network={"libvirt": {"network": "default", "bridge": "br0"}})]),
        "interfaces[0].network.libvirt",
        "network, bridge, macvtap or vhostuser",
    ),
    "vhost-user without a socket": (
        vhostuser(socket=None),
        "interfaces[0].network.libvirt.vhostuser.socket",
        "vhost-server-path",
    ),
    "a vhost-user socket by half a path": (
        vhostuser(socket="lan.sock"),
        "interfaces[0].network.libvirt.vhostuser.socket",
        "/run/vhostuser/lan.sock",
    ),
    "a vhost-user socket with a long path": (
        vhostuser(socket=f"/run/{'long' * 26}"),
        "interfaces[0].network.libvirt.vhostuser.socket",
        "at most 107",
    ),
    "vhost-user without huge pages": (vhostuser(hugepages=None), "interfaces[0].vhostuser", "declare hugepages"),
    "vhost-user queues": (vhostuser({"queues": 0}), "interfaces[0].vhostuser.queues", "1 to 256"),
    "a vhost-user ring": (vhostuser({"rxQueueSize": 1000}), "interfaces[0].vhostuser.rxQueueSize", "256, 512 or 1024"),
    "vhost-user of another model": (vhostuser(model="e1000"), "interfaces[0].model", "write virtio"),
    "vhost-user with a network of another kind": (
        vhostuser(network={"libvirt": {"bridge": "br0"}}),
        "interfaces[0].vhostuser",
        "libvirt.vhostuser.socket",
    ),
    "a bridge on a vhost-user socket": (
        vm(interfaces=[nic(network={"libvirt": {"vhostuser": {"socket": "/run/x"}}})]),
        "interfaces[0]",
        "write vhostuser",
    ),
    "two interfaces on one vhost-user socket": (
        vhostuser(more=[{**VHOSTUSER, "name": "wan"}]),
        "interfaces[1].network.libvirt.vhostuser.socket",
        "write another",
    ),
    "two VMs on one vhost-user socket": (
        {"vms": [vhostuser(), vhostuser(name="vm2")]},
        "vms[1].interfaces[0].network.libvirt.vhostuser.socket",
        "give each its own",
    ),
    "macvtap without a device": (
        vm(interfaces=[nic(network={"libvirt": {"macvtap": {"mode": "bridge"}}})]),
        "interfaces[0].network.libvirt.macvtap.device",
        "eth1",
    ),
    "a group of ports of no network": (
        vm(interfaces=[nic(network={"libvirt": {"bridge": "br0", "portgroup": "storage"}})]),
        "interfaces[0].network.libvirt.portgroup",
        "beside a network",
    ),
    "macvtap mode": (
        vm(interfaces=[nic(network={"libvirt": {"macvtap": {"device": "eth1", "mode": "nat"}}})]),
        "interfaces[0].network.libvirt.macvtap.mode",
        "bridge, vepa, private or passthrough",
    ),
    "model": (vm(interfaces=[nic(model="virtio-net")]), "interfaces[0].model", "e1000"),
    "MAC address": (vm(interfaces=[nic(macAddress="52:54:00:12:34")]), "interfaces[0].macAddress", "six pairs"),
    "a MAC address that YAML takes for a number": (
        vm(interfaces=[nic(macAddress=41135040001)]),
        "interfaces[0].macAddress",
        "in quotes",
    ),
    "MAC address with the end of its line": (
        vm(interfaces=[nic(macAddress="52:54:00:12:34:56\n")]),
        "interfaces[0].macAddress",
        "six pairs",
    ),
    "multicast MAC": (vm(interfaces=[nic(macAddress="53:54:00:12:34:56")]), "interfaces[0].macAddress", "even"),
    "link state": (vm(interfaces=[nic(state="absent")]), "interfaces[0].state", "up or down"),
    "interface name": (vm(interfaces=[nic(name="lan 0")]), "interfaces[0].name", "letters, digits"),
    "interface twice": (vm(interfaces=[nic(), nic()]), "interfaces[1].name", "stands twice"),
    "boot order taken": (
        vm(interfaces=[nic(bootOrder=2), nic(name="wan", bootOrder=2)]),
        "interfaces[1].bootOrder",
        "another number",
    ),
}

DEVICES: dict[str, tuple[Options, str, str]] = {
    "watchdog action": (
        vm(watchdog={"name": "dog", "i6300esb": {"action": "reboot"}}),
        "watchdog.i6300esb.action",
        "poweroff, reset, shutdown",
    ),
    "watchdog without a name": (
        vm(watchdog={"i6300esb": {"action": "reset"}}),
        "watchdog.name",
        "write a name",
    ),
    "another watchdog": (
        vm(watchdog={"name": "dog", "ib700": {}}),
        "watchdog.ib700",
        "i6300esb",
    ),
    "I/O thread policy": (
        vm(io_threads_policy="dedicated"),
        "io_threads_policy",
        "shared, auto or supplementalPool",
    ),
    "a pool of no size": (
        vm(io_threads_policy="supplementalPool"),
        "spec.template.spec.domain.ioThreads.supplementalPoolThreadCount",
        "a number of threads",
    ),
    "PCI address": (vm(host_devices=[{"name": "nic", "pci": "3b:00"}]), "host_devices[0].pci", "0000:3b:00.0"),
    "PCI address with the end of its line": (
        vm(host_devices=[{"name": "nic", "pci": "0000:3b:00.0\n"}]),
        "host_devices[0].pci",
        "0000:3b:00.0",
    ),
    "mdev": (vm(gpus=[{"name": "gpu", "mdev": "nvidia-35"}]), "gpus[0].mdev", "UUID"),
    "a device that is nothing": (vm(host_devices=[{"name": "nic"}]), "host_devices[0]", "one of pci or mdev"),
    "a device that is two": (
        vm(
            host_devices=[
                {
                    "name": "nic",
                    "pci": "0000:3b:00.0",
                    "mdev": "4b20d080-1b54-4048-85b3-a6a62d165c01",
                }
            ]
        ),
        "host_devices[0]",
        "exactly one",
    ),
    "a cluster's device": (
        vm(gpus=[{"name": "gpu", "deviceName": "nvidia.com/A100"}]),
        "gpus[0].deviceName",
        "pci or mdev",
    ),
    "two devices of a name": (
        vm(host_devices=[{"name": "x", "pci": "0000:3b:00.0"}], gpus=[{"name": "x", "pci": "0000:3c:00.0"}]),
        "gpus[0].name",
        "stands twice",
    ),
    "input": (
        vm(spec={"domain": {"devices": {"inputs": [{"name": "ball", "type": "trackball"}]}}}),
        "spec.domain.devices.inputs[0].type",
        "tablet",
    ),
}

#: What public examples, and people who have read them, write in the wrong place.
MISPLACED: dict[str, tuple[Options, str, str]] = {
    "ioThreadsPolicy under cpu (KubeVirt's real-time example)": (
        vm(spec={"domain": {"cpu": {"cores": 2, "ioThreadsPolicy": "auto"}}}),
        "spec.domain.cpu.ioThreadsPolicy",
        "domain.ioThreadsPolicy",
    ),
    "dedicateCpuPlacement (KubeVirt's real-time example)": (
        vm(spec={"domain": {"cpu": {"cores": 2, "dedicateCpuPlacement": True}}}),
        "spec.domain.cpu.dedicateCpuPlacement",
        "dedicatedCpuPlacement",
    ),
    "the whole spec in spec": (
        vm(spec={"template": {"spec": {"domain": {"cpu": {"cores": 2}}}}}),
        "spec.template",
        "use definition",
    ),
    "an instance's spec as a machine's": (
        {"name": "vm1", "definition": {"spec": {"domain": {"memory": {"guest": "1Gi"}}}}},
        "definition.spec.domain",
        "spec.template.spec.domain",
    ),
    "an instance's volumes as a machine's": (
        {"name": "vm1", "definition": {"spec": {"volumes": []}}},
        "definition.spec.volumes",
        "spec.template.spec.volumes",
    ),
    "an instance": (
        {"name": "vm1", "definition": {"kind": "VirtualMachineInstance"}},
        "definition.kind",
        "VirtualMachine",
    ),
    "cpu beside domain": (vm(spec={"cpu": {"cores": 2}}), "spec.cpu", "domain.cpu"),
    "devices beside domain": (vm(spec={"devices": {}}), "spec.devices", "domain.devices"),
    "hugepages beside memory": (
        vm(spec={"domain": {"hugepages": {"pageSize": "2Mi"}}}),
        "spec.domain.hugepages",
        "domain.memory.hugepages",
    ),
    "volumes in domain": (vm(spec={"domain": {"volumes": []}}), "spec.domain.volumes", "beside domain"),
    "runStrategy in the template": (vm(spec={"runStrategy": "Always"}), "spec.runStrategy", "use definition"),
    "a slip of the pen": (
        vm(spec={"domain": {"devices": {"autoattachMemballoon": False}}}),
        "spec.domain.devices.autoattachMemballoon",
        "did you mean autoattachMemBalloon?",
    ),
    "snake case in KubeVirt's own part": (
        vm(disks=[disk(boot_order=1)]),
        "disks[0].boot_order",
        "did you mean bootOrder?",
    ),
    "an unknown field of a volume": (
        vm(disks=[disk({"hostDisk": {"path": "/srv/a", "type": "Disk", "size": "1Gi"}})]),
        "disks[0].volume.hostDisk.size",
        "capacity",
    ),
    "a field that nobody knows": (vm(spec={"domain": {"zzz": 1}}), "spec.domain.zzz", "does not know this field"),
    "both running and runStrategy": (
        manifest({}, running=True, runStrategy="Always"),
        "definition.spec.running",
        "write one of them",
    ),
    "a strategy of its own": (
        manifest({}, runStrategy="Sometimes"),
        "definition.spec.runStrategy",
        "Always, Halted, Manual, Once or RerunOnFailure",
    ),
    "a definition's disk": (
        manifest(
            {
                "domain": {"devices": {"disks": [{"name": "a"}, {"name": "b", "disk": {"bus": "ide"}}]}},
                "volumes": [
                    {"name": "a", "emptyDisk": {"capacity": "1Gi"}},
                    {"name": "b", "emptyDisk": {"capacity": "1Gi"}},
                ],
            }
        ),
        "definition.spec.template.spec.domain.devices.disks[1].disk.bus",
        "virtio",
    ),
    "a definition's quantity": (
        manifest({"domain": {"memory": {"guest": "1GB"}}}),
        "definition.spec.template.spec.domain.memory.guest",
        "1G or 1Gi",
    ),
    "a definition's metadata": (
        {"definition": {"metadata": {"name": "vm1", "label": {}}}},
        "definition.metadata.label",
        "did you mean labels?",
    ),
}

#: Fields that only a cluster has, with what a plain host has instead.
CLUSTER: dict[str, tuple[Options, str, str]] = {
    "containerDisk": (
        vm(disks=[disk({"containerDisk": {"image": "quay.io/containerdisks/fedora"}})]),
        "disks[0].volume.containerDisk",
        "use hostDisk with libvirt.image",
    ),
    "dataVolume": (vm(disks=[disk({"dataVolume": {"name": "dv"}})]), "disks[0].volume.dataVolume", "use hostDisk"),
    "persistentVolumeClaim": (
        vm(disks=[disk({"persistentVolumeClaim": {"claimName": "pvc"}})]),
        "disks[0].volume.persistentVolumeClaim",
        "libvirt.device",
    ),
    "ephemeral": (vm(disks=[disk({"ephemeral": {}})]), "disks[0].volume.ephemeral", "libvirt.backingFile"),
    "config drive": (
        vm(disks=[disk({"cloudInitConfigDrive": {"userData": "x"}})]),
        "disks[0].volume.cloudInitConfigDrive",
        "use cloudInitNoCloud",
    ),
    "secret": (vm(disks=[disk({"secret": {"secretName": "x"}})]), "disks[0].volume.secret", "cloudInitNoCloud"),
    "cloud-init from a secret": (
        vm(disks=[disk({"cloudInitNoCloud": {"secretRef": {"name": "x"}}})]),
        "disks[0].volume.cloudInitNoCloud.secretRef",
        "use userData",
    ),
    "volumes of a manifest": (
        manifest({"domain": {}, "volumes": [{"name": "root", "containerDisk": {"image": "x"}}]}),
        "definition.spec.template.spec.volumes[0].containerDisk",
        "use hostDisk",
    ),
    "multus": (
        vm(interfaces=[nic(network={"multus": {"networkName": "vlan10"}})]),
        "interfaces[0].network.multus",
        "use libvirt with network, bridge, macvtap or vhostuser",
    ),
    "sriov": (
        vm(interfaces=[{"name": "lan", "sriov": {}, "network": {"pod": {}}}]),
        "interfaces[0].sriov",
        "use host_devices",
    ),
    "binding plugin": (
        vm(interfaces=[{"name": "lan", "binding": {"name": "passt"}, "network": {"pod": {}}}]),
        "interfaces[0].binding",
        "use bridge",
    ),
    "ports": (
        vm(interfaces=[nic(network={"pod": {}}, masquerade={}, ports=[{"port": 80}])]),
        "interfaces[0].ports",
        "libvirt network",
    ),
    "dataVolumeTemplates": (
        manifest({}, dataVolumeTemplates=[]),
        "definition.spec.dataVolumeTemplates",
        "libvirt.image",
    ),
    "instancetype": (
        manifest({}, instancetype={"name": "u1.medium"}),
        "definition.spec.instancetype",
        "cpu_cores and memory",
    ),
    "node selector": (vm(node_selector={"zone": "a"}), "node_selector", "leave it out"),
    "affinity": (vm(affinity={"nodeAffinity": {}}), "affinity", "leave it out"),
    "tolerations": (vm(tolerations=[{"key": "rt"}]), "tolerations", "leave it out"),
    "eviction strategy": (vm(spec={"evictionStrategy": "LiveMigrate"}), "spec.evictionStrategy", "leave it out"),
    "memory hotplug": (vm(spec={"domain": {"memory": {"maxGuest": "4Gi"}}}), "spec.domain.memory.maxGuest", "leave"),
}

#: The wrong type where the shape of a nested part is not the argument spec's to judge.
SHAPES: dict[str, tuple[Options, str, str]] = {
    "disks are text": (
        vm(spec={"domain": {"devices": {"disks": "root"}}}),
        "spec.domain.devices.disks",
        "write a list",
    ),
    "disks are a mapping": (
        vm(spec={"domain": {"devices": {"disks": {"root": {}}}}}),
        "spec.domain.devices.disks",
        "write a list",
    ),
    "a volume is text": (vm(spec={"volumes": ["root"]}), "spec.volumes[0]", "write a mapping"),
    "a volume is nothing": (vm(spec={"volumes": [None]}), "spec.volumes[0]", "write a mapping"),
    "a nested volume is text": (vm(disks=[disk("/srv/root.img")]), "disks[0].volume", "write a mapping"),
    "a nested volume is a list": (
        vm(disks=[disk([{"hostDisk": {"path": "/srv/root.img"}}])]),
        "disks[0].volume",
        "write a mapping",
    ),
    "a nested network is text": (vm(interfaces=[nic("default")]), "interfaces[0].network", "write a mapping"),
    "hostDisk is text": (
        vm(disks=[disk({"hostDisk": "/srv/root.img"})]),
        "disks[0].volume.hostDisk",
        "write a mapping",
    ),
    "a path is a number": (
        vm(disks=[disk({"hostDisk": {"path": 1, "type": "Disk"}})]),
        "disks[0].volume.hostDisk.path",
        "write text",
    ),
    "a disk's target is text": (vm(disks=[disk(disk="virtio")]), "disks[0].disk", "write a mapping"),
    "a switch is text": (
        vm(spec={"domain": {"devices": {"rng": {}, "blockMultiQueue": "maybe"}}}),
        "spec.domain.devices.blockMultiQueue",
        "true or false",
    ),
    "domain is text": (vm(spec={"domain": "small"}), "spec.domain", "write a mapping"),
    "cpu is a number": (vm(spec={"domain": {"cpu": 4}}), "spec.domain.cpu", "write a mapping"),
    "memory is text": (vm(spec={"domain": {"memory": "2Gi"}}), "spec.domain.memory", "write a mapping"),
    "a float of bytes": (
        vm(spec={"domain": {"memory": {"guest": 1.5}}}),
        "spec.domain.memory.guest",
        "a quantity such as 2Gi",
    ),
    "features are a list": (
        vm(spec={"domain": {"features": ["acpi"]}}),
        "spec.domain.features",
        "write a mapping",
    ),
    "a watchdog is text": (vm(watchdog={"name": "dog", "i6300esb": "reset"}), "watchdog.i6300esb", "a mapping"),
    "a page size is a number": (
        vm(spec={"domain": {"memory": {"hugepages": {"pageSize": 2048}}}}),
        "spec.domain.memory.hugepages.pageSize",
        "text",
    ),
    "resources without a kind": (vm(resources={"cpu": 2}), "resources.cpu", "requests"),
    "limits are text": (vm(resources={"limits": "2"}), "resources.limits", "write a mapping"),
    "definition's spec is text": (
        {"name": "vm1", "definition": {"spec": "vm.yaml"}},
        "definition.spec",
        "write a mapping",
    ),
    "definition's template is a list": (
        {"name": "vm1", "definition": {"spec": {"template": ["a"]}}},
        "definition.spec.template",
        "write a mapping",
    ),
    "definition's pod spec is a list": (
        {"name": "vm1", "definition": {"spec": {"template": {"spec": ["a"]}}}},
        "definition.spec.template.spec",
        "write a mapping",
    ),
    "definition's metadata is text": ({"definition": {"metadata": "vm1"}}, "definition.metadata", "write a mapping"),
    "definition's labels are a list": (
        {"definition": {"metadata": {"name": "vm1", "labels": ["a"]}}},
        "definition.metadata.labels",
        "write a mapping",
    ),
    "a disk of the definition has no name": (
        manifest({"domain": {"devices": {"disks": [{"disk": {}}]}}}),
        "definition.spec.template.spec.domain.devices.disks[0].name",
        "name",
    ),
    "a disk of the definition is nothing": (
        manifest({"domain": {"devices": {"disks": [None]}}}),
        "definition.spec.template.spec.domain.devices.disks[0]",
        "write a mapping",
    ),
    "a name of the definition is a number": (
        {"memory": "1Gi", "definition": {"metadata": {"name": 7}}},
        "definition.metadata.name",
        "write text",
    ),
}


def passed_through(*devices: Options) -> Options:
    return vm(host_devices=[{"name": f"d{index}", **device} for index, device in enumerate(devices)])


def timer(name: str, **settings: str) -> Options:
    return vm(clock={"utc": {}, "timer": {name: settings}})


#: What libvirt or QEMU would refuse in the middle, when files are made or another VM is there already.
LATE: dict[str, tuple[Options, str, str]] = {
    "an empty CPU model": (vm(cpu_model=""), "cpu_model", "leave it out"),
    "an empty machine type": (vm(machine_type=""), "machine_type", "leave it out"),
    "a CPU feature twice": (
        vm(spec={"domain": {"cpu": {"features": [{"name": "pcid"}, {"name": "pcid", "policy": "disable"}]}}}),
        "spec.domain.cpu.features[1].name",
        "one policy",
    ),
    "an image without a checksum for a disk that comes empty": (
        vm(disks=[disk({"emptyDisk": {"capacity": "1Gi"}, "libvirt": {"image": "http://x/y.qcow2"}})]),
        "disks[0].volume.libvirt.checksum",
        "is missing",
    ),
    "a file mode of one digit": (
        vm(disks=[disk({"emptyDisk": {"capacity": "1Gi"}, "libvirt": {"mode": "9"}})]),
        "disks[0].volume.libvirt.mode",
        "octal",
    ),
    "an image for a device": (
        vm(disks=[disk({"libvirt": {"device": "/dev/sdb", "image": "/srv/a.raw"}})]),
        "disks[0].volume.libvirt.image",
        "means nothing beside libvirt.device",
    ),
    "a device of another format": (
        vm(disks=[disk({"libvirt": {"device": "/dev/sdb", "format": "vmdk"}})]),
        "disks[0].volume.libvirt.format",
        "raw or qcow2",
    ),
    "a seed of another format": (
        vm(disks=[disk({"cloudInitNoCloud": {"userData": "#"}, "libvirt": {"format": "qcow2"}})]),
        "disks[0].volume.libvirt.format",
        "means nothing beside cloudInitNoCloud",
    ),
    "a disk of a folder": (
        vm(disks=[disk({"libvirt": {"directory": "/srv/share"}})]),
        "disks[0].name",
        "as a filesystem",
    ),
    "a LUN of an image": (
        vm(
            disks=[
                {
                    "name": "root",
                    "lun": {"bus": "scsi"},
                    "volume": {"libvirt": {"device": "/dev/sdb", "format": "qcow2"}},
                }
            ]
        ),
        "disks[0].lun",
        "format raw",
    ),
    "a LUN with a serial number": (
        vm(
            disks=[
                {"name": "root", "lun": {"bus": "scsi"}, "serial": "1", "volume": {"libvirt": {"device": "/dev/sdb"}}}
            ]
        ),
        "disks[0].serial",
        "leave it out",
    ),
    "one file in two spellings": (
        vm(disks=[made("/srv//a.img"), {**made("/srv/a.img"), "name": "b"}]),
        "disks[1].volume",
        "needs a file of its own",
    ),
    "a path that ends above": (vm(disks=[made("/srv/..")]), "disks[0].volume.hostDisk.path", "absolute path"),
    "a path of two lines": (vm(disks=[made("/srv/a\nb")]), "disks[0].volume.hostDisk.path", "absolute path"),
    "a host device without a name": (
        vm(spec={"domain": {"devices": {"hostDevices": [{"pci": "0000:00:01.0"}]}}}),
        "spec.domain.devices.hostDevices[0].name",
        "is missing",
    ),
    "a host device's name with a space": (
        vm(host_devices=[{"name": "GPU 1", "pci": "0000:00:01.0"}]),
        "host_devices[0].name",
        "letters, digits",
    ),
    "one device in two spellings": (
        passed_through({"pci": "0000:3B:00.0"}, {"pci": "3b:00.0"}),
        "host_devices[1].pci",
        "'d0' already",
    ),
    "a slot that PCI does not have": (passed_through({"pci": "3b:ff.0"}), "host_devices[0].pci", "no PCI address"),
    "two inputs of one name": (
        vm(spec={"domain": {"devices": {"inputs": [{"name": "a", "type": "tablet"}] * 2}}}),
        "spec.domain.devices.inputs[1].name",
        "stands twice",
    ),
    "two shares of one name": (
        vm(
            disks=[],
            spec={
                "domain": {"devices": {"filesystems": [{"name": "a", "virtiofs": {}}] * 2}},
                "volumes": [{"name": "a", "libvirt": {"directory": "/srv"}}],
            },
        ),
        "spec.domain.devices.filesystems[1].name",
        "stands twice",
    ),
    "what Hyper-V's features need is off": (
        vm(spec={"domain": {"features": {"hyperv": {"tlbflush": {}, "vpindex": {"enabled": False}}}}}),
        "spec.domain.features.hyperv.tlbflush",
        "turn vpindex on",
    ),
    "no vendor": (
        vm(spec={"domain": {"features": {"hyperv": {"vendorid": {}}}}}),
        "spec.domain.features.hyperv.vendorid.vendorid",
        "1 to 12",
    ),
    "what hpet tracks": (timer("hpet", track="guest"), "clock.timer.hpet.track", "leave it out"),
    "a tick policy of kvmclock": (timer("kvm", tickPolicy="delay"), "clock.timer.kvm.tickPolicy", "leave it out"),
    "a tick policy that the rtc has not": (
        timer("rtc", tickPolicy="merge"),
        "clock.timer.rtc.tickPolicy",
        "delay or catchup",
    ),
    "memory that makes no cells of pages": (
        realtime(memory="1536Mi", hugepages="1Gi", resources={"requests": {"memory": "1Gi"}}),
        "memory",
        "1Gi or 2Gi",
    ),
    "a UUID twice": (
        {"memory": "1Gi", "smbios_uuid": "6b8e2d4a-0f1c-4b7e-9a55-3c2d1e0f9a88", "vms": [{"name": "a"}, {"name": "b"}]},
        "smbios_uuid",
        "is the UUID of 'a' and 'b'",
    ),
    "kernel arguments of two lines": (
        vm(spec={"domain": {"firmware": {"kernelBoot": {"kernelArgs": "a\nb", "libvirt": {"kernelPath": "/k"}}}}}),
        "spec.domain.firmware.kernelBoot.kernelArgs",
        "more than one line",
    ),
}

#: Several VMs in one task.
VMS: dict[str, tuple[Options, str, str]] = {
    "an entry without a name": ({"memory": "1Gi", "vms": [{"cpu_cores": 1}]}, "vms[0].name", "is missing"),
    "a bad entry": (
        {"memory": "1Gi", "vms": [{"name": "a"}, {"name": "b", "cpu_cores": 0}]},
        "vms[1].cpu_cores",
        "1 or more",
    ),
    "a bad disk of an entry": (
        {
            "memory": "1Gi",
            "vms": [{"name": "a"}, {"name": "b", "disks": [disk(), disk(name="data", disk={"bus": "ide"})]}],
        },
        "vms[1].disks[1].disk.bus",
        "virtio",
    ),
    "a bad spec of an entry": (
        {"memory": "1Gi", "vms": [{"name": "a", "spec": {"domain": {"cpus": 1}}}]},
        "vms[0].spec.domain.cpus",
        "did you mean cpu?",
    ),
    "a bad definition of an entry": (
        {"memory": "1Gi", "vms": [{"definition": {"metadata": {"name": "a"}, "spec": {"domain": {}}}}]},
        "vms[0].definition.spec.domain",
        "spec.template.spec.domain",
    ),
    "a disk of an entry without a name": (
        {"memory": "1Gi", "vms": [{"name": "a", "disks": [{"disk": {}}]}]},
        "vms[0].disks[0].name",
        "is missing",
    ),
    "a name twice": (
        {"memory": "1Gi", "vms": [{"name": "a"}, {"name": "b"}, {"name": "a"}]},
        "vms[2].name",
        "declared twice: vms[0]",
    ),
    "a definition that is no tree of mappings": (
        vm(definition={"spec": [{"template": {}}]}),
        "definition.spec",
        "write a mapping",
    ),
    "a name twice, from the task": (vm(vms=[{}, {"memory": "2Gi"}]), "vms[1].name", "declared twice"),
    "two VMs of one domain name": (
        {"memory": "1Gi", "vms": [{"name": "b", "namespace": "a"}, {"name": "a_b"}]},
        "vms[1].name",
        "twice",
    ),
    "two VMs on one disk": (
        {"memory": "1Gi", "vms": [{"name": "a", "disks": [disk()]}, {"name": "b", "disks": [disk()]}]},
        "vms[1].disks[0].volume.hostDisk.path",
        "shareable",
    ),
    "two VMs on one disk, one of them shareable": (
        {
            "memory": "1Gi",
            "vms": [
                {"name": "a", "disks": [disk(shareable=True)]},
                {"name": "b", "disks": [disk()]},
            ],
        },
        "vms[1].disks[0].volume.hostDisk.path",
        "shareable",
    ),
    "two VMs on one block device": (
        {
            "memory": "1Gi",
            "vms": [{"name": name, "disks": [disk({"libvirt": {"device": "/dev/vg/root"}})]} for name in ("a", "b")],
        },
        "vms[1].disks[0].volume.libvirt.device",
        "shareable",
    ),
    "two VMs on the disk of the task": (
        {"memory": "1Gi", "disks": [disk()], "vms": [{"name": "a"}, {"name": "b"}]},
        "disks[0].volume.hostDisk.path",
        "shareable",
    ),
}

TABLE = {
    f"{group}: {what}": case
    for group, cases in (
        ("cpu", CPU),
        ("memory", MEMORY),
        ("machine", MACHINE),
        ("disks", DISKS),
        ("networks", NETWORKS),
        ("devices", DEVICES),
        ("misplaced", MISPLACED),
        ("cluster", CLUSTER),
        ("shapes", SHAPES),
        ("late", LATE),
        ("vms", VMS),
    )
    for what, case in cases.items()
}

#: Several mistakes, all of them told.
COMBINED: dict[str, tuple[Options, list[Expected]]] = {
    "a real-time VM with nothing that it needs": (
        vm(realtime=True),
        [("realtime", "set dedicated_cpus"), ("realtime", "set numa_passthrough")],
    ),
    "real-time and NUMA alone": (
        vm(realtime=True, numa_passthrough=True),
        [
            ("realtime", "set dedicated_cpus"),
            ("numa_passthrough", "set dedicated_cpus"),
            ("numa_passthrough", "set hugepages"),
        ],
    ),
    "mistakes in every corner": (
        vm(
            cpu_cores=0,
            memory="2GB",
            machine_type="i440",
            disks=[disk(disk={"bus": "ide"})],
            interfaces=[nic(macAddress="zz")],
            watchdog={"name": "dog", "i6300esb": {"action": "bark"}},
        ),
        [
            ("cpu_cores", "1 or more"),
            ("memory", "2G or 2Gi"),
            ("machine_type", "q35*"),
            ("disks[0].disk.bus", "virtio"),
            ("interfaces[0].macAddress", "six pairs"),
            ("watchdog.i6300esb.action", "reset"),
        ],
    ),
    "KubeVirt's real-time example": (
        vm(
            spec={
                "domain": {
                    "cpu": {"dedicateCpuPlacement": True, "ioThreadsPolicy": "auto", "realtime": {"mask": "0"}},
                }
            }
        ),
        [
            ("spec.domain.cpu.dedicateCpuPlacement", "dedicatedCpuPlacement"),
            ("spec.domain.cpu.ioThreadsPolicy", "domain.ioThreadsPolicy"),
        ],
    ),
    "two VMs, each with its own": (
        {"memory": "1Gi", "vms": [{"name": "a", "cpu_cores": 0}, {"name": "b", "hugepages": "2MB"}]},
        [("vms[0].cpu_cores", "1 or more"), ("vms[1].hugepages", "2M or 2Mi")],
    ),
    "a mistake of the task is told once": (
        {"memory": "1GB", "vms": [{"name": "a"}, {"name": "b", "cpu_cores": 0}]},
        [("memory", "1G or 1Gi"), ("vms[1].cpu_cores", "1 or more")],
    ),
    "nameless disks and a mistake of another VM": (
        {"memory": "1Gi", "vms": [{"name": "a", "disks": [{}, {}]}, {"name": "b", "cpu_cores": 0}]},
        [
            ("vms[0].disks[0].name", "is missing"),
            ("vms[0].disks[1].name", "is missing"),
            ("vms[1].cpu_cores", "1 or more"),
        ],
    ),
    "spec over an option": (
        vm(memory="1GB", cpu_cores=0, spec={"domain": {"cpu": {"cores": -1}}}),
        [("memory", "1G or 1Gi"), ("spec.domain.cpu.cores", "1 or more")],
    ),
}

#: What the argument spec refuses before any rule of ours: the option's name, and what it wants.
ARGUMENTS: dict[str, tuple[Options, str, str]] = {
    "cores in words": (vm(cpu_cores="two"), "cpu_cores", "int"),
    "disks are text": (vm(disks="root"), "disks", "dict"),
    "a mapping where a list is wanted": (vm(disks={"name": "root"}), "disks", "list"),
    "interfaces are numbers": (vm(interfaces=[1]), "interfaces", "dict"),
    "a switch in words": (vm(realtime="maybe"), "realtime", "bool"),
    "spec is text": (vm(spec="domain"), "spec", "dict"),
    "definition is a list": (vm(definition=[{}]), "definition", "dict"),
    "firmware": (vm(firmware={"bootloader": "uefi"}), "bootloader", "bios, efi"),
    "an unknown option": (vm(cpus=4), "cpus", "cpu_cores"),
    "an unknown option of a VM": ({"vms": [{"name": "a", "cpus": 4}]}, "cpus", "cpu_cores"),
    "an unknown option of firmware": (vm(firmware={"secureBoot": True}), "secureBoot", "secure_boot"),
    "an unknown state": (vm(state="started"), "state", "present, running, stopped, paused, restarted, absent"),
    "an unknown wait": (vm(wait_for=["ssh"]), "wait_for", "address, agent"),
    "vms is a mapping": ({"vms": {"a": {}}}, "vms", "list"),
}


def problems_of(result: dict[str, t.Any]) -> list[Expected]:
    return [(problem["path"], problem["message"]) for problem in result["problems"]]


def assert_failed_cleanly(result: dict[str, t.Any]) -> None:
    assert result["failed"]
    assert "Traceback" not in result["msg"]
    assert "Error" not in result["msg"].replace("errorPolicy", "")
    assert "\n" not in result["msg"]


@pytest.mark.parametrize("what", TABLE)
def test_a_mistake_is_told_by_its_path_with_its_remedy(run: t.Callable[[Options], dict[str, t.Any]], what: str) -> None:
    options, path, remedy = TABLE[what]
    result = run(options)
    assert_failed_cleanly(result)
    problems = problems_of(result)
    assert [message for found, message in problems if found == path and remedy in message], problems
    # It is in the message too, at the start of a problem.
    assert f"; {path}" in f"; {result['msg'].partition(' problems: ')[2] or result['msg']}"


@pytest.mark.parametrize("what", COMBINED)
def test_all_mistakes_are_told_at_once(run: t.Callable[[Options], dict[str, t.Any]], what: str) -> None:
    options, expected = COMBINED[what]
    result = run(options)
    assert_failed_cleanly(result)
    assert result["msg"].startswith(f"{len(expected)} problems: ")
    problems = problems_of(result)
    assert sorted(path for path, _message in problems) == sorted(path for path, _remedy in expected)
    for path, remedy in expected:
        assert [message for found, message in problems if found == path and remedy in message], problems


@pytest.mark.parametrize("what", ARGUMENTS)
def test_the_argument_spec_refuses(run: t.Callable[[Options], dict[str, t.Any]], what: str) -> None:
    options, option, wanted = ARGUMENTS[what]
    result = run(options)
    assert result["failed"]
    assert "Traceback" not in result["msg"]
    assert option in result["msg"]
    assert wanted in result["msg"]


@pytest.mark.parametrize("state", ["present", "running", "stopped", "paused", "restarted"])
def test_every_state_that_defines_a_vm_checks_it(run: t.Callable[[Options], dict[str, t.Any]], state: str) -> None:
    assert problems_of(run(vm(cpu_cores=0, state=state))) == [("cpu_cores", "is 0: write 1 or more")]


def test_check_mode_checks_too(run: t.Callable[[Options], dict[str, t.Any]]) -> None:
    assert problems_of(run(vm(cpu_cores=0, _ansible_check_mode=True))) == [("cpu_cores", "is 0: write 1 or more")]


def test_the_problem_of_an_option_names_the_field_of_the_manifest_as_well(
    run: t.Callable[[Options], dict[str, t.Any]],
) -> None:
    result = run(vm(disks=[disk(disk={"bus": "ide"})]))
    where = "spec.template.spec.domain.devices.disks[0].disk.bus"
    assert result["problems"][0]["manifest_path"] == where
    assert result["msg"].startswith(f"disks[0].disk.bus ({where}): ")


def test_text_in_a_volume_s_place_is_not_printed(run: t.Callable[[Options], dict[str, t.Any]]) -> None:
    """It may hold a secret."""
    result = run(vm(disks=[{"name": "root", "volume": "userData: hunter2"}]))
    assert problems_of(result) == [("disks[0].volume", "is text: write a mapping")]
    assert "hunter2" not in result["msg"]


def test_a_password_in_a_url_is_not_printed(run: t.Callable[[Options], dict[str, t.Any]]) -> None:
    assert "hunter2" not in str(run(vm(disks=[made(image="ftp://me:hunter2@example.com/a.raw")])))


GOOD: dict[str, Options] = {
    "to be removed, whatever it was": vm(state="absent", dedicated_cpus=True, resources={"limits": {"cpu": "abc"}}),
    "the least": vm(),
    "a name alone, of a VM that may be there": {"name": "vm1"},
    "real-time": realtime(),
    "real-time of all but one": realtime(cpu_cores=4, realtime_mask="^0"),
    "a disk": vm(disks=[disk(bootOrder=1)], interfaces=[nic(bootOrder=2)]),
    "a disk that is made": vm(disks=[made(image="/srv/debian.raw")]),
    "an image from the net": vm(disks=[made(image="https://example.com/a.raw", checksum=SHA256)]),
    "a manifest from kubectl": manifest({"domain": {"memory": {"guest": "1Gi"}}}, runStrategy="Halted"),
    "secure boot": vm(firmware={"bootloader": "efi", "secure_boot": True, "smm": True}),
    "a disk that two VMs share": {
        "memory": "1Gi",
        "vms": [{"name": name, "disks": [disk(shareable=True)]} for name in ("a", "b")],
    },
    "a CD-ROM that two VMs read": {
        "memory": "1Gi",
        "vms": [
            {"name": name, "disks": [{"name": "iso", "cdrom": {"bus": "sata"}, "volume": disk()["volume"]}]}
            for name in ("a", "b")
        ],
    },
    "a read-only disk that two VMs read": {
        "memory": "1Gi",
        "vms": [{"name": name, "disks": [disk(disk={"bus": "virtio", "readonly": True})]} for name in ("a", "b")],
    },
    "one name in two namespaces": {
        "memory": "1Gi",
        "vms": [{"name": "a", "namespace": "x"}, {"name": "a", "namespace": "y"}],
    },
    "a name to remove, whatever else is declared": vm(state="absent", cpu_cores=0, realtime=True),
}


@pytest.mark.parametrize("what", GOOD)
def test_what_is_right_goes_on_to_libvirt(run: t.Callable[[Options], dict[str, t.Any]], what: str) -> None:
    """The control of this file: without it, a module that refuses all would pass."""
    with pytest.raises(Connected):
        run(GOOD[what])


def test_the_table_is_as_large_as_was_promised() -> None:
    assert len(TABLE) + len(COMBINED) + len(ARGUMENTS) >= 70
