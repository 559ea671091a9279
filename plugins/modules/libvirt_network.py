#!/usr/bin/python
# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: libvirt_network
short_description: Declare a network of libvirt
version_added: 0.1.0
description:
  - Brings a network of libvirt to what is declared, be it new, there already, or active with guests on it.
  - Only what is declared is compared. What libvirt has filled in (UUID, MAC address, names of bridges) and what others
    have added stays.
  - Each part of the network is an option. An option that is given says all about its part, one that is not given leaves
    it alone, and an empty one takes the part away.
  - Hosts and ranges of DHCP and groups of ports are changed while the network is active, and its guests keep their
    links. The rest waits for the network's next start, and RV(restart_required) says so.
extends_documentation_fragment:
  - rtvirt.core.connection
options:
  name:
    description:
      - libvirt's name of the network, which VMs name too.
    type: str
    required: true
  state:
    description:
      - V(active) defines the network and starts it, V(inactive) defines it and stops it.
      - V(present) defines it and leaves alone whether it is active.
      - V(absent) stops it and removes its definition.
    type: str
    choices: [present, active, inactive, absent]
    default: active
  autostart:
    description:
      - Whether the network starts with its host.
    type: bool
  mode:
    description:
      - How packets leave the network.
      - V(isolated) is a network of guests and their host, which a new network is by default. V(nat) hides the guests
        behind the host's addresses, V(route) does not. V(open) is V(route) without rules of libvirt in the host's
        firewall.
      - V(bridge) is a network on a bridge of the host, which is there already. All others have a bridge that libvirt
        makes.
      - A network does not become V(bridge), or cease to be it; remove it first.
    type: str
    choices: [isolated, nat, route, open, bridge]
  device:
    description:
      - The only network device of the host by which packets leave, such as C(eth0). An empty string lets them leave by
        all.
    type: str
  bridge:
    description:
      - With O(mode=bridge) the host's bridge, else the name of the bridge that libvirt makes, by default C(virbr) with
        a number.
    type: str
  openvswitch:
    description:
      - Whether O(bridge) is one of Open vSwitch.
    type: bool
  vlan:
    description:
      - The VLANs of the guests that are in no other group of ports.
      - Open vSwitch has them; a Linux bridge of O(mode=bridge) has them from libvirt 11.0 on.
    type: dict
    suboptions:
      tags:
        description:
          - The VLANs. With one of them guests send and get packets without a tag, with several they use tags.
        type: list
        elements: int
      native:
        description:
          - The VLAN of packets without a tag, beside the others.
        type: int
  portgroups:
    description:
      - All groups of ports. A VM names one of them beside the network.
    type: list
    elements: dict
    suboptions:
      name:
        description:
          - The name of the group.
        type: str
        required: true
      default:
        description:
          - Whether it is the group of guests that name none.
        type: bool
        default: false
      vlan:
        description:
          - The VLANs of the group.
        type: dict
        suboptions:
          tags:
            description:
              - As in O(vlan).
            type: list
            elements: int
          native:
            description:
              - As in O(vlan).
            type: int
  mtu:
    description:
      - The largest packet, in bytes. V(0) is libvirt's default.
    type: int
  domain:
    description:
      - The DNS domain of the guests.
    type: str
  ipv4:
    description:
      - IPv4 in the network, as a whole. V({}) takes it away, with DHCP and PXE.
    type: dict
    suboptions:
      address:
        description:
          - The host's address in the network, with the network's size.
        type: str
      dhcp:
        description:
          - The addresses that guests get. Without it libvirt has no DHCP.
        type: dict
        suboptions:
          ranges:
            description:
              - Ranges of addresses for any guest.
            type: list
            elements: dict
            suboptions:
              start:
                description:
                  - The first address.
                type: str
                required: true
              end:
                description:
                  - The last address.
                type: str
                required: true
          hosts:
            description:
              - Guests that always have the same address.
            type: list
            elements: dict
            suboptions:
              mac:
                description:
                  - The MAC address of the guest's interface, in quotes where it is of digits alone.
                type: str
                required: true
              address:
                description:
                  - Its IPv4 address.
                type: str
                required: true
              name:
                description:
                  - Its host name.
                type: str
      pxe:
        description:
          - What guests boot from that boot by network.
        type: dict
        suboptions:
          tftp_root:
            description:
              - A folder of the host that everybody may read, which libvirt's dnsmasq serves by TFTP.
            type: path
          boot_file:
            description:
              - The file that a guest loads first, as it is called below O(ipv4.pxe.tftp_root), or a URL for firmware
                that knows them.
            type: str
          server:
            description:
              - The IPv4 address of another TFTP server that has the file.
            type: str
  ipv6:
    description:
      - IPv6 in the network. V({}) takes it away.
    type: dict
    suboptions:
      address:
        description:
          - The host's address in the network, with the network's size. In a network of V(/64) guests make their own.
        type: str
  allow_restart:
    description:
      - Restart an active network for changes that it cannot take otherwise. Guests that are attached would be cut off,
        so it is refused then, unless O(disconnect_guests) is set.
    type: bool
    default: false
  disconnect_guests:
    description:
      - Stop or restart the network also where running guests are attached to it. They have no link from then on until
        they are restarted, or their interfaces attached anew.
    type: bool
    default: false
