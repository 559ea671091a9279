# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boot loaders' tools as far as tests need them, each with the behaviour (and the faults) that its source has.

Not the real ones: update-grub runs for real in the lab host; grubby, grub2-mkconfig and rpm-ostree nowhere here.
"""

from __future__ import annotations

import re
import subprocess
import typing as t
from pathlib import Path

from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Ran
from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._host.tree import Tree

M = t.TypeVar("M", bound="Machine")
DEBIANS = 'GRUB_CMDLINE_LINUX_DEFAULT="quiet"\nGRUB_CMDLINE_LINUX=""\n'
GRUBENV = "/boot/grub2/grubenv"
KERNELS = ("6.1.0-28-rt-amd64", "6.1.0-28-amd64")


class Machine(Tree):
    """What its tools do is told by who installs them."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        #: Answers instead of a tool's own: (status, errors).
        self.failing: dict[str, tuple[int, str]] = {}
        self.tools: dict[str, t.Callable[..., Ran]] = {}
        #: Those of grubby's entries.
        self.lines: list[str] = []
        #: How often rpm-ostree is at work for somebody else.
        self.busy = 0
        self.put("/proc/cmdline", "BOOT_IMAGE=/vmlinuz-6.1.0-28-amd64 root=UUID=1f2e ro quiet\n")

    def has(self, name: str, act: t.Callable[..., Ran]) -> None:
        """Install a tool."""
        self.put(f"/usr/sbin/{name}", "")
        self.tools[name] = act

    def answer(self, command: t.Sequence[str]) -> Ran:
        name, *arguments = command
        if name in self.failing:
            status, errors = self.failing[name]
            return Ran(status, "", errors)
        if name not in self.tools:
            raise FileNotFoundError(name)
        return self.tools[name](*arguments)


# Debian


def debian(root: Path, *, settings: str = DEBIANS) -> Machine:
    return debianized(Machine(root), settings)


def debianized(machine: M, settings: str = DEBIANS) -> M:
    machine.put("/etc/default/grub", settings)
    machine.has("update-grub", lambda *_arguments: _update_grub(machine))
    _update_grub(machine)
    return machine


def _update_grub(machine: Machine) -> Ran:
    """As Debian's grub-mkconfig: the shell reads the settings, a new menu takes the old one's place at the end."""
    script = """
        . "$0/etc/default/grub"
        for file in "$0"/etc/default/grub.d/*.cfg; do [ -e "$file" ] && . "$file"; done
        printf '%s\\n' "$GRUB_CMDLINE_LINUX" "$GRUB_CMDLINE_LINUX $GRUB_CMDLINE_LINUX_DEFAULT" "${GRUB_DEFAULT:-0}"
    """
    shell = subprocess.run(["sh", "-c", script, str(machine.root)], capture_output=True, text=True, check=True)
    recovery, normal, default = shell.stdout.splitlines()
    newest = _entry("Debian GNU/Linux", "simple", KERNELS[0], normal)
    more = [
        _entry(f"Debian GNU/Linux, with Linux {kernel}", f"{kernel}-advanced", kernel, normal)
        + _entry(
            f"Debian GNU/Linux, with Linux {kernel} (recovery mode)", f"{kernel}-recovery", kernel, f"single {recovery}"
        )
        for kernel in KERNELS
    ]
    submenu = "submenu 'Advanced options for Debian GNU/Linux' $menuentry_id_option 'gnulinux-advanced-1f2e' {\n"
    other = "menuentry 'Other system' {\n\tlinux /vmlinuz root=/dev/sdb1 isolcpus=1\n}\n"
    machine.put(
        "/boot/grub/grub.cfg",
        '### BEGIN /etc/grub.d/00_header ###\nif [ "${next_entry}" ] ; then\n   set default="${next_entry}"\n'
        f'else\n   set default="{default}"\nfi\n### END /etc/grub.d/00_header ###\n'
        f"### BEGIN /etc/grub.d/10_linux ###\n{newest}{submenu}{''.join(more)}}}\n### END /etc/grub.d/10_linux ###\n"
        f"### BEGIN /etc/grub.d/30_os-prober ###\n{other}### END /etc/grub.d/30_os-prober ###\n",
    )
    return Ran(0, "", "Generating grub configuration file ...\n")


def _entry(title: str, identifier: str, kernel: str, line: str) -> str:
    return (
        f"menuentry '{title}' --class debian $menuentry_id_option 'gnulinux-{identifier}-1f2e' {{\n"
        f"\techo\t'Loading Linux {kernel} ...'\n"
        f"\tlinux\t/vmlinuz-{kernel} root=UUID=1f2e ro {line}\n"
        f"\tinitrd\t/initrd.img-{kernel}\n}}\n"
    )


# Red Hat


