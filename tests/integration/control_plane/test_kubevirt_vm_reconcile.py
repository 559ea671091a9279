# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is declared is set, what is no longer declared is removed, what others have set stays. No more is written."""

from __future__ import annotations

import datetime
import json
import typing as t

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.session import Session
from ansible_collections.rtvirt.core.tests.control_plane.api import Object
from ansible_collections.rtvirt.core.tests.integration.control_plane.bed import (
    LAST_APPLIED,
    Bed,
    changed_for_good,
    schedule,
    until,
)
from ansible_collections.rtvirt.core.tests.integration.control_plane.kubevirt import add_definition
from ansible_collections.rtvirt.core.tests.integration.control_plane.task import attempt, run, run_one

IMAGE = {"containerDisk": {"image": "registry.invalid/a"}}
ROOT = {"name": "root", "disk": {"bus": "virtio"}, "volume": {"dataVolume": {"name": "vm-root"}}}
CPU = "spec.template.spec.domain.cpu"


def disk(name: str, **more: t.Any) -> Object:
    return {"name": name, "disk": {"bus": "virtio"}, "volume": {"emptyDisk": {"capacity": "1Gi"}}, **more}


def names(items: t.Iterable[Object]) -> list[str]:
    return [item["name"] for item in items]


def disks(bed: Bed) -> tuple[list[str], list[str]]:
    return names(bed.pod()["domain"]["devices"].get("disks") or []), names(bed.pod().get("volumes") or [])


def template(name: str, size: str = "1Gi") -> Object:
    return {
        "metadata": {"name": name},
        "spec": {"source": {"blank": {}}, "storage": {"resources": {"requests": {"storage": size}}}},
    }


def volume_names(bed: Bed) -> list[str]:
    path = f"/apis/cdi.kubevirt.io/v1beta1/namespaces/{bed.namespace}/datavolumes"
    return sorted(one["metadata"]["name"] for one in bed.api.get(path)["items"])


def unchanged(bed: Bed, **options: t.Any) -> None:
    """One list and no more, in check mode as well. (virt-controller may still write the status meanwhile.)"""
    before = bed.vm()["metadata"]["generation"]
    # An instance is looked at only where virt-controller says that it lacks something.
    looks = {"get virtualmachineinstances": 1} if restart_said(bed) else {}
    for check in (True, False):
        with bed.requests() as requests:
            again = run_one(check=check, **bed.bare(**options))
        assert (again["changes"], again["actions"], again["changed"]) == ([], [], False)
        assert (again["conflicts"], again["restart_required"], again["diff"]) == ([], False, [])
        assert requests.counts() in ({"list virtualmachines": 1}, {"list virtualmachines": 1, **looks})
    assert bed.vm()["metadata"]["generation"] == before


def restart_said(bed: Bed) -> bool:
    return any(one["type"] == "RestartRequired" for one in bed.vm().get("status", {}).get("conditions") or [])


def update(bed: Bed, **options: t.Any) -> dict[str, t.Any]:
    """Predicted, and done by one patch."""
    # virt-controller annotates a new VM, which would be a conflict here, and another diff there.
    bed.versions()
    predicted = run_one(check=True, **bed.bare(**options))
    with bed.requests() as requests:
        done = run_one(**bed.bare(**options))
    assert done["actions"] == ["update"]
    for key in ("actions", "changes", "conflicts", "diff", "adopted", "changed"):
        assert done[key] == predicted[key], key
    assert requests.of("patch", "virtualmachines").writes == requests.writes
    assert len(requests.writes) == 1
    assert len(requests.of("list", "virtualmachines")) == 1
    return done


def changes(result: dict[str, t.Any]) -> dict[str, tuple[t.Any, t.Any]]:
    return {one["path"]: (one["before"], one["after"]) for one in result["changes"]}


# What is declared, and what is no longer


def test_a_field_is_changed_by_one_patch(bed: Bed) -> None:
    run_one(**bed.bare(cpu_cores=1))
    done = update(bed, cpu_cores=2)
    assert changes(done) == {f"{CPU}.cores": (1, 2)}
    assert bed.pod()["domain"]["cpu"]["cores"] == 2
    unchanged(bed, cpu_cores=2)


