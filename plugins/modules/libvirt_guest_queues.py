#!/usr/bin/python
# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: libvirt_guest_queues
short_description: Have a guest use the queues of its network interfaces
version_added: 0.1.0
description:
  - With O(rtvirt.core.libvirt_vm#module:multiqueue) an interface has a queue for each vCPU. How many of them a guest
    uses is up to its driver. This module tells, and sets it, by C(ethtool) in the guest, which the guest's agent runs.
  - Today's Linux uses as many as it has vCPUs by itself (6.1 does); older ones use one.
  - What is set holds until the guest boots again.
extends_documentation_fragment:
  - rtvirt.core.connection
options:
  name:
    description:
      - libvirt's name of the VM, which runs.
    type: str
    required: true
  interfaces:
    description:
      - The interfaces, by their declared names or their MAC addresses. By default all of model virtio.
    type: list
    elements: str
  queues:
    description:
      - Pairs of queues to use. By default all that the device has.
    type: int
attributes:
  check_mode:
    description: Can run in check mode and say what it would do without changing anything.
    support: full
  diff_mode:
    description: Shows the queues in use before and after.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
  platform:
    description: Where the module runs.
    support: full
    platforms: posix
notes:
  - The guest needs its agent, with C(guest-exec) and C(guest-exec-status) allowed, and C(ethtool). RHEL's agent does
    not allow them by default.
  - libvirt marks a VM whose agent was asked this way as tainted (C(custom-ga-command)) until it is stopped, which
    does no harm.
seealso:
  - module: rtvirt.core.libvirt_vm
author:
  - The rtvirt.core authors (@rtvirt)
"""

EXAMPLES = r"""
- name: Use all queues of all interfaces
  rtvirt.core.libvirt_guest_queues:
    name: web1
  register: queues

- name: Two queues of one of them
  rtvirt.core.libvirt_guest_queues:
    name: web1
    interfaces: [lan]
    queues: 2
"""

RETURN = r"""
interfaces:
  description: The interfaces, read back from the guest; in check mode as they would be.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: The declared name, or the MAC address of an interface that was made by other means.
      type: str
      returned: always
      sample: lan
    mac:
      description: The MAC address.
      type: str
      returned: always
      sample: 52:54:00:12:34:56
    device:
      description: The guest's name of it.
      type: str
      returned: always
      sample: eth0
    available:
      description: Pairs of queues that the guest could use.
      type: int
      returned: always
      sample: 4
    queues:
      description: Pairs of queues that it uses.
      type: int
      returned: always
      sample: 4
irqbalance:
  description:
    - Whether irqbalance spreads the guest's interrupts over its vCPUs, C(running) or C(stopped), or C(unknown) where
      the guest cannot tell. It is left as it is. Guests with real-time vCPUs are better without it.
  type: str
  returned: success
  sample: running
"""

import dataclasses
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._libvirt import queues
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.connection import CONNECTION, connected
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.guest import PROGRAMS, Guest, running
from ansible_collections.rtvirt.core.plugins.module_utils._vm.task import run

ARGUMENTS: dict[str, t.Any] = {
    **CONNECTION,
    "name": {"type": "str", "required": True},
    "interfaces": {"type": "list", "elements": "str"},
    "queues": {"type": "int"},
}


def converge(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    with connected(params["uri"]) as connection:
        domain = running(connection, params["name"])
        chosen = queues.select(t.cast(t.Any, domain.running), params["interfaces"], params["queues"])
        guest = Guest(domain.handle, "run programs", PROGRAMS)
        before = queues.read_channels(guest, chosen)
        wanted = [dataclasses.replace(one, used=params["queues"] or one.most) for one in before]
        after = wanted if check_mode else apply(guest, before, wanted)
        return describe(before, wanted, after, queues.irqbalance(guest))


def apply(
    guest: Guest, before: t.Sequence[queues.Channels], wanted: t.Sequence[queues.Channels]
) -> list[queues.Channels]:
    """Set what differs, and read all of it back."""
    for now, then in zip(before, wanted):
        if now != then:
            queues.set_channels(guest, then.device, then.used)
    return (
        queues.read_channels(guest, [one.interface for one in wanted]) if list(before) != list(wanted) else list(before)
    )


def describe(
    before: t.Sequence[queues.Channels],
    wanted: t.Sequence[queues.Channels],
    after: t.Sequence[queues.Channels],
    irqbalance: str,
) -> dict[str, t.Any]:
    texts = ["".join(f"{one.interface.name}: {one.used}\n" for one in channels) for channels in (before, after)]
    header = {"before_header": "queues in use", "after_header": "queues in use"}
    return {
        "changed": list(before) != list(wanted),
        "interfaces": [
            {
                "name": one.interface.name,
                "mac": one.interface.mac,
                "device": one.device,
                "available": one.most,
                "queues": one.used,
            }
            for one in after
        ],
        "irqbalance": irqbalance,
        "diff": {**header, "before": texts[0], "after": texts[1]} if texts[0] != texts[1] else {},
    }


def main() -> None:
    run(ARGUMENTS, converge)


if __name__ == "__main__":
    main()
