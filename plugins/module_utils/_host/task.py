# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The main() of every module that prepares the host it runs on.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import FileChange, Host

__all__ = ["diff_of", "difference", "run_on_host"]

_DIFF = ("before_header", "after_header", "before", "after")

Converge = t.Callable[[t.Mapping[str, t.Any], bool, Host], "dict[str, t.Any]"]


def run_on_host(arguments: dict[str, t.Any], converge: Converge) -> t.NoReturn:
    """Run a task on this host: the one place where errors become ``fail_json``.

    :arg converge: makes a task's result from its options, whether it is only to predict, and the host. Its ``warnings``
        are shown and are no part of the result.
    """
    new: t.Any = AnsibleModule
    task: AnsibleModule = new(argument_spec=arguments, supports_check_mode=True)
    try:
        result = converge(task.params, task.check_mode, Host())
    except RtvirtError as error:
        task.fail_json(msg=error.message, **error.details)
    for warning in result.pop("warnings", ()):
        task.warn(warning)
    task.exit_json(**result)


def difference(what: str, before: str, after: str) -> list[dict[str, str]]:
    """Ansible's diff of one thing, nothing where it stays as it is."""
    return [] if before == after else [dict(zip(_DIFF, (what, what, before, after)))]


def diff_of(changes: t.Iterable[FileChange]) -> list[dict[str, str]]:
    """Ansible's diff of files."""
    return [one for change in changes for one in difference(change.path, change.before or "", change.after or "")]
