"""Retry policy of all tasks. Adapters classify errors, this decides, and Prefect shows every attempt."""

from __future__ import annotations

import threading
import time
from typing import Any, TypeVar

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from sqlalchemy.exc import OperationalError

from labelwright.platforms import PlatformUnavailable
from labelwright.settings import settings

from .reporting import announce


def is_transient(_task: Task[..., Any], _task_run: TaskRun, state: State[Any]) -> bool:
    """Whether a retry may succeed: a platform was unavailable, or the ledger was busy.

    A Retry-After is waited out here, before Prefect's own delay: Prefect's delays are one fixed list per task. One that
    is longer than `longest_wait` is not retried: the run ends, the ledger keeps the time, and no sweep restarts the
    campaign before it (see `leases.recording_waits`).
    """
    error = state.data
    if not isinstance(error, PlatformUnavailable):
        return isinstance(error, OperationalError)
    seconds = error.seconds_to_wait()
    if seconds > settings().longest_wait:
        return False
    if seconds:
        announce(f"waiting {seconds:.0f} s, as the server asks: {error}")
        wait(seconds)
    return True


def is_transient_announced(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:
    """As `is_transient`. Announces the retry: what failed, when it is tried again, and how often yet."""
    if not is_transient(task, task_run, state):
        return False
    delays = task.retry_delay_seconds
    if not isinstance(delays, list) or not delays:
        return True
    number = max(task_run.run_count, 1)
    seconds = delays[min(number, len(delays)) - 1]
    cause: Any = state.data
    is_ledger = isinstance(cause, OperationalError)  # its text has the statement and its values in it
    error = f"the ledger's database is busy ({cause.orig})" if is_ledger else str(cause)
    with _announcing:
        now = time.monotonic()
        if _announced_until.get(error, now) > now:
            return True  # many tasks at once fail for one reason
        _announced_until[error] = now + seconds
    announce(
        f"{task_run.name}: {error.rstrip('.')}. Trying again in {seconds:.0f} s (retry {number} of {task.retries})"
    )
    return True


_announcing = threading.Lock()
_announced_until: dict[str, float] = {}
"""By error message: until when (monotonic) the announced wait lasts."""


def wait(seconds: float) -> None:
    """Wait within a task; tests replace it."""
    time.sleep(seconds)


UNCACHED: dict[str, Any] = {"cache_policy": NO_CACHE, "tags": ["labelwright"]}
"""Options of every task: the ledger records what was done, so no task reuses a result that Prefect stored.

By Prefect's default, once results are persisted, a second check for missing images in one run would return the result
of the first. The tag finds our task runs among those of others."""

RETRY_POLICY: dict[str, Any] = UNCACHED | {
    "retries": len(settings().retry_delays),
    "retry_delay_seconds": settings().retry_delays,
    "retry_jitter_factor": 0.2,
    "retry_condition_fn": is_transient_announced,
    "tags": ["labelwright", "labelwright-remote"],
}
"""Options of every task that calls a platform or a store. Prefect can limit how many run at once by the second tag."""


_Result = TypeVar("_Result")


def without_task_run(step: Task[[], _Result]) -> _Result:
    """Calls a task's function without recording a task run, for a step of a sweep that mostly finds nothing to do.

    After an error that a retry may fix it is run as a task, with its retries.
    """
    try:
        return step.fn()
    except (PlatformUnavailable, OperationalError):
        return step()
