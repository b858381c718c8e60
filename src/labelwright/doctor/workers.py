"""Checks the workers of the work pool by their heartbeats: a killed one counts as online for three of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from .findings import Finding, Level

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import Worker

_HEARTBEAT_SECONDS = 30
"""Prefect's own, where a worker does not say how often it reports."""

_LATE = 1.7
"""Intervals without a heartbeat after which a worker may be dead."""

_RECENTLY = timedelta(hours=1)


def check_workers(client: SyncPrefectClient, pool: str, pool_type: str) -> Iterator[Finding]:
    """Yields how many workers are online, and which ones seem to have died within the last hour."""
    from prefect.client.schemas.objects import WorkerStatus

    workers, moment = client.read_workers_for_work_pool(pool), datetime.now(UTC)
    online = [worker for worker in workers if worker.status is WorkerStatus.ONLINE]
    late = [worker for worker in online if _seconds_late(worker, moment) > 0]
    start = f"prefect worker start --pool {pool}"
    working = len(online) - len(late)
    message = f"work pool '{pool}' ({pool_type}): {working} workers are online"
    yield Finding("prefect", Level.OK if working else Level.ERROR, message, "" if working else start)
    for worker in late:
        interval = worker.heartbeat_interval_seconds or _HEARTBEAT_SECONDS
        message = (
            f"worker {worker.name} reported last {_age(worker, moment):.0f} seconds ago, and should every {interval}: "
            "it was killed, or hangs"
        )
        yield Finding("prefect", Level.WARNING, message, f"See whether its process runs; start it again: {start}")
    for worker in workers:
        if worker not in online and _age(worker, moment) < _RECENTLY.total_seconds():
            message = f"worker {worker.name} is gone: it reported last {_age(worker, moment) / 60:.0f} minutes ago"
            advice = f"If it was not stopped on purpose, start it again: {start}"
            yield Finding("prefect", Level.WARNING, message, advice)


def _age(worker: Worker, moment: datetime) -> float:
    """Seconds since its last heartbeat."""
    last = worker.last_heartbeat_time
    return float("inf") if last is None else (moment - last).total_seconds()


def _seconds_late(worker: Worker, moment: datetime) -> float:
    interval = worker.heartbeat_interval_seconds or _HEARTBEAT_SECONDS
    return _age(worker, moment) - _LATE * interval
