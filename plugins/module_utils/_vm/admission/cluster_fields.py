# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fields that only a cluster has, with their types, and what its API wants of them; for the backend ``kubevirt``.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

A tree as in ``fields.py``, with three types more: ``count`` is a whole number of 0 or more, ``texts`` a mapping of
texts, ``port`` a number or a name. What is in no tree is left to the API server, which knows its own version.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.fields import MACHINE
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.report import DEVICES, DOMAIN, POD
from ansible_collections.rtvirt.core.plugins.module_utils.converters.overlay import Path

__all__ = ["KUBEVIRT", "LIBVIRT_ONLY"]

#: What only this collection's other backend has, wherever it stands.
_LIBVIRT = ("libvirt", "pci", "mdev")

_SWITCH = {"enabled": "bool"}
_NAME = {"name": "str"}
_SECRET = {"secret": {"secretName": "str"}}
_SELECTOR = {"matchLabels": "texts", "matchExpressions": [{"key": "str", "operator": "str", "values": ["str"]}]}
_NODE_TERM = {"matchExpressions": _SELECTOR["matchExpressions"], "matchFields": _SELECTOR["matchExpressions"]}
_POD_TERM = {"topologyKey": "str", "labelSelector": _SELECTOR, "namespaceSelector": _SELECTOR, "namespaces": ["str"]}
_POD_AFFINITY = {
    "requiredDuringSchedulingIgnoredDuringExecution": [_POD_TERM],
    "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": "int", "podAffinityTerm": _POD_TERM}],
}
_AFFINITY = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [_NODE_TERM]},
        "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": "int", "preference": _NODE_TERM}],
    },
    "podAffinity": _POD_AFFINITY,
    "podAntiAffinity": _POD_AFFINITY,
}

_PROBE = {
    "exec": {"command": ["str"]},
    "guestAgentPing": {},
    "httpGet": {
        **dict.fromkeys(("host", "path", "scheme"), "str"),
        "port": "port",
        "httpHeaders": [{"name": "str", "value": "str"}],
    },
    "tcpSocket": {"host": "str", "port": "port"},
    **dict.fromkeys(("failureThreshold", "initialDelaySeconds", "periodSeconds"), "int"),
    **dict.fromkeys(("successThreshold", "timeoutSeconds"), "int"),
}

_CLAIM = {"claimName": "str", "readOnly": "bool"}
_CLOUD_INIT = {"userData": "str", "userDataBase64": "str", "networkData": "str", "networkDataBase64": "str"}
_CLOUD_INIT_REFS = {"secretRef": _NAME, "networkDataSecretRef": _NAME}
_VOLUME = {
    "cloudInitConfigDrive": {**_CLOUD_INIT, **_CLOUD_INIT_REFS},
    "cloudInitNoCloud": _CLOUD_INIT_REFS,
    "configMap": {"name": "str", "optional": "bool", "volumeLabel": "str"},
    "containerDisk": dict.fromkeys(("image", "imagePullPolicy", "imagePullSecret", "path"), "str"),
    "containerPath": {"path": "str", "readOnly": "bool"},
    "dataVolume": {"name": "str", "hotpluggable": "bool"},
    "downwardAPI": {
        "volumeLabel": "str",
        "fields": [
            {
                "path": "str",
                "mode": "int",
                "fieldRef": {"apiVersion": "str", "fieldPath": "str"},
                "resourceFieldRef": {"containerName": "str", "resource": "str", "divisor": "quantity"},
            }
        ],
    },
    "downwardMetrics": {},
    "ephemeral": {"persistentVolumeClaim": _CLAIM},
    "memoryDump": {**_CLAIM, "hotpluggable": "bool"},
    "persistentVolumeClaim": {**_CLAIM, "hotpluggable": "bool"},
    "secret": {"secretName": "str", "optional": "bool", "volumeLabel": "str"},
    "serviceAccount": {"serviceAccountName": "str"},
    "sysprep": {"configMap": _NAME, "secret": _NAME},
}