@pytest.mark.parametrize(
    ("dropped", "at"),
    [
        ({"cpu_cores": 2}, ("domain", "cpu", "cores")),
        ({"hostname": "h"}, ("hostname",)),
        ({"node_selector": {"a": "b"}}, ("nodeSelector",)),
        ({"tolerations": [{"key": "a", "operator": "Exists"}]}, ("tolerations",)),
        ({"cpu_features": [{"name": "vmx", "policy": "require"}]}, ("domain", "cpu", "features")),
        ({"autoattach_mem_balloon": False}, ("domain", "devices", "autoattachMemBalloon")),
        ({"watchdog": {"name": "dog", "i6300esb": {"action": "reset"}}}, ("domain", "devices", "watchdog")),
        ({"spec": {"domain": {"devices": {"rng": {}}}}}, ("domain", "devices", "rng")),
        ({"eviction_strategy": "None"}, ("evictionStrategy",)),
        ({"termination_grace_period_seconds": 0}, ("terminationGracePeriodSeconds",)),
        ({"disks": [{"name": "a", "disk": {}, "volume": IMAGE}]}, ("domain", "devices", "disks")),
        ({"cloud_init": {"hostname": "a"}}, ("volumes",)),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_is_no_longer_declared_is_removed(bed: Bed, dropped: dict[str, t.Any], at: tuple[str, ...]) -> None:
    def value() -> t.Any:
        found: t.Any = bed.pod()
        for step in at:
            found = (found or {}).get(step)
        return found

    run_one(**bed.bare())
    plain = value()
    assert run_one(**bed.bare(**dropped))["changed"]
    assert value() not in (None, plain)
    unchanged(bed, **dropped)
    done = update(bed)
    assert done["changes"]
    assert value() == plain
    unchanged(bed)


def test_labels_and_annotations_are_removed_from_vm_and_template(bed: Bed) -> None:
    run_one(**bed.bare(labels={"a": "1", "b": "2"}, annotations={"c/d": "3"}))
    bed.edit({"metadata": {"labels": {"theirs": "x"}, "annotations": {"theirs": "y"}}})
    update(bed, labels={"a": "1"})
    vm = bed.vm()
    assert vm["metadata"]["labels"] == {"a": "1", "theirs": "x"}
    assert vm["spec"]["template"]["metadata"]["labels"] == {"a": "1"}
    assert vm["metadata"]["annotations"]["theirs"] == "y"
    assert "c/d" not in vm["metadata"]["annotations"]
    assert "c/d" not in vm["spec"]["template"]["metadata"].get("annotations", {})
    unchanged(bed, labels={"a": "1"})


# Lists


def test_named_lists_merge_by_name(bed: Bed) -> None:
    run_one(**bed.bare(disks=[disk("a"), disk("b"), disk("c")]))
    done = update(bed, disks=[disk("c", serial="S1"), disk("d"), disk("a")])
    # The order of a guest's disks is not turned round for the order of the declaration.
    assert disks(bed) == (["a", "c", "d"], ["a", "c", "d"])
    assert bed.pod()["domain"]["devices"]["disks"][1]["serial"] == "S1"
    devices = "spec.template.spec.domain.devices.disks"
    assert {f"{devices}.b", f"{devices}.d", f"{devices}.c.serial"} <= {*changes(done)}
    unchanged(bed, disks=[disk("a"), disk("c", serial="S1"), disk("d")])


def test_a_key_of_an_item_is_removed_and_its_others_stay(bed: Bed) -> None:
    run_one(**bed.bare(disks=[disk("a", serial="S1", cache="none"), disk("b")]))
    listed = bed.pod()["domain"]["devices"]["disks"]
    listed[0]["bootOrder"] = 1
    bed.edit_pod({"domain": {"devices": {"disks": listed}}})
    update(bed, disks=[disk("a", cache="none"), disk("b")])
    assert bed.pod()["domain"]["devices"]["disks"][0] == {
        "name": "a", "disk": {"bus": "virtio"}, "cache": "none", "bootOrder": 1,
    }  # fmt: skip


def test_interfaces_and_networks_merge_by_name(bed: Bed) -> None:
    own = bed.bare()["interfaces"]
    other = {"name": "net1", "bridge": {}, "network": {"multus": {"networkName": "net1"}}}
    add_definition(bed, "net1")
    run_one(**bed.bare(interfaces=[*own, other]))
    update(bed, interfaces=[*own, {**other, "macAddress": "02:00:00:00:00:01"}])
    assert names(bed.pod()["networks"]) == ["default", "net1"]
    update(bed)
    assert names(bed.pod()["networks"]) == names(bed.pod()["domain"]["devices"]["interfaces"]) == ["default"]
    unchanged(bed)


def test_data_volume_templates_merge_by_name(bed: Bed) -> None:
    def root(name: str) -> Object:
        return {"name": name, "disk": {}, "volume": {"dataVolume": {"name": f"vm-{name}"}}}

    both: dict[str, t.Any] = {
        "data_volume_templates": [template("vm-a"), template("vm-b")],
        "disks": [root("a"), root("b")],
    }
    run_one(**bed.bare(**both))
    unchanged(bed, **both)
    one: dict[str, t.Any] = {"data_volume_templates": [template("vm-b")], "disks": [root("b")]}
    update(bed, **one)
    assert [item["metadata"]["name"] for item in bed.vm()["spec"]["dataVolumeTemplates"]] == ["vm-b"]
    unchanged(bed, **one)


# What others have set


def test_what_others_have_set_stays(bed: Bed) -> None:
    run_one(**bed.bare(cpu_cores=2, disks=[disk("a")]))
    listed, volumes = bed.pod()["domain"]["devices"]["disks"], bed.pod()["volumes"]
    theirs: Object = {
        "hostname": "theirs",
        "domain": {
            "cpu": {"model": "host-passthrough"},
            "devices": {"disks": [*listed, {"name": "theirs", "disk": {"bus": "scsi"}}], "rng": {}},
        },
        "volumes": [{"name": "theirs", "emptyDisk": {"capacity": "1Gi"}}, *volumes],
    }
    bed.edit_pod(theirs)
    unchanged(bed, cpu_cores=2, disks=[disk("a")])
    update(bed, cpu_cores=4, disks=[disk("b")])
    pod = bed.pod()
    assert (pod["hostname"], pod["domain"]["cpu"]["model"]) == ("theirs", "host-passthrough")
    assert pod["domain"]["devices"]["rng"] == {}
    assert {*disks(bed)[0]} == {*disks(bed)[1]} == {"b", "theirs"}
    update(bed)
    assert disks(bed) == (["theirs"], ["theirs"])
    assert bed.pod()["domain"]["cpu"]["model"] == "host-passthrough"


@pytest.mark.parametrize("state", ["stopped", "running"])
def test_a_volume_added_by_virtctl_stays(bed: Bed, state: str) -> None:
    run_one(**bed.bare(disks=[disk("a")], state=state, wait=True))
    path = f"/apis/cdi.kubevirt.io/v1beta1/namespaces/{bed.namespace}/datavolumes"
    kind = {"apiVersion": "cdi.kubevirt.io/v1beta1", "kind": "DataVolume"}
    bed.api.post(path, {**kind, **template("extra")})
    added = {"name": "extra", "disk": {"disk": {"bus": "scsi"}}, "volumeSource": {"dataVolume": {"name": "extra"}}}
    # virt-api answers 422 where virt-controller writes to the VM at the same moment.
    bed.versions()
    bed.act("addvolume", body=added)
    until("the volume is in the VM", lambda: "extra" in disks(bed)[1])
    unchanged(bed, disks=[disk("a")], state=state)
    update(bed, disks=[disk("a")], state=state, labels={"a": "b"})
    assert {*disks(bed)[0]} == {*disks(bed)[1]} == {"a", "extra"}


def test_defaults_of_the_server_are_no_difference(bed: Bed) -> None:
    """All that a webhook fills in beside what is declared: machine, firmware, architecture, serials, features."""
    options: dict[str, t.Any] = {
        "cpu_sockets": 1,
        "resources": {"requests": {"memory": "128Mi"}, "limits": {"cpu": "1500m"}},
        "clock": {"utc": {}, "timer": {"hpet": {"present": False}}},
        "firmware": {"bootloader": "efi", "secure_boot": True, "smm": True},
        "watchdog": {"name": "dog", "i6300esb": {}},
        "disks": [disk("a"), {"name": "cd", "cdrom": {}, "volume": IMAGE}, ROOT],
        "cloud_init": {"user_data": {"package_update": False}, "network_data": {"version": 2}},
        "data_volume_templates": [template("vm-root")],
    }
    run_one(**bed.bare(**options))
    unchanged(bed, **options)
    run_one(**bed.bare(**options, state="running", wait=True))
    unchanged(bed, **options, state="running")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"memory": "1024Mi"}, {"memory": "1Gi"}),
        ({"memory": "1Gi"}, {"memory": "1073741824"}),
        ({"memory": "2G"}, {"memory": "2000M"}),
        ({"cpu_limit": "1500m"}, {"cpu_limit": "1.5"}),
        ({"resources": {"requests": {"memory": "1024Mi"}}}, {"resources": {"requests": {"memory": "1Gi"}}}),
        ({"disks": [disk("a")]}, {"disks": [{**disk("a"), "volume": {"emptyDisk": {"capacity": "1024Mi"}}}]}),
        (
            {"data_volume_templates": [template("vm-root")], "disks": [ROOT]},
            {"definition": {"spec": {"dataVolumeTemplates": [template("vm-root", "1024Mi")]}}, "disks": [ROOT]},
        ),
        ({"cpu_cores": 2}, {"spec": {"domain": {"cpu": {"cores": 2}}}}),
        ({"disks": [disk("a"), disk("b")]}, {"disks": [disk("b"), disk("a")]}),
    ],
    ids=str,
)
def test_the_same_in_other_words_is_no_change(bed: Bed, first: dict[str, t.Any], second: dict[str, t.Any]) -> None:
    """virt-api writes quantities in words of its own, and so may the user."""
    run_one(**bed.bare(**first))
    unchanged(bed, **first)
    unchanged(bed, **second)
    unchanged(bed, **first)


