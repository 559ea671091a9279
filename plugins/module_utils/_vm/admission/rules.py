# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Admission: what is wrong with declarations, all of it at once and before anything is touched.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

The rules are KubeVirt's own, with its fields, so that a declaration means the same on both backends; what holds for one
backend only asks ``report.backend``.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.cpu import check_cpu
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.devices import check_devices
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.disks import check_disks
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.machine import check_machine, check_names
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.memory import check_memory
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.networks import check_networks
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.report import Backend, Report
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.structure import check_structure
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import NAMED_LISTS, Manifest, from_options

__all__ = ["admit", "convert"]

_RULES = (check_machine, check_cpu, check_memory, check_disks, check_networks, check_devices)


def admit(
    declarations: t.Sequence[tuple[str, t.Mapping[str, t.Any]]], backend: Backend, *, names_only: bool = False
) -> list[Manifest]:
    """Convert and check declarations.

    :arg declarations: (path prefix, options) of each VM.
    :arg names_only: for a VM that is only to be removed, nothing but its name counts.
    :returns: a manifest for each declaration, in their order.
    :raises DeclarationError: with every problem of every declaration.
    """
    manifests: list[Manifest] = []
    problems: list[Problem] = []
    for prefix, options in declarations:
        try:
            manifest = convert(options, prefix)
        except DeclarationError as error:
            problems += error.problems
            continue
        manifests.append(manifest)
        problems += _check(manifest, backend, prefix, names_only)
    if not problems:
        problems += _check_together(declarations, manifests)
    if problems:
        raise DeclarationError(problems)
    return manifests


def convert(options: t.Mapping[str, t.Any], prefix: str = "") -> Manifest:
    """Convert a declaration. :raises DeclarationError: for items without a name, which cannot even be merged."""
    problems = [
        Problem(f"{prefix}{option}[{index}].name", "is missing: write a name, items merge by it")
        for option in NAMED_LISTS
        for index, item in enumerate(options.get(option) or [])
        if not isinstance(item, dict) or not isinstance(item.get("name"), str) or not item["name"]
    ]
    if problems:
        raise DeclarationError(problems)
    return from_options(options)


def _check(manifest: Manifest, backend: Backend, prefix: str, names_only: bool) -> list[Problem]:
    report = Report(manifest, backend, prefix)
    if not check_structure(report):
        return report.problems
    check_names(report)
    for rule in () if names_only else _RULES:
        rule(report)
    return list(dict.fromkeys(report.problems))


def _check_together(
    declarations: t.Sequence[tuple[str, t.Mapping[str, t.Any]]], manifests: list[Manifest]
) -> list[Problem]:
    """What no declaration can see by itself: two VMs of one name, or on one writable disk."""
    problems: list[Problem] = []
    names: dict[tuple[str | None, str], str] = {}
    owners: dict[str, str] = {}
    for (prefix, _options), manifest in zip(declarations, manifests):
        key = (manifest.namespace, manifest.name)
        if key in names:
            problems.append(
                Problem(f"{prefix}name", f"{manifest.name!r} is declared twice: {names[key] or 'the task'} too")
            )
        names[key] = prefix.rstrip(".")
        for at, path in _writable_disks(manifest):
            if path in owners:
                where = prefix + manifest.option_path(at)
                problems.append(
                    Problem(
                        where, f"{path} is a disk of {owners[path]!r} too: mark it shareable in both, or use another"
                    )
                )
            owners.setdefault(path, manifest.name)
    return problems


def _writable_disks(manifest: Manifest) -> list[tuple[t.Any, str]]:
    report = Report(manifest, "libvirt")
    shared = {disk["name"] for _at, disk in report.items("disks") if disk.get("shareable") or "cdrom" in disk}
    return [
        ((*at, "hostDisk", "path"), volume["hostDisk"]["path"])
        for at, volume in report.items("volumes")
        if "hostDisk" in volume and volume["name"] not in shared
    ]
