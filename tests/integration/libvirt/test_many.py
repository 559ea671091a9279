# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Twenty VMs in one task of a playbook."""

from __future__ import annotations

from ansible_collections.rtvirt.core.tests.integration.libvirt.bed import Bed
from ansible_collections.rtvirt.core.tests.integration.libvirt.task import play

# Neither the alphabet's order nor libvirt's.
ORDER = [7, 3, 19, 0, 12, 5, 16, 9, 1, 14, 11, 4, 18, 2, 15, 8, 6, 17, 10, 13]


def test_twenty_vms_in_one_task(bed: Bed) -> None:
    own = bed.bare(virt_type="qemu", memory="32Mi", cloud_init={"user_data": {"package_update": False}})
    del own["name"]
    entries = []
    for number in ORDER:
        entry = {"name": bed.name(f"{number:02}"), "disks": [bed.disk(f"disk-{number:02}")]}
        entries.append({**entry, "memory": "64Mi"} if number == 5 else entry)
    task = {"rtvirt.core.libvirt_vm": {**own, "vms": entries}}
    some = {"rtvirt.core.libvirt_vm": {**own, "vms": entries, "memory": "48Mi"}}
    alone = [{"name": entry["name"]} for entry in entries]
    absent = {"rtvirt.core.libvirt_vm": {"vms": alone, "state": "absent", "delete_volumes": True}}
    first, second, changed, gone = play(bed.folder, task, task, some, absent).results

    names = [entry["name"] for entry in entries]
    for result in (first, second, changed, gone):
        assert [vm["name"] for vm in result["vms"]] == names
        assert "result" not in result
    assert all(vm["changed"] for vm in first["vms"])
    assert not second["changed"]
    assert [vm["changed"] for vm in changed["vms"]] == [number != 5 for number in ORDER]
    assert all(vm["actions"][0] == "undefine" for vm in gone["vms"])
    assert bed.domains() == {}
    assert set(bed.files()) == {"play.yml", "results.json"}
