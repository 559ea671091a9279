# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mediated devices, such as virtual GPUs: which there are, and the plan that brings a host to those that are declared.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

The kernel makes and removes them (Linux ``Documentation/driver-api/vfio-mediated-device.rst``), and forgets them at a
boot. mdevctl makes those anew that have a definition, as soon as the driver of their card is there. Its definitions are
files (``/etc/mdevctl.d/<parent>/<UUID>``, in its README); those of libvirt's node devices are the same.
"""

from __future__ import annotations

import json
import typing as t
import uuid as uuids
from collections import Counter
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem, RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.record import read_record, signed
from ansible_collections.rtvirt.core.plugins.module_utils._host.settings import (
    Settings,
    SettingsPlan,
    apply_settings,
    plan_settings,
)

__all__ = ["MediatedDevice", "MediatedPlan", "apply_mediated", "plan_mediated"]

_RECORD = "mediated_devices"
_DEVICES = "/sys/bus/mdev/devices"
_PARENTS = "/sys/class/mdev_bus"
_DEFINITIONS = "/etc/mdevctl.d"

#: mdevctl's own rule for udev names this program. Debian's package (1.2.0-3 of Debian 12) has it in /usr/bin alone, and
#: the rule does nothing there.
_NAMED_BY_ITS_RULE = "/usr/sbin/mdevctl"
_RULE = "/etc/udev/rules.d/60-rtvirt-mediated-devices.rules"
# A driver that was loaded before udev ran has told of its card already.
_WHEN = ('ACTION=="change", ENV{MDEV_STATE}=="registered"', 'ACTION=="add"')


@dataclass(frozen=True)
class MediatedDevice:
    """A device as it is declared.

    :ivar option: where it is declared.
    :ivar parent: the card, by its name in sysfs: a PCI address.
    :ivar type: of the parent's types, ``nvidia-35``.
    :ivar attributes: written to the device after it was made, in this order.
    """

    option: str
    uuid: str
    parent: str
    type: str
    attributes: t.Mapping[str, str]

    @property
    def definition(self) -> str:
        return f"{_DEFINITIONS}/{self.parent}/{self.uuid}"

    @property
    def text(self) -> str:
        """The definition to the byte as mdevctl 1.2 writes it."""
        attributes = [{name: value} for name, value in self.attributes.items()]
        return json.dumps({"mdev_type": self.type, "start": "auto", "attrs": attributes}, indent=2)


@dataclass(frozen=True)
class MediatedPlan:
    """What brings a host to its devices.

    :ivar removed: UUIDs of devices that go, some of them to be made anew.
    :ivar made: those that are made.
    :ivar before: the devices that are there, and those of the declaration: UUID -> parent and type.
    """

    settings: SettingsPlan
    removed: tuple[str, ...]
    made: tuple[MediatedDevice, ...]
    before: t.Mapping[str, tuple[str, str]]
    after: t.Mapping[str, tuple[str, str]]

    @property
    def changed(self) -> bool:
        return bool(self.settings.changed or self.removed or self.made)


def plan_mediated(host: Host, declared: t.Sequence[MediatedDevice]) -> MediatedPlan:
    """Plan the devices; those that were declared before and are not any more go.

    :raises DeclarationError: for a card or type that is not there, for a device of somebody else's, and for one that
        would go and is in use.
    """
    there = _devices(host)
    files = [path for path in read_record(host, _RECORD).get("files", []) if path.startswith(_DEFINITIONS)]
    ours = {path.rpartition("/")[2] for path in files}
    problems = [*_mistakes(declared), *_unknown(host, declared), *_of_others(host, declared, there, files)]
    wanted = {device.uuid: device for device in declared}
    removed = {
        uuid: found
        for uuid, found in sorted(there.items())
        if uuid in ours and (uuid not in wanted or _is_another(host, wanted[uuid], found))
    }
    made = [device for device in declared if device.uuid not in there or device.uuid in removed]
    mdevctl = host.tool("mdevctl")
    problems += _in_use(host, wanted, removed)
    problems += _no_attributes(host, declared, there)
    if not problems:
        problems += _too_many(host, made, removed)
    if mdevctl is None and (declared or removed):
        problems.append(
            Problem("devices", "needs mdevctl, which is not installed: the role mediated_devices does that")
        )
    if problems:
        raise DeclarationError(problems)
    wanted_files = {device.definition: device.text for device in declared}
    if declared and not host.exists(_NAMED_BY_ITS_RULE):
        rule = "".join(
            f'{when}, TEST=="{_DEFINITIONS}/$kernel", RUN+="{mdevctl} start-parent-mdevs %k"\n' for when in _WHEN
        )
        wanted_files[_RULE] = signed(_RECORD, rule)
    after = {uuid: found for uuid, found in there.items() if uuid not in removed}
    return MediatedPlan(
        settings=plan_settings(host, _RECORD, Settings(files=wanted_files)),
        removed=tuple(removed),
        made=tuple(made),
        before=there,
        after={**after, **{device.uuid: (device.parent, device.type) for device in declared}},
    )


def apply_mediated(host: Host, plan: MediatedPlan) -> None:
    """:raises RtvirtError: where the kernel does not make or remove a device."""
    for uuid in plan.removed:
        host.must_run("mdevctl", "stop", "--uuid", uuid)

    def make() -> None:
        for device in plan.made:
            host.must_run("mdevctl", "start", "--uuid", device.uuid, "--parent", device.parent)
            if not host.exists(f"{_DEVICES}/{device.uuid}"):
                raise RtvirtError(f"mdevctl has made {device.uuid}, and it is not there")

    apply_settings(host, plan.settings, make)


def _devices(host: Host) -> dict[str, tuple[str, str]]:
    """The devices that are there: UUID -> parent and type. A device is a folder in its parent's."""
    links = {uuid: host.link(f"{_DEVICES}/{uuid}").split("/") for uuid in host.names(_DEVICES)}
    # One that goes meanwhile has no link any more.
    return {
        uuid: (parts[-2], host.target(f"{_DEVICES}/{uuid}/mdev_type") or "")
        for uuid, parts in links.items()
        if len(parts) > 1
    }


