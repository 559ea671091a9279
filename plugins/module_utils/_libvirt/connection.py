# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection to libvirtd, and its errors in the collection's words.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

Documented in ``plugins/doc_fragments/connection.py``.
"""

from __future__ import annotations

import contextlib
import re
import threading
import traceback
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError

try:
    import libvirt

    LIBVIRT_IMPORT_ERROR: str | None = None
except ImportError:
    LIBVIRT_IMPORT_ERROR = traceback.format_exc()

#: What libvirt's client says when the daemon is gone in the middle of a call, under various codes.
_LOST = re.compile(
    r"Broken pipe|Cannot (?:recv|write) data|Connection reset|End of file while reading|"
    r"client socket is closed|connection (?:closed|aborted)",
    re.IGNORECASE,
)

#: What to do then; and where there has been no connection yet.
_WENT_AWAY = "libvirtd went away; run the task again, what was done is kept and the rest is caught up"
_UNREACHABLE = "can the host be reached, and libvirt used there, by the user whom the module runs as?"

__all__ = ["CONNECTION", "LIBVIRT_IMPORT_ERROR", "connected", "doing", "is_local", "those_present"]

CONNECTION: dict[str, dict[str, t.Any]] = {"uri": {"type": "str", "default": "qemu:///system"}}


@contextlib.contextmanager
def doing(action: str, if_lost: str = _WENT_AWAY) -> t.Iterator[None]:
    """Turn libvirt's errors into the collection's; the message starts with what was being done."""
    try:
        yield
    except libvirt.libvirtError as error:
        raise RtvirtError(f"{action}: {_explained(error, if_lost)}", libvirt_code=error.get_error_code()) from error


_T = t.TypeVar("_T")


def those_present(handles: t.Iterable[t.Any], read: t.Callable[[t.Any], _T]) -> t.Iterator[_T]:
    """What is read of each of libvirt's objects. One that has gone since they were listed is left out."""
    for handle in handles:
        try:
            yield read(handle)
        except RtvirtError as error:
            if error.details.get("libvirt_code") not in (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_NO_NETWORK):
                raise


@contextlib.contextmanager
def connected(uri: str) -> t.Iterator[t.Any]:
    """An open connection, closed at the end, whose events are handled meanwhile."""
    if LIBVIRT_IMPORT_ERROR is not None:
        raise RtvirtError(
            "the Python library libvirt is not installed on this host for the interpreter that runs the module: "
            "install python3-libvirt, or libvirt-python by pip",
            exception=LIBVIRT_IMPORT_ERROR,
        )
    # libvirt prints errors to stderr by itself unless told where they go.
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    with _events_handled():
        with doing(f"connect to {uri}", _UNREACHABLE):
            connection = libvirt.open(uri)
        try:
            yield connection
        finally:
            with contextlib.suppress(libvirt.libvirtError):
                connection.close()


@contextlib.contextmanager
def _events_handled() -> t.Iterator[None]:
    """Turn libvirt's event loop in the background.

    libvirtd asks a client that has one whether it is alive, and drops it when it has not answered for half a minute,
    be it busy with a large image or waiting for another task.
    """
    libvirt.virEventRegisterDefaultImpl()
    timer = libvirt.virEventAddTimeout(-1, lambda *_timer: None, None)
    ended = threading.Event()

    def turn() -> None:
        while not ended.is_set():
            libvirt.virEventRunDefaultImpl()

    thread = threading.Thread(target=turn, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        # Wakes the loop, which then ends.
        libvirt.virEventUpdateTimeout(timer, 0)
        thread.join()
        libvirt.virEventRemoveTimeout(timer)


def is_local(uri: str) -> bool:
    """Whether a URI is of this host's own libvirtd: it has no host part."""
    rest = uri.partition("://")[2]
    return rest.startswith("/") and "+ssh" not in uri.partition("://")[0]


def _explained(error: t.Any, if_lost: str) -> str:
    message = str(error.get_error_message() or error)
    code = error.get_error_code()
    if code in (libvirt.VIR_ERR_SYSTEM_ERROR, libvirt.VIR_ERR_NO_CONNECT) and "socket" in message:
        return f"{message}: is libvirtd running there?"
    if _LOST.search(message):
        return f"{message}: {if_lost}"
    return message