# Conflicts


def test_what_the_server_leaves_out_is_no_difference(bed: Bed) -> None:
    """False and empty values of its plain fields are not in its answer, also where they are declared."""
    declared: dict[str, t.Any] = {
        "dedicated_cpus": False,
        "isolate_emulator_thread": False,
        "node_selector": {},
        "labels": {},
        "disks": [{**disk("a"), "disk": {"bus": "virtio", "readonly": False}}],
        "resources": {"limits": {}},
        "spec": {"hostname": ""},
    }
    run_one(**bed.bare(**declared))
    assert "dedicatedCpuPlacement" not in bed.pod()["domain"].get("cpu", {})
    unchanged(bed, **declared)


def test_an_empty_value_of_a_label_or_a_selector_is_one(bed: Bed) -> None:
    run_one(**bed.bare(node_selector={"a": "b"}, labels={"a": "b"}))
    more = {"node_selector": {"a": "b", "node-role.kubernetes.io/worker": ""}, "labels": {"a": "b", "empty": ""}}
    assert run_one(**bed.bare(**more))["changed"] is True
    assert bed.pod()["nodeSelector"]["node-role.kubernetes.io/worker"] == ""
    unchanged(bed, **more)


def test_a_field_that_another_has_changed_is_named_and_brought_back(bed: Bed) -> None:
    run_one(**bed.bare(cpu_cores=2))
    bed.edit_pod({"domain": {"cpu": {"cores": 8}}}, manager="somebody")
    done = update(bed, cpu_cores=2)
    (conflict,) = done["conflicts"]
    moment = datetime.datetime.fromisoformat(conflict.pop("time").replace("Z", "+00:00"))
    assert abs((datetime.datetime.now(datetime.timezone.utc) - moment).total_seconds()) < 60
    assert conflict == {"path": f"{CPU}.cores", "found": 8, "manager": "somebody"}
    assert bed.pod()["domain"]["cpu"]["cores"] == 2
    unchanged(bed, cpu_cores=2)


