# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a test works on: domains, networks and files of its own on the real libvirtd, all of them gone at its end."""

from __future__ import annotations

import contextlib
import re
import secrets
import shutil
import typing as t
import xml.etree.ElementTree as ET
from pathlib import Path

import libvirt

from ansible_collections.rtvirt.core.tests.integration.waiting import until

URI = "qemu:///system"
_POWER = {
    libvirt.VIR_DOMAIN_RUNNING: "running",
    libvirt.VIR_DOMAIN_PAUSED: "paused",
    libvirt.VIR_DOMAIN_SHUTOFF: "stopped",
}
_UNDEFINE = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
    | libvirt.VIR_DOMAIN_UNDEFINE_TPM
)
#: Where libvirt keeps what belongs to a domain, by the domain's name.
_LEFTOVERS = (
    "/var/log/libvirt/qemu",
    "/var/log/swtpm/libvirt/qemu",
    "/var/lib/libvirt/qemu/nvram",
    "/etc/libvirt/qemu/autostart",
)


class Bed:
    """Domains whose names start with a prefix that nobody else has, and a folder that QEMU's user may enter."""

    def __init__(self) -> None:
        self.prefix = f"rtvirt-test-{secrets.token_hex(3)}"
        self.folder = Path("/var/lib/libvirt/images", self.prefix)
        self.folder.mkdir(mode=0o755)
        self._connection: libvirt.virConnect | None = None

    @property
    def connection(self) -> libvirt.virConnect:
        """A connection of the test's own; a new one where libvirtd was killed meanwhile."""
        with contextlib.suppress(libvirt.libvirtError):
            if self._connection is not None and self._connection.getLibVersion():
                return self._connection
        self._connection = libvirt.open(URI)
        return self._connection

    def name(self, short: str = "vm") -> str:
        return f"{self.prefix}-{short}"

    def bare(self, short: str = "vm", **options: t.Any) -> dict[str, t.Any]:
        """Options of a small VM that starts at once, and has no system that could shut down."""
        return {
            "name": self.name(short),
            "memory": "64Mi",
            "autoattach_graphics_device": False,
            "autoattach_pod_interface": False,
            "volume_dir": str(self.folder),
            **options,
        }

    def disk(self, name: str, capacity: str = "8Mi", **given: t.Any) -> dict[str, t.Any]:
        """A disk to be created in the folder; ``given`` is merged into the volume's libvirt part."""
        path = str(self.folder / f"{name}.img")
        volume: dict[str, t.Any] = {"hostDisk": {"path": path, "type": "DiskOrCreate", "capacity": capacity}}
        if given:
            volume["libvirt"] = given
        return {"name": name, "disk": {"bus": "virtio"}, "volume": volume}

    def transient(self, short: str) -> libvirt.virDomain:
        """A guest without a definition: it is gone when it ends."""
        return self.connection.createXML(
            f"<domain type='qemu'><name>{self.name(short)}</name><memory unit='MiB'>64</memory>"
            "<os><type arch='x86_64' machine='q35'>hvm</type></os></domain>"
        )

    def domains(self) -> dict[str, libvirt.virDomain]:
        return {d.name(): d for d in self.connection.listAllDomains() if d.name().startswith(self.prefix)}

    def domain(self, short: str = "vm") -> libvirt.virDomain:
        return self.domains()[self.name(short)]

    def text(self, short: str = "vm", *, running: bool = False) -> str:
        return str(self.domain(short).XMLDesc(0 if running else libvirt.VIR_DOMAIN_XML_INACTIVE))

    def xml(self, short: str = "vm", *, running: bool = False) -> ET.Element:
        return ET.fromstring(self.text(short, running=running))

    def power(self, short: str = "vm") -> str:
        domain = self.domains().get(self.name(short))
        return "absent" if domain is None else _POWER[domain.state()[0]]

    def edit(self, *replacements: tuple[str, str], short: str = "vm") -> None:
        """What a user does in virsh edit."""
        text = self.text(short)
        for pattern, by in replacements:
            text, count = re.subn(pattern, by, text, count=1, flags=re.DOTALL)
            assert count, f"{pattern} is not in {text}"
        self.connection.defineXML(text)

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    def console(self, short: str = "vm") -> str:
        path = Path(f"/var/log/libvirt/qemu/{self.name(short)}-console.log")
        return path.read_text(errors="replace") if path.exists() else ""

    def facts(self, short: str = "vm", *, boots: int = 1, timeout: float = 90) -> dict[str, str]:
        """What the guest said on its console in its last boot, once it is ready for the given time."""
        until("the guest is ready", lambda: self.console(short).count("rtvirt-guest: ready") >= boots, timeout)
        said = self.console(short).rpartition("rtvirt-guest: kernel=")
        return dict(re.findall(r"rtvirt-guest: (\w+)=(.*?)\r?\n", said[1] + said[2]))

    def qemu(self, short: str = "vm") -> int:
        """The process id of a running guest."""
        return int(Path(f"/run/libvirt/qemu/{self.name(short)}.pid").read_text())

    def clear(self) -> None:
        """Remove every domain, network and file of this bed, whatever state it is in."""
        for name, domain in self.domains().items():
            with contextlib.suppress(libvirt.libvirtError):
                domain.destroy()
            with contextlib.suppress(libvirt.libvirtError):
                domain.undefineFlags(_UNDEFINE)
            assert name not in self.domains(), f"{name} cannot be removed"
        # A guest goes before its network.
        for network in self.connection.listAllNetworks():
            if network.name().startswith(self.prefix):
                if network.isActive():
                    network.destroy()
                if network.isPersistent():
                    network.undefine()
        shutil.rmtree(self.folder, ignore_errors=True)
        for folder in _LEFTOVERS:
            for path in Path(folder).glob(f"{self.prefix}*"):
                path.unlink(missing_ok=True)
