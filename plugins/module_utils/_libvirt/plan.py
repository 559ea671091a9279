# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What brings one VM to its declaration.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field

from ansible_collections.rtvirt.core.plugins.module_utils._libvirt import comparison
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.deletion import Mark
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.domains import Domain
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.volumes import VolumeStep
from ansible_collections.rtvirt.core.plugins.module_utils._plan import Change
from ansible_collections.rtvirt.core.plugins.module_utils._vm import lifecycle

__all__ = ["VmPlan"]


@dataclass
class VmPlan:
    """What brings one VM to its declaration.

    :ivar existing: the domain as it was found, None for a VM to create.
    :ivar complete: what a new domain of this declaration would be.
    :ivar compared: the definition to write, and the differences that it takes.
    :ivar wanted: the power state that it should have, None for the one that it has.
    :ivar power: steps that bring the power state, as far as no restart is needed.
    :ivar mark: what marks it as deleted for a term, None where it is to have no such mark or has it.
    :ivar remove_state: whether firmware variables and TPM state go with the domain.
    :ivar remove: files that go with it; those of its disks that stay are in ``keep``.
    """

    name: str
    namespace: str | None
    domain_name: str
    state: lifecycle.State
    document: dict[str, t.Any]
    existing: Domain | None = None
    complete: ET.Element | None = None
    compared: comparison.Comparison = field(default_factory=comparison.Comparison)
    volumes: list[VolumeStep] = field(default_factory=list)
    wanted: lifecycle.Power | None = None
    power: list[lifecycle.Step] = field(default_factory=list)
    allow_restart: bool = False
    autostart: bool | None = None
    mark: Mark | None = None
    undefine: bool = False
    remove_state: bool = False
    remove: list[str] = field(default_factory=list)
    keep: list[str] = field(default_factory=list)

    @property
    def definition(self) -> ET.Element | None:
        """The XML to define, None where the persistent definition stays."""
        return self.compared.definition

    @property
    def changes(self) -> list[Change]:
        return self.compared.changes

    @property
    def pending(self) -> list[Change]:
        return self.compared.pending

    def restarts(self, pending: t.Sequence[Change]) -> bool:
        """Whether a guest is restarted for what it would not take as it runs."""
        runs = self.existing is not None and self.existing.power != "stopped"
        return bool(pending) and self.allow_restart and runs and "shut down" not in self.power

    @property
    def restores(self) -> bool:
        """Whether the VM is deleted for a term, and declared again."""
        return self.state not in lifecycle.LEAVING and self.existing is not None and self.existing.mark is not None

    @property
    def leaves(self) -> bool:
        """Whether it must be down in the end."""
        return self.undefine or self.mark is not None

    @property
    def adopted(self) -> bool:
        """Whether the VM is there, and not of our making."""
        return self.existing is not None and self.existing.record is None

    @property
    def before(self) -> ET.Element | None:
        """The persistent definition as it was found."""
        return None if self.existing is None else self.existing.definition

    @property
    def after(self) -> ET.Element | None:
        """The persistent definition as it will be."""
        return None if self.undefine else self.before if self.definition is None else self.definition