def test_a_changed_declaration_is_no_conflict(bed: Bed) -> None:
    run_one(**bed.bare(cpu_cores=2))
    bed.edit_pod({"hostname": "theirs"}, manager="somebody")
    assert update(bed, cpu_cores=4)["conflicts"] == []


def test_another_has_set_what_we_now_declare(bed: Bed) -> None:
    run_one(**bed.bare(cpu_cores=2))
    bed.edit_pod({"domain": {"cpu": {"cores": 4}}}, manager="somebody")
    done = run_one(**bed.bare(cpu_cores=4))
    assert (done["changes"], done["conflicts"]) == ([], [])
    assert bed.pod()["domain"]["cpu"]["cores"] == 4
    # It is ours from now on: dropped from the declaration, it is removed.
    update(bed)
    assert "cores" not in bed.pod()["domain"].get("cpu", {})


def test_an_item_of_ours_that_another_has_removed_comes_back(bed: Bed) -> None:
    run_one(**bed.bare(disks=[disk("a"), disk("b")]))
    devices, volumes = bed.pod()["domain"]["devices"]["disks"], bed.pod()["volumes"]
    bed.edit_pod({"domain": {"devices": {"disks": devices[:1]}}, "volumes": volumes[:1]}, manager="somebody")
    done = update(bed, disks=[disk("a"), disk("b")])
    assert disks(bed) == (["a", "b"], ["a", "b"])
    assert {one["path"].rpartition(".")[2] for one in done["conflicts"]} == {"b"}
    assert {one["manager"] for one in done["conflicts"]} == {"somebody"}


def test_a_label_of_ours_that_another_has_changed(bed: Bed) -> None:
    run_one(**bed.bare(labels={"app.example/name": "db"}))
    bed.edit({"metadata": {"labels": {"app.example/name": "web"}}}, manager="somebody")
    done = update(bed, labels={"app.example/name": "db"})
    assert [(one["found"], one["manager"]) for one in done["conflicts"]] == [("web", "somebody")]
    assert bed.vm()["metadata"]["labels"] == {"app.example/name": "db"}


class Between:
    """A second writer, who is there each time between the module's read and its write."""

    def __init__(self, patch: pytest.MonkeyPatch, act: t.Callable[[], t.Any], times: int = 1) -> None:
        self.seen = 0
        for name in ("patch", "create"):
            real = getattr(Session, name)

            def write(
                session: Session, *arguments: t.Any, real: t.Callable[..., t.Any] = real, **more: t.Any
            ) -> dict[str, t.Any]:
                if not session.dry_run and self.seen < times:
                    self.seen += 1
                    act()
                return t.cast("dict[str, t.Any]", real(session, *arguments, **more))

            patch.setattr(Session, name, write)


