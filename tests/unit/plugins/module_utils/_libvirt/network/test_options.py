# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a network, where the role and the documents give them."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.network.checks import check_kind, check_options
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.network.options import ARGUMENTS, is_given, tags_of

CHECKOUT = Path(__file__).resolve().parents[6]
ROLE = CHECKOUT / "roles" / "libvirt_network"
MODULE = "rtvirt.core.libvirt_network"


def declared_in(page: str) -> list[dict[str, t.Any]]:
    """The networks in the examples of a document."""
    found = []
    for block in re.findall(r"```yaml\n(.*?)```", (CHECKOUT / page).read_text(), re.DOTALL):
        for one in yaml.safe_load(block):
            found += [one[MODULE]] if MODULE in one else []
            for role in one.get("roles") or []:
                found += role["vars"]["libvirt_network_declarations"]
    return found


@pytest.mark.parametrize(("page", "least"), [("docs/networks.md", 4), ("roles/libvirt_network/README.md", 3)])
def test_documented_networks_are_taken(page: str, least: int) -> None:
    networks = declared_in(page)
    assert len(networks) >= least
    for network in networks:
        checked = ArgumentSpecValidator(ARGUMENTS).validate(network)
        assert not checked.error_messages
        assert check_options(checked.validated_parameters) == []
        assert check_kind(checked.validated_parameters, None, 9_000_000) == []


def test_the_role_gives_the_module_every_option() -> None:
    (task,) = [one for one in yaml.safe_load((ROLE / "tasks/main.yml").read_text()) if MODULE in one]
    assert task[MODULE].keys() == ARGUMENTS.keys()
    spec = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    own = spec["libvirt_network_declarations"]["options"]
    assert own.keys() == ARGUMENTS.keys() - {"uri", "allow_restart", "disconnect_guests"}
    for name, option in own.items():
        assert [*option.get("choices", [])] == [*ARGUMENTS[name].get("choices", [])]
        assert option["type"] == ARGUMENTS[name]["type"]


@pytest.mark.parametrize("empty", [None, "", 0, [], {}, {"address": None, "dhcp": {"ranges": [], "hosts": None}}])
def test_what_is_empty_is_not_given(empty: t.Any) -> None:
    assert is_given(empty) is False
    assert is_given({"a": empty, "b": {"c": 1}}) is True


def test_the_native_vlan_is_one_of_all() -> None:
    assert tags_of(None) == tags_of({"tags": None, "native": None}) == []
    assert tags_of({"tags": [20, 10], "native": 5}) == [5, 10, 20]
    assert tags_of({"tags": [20], "native": 20}) == [20]
