# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our admission and virt-api's own have the same verdict on a thousand declarations, valid and broken.

Where they differ on purpose, docs/admission.md says so: this reads its tables. Another corpus than CI's is drawn with
RTVIRT_CORPUS_SEED and RTVIRT_CORPUS_SIZE.
"""

from __future__ import annotations

import json
import os
import typing as t
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from ansible_collections.rtvirt.core.plugins.module_utils._errors import Problem
from ansible_collections.rtvirt.core.plugins.module_utils._vm.declaration import Options
from ansible_collections.rtvirt.core.tests.control_plane.cluster import Cluster
from ansible_collections.rtvirt.core.tests.integration.control_plane.mistakes import additions_alone, declarations
from ansible_collections.rtvirt.core.tests.integration.control_plane.strictness import EARLIER, SERVERS, STRICTER, Row
from ansible_collections.rtvirt.core.tests.integration.control_plane.verdicts import (
    Refusal,
    Server,
    names_same_field,
    ours,
)

SEED = int(os.environ.get("RTVIRT_CORPUS_SEED", "20260101"))
SIZE = int(os.environ.get("RTVIRT_CORPUS_SIZE", "1050"))

#: Of what both refuse, how often one of our problems is of the field that the server names; measured: see the docs.
SAME_FIELD = 0.85

Drawn = tuple[dict[str, t.Any], list[str]]


def corpus() -> list[Drawn]:
    """The same in every run of the same seed, each declaration once."""
    drawn: list[Drawn] = list(additions_alone())

    @seed(SEED)
    @settings(
        max_examples=SIZE,
        database=None,
        phases=[Phase.generate],
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(declarations())
    def collect(one: Drawn) -> None:
        drawn.append(one)

    collect()
    return list({json.dumps(options, sort_keys=True, default=str): (options, made) for options, made in drawn}.values())


def disagreement(problems: t.Sequence[Problem], refusal: Refusal | None) -> str | None:
    """What is wrong with our verdict beside the server's; None where it is the same, or another on purpose."""
    if problems and refusal is None:
        unlisted = [problem for problem in problems if not any(row.covers(problem) for row in STRICTER)]
        return f"only we refuse: {'; '.join(map(str, unlisted))}" if unlisted else None
    if problems and refusal and refusal.of == "VMI":
        listed = [*EARLIER, *STRICTER]
        unlisted = [problem for problem in problems if not any(row.covers(problem) for row in listed)]
        return f"not listed as told before the start: {'; '.join(map(str, unlisted))}" if unlisted else None
    if refusal and not problems and not any(row.text in refusal.text for row in SERVERS):
        return f"only the server refuses the {refusal.of}: {refusal.text}"
    return None


def test_the_verdicts_agree(control_plane: Cluster, namespace: str) -> None:
    server = Server(control_plane.api, namespace)
    make_instancetype(server)

    def judge(one: Drawn) -> tuple[str, bool | None, str | None]:
        options, made = one
        document, problems = ours(Options(options))
        if document is None:
            return "not to be merged", None, None
        refusal = server.judge(document)
        verdicts = (
            f"{'refused' if problems else 'admitted'} by us, {'refused' if refusal else 'admitted'} by the server"
        )
        same = names_same_field(problems, refusal) if problems and refusal else None
        wrong = disagreement(problems, refusal)
        return verdicts, same, f"{wrong}\n  {made}\n  {json.dumps(options, default=str)}" if wrong else None

    drawn = corpus()
    with ThreadPoolExecutor(4) as pool:
        judged = list(pool.map(judge, drawn))
    counts = Counter(verdicts for verdicts, _same, _wrong in judged)
    fields = [same for _verdicts, same, _wrong in judged if same is not None]
    rate = sum(fields) / len(fields)
    print(f"{len(drawn)} declarations: {dict(counts)}; the same field in {rate:.0%} of {len(fields)}")
    wrong = [text for _verdicts, _same, text in judged if text]
    assert not wrong, f"{len(wrong)} of {len(drawn)}:\n" + "\n".join(wrong)
    assert sum(counts.values()) - counts["not to be merged"] >= min(SIZE, 1000)
    assert rate >= SAME_FIELD


def make_instancetype(server: Server) -> None:
    body = {
        "apiVersion": "instancetype.kubevirt.io/v1beta1",
        "kind": "VirtualMachineInstancetype",
        "metadata": {"name": "small"},
        "spec": {"cpu": {"guest": 1}, "memory": {"guest": "1Gi"}},
    }
    server.api.post(
        f"/apis/instancetype.kubevirt.io/v1beta1/namespaces/{server.namespace}/virtualmachineinstancetypes", body
    )


def judged_example(server: Server, row: Row) -> tuple[tuple[Problem, ...], Refusal | None]:
    document, problems = ours(Options(row.options))
    assert document is not None
    return problems, server.judge(document)


@pytest.mark.parametrize("row", STRICTER, ids=lambda row: row.example)
def test_only_we_refuse_what_is_listed_as_stricter(control_plane: Cluster, namespace: str, row: Row) -> None:
    problems, refusal = judged_example(Server(control_plane.api, namespace), row)
    assert refusal is None
    assert any(row.covers(problem) for problem in problems), problems


@pytest.mark.parametrize("row", EARLIER, ids=lambda row: row.example)
def test_the_start_would_refuse_what_is_listed_as_earlier(control_plane: Cluster, namespace: str, row: Row) -> None:
    problems, refusal = judged_example(Server(control_plane.api, namespace), row)
    assert refusal is not None
    assert refusal.of == "VMI"
    assert any(row.covers(problem) for problem in problems), problems


@pytest.mark.parametrize("row", SERVERS, ids=lambda row: row.example)
def test_the_server_refuses_what_is_left_to_it(control_plane: Cluster, namespace: str, row: Row) -> None:
    problems, refusal = judged_example(Server(control_plane.api, namespace), row)
    assert not problems
    assert refusal is not None
    assert row.text in refusal.text