def test_a_second_writer_is_not_overwritten(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    run_one(**bed.bare(cpu_cores=2, disks=[disk("a")]))
    bed.versions()
    listed, volumes = bed.pod()["domain"]["devices"]["disks"], bed.pod()["volumes"]
    theirs: Object = {
        "hostname": "theirs",
        "domain": {"devices": {"disks": [*listed, {"name": "theirs", "disk": {}}]}},
        "volumes": [*volumes, {"name": "theirs", "emptyDisk": {"capacity": "1Gi"}}],
    }
    between = Between(monkeypatch, lambda: bed.edit_pod(theirs))
    with bed.requests() as requests:
        done = run_one(**bed.bare(cpu_cores=4, disks=[disk("a"), disk("b")]))
    assert between.seen == 1
    assert done["actions"] == ["update"]
    codes = [one.code for one in requests.of("patch", "virtualmachines")]
    assert (codes[-1], {*codes[:-1]}) == (200, {409})
    assert bed.pod()["hostname"] == "theirs"
    assert disks(bed) == (["a", "theirs", "b"], ["a", "theirs", "b"])
    assert bed.pod()["domain"]["cpu"]["cores"] == 4


def test_a_second_writer_of_the_same_field(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    run_one(**bed.bare(cpu_cores=2))
    Between(monkeypatch, lambda: bed.edit_pod({"domain": {"cpu": {"cores": 8}}}, manager="somebody"))
    done = run_one(**bed.bare(cpu_cores=4))
    assert changes(done) == {f"{CPU}.cores": (8, 4)}
    assert [(one["found"], one["manager"]) for one in done["conflicts"]] == [(8, "somebody")]
    assert bed.pod()["domain"]["cpu"]["cores"] == 4


def test_a_second_writer_who_does_the_same(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two controllers run one playbook."""
    run_one(**bed.bare(cpu_cores=2))
    options = bed.bare(cpu_cores=4)

    def other() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Session, "patch", real)
            run_one(**options)

    real = Session.patch
    between = Between(monkeypatch, other)
    done = run_one(**options)
    assert between.seen == 1
    assert (done["changed"], done["actions"]) == (False, [])
    assert bed.pod()["domain"]["cpu"]["cores"] == 4


def test_a_writer_without_end_is_named(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    run_one(**bed.bare(cpu_cores=2))
    turns = iter(range(1000))
    Between(monkeypatch, lambda: bed.edit({"metadata": {"labels": {"turn": str(next(turns))}}}), times=1000)
    with pytest.raises(Exception, match=r"vm: .*(modified|changed)"):
        run_one(**bed.bare(cpu_cores=4))
    assert bed.pod()["domain"]["cpu"]["cores"] == 2


def test_another_creates_the_vm_meanwhile(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    between = Between(monkeypatch, lambda: bed.create(bed.manifest()))
    done = run_one(**bed.bare(cpu_cores=2))
    assert between.seen == 1
    assert (done["actions"], done["adopted"]) == (["update"], True)
    assert bed.pod()["domain"]["cpu"]["cores"] == 2


def test_another_deletes_the_vm_meanwhile(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is declared, so it is made; or the task says what has happened. Never "updated"."""
    run_one(**bed.bare(cpu_cores=2))

    def delete() -> None:
        bed.api.delete(f"{bed.folder}/virtualmachines/vm")
        until("it is gone", lambda: bed.find() is None)

    between = Between(monkeypatch, delete)
    done, text = attempt(run_one, **bed.bare(cpu_cores=4))
    if text:
        assert "not found" in text or "deleted" in text
        assert bed.find() is None
    else:
        assert done["actions"] == ["create"]
        assert bed.pod()["domain"]["cpu"]["cores"] == 4
    assert between.seen == 1


# Adoption


@pytest.mark.parametrize("strategy", ["Halted", "Always"])
def test_a_vm_of_others_that_fits_is_not_written_to(bed: Bed, strategy: str) -> None:
    bed.create(bed.manifest(strategy=strategy))
    bed.comes_to("stopped" if strategy == "Halted" else "running")
    before = bed.versions()
    with bed.requests() as requests:
        done = run_one(**bed.bare())
    assert (done["adopted"], done["changed"], done["actions"]) == (True, False, [])
    assert requests.counts() == {"list virtualmachines": 1}
    assert bed.versions() == before
    assert LAST_APPLIED not in bed.vm()["metadata"].get("annotations", {})


def test_an_adopted_vm_keeps_what_was_not_declared(bed: Bed) -> None:
    bed.create(bed.manifest(hostname="theirs"))
    done = update(bed, cpu_cores=2)
    assert done["adopted"] is True
    assert done["conflicts"] == []
    assert bed.pod()["hostname"] == "theirs"
    assert update(bed)["adopted"] is False
    assert bed.pod()["hostname"] == "theirs"
    assert "cores" not in bed.pod()["domain"].get("cpu", {})


@pytest.mark.parametrize("record", ["", "not json", "[]", "null", '{"spec": 5}', '{"metadata": null}', "{}"])
def test_a_record_that_cannot_be_read_counts_as_none(bed: Bed, record: str) -> None:
    """Everybody may write annotations."""
    run_one(**bed.bare(cpu_cores=2))
    bed.edit({"metadata": {"annotations": {LAST_APPLIED: record}}})
    run_one(**bed.bare(cpu_cores=2))
    run_one(**bed.bare(cpu_cores=4))
    assert bed.pod()["domain"]["cpu"]["cores"] == 4
    unchanged(bed, cpu_cores=4)


def test_the_record_holds_no_secret(bed: Bed) -> None:
    run_one(**bed.bare(cloud_init={"user_data": {"password": "hunter2"}}))
    record = bed.vm()["metadata"]["annotations"][LAST_APPLIED]
    assert "hunter2" not in record
    assert "sha256:" in record
    assert json.loads(record)["spec"]


# Power and restarts


@pytest.mark.parametrize("made_by", ["others", "us"])
def test_a_label_on_a_halted_vm_does_not_start_it(bed: Bed, made_by: str) -> None:
    """K6 of kubevirt.core: each run sent running: true beside whatever it changed."""
    if made_by == "others":
        bed.create(bed.manifest())
    else:
        run_one(**bed.bare())
    bed.comes_to("stopped")
    update(bed, labels={"app": "db"})
    bed.versions()
    assert bed.power() == "stopped"
    assert bed.vm()["spec"]["runStrategy"] == "Halted"


def test_a_running_vm_takes_a_label_without_a_restart(bed: Bed) -> None:
    run_one(**bed.bare(state="running", wait=True))
    done = update(bed, state="running", labels={"app": "db"})
    assert done["restart_required"] is False


def instance(bed: Bed) -> str:
    vmi = bed.vmi()
    assert vmi is not None
    return str(vmi["metadata"]["uid"])


def test_a_restart_is_required_until_somebody_does_it(bed: Bed) -> None:
    run_one(**bed.bare(cpu_cores=1, state="running", wait=True))
    before = instance(bed)
    predicted = run_one(check=True, **bed.bare(cpu_cores=2))
    done = run_one(**bed.bare(cpu_cores=2))
    assert (predicted["restart_required"], predicted["actions"]) == (True, ["update"])
    assert (done["restart_required"], done["actions"]) == (True, ["update"])
    assert instance(bed) == before
    again = run_one(**bed.bare(cpu_cores=2))
    assert (again["changed"], again["restart_required"]) == (False, True)
    predicted = run_one(check=True, **bed.bare(cpu_cores=2, allow_restart=True))
    assert (predicted["changed"], predicted["actions"]) == (True, ["restart"])
    assert instance(bed) == before
    done = run_one(**bed.bare(cpu_cores=2, allow_restart=True, wait=True))
    assert (done["changed"], done["actions"], done["restart_required"]) == (True, ["restart"], False)
    assert instance(bed) != before
    vmi = bed.vmi()
    assert vmi is not None
    assert vmi["spec"]["domain"]["cpu"]["cores"] == 2
    unchanged(bed, cpu_cores=2, allow_restart=True)


def test_allow_restart_restarts_for_a_change_at_once(bed: Bed) -> None:
    run_one(**bed.bare(cpu_cores=1, state="running", wait=True))
    before = instance(bed)
    options = bed.bare(cpu_cores=2, allow_restart=True, wait=True)
    predicted = run_one(check=True, **options)
    done = run_one(**options)
    assert done["actions"] == predicted["actions"] == ["update", "restart"]
    assert done["restart_required"] is predicted["restart_required"] is False
    assert instance(bed) != before
    unchanged(bed, cpu_cores=2, allow_restart=True)


def test_a_restart_that_would_not_help_is_not_done(bed: Bed) -> None:
    """KubeVirt 1.8 says RestartRequired of each VM with a CPU without sockets, as soon as it runs."""
    options: dict[str, t.Any] = {"cpu_model": "host-model", "state": "running", "allow_restart": True}
    run_one(**bed.bare(**options, wait=True))
    bed.versions()
    unchanged(bed, **options)


def test_allow_restart_starts_no_vm_that_is_stopped(bed: Bed) -> None:
    run_one(**bed.bare(cpu_cores=1))
    done = run_one(**bed.bare(cpu_cores=2, allow_restart=True, wait=True))
    assert (done["actions"], done["restart_required"]) == (["update"], False)
    bed.versions()
    assert bed.power() == "stopped"


def test_a_paused_vm_that_is_restarted_for_a_change(bed: Bed) -> None:
    """present does not say what it is to be; one that was paused is not left running by it."""
    slow: dict[str, t.Any] = {"annotations": schedule(stop_after="2")}
    run_one(**bed.bare(cpu_cores=1, state="paused", wait=True, **slow))
    done = run_one(**bed.bare(cpu_cores=2, **slow))
    assert (done["actions"], done["restart_required"]) == (["update"], True)
    assert bed.power() == "paused"
    before = instance(bed)
    # KubeVirt takes no start until the guest has stopped.
    options = bed.bare(cpu_cores=2, state="paused", allow_restart=True, wait=True, **slow)
    assert run_one(**options)["actions"] == ["stop", "start paused"]
    bed.comes_to("paused")
    assert instance(bed) != before
    unchanged(bed, cpu_cores=2, state="paused", **slow)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"cpu_sockets": 1}, {"cpu_sockets": 2}),
        ({"memory": "2Gi"}, {"memory": "4Gi"}),
        ({"node_selector": {}}, {"node_selector": {"kubernetes.io/os": "linux"}}),
        ({}, {"tolerations": [{"key": "a", "operator": "Exists"}]}),
    ],
    ids=str,
)
def test_what_a_running_vm_takes_needs_no_restart(bed: Bed, first: dict[str, t.Any], second: dict[str, t.Any]) -> None:
    """Predicted as it turns out to be, and with allow_restart nothing is restarted for it."""
    run_one(**bed.bare(**first, state="running", wait=True))
    before = instance(bed)
    options = bed.bare(**{**first, **second}, allow_restart=True)
    predicted = run_one(check=True, **options)
    done = run_one(**options)
    assert done["actions"] == predicted["actions"] == ["update"]
    assert done["restart_required"] is predicted["restart_required"] is False
    bed.versions()
    assert instance(bed) == before
    assert run_one(**options)["changed"] is False


