# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules' documentation says is what the modules take and return."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.cluster import CLUSTER_RULES
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.report import RuleSet
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.rules import LIBVIRT_RULES, admit
from ansible_collections.rtvirt.core.plugins.module_utils._vm.declaration import declarations

CHECKOUT = Path(__file__).resolve().parents[3]
MODULES = sorted(path.stem for path in (CHECKOUT / "plugins" / "modules").glob("*.py") if path.stem != "__init__")
COLLECTION = "rtvirt.core"

#: What a task may hold beside its module.
TASK_KEYWORDS = {"name", "register", "loop", "when", "become", "vars", "with_items", "delegate_to", "until", "retries"}

Doc = dict[str, t.Any]


@pytest.fixture(scope="module")
def documentation() -> dict[str, Doc]:
    """ansible-doc's own view of every module, fragments merged."""
    names = [f"{COLLECTION}.{name}" for name in MODULES]
    command = [sys.executable, "-m", "ansible", "doc", "--json", "--type", "module", *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Doc] = json.loads(done.stdout)
    assert sorted(found) == names, done.stderr
    return {name.rpartition(".")[2]: doc for name, doc in found.items()}


class Started(Exception):  # noqa: N818  it ends a run, and is no error
    """A module has said what its arguments are."""


def argument_spec(module: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, t.Any]:
    """What main() gives to AnsibleModule, whatever the module calls it."""
    given: dict[str, t.Any] = {}

    def start(_self: AnsibleModule, argument_spec: dict[str, t.Any], **keywords: t.Any) -> t.NoReturn:
        given.update(argument_spec)
        assert keywords.get("supports_check_mode") is True
        raise Started

    monkeypatch.setattr(AnsibleModule, "__init__", start)
    loaded = importlib.import_module(f"ansible_collections.{COLLECTION}.plugins.modules.{module}")
    with pytest.raises(Started):
        loaded.main()
    return given


def differences(options: dict[str, Doc], spec: dict[str, t.Any], path: str = "") -> t.Iterator[str]:
    """Where documented options and an argument spec disagree."""
    for name in sorted(options.keys() ^ spec.keys()):
        yield f"{path}{name} is {'not documented' if name in spec else 'documented only'}"
    for name in sorted(options.keys() & spec.keys()):
        said, done = options[name], spec[name]
        for key, default in (
            ("type", "str"),
            ("elements", None),
            ("choices", None),
            ("default", None),
            ("required", False),
            ("aliases", []),
        ):
            left, right = said.get(key, default), done.get(key, default)
            if key == "choices" and left is not None and right is not None:
                left, right = [*left], [*right]
            if left != right:
                yield f"{path}{name}: {key} is {right!r}, documented as {left!r}"
        if not said.get("description"):
            yield f"{path}{name} has no description"
        yield from differences(said.get("suboptions") or {}, done.get("options") or {}, f"{path}{name}.")


@pytest.mark.parametrize("module", MODULES)
def test_options_are_documented_as_they_are(
    documentation: dict[str, Doc], module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = argument_spec(module, monkeypatch)
    assert [*differences(documentation[module]["doc"]["options"], spec)] == []


def test_differences_are_found() -> None:
    """The control of the test above."""
    documented = {"a": {"type": "int", "description": ["x"]}, "b": {"description": ["x"]}}
    assert [*differences(documented, {"a": {"type": "int"}, "b": {}})] == []
    for spec in (
        {"a": {"type": "int"}},
        {"a": {"type": "str"}, "b": {}},
        {"a": {"type": "int", "default": 1}, "b": {}},
        {"a": {"type": "int"}, "b": {"choices": ["x"]}},
        {"a": {"type": "int"}, "b": {"options": {"c": {}}}},
    ):
        assert [*differences(documented, spec)] != [], spec


def nameless(returned: dict[str, Doc], path: str = "") -> t.Iterator[str]:
    """Return values that are not described whole."""
    for name, value in returned.items():
        where = f"{path}{name}"
        missing = [key for key in ("description", "type", "returned") if not value.get(key)]
        if "sample" not in value and not value.get("contains"):
            missing.append("sample or contains")
        if value.get("type") == "list" and "elements" not in value:
            missing.append("elements")
        if missing:
            yield f"{where} has no {', '.join(missing)}"
        yield from nameless(value.get("contains") or {}, f"{where}.")


@pytest.mark.parametrize("module", MODULES)
def test_return_values_are_described(documentation: dict[str, Doc], module: str) -> None:
    returned = documentation[module]["return"]
    assert returned
    assert [*nameless(returned)] == []


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_in_an_action_group(module: str) -> None:
    """So that module_defaults can set the URI once."""
    runtime = yaml.safe_load((CHECKOUT / "meta" / "runtime.yml").read_text())
    groups = [name for name, members in runtime["action_groups"].items() if module in members]
    assert groups


def test_an_action_group_holds_nothing_but_modules() -> None:
    runtime = yaml.safe_load((CHECKOUT / "meta" / "runtime.yml").read_text())
    members = {member for group in runtime["action_groups"].values() for member in group if isinstance(member, str)}
    assert members <= set(MODULES)


def test_all_modules_run_by_the_action_plugin() -> None:
    runtime = yaml.safe_load((CHECKOUT / "meta" / "runtime.yml").read_text())
    routes = runtime["plugin_routing"]["modules"]
    assert routes == {module: {"action_plugin": "rtvirt.core.libvirt_vm"} for module in MODULES}
    assert [path.stem for path in (CHECKOUT / "plugins" / "action").glob("*.py")] == ["libvirt_vm"]


def example_tasks(doc: Doc) -> list[tuple[str, str, t.Any]]:
    """(task, its module, its arguments) of a module's examples."""
    tasks = yaml.safe_load(doc["examples"])
    assert isinstance(tasks, list)
    found = []
    for task in tasks:
        assert task.get("name"), task
        (action,) = task.keys() - TASK_KEYWORDS
        found.append((task["name"], action, task[action]))
    return found


@pytest.mark.parametrize("module", MODULES)
def test_examples_are_tasks_of_fully_named_modules_and_documented_options(
    documentation: dict[str, Doc], module: str
) -> None:
    tasks = example_tasks(documentation[module])
    assert [name for name, action, _arguments in tasks if action == f"{COLLECTION}.{module}"]
    for name, action, arguments in tasks:
        assert action.count(".") == 2, f"{name}: {action}"
        if action.startswith(f"{COLLECTION}."):
            options = documentation[action.rpartition(".")[2]]["doc"]["options"]
            assert set(arguments or {}) <= set(options), name


@pytest.mark.parametrize(
    ("module", "rules", "least"), [("libvirt_vm", LIBVIRT_RULES, 4), ("kubevirt_vm", CLUSTER_RULES, 4)]
)
def test_examples_are_admitted(
    documentation: dict[str, Doc], monkeypatch: pytest.MonkeyPatch, module: str, rules: RuleSet, least: int
) -> None:
    spec = argument_spec(module, monkeypatch)
    admitted = 0
    for name, _action, arguments in example_tasks(documentation[module]):
        given = dict(arguments)
        if isinstance(given.get("vms"), str):
            # A template; what it gives is a list of names.
            given["vms"] = [{"name": "node-0"}, {"name": "node-1"}]
        checked = ArgumentSpecValidator(spec).validate(given)
        assert not checked.error_messages, f"{name}: {checked.error_messages}"
        params = checked.validated_parameters
        admitted += len(admit(declarations(params), rules, names_only=params["state"] == "absent"))
    assert admitted >= least
