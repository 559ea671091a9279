# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a flavor and an image ask for, by the flavor's names for it, until all of it is done with.

Both say the same by names of their own: a flavor's extra spec is ``hw:cpu_policy``, an image's property
``hw_cpu_policy``.
"""

from __future__ import annotations

import fnmatch
import re
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import Problem

__all__ = ["Options", "Request", "is_yes"]

Options = dict[str, t.Any]

#: Of an image, these say how a VM is made; others describe what is in it.
_OF_HARDWARE = re.compile(r"(hw_|trait:).+|os_secure_boot|os_type|os_command_line")

#: What the properties are called by openstacksdk, and what they were called before, to Nova's names.
_RENAMED = {
    "needs_secure_boot": "os_secure_boot",
    "is_hw_vif_multiqueue_enabled": "hw_vif_multiqueue_enabled",
    "is_hw_boot_menu_enabled": "hw_boot_menu",
    "img_hide_hypervisor_id": "hw_hide_hypervisor_id",
    "hide_hypervisor_id": "hw_hide_hypervisor_id",
    "architecture": "hw_architecture",
    "vm_mode": "hw_vm_mode",
}

#: What Nova reads of one of the two alone.
_ALONE = {
    "flavor": ("hw:cpu_realtime", "hw:emulator_threads_policy", "hw_rng:allowed"),
    "image": (
        "hw:firmware_type",
        "hw:machine_type",
        "hw:rng_model",
        "hw:qemu_guest_agent",
        "hw:architecture",
        "hw:vm_mode",
    ),
}

#: Nova's words for a yes-or-no value (oslo.utils, ``bool_from_string``).
_YES = ("1", "t", "true", "on", "y", "yes")

#: What to do about those that are not converted, by patterns; the first that fits counts.
_REMEDIES = {
    "hw:cpu_thread_policy": "write a cpu_pool with one CPU of each core for isolate",
    "hw:cpu_policy": "write dedicated_cpus for all vCPUs, or for none",
    "hw:numa_*": "is up to placement and numa_passthrough, by the CPUs that are free",
    "hw:disk_bus": "is of the disks: write the bus of each",
    "hw:scsi_model": "is of the disks: bus: scsi is virtio-scsi",
    "hw:cdrom_bus": "is of the disks: write the bus of each",
    "hw:vif_model": "is of the interfaces: write the model of each",
    "hw:pmu": "follows realtime",
    "hw:tpm_*": "there is a TPM 2.0 with CRB",
    "os:secure_boot": "write firmware.secure_boot, or none",
    "pci_passthrough:*": "write host_devices",
    "hw:mem_page_size": "of an image it counts where the flavor says large or any",
    "hw:architecture": "is the host's; on a cluster write spec.architecture",
    "os:type": "write clock, and spec.domain.features.hyperv",
    "os:command_line": "write firmware.kernelBoot in spec.domain",
    "trait*:HW_CPU_HYPERTHREADING": "write cpu_threads: 2, or a cpu_pool with one CPU of each core",
    "resources*:PCPU": "write dedicated_cpus",
    "resources:VGPU": "write gpus, with the devices that the module mediated_devices has made",
    "resources*:*": "is Nova's accounting: the inventory chooses the host",
    "trait*:*": "chooses a host: the inventory does that",
    "aggregate_instance_extra_specs:*": "chooses a host: the inventory does that",
    "capabilities:*": "chooses a host: the inventory does that",
}


class Request:
    """Extra specs and properties by the flavor's names for them, of which all are to be taken.

    :ivar problems: where what is wrong is written down.
    """

    def __init__(
        self,
        flavor: t.Mapping[str, t.Any],
        image: t.Mapping[str, t.Any],
        ignore: t.Sequence[str],
        problems: list[Problem],
    ) -> None:
        self._flavor = flavor
        self._problems = problems
        # Both names are in use: of the API, and of its client.
        specs = [flavor.get(key) for key in ("extra_specs", "properties")]
        properties = {key: value for key, value in image.items() if key != "properties"}
        self._asked = {
            "flavor": self._known("flavor", "extra_specs", specs, ignore),
            "image": self._known("image", "properties", [properties, image.get("properties")], ignore),
        }

    def _known(
        self, source: str, where: str, given: t.Sequence[t.Any], ignore: t.Sequence[str]
    ) -> dict[str, tuple[str, str]]:
        """Name in a flavor -> path and value. What is null or empty is as if it were not there, as clients have it."""
        found = {}
        for mapping in given:
            if mapping is not None and not isinstance(mapping, dict):
                self.add(where, f"is {mapping!r}: write a mapping, as 'openstack {source} show -f json' has it")
                continue
            for name, value in (mapping or {}).items():
                known = _RENAMED.get(str(name), str(name))
                ignored = any(fnmatch.fnmatchcase(one, pattern) for one in (str(name), known) for pattern in ignore)
                of_guest = source == "image" and not _OF_HARDWARE.fullmatch(known)
                if ignored or of_guest or value in (None, ""):
                    continue
                path, other = f"{where}.{name}", "flavor" if source == "image" else "image"
                if not isinstance(value, (str, int, float)):
                    self.add(path, f"is {value!r}: write text")
                elif _of_flavor(known) in _ALONE[other]:
                    self.add(path, f"is {value!r}, and Nova reads it of the {other} alone: name {name} in ignore")
                else:
                    found[_of_flavor(known)] = path, str(value).strip()
        return found

    def number(self, name: str) -> int:
        number = _number(str(self._flavor.get(name)))
        if number is None:
            self.add(name, f"is {self._flavor.get(name)!r}: write a number of 1 or more, as a flavor has it")
        return number or 1

    def said(self, source: str, name: str) -> str | None:
        """What the flavor or the image says of something that is not taken yet."""
        return self._asked[source][name][1] if name in self._asked[source] else None

    def take(self, name: str, first: str | None = None) -> str | None:
        """The value of one that is asked for, and is done with.

        :arg first: who has the say, ``flavor`` or ``image``; without, two values that differ are a mistake.
        """
        found = {source: asked.pop(name) for source, asked in self._asked.items() if name in asked}
        if len(found) == 2 and first is None and found["flavor"][1].lower() != found["image"][1].lower():
            path, value = found["image"]
            self.add(path, f"is {value!r}, and {found['flavor'][0]} is {found['flavor'][1]!r}: let both say the same")
        chosen = found.get(first or "image") or next(iter(found.values()), None)
        return chosen[1] if chosen else None

    def choice(self, name: str, values: t.Mapping[str, Options], first: str | None = None) -> Options:
        """The options that a value means. One that means none is left to be refused with the rest."""
        for asked in self._asked.values():
            if name in asked:
                path, value = asked[name]
                asked[name] = path, (str(is_yes(value)).lower() if "true" in values else value.lower())
        known = {source: asked for source, asked in self._asked.items() if asked.get(name, ("", None))[1] in values}
        if len(known) < sum(name in asked for asked in self._asked.values()):
            for asked in known.values():
                del asked[name]
            return {}
        said = self.take(name, first)
        return {} if said is None else values[said]

    def whole(self, source: str, name: str) -> int | None:
        """A number that the flavor or the image asks for."""
        if name not in self._asked[source]:
            return None
        path, value = self._asked[source].pop(name)
        number = _number(value)
        if number is None:
            self.add(path, f"is {value!r}: write a number of 1 or more")
        return number

    def add(self, path: str, message: str) -> None:
        self._problems.append(Problem(path, message))

    def refuse_the_rest(self) -> None:
        for asked in self._asked.values():
            for name, (path, value) in asked.items():
                remedy = next(
                    (told for one, told in _REMEDIES.items() if fnmatch.fnmatchcase(name, one)), "has no counterpart"
                )
                ignored = path.partition(".")[2]
                self._problems.append(
                    Problem(path, f"is {value!r}, which is not converted ({remedy}): name {ignored} in ignore")
                )


def _number(text: str) -> int | None:
    """A number of 1 or more, of as many digits as anything here has."""
    return int(text) if re.fullmatch(r"0*[1-9][0-9]{0,8}", text) else None


def is_yes(value: str | None) -> bool:
    return value is not None and value.lower() in _YES


def _of_flavor(name: str) -> str:
    """An image's name of something as a flavor writes it: ``hw_cpu_policy``, ``hw:cpu_policy``."""
    return re.sub(r"^(hw|os)_(?!rng:)", r"\1:", name)
