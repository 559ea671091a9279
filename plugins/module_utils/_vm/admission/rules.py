# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Admission: what is wrong with declarations, all of it at once and before anything is touched.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

The rules are KubeVirt's own, with its fields, so that a declaration means the same on both backends; what holds for one
backend only asks ``report.backend``, or stands in the backend's :class:`RuleSet`.
"""

from __future__ import annotations

import typing as t
import uuid

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission import (
    cpu,
    devices,
    machine,
    memory,
    networks,
    structure,
)
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.disks import check_disks
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.fields import CLUSTER_ONLY, MACHINE
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.report import (
    DEVICES,
    DOMAIN,
    Backend,
    Report,
    RuleSet,
)
from ansible_collections.rtvirt.core.plugins.module_utils._vm.declaration import Options
from ansible_collections.rtvirt.core.plugins.module_utils.converters import defaults
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import (
    NAMED_LISTS,
    Manifest,
    domain_name,
    from_options,
    mapping_at,
    pod_spec,
)
from ansible_collections.rtvirt.core.plugins.module_utils.converters.overlay import Path

__all__ = ["LIBVIRT_RULES", "admit", "complete", "convert"]

_UUID: Path = (*DOMAIN, "firmware", "uuid")

_RULES = (
    machine.check_machine,
    cpu.check_cpu,
    memory.check_memory,
    check_disks,
    networks.check_networks,
    devices.check_devices,
)

LIBVIRT_RULES = RuleSet("libvirt", MACHINE, CLUSTER_ONLY)


def admit(declarations: t.Sequence[Options], rules: RuleSet, *, names_only: bool = False) -> list[Manifest]:
    """Convert and check declarations.

    :arg rules: :data:`LIBVIRT_RULES`, or ``CLUSTER_RULES`` of ``cluster.py``.
    :arg names_only: for a VM that is only to be removed, nothing but its name counts.
    :returns: a manifest for each declaration, in their order.
    :raises DeclarationError: with every problem of every declaration.
    """
    manifests: list[Manifest] = []
    problems: list[Problem] = []
    for options in declarations:
        try:
            manifest = convert(options, rules.fields)
        except DeclarationError as error:
            problems += error.problems
            continue
        if rules.backend == "kubevirt":
            complete(manifest)
        manifests.append(manifest)
        problems += _check(manifest, rules, names_only)
    if not problems:
        problems += _check_together(declarations, manifests, rules.backend)
    if problems:
        # What the task's own options say is every VM's mistake, and one.
        raise DeclarationError(dict.fromkeys(problems))
    if rules.translate is not None and not names_only:
        for manifest in manifests:
            rules.translate(manifest)
    return manifests


def complete(manifest: Manifest) -> None:
    """Add what KubeVirt's schema wants of every VM, also where nothing is in it: its devices."""
    holder: t.Any = manifest.document
    for step in DEVICES:
        if not isinstance(holder, dict):
            return
        holder = holder.setdefault(step, {})


def convert(options: Options, fields: dict[str, t.Any]) -> Manifest:
    """Convert a declaration.

    :arg fields: the tree of a backend's fields, by which text becomes the number that it is.
    :raises DeclarationError: for parts that cannot even be merged: items without a name, …
    """
    given = options.values
    problems = [
        Problem(options.path((option, index, "name")), "is missing: write a name, items merge by it")
        for option in NAMED_LISTS
        for index, item in enumerate(given.get(option) or [])
        if not isinstance(item, dict) or not isinstance(item.get("name"), str) or not item["name"]
    ]
    problems += [
        Problem(options.path((option, index, nested)), f"is {structure.kind_of(item[nested])}: write a mapping")
        for option, nested in (("disks", "volume"), ("interfaces", "network"))
        for index, item in enumerate(given.get(option) or [])
        if isinstance(item, dict) and not isinstance(item.get(nested), (dict, type(None)))
    ]
    problems += _check_cloud_init(options)
    problems += _check_definition(options)
    if problems:
        raise DeclarationError(problems)
    manifest = from_options(given, options.path)
    # Null takes a key out: so an entry of vms can replace what the task's own options say.
    manifest.document = defaults.without_nulls(structure.settle_types(manifest.document, fields))
    return manifest