_INTERFACE = {
    **{key: {} for key in ("macvtap", "passt", "passtBinding", "slirp", "sriov")},
    "acpiIndex": "int",
    "binding": _NAME,
    "bootOrder": "count",
    "dhcpOptions": {
        "bootFileName": "str",
        "tftpServerName": "str",
        "ntpServers": ["str"],
        "privateOptions": [{"option": "int", "value": "str"}],
    },
    "pciAddress": "str",
    "ports": [{"name": "str", "port": "int", "protocol": "str"}],
    "tag": "str",
}

_CLAIMED = {"claimName": "str", "requestName": "str", "tag": "str"}
_DEVICES = {
    **dict.fromkeys(("autoattachVSOCK", "disableHotplug", "useVirtioTransitional"), "bool"),
    "clientPassthrough": {},
    "disks": [
        {
            "blockSize": {
                "custom": dict.fromkeys(("discardGranularity", "logical", "physical"), "count"),
                "matchVolume": _SWITCH,
            },
            "bootOrder": "count",
            "changedBlockTracking": "bool",
            "disk": {"pciAddress": "str"},
            "lun": {"reservation": "bool"},
            "tag": "str",
        }
    ],
    "downwardMetrics": {},
    "gpus": [{**_CLAIMED, "virtualGPUOptions": {"display": {"enabled": "bool", "ramFB": _SWITCH}}}],
    "hostDevices": [_CLAIMED],
    "interfaces": [_INTERFACE],
    "panicDevices": [{"model": "str"}],
    "sound": {"name": "str", "model": "str"},
    "video": {"type": "str"},
    "watchdog": {"diag288": {"action": "str"}},
}

_HYPERV = {
    "evmcs": _SWITCH,
    "spinlocks": {"spinlocks": "count"},
    "synictimer": {"direct": _SWITCH},
    "tlbflush": {"direct": _SWITCH, "extended": _SWITCH},
}

_DOMAIN = {
    "chassis": dict.fromkeys(("asset", "manufacturer", "serial", "sku", "version"), "str"),
    "cpu": dict.fromkeys(("cores", "maxSockets", "sockets", "threads"), "count"),
    "devices": _DEVICES,
    "features": {
        "apic": {"endOfInterrupt": "bool"},
        "hyperv": _HYPERV,
        "hypervPassthrough": _SWITCH,
        "pvspinlock": _SWITCH,
    },
    "firmware": {
        "acpi": {"msdmNameRef": "str", "slicNameRef": "str"},
        "bootloader": {"efi": {"persistent": "bool"}},
        "kernelBoot": {
            "container": dict.fromkeys(
                ("image", "imagePullPolicy", "imagePullSecret", "initrdPath", "kernelPath"), "str"
            )
        },
        "serial": "str",
    },
    "ioThreads": {"supplementalPoolThreadCount": "count"},
    "launchSecurity": {"sev": {"session": "str", "dhCert": "str"}, "snp": {}, "tdx": {}},
    "memory": {
        "maxGuest": "quantity",
        "reservedOverhead": {"addedOverhead": "quantity", "memLock": "str"},
    },
    "rebootPolicy": "str",
    "resources": {"overcommitGuestOverhead": "bool"},
}

_AGENT = {"qemuGuestAgent": {"users": ["str"]}}
_INSTANCE = {
    **dict.fromkeys(("architecture", "dnsPolicy", "evictionStrategy", "hostname", "priorityClassName"), "str"),
    **dict.fromkeys(("schedulerName", "startStrategy", "subdomain"), "str"),
    "accessCredentials": [
        {
            "sshPublicKey": {"source": _SECRET, "propagationMethod": {**_AGENT, "configDrive": {}, "noCloud": {}}},
            "userPassword": {"source": _SECRET, "propagationMethod": {"qemuGuestAgent": {}}},
        }
    ],
    "affinity": _AFFINITY,
    "dnsConfig": {"nameservers": ["str"], "searches": ["str"], "options": [{"name": "str", "value": "str"}]},
    "domain": _DOMAIN,
    "livenessProbe": _PROBE,
    "networks": [
        {
            "multus": {"networkName": "str", "default": "bool"},
            "pod": {"vmNetworkCIDR": "str", "vmIPv6NetworkCIDR": "str"},
            "resourceClaim": {"claimName": "str", "requestName": "str"},
        }
    ],
    "nodeSelector": "texts",
    "readinessProbe": _PROBE,
    "resourceClaims": [{"name": "str", "resourceClaimName": "str", "resourceClaimTemplateName": "str"}],
    "tolerations": [{**dict.fromkeys(("effect", "key", "operator", "value"), "str"), "tolerationSeconds": "int"}],
    "topologySpreadConstraints": [
        {
            **dict.fromkeys(("nodeAffinityPolicy", "nodeTaintsPolicy", "topologyKey", "whenUnsatisfiable"), "str"),
            "labelSelector": _SELECTOR,
            "matchLabelKeys": ["str"],
            "maxSkew": "int",
            "minDomains": "int",
        }
    ],
    "volumes": [_VOLUME],
}

