# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which boot loader a host has.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._host.bootloaders.boot_entries import Bootloader
from ansible_collections.rtvirt.core.plugins.module_utils._host.bootloaders.grub_drop_in import GrubDropIn
from ansible_collections.rtvirt.core.plugins.module_utils._host.bootloaders.grub_settings import GrubSettings
from ansible_collections.rtvirt.core.plugins.module_utils._host.bootloaders.grubby import Grubby
from ansible_collections.rtvirt.core.plugins.module_utils._host.bootloaders.rpm_ostree import RpmOstree
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host

__all__ = ["find_bootloader"]

#: (what is there, what it is): boot loaders that are recognised, to be refused by their names.
_OTHERS = (
    ("/etc/zipl.conf", "zipl (s390x)"),
    ("/boot/extlinux/extlinux.conf", "extlinux"),
    ("/boot/loader/loader.conf", "systemd-boot"),
    ("/boot/efi/loader/loader.conf", "systemd-boot"),
    ("/efi/loader/loader.conf", "systemd-boot"),
    ("/boot/firmware/cmdline.txt", "the firmware of a Raspberry Pi"),
)

_KNOWN = "rpm-ostree, grubby, update-grub (Debian, Ubuntu) and grub2-mkconfig"


def find_bootloader(host: Host) -> Bootloader:
    """:raises RtvirtError: for one that is not known here."""
    if RpmOstree.is_there(host):
        return RpmOstree(host)
    for path, name in _OTHERS:
        if host.exists(path):
            raise RtvirtError(
                f"this host boots by {name} ({path}), whose arguments are not managed here, but by {_KNOWN}"
            )
    if Grubby.is_there(host):
        return Grubby(host)
    if GrubDropIn.is_there(host):
        return GrubDropIn(host)
    if GrubSettings.is_there(host):
        return GrubSettings(host)
    raise RtvirtError(f"this host's boot loader is none of those that are managed here: {_KNOWN}")
