# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Odd but plausible input: it works or is refused by its path, the same in check mode; never a traceback."""

from __future__ import annotations

import resource
import signal
import typing as t

import pytest

from ansible_collections.rtvirt.core.tests.integration.libvirt.bed import Bed
from ansible_collections.rtvirt.core.tests.integration.libvirt.recorder import writes
from ansible_collections.rtvirt.core.tests.integration.libvirt.task import TaskError, run_one

#: Where YAML says nothing after a colon: it declares nothing.
NULLS: dict[str, dict[str, t.Any]] = {
    "domain": {"domain": None},
    "cpu": {"domain": {"cpu": None}},
    "cpu fields": {"domain": {"cpu": {"model": None, "cores": None, "features": None, "realtime": None}}},
    "memory": {"domain": {"memory": None}},
    "machine": {"domain": {"machine": None}},
    "firmware": {"domain": {"firmware": None}},
    "bootloader": {"domain": {"firmware": {"bootloader": None}}},
    "features": {"domain": {"features": None}},
    "hyperv": {"domain": {"features": {"hyperv": {"relaxed": None}, "acpi": None, "kvm": None}}},
    "clock": {"domain": {"clock": None}},
    "timer": {"domain": {"clock": {"timer": {"hpet": None}}}},
    "devices": {"domain": {"devices": None}},
    "device fields": {"domain": {"devices": {"disks": None, "interfaces": None, "watchdog": None, "rng": None}}},
    "ioThreads": {"domain": {"ioThreads": None}},
    "lists": {"volumes": None, "networks": None},
}


def refusal(**options: t.Any) -> str | None:
    """What a run is refused with, None for one that is not."""
    try:
        run_one(**options)
    except TaskError as error:
        return error.msg
    return None


def test_a_vm_goes_whatever_was_declared_of_it(bed: Bed) -> None:
    run_one(**bed.bare())
    limits = {"limits": {"cpu": "abc"}}
    assert run_one(**bed.bare(dedicated_cpus=True, resources=limits, state="absent"))["actions"] == ["undefine"]


@pytest.mark.parametrize("null", NULLS)
@pytest.mark.parametrize("way", ["spec", "definition"])
def test_nothing_is_nothing(bed: Bed, null: str, way: str) -> None:
    spec = NULLS[null]
    given: dict[str, t.Any] = (
        {"spec": spec} if way == "spec" else {"definition": {"spec": {"template": {"spec": spec}}}}
    )
    run_one(**bed.bare())
    if (refused := refusal(**bed.bare(**given))) is not None:
        assert refused.startswith((way, "memory"))
        return
    with writes() as calls:
        assert run_one(**bed.bare(**given))["changed"] is False
    assert calls == []
    assert run_one(name=bed.name(), state="absent")["actions"] == ["undefine"]


#: Refused, with what the error must name.
REFUSED: dict[str, tuple[dict[str, t.Any], str]] = {
    "input without a name": ({"spec": {"domain": {"devices": {"inputs": [{"type": "tablet"}]}}}}, r"inputs\[0\]"),
    "feature named by a list": ({"spec": {"domain": {"cpu": {"features": [{"name": []}]}}}}, "features"),
    "numa strategy with a field": (
        {"spec": {"domain": {"cpu": {"numa": {"guestMappingPassthrough": {"x": 1}}}}}},
        "guestMappingPassthrough",
    ),
    "lun in a file": ({"disks": [{"name": "a", "lun": {"bus": "scsi"}}]}, r"disks\[0\]"),
    "a thousand million cores": ({"cpu_cores": 10**9}, "cpu_cores"),
    "two long names": ({"namespace": "n" * 190, "name": "x" * 190}, "name"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_before_anything_is_made(bed: Bed, case: str) -> None:
    options, where = REFUSED[case]
    given = bed.bare(**options)
    if case == "lun in a file":
        given["disks"][0]["volume"] = bed.disk("a")["volume"]
    with writes() as calls, pytest.raises(TaskError, match=where) as caught:
        run_one(**given)
    assert "schema" not in caught.value.msg
    assert (calls, bed.files()) == ([], [])
    with pytest.raises(TaskError, match=where):
        run_one(check=True, **given)


@pytest.mark.parametrize(
    "options",
    [
        {"cpu_cores": 10**9, "realtime": True, "realtime_mask": "^0", "numa_passthrough": True, "hugepages": "2Mi"},
        {
            "cpu_cores": 1,
            "io_threads_policy": "supplementalPool",
            "spec": {"domain": {"ioThreads": {"supplementalPoolThreadCount": 10**9}}},
        },
    ],
    ids=["mask of all but one", "I/O threads"],
)
def test_huge_numbers_are_refused_at_once(bed: Bed, options: dict[str, t.Any]) -> None:
    """Not after filling the hypervisor's memory."""

    def too_long(*_arguments: t.Any) -> None:
        raise AssertionError("took longer than 5 s")

    limits = resource.getrlimit(resource.RLIMIT_AS)
    handler = signal.signal(signal.SIGALRM, too_long)
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, limits[1]))
    signal.alarm(5)
    try:
        with pytest.raises(TaskError):
            run_one(check=True, **bed.bare(dedicated_cpus=True, **options))
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, handler)
        resource.setrlimit(resource.RLIMIT_AS, limits)
