# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The declaration's options to KubeVirt's ``VirtualMachine`` (kubevirt.io/v1), the one model of the collection.

Three layers, the later over the earlier: ``definition`` (a whole manifest), the short options, and ``spec`` (laid over
``spec.template.spec``, as kubevirt.core's option of that name). Field names and shapes are those of KubeVirt's API
reference; a short option sets the field that it stands for, and nothing else.
"""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.rtvirt.core.plugins.module_utils.converters.overlay import (
    Path,
    copied,
    lay_over,
    overlay,
    render_path,
)

__all__ = [
    "API_VERSION",
    "NAMED_LISTS",
    "PCI_ADDRESS",
    "PCI_ID",
    "POD",
    "Manifest",
    "domain_name",
    "from_options",
    "full_address",
    "has_dedicated_cpus",
    "mapping_at",
    "merge_options",
    "pod_spec",
]

API_VERSION = "kubevirt.io/v1"

#: Where a VirtualMachine has the spec of its instances.
POD: Path = ("spec", "template", "spec")
_DOMAIN: Path = (*POD, "domain")
_DEVICES: Path = (*_DOMAIN, "devices")

#: Options that stand for exactly one field.
_FIELDS: dict[str, Path] = {
    "api_version": ("apiVersion",),
    "name": ("metadata", "name"),
    "namespace": ("metadata", "namespace"),
    "run_strategy": ("spec", "runStrategy"),
    "running": ("spec", "running"),
    "instancetype": ("spec", "instancetype"),
    "preference": ("spec", "preference"),
    "data_volume_templates": ("spec", "dataVolumeTemplates"),
    "cpu_cores": (*_DOMAIN, "cpu", "cores"),
    "cpu_sockets": (*_DOMAIN, "cpu", "sockets"),
    "cpu_threads": (*_DOMAIN, "cpu", "threads"),
    "cpu_thread_policy": (*_DOMAIN, "cpu", "libvirt", "threadPolicy"),
    "cpu_model": (*_DOMAIN, "cpu", "model"),
    "cpu_features": (*_DOMAIN, "cpu", "features"),
    "dedicated_cpus": (*_DOMAIN, "cpu", "dedicatedCpuPlacement"),
    "isolate_emulator_thread": (*_DOMAIN, "cpu", "isolateEmulatorThread"),
    "memory": (*_DOMAIN, "memory", "guest"),
    "memory_locked": (*_DOMAIN, "memory", "libvirt", "locked"),
    "hugepages": (*_DOMAIN, "memory", "hugepages", "pageSize"),
    "resources": (*_DOMAIN, "resources"),
    "cpu_limit": (*_DOMAIN, "resources", "limits", "cpu"),
    "memory_limit": (*_DOMAIN, "resources", "limits", "memory"),
    "io_threads_policy": (*_DOMAIN, "ioThreadsPolicy"),
    "machine_type": (*_DOMAIN, "machine", "type"),
    "smbios_uuid": (*_DOMAIN, "firmware", "uuid"),
    "clock": (*_DOMAIN, "clock"),
    "watchdog": (*_DEVICES, "watchdog"),
    "host_devices": (*_DEVICES, "hostDevices"),
    "gpus": (*_DEVICES, "gpus"),
    "multiqueue": (*_DEVICES, "networkInterfaceMultiqueue"),
    "block_multiqueue": (*_DEVICES, "blockMultiQueue"),
    "autoattach_graphics_device": (*_DEVICES, "autoattachGraphicsDevice"),
    "autoattach_input_device": (*_DEVICES, "autoattachInputDevice"),
    "autoattach_mem_balloon": (*_DEVICES, "autoattachMemBalloon"),
    "autoattach_pod_interface": (*_DEVICES, "autoattachPodInterface"),
    "autoattach_serial_console": (*_DEVICES, "autoattachSerialConsole"),
    "eviction_strategy": (*POD, "evictionStrategy"),
    "hostname": (*POD, "hostname"),
    "subdomain": (*POD, "subdomain"),
    "termination_grace_period_seconds": (*POD, "terminationGracePeriodSeconds"),
    "tolerations": (*POD, "tolerations"),
    "affinity": (*POD, "affinity"),
    "node_selector": (*POD, "nodeSelector"),
    "volumes": (*POD, "volumes"),
    "networks": (*POD, "networks"),
}

#: Options with suboptions of their own, not in KubeVirt's shape.
_STRUCTURED = {"cloud_init", "firmware"}

#: The option to set a field by, for messages about fields that nobody set.
_OPTION_OF: dict[Path, Path] = {
    **{at: (option,) for option, at in _FIELDS.items()},
    (*_DOMAIN, "cpu", "realtime"): ("realtime",),
    (*_DOMAIN, "cpu", "realtime", "mask"): ("realtime_mask",),
    (*_DOMAIN, "cpu", "numa", "guestMappingPassthrough"): ("numa_passthrough",),
    (*_DOMAIN, "firmware", "bootloader"): ("firmware", "bootloader"),
    (*_DOMAIN, "firmware", "bootloader", "efi", "secureBoot"): ("firmware", "secure_boot"),
    (*_DOMAIN, "features", "smm"): ("firmware", "smm"),
    (*_DEVICES, "disks"): ("disks",),
    (*_DEVICES, "interfaces"): ("interfaces",),
}

#: Options whose items KubeVirt keeps in two lists: (option, the nested key, the item's list, the nested value's list).
_PAIRED: tuple[tuple[str, str, Path, Path], ...] = (
    ("disks", "volume", (*_DEVICES, "disks"), (*POD, "volumes")),
    ("interfaces", "network", (*_DEVICES, "interfaces"), (*POD, "networks")),
)

#: Lists whose items must carry a ``name``, by option: they merge by it.
NAMED_LISTS = ("disks", "interfaces", "volumes", "networks", "host_devices", "gpus", "cpu_features")

#: A host's PCI address as lspci -D writes it; the domain may be left out.
PCI_ADDRESS = re.compile(r"^(?:([0-9a-fA-F]{4}):)?([0-9a-fA-F]{2}):([01][0-9a-fA-F])\.([0-7])$")

#: Vendor and device of a PCI device, as lspci -n writes them.
PCI_ID = re.compile(r"^[0-9a-fA-F]{4}:[0-9a-fA-F]{4}$")

_CLOUD_INIT_NAME = "cloudinit"


@dataclass
class Manifest:
    """A VirtualMachine and where each of its fields was declared.

    :ivar document: the VirtualMachine as plain values.
    :ivar origins: place in ``document`` -> place in the options of the one that set it, for messages.
    :ivar written: how the user wrote a place in the options.
    """

    document: dict[str, t.Any] = field(default_factory=lambda: {"apiVersion": API_VERSION, "kind": "VirtualMachine"})
    origins: dict[Path, Path] = field(default_factory=dict)
    written: t.Callable[[Path], str] = render_path

    @property
    def name(self) -> str:
        return str(self.document.get("metadata", {}).get("name", ""))

    @property
    def namespace(self) -> str | None:
        value = self.document.get("metadata", {}).get("namespace")
        return None if value is None else str(value)

    def option_path(self, path: Path) -> str:
        """The option that set a field, or would: the deepest place known, then the rest of the field's own path."""
        origin, option = (
            next((length for length in range(len(path), 0, -1) if path[:length] in known), 0)
            for known in (self.origins, _OPTION_OF)
        )
        # That something else of the domain was set says nothing of this field: its own option comes before.
        if option > origin <= len(_DOMAIN):
            return self.written((*_OPTION_OF[path[:option]], *path[option:]))
        return self.written((*self.origins[path[:origin]], *path[origin:]) if origin else path)

    def lay(self, at: Path, value: t.Any, *origin: str | int, covers: int | None = 0) -> None:
        """Lay a value over the document at a place.

        :arg origin: the place in the options that the value came from.
        :arg covers: how many steps below ``at`` the origin already stands for, and so are not part of a field's path;
            None for all of them.
        """
        patch = value
        for step in reversed(at):
            patch = {step: patch}

        def record(landed: Path, stood: Path) -> None:
            if len(stood) >= len(at):
                self.origins[landed] = origin if covers is None else (*origin, *stood[len(at) + covers :])

        self.document = lay_over(self.document, patch, record)


def full_address(pci: str) -> str:
    """A PCI address in the one spelling that sysfs has, empty for what is none."""
    match = PCI_ADDRESS.fullmatch(pci)
    return f"{match[1] or '0000'}:{match[2]}:{match[3]}.{match[4]}".lower() if match else ""


def merge_options(
    defaults: t.Mapping[str, t.Any],
    entry: t.Mapping[str, t.Any],
    *,
    on_set: t.Callable[[Path, Path], None] | None = None,
) -> dict[str, t.Any]:
    """One entry of ``vms`` over the task's own options; an option that is None counts as not given.

    :arg on_set: told where each value of the entry landed and where it stood, as :func:`overlay` does.
    """
    return t.cast("dict[str, t.Any]", overlay(_given(defaults), _given(entry), on_set=on_set))


def _given(options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The options without those that Ansible sets to None because they were not given, suboptions included."""
    given = {key: value for key, value in options.items() if value is not None}
    for option in _STRUCTURED & given.keys():
        given[option] = {key: value for key, value in given[option].items() if value is not None}
    return given


def domain_name(document: t.Mapping[str, t.Any]) -> str:
    """libvirt's name of a VM: ``name``, or ``<namespace>_<name>`` as KubeVirt's launcher has it where one is given."""
    metadata = document.get("metadata") or {}
    namespace = metadata.get("namespace")
    return f"{namespace}_{metadata['name']}" if namespace else str(metadata["name"])


def pod_spec(document: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """``spec.template.spec`` of a VirtualMachine, empty where the manifest has none."""
    return mapping_at(document, "spec", "template", "spec")


def has_dedicated_cpus(document: t.Mapping[str, t.Any]) -> bool:
    return bool(mapping_at(pod_spec(document), "domain", "cpu").get("dedicatedCpuPlacement"))


def mapping_at(value: t.Any, *keys: str) -> dict[str, t.Any]:
    """The mapping at a place, empty where there is none or something else."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def from_options(options: t.Mapping[str, t.Any], written: t.Callable[[Path], str] = render_path) -> Manifest:
    """Convert a declaration to a VirtualMachine. Options that are None or missing declare nothing.

    The shape of nested parts is not judged here: admission does, on the whole manifest.

    :arg written: how the user wrote a place in the options, where they were merged from several.
    """
    given = _given(options)
    manifest = Manifest(written=written)
    if "definition" in given:
        manifest.lay((), given["definition"], "definition")
    for option, at in _FIELDS.items():
        if option in given:
            manifest.lay(at, given[option], option)
    for option in ("labels", "annotations"):
        if option in given:
            # The VM's and, for selectors and network policies, its instance's: as kubevirt.core does.
            manifest.lay(("metadata", option), given[option], option)
            manifest.lay(("spec", "template", "metadata", option), given[option], option)
    for option, nested, items_at, nested_at in _PAIRED:
        _lay_pairs(manifest, given.get(option) or [], option, nested, items_at, nested_at)
    _lay_cpu_modes(manifest, given)
    _lay_firmware(manifest, given.get("firmware") or {})
    _lay_cloud_init(manifest, given.get("cloud_init"))
    if "spec" in given:
        manifest.lay(POD, given["spec"], "spec")
    return manifest


def _lay_pairs(
    manifest: Manifest, items: list[dict[str, t.Any]], option: str, nested: str, items_at: Path, nested_at: Path
) -> None:
    """``disks`` with their ``volume`` (``interfaces`` with their ``network``) to KubeVirt's two lists."""
    if not items:
        return
    manifest.lay(items_at, [{key: value for key, value in item.items() if key != nested} for item in items], option)
    for index, item in enumerate(items):
        if nested in item:
            pair = {"name": item["name"], **(item[nested] or {})}
            manifest.lay(nested_at, [pair], option, index, nested, covers=1)


def _lay_cpu_modes(manifest: Manifest, given: t.Mapping[str, t.Any]) -> None:
    cpu: Path = (*_DOMAIN, "cpu")
    for option, at in (
        ("numa_passthrough", (*cpu, "numa", "guestMappingPassthrough")),
        ("realtime", (*cpu, "realtime")),
    ):
        if given.get(option):
            manifest.lay(at, {}, option)
        elif given.get(option) is False and at[-1] in mapping_at(manifest.document, *map(str, at[:-1])):
            # Off, although the definition has it.
            manifest.lay(at, None, option)
    if "realtime_mask" in given and given.get("realtime") is not False:
        manifest.lay((*cpu, "realtime", "mask"), given["realtime_mask"], "realtime_mask")


def _lay_firmware(manifest: Manifest, firmware: t.Mapping[str, t.Any]) -> None:
    bootloader: Path = (*_DOMAIN, "firmware", "bootloader")
    if firmware.get("bootloader") == "bios":
        manifest.lay((*bootloader, "bios"), {}, "firmware", "bootloader")
    if firmware.get("bootloader") == "efi" or firmware.get("secure_boot"):
        # KubeVirt turns secure boot on where efi does not say; the option's default is off, so say it.
        secure = bool(firmware.get("secure_boot"))
        manifest.lay((*bootloader, "efi", "secureBoot"), secure, "firmware", "secure_boot")
    if firmware.get("smm") is not None:
        manifest.lay((*_DOMAIN, "features", "smm", "enabled"), firmware["smm"], "firmware", "smm")


def _lay_cloud_init(manifest: Manifest, cloud_init: t.Mapping[str, t.Any] | None) -> None:
    if cloud_init is None:
        return
    source: dict[str, t.Any] = {}
    user_data = _user_data(cloud_init)
    if user_data is not None:
        source["userData"] = user_data
    if cloud_init.get("network_data") is not None:
        source["networkData"] = _as_document(cloud_init["network_data"])
    volume = {"name": _CLOUD_INIT_NAME, "cloudInitNoCloud": source}
    disk = {"name": _CLOUD_INIT_NAME, "disk": {"bus": "virtio"}}
    # Nothing of these two is written by the user but the option itself: every message names it alone.
    manifest.lay((*_DEVICES, "disks"), [disk], "cloud_init", covers=None)
    manifest.lay((*POD, "volumes"), [volume], "cloud_init", covers=None)


def _user_data(cloud_init: t.Mapping[str, t.Any]) -> str | None:
    """The user data: text as given, or a cloud-config of the short forms and a mapping of user data."""
    short = {
        key: cloud_init[key] for key in ("hostname", "users", "ssh_authorized_keys") if cloud_init.get(key) is not None
    }
    user_data = cloud_init.get("user_data")
    if isinstance(user_data, str):
        return user_data
    config = {**short, **copied(user_data or {})}
    return "#cloud-config\n" + _as_document(config) if config else None


def _as_document(value: t.Any) -> str:
    """Text as it is; anything else as JSON, which is YAML to every guest, in an order that never changes."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, indent=1) + "\n"
