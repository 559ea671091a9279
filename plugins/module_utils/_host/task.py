# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every task of a host is, and the main() of its module.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import FileChange, Host

__all__ = ["Planned", "Result", "diff_of", "difference", "run_on_host"]

_DIFF = ("before_header", "after_header", "before", "after")

#: A module's result. Its ``warnings`` are shown, and are no part of it.
Result = dict[str, t.Any]


@dataclass(frozen=True)
class Planned:
    """A task that has read the host, and written nothing yet.

    :ivar predict: tells what a run would, as check mode does.
    :ivar apply: brings the host to what is declared, and tells how it is.
    """

    predict: t.Callable[[], Result]
    apply: t.Callable[[], Result]


def run_on_host(arguments: dict[str, t.Any], plan: t.Callable[[t.Mapping[str, t.Any], Host], Planned]) -> t.NoReturn:
    """Run a task on this host: the one place where errors become ``fail_json``.

    :arg plan: looks at a task's options and the host.
    """
    new: t.Any = AnsibleModule
    task: AnsibleModule = new(argument_spec=arguments, supports_check_mode=True)
    try:
        planned = plan(task.params, Host())
        result = planned.predict() if task.check_mode else planned.apply()
    except RtvirtError as error:
        task.fail_json(msg=error.message, **error.details)
    except PermissionError as error:
        task.fail_json(msg=f"{error.filename}: {error.strerror}: run the task as root (become: true)")
    except OSError as error:
        task.fail_json(msg=f"{error.filename or 'the host'}: {error.strerror or error}")
    for warning in result.pop("warnings", ()):
        task.warn(warning)
    task.exit_json(**result)


def difference(what: str, before: str, after: str) -> list[dict[str, str]]:
    """Ansible's diff of one thing, nothing where it stays as it is."""
    return [] if before == after else [dict(zip(_DIFF, (what, what, before, after)))]


def diff_of(changes: t.Iterable[FileChange]) -> list[dict[str, str]]:
    """Ansible's diff of files."""
    return [one for change in changes for one in difference(change.path, change.before or "", change.after or "")]