def _check_cloud_init(options: Options) -> list[Problem]:
    cloud_init = options.values.get("cloud_init") or {}
    problems = [
        Problem(options.path(("cloud_init", key)), "write text, or a mapping")
        for key in ("user_data", "network_data")
        if not isinstance(cloud_init.get(key), (str, dict, type(None)))
    ]
    short = [key for key in ("hostname", "users", "ssh_authorized_keys") if cloud_init.get(key) is not None]
    if short and isinstance(cloud_init.get("user_data"), str):
        message = f"stands beside user_data that is text: write {short[0]} into it, or user_data as a mapping"
        problems.append(Problem(options.path(("cloud_init", short[0])), message))
    return problems


def _check_definition(options: Options) -> list[Problem]:
    """The mappings of a definition that other options are laid over: something else would be gone without a word."""
    problems: list[Problem] = []
    inside: t.Any = options.values.get("definition")
    for length, step in enumerate(DEVICES, 1):
        inside = inside.get(step) if isinstance(inside, dict) else None
        if inside is not None and not isinstance(inside, dict):
            where = options.path(("definition", *DEVICES[:length]))
            problems.append(Problem(where, f"is {structure.kind_of(inside)}: write a mapping"))
    return problems


def _check(manifest: Manifest, rules: RuleSet, names_only: bool) -> list[Problem]:
    report = Report(manifest, rules)
    if not structure.check_structure(report):
        return report.problems
    machine.check_names(report)
    for rule in () if names_only else (*_RULES, *rules.own):
        rule(report)
    return list(dict.fromkeys(report.problems))


def _check_together(declarations: t.Sequence[Options], manifests: list[Manifest], backend: Backend) -> list[Problem]:
    """What no declaration can see by itself: two VMs of one name, or on one disk or socket of a host."""
    problems: list[Problem] = []
    names: dict[str, str] = {}
    uses: dict[str, tuple[str, str]] = {}
    sockets: dict[str, str] = {}
    uuids: dict[str, str] = {}
    for options, manifest in zip(declarations, manifests):
        name = domain_name(manifest.document) if backend == "libvirt" else _object_name(manifest)
        if name in names:
            message = f"{name!r} is declared twice: {names[name]} has it, write another name"
            # In the entry, although both may have it from the task.
            problems.append(Problem(f"{options.prefix}name", message))
        names.setdefault(name, options.prefix.rstrip("."))
        # On a cluster the path may be another node's.
        for at, path, use in _disks_in_use(manifest) if backend == "libvirt" else ():
            owner, before = uses.setdefault(path, (name, use))
            if owner != name and (use != before or use == "exclusive"):
                remedy = "mark it shareable (or read-only) in both, or use another"
                problems.append(
                    Problem(manifest.option_path(at), f"{path} is a disk of {owner!r} and {name!r}: {remedy}")
                )
        identity = mapping_at(pod_spec(manifest.document), "domain", "firmware").get("uuid")
        if identity and backend == "libvirt" and uuids.setdefault(str(uuid.UUID(identity)), name) != name:
            message = f"{identity} is the UUID of {uuids[str(uuid.UUID(identity))]!r} and {name!r}: give each its own"
            problems.append(Problem(manifest.option_path(_UUID), message))
        for at, path in networks.sockets_of(Report(manifest, LIBVIRT_RULES)) if backend == "libvirt" else ():
            if sockets.setdefault(path, name) != name:
                message = f"{path} is the socket of {sockets[path]!r} and {name!r}: give each its own"
                problems.append(Problem(manifest.option_path(at), message))
    return problems


def _object_name(manifest: Manifest) -> str:
    return f"{manifest.namespace}/{manifest.name}" if manifest.namespace else manifest.name


def _disks_in_use(manifest: Manifest) -> list[tuple[Path, str, str]]:
    """(place, path, use) of every disk behind which is a file or device of the host."""
    report = Report(manifest, LIBVIRT_RULES)
    disks = {disk["name"]: disk for _at, disk in report.items("disks")}
    found: list[tuple[Path, str, str]] = []
    for at, volume in report.items("volumes"):
        disk = disks.get(volume["name"], {})
        path = defaults.host_path(volume)
        if path:
            read_only = "cdrom" in disk or (disk.get(defaults.target_kind(disk)) or {}).get("readonly")
            use = "read-only" if read_only else "shared" if disk.get("shareable") else "exclusive"
            field = ("hostDisk", "path") if "hostDisk" in volume else ("libvirt", "device")
            found.append(((*at, *field), path, use))
    return found
