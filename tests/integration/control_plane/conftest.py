# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tests on an API server with KubeVirt. Each test has a namespace of its own, removed at the end."""

from __future__ import annotations

import os
import subprocess
import typing as t
import uuid
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.tests.conftest import missing
from ansible_collections.rtvirt.core.tests.control_plane.audit import Audit
from ansible_collections.rtvirt.core.tests.control_plane.cluster import SCRIPT, Cluster
from ansible_collections.rtvirt.core.tests.integration.control_plane.bed import KUBEVIRT, Bed, until


@pytest.fixture(scope="session")
def control_plane() -> t.Iterator[Cluster]:
    """That of "control-plane run", or one for this session. Another cluster only by RTVIRT_TEST_KUBECONFIG."""
    if cluster := Cluster.of_environment():
        yield cluster
        return
    # It runs as long as this program does, which ends with its input.
    holding = [str(SCRIPT), "run", "--", "sh", "-c", 'echo "$RTVIRT_CONTROL_PLANE"; cat']
    with subprocess.Popen(holding, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        folder = process.stdout.readline().strip()
        if not folder:
            missing("the control plane does not start; see tests/control_plane/control-plane start")
        try:
            yield Cluster(Path(folder) / "kubeconfig", Path(folder))
        finally:
            process.stdin.close()


@pytest.fixture
def simulator(control_plane: Cluster) -> Cluster:
    """A control plane of ours: with simulated nodes, an audit log, users, and components to be killed."""
    if control_plane.folder is None:
        missing("needs the tests' own control plane, and RTVIRT_TEST_KUBECONFIG names another cluster")
    return control_plane


@pytest.fixture
def audit(simulator: Cluster) -> Audit:
    return Audit(simulator.audit_log, simulator.api)


@pytest.fixture
def crash(simulator: Cluster) -> t.Iterator[t.Callable[[str], None]]:
    """Kills a component as a crash would; all of them run again at the end."""
    yield simulator.kill
    simulator.script("start")


@pytest.fixture
def bed(control_plane: Cluster, namespace: str) -> Bed:
    """VMs of kubevirt_vm in a namespace of their own; requests are counted where the control plane is ours."""
    audit = None if control_plane.folder is None else Audit(control_plane.audit_log, control_plane.api)
    return Bed(control_plane, namespace, audit)


@pytest.fixture
def namespace(control_plane: Cluster) -> t.Iterator[str]:
    """A fresh one. Its VMs are gone at the end; the rest of it goes a little later."""
    name = f"rtvirt-test-{uuid.uuid4().hex[:8]}"
    meta = {"name": name, "labels": {"rtvirt.test/process": str(os.getpid())}}
    control_plane.api.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
    try:
        yield name
    finally:
        clear(control_plane, name)


def clear(cluster: Cluster, namespace: str) -> None:
    """The VMs first: the namespace's controller looks again only after seconds where something has a finalizer."""
    for resource in ("virtualmachines", "virtualmachineinstances"):
        path = f"{KUBEVIRT}/namespaces/{namespace}/{resource}"
        # With many of them the API server answers that its time is over, and has deleted some.
        until(f"{resource} are deleted", lambda path=path: cluster.api.delete(path), 240)
        until(f"no {resource} in {namespace}", lambda path=path: not cluster.api.get(path)["items"], 240)
    cluster.api.delete(f"/api/v1/namespaces/{namespace}")
