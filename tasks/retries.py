"""The one retry policy: adapters classify, tasks decide, Prefect shows every try."""

from __future__ import annotations

import time
from typing import Any

from prefect.cache_policies import NO_CACHE
from sqlalchemy.exc import OperationalError

from labelwright.platforms import PlatformUnavailable
from labelwright.settings import settings

from .reporting import log


def is_transient(_task: Any, _task_run: Any, state: Any) -> bool:
    """Whether the failure may pass by itself: a platform that did not answer, a ledger that was busy.

    Where the server says how long it wants to be left alone (Retry-After), that time is waited out here, before Prefect
    counts the delay of its own: its delays are one list for every task and know no server. A wait that is longer than
    a task should hold a process is none of a task's: the run ends, the ledger keeps the time, and no sweep takes the
    campaign up before it (see `working.at_work_on`).
    """
    error = state.data
    if not isinstance(error, PlatformUnavailable):
        return isinstance(error, OperationalError)
    seconds = error.seconds_to_wait()
    if seconds > settings().longest_wait:
        return False
    if seconds:
        log().info("waiting %.0f seconds, as the server asks: %s", seconds, error)
        hold(seconds)
    return True


def hold(seconds: float) -> None:
    """Wait within a task."""
    time.sleep(seconds)


UNCACHED: dict[str, Any] = {"cache_policy": NO_CACHE}
"""What every task is decorated with: the ledger says what was done, so nothing that Prefect keeps is an answer. By
default it is one as soon as results are kept: a second look for missing images, in the same run, would see those that
were missing at the first."""

RETRY_POLICY: dict[str, Any] = UNCACHED | {
    "retries": len(settings().retry_delays),
    "retry_delay_seconds": settings().retry_delays,
    "retry_jitter_factor": 0.2,
    "retry_condition_fn": is_transient,
}
"""What a task that calls a platform or a store is decorated with."""