def redhat(root: Path, arguments: str = "ro console=tty0 quiet", second: str | None = None) -> Machine:
    """Two kernels and the rescue system, changed by grubby."""
    machine = Machine(root)
    machine.lines = [arguments, arguments if second is None else second, "ro rescue"]
    machine.has("grubby", lambda *given: _grubby(machine, *given))
    machine.put("/etc/default/grub", f'GRUB_CMDLINE_LINUX="{arguments}"\n')
    machine.put("/etc/kernel/cmdline", f"root=UUID=1f2e {arguments}\n")
    return machine


def _grubby(machine: Machine, *given: str) -> Ran:
    """grubby-bls of RHEL 9, update_args and all: what is added takes away all of its name, what is removed is a regular
    expression that does not see the second of two neighbours, and the status is 0 whatever was done. With ALL it also
    changes what new kernels are made of: the settings, grubenv's kernelopts, and /etc/kernel/cmdline, which it makes.
    """
    if given == ("--info=ALL",):
        names = ["/boot/vmlinuz-5.14.0-503", "/boot/vmlinuz-5.14.0-427", "/boot/vmlinuz-0-rescue-1f2e"]
        return Ran(0, "".join(_info(*one) for one in zip(range(3), names, machine.lines)), "")
    options = dict(option.split("=", 1) for option in given)
    assert options["--update-kernel"] == "ALL"
    change = options.get("--remove-args", "").split(), options.get("--args", "").split()
    for path, field in (("/etc/default/grub", r'(?<=^GRUB_CMDLINE_LINUX=").+(?=")'), (GRUBENV, "(?<=^kernelopts=).+")):
        text = machine.read(path)
        if text is not None:
            machine.put(path, re.sub(field, lambda found: _update_args(found[0], *change), text, flags=re.MULTILINE))
    made_of = machine.read("/etc/kernel/cmdline") or f"root=UUID=1f2e {machine.lines[0]}\n"
    machine.put("/etc/kernel/cmdline", _update_args(made_of.splitlines()[0], *change) + "\n")
    machine.lines[:] = [_update_args(line, *change) for line in machine.lines]
    return Ran(0, "", "")


def _update_args(line: str, removed: t.Sequence[str], added: t.Sequence[str]) -> str:
    for argument in removed:
        if re.search(r"(?<!\\)=", argument):
            line = re.sub(rf"(^|\s){argument}(\s|$)", " ", line, count=1)
        else:
            line = re.sub(rf"(^|\s){argument}(=\S*)?(\s|$)", " ", line)
    for argument in added:
        name = argument.partition("=")[0]
        line = " ".join(one for one in line.split() if one.partition("=")[0] != name)
    return " ".join([*line.split(), *added])


def _info(index: int, kernel: str, arguments: str) -> str:
    return (
        f'index={index}\nkernel="{kernel}"\nargs="{arguments}"\nroot="UUID=1f2e"\n'
        f'initrd="/boot/initramfs.img"\ntitle="Red Hat Enterprise Linux {index}"\nid="1f2e-{index}"\n'
    )


# rpm-ostree


def coreos(root: Path, arguments: str = "ostree=/ostree/boot.1 root=UUID=1f2e ro quiet") -> Machine:
    machine = Machine(root)
    machine.put("/run/ostree-booted", "")
    machine.put("/ostree/kargs", arguments)

    def kargs(_kargs: str, *options: str) -> Ran:
        line = (machine.read("/ostree/kargs") or "").split()
        for option in options:
            action, argument = option.split("=", 1)
            if action == "--delete":
                if argument not in line:
                    return Ran(1, "", f"error: No key '{argument}' found")
                line.remove(argument)
            else:
                line.append(argument)
        if options and machine.busy:
            machine.busy -= 1
            return Ran(1, "", "error: Transaction in progress: upgrade\n You can cancel the current transaction with"
                              " `rpm-ostree cancel`\n")  # fmt: skip
        if options:
            machine.put("/ostree/kargs", " ".join(line))
        return Ran(0, " ".join(line) + "\n", "")

    machine.has("rpm-ostree", kargs)
    return machine


# grub2-mkconfig alone


def suse(root: Path, *, knows_bls: bool = False) -> Machine:
    machine = Machine(root)
    machine.put("/etc/default/grub", 'GRUB_CMDLINE_LINUX_DEFAULT="quiet"')

    def mkconfig(*given: str) -> Ran:
        if given == ("--help",):
            return Ran(0, "  --update-bls-cmdline\n" if knows_bls else "  -o, --output=FILE\n", "")
        assert given[:2] == ("-o", "/boot/grub2/grub.cfg")
        assert ("--update-bls-cmdline" in given) == knows_bls
        _update_grub(machine)
        text = machine.read("/boot/grub/grub.cfg") or ""
        machine.put("/boot/grub2/grub.cfg", text)
        (machine.root / "boot/grub/grub.cfg").unlink()
        return Ran(0, "", "")

    machine.has("grub2-mkconfig", mkconfig)
    mkconfig("-o", "/boot/grub2/grub.cfg", *(["--update-bls-cmdline"] if knows_bls else []))
    machine.ran.clear()
    return machine
