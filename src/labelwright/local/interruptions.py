"""Turns SIGINT, SIGTERM and SIGHUP into exceptions, so that every cleanup runs.

Imports the standard library only: it is loaded before anything that takes time.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from contextlib import suppress
from types import FrameType

TYPE_CHECKING = False  # typing itself takes milliseconds, in which Ctrl+C would show a traceback
if TYPE_CHECKING:
    from typing import NoReturn

received: signal.Signals | None = None
"""The first of these signals that this process received; None while there was none."""

ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
INTERRUPTED = 130
"""Exit code of a process that Ctrl+C ended, as shells have it: 128 and the number of the signal."""

_threads_hang = False
_CLEANUP = 10.0
"""Seconds that cleanup may take after a signal."""

_REDELIVERY = 0.05
"""Seconds until an interrupt that Python swallowed is raised again."""


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP: handled by everything that handles Ctrl+C."""


def listen() -> None:
    """Makes the signals raise KeyboardInterrupt or Terminated in the main thread.

    A signal that the parent process set to be ignored (nohup, the background of a script) stays ignored.
    """
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    sys.unraisablehook = _raise_again


def hang_up_as_terminate() -> None:
    """Makes SIGHUP end a server as SIGTERM does: uvicorn handles SIGINT and SIGTERM only."""
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is _interrupt:
        signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))


def end(code: int) -> NoReturn:
    """Ends the process with that code; everything is done and printed.

    From now on a signal ends it at once and prints nothing. After a signal the process does not wait for its threads:
    they may be in the middle of a request.
    """

    def leave(number: int, _frame: FrameType | None) -> None:
        os._exit(code or 128 + number)

    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, leave)
    if received is None and not _threads_hang:
        sys.exit(code)
    import threading

    from . import processes

    # Temporary folders, connections; a handler that hangs too is left to itself.
    cleanup = threading.Thread(target=atexit._run_exitfuncs, daemon=True)
    cleanup.start()
    cleanup.join(_CLEANUP)
    processes.kill_all()
    with suppress(Exception):
        sys.stderr.flush()
    os._exit(code)


def wait_for_no_thread() -> None:
    """Makes `end` not wait for threads: one of them hangs in a call."""
    global _threads_hang  # noqa: PLW0603 - as `received`
    _threads_hang = True


def exit_code() -> int | None:
    """Returns 128 plus the number of the received signal, as shells report it; None when there was none."""
    return None if received is None else 128 + received


def _interrupt(number: int, _frame: FrameType | None) -> None:
    global received  # noqa: PLW0603 - a signal reaches the process, not an object
    received = received or signal.Signals(number)
    raise (KeyboardInterrupt if number == signal.SIGINT else Terminated)


def _raise_again(unraisable: sys.UnraisableHookArgs) -> None:
    """Raises an interrupt again that Python would print and drop: in a destructor or a callback of an import."""
    if received is None or not isinstance(unraisable.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
        return
    import threading

    again = threading.Timer(_REDELIVERY, os.kill, (os.getpid(), received))
    again.daemon = True
    again.start()