def test_sockets_beyond_those_that_can_be_plugged_need_a_restart(bed: Bed) -> None:
    """virt-controller finds that out; it is in the result of the run that made the change."""
    run_one(**bed.bare(cpu_sockets=1, state="running", wait=True))
    done = run_one(**bed.bare(cpu_sockets=16))
    assert (done["actions"], done["restart_required"]) == (["update"], True)


# Volumes


def with_volumes(bed: Bed, **options: t.Any) -> dict[str, t.Any]:
    disks = [{"name": name, "disk": {}, "volume": {"dataVolume": {"name": f"vm-{name}"}}} for name in ("a", "b")]
    return bed.bare(data_volume_templates=[template("vm-a"), template("vm-b")], disks=disks, **options)


@pytest.mark.parametrize("state", ["stopped", "running"])
def test_volumes_go_with_the_vm(bed: Bed, state: str) -> None:
    run_one(**with_volumes(bed, state=state, wait=True))
    until("there are volumes", lambda: volume_names(bed) == ["vm-a", "vm-b"])
    done = run_one(**bed.bare(state="absent", wait=True))
    assert done["actions"] == ["delete"]
    until("the volumes are gone", lambda: volume_names(bed) == [])


@pytest.mark.parametrize("state", ["stopped", "running"])
@pytest.mark.parametrize("turn", range(3))
def test_volumes_are_kept(bed: Bed, state: str, turn: int) -> None:
    """virt-controller takes volumes without an owner for its own again, as long as the VM is there."""
    run_one(**with_volumes(bed, state=state, wait=True))
    until("there are volumes", lambda: volume_names(bed) == ["vm-a", "vm-b"])
    options = bed.bare(state="absent", delete_volumes=False, wait=True)
    before = bed.versions()
    predicted = run_one(check=True, **options)
    assert bed.versions() == before
    done = run_one(**options)
    assert done["actions"] == predicted["actions"]
    assert "delete" in done["actions"]
    assert bed.power() == "absent"
    # The garbage collector takes its time.
    with pytest.raises(AssertionError, match="waited"):
        until("a volume is gone", lambda: volume_names(bed) != ["vm-a", "vm-b"], patience=4)
    for name in ("vm-a", "vm-b"):
        path = f"/apis/cdi.kubevirt.io/v1beta1/namespaces/{bed.namespace}/datavolumes/{name}"
        owners = bed.api.get(path)["metadata"].get("ownerReferences") or []
        assert [owner for owner in owners if owner["kind"] == "VirtualMachine"] == []
    assert bed.vmi() is None


