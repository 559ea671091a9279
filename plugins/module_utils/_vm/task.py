# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module of a task that takes declarations: it prints and logs nothing of what cloud-init is given.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

``no_log`` in the argument spec is no way to do it: secrets stand deep in ``volumes``, ``spec`` and ``definition``, and
every string of such an option would be blotted out of the whole result.
"""

from __future__ import annotations

import functools
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.parameters import remove_values

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._vm.secrets import printable_options

__all__ = ["Task", "run"]


class Task(AnsibleModule):
    """Ansible's module, whose ``invocation`` (shown by -vvv) and log entry are without secrets."""

    def exit_json(self, **kwargs: t.Any) -> t.NoReturn:
        super().exit_json(**kwargs, invocation=self._invocation)

    def fail_json(self, msg: str, **kwargs: t.Any) -> t.NoReturn:
        super().fail_json(msg, **kwargs, invocation=self._invocation)

    def _log_invocation(self) -> None:
        """Ansible's own would log every option as it was given.

        Secrets go before there is a text: in that of a dict a secret with a quote or backslash is written otherwise.
        """
        write: t.Any = self.log
        without: t.Any = remove_values
        write(f"Invoked with {without(self._invocation['module_args'], self.no_log_values)}")

    @functools.cached_property
    def _invocation(self) -> dict[str, t.Any]:
        return {"module_args": printable_options(self.params)}


def run(
    arguments: dict[str, t.Any],
    converge: t.Callable[[t.Mapping[str, t.Any], bool], dict[str, t.Any]],
    secrets: t.Callable[[t.Mapping[str, t.Any]], set[str]] | None = None,
) -> t.NoReturn:
    """Run a task: the one place where errors become ``fail_json``.

    :arg converge: makes a task's result from its options and whether it is only to predict.
    :arg secrets: further values that must not be printed.
    """
    new: t.Any = Task
    task: Task = new(argument_spec=arguments, supports_check_mode=True)
    if secrets is not None:
        task.no_log_values.update(secrets(task.params))
    try:
        result = converge(task.params, task.check_mode)
    except RtvirtError as error:
        task.fail_json(msg=error.message, **error.details)
    for warning in result.pop("warnings", ()):
        task.warn(warning)
    task.exit_json(**result)
