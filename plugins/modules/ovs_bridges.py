#!/usr/bin/python
# Copyright: (c) 2026, The rtvirt.core authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Ansible module rtvirt.core.ovs_bridges."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ovs_bridges
short_description: Declare bridges and ports of Open vSwitch with DPDK
version_added: 0.1.0
author:
  - The rtvirt.core authors (@rtvirt)
description:
  - Brings bridges with all their ports to what is declared, in one transaction, and looks whether each port is in the
    switch.
  - Ports that were declared before on a declared bridge and are not any more are taken away, or move to the declared
    bridge that has them now. Ports and settings of others stay, and so do bridges that are not declared.
  - A port of type C(dpdkvhostuserclient) has its socket in a folder that QEMU may write to, which is made.
options:
  bridges:
    description:
      - The bridges.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - Name of the bridge.
        type: str
        required: true
      datapath_type:
        description:
          - V(netdev) moves packets in user space, as DPDK does; V(system) does so in the kernel.
        type: str
        choices: [netdev, system]
        default: netdev
      fail_mode:
        description:
          - What the bridge does without its controller.
        type: str
        choices: [standalone, secure]
      other_config:
        description:
          - Further settings of the bridge, by Open vSwitch's own names.
        type: dict
        default: {}
      ports:
        description:
          - All ports of the bridge that are declared here.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description:
              - Name of the port.
            type: str
            required: true
          type:
            description:
              - Type by Open vSwitch's own names, such as V(dpdkvhostuserclient), V(dpdk) or V(internal); a network
                device of the host where nothing is said.
              - V(dpdkvhostuser) is refused, as its guests would have to be restarted whenever the switch is.
            type: str
          socket:
            description:
              - Socket of a C(dpdkvhostuserclient), which the guest's QEMU makes. By default it has the name of the
                port, in O(socket_folder).
              - Another socket is a port made anew, as Open vSwitch does not take it otherwise.
            type: str
          devargs:
            description:
              - Device of a C(dpdk) port, such as V(0000:3b:00.0). It must be bound to vfio-pci, or have a driver that
                shares it with DPDK (mlx5).
            type: str
          n_rxq:
            description:
              - Receive queues of a C(dpdk) port. A vhost-user port has as many as its guest.
            type: int
          mtu:
            description:
              - Largest frame's payload in bytes.
            type: int
          pmd_rxq_affinity:
            description:
              - CPUs that poll the receive queues, as queue:CPU pairs such as V(0:3,1:7).
            type: str
          options:
            description:
              - Further options of the interface, by Open vSwitch's own names.
            type: dict
            default: {}
          other_config:
            description:
              - Further settings of the interface, or of a bond (C(lacp-time), C(bond-primary) and the like), by Open
                vSwitch's own names.
            type: dict
            default: {}
          tag:
            description:
              - VLAN of an access port, or the native one of a trunk.
            type: int
          trunks:
            description:
              - VLANs that a trunk carries; all of them where nothing is said.
            type: list
            elements: int
          vlan_mode:
            description:
              - How the port takes VLANs.
            type: str
            choices: [access, trunk, native-tagged, native-untagged]
          interfaces:
            description:
              - The interfaces of a bond, two or more.
            type: list
            elements: dict
            suboptions:
              name:
                description:
                  - Name of the interface.
                type: str
                required: true
              type:
                description:
                  - Type by Open vSwitch's own names, such as V(dpdkvhostuserclient), V(dpdk) or V(internal); a
                    network device of the host where nothing is said.
                  - V(dpdkvhostuser) is refused, as its guests would have to be restarted whenever the switch is.
                type: str
              socket:
                description:
                  - Socket of a C(dpdkvhostuserclient), which the guest's QEMU makes. By default it has the name of
                    the interface, in O(socket_folder).
                  - Another socket is an interface made anew, as Open vSwitch does not take it otherwise.
                type: str
              devargs:
                description:
                  - Device of a C(dpdk) interface, such as V(0000:3b:00.0). It must be bound to vfio-pci, or have a
                    driver that shares it with DPDK (mlx5).
                type: str
              n_rxq:
                description:
                  - Receive queues of a C(dpdk) interface. A vhost-user port has as many as its guest.
                type: int
              mtu:
                description:
                  - Largest frame's payload in bytes.
                type: int
              pmd_rxq_affinity:
                description:
                  - CPUs that poll the receive queues, as queue:CPU pairs such as V(0:3,1:7).
                type: str
              options:
                description:
                  - Further options of the interface, by Open vSwitch's own names.
                type: dict
                default: {}
              other_config:
                description:
                  - Further settings of the interface, by Open vSwitch's own names.
                type: dict
                default: {}
          bond_mode:
            description:
              - How a bond spreads its traffic.
            type: str
            choices: [active-backup, balance-slb, balance-tcp]
          lacp:
            description:
              - Whether a bond negotiates by LACP.
            type: str
            choices: [active, passive, 'off']
  socket_folder:
    description:
      - Folder of the sockets of vhost-user ports whose O(bridges[].ports[].socket) is not said.
      - It is made where it is not there. Folders of sockets elsewhere must be there.
    type: path
    default: /var/lib/vhost_sockets
  socket_owner:
    description:
      - Owner of the folder, a name or number. The user that libvirt runs QEMU as where it is made and nothing is
        said.
    type: str
  socket_group:
    description:
      - Group of the folder, with the same default.
    type: str
  socket_mode:
    description:
      - Mode of the folder in octal digits; V(0755) where it is made and nothing is said.
    type: raw
  disconnect_guests:
    description:
      - Take away, or make anew, ports that guests are connected to.
    type: bool
    default: false
  wait_timeout:
    description:
      - Seconds for the switch to do what it is told.
    type: int
    default: 60
  state:
    description:
      - V(absent) takes the named bridges away with their ports, where they were made by this module, and all such
        bridges where none is named. Of a bridge that others have ports on, only what was set is taken back.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    support: full
    description: Nothing is written. Whether a device can be opened is known only by the run.
  diff_mode:
    support: full
    description: Bridges, ports and their fields before and after.
