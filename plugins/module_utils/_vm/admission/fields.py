# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fields of a VirtualMachine that ``libvirt_vm`` does, with their types; and those that only a cluster has.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

A tree of KubeVirt's API: a dict is a mapping with these keys, a one-item list a list of such items, a string a type
(``any``: not looked into here). ``libvirt`` keys are this collection's own, beside KubeVirt's.
"""

from __future__ import annotations

import typing as t

__all__ = ["CLUSTER_ONLY", "MACHINE", "MISPLACED"]

Pattern = tuple[str, ...]

_RESOURCES = {"cpu": "number", "memory": "quantity"}
_TARGET = {"bus": "str", "readonly": "bool"}
_SWITCH = {"enabled": "bool"}
_TIMER = {"present": "bool", "tickPolicy": "str", "track": "str"}
_HOST_DEVICE = {"name": "str", "deviceName": "str", "pci": "str", "mdev": "str"}

_CPU = {
    "cores": "int",
    "sockets": "int",
    "threads": "int",
    "model": "str",
    "features": [{"name": "str", "policy": "str"}],
    "dedicatedCpuPlacement": "bool",
    "isolateEmulatorThread": "bool",
    "numa": {"guestMappingPassthrough": {}},
    "realtime": {"mask": "str"},
    "libvirt": {"threadPolicy": "str"},
}

_DISK = {
    "name": "str",
    "disk": _TARGET,
    "cdrom": {**_TARGET, "tray": "str"},
    "lun": _TARGET,
    "bootOrder": "int",
    "serial": "str",
    "cache": "str",
    "io": "str",
    "errorPolicy": "str",
    "shareable": "bool",
    "dedicatedIOThread": "bool",
    "blockSize": {"custom": {"logical": "int", "physical": "int"}},
}

_INTERFACE = {
    "name": "str",
    "model": "str",
    "macAddress": "str",
    "bootOrder": "int",
    "state": "str",
    "masquerade": {},
    "bridge": {},
    "vhostuser": {"queues": "int", "rxQueueSize": "int", "txQueueSize": "int", "mrgRxbuf": "bool"},
}

_DEVICES = {
    "disks": [_DISK],
    "interfaces": [_INTERFACE],
    "filesystems": [{"name": "str", "virtiofs": {}}],
    "inputs": [{"name": "str", "type": "str", "bus": "str"}],
    "watchdog": {"name": "str", "i6300esb": {"action": "str"}},
    "hostDevices": [_HOST_DEVICE],
    "gpus": [_HOST_DEVICE],
    "rng": {},
    "tpm": {"enabled": "bool", "persistent": "bool"},
    "blockMultiQueue": "bool",
    "networkInterfaceMultiqueue": "bool",
    "autoattachGraphicsDevice": "bool",
    "autoattachInputDevice": "bool",
    "autoattachMemBalloon": "bool",
    "autoattachPodInterface": "bool",
    "autoattachSerialConsole": "bool",
    "logSerialConsole": "bool",
}

_FEATURES = {
    "acpi": _SWITCH,
    "apic": _SWITCH,
    "smm": _SWITCH,
    "kvm": {"hidden": "bool"},
    "hyperv": {
        **dict.fromkeys(
            ("frequencies", "ipi", "reenlightenment", "relaxed", "reset", "runtime", "synic", "synictimer"), _SWITCH
        ),
        **dict.fromkeys(("tlbflush", "vapic", "vpindex"), _SWITCH),
        "spinlocks": {**_SWITCH, "spinlocks": "int"},
        "vendorid": {**_SWITCH, "vendorid": "str"},
    },
}

_FIRMWARE = {
    "uuid": "str",
    "bootloader": {"bios": {"useSerial": "bool"}, "efi": {"secureBoot": "bool"}},
    "kernelBoot": {"kernelArgs": "str", "libvirt": {"kernelPath": "str", "initrdPath": "str"}},
}

_VOLUME = {
    "name": "str",
    "hostDisk": {"path": "str", "type": "str", "capacity": "quantity", "shared": "bool"},
    "emptyDisk": {"capacity": "quantity"},
    "cloudInitNoCloud": {
        "userData": "str",
        "userDataBase64": "str",
        "networkData": "str",
        "networkDataBase64": "str",
    },
    "libvirt": {
        "format": "str",
        "backingFile": "str",
        "backingFormat": "str",
        "image": "str",
        "imageFormat": "str",
        "checksum": "str",
        "owner": "str",
        "group": "str",
        "mode": "str",
        "device": "str",
        "directory": "str",
    },
}

_NETWORK = {
    "name": "str",
    "pod": {},
    "libvirt": {
        "network": "str",
        "portgroup": "str",
        "bridge": "str",
        "macvtap": {"device": "str", "mode": "str"},
        "vhostuser": {"socket": "str"},
    },
}

_INSTANCE: dict[str, t.Any] = {
    "domain": {
        "cpu": _CPU,
        "memory": {
            "guest": "quantity",
            "hugepages": {"pageSize": "str"},
            "libvirt": {"locked": "bool"},
        },
        "resources": {"requests": _RESOURCES, "limits": _RESOURCES},
        "machine": {"type": "str"},
        "firmware": _FIRMWARE,
        "features": _FEATURES,
        "clock": {
            "timezone": "str",
            "utc": {"offsetSeconds": "int"},
            "timer": dict.fromkeys(("hpet", "hyperv", "kvm", "pit", "rtc"), _TIMER),
        },
        "ioThreadsPolicy": "str",
        "ioThreads": {"supplementalPoolThreadCount": "int"},
        "devices": _DEVICES,
    },
    "volumes": [_VOLUME],
    "networks": [_NETWORK],
    "terminationGracePeriodSeconds": "int",
}

MACHINE: dict[str, t.Any] = {
    "apiVersion": "str",
    "kind": "str",
    "metadata": {
        "name": "str",
        "namespace": "str",
        "labels": "map",
        "annotations": "map",
        # What the API server writes into every object: a manifest may be pasted from kubectl's output.
        **dict.fromkeys(("creationTimestamp", "generation", "managedFields", "resourceVersion", "uid"), "any"),
    },
    "spec": {
        "running": "bool",
        "runStrategy": "str",
        "template": {"metadata": "any", "spec": _INSTANCE},
    },
    "status": "any",
}

_POD: Pattern = ("spec", "template", "spec")
_VOLUMES: Pattern = (*_POD, "volumes", "*")
_DISK_INSTEAD = "use hostDisk with libvirt.image to make the disk from an image"
_SEED_INSTEAD = "use cloudInitNoCloud with the data itself"

#: Fields that only a cluster has -> what to write instead.
CLUSTER_ONLY: dict[Pattern, str] = {
    ("spec", "dataVolumeTemplates"): f"{_DISK_INSTEAD}, with its path or URL",
    ("spec", "instancetype"): "use cpu_cores and memory",
    ("spec", "preference"): "declare the devices themselves",
    ("spec", "updateVolumesStrategy"): "leave it out",
    (*_VOLUMES, "containerDisk"): _DISK_INSTEAD,
    (*_VOLUMES, "dataVolume"): _DISK_INSTEAD,
    (*_VOLUMES, "persistentVolumeClaim"): "use hostDisk with a path, or libvirt.device with a block device",
    (*_VOLUMES, "ephemeral"): "use hostDisk with libvirt.backingFile",
    (*_VOLUMES, "cloudInitConfigDrive"): "use cloudInitNoCloud",
    (*_VOLUMES, "configMap"): _SEED_INSTEAD,
    (*_VOLUMES, "secret"): _SEED_INSTEAD,
    (*_VOLUMES, "sysprep"): "use hostDisk with an ISO image",
    (*_VOLUMES, "serviceAccount"): "leave it out",
    (*_VOLUMES, "downwardAPI"): "leave it out",
    (*_VOLUMES, "downwardMetrics"): "leave it out",
    (*_VOLUMES, "memoryDump"): "leave it out",
    (*_VOLUMES, "cloudInitNoCloud", "secretRef"): "use userData",
    (*_VOLUMES, "cloudInitNoCloud", "networkDataSecretRef"): "use networkData",
    (*_POD, "networks", "*", "multus"): "use libvirt with network, bridge, macvtap or vhostuser",
    (*_POD, "networks", "*", "resourceClaim"): "use libvirt with network, bridge, macvtap or vhostuser",
    (*_POD, "domain", "devices", "interfaces", "*", "sriov"): "use host_devices with the function's pci address",
    (*_POD, "domain", "devices", "interfaces", "*", "binding"): "use bridge or vhostuser with a libvirt network",
    (*_POD, "domain", "devices", "interfaces", "*", "passtBinding"): "use masquerade",
    (*_POD, "domain", "devices", "interfaces", "*", "ports"): "use a libvirt network that forwards them",
    (*_POD, "domain", "firmware", "kernelBoot", "container"): "use kernelBoot.libvirt with kernelPath and initrdPath",
    (*_POD, "domain", "resources", "overcommitGuestOverhead"): "leave it out",
    (*_POD, "domain", "launchSecurity"): "leave it out",
    (*_POD, "accessCredentials"): "use cloud_init, or virsh set-user-password where the guest has an agent",
    (*_POD, "domain", "cpu", "maxSockets"): "leave it out",
    (*_POD, "domain", "memory", "maxGuest"): "leave it out",
    **{
        (*_POD, name): "leave it out"
        for name in (
            "affinity",
            "architecture",
            "dnsConfig",
            "dnsPolicy",
            "evictionStrategy",
            "hostname",
            "livenessProbe",
            "nodeSelector",
            "priorityClassName",
            "readinessProbe",
            "resourceClaims",
            "schedulerName",
            "startStrategy",
            "subdomain",
            "tolerations",
            "topologySpreadConstraints",
        )
    },
}

_ADDRESS = "is left to libvirt, which gives a device an address and keeps it: leave it out"

#: Fields that are real but stand in the wrong place, as public examples have them.
MISPLACED: dict[Pattern, str] = {
    (*_POD, "template"): "spec is laid over spec.template.spec: write what is inside template.spec, or use definition",
    (*_POD, "running"): "belongs to the VirtualMachine, not to its template: use definition, or state",
    (*_POD, "runStrategy"): "belongs to the VirtualMachine, not to its template: use definition, or state",
    (*_POD, "cpu"): "stands in domain.cpu",
    (*_POD, "devices"): "stands in domain.devices",
    (*_POD, "memory"): "stands in domain.memory",
    (*_POD, "resources"): "stands in domain.resources",
    (*_POD, "domain", "cpu", "ioThreadsPolicy"): "stands in domain.ioThreadsPolicy",
    (*_POD, "domain", "cpu", "dedicateCpuPlacement"): "is spelt dedicatedCpuPlacement",
    (*_POD, "domain", "hugepages"): "stands in domain.memory.hugepages",
    (*_POD, "domain", "volumes"): "stands beside domain",
    (
        "spec",
        "domain",
    ): "stands in spec.template.spec.domain; a VirtualMachineInstance's spec is a VirtualMachine's template",
    (*_POD, "domain", "devices", "interfaces", "*", "pciAddress"): _ADDRESS,
    (*_POD, "domain", "devices", "disks", "*", "disk", "pciAddress"): _ADDRESS,
    **{
        ("spec", name): f"stands in spec.template.spec.{name}"
        for name in ("affinity", "nodeSelector", "tolerations", "terminationGracePeriodSeconds")
    },
    **{
        ("spec", "template", name): f"stands in spec.template.spec.domain.{name}"
        for name in ("cpu", "devices", "memory", "resources")
    },
    ("spec", "volumes"): "stands in spec.template.spec.volumes",
    ("spec", "networks"): "stands in spec.template.spec.networks",
}
