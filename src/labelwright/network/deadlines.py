"""Time limits for all network calls of a thread, which another thread can end early.

    with time_limit(60) as limit:
        ...  # every request made in here ends within 60 seconds, or when somebody calls limit.expire()

Limits nest: an inner one never lasts longer than the outer one. A new thread has the limit only if it runs in a copy
of the context (`contextvars.copy_context`), as Prefect's task runner does.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar
from weakref import WeakSet

T = TypeVar("T")


FOR_EVER = 365 * 86400.0
"""Seconds of a limit that ends only by `expire`."""


class OutOfTime(TimeoutError):
    """The time limit is over, or was ended early."""

    error_code = "LW4020"


class Deadline:
    """A point on the monotonic clock, with the sockets and inner limits that it ends."""

    def __init__(self, seconds: float, parent: Deadline | None = None) -> None:
        self.ends = time.monotonic() + seconds
        self._expired = threading.Event()
        self._lock = threading.Lock()
        self._children: WeakSet[Deadline] = WeakSet()
        self._sockets: WeakSet[Any] = WeakSet()
        self._parent = parent
        if parent is not None:
            self.ends = min(self.ends, parent.ends)
            with parent._lock:
                parent._children.add(self)
                expired = parent._expired.is_set()
            if expired:
                self._expired.set()

    @property
    def over(self) -> bool:
        return self._expired.is_set() or time.monotonic() >= self.ends

    def left(self) -> float:
        """The seconds that are left, more than 0. Raises OutOfTime."""
        left = self.ends - time.monotonic()
        if left <= 0 or self._expired.is_set():
            raise OutOfTime
        return left

    def expire(self) -> None:
        """Ends the limit now and interrupts reads and writes on its connections."""
        self._expired.set()
        with self._lock:
            children, sockets = list(self._children), list(self._sockets)
        for connection in sockets:
            with suppress(OSError, AttributeError):
                connection.shutdown(socket.SHUT_RDWR)
        for child in children:
            child.expire()

    def watch(self, connection: Any) -> None:
        """Registers a socket to be shut down when the limit is ended early. Raises OutOfTime."""
        with self._lock:
            self._sockets.add(connection)
        if self._expired.is_set():
            raise OutOfTime

    def unwatch(self, connection: Any) -> None:
        with self._lock:
            self._sockets.discard(connection)

    def sleep(self, seconds: float) -> None:
        """Raises OutOfTime when the limit is over before."""
        if self._expired.wait(max(0.0, min(seconds, self.ends - time.monotonic()))) or self.over:
            raise OutOfTime


_current: ContextVar[Deadline | None] = ContextVar("time_limit", default=None)


def current_limit() -> Deadline | None:
    """The innermost time limit of this thread."""
    return _current.get()


@contextmanager
def time_limit(seconds: float) -> Iterator[Deadline]:
    """Limits all requests in the block to this number of seconds."""
    deadline = Deadline(seconds, _current.get())
    token = _current.set(deadline)
    try:
        yield deadline
    finally:
        _current.reset(token)


def carry_limit(function: Callable[..., T], limit: Deadline | None = None) -> Callable[..., T]:
    """Wraps a function to run in this thread's context (limit, guards), in whichever thread calls it.

    limit: another one than the current.
    """
    context = copy_context()
    if limit is not None:
        context.run(_current.set, limit)

    def within(*arguments: Any) -> T:
        return context.copy().run(function, *arguments)  # of its own: a context is entered by one thread at a time

    return within


def sleep(seconds: float) -> None:
    """As time.sleep; within a time limit it raises OutOfTime when that is over."""
    limit = _current.get()
    if limit is None:
        time.sleep(seconds)
    else:
        limit.sleep(seconds)


def run_within(seconds: float, function: Callable[..., T], *arguments: Any) -> T:
    """Returns or raises what the function does; raises OutOfTime when it takes longer.

    For calls without a deadline of their own: they run in a thread that is abandoned when it is late. Only for calls
    that do no harm when they end later.
    """
    outcome: list[T] = []
    failure: list[BaseException] = []
    done = threading.Event()

    def work() -> None:
        try:
            outcome.append(function(*arguments))
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits
            failure.append(error)
        finally:
            done.set()

    threading.Thread(target=work, name=f"within {seconds:g} s", daemon=True).start()
    if not done.wait(seconds):
        raise OutOfTime
    if failure:
        raise failure[0]
    return outcome[0]
