#!/usr/bin/python
# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: libvirt_guest_password
short_description: Set a user's password in a running guest
version_added: 0.1.0
description:
  - Has the guest's agent set the password of one of the guest's users, as C(virsh set-user-password) does. A guest that
    is made anew gets its passwords by O(rtvirt.core.libvirt_vm#module:cloud_init).
  - A hash is compared with the guest's before it is set, where the agent may read files. A plain password cannot be
    compared, and is set each time.
extends_documentation_fragment:
  - rtvirt.core.connection
options:
  name:
    description:
      - libvirt's name of the VM, which runs.
    type: str
    required: true
  user:
    description:
      - The user, whom the guest has already. Windows' administrator is V(Administrator).
    type: str
    default: root
  password:
    description:
      - The password, or with O(encrypted=true) its hash.
    type: str
    required: true
  encrypted:
    description:
      - Whether O(password) is a hash as in the guest's C(/etc/shadow), such as the filter
        C(password_hash) makes. Give that a salt, as it makes another one each time otherwise. Windows takes no
        hash.
    type: bool
    default: false
attributes:
  check_mode:
    description: Can run in check mode and say what it would do without changing anything.
    support: full
  diff_mode:
    description: Passwords are not shown.
    support: none
  idempotent:
    description: With O(encrypted=true), of a guest whose agent may read files. Any other password is set each time.
    support: partial
  platform:
    description: Where the module runs.
    support: full
    platforms: posix
notes:
  - The guest needs its agent, with C(guest-set-user-password) allowed; C(guest-file-open), C(guest-file-read) and
    C(guest-file-close), by which it is compared, are not allowed by default on RHEL.
  - libvirt marks a VM whose agent was asked this way as tainted (C(custom-ga-command)) until it is stopped, which does
    no harm.
seealso:
  - module: rtvirt.core.libvirt_vm
author:
  - The rtvirt.core authors (@rtvirt)
"""

EXAMPLES = r"""
- name: A hash, which is set only where the guest has another
  rtvirt.core.libvirt_guest_password:
    name: web1
    password: "{{ web1_password | password_hash('sha512', salt='web1salt') }}"
    encrypted: true

- name: A plain password of another user
  rtvirt.core.libvirt_guest_password:
    name: desktop
    user: Administrator
    password: "{{ desktop_password }}"
"""

RETURN = r"""
user:
  description: The user whose password it is.
  type: str
  returned: success
  sample: root
"""

import re
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem, RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.connection import CONNECTION, connected
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.guest import Guest, running
from ansible_collections.rtvirt.core.plugins.module_utils._vm.task import run

ARGUMENTS: dict[str, t.Any] = {
    **CONNECTION,
    "name": {"type": "str", "required": True},
    "user": {"type": "str", "default": "root"},
    "password": {"type": "str", "required": True, "no_log": True},
    "encrypted": {"type": "bool", "default": False},
}

#: crypt(5): a method between dollar signs, and printable characters without those that shadow(5) gives a meaning.
_HASH = re.compile(r"\$[a-z0-9]+\$[!-~]+")


def check(params: t.Mapping[str, t.Any]) -> None:
    """:raises DeclarationError: for what no guest could have."""
    problems = []
    user, password = params["user"], params["password"]
    if not user or re.search(r"[:\n]", user):
        problems.append(Problem("user", f"is {user!r}: write the name of a user of the guest"))
    if params["encrypted"]:
        if not _HASH.fullmatch(password) or re.search(r"[:!*;\\]", password):
            problems.append(
                Problem("password", "is no hash: write one as in /etc/shadow ($6$salt$…), or encrypted: false")
            )
    elif not password or "\n" in password:
        problems.append(Problem("password", "is empty or has more than one line: write the password"))
    if problems:
        raise DeclarationError(problems)


def hash_of(guest: Guest, user: str) -> str | None:
    """The hash that a guest has of a user's password, None where it does not tell."""
    lines = (line.split(":") for line in (guest.read("/etc/shadow") or "").splitlines())
    return next((line[1] for line in lines if line[0] == user and len(line) > 1), None)


def converge(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    check(params)
    user, password = params["user"], params["password"]
    with connected(params["uri"]) as connection:
        guest = Guest(running(connection, params["name"]).handle, "set passwords", ["guest-set-user-password"])
        changed = not (params["encrypted"] and hash_of(guest, user) == password)
        if changed and not check_mode:
            guest.set_password(user, password, encrypted=params["encrypted"])
            if params["encrypted"] and hash_of(guest, user) not in (None, password):
                raise RtvirtError(f"{guest.name} has another password of {user} than was set: look at the guest")
    return {"changed": changed, "user": user}


def main() -> None:
    run(ARGUMENTS, converge)


if __name__ == "__main__":
    main()
