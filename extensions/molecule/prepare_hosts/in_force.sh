#!/bin/sh
# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# in_force.sh ADDRESS: what is in force on this host, as name=value, by the kernel's own files.

set -e
case $1 in ????:*) address=$1 ;; *) address=0000:$1 ;; esac
device=/sys/bus/pci/devices/$address
echo "version=$(uname -v)"
echo "cmdline=$(cat /proc/cmdline)"
echo "isolated=$(cat /sys/devices/system/cpu/isolated)"
for node in 0 1; do
    echo "pages$node=$(cat /sys/devices/system/node/node$node/hugepages/hugepages-2048kB/nr_hugepages)"
done
echo "driver=$(basename "$(readlink "$device/driver")")"
[ -c "/dev/vfio/$(basename "$(readlink "$device/iommu_group")")" ] && echo device=yes || echo device=no
echo "rt_runtime=$(cat /proc/sys/kernel/sched_rt_runtime_us)"
echo "affinity=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/1/status)"
# kvm_amd itself does not start here: with a real-time kernel it needs a CPU with constant_tsc. Its parameter is seen by
# tests/integration/hosts/test_nested_kvm.py, with the other kernel.
echo "nested_option=$(modprobe --showconfig | sed -n 's/^options kvm_amd //p')"
echo "kvmclock=$(cat /sys/module/kvm/parameters/kvmclock_periodic_sync)"
