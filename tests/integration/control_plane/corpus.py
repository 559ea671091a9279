# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declarations for kubevirt_vm, drawn by hypothesis: each right in every part, over all that the options can say."""

from __future__ import annotations

import copy
import typing as t
from pathlib import Path

import yaml
from hypothesis import strategies as st

Options = dict[str, t.Any]
Draw = t.Callable[[st.SearchStrategy[t.Any]], t.Any]

VALUES: dict[str, t.Any] = yaml.safe_load(Path(__file__).with_name("corpus.yml").read_text())
BUSES = ["virtio", "scsi", "sata", "usb"]
STRATEGIES = ["Always", "Halted", "Manual", "Once", "RerunOnFailure"]
POWER: list[Options] = [{}, {}, {"running": False}, *({"run_strategy": strategy} for strategy in STRATEGIES)]


def some(choices: t.Mapping[str, t.Sequence[t.Any]]) -> st.SearchStrategy[Options]:
    """Any of the keys, each with one of its values."""
    return st.fixed_dictionaries({}, optional={key: st.sampled_from(values) for key, values in choices.items()})


# Made once: making a strategy costs more than drawing from it.
PARTS = {part: some(choices) for part, choices in VALUES.items() if isinstance(choices, dict)}
VOLUMES = st.sampled_from(VALUES["volumes"])
CLAIMS = st.sampled_from(VALUES["volumes"][:3])
COUNTS = some({"cpu_cores": [1, 2, 4], "cpu_sockets": [1, 2], "cpu_threads": [1, 2]})
DEDICATED = some({"cpu_threads": [1, 2], "isolate_emulator_thread": [True]})
MASKS = some({"realtime_mask": ["0", "0-3", "1-3,^2", "0,1,3"]})
MEMORY = st.sampled_from(["64Mi", "1Gi", "2G", "4096Mi", "1536Mi", "1e9", "2.5Gi"])
TARGETS = {
    "disk": some({"bus": BUSES}),
    "cdrom": some({"bus": BUSES[1:], "tray": ["open", "closed"], "readonly": [True, False]}),
    "lun": st.fixed_dictionaries({"bus": st.sampled_from(BUSES[:2])}, optional={"readonly": st.booleans()}),
}
UNCACHED = some({"io": ["native", "threads"], "shareable": [True]})
SIZES = [{"custom": {"logical": 4096, "physical": 4096}}, {"matchVolume": {}}]
VIRTIO = some({"dedicatedIOThread": [True, False], "blockSize": SIZES})


ADDRESSES = some({"acpiIndex": [7]})
PORTS = some({"ports": [[{"port": 22}], [{"name": "web", "port": 443, "protocol": "TCP"}, {"port": 53}]]})
BINDINGS = st.sampled_from([{"bridge": {}}, {"bridge": {}}, {"sriov": {}}, {"binding": {"name": "vhostuser"}}])
MULTUS = st.sampled_from([{"multus": {"networkName": name}} for name in ("lan", "dpdk/lan")])
LINKS = some({"state": ["up", "down"]})
CLOUD_INIT = some({"cloud_init": VALUES["cloud_init"]})
POD_INTERFACE = some({"autoattach_pod_interface": [True, False]})
TEMPLATES = st.sampled_from(VALUES["data_volume_templates"])


@st.composite
def processors(draw: Draw) -> Options:
    """CPUs and memory, which real-time, NUMA and huge pages tie together."""
    kind = draw(st.sampled_from(["plain", "resources", "dedicated", "numa", "realtime"]))
    models = draw(PARTS["cpu"])
    memory = draw(MEMORY)
    if kind == "plain":
        return {"memory": memory, **draw(COUNTS), **models}
    if kind == "resources":
        values = {"cpu": draw(st.sampled_from([1, "2", "500m", "1500m", 0.5])), "memory": memory}
        return {"resources": dict.fromkeys(draw(st.sampled_from([["requests"], ["requests", "limits"]])), values)}
    options = {"cpu_cores": 4, "dedicated_cpus": True, "memory": "2Gi", **models, **draw(DEDICATED)}
    if kind != "dedicated":
        options |= {"numa_passthrough": True, "hugepages": draw(st.sampled_from(["2Mi", "1Gi"]))}
    if kind == "realtime":
        options |= {"realtime": True, **draw(MASKS)}
    return options


@st.composite
def disk(draw: Draw, index: int) -> Options:
    kind = draw(st.sampled_from(["disk", "disk", "disk", "cdrom", "lun", "none"]))
    options: Options = {"name": f"disk-{index}", **draw(PARTS["disk"])}
    if kind in TARGETS:
        options[kind] = draw(TARGETS[kind])
    if options.get("cache") == "none":
        options |= draw(UNCACHED)
    if options.get("disk") == {"bus": "virtio"}:
        options |= draw(VIRTIO)
    if draw(st.booleans()):
        options["bootOrder"] = index + 1
    return {**options, "volume": draw(CLAIMS if kind == "lun" else VOLUMES)}


DISKS = [disk(index) for index in range(3)]


@st.composite
def disks(draw: Draw) -> Options:
    found = [draw(one) for one in DISKS[: draw(st.integers(0, 3))]]
    # A machine has one service account.
    for item in [item for item in found if "serviceAccount" in item["volume"]][1:]:
        item["volume"] = VALUES["volumes"][0]
    return {"disks": found, **draw(CLOUD_INIT)}


@st.composite
def interface(draw: Draw, index: int) -> Options:
    options: Options = {"name": f"net-{index}", **draw(PARTS["interface"]), **draw(ADDRESSES)}
    if draw(st.booleans()):
        options |= {"macAddress": f"02:00:00:00:00:1{index}", "bootOrder": index + 10}
    if index == 0 and draw(st.booleans()):
        options |= {draw(st.sampled_from(["masquerade", "bridge"])): {}, "network": {"pod": {}}, **draw(PORTS)}
    else:
        options |= {"network": draw(MULTUS), **draw(BINDINGS)}
    return options | ({} if "sriov" in options else draw(LINKS))


INTERFACES = [interface(index) for index in range(3)]


@st.composite
def interfaces(draw: Draw) -> Options:
    found = [draw(one) for one in INTERFACES[: draw(st.integers(0, 3))]]
    return {"interfaces": found, **draw(POD_INTERFACE)}


MAIN_PARTS = (processors(), disks(), interfaces(), st.sampled_from(POWER), PARTS["devices"], PARTS["placing"])


@st.composite
def valid(draw: Draw) -> Options:
    """A declaration that is right in every part."""
    options: Options = {"name": "vm1"}
    for part in MAIN_PARTS:
        options |= draw(part)
    if draw(st.booleans()):
        options["spec"] = dict(draw(PARTS["spec"]))
    if draw(st.booleans()):
        domain = {**draw(PARTS["domain"]), "devices": draw(PARTS["spec_devices"])}
        # The option has a say in the same features.
        domain.pop("features" if "firmware" in options else "", None)
        options.setdefault("spec", {})["domain"] = domain
    if any("dataVolume" in item["volume"] for item in options["disks"]) and draw(st.booleans()):
        options["definition"] = {"spec": {"dataVolumeTemplates": [draw(TEMPLATES)]}}
    # The values are the same objects in every declaration, and mistakes are made in place.
    return copy.deepcopy({key: value for key, value in options.items() if value != []})
