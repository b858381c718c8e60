"""Runs checks with a deadline: one that hangs is reported, and the next check goes on."""

from __future__ import annotations

import contextvars
import queue
import threading
import time
from collections.abc import Callable, Iterator

from .findings import LATE, UNFORESEEN, Finding, Level

DEADLINE = 60.0
"""Seconds that one check may take."""

_hanging: list[threading.Thread] = []


def findings_of(area: str, check: Callable[[], Iterator[Finding]], deadline: float) -> Iterator[Finding]:
    """Yields the findings of one check, each as soon as it is there.

    A check that is late goes on in its thread, which cannot be ended. `anything_hangs` reports that, because a process
    that ends must not wait for the thread.
    """
    findings: queue.SimpleQueue[Finding | None] = queue.SimpleQueue()

    def work() -> None:
        try:
            for finding in check():
                findings.put(finding)
        except Exception as error:  # noqa: BLE001 - a failing check must not end the others
            message = f"this check failed: {type(error).__name__}: {error}"
            findings.put(Finding(area, Level.ERROR, message, "Please report it", UNFORESEEN))
        finally:
            findings.put(None)

    # In a copy of the context, which holds Prefect's settings.
    thread = threading.Thread(target=contextvars.copy_context().run, args=(work,), name=f"doctor: {area}", daemon=True)
    thread.start()
    end = time.monotonic() + deadline
    while True:
        try:
            finding = findings.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            _hanging.append(thread)
            advice = "See whether its server runs and is reached from here; --deadline gives it longer"
            yield Finding(area, Level.ERROR, f"did not answer within {deadline:g} seconds", advice, LATE)
            return
        if finding is None:
            return
        yield finding


def anything_hangs() -> bool:
    """Whether a check that was late is still running."""
    return any(thread.is_alive() for thread in _hanging)