seealso:
  - module: rtvirt.core.ovs_dpdk
  - module: rtvirt.core.iommu_vfio
"""

EXAMPLES = r"""
- name: A bridge with a card, and two ports for guests
  rtvirt.core.ovs_bridges:
    bridges:
      - name: br-dpdk
        ports:
          - {name: dpdk0, type: dpdk, devargs: '0000:3b:00.0', n_rxq: 2}
          - {name: router, type: dpdkvhostuserclient, tag: 100}
          - {name: firewall, type: dpdkvhostuserclient, trunks: [100, 200]}

- name: Two cards as one
  rtvirt.core.ovs_bridges:
    bridges:
      - name: br-dpdk
        ports:
          - name: bond0
            bond_mode: balance-tcp
            lacp: active
            interfaces:
              - {name: dpdk0, type: dpdk, devargs: '0000:3b:00.0'}
              - {name: dpdk1, type: dpdk, devargs: '0000:3b:00.1'}

- name: None of it any more
  rtvirt.core.ovs_bridges:
    state: absent
"""

RETURN = r"""
made:
  description: Bridges and ports that are new, or were made anew.
  type: list
  elements: str
  returned: success
  sample: [bridge br-dpdk, port router]
removed:
  description: Bridges and ports that were taken away.
  type: list
  elements: str
  returned: success
  sample: [port old]
bridges:
  description: The declared bridges, with each interface and its socket, none for one that has none.
  type: list
  elements: dict
  returned: success
  sample:
    - name: br-dpdk
      ports: [{name: router, socket: /var/lib/vhost_sockets/router}]
"""

from ansible_collections.rtvirt.core.plugins.module_utils._host.task import run_on_host
from ansible_collections.rtvirt.core.plugins.module_utils._host.tasks.ovs_bridges import ARGUMENTS, plan


def main() -> None:
    run_on_host(ARGUMENTS, plan)


if __name__ == "__main__":
    main()