notes:
  - The host's own bridges and their devices are made by the distribution's means. The module looks whether they are
    there.
attributes:
  check_mode:
    description: Can run in check mode and say what it would do without changing anything.
    support: full
  diff_mode:
    description: Shows the definition before and after.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
  platform:
    description: Where the module runs.
    support: full
    platforms: posix
seealso:
  - module: rtvirt.core.libvirt_vm
author:
  - The rtvirt.core authors (@rtvirt)
"""

EXAMPLES = r"""
- name: A network whose guests boot by PXE
  rtvirt.core.libvirt_network:
    name: install
    mode: nat
    autostart: true
    ipv4:
      address: 192.168.150.1/24
      dhcp:
        ranges:
          - start: 192.168.150.100
            end: 192.168.150.199
        hosts:
          - mac: "52:54:00:15:00:11"
            address: 192.168.150.11
            name: node1
      pxe:
        tftp_root: /srv/tftp
        boot_file: boot.ipxe

- name: VLANs of an Open vSwitch bridge that is there
  rtvirt.core.libvirt_network:
    name: datacenter
    mode: bridge
    bridge: br-ex
    openvswitch: true
    autostart: true
    portgroups:
      - name: storage
        vlan:
          tags: [20]
      - name: router
        vlan:
          tags: [10, 20]
          native: 10

- name: No DHCP any more, also if the network has to be restarted for that
  rtvirt.core.libvirt_network:
    name: lab
    ipv4:
      address: 192.168.151.1/24
    allow_restart: true

- name: Gone
  rtvirt.core.libvirt_network:
    name: lab
    state: absent
"""

RETURN = r"""
network:
  description: The network as libvirt has it now; in check mode as it would be.
  type: dict
  returned: success
  contains:
    name:
      description: Its name.
      type: str
      returned: always
      sample: install
    state:
      description: C(active), C(inactive) or C(absent).
      type: str
      returned: always
      sample: active
    uuid:
      description: Its UUID, null where check mode predicts a new network.
      type: str
      returned: if it is not absent
      sample: 0b1f4a2e-6c53-4a35-9f0a-4d0c2f6d7c11
    autostart:
      description: Whether it starts with its host.
      type: bool
      returned: if it is not absent
      sample: true
    mode:
      description: How packets leave it.
      type: str
      returned: if it is not absent
      sample: nat
    bridge:
      description: Its bridge, null where libvirt has still to name it.
      type: str
      returned: if it is not absent
      sample: virbr1
    xml:
      description: Its persistent definition.
      type: str
      returned: if it is not absent
      sample: <network>…</network>
actions:
  description: What was done, in order.
  type: list
  elements: str
  returned: success
  sample: [define, set autostart, start]
changes:
  description: How the definition differed from what is declared, with C(path), C(before) and C(after).
  type: list
  elements: dict
  returned: success
  sample:
    - path: ip[ipv4]/@address
      before: 192.168.122.1
      after: 192.168.150.1
restart_required:
  description: Whether the active network still differs from what is declared.
  type: bool
  returned: success
  sample: false
pending:
  description: How it differs, as in RV(changes).
  type: list
  elements: dict
  returned: success
  sample: []
disconnected:
  description: Running guests that were cut off, with O(disconnect_guests=true).
  type: list
  elements: str
  returned: success
  sample: []
"""

import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.connection import connected
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.network.apply import apply_plan
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.network.checks import check_options
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.network.options import ARGUMENTS
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.network.plan import plan_network
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.network.results import describe, predict
from ansible_collections.rtvirt.core.plugins.module_utils._vm.task import run


def converge(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    problems = check_options(params)
    if problems:
        raise DeclarationError(problems)
    with connected(params["uri"]) as connection:
        plan = plan_network(connection, params)
        return predict(plan) if check_mode else describe(connection, plan, apply_plan(connection, plan))


def main() -> None:
    run(ARGUMENTS, converge)


if __name__ == "__main__":
    main()