def test_volumes_of_a_vm_that_somebody_else_deletes_are_kept(bed: Bed) -> None:
    """Or that a run of ours has begun to delete."""
    run_one(**with_volumes(bed, state="stopped", wait=True))
    until("there are volumes", lambda: volume_names(bed) == ["vm-a", "vm-b"])
    path = f"{bed.folder}/virtualmachines/vm"
    bed.api.patch(path, {"metadata": {"finalizers": [*bed.vm()["metadata"].get("finalizers", []), "rtvirt.test/hold"]}})
    bed.api.delete(path)
    options = bed.bare(state="absent", delete_volumes=False)
    predicted = run_one(check=True, **options)
    done = run_one(**options)
    assert done["actions"] == predicted["actions"] == ["keep volumes"]
    assert done["volumes_kept"] == predicted["volumes_kept"] == ["vm-a", "vm-b"]
    again = run_one(**options)
    assert (again["changed"], again["volumes_kept"]) == (False, [])
    bed.api.patch(path, {"metadata": {"finalizers": None}})
    until("it is gone", lambda: bed.find() is None)
    with pytest.raises(AssertionError, match="waited"):
        until("a volume is gone", lambda: volume_names(bed) != ["vm-a", "vm-b"], patience=4)


@pytest.mark.parametrize(("strategy", "state"), [("Manual", "running"), ("Once", "present")])
def test_volumes_of_a_vm_that_shut_itself_down_are_kept(bed: Bed, strategy: str, state: str) -> None:
    """Its instance stays; that of a VM with Once is followed by another where somebody deletes it."""
    ends = schedule(outcome="succeeded")
    run_one(**with_volumes(bed, state=state, run_strategy=strategy, annotations=ends))
    until("it is over", lambda: (bed.vmi() or {}).get("status", {}).get("phase") == "Succeeded")
    until("KubeVirt knows", lambda: bed.printable() == "Stopped")
    options = bed.bare(state="absent", delete_volumes=False, wait=True)
    predicted = run_one(check=True, **options)
    done = run_one(**options)
    assert done["actions"] == predicted["actions"]
    assert (bed.find(), bed.vmi()) == (None, None)
    assert volume_names(bed) == done["volumes_kept"] == ["vm-a", "vm-b"]


