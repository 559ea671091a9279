# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options that declare a VM; their argument spec is ``module_utils/_vm/declaration.py``."""

from __future__ import annotations

import textwrap

_OPTIONS = r"""
name:
  description:
    - Name of the VM.
  type: str
namespace:
  description:
    - Namespace of the VM.
    - On libvirt the domain of a VM with a namespace is called C(<namespace>_<name>), as KubeVirt's launcher calls it;
      without one it has the VM's name.
  type: str
api_version:
  description:
    - Version of KubeVirt's API, V(kubevirt.io/v1) where it is not given.
  type: str
labels:
  description:
    - Labels of the VM and of its instances.
  type: dict
annotations:
  description:
    - Annotations of the VM and of its instances.
  type: dict
cpu_cores:
  description:
    - Cores of each socket, KubeVirt's C(cpu.cores).
  type: int
cpu_sockets:
  description:
    - Sockets, KubeVirt's C(cpu.sockets).
  type: int
cpu_thread_policy:
  description:
    - Whether a core of the guest may be split over cores of the host where no whole one is free. With V(require) such a
      VM is refused; V(prefer) is what is done without it. Only libvirt has it.
    - V(require) needs O(dedicated_cpus) and O(cpu_threads) of 2.
  type: str
  choices: [prefer, require]
cpu_threads:
  description:
    - Threads of each core, KubeVirt's C(cpu.threads).
  type: int
cpu_limit:
  description:
    - CPU time that the VM may take, in CPUs such as V(2) or V(500m), KubeVirt's C(resources.limits.cpu).
  type: str
cpu_model:
  description:
    - CPU model, V(host-model), V(host-passthrough), or a name such as V(Skylake-Server).
    - libvirt also has V(maximum), all that the emulator or KVM can do.
    - A new VM gets V(host-model) with KVM (V(host-passthrough) on aarch64) and V(maximum) with emulation where nothing
      is declared.
  type: str
cpu_features:
  description:
    - CPU features, each with a C(name) and a C(policy) (V(force), V(require), V(optional), V(disable), V(forbid)).
  type: list
  elements: dict
memory:
  description:
    - The guest's memory as a Kubernetes quantity such as V(4Gi), KubeVirt's C(memory.guest).
  type: str
memory_limit:
  description:
    - Most memory that the VM may take of its host, KubeVirt's C(resources.limits.memory).
  type: str
smbios_uuid:
  description:
    - UUID that the firmware shows to the guest, KubeVirt's C(firmware.uuid).
  type: str
instancetype:
  description:
    - KubeVirt's C(instancetype), with C(name) and C(kind), in place of CPUs and memory. Only a cluster has it.
  type: dict
preference:
  description:
    - KubeVirt's C(preference), with C(name) and C(kind). Only a cluster has it.
  type: dict
data_volume_templates:
  description:
    - KubeVirt's C(dataVolumeTemplates), DataVolumes that are made for the VM and go with it. Only a cluster has it.
  type: list
  elements: dict
eviction_strategy:
  description:
    - What becomes of the VM where its node is emptied, KubeVirt's C(evictionStrategy), such as V(LiveMigrate) or
      V(None). Only a cluster has it.
  type: str
hostname:
  description:
    - Name of the guest in the cluster's DNS, KubeVirt's C(hostname). Only a cluster has it; see O(cloud_init.hostname).
  type: str
subdomain:
  description:
    - Subdomain of the guest in the cluster's DNS, KubeVirt's C(subdomain). Only a cluster has it.
  type: str
memory_locked:
  description:
    - Lock the guest's memory in the host's, so that it is never swapped. Only libvirt has it.
    - The host must allow it (C(RLIMIT_MEMLOCK) or C(CAP_SYS_RESOURCE) of libvirtd).
  type: bool
resources:
  description:
    - C(requests) and C(limits) of C(cpu) and C(memory), in KubeVirt's shape.
  type: dict
run_strategy:
  description:
    - Who keeps the VM's power, KubeVirt's C(runStrategy), V(Always), V(Halted), V(Manual), V(Once) or
      V(RerunOnFailure).
    - On libvirt, with O(state=present), V(Always) starts the VM and V(Halted) shuts it down whenever it is not so;
      V(Once) and V(RerunOnFailure) start a new one.
  type: str
running:
  description:
    - The older form of O(run_strategy), V(true) for V(Always) and V(false) for V(Halted). Not together with it.
  type: bool
hugepages:
  description:
    - Size of the huge pages that back the guest's memory, V(2Mi) or V(1Gi).
    - The memory must be a multiple of it.
  type: str
  aliases: [hugepage_size]
dedicated_cpus:
  description:
    - Give each vCPU a host CPU for itself, KubeVirt's C(cpu.dedicatedCpuPlacement).
    - On libvirt they come from C(cpu_pool), near one another on one NUMA node, and are never given to two VMs.
  type: bool
isolate_emulator_thread:
  description:
    - Give the emulator a dedicated CPU too, beside those of the vCPUs.
  type: bool
numa_passthrough:
  description:
    - Show the guest the NUMA nodes that its CPUs and memory come from, KubeVirt's
      C(cpu.numa.guestMappingPassthrough).
    - Needs O(dedicated_cpus) and O(hugepages).
  type: bool
realtime:
  description:
    - Run the vCPUs at a real-time priority (C(SCHED_FIFO), 1), without a PMU and without page merging.
    - Needs O(dedicated_cpus), O(numa_passthrough) and so O(hugepages).
  type: bool
realtime_mask:
  description:
    - The vCPUs that O(realtime) is for, such as V(1-3), all where it is not given.
  type: str
io_threads_policy:
  description:
    - V(shared) for one I/O thread of all disks, V(auto) for as many as disks, V(supplementalPool) for a number of
      threads in C(ioThreads.supplementalPoolThreadCount).
  type: str
machine_type:
  description:
    - Machine type, V(q35) for a new VM on x86 where nothing is declared.
    - A family such as V(q35) keeps the version that the VM was made with.
  type: str
firmware:
  description:
    - What the guest boots by.
  type: dict
  suboptions:
    bootloader:
      description:
        - BIOS or EFI.
      type: str
      choices: [bios, efi]
    secure_boot:
      description:
        - EFI with secure boot; it needs O(firmware.smm).
      type: bool
    smm:
      description:
        - System management mode.
      type: bool
disks:
  description:
    - Disks in KubeVirt's shape (C(name), one of C(disk), C(cdrom) or C(lun) with its C(bus), C(bootOrder), C(cache),
      …), each with its C(volume).
    - On libvirt a volume is a C(hostDisk) (C(path), C(type) V(Disk) or V(DiskOrCreate), C(capacity)), an
      C(emptyDisk), a C(cloudInitNoCloud), or a C(libvirt) with a block C(device).
    - Beside C(hostDisk), C(libvirt) says how its file is made, by C(format) (V(raw) or V(qcow2)), C(image) (a path or
      URL with its C(checksum)) or C(backingFile), C(owner), C(group) and C(mode).
    - A file that is there is never overwritten or shrunk.
  type: list
  elements: dict
interfaces:
  description:
    - Network interfaces in KubeVirt's shape (C(name), C(masquerade), C(bridge) or C(vhostuser), C(macAddress),
      C(model), C(bootOrder)), each with its C(network).
    - On libvirt a network is a C(pod) (QEMU's user-mode network, with C(masquerade)) or a C(libvirt) with a
      C(network), a C(bridge), a C(macvtap) with C(device) and C(mode), or a C(vhostuser) with the C(socket) that a
      switch such as Open vSwitch with DPDK connects to.
    - C(vhostuser) may have C(queues), C(rxQueueSize), C(txQueueSize) and C(mrgRxbuf). It needs O(hugepages).
    - On a cluster a network is a C(pod), a C(multus) with the C(networkName) of a NetworkAttachmentDefinition, or a
      C(resourceClaim) with C(claimName) and C(requestName). C(vhostuser) becomes the binding plugin of that name there,
      which decides on queues by itself.
  type: list
  elements: dict
volumes:
  description:
    - Volumes that are not nested in O(disks).
  type: list
  elements: dict
networks:
  description:
    - Networks that are not nested in O(interfaces).
  type: list
  elements: dict
cloud_init:
  description:
    - Data for cloud-init, as a C(cloudInitNoCloud) disk called V(cloudinit).
    - Data that changes is written anew; a guest reads it when it boots.
  type: dict
  aliases: [cloud_init_nocloud]
  suboptions:
    user_data:
      description:
        - User data, text as it is or a mapping of cloud-config.
      type: raw
      aliases: [userData]
    network_data:
      description:
        - Network configuration, text or a mapping.
      type: raw
      aliases: [networkData]
    hostname:
      description:
        - Short for C(hostname) of cloud-config. Not together with user data that is text.
      type: str
    users:
      description:
        - Short for C(users) of cloud-config. Not together with user data that is text.
      type: list
      elements: raw
    ssh_authorized_keys:
      description:
        - Short for C(ssh_authorized_keys) of cloud-config. Not together with user data that is text.
      type: list
      elements: str
watchdog:
  description:
    - A watchdog in KubeVirt's shape, C(name) and C(i6300esb) with its C(action).
    - Actions are V(reset), V(poweroff) and V(shutdown); libvirt also has V(pause), V(none), V(dump) and
      V(inject-nmi).
  type: dict
host_devices:
  description:
    - Devices of the host, each with a C(name) and, on a cluster, a C(deviceName), on libvirt the device's C(pci)
      address or C(mdev) UUID.
  type: list
  elements: dict
gpus:
  description:
    - GPUs of the host, in the same shape as O(host_devices).
  type: list
  elements: dict
multiqueue:
  description:
    - One queue of each network interface for each vCPU, KubeVirt's C(networkInterfaceMultiqueue).
    - User-mode networks have none.
  type: bool
block_multiqueue:
  description:
    - One queue of each virtio disk for each vCPU, KubeVirt's C(blockMultiQueue).
  type: bool
autoattach_graphics_device:
  description:
    - Whether the VM has a screen (VNC on the host's loopback, on libvirt). A new one has unless this is V(false).
  type: bool
autoattach_input_device:
  description:
    - Whether the VM has a tablet as pointing device.
  type: bool
autoattach_mem_balloon:
  description:
    - Whether the VM has a memory balloon. A new one has unless this is V(false); real-time VMs should not.
  type: bool
autoattach_pod_interface:
  description:
    - Whether a VM without O(interfaces) gets one. A new one does unless this is V(false).
  type: bool
autoattach_serial_console:
  description:
    - Whether the VM has a serial console. A new one has unless this is V(false).
  type: bool
clock:
  description:
    - The guest's clock in KubeVirt's shape, C(utc) or C(timezone), and C(timer).
  type: dict
termination_grace_period_seconds:
  description:
    - Seconds that a guest has to shut down, at most the time that the task waits.
  type: int
node_selector:
  description:
    - Labels of the nodes that the VM may run on. Only a cluster has them.
  type: dict
affinity:
  description:
    - Affinity to nodes and to other VMs. Only a cluster has it.
  type: dict
tolerations:
  description:
    - Taints of nodes that the VM tolerates. Only a cluster has them.
  type: list
  elements: dict
spec:
  description:
    - Laid over C(spec.template.spec) of the VirtualMachine, for anything that has no option of its own.
    - Dicts merge deeply, lists of named items by name, other lists are replaced.
  type: dict
definition:
  description:
    - A whole VirtualMachine manifest; the other options are laid over it.
  type: dict
  aliases: [inline, resource_definition]
"""

_VMS = r"""
vms:
  description:
    - Several VMs in one task, each with the options of one.
    - The task's own options are the defaults of each entry. Dicts merge deeply, lists of named items by name, other
      lists are replaced.
  type: list
  elements: dict
  suboptions:
"""


class ModuleDocFragment:
    # Each option stands twice, for one VM and inside vms: it is written once. (Annotated, as ansible-test's yamllint
    # reads plain assignments only, and this is no plain string.)
    DOCUMENTATION: str = (
        "options:\n"
        + textwrap.indent(_OPTIONS.lstrip("\n") + _VMS.lstrip("\n"), "  ")
        + textwrap.indent(
            _OPTIONS.lstrip("\n")
            .replace("O(firmware.", "O(vms[].firmware.")
            .replace("O(cloud_init.", "O(vms[].cloud_init."),
            "      ",
        )
    )
