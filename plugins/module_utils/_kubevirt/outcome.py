# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task is to do beside the declaration, and what became of one VM.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt import objects
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.plan import VmPlan

__all__ = ["Outcome", "Settings"]


@dataclass(frozen=True)
class Settings:
    """The options of the module that are not part of the declaration.

    :ivar delete_options: Kubernetes' DeleteOptions.
    :ivar delete_volumes: whether the DataVolumes of a VM's templates go with it.
    :ivar grace_period: seconds that a guest is given to shut down, None for its own.
    """

    allow_restart: bool = False
    delete_options: t.Mapping[str, t.Any] = field(default_factory=dict)
    delete_volumes: bool = True
    grace_period: int | None = None


@dataclass
class Outcome:
    """What was done to one VM.

    :ivar vm: the VM as the server has it now, None where there is none.
    :ivar old_uid: the instance that a restart ends.
    :ivar orphaned: whether the VM's instance was left to itself.
    :ivar volumes_kept: the DataVolumes that a deleted VM has left.
    :ivar restart_required: whether the running instance lacks something.
    """

    plan: VmPlan
    vm: dict[str, t.Any] | None = None
    vmi: dict[str, t.Any] | None = None
    actions: list[str] = field(default_factory=list)
    old_uid: str | None = None
    orphaned: bool = False
    volumes_kept: list[str] = field(default_factory=list)
    restart_required: bool = False
    error: RtvirtError | None = None

    @property
    def key(self) -> objects.Key:
        return self.plan.namespace, self.plan.name