_MATCHER = dict.fromkeys(("inferFromVolume", "inferFromVolumeFailurePolicy", "kind", "name", "revisionName"), "str")
_STORAGE = {
    **dict.fromkeys(("storageClassName", "volumeMode", "volumeName"), "str"),
    "accessModes": ["str"],
    "resources": "map",
    "selector": _SELECTOR,
}
_DATA_VOLUME = {
    **dict.fromkeys(("contentType", "priorityClassName"), "str"),
    "finalCheckpoint": "bool",
    "preallocation": "bool",
    "pvc": _STORAGE,
    "source": dict.fromkeys(
        ("blank", "gcs", "http", "imageio", "pvc", "registry", "s3", "snapshot", "upload", "vddk"), "map"
    ),
    "sourceRef": {"kind": "str", "name": "str", "namespace": "str"},
    "storage": _STORAGE,
}
_METADATA = {"labels": "texts", "annotations": "texts"}

_VIRTUAL_MACHINE = {
    "metadata": {**_METADATA, "finalizers": ["str"], "ownerReferences": "any", "generateName": "str"},
    "spec": {
        "dataVolumeTemplates": [{"metadata": {**_METADATA, "name": "str", "namespace": "str"}, "spec": _DATA_VOLUME}],
        "instancetype": _MATCHER,
        "preference": _MATCHER,
        "template": {"metadata": _METADATA, "spec": _INSTANCE},
        "updateVolumesStrategy": "str",
    },
}


def _laid_over(base: t.Any, more: t.Any) -> t.Any:
    """The tree of a cluster: what both backends have but for libvirt's own keys, and what only a cluster has."""
    if isinstance(base, list):
        return [_laid_over(base[0], more[0] if more else None)]
    if isinstance(base, dict):
        own = more or {}
        kept = [key for key in {**base, **own} if key not in _LIBVIRT]
        return {key: _laid_over(base[key], own.get(key)) if key in base else own[key] for key in kept}
    return base if more is None else more


KUBEVIRT: dict[str, t.Any] = _laid_over(MACHINE, _VIRTUAL_MACHINE)

#: Keys of this collection's other backend -> what to write on a cluster instead.
LIBVIRT_ONLY: dict[Path, str] = {
    (*POD, "volumes", "*", "libvirt"): "use dataVolume, persistentVolumeClaim or containerDisk",
    (
        *POD,
        "networks",
        "*",
        "libvirt",
    ): "use multus with a NetworkAttachmentDefinition's networkName, resourceClaim, or pod",
    (*DOMAIN, "cpu", "libvirt"): "leave cpu_thread_policy out, it is the node's (full-pcpus-only of its CPU manager)",
    (*DOMAIN, "memory", "libvirt"): "leave memory_locked out, real-time and passthrough VMs are locked anyway",
    (*DOMAIN, "firmware", "kernelBoot", "libvirt"): "use kernelBoot.container with an image that has the kernel",
    **{
        (*DEVICES, kind, "*", key): f"use deviceName, the {what} name in permittedHostDevices of the KubeVirt resource"
        for kind in ("hostDevices", "gpus")
        for key, what in (("pci", "device's resource"), ("mdev", "mediated device's resource"))
    },
}
