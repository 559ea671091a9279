# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How two definitions of a network differ, and what of it an active network takes as it is.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

By libvirt's own documentation (virNetworkUpdate) and its network driver: ranges and hosts of DHCP and groups of ports
are changed in place, and nothing else that can be declared is. Guests keep their links meanwhile.
"""

from __future__ import annotations

import collections
import copy
import re
import typing as t
import xml.etree.ElementTree as ET

from ansible_collections.rtvirt.core.plugins.module_utils._plan import Change

__all__ = ["differences", "is_live", "printed"]

#: What tells siblings of one tag apart.
_KEYS = {"host": "mac", "interface": "dev", "portgroup": "name"}

#: Elements that are told as a whole.
_WHOLE = ("bootp", "host", "portgroup", "range", "tftp", "virtualport", "vlan")

_LIVE = re.compile(r"^(ip\[[^]]+\]/dhcp/(range|host)|portgroup)\[[^]]*\]$")


def differences(before: ET.Element, after: ET.Element) -> list[Change]:
    left, right = dict(_parts(before)), dict(_parts(after))
    paths = dict.fromkeys([*left, *right])
    return [Change(path, left.get(path), right.get(path)) for path in paths if left.get(path) != right.get(path)]


def is_live(change: Change, changes: t.Iterable[Change]) -> bool:
    """Whether an active network may take one of its differences without a restart."""
    # In another subnet, ranges and hosts come with it.
    moved = any(re.match(r"^ip\[[^]]+\]/@", other.path) for other in changes)
    return _LIVE.match(change.path) is not None and not (moved and change.path.startswith("ip"))


def printed(element: ET.Element | None) -> str:
    """XML as libvirt prints it, whatever the blanks it was read with; nothing for None."""
    if element is None:
        return ""
    clone = _bare(element)
    ET.indent(clone)
    return ET.tostring(clone, encoding="unicode") + "\n"


def _parts(element: ET.Element, path: str = "") -> t.Iterator[tuple[str, str]]:
    """Everything that a definition says, by its path."""
    for name, value in element.attrib.items():
        yield f"{path}@{name}", value
    if (element.text or "").strip():
        yield path.rstrip("/"), (element.text or "").strip()
    alike: collections.Counter[str] = collections.Counter()
    for child in element:
        step = f"{path}{child.tag}{_key(child)}"
        alike[step] += 1
        # A network may have further addresses of a family, which are not declared.
        step += f"#{alike[step]}" if alike[step] > 1 else ""
        if child.tag in _WHOLE:
            yield step, ET.tostring(_bare(child), encoding="unicode")
        else:
            yield from _parts(child, f"{step}/")


def _key(element: ET.Element) -> str:
    if element.tag == "ip":
        return f"[{element.get('family', 'ipv4')}]"
    if element.tag == "range":
        return f"[{element.get('start')}-{element.get('end')}]"
    return f"[{element.get(_KEYS[element.tag])}]" if element.tag in _KEYS else ""


def _bare(element: ET.Element) -> ET.Element:
    """A copy without the blanks between elements."""
    clone = copy.deepcopy(element)
    for one in clone.iter():
        one.tail = None
        one.text = (one.text or "").strip() or None
    return clone
