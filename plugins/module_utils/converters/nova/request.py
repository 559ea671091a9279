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

__all__ = ["Options", "Request"]

Options = dict[str, t.Any]

#: Of an image, these say how a VM is made; others describe what is in it.
_OF_HARDWARE = re.compile(r"hw_.+|os_secure_boot|img_hide_hypervisor_id")

#: Nova's words for a yes-or-no value (oslo.utils, ``bool_from_string``).
_YES = ("1", "t", "true", "on", "y", "yes")

#: What to do about those that are not converted, by patterns; the first that fits counts.
_REMEDIES = {
    "hw:cpu_thread_policy": "write cpu_threads: 2 for require, and for isolate a cpu_pool with one CPU of each core",
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
        nested = image.get("properties")
        every = {**image, **(nested if isinstance(nested, dict) else {})}
        self._asked = {
            "flavor": self._known(flavor.get("extra_specs") or flavor.get("properties") or {}, "extra_specs", ignore),
            "image": self._known(
                {key: every[key] for key in every if _OF_HARDWARE.fullmatch(key)}, "properties", ignore
            ),
        }

    def _known(self, given: t.Any, where: str, ignore: t.Sequence[str]) -> dict[str, tuple[str, str]]:
        """Name in a flavor -> path and value."""
        if not isinstance(given, dict):
            self._problems.append(
                Problem(where, f"is {given!r}: write a mapping, as 'openstack flavor show -f json' has it")
            )
            return {}
        kept = {
            name: value for name, value in given.items() if not any(fnmatch.fnmatchcase(name, one) for one in ignore)
        }
        return {_of_flavor(name): (f"{where}.{name}", str(value).strip()) for name, value in kept.items()}

    def number(self, name: str) -> int:
        value = self._flavor.get(name)
        if isinstance(value, bool) or not str(value).isdecimal() or int(str(value)) < 1:
            self._problems.append(Problem(name, f"is {value!r}: write a number of 1 or more, as a flavor has it"))
            return 1
        return int(str(value))

    def take(self, name: str, *, image_first: bool = False) -> str | None:
        """The value of one that is asked for, and is done with.

        :arg image_first: whether the image has the say; else two values that differ are a mistake.
        """
        flavor, image = (self._asked[source].pop(name, None) for source in ("flavor", "image"))
        if flavor and image and flavor[1].lower() != image[1].lower() and not image_first:
            self._problems.append(
                Problem(image[0], f"is {image[1]!r}, and {flavor[0]} is {flavor[1]!r}: let both say the same")
            )
        found = image or flavor
        return found[1] if found else None

    def of_flavor(self, name: str) -> str | None:
        """What the flavor says of something that is not taken yet."""
        return self._asked["flavor"][name][1] if name in self._asked["flavor"] else None

    def choice(self, name: str, values: t.Mapping[str, Options]) -> Options:
        """The options that a value means. One that means none is not taken, and is refused with the rest."""
        for asked in self._asked.values():
            if name in asked:
                path, value = asked[name]
                plain = ("true" if value.lower() in _YES else "false") if "true" in values else value.lower()
                if plain not in values:
                    return {}
                asked[name] = path, plain
        # Nova has the image say what a watchdog does.
        said = self.take(name, image_first=name == "hw:watchdog_action")
        return {} if said is None else values[said]

    def whole(self, source: str, name: str) -> int | None:
        """A number that the flavor or the image asks for."""
        if name not in self._asked[source]:
            return None
        path, value = self._asked[source].pop(name)
        if value.isdecimal() and int(value) > 0:
            return int(value)
        self.add(path, f"is {value!r}: write a number of 1 or more")
        return None

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


def _of_flavor(name: str) -> str:
    """An image's name of something as a flavor writes it: ``hw_cpu_policy``, ``hw:cpu_policy``."""
    if name == "img_hide_hypervisor_id":
        return "hw:hide_hypervisor_id"
    return re.sub(r"^(hw|os)_(?!rng:)", r"\1:", name)
