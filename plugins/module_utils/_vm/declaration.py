# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that declare a VM, one argument spec for every module that takes a declaration.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

Documented in ``plugins/doc_fragments/declaration.py``; a test holds the two together.
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass, field

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.text.converters import jsonify

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import merge_options
from ansible_collections.rtvirt.core.plugins.module_utils.converters.overlay import Path, overlay, render_path

__all__ = ["OPTIONS", "Options", "as_json", "checked", "declaration_spec", "declarations"]

_LIST_OF_DICTS: dict[str, t.Any] = {"type": "list", "elements": "dict"}

#: One VM's options. None has a default: what is not given is not declared.
OPTIONS: dict[str, dict[str, t.Any]] = {
    "affinity": {"type": "dict"},
    "annotations": {"type": "dict"},
    "api_version": {"type": "str"},
    "autoattach_graphics_device": {"type": "bool"},
    "autoattach_input_device": {"type": "bool"},
    "autoattach_mem_balloon": {"type": "bool"},
    "autoattach_pod_interface": {"type": "bool"},
    "autoattach_serial_console": {"type": "bool"},
    "block_multiqueue": {"type": "bool"},
    "clock": {"type": "dict"},
    "cloud_init": {
        "type": "dict",
        "aliases": ["cloud_init_nocloud"],
        "options": {
            "hostname": {"type": "str"},
            "network_data": {"type": "raw", "aliases": ["networkData"]},
            "ssh_authorized_keys": {"type": "list", "elements": "str", "no_log": False},
            "user_data": {"type": "raw", "aliases": ["userData"]},
            "users": {"type": "list", "elements": "raw"},
        },
    },
    "cpu_cores": {"type": "int"},
    "cpu_features": _LIST_OF_DICTS,
    "cpu_limit": {"type": "str"},
    "cpu_model": {"type": "str"},
    "cpu_sockets": {"type": "int"},
    "cpu_thread_policy": {"type": "str", "choices": ["prefer", "require"]},
    "cpu_threads": {"type": "int"},
    "dedicated_cpus": {"type": "bool"},
    "data_volume_templates": _LIST_OF_DICTS,
    "definition": {"type": "dict", "aliases": ["inline", "resource_definition"]},
    "disks": _LIST_OF_DICTS,
    "eviction_strategy": {"type": "str"},
    "firmware": {
        "type": "dict",
        "options": {
            "bootloader": {"type": "str", "choices": ["bios", "efi"]},
            "secure_boot": {"type": "bool"},
            "smm": {"type": "bool"},
        },
    },
    "gpus": _LIST_OF_DICTS,
    "host_devices": _LIST_OF_DICTS,
    "hostname": {"type": "str"},
    "hugepages": {"type": "str", "aliases": ["hugepage_size"]},
    "instancetype": {"type": "dict"},
    "interfaces": _LIST_OF_DICTS,
    "io_threads_policy": {"type": "str"},
    "isolate_emulator_thread": {"type": "bool"},
    "labels": {"type": "dict"},
    "machine_type": {"type": "str"},
    "memory": {"type": "str"},
    "memory_limit": {"type": "str"},
    "memory_locked": {"type": "bool"},
    "multiqueue": {"type": "bool"},
    "name": {"type": "str"},
    "namespace": {"type": "str"},
    "networks": _LIST_OF_DICTS,
    "node_selector": {"type": "dict"},
    "numa_passthrough": {"type": "bool"},
    "preference": {"type": "dict"},
    "realtime": {"type": "bool"},
    "realtime_mask": {"type": "str"},
    "resources": {"type": "dict"},
    "run_strategy": {"type": "str"},
    "running": {"type": "bool"},
    "smbios_uuid": {"type": "str"},
    "spec": {"type": "dict"},
    "subdomain": {"type": "str"},
    "termination_grace_period_seconds": {"type": "int"},
    "tolerations": _LIST_OF_DICTS,
    "volumes": _LIST_OF_DICTS,
    "watchdog": {"type": "dict"},
}


@dataclass(frozen=True)
class Options:
    """The options of one VM, and where its user wrote them.

    :ivar prefix: what stands before the path of an option that is only missing: ``vms[2].``.
    :ivar places: place in ``values`` -> the path that the user wrote, where it is another.
    """

    values: t.Mapping[str, t.Any]
    prefix: str = ""
    places: t.Mapping[Path, str] = field(default_factory=dict)

    @property
    def says_nothing(self) -> bool:
        """Whether nothing is declared of the VM but which it is."""
        return not self.values.keys() - {"api_version", "name", "namespace"}

    def path(self, at: Path) -> str:
        """A place in ``values`` as the user wrote it."""
        known = next((length for length in range(len(at), 0, -1) if at[:length] in self.places), 0)
        if not known:
            return self.prefix + render_path(at)
        tail = render_path(at[known:])
        return f"{self.places[at[:known]]}{'.' if tail and not tail.startswith('[') else ''}{tail}"


def declaration_spec() -> dict[str, t.Any]:
    """The options of one VM, and ``vms``, a list of the same."""
    return {**OPTIONS, "vms": {"type": "list", "elements": "dict", "options": OPTIONS}}


def as_json(value: t.Any) -> t.Any:
    """What a module would get of a value: YAML's dates as text, no tuples or sets.

    :raises DeclarationError: for what no JSON has.
    """
    to_text: t.Any = jsonify
    try:
        return json.loads(to_text(value))
    except (TypeError, ValueError) as error:
        raise DeclarationError([Problem("declaration", f"cannot be handed on: {error}")]) from error


def checked(declaration: t.Any) -> dict[str, t.Any]:
    """A declaration held to the options, as a module's are, for those that come by another way.

    :raises DeclarationError: for options that are unknown or of another type.
    """
    options = as_json(declaration)
    if not isinstance(options, dict):
        # What it is may hold secrets.
        kind, remedy = ("a list", ", one by one with map") if isinstance(options, list) else ("no mapping", "")
        raise DeclarationError([Problem("declaration", f"is {kind}: write a mapping of libvirt_vm's options{remedy}")])
    aliases = {alias for option in OPTIONS.values() for alias in option.get("aliases", ())}
    unknown = [key for key in options if key not in OPTIONS and key not in aliases]
    if unknown:
        message = f"is no option: write one of {', '.join(OPTIONS)}"
        raise DeclarationError(Problem(str(key), message) for key in unknown)
    validator: t.Any = ArgumentSpecValidator
    result = validator(OPTIONS).validate(options)
    if result.error_messages:
        raise DeclarationError(Problem("declaration", message) for message in result.error_messages)
    return {key: result.validated_parameters[key] for key in OPTIONS if result.validated_parameters[key] is not None}


def declarations(params: t.Mapping[str, t.Any]) -> list[Options]:
    """The options of every VM that a task declares; the task's own options are the defaults of ``vms``."""
    own = {key: params[key] for key in OPTIONS if params.get(key) is not None}
    if params.get("vms") is None:
        return [Options(own)]
    shared: dict[Path, str] = {}
    overlay({}, own, on_set=lambda landed, stood: shared.update({landed: render_path(stood)}))
    return [_over(own, shared, entry, f"vms[{index}].") for index, entry in enumerate(params["vms"])]


def _over(own: dict[str, t.Any], shared: dict[Path, str], entry: dict[str, t.Any], prefix: str) -> Options:
    """One entry of ``vms`` over the task's own options, which stand at ``shared``."""
    places = dict(shared)

    def place(landed: Path, stood: Path) -> None:
        if landed:
            places[landed] = prefix + render_path(stood)

    return Options(merge_options(own, entry, on_set=place), prefix, places)
