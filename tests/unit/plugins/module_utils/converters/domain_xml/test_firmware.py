# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machine, firmware, direct kernel boot, the platform's features and its clock."""

from __future__ import annotations

import typing as t

import pytest

UUID = "6f4a52f8-3c5b-4c2f-9a35-1f2d3c4b5a69"


def domain(**given: t.Any) -> dict[str, t.Any]:
    return {"spec": {"domain": given}}


FACTS: dict[str, tuple[dict[str, t.Any], list[str]]] = {
    "BIOS by default": (
        {},
        [
            "@type = 'kvm'",
            "os/type[@arch='x86_64'][@machine='q35'] = 'hvm'",
            "not(os/@firmware)",
            "not(os/loader)",
            "features/acpi",
            "not(features/apic)",
            "not(features/smm)",
            "not(uuid)",
            "clock/@offset = 'utc'",
        ],
    ),
    "machine type": ({"machine_type": "pc-q35-7.2"}, ["os/type/@machine = 'pc-q35-7.2'"]),
    "EFI": (
        {"firmware": {"bootloader": "efi"}},
        [
            "os/@firmware = 'efi'",
            "not(os/loader/@secure = 'yes')",
            "os/firmware/feature[@name='secure-boot']/@enabled = 'no'",
            "os/firmware/feature[@name='enrolled-keys']/@enabled = 'no'",
            "not(features/smm)",
        ],
    ),
    "EFI with secure boot": (
        {"firmware": {"bootloader": "efi", "secure_boot": True, "smm": True}},
        [
            "os/@firmware = 'efi'",
            "os/loader/@secure = 'yes'",
            "os/firmware/feature[@name='secure-boot']/@enabled = 'yes'",
            "os/firmware/feature[@name='enrolled-keys']/@enabled = 'yes'",
            "features/smm/@state = 'on'",
        ],
    ),
    "secure boot by KubeVirt's default": (
        domain(firmware={"bootloader": {"efi": {}}}, features={"smm": {}}),
        ["os/loader/@secure = 'yes'", "features/smm/@state = 'on'"],
    ),
    "SMM off": ({"firmware": {"smm": False}}, ["features/smm/@state = 'off'"]),
    "serial console of the BIOS": (
        domain(firmware={"bootloader": {"bios": {"useSerial": True}}}),
        ["os/bios/@useserial = 'yes'"],
    ),
    "UUID": (domain(firmware={"uuid": UUID}), [f"uuid = '{UUID}'"]),
    "kernel": (
        domain(
            firmware={
                "kernelBoot": {
                    "kernelArgs": "console=ttyS0 quiet",
                    "libvirt": {"kernelPath": "/boot/vmlinuz", "initrdPath": "/boot/initrd.img"},
                }
            }
        ),
        [
            "os/kernel = '/boot/vmlinuz'",
            "os/initrd = '/boot/initrd.img'",
            "os/cmdline = 'console=ttyS0 quiet'",
            "os/type/@machine = 'q35'",
        ],
    ),
    "kernel alone": (
        domain(firmware={"kernelBoot": {"libvirt": {"kernelPath": "/boot/vmlinuz"}}}),
        ["os/kernel = '/boot/vmlinuz'", "not(os/initrd)", "not(os/cmdline)"],
    ),
    "features": (
        domain(features={"acpi": {"enabled": False}, "apic": {}, "kvm": {"hidden": True}}),
        ["not(features/acpi)", "features/apic", "features/kvm/hidden/@state = 'on'"],
    ),
    "Hyper-V with what it needs": (
        domain(features={"hyperv": {"tlbflush": {}, "synictimer": {}, "ipi": {"enabled": False}}}),
        [
            "features/hyperv/vpindex/@state = 'on'",
            "features/hyperv/synic/@state = 'on'",
            "features/hyperv/ipi/@state = 'off'",
            "count(features/hyperv/*) = 5",
        ],
    ),
    "Hyper-V": (
        domain(
            features={
                "hyperv": {
                    "relaxed": {},
                    "vapic": {"enabled": False},
                    "synic": {},
                    "synictimer": {},
                    "spinlocks": {"spinlocks": 8191},
                    "vendorid": {"vendorid": "KVM Hv"},
                    "frequencies": {},
                    "reenlightenment": {},
                    "tlbflush": {},
                    "ipi": {},
                    "reset": {},
                    "runtime": {},
                    "vpindex": {},
                }
            }
        ),
        [
            "features/hyperv/relaxed/@state = 'on'",
            "features/hyperv/vapic/@state = 'off'",
            "features/hyperv/stimer/@state = 'on'",
            "features/hyperv/spinlocks[@state='on']/@retries = '8191'",
            "features/hyperv/vendor_id[@state='on']/@value = 'KVM Hv'",
            "count(features/hyperv/*) = 13",
        ],
    ),
    "spinlocks by KubeVirt's default": (
        domain(features={"hyperv": {"spinlocks": {}}}),
        ["features/hyperv/spinlocks[@state='on']/@retries = '4096'"],
    ),
    "time zone": (
        {"clock": {"timezone": "Europe/Prague"}},
        ["clock[@offset='timezone']/@timezone = 'Europe/Prague'"],
    ),
    "clock that is ahead": (
        {"clock": {"utc": {"offsetSeconds": 3600}}},
        ["clock[@offset='variable'][@basis='utc']/@adjustment = '3600'"],
    ),
    "timers": (
        {
            "clock": {
                "utc": {},
                "timer": {
                    "hpet": {"present": False},
                    "pit": {"tickPolicy": "delay"},
                    "rtc": {"tickPolicy": "catchup", "track": "guest"},
                    "kvm": {},
                    "hyperv": {"present": True},
                },
            }
        },
        [
            "count(clock/timer) = 5",
            "clock/timer[@name='hpet']/@present = 'no'",
            "clock/timer[@name='pit'][@present='yes']/@tickpolicy = 'delay'",
            "clock/timer[@name='rtc'][@track='guest']/@tickpolicy = 'catchup'",
            "clock/timer[@name='kvmclock']/@present = 'yes'",
            "clock/timer[@name='hypervclock']/@present = 'yes'",
        ],
    ),
}


@pytest.mark.parametrize("what", FACTS)
def test_firmware(convert: t.Callable[..., t.Any], what: str) -> None:
    options, facts = FACTS[what]
    convert(options).holds(*facts)
