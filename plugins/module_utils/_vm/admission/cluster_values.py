# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cluster's API wants of single fields: those that must be there, and those with a few values only.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

From the schema that KubeVirt's webhooks hold every VirtualMachine to, and from the checks of single values behind it.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.report import DEVICES, DOMAIN, POD, Report
from ansible_collections.rtvirt.core.plugins.module_utils.converters.overlay import Path

__all__ = ["check_values"]

_VOLUMES: Path = (*POD, "volumes", "*")
_INTERFACES: Path = (*DEVICES, "interfaces", "*")
_CREDENTIALS: Path = (*POD, "accessCredentials", "*")
_TEMPLATES: Path = ("spec", "dataVolumeTemplates", "*", "spec")
_SPREAD: Path = (*POD, "topologySpreadConstraints", "*")
_PULL = ("Always", "IfNotPresent", "Never")
_INFER = ("Ignore", "Reject")
_PROBES: tuple[Path, ...] = ((*POD, "livenessProbe"), (*POD, "readinessProbe"))

#: Mappings -> the keys that each of them must have.
_REQUIRED: dict[Path, tuple[str, ...]] = {
    (*DEVICES, "filesystems", "*"): ("name", "virtiofs"),
    (*DEVICES, "gpus", "*"): ("name",),
    (*DEVICES, "hostDevices", "*"): ("name",),
    (*DEVICES, "inputs", "*"): ("type",),
    (*DEVICES, "sound"): ("name",),
    (*_INTERFACES, "binding"): ("name",),
    (*_INTERFACES, "dhcpOptions", "privateOptions", "*"): ("option", "value"),
    (*_INTERFACES, "ports", "*"): ("port",),
    (*DOMAIN, "firmware", "kernelBoot", "container"): ("image",),
    (*POD, "networks", "*"): ("name",),
    (*POD, "networks", "*", "multus"): ("networkName",),
    (*POD, "resourceClaims", "*"): ("name",),
    _SPREAD: ("maxSkew", "topologyKey", "whenUnsatisfiable"),
    (*_VOLUMES, "configMap"): ("name",),
    (*_VOLUMES, "containerDisk"): ("image",),
    (*_VOLUMES, "containerPath"): ("path",),
    (*_VOLUMES, "dataVolume"): ("name",),
    (*_VOLUMES, "downwardAPI", "fields", "*"): ("path",),
    (*_VOLUMES, "downwardAPI", "fields", "*", "fieldRef"): ("fieldPath",),
    (*_VOLUMES, "downwardAPI", "fields", "*", "resourceFieldRef"): ("resource",),
    (*_VOLUMES, "ephemeral", "persistentVolumeClaim"): ("claimName",),
    (*_VOLUMES, "hostDisk"): ("path", "type"),
    (*_VOLUMES, "memoryDump"): ("claimName",),
    (*_VOLUMES, "persistentVolumeClaim"): ("claimName",),
    (*_VOLUMES, "secret"): ("secretName",),
    (*_VOLUMES, "serviceAccount"): ("serviceAccountName",),
    (*_CREDENTIALS, "sshPublicKey"): ("propagationMethod", "source"),
    (*_CREDENTIALS, "sshPublicKey", "source", "secret"): ("secretName",),
    (*_CREDENTIALS, "sshPublicKey", "propagationMethod", "qemuGuestAgent"): ("users",),
    (*_CREDENTIALS, "userPassword"): ("propagationMethod", "source"),
    (*_CREDENTIALS, "userPassword", "source", "secret"): ("secretName",),
    ("spec", "dataVolumeTemplates", "*"): ("spec",),
    (*_TEMPLATES, "source", "gcs"): ("url",),
    (*_TEMPLATES, "source", "http"): ("url",),
    (*_TEMPLATES, "source", "imageio"): ("diskId", "url"),
    (*_TEMPLATES, "source", "pvc"): ("name", "namespace"),
    (*_TEMPLATES, "source", "s3"): ("url",),
    (*_TEMPLATES, "source", "snapshot"): ("name", "namespace"),
    (*_TEMPLATES, "sourceRef"): ("kind", "name"),
    **{(*probe, "httpGet"): ("port",) for probe in _PROBES},
    **{(*probe, "httpGet", "httpHeaders", "*"): ("name", "value") for probe in _PROBES},
    **{(*probe, "tcpSocket"): ("port",) for probe in _PROBES},
}

#: Fields -> the values that each of them can have.
_CHOICES: dict[Path, tuple[str, ...]] = {
    (*DEVICES, "sound", "model"): ("ac97", "ich9"),
    (*_INTERFACES, "ports", "*", "protocol"): ("TCP", "UDP"),
    (*DOMAIN, "firmware", "kernelBoot", "container", "imagePullPolicy"): _PULL,
    (*DOMAIN, "memory", "reservedOverhead", "memLock"): ("NotRequired", "Required"),
    (*DOMAIN, "rebootPolicy"): ("Reboot", "Terminate"),
    (*POD, "architecture"): ("amd64", "arm64", "s390x"),
    (*POD, "dnsPolicy"): ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"),
    (*POD, "evictionStrategy"): ("External", "LiveMigrate", "LiveMigrateIfPossible", "None"),
    (*POD, "startStrategy"): ("Paused",),
    (*POD, "tolerations", "*", "effect"): ("NoExecute", "NoSchedule", "PreferNoSchedule"),
    (*POD, "tolerations", "*", "operator"): ("Equal", "Exists"),
    (*_SPREAD, "nodeAffinityPolicy"): ("Honor", "Ignore"),
    (*_SPREAD, "nodeTaintsPolicy"): ("Honor", "Ignore"),
    (*_SPREAD, "whenUnsatisfiable"): ("DoNotSchedule", "ScheduleAnyway"),
    (*_VOLUMES, "containerDisk", "imagePullPolicy"): _PULL,
    ("spec", "instancetype", "inferFromVolumeFailurePolicy"): _INFER,
    ("spec", "preference", "inferFromVolumeFailurePolicy"): _INFER,
    (*_TEMPLATES, "contentType"): ("archive", "kubevirt"),
    **{
        (*_TEMPLATES, kind, "accessModes", "*"): ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
        for kind in ("pvc", "storage")
    },
    **{(*_TEMPLATES, kind, "volumeMode"): ("Block", "Filesystem", "FromStorageProfile") for kind in ("pvc", "storage")},
    **{(*probe, "httpGet", "scheme"): ("HTTP", "HTTPS") for probe in _PROBES},
}


def check_values(report: Report) -> None:
    """Every field that must be there or has a few values only, wherever it stands."""
    _walk(report, report.document, (), ())


def _walk(report: Report, value: t.Any, at: Path, pattern: Path) -> None:
    if isinstance(value, dict):
        for key in _REQUIRED.get(pattern, ()):
            if value.get(key) in (None, ""):
                holder = next(step for step in reversed(at) if isinstance(step, str))
                report.add((*at, key), f"is missing: {holder} needs it")
        for key, item in value.items():
            _walk(report, item, (*at, key), (*pattern, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _walk(report, item, (*at, index), (*pattern, "*"))
    elif pattern in _CHOICES:
        report.choice(at, value, _CHOICES[pattern])
