# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""NetworkAttachmentDefinitions, brought to their declarations or taken away.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass, field

from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt import objects
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.comparison import compare, merge_patch
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.record import (
    declared_part,
    read_record,
    with_record,
)
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.session import ApiError, Session
from ansible_collections.rtvirt.core.plugins.module_utils._vm import secrets
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import mapping_at
from ansible_collections.rtvirt.core.plugins.module_utils.converters.overlay import copied

__all__ = ["Planned", "apply_definition", "plan_definition"]

_CONFLICTS = 5


@dataclass(frozen=True)
class Planned:
    """What brings one definition to its declaration.

    :ivar live: the definition as it was found, None for none.
    :ivar body: what is sent.
    :ivar after: the declared part as it is then, for people.
    """

    key: objects.Key
    document: dict[str, t.Any] | None
    live: dict[str, t.Any] | None
    action: t.Literal["create", "update", "delete", ""] = ""
    body: dict[str, t.Any] = field(default_factory=dict)
    after: dict[str, t.Any] = field(default_factory=dict)


def plan_definition(key: objects.Key, document: dict[str, t.Any] | None, live: dict[str, t.Any] | None) -> Planned:
    """Plan one definition. Pure.

    :arg document: the declared one, None for one that is to go.
    """
    if document is None:
        return Planned(key, None, live, "delete" if live is not None else "")
    declared = declared_part(document)
    if live is None:
        return Planned(key, document, None, "create", with_record(document, declared), declared)
    there = declared_part(live)
    if _means_the_same(there, declared):
        declared["spec"] = there["spec"]
    last = read_record(live)
    comparison = compare(there, declared, last)
    # What is remembered follows what is declared also where nothing differs: it says what is ours to take away.
    if not comparison.differences and (
        last is None or last.get("metadata") == secrets.redacted(declared).get("metadata")
    ):
        return Planned(key, document, live, after=there)
    wanted = {**copied(live), "spec": comparison.merged["spec"]}
    for part in ("labels", "annotations"):
        merged = dict(mapping_at(comparison.merged, "metadata", part))
        if merged or part in wanted["metadata"]:
            wanted["metadata"][part] = merged
    body = merge_patch(live, with_record(wanted, declared_part(document)))
    body.setdefault("metadata", {})["resourceVersion"] = live["metadata"]["resourceVersion"]
    return Planned(key, document, live, "update", body, comparison.merged)


def apply_definition(session: Session, plan: Planned) -> None:
    """Send what was planned; planned anew where someone else was faster."""
    for attempt in range(_CONFLICTS):
        try:
            _send(session, plan)
            return
        except ApiError as error:
            if plan.action == "delete" and error.status == 404:
                return
            if error.status != 409 or attempt == _CONFLICTS - 1:
                raise
        plan = plan_definition(plan.key, plan.document, objects.read_one(session, objects.DEFINITIONS, plan.key))


def _send(session: Session, plan: Planned) -> None:
    namespace, _name = plan.key
    if plan.action == "create":
        session.create(objects.object_path(objects.DEFINITIONS, namespace), plan.body)
    elif plan.action == "update":
        session.patch(objects.object_path(objects.DEFINITIONS, *plan.key), plan.body)
    elif plan.action == "delete" and plan.live is not None:
        options = {"preconditions": {"uid": plan.live["metadata"]["uid"]}}
        session.delete(objects.object_path(objects.DEFINITIONS, *plan.key), options)


def _means_the_same(there: dict[str, t.Any], declared: dict[str, t.Any]) -> bool:
    """Whether two specs differ in the spelling of their configuration at most."""
    try:
        texts = [mapping_at(one, "spec").get("config") for one in (there, declared)]
        return bool(json.loads(str(texts[0])) == json.loads(str(texts[1])))
    except ValueError:
        return False