def test_a_vm_is_deleted_as_told(bed: Bed) -> None:
    run_one(**bed.bare(state="running", wait=True))
    uid = bed.vm()["metadata"]["uid"]
    with pytest.raises(Exception, match=r"uid|UID"):
        run_one(**bed.bare(state="absent", delete_options={"preconditions": {"uid": "0"}}))
    assert bed.vm()["metadata"].get("deletionTimestamp") is None
    orphan = {"propagationPolicy": "Orphan", "preconditions": {"uid": uid}}
    run_one(**bed.bare(state="absent", delete_options=orphan, wait=True))
    assert bed.find() is None
    assert bed.condition("Ready") == "True"


# The result and the diff


def test_the_diff_shows_what_is_declared_and_no_more(bed: Bed) -> None:
    run_one(**bed.bare(cpu_cores=1))
    done = update(bed, cpu_cores=2)
    (diff,) = done["diff"]
    assert diff["before"]["spec"]["template"]["spec"]["domain"]["cpu"]["cores"] == 1
    assert diff["after"]["spec"]["template"]["spec"]["domain"]["cpu"]["cores"] == 2
    assert LAST_APPLIED not in json.dumps(diff)
    del diff["before"]["spec"]["template"]["spec"]["domain"]["cpu"]["cores"]
    del diff["after"]["spec"]["template"]["spec"]["domain"]["cpu"]["cores"]
    assert diff["before"] == diff["after"]


def test_the_result_has_the_new_vm(bed: Bed) -> None:
    run_one(**bed.bare(cpu_cores=1))
    result = run(**bed.bare(cpu_cores=2))["result"]
    assert result["spec"]["template"]["spec"]["domain"]["cpu"]["cores"] == 2
    vm = bed.vm()
    assert result["metadata"]["uid"] == vm["metadata"]["uid"]
    assert result["metadata"]["generation"] == vm["metadata"]["generation"]


def test_many_changes_are_one_patch(bed: Bed) -> None:
    run_one(**bed.bare(cpu_cores=1, labels={"a": "1"}, disks=[disk("a")], annotations=schedule(run_after="0")))
    bed.versions()
    with bed.requests() as requests:
        run_one(**bed.bare(cpu_cores=2, labels={"b": "1"}, disks=[disk("b")], hostname="h", run_strategy="Manual"))
    assert len(changed_for_good(requests)) == 1
    assert requests.counts() == {"list virtualmachines": 1, "patch virtualmachines": 1}
