# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where libvirtd is: a URI that leads nowhere, one of another host, one that only reads."""

from __future__ import annotations

import pytest

from ansible_collections.rtvirt.core.tests.integration.libvirt.bed import Bed
from ansible_collections.rtvirt.core.tests.integration.libvirt.task import TaskError, run


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("qemu+unix:///system?socket=/run/nobody", "^connect to .*'/run/nobody'.*is libvirtd running there"),
        ("qemu+tcp://127.0.0.1:1/system", "^connect to .*Connection refused"),
        ("qemu+ssh://nobody@127.0.0.1:1/system", "^connect to .*Connection refused.*can the host be reached"),
        ("nonsense:///x", "^connect to nonsense:///x: no connection driver available for nonsense:///x"),
    ],
)
def test_a_uri_that_leads_nowhere(bed: Bed, uri: str, message: str) -> None:
    with pytest.raises(TaskError, match=message) as failure:
        run(uri=uri, **bed.bare())
    assert "exception" not in failure.value.result


@pytest.mark.parametrize("uri", ["qemu+tcp://127.0.0.1:1/system", "qemu+ssh://nobody@127.0.0.1:1/system"])
@pytest.mark.parametrize("option", ["disks", "cloud_init"])
def test_a_remote_uri_refuses_files_before_it_connects(bed: Bed, uri: str, option: str) -> None:
    values = {"disks": [bed.disk("root")], "cloud_init": {"hostname": "one"}}
    with pytest.raises(TaskError, match=rf"^{option}.*needs a file made on the hypervisor: run the module there"):
        run(uri=uri, **bed.bare(**{option: values[option]}))
    assert bed.files() == []
