# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the rules write down what they find.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import ConversionError, Problem
from ansible_collections.rtvirt.core.plugins.module_utils.converters import quantity
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import POD, Manifest, mapping_at, pod_spec
from ansible_collections.rtvirt.core.plugins.module_utils.converters.overlay import Path, render_path

__all__ = ["DEVICES", "DNS_LABEL", "DOMAIN", "POD", "Backend", "Report", "RuleSet", "is_dns_name", "listed"]

Backend = t.Literal["kubevirt", "libvirt"]

DOMAIN: Path = (*POD, "domain")
DEVICES: Path = (*DOMAIN, "devices")

#: RFC 1123 label, Kubernetes' form of most names.
DNS_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")

_DNS_NAME = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
_MOST_DNS_LETTERS = 253


class Report:
    """The problems of one declaration, and the parts of its manifest that rules look at."""

    def __init__(self, manifest: Manifest, rules: RuleSet) -> None:
        self.rules = rules
        self.backend = rules.backend
        self.problems: list[Problem] = []
        self._manifest = manifest
        self.document = manifest.document
        self.vm = mapping_at(manifest.document, "spec")
        self.spec = pod_spec(manifest.document)
        #: The guest's; where nothing is said that is the cluster's default, which nearly always is this.
        self.architecture: str = self.spec.get("architecture") or "amd64"
        self.domain = mapping_at(self.spec, "domain")
        self.cpu = mapping_at(self.domain, "cpu")
        self.devices = mapping_at(self.domain, "devices")

    def add(self, path: Path, message: str) -> None:
        """Write down a problem with the field at a place of the manifest."""
        self.problems.append(Problem(self._manifest.option_path(path), message, render_path(path)))

    def items(self, key: str) -> list[tuple[Path, dict[str, t.Any]]]:
        """(place, item) of a list: ``volumes`` and ``networks`` of the spec, the others of its devices."""
        on_spec = key in ("volumes", "networks")
        base, holder = (POD, self.spec) if on_spec else (DEVICES, self.devices)
        return [((*base, key, index), item) for index, item in enumerate(holder.get(key) or [])]

    def choice(self, path: Path, value: t.Any, allowed: t.Sequence[str]) -> None:
        if value is not None and value not in allowed:
            self.add(path, f"{value!r} is not supported: write {listed(allowed)}")

    def once(self, path: Path, name: str, seen: set[str], rule: str) -> None:
        """A name that must not stand twice; ``seen`` are those before it, and has it afterwards."""
        if name in seen:
            self.add((*path, "name"), f"{name!r} stands twice: {rule}")
        seen.add(name)

    def bytes_at(self, path: Path, value: t.Any) -> int | None:
        """A quantity of memory or storage in bytes; None where there is none or it cannot be read."""
        return t.cast("int | None", self._read(quantity.to_bytes, path, value))

    def cpus_at(self, path: Path, value: t.Any) -> t.Any:
        """A quantity of CPUs as a fraction; None where there is none or it cannot be read."""
        return self._read(quantity.to_fraction, path, value)

    def _read(self, converter: t.Callable[[t.Any], t.Any], path: Path, value: t.Any) -> t.Any:
        if value is None:
            return None
        try:
            return converter(value)
        except ConversionError as error:
            self.add(path, error.message)
            return None


class RuleSet(t.NamedTuple):
    """What a backend holds declarations to.

    :ivar fields: the tree of the fields that it knows.
    :ivar instead: the other backend's fields -> what to write instead.
    :ivar own: rules beside those that both backends have.
    :ivar translate: turns what is admitted in words of this collection into the backend's own.
    """

    backend: Backend
    fields: dict[str, t.Any]
    instead: t.Mapping[t.Any, str]
    own: tuple[t.Callable[[Report], None], ...] = ()
    translate: t.Callable[[Manifest], None] | None = None


def is_dns_name(text: str) -> bool:
    """Whether a text is an RFC 1123 subdomain, Kubernetes' form of the names of its objects."""
    return len(text) <= _MOST_DNS_LETTERS and bool(_DNS_NAME.fullmatch(text))


def listed(values: t.Iterable[str]) -> str:
    """'a, b or c'."""
    *head, last = values
    return f"{', '.join(head)} or {last}" if head else last
