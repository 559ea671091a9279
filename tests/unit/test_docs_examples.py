# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documents' examples: each declaration in them is admitted, or refused where its first line says so."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.cluster import CLUSTER_RULES
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.fields import CLUSTER_ONLY
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.report import RuleSet
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.rules import LIBVIRT_RULES, admit
from ansible_collections.rtvirt.core.plugins.module_utils._vm.declaration import OPTIONS, declarations
from ansible_collections.rtvirt.core.plugins.modules import kubevirt_vm, libvirt_vm

CHECKOUT = Path(__file__).resolve().parents[2]
DOCUMENTS = [CHECKOUT / "README.md", *sorted(CHECKOUT.glob("docs/*.md")), *sorted(CHECKOUT.glob("roles/*/README.md"))]

#: Module -> the rules of its backend, and its options.
MODULES: dict[str, tuple[RuleSet, dict[str, t.Any]]] = {
    "rtvirt.core.kubevirt_vm": (CLUSTER_RULES, kubevirt_vm.ARGUMENTS),
    "rtvirt.core.libvirt_vm": (LIBVIRT_RULES, libvirt_vm.ARGUMENTS),
}
LIBVIRT = "rtvirt.core.libvirt_vm"
ROLE = "rtvirt.core.vm"
#: A declaration that admission must refuse starts with this, and what the message says.
REFUSED = re.compile(r"^# refused: (.+)\n")


#: Options that say which VM it is, and nothing of what it is made of.
NAMES = {"api_version", "name", "namespace"}


class Example(t.NamedTuple):
    name: str
    module: str
    params: dict[str, t.Any]
    refused: str | None


def _dicts(value: t.Any) -> t.Iterator[dict[str, t.Any]]:
    """Every dict below a value: a task may stand in a play, in a block or alone."""
    if isinstance(value, dict):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _dicts(item)


def _role_params(variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The module's options as the role vm gives them."""
    defaults = yaml.safe_load((CHECKOUT / "roles/vm/defaults/main.yml").read_text())
    preset = variables.get("vm_preset", "none")
    own = {} if preset == "none" else defaults[f"vm_preset_{preset}"]
    return {**own, **variables.get("vm_defaults", {}), "vms": variables["vm_declarations"]}


def _examples() -> t.Iterator[Example]:
    for document in DOCUMENTS:
        text = document.read_text()
        for match in re.finditer(r"^( *)```yaml\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE):
            refused = REFUSED.match(match.group(2))
            name = f"{document.relative_to(CHECKOUT)}:{text.count(chr(10), 0, match.start()) + 1}"
            for part in _dicts(yaml.safe_load(match.group(2))):
                for module in MODULES.keys() & part.keys():
                    yield Example(name, module, part[module], refused and refused.group(1))
                if part.get("role") == ROLE and "vm_declarations" in part.get("vars", {}):
                    yield Example(name, LIBVIRT, _role_params(part["vars"]), refused and refused.group(1))


EXAMPLES = list(_examples())


def _admit(params: dict[str, t.Any], module: str = LIBVIRT) -> None:
    rules, arguments = MODULES[module]
    checked = ArgumentSpecValidator(arguments).validate(params)
    assert not checked.error_messages
    given = checked.validated_parameters
    declared = declarations(given)
    # What says nothing but which VM is about its power alone, and may leave out what a new one needs.
    bare = rules.backend == "kubevirt" and all(set(options.values) <= NAMES for options in declared)
    manifests = admit(declared, rules, names_only=given["state"] == "absent" or bare)
    assert rules.backend == "libvirt" or all(manifest.namespace for manifest in manifests)


@pytest.mark.parametrize("example", EXAMPLES, ids=[example.name for example in EXAMPLES])
def test_example(example: Example) -> None:
    if example.refused is None:
        _admit(example.params, example.module)
        return
    with pytest.raises(DeclarationError) as caught:
        _admit(example.params, example.module)
    assert example.refused in caught.value.message


def test_there_are_examples() -> None:
    documents = {example.name.split(":")[0] for example in EXAMPLES}
    pages = ("declaration", "kubevirt", "libvirt", "migration", "reference-documents")
    assert {"README.md", *(f"docs/{page}.md" for page in pages)} <= documents
    assert {example.module for example in EXAMPLES} == set(MODULES)
    assert any(example.refused for example in EXAMPLES)


def test_every_option_is_explained() -> None:
    text = (CHECKOUT / "docs/declaration.md").read_text()
    assert [option for option in OPTIONS if f"`{option}`" not in text] == []


def test_every_refused_field_is_listed() -> None:
    text = (CHECKOUT / "docs/declaration.md").read_text()
    assert [path for path in CLUSTER_ONLY if f"`{path[-1]}`" not in text] == []


def test_every_room_is_named() -> None:
    """The list of files in docs/architecture.md."""
    rooms = (CHECKOUT / "docs/architecture.md").read_text().split("## The rooms")[1].split("```")[1]
    names = {path.stem for path in (CHECKOUT / "plugins").glob("**/*.py")}
    assert sorted(name for name in names if not re.search(rf"\b{name}\b", rooms)) == []


def test_presets_are_admitted() -> None:
    for preset in ("realtime", "dpdk"):
        declared = {"name": "vm", "cpu_cores": 2, "memory": "2Gi"}
        _admit(_role_params({"vm_preset": preset, "vm_declarations": [declared]}))


def test_the_roles_specs_have_the_roles_defaults() -> None:
    for role in sorted(path.name for path in (CHECKOUT / "roles").iterdir()):
        file = CHECKOUT / f"roles/{role}/defaults/main.yml"
        defaults = yaml.safe_load(file.read_text()) if file.exists() else {}
        specs = yaml.safe_load((CHECKOUT / f"roles/{role}/meta/argument_specs.yml").read_text())
        options = specs["argument_specs"]["main"]["options"]
        assert set(defaults) <= set(options)
        said = {name: option["default"] for name, option in options.items() if "default" in option}
        # What depends on the host is a template, and has no default to say.
        plain = {name: value for name, value in defaults.items() if "{{" not in str(value)}
        assert said == plain
