"""Checks before every call that changes something outside: whether this thread's work may still do so.

    with guarded_by(check):
        ...  # `check` is called before each request that changes something, and raises to prevent it

Guards nest. A new thread has them only if it runs in a copy of the context, as with `deadlines.carry_limit`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_guards: ContextVar[tuple[Callable[[], None], ...]] = ContextVar("guards", default=())


@contextmanager
def guarded_by(check: Callable[[], None]) -> Iterator[None]:
    """Has `check` called before each change in the block. It raises when the work must not go on."""
    token = _guards.set((*_guards.get(), check))
    try:
        yield
    finally:
        _guards.reset(token)


def before_change() -> None:
    """Call this before anything outside is changed: a platform, a store, a page. Raises what a guard raises."""
    for check in _guards.get():
        check()
