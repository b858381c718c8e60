"""Checks with a deadline: what hangs is reported as such, and the next check goes on."""

from __future__ import annotations

import contextvars
import queue
import threading
import time
from collections.abc import Callable, Iterator

from .findings import Finding, Level

DEADLINE = 60.0
"""Seconds that one check may take."""

_hanging: list[threading.Thread] = []


def findings_of(area: str, check: Callable[[], Iterator[Finding]], deadline: float) -> Iterator[Finding]:
    """The findings of one check, each as soon as it is there.

    A thread cannot be ended from outside. One that is late is left to itself, and `anything_hangs` says so: whoever
    ends the process then must not wait for it.
    """
    found: queue.SimpleQueue[Finding | None] = queue.SimpleQueue()

    def work() -> None:
        try:
            for one in check():
                found.put(one)
        except Exception as error:  # noqa: BLE001 - the doctor outlives every patient
            says = f"this could not be looked at: {type(error).__name__}: {error}"
            found.put(Finding(area, Level.ERROR, says, "Please report it"))
        finally:
            found.put(None)

    # With the settings of Prefect that hold here.
    thread = threading.Thread(target=contextvars.copy_context().run, args=(work,), name=f"doctor: {area}", daemon=True)
    thread.start()
    end = time.monotonic() + deadline
    while True:
        try:
            one = found.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            _hanging.append(thread)
            do = "See whether its server runs and is reached from here; --deadline gives it longer"
            yield Finding(area, Level.ERROR, f"did not answer within {deadline:g} seconds", do)
            return
        if one is None:
            return
        yield one


def anything_hangs() -> bool:
    """Whether a check that was late is still at work."""
    return any(thread.is_alive() for thread in _hanging)