def _is_another(host: Host, device: MediatedDevice, there: tuple[str, str]) -> bool:
    """Whether a device of ours is to be made anew. The kernel changes none, and attributes are for a device's begin."""
    before = host.read(device.definition)
    return there != (device.parent, device.type) or (
        before is not None and _attributes(before) != _attributes(device.text)
    )


def _attributes(definition: str) -> t.Any:
    """What of a definition makes a device what it is beside its type; when it is started is no part of it."""
    try:
        return json.loads(definition)["attrs"]
    except (ValueError, KeyError, TypeError):
        return None


def _mistakes(declared: t.Sequence[MediatedDevice]) -> t.Iterator[Problem]:
    for device in declared:
        try:
            canonical = str(uuids.UUID(device.uuid))
        except ValueError:
            canonical = "such as 6f4a52f8-3c5b-4c2f-9a35-1f2d3c4b5a69"
        if canonical != device.uuid:
            yield Problem(f"{device.option}.uuid", f"{device.uuid!r} is no UUID as the kernel writes them: {canonical}")
    for uuid, count in Counter(device.uuid for device in declared).items():
        if count > 1:
            yield Problem("devices", f"{uuid} is declared {count} times")


def _unknown(host: Host, declared: t.Sequence[MediatedDevice]) -> t.Iterator[Problem]:
    parents = host.names(_PARENTS)
    for device in declared:
        folder = f"{_PARENTS}/{device.parent}/mdev_supported_types"
        types = host.names(folder)
        if device.parent not in parents:
            told = (
                f"those that do: {', '.join(parents)}" if parents else "nothing here does: is the card's driver loaded?"
            )
            yield Problem(f"{device.option}.parent", f"{device.parent} makes no mediated devices; {told}")
        elif device.type not in types:
            named = (f"{name} ({host.word(f'{folder}/{name}/name')})" for name in types)
            yield Problem(f"{device.option}.type", f"{device.parent} has no {device.type}: {', '.join(named)}")


def _of_others(
    host: Host,
    declared: t.Sequence[MediatedDevice],
    there: t.Mapping[str, tuple[str, str]],
    files: t.Collection[str],
) -> t.Iterator[Problem]:
    """:arg files: definitions of ours."""
    defined = [f"{_DEFINITIONS}/{parent}/{name}" for parent in host.names(_DEFINITIONS)
               for name in host.names(f"{_DEFINITIONS}/{parent}")]  # fmt: skip
    ours = {path.rpartition("/")[2] for path in files}
    for device in declared:
        option = f"{device.option}.uuid"
        found = there.get(device.uuid)
        if device.uuid not in ours and found is not None:
            if found != (device.parent, device.type):
                yield Problem(option, f"{device.uuid} is there, and was not made here: {found[1]} of {found[0]}")
            elif device.attributes and host.read(device.definition) != device.text:
                message = (
                    "was not made here, and attributes are set only then: leave them out, or remove it (mdevctl stop)"
                )
                yield Problem(f"{device.option}.attributes", f"{device.uuid} {message}")
        # mdevctl takes one for the other, and a name in capitals for the same.
        for path in defined:
            if path.rpartition("/")[2].lower() == device.uuid and path not in (device.definition, *files):
                yield Problem(option, f"{device.uuid} is defined by {path} already, which was not written here")


def _in_use(host: Host, wanted: t.Mapping[str, MediatedDevice], removed: t.Iterable[str]) -> t.Iterator[Problem]:
    """The kernel waits for the program that has a device until it lets it go, and mdevctl with it."""
    for uuid in removed:
        # By its group, or by itself (iommufd).
        names = [host.target(f"{_DEVICES}/{uuid}/iommu_group") or ""]
        names += [f"devices/{name}" for name in host.names(f"{_DEVICES}/{uuid}/vfio-dev")]
        holders = host.holders([f"/dev/vfio/{name}" for name in names])
        if holders:
            option = wanted[uuid].option if uuid in wanted else "devices"
            yield Problem(option, f"{uuid} would be removed, and is used by {', '.join(holders)}: stop the VM")


def _no_attributes(
    host: Host, declared: t.Iterable[MediatedDevice], there: t.Mapping[str, tuple[str, str]]
) -> t.Iterator[Problem]:
    """Attributes that a device does not have, as far as one of that type is there to look at."""
    for device in declared:
        like = next((uuid for uuid, found in there.items() if found == (device.parent, device.type)), None)
        for name in device.attributes:
            if like is not None and not host.exists(f"{_DEVICES}/{like}/{name}"):
                yield Problem(
                    f"{device.option}.attributes.{name}", f"is no attribute of {device.type}: see {_DEVICES}/{like}"
                )


def _too_many(
    host: Host, made: t.Iterable[MediatedDevice], removed: t.Mapping[str, tuple[str, str]]
) -> t.Iterator[Problem]:
    """More than there is room for. What the room is after a device of another type has gone, only the driver knows."""
    for (parent, kind), count in Counter((device.parent, device.type) for device in made).items():
        gone = [found for found in removed.values() if found[0] == parent]
        if any(found[1] != kind for found in gone):
            continue
        room = int(host.word(f"{_PARENTS}/{parent}/mdev_supported_types/{kind}/available_instances") or 0) + len(gone)
        if count > room:
            yield Problem("devices", f"{parent} has room for {room} more of {kind}, and {count} are to be made")
