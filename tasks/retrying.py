"""The one retry policy: adapters classify, tasks decide, Prefect shows every try."""

from __future__ import annotations

from typing import Any

from prefect.cache_policies import NO_CACHE
from sqlalchemy.exc import OperationalError

from labelwright.platforms import PlatformUnavailable
from labelwright.settings import settings


def worth_retrying(_task: Any, _task_run: Any, state: Any) -> bool:
    """Whether the failure may pass by itself: a platform that did not answer, a ledger that was busy."""
    return isinstance(state.data, PlatformUnavailable | OperationalError)


ANEW: dict[str, Any] = {"cache_policy": NO_CACHE}
"""What every task is decorated with: the ledger says what was done, so nothing that Prefect keeps is an answer. By
default it is one as soon as results are kept: a second look for missing images, in the same run, would see those that
were missing at the first."""

RETRIED: dict[str, Any] = ANEW | {
    "retries": len(settings().retry_delays),
    "retry_delay_seconds": settings().retry_delays,
    "retry_jitter_factor": 0.2,
    "retry_condition_fn": worth_retrying,
}
"""What a task that calls a platform or a store is decorated with."""
