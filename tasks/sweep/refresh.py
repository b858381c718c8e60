"""Refreshes the progress of all open campaigns: a bounded number of task runs, few at once on each connection.

Each connection's share of task runs (`looks_at_once`) is counted here and not by a Prefect concurrency limit: somebody
would have to create one on the server for every connection, and a task that waits for its slot holds a thread, so that
one slow connection would delay all others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from httpx import HTTPError
from prefect import task
from prefect.futures import PrefectFuture, as_completed
from sqlalchemy.exc import SQLAlchemyError

from labelwright.campaigns.connections import remember_title
from labelwright.campaigns.spec import stored_spec
from labelwright.domain import LABELED, OPEN, State
from labelwright.ledger import CampaignRecord, LedgerError, campaign_lease
from labelwright.network.deadlines import Deadline, time_limit
from labelwright.platforms import AccessDenied, NotFound, PlatformError, PlatformUnavailable
from labelwright.platforms.protocol import Platform, RecallsImages
from labelwright.platforms.registry import PLATFORMS
from labelwright.settings import settings
from labelwright.tasks.attention import ask_for_attention
from labelwright.tasks.campaign.progress import Refreshed, refresh_progress
from labelwright.tasks.context import platform_for, the_ledger
from labelwright.tasks.leases import connection_of, connection_wait
from labelwright.tasks.reporting import log
from labelwright.tasks.retries import UNCACHED

MAX_SINGLE_TASKS = 100
"""Up to so many campaigns, each is refreshed by a task run of its own."""

MAX_SHARED_TASKS = 32
"""Beyond that, so many task runs share all campaigns: a task run costs as much as ten refreshes."""

MAX_FAILURES = 3
"""Campaigns of one connection that fail one after the other before the rest is left to the next sweep."""


@dataclass
class SweepResult:
    """What a sweep found on the platforms."""

    states: dict[str, State] = field(default_factory=dict)
    """State by title; of exported campaigns only those that were reopened."""
    failures: dict[str, str] = field(default_factory=dict)
    """Reason by title, for campaigns that could not be refreshed."""
    access_denied: bool = False
    """Whether a platform refused our credential, for one campaign at least."""
    refused: list[str] = field(default_factory=list)
    """Of the failures, the titles of those that do not pass by themselves."""


# --- which campaigns, and in which batches


def open_campaigns() -> list[CampaignRecord]:
    """Campaigns with labelers at work, labeled ones that are not exported yet, and exported ones whose platform may
    still take images back."""
    campaigns = the_ledger().campaigns
    records = [
        *campaigns.all(OPEN | (LABELED - {State.EXPORTED})),
        *filter(_may_recall_images, campaigns.all({State.EXPORTED})),
    ]
    return [record for record in records if record.remote_id is not None]


def _may_recall_images(record: CampaignRecord) -> bool:
    entry = PLATFORMS.get(str(record.spec.get("platform")))
    if entry is None or not issubclass(entry.adapter(), RecallsImages):
        return False
    try:
        platform = platform_for(stored_spec(record.spec))
    except (PlatformError, ValueError) as error:
        log().warning("%s is not watched any more: %s", record.title, error)
        return False
    moves = the_ledger().campaigns.moves(record.title)
    exported_at = max((move.at for move in moves if move.became is State.EXPORTED), default=record.created_at)
    days = platform.recall_days() if isinstance(platform, RecallsImages) else 0.0
    return datetime.now(UTC) - exported_at < timedelta(days=days)


def batches_of(titles: list[str], campaign_count: int) -> list[list[str]]:
    """Cut a connection's titles into the batches of one task run each; `campaign_count` counts all connections'."""
    size = 1 if campaign_count <= MAX_SINGLE_TASKS else -(-campaign_count // MAX_SHARED_TASKS)
    return [titles[first : first + size] for first in range(0, len(titles), size)]


@dataclass(eq=False)
class ConnectionQueue:
    """Batches of one connection's campaigns that wait for a task run."""

    name: str
    batches: deque[list[str]]
    running: int = 0
    """Task runs under way."""
    failed_in_a_row: int = 0
    """Campaigns that failed since the last one that did not."""

    def clear(self) -> list[str]:
        """Take out all batches. Returns their titles."""
        titles = [title for batch in self.batches for title in batch]
        self.batches.clear()
        return titles


def _queues(records: Sequence[CampaignRecord]) -> list[ConnectionQueue]:
    titles: dict[str, list[str]] = {}
    for record in records:
        titles.setdefault(connection_of(record), []).append(record.title)
    return [ConnectionQueue(name, deque(batches_of(group, len(records)))) for name, group in titles.items()]


# --- one batch, in a task run


@dataclass
class BatchResult:
    """What one task run found. All of its campaigns share a connection."""

    states: dict[str, str] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    """Of the failures, the titles of those that do not pass by themselves."""
    unrecorded: list[str] = field(default_factory=list)
    """Unchanged campaigns: the ledger does not have yet that they were read."""
    access_denied: bool = False
    locked_out: bool = False
    """Whether the platform does not know the credential at all, so that no other campaign can be read with it."""


@dataclass
class CircuitBreaker:
    """Decides when the rest of a batch is left to the next sweep."""

    failures: int = 0
    """Outages and refused credentials since the last success."""
    postponed: bool = False
    """Whether the platform sent a Retry-After."""
    access_denied: bool = False
    locked_out: bool = False

    @property
    def is_open(self) -> bool:
        return self.failures >= MAX_FAILURES or self.postponed or self.locked_out

    def record_success(self) -> None:
        self.failures = 0

    def record_failure(self, error: Exception) -> None:
        """Errors of one campaign alone (not found, an unexpected response) do not count."""
        if isinstance(error, PlatformUnavailable):
            self.failures += 1
            self.postponed = self.postponed or _asks_to_wait(error)
        elif isinstance(error, AccessDenied):
            self.failures += 1
            self.access_denied = True
            # 403 may concern one campaign alone, whose project was closed to us.
            self.locked_out = error.status != 403


def _run_name(parameters: dict[str, Any]) -> str:
    titles = parameters["titles"]
    return f"check {titles[0]}" + (f" and {len(titles) - 1} more" if len(titles) > 1 else "")


@task(task_run_name=_run_name, **UNCACHED)  # type: ignore[arg-type]  # Prefect's protocol fits no plain function
def refresh_batch(titles: list[str]) -> BatchResult:
    """Refresh campaigns that share a connection, one after the other. One that fails does not stop the others.

    Raises SQLAlchemyError when the ledger cannot be written: no other campaign would fare better.
    """
    result, breaker = BatchResult(), CircuitBreaker()
    adapters: dict[str, Platform] = {}
    for record in the_ledger().campaigns.by_titles(titles):
        title = record.title
        if breaker.is_open:
            result.failures[title] = "not checked: the campaigns before it failed"
            continue
        try:
            refreshed = _refresh_one(record, adapters)
        except SQLAlchemyError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the other campaigns are refreshed
            breaker.record_failure(error)
            result.failures[title] = _handle_failure(record, error)
            if not isinstance(error, PlatformUnavailable | HTTPError):  # the latter of Prefect, which keeps blocks
                result.refused.append(title)
        else:
            breaker.record_success()
            result.states[title] = refreshed.state.value
            if not refreshed.recorded:
                result.unrecorded.append(title)
    for title, reason in result.failures.items():
        log().warning("%s could not be checked: %s", title, reason)
    result.access_denied, result.locked_out = breaker.access_denied, breaker.locked_out
    return result


def _refresh_one(record: CampaignRecord, adapters: dict[str, Platform]) -> Refreshed:
    """adapters: those of this batch, kept because campaigns with the same options share open connections."""
    leases = the_ledger().leases
    with time_limit(settings().look_deadline):
        remember_title(record)
        key = repr((record.spec.get("connection"), record.spec.get("platform"), record.spec.get("options")))
        if key not in adapters:
            adapters[key] = platform_for(stored_spec(record.spec))
        return refresh_progress(record, adapters[key], lambda: leases.is_held(campaign_lease(record.title)))


def _handle_failure(record: CampaignRecord, error: Exception) -> str:
    """Record what follows from a failed refresh. Returns the reason to show."""
    if isinstance(error, NotFound):
        ask_for_attention(
            record.title,
            f"deleted on the platform, not by Labelwright, or closed to its user: {error} If that was on purpose: "
            f"labelwright cancel '{record.title}'",
        )
    elif isinstance(error, PlatformUnavailable):
        if error.not_before is not None and _asks_to_wait(error):
            the_ledger().waits.put(connection_wait(connection_of(record)), error.not_before, str(error))
    elif not isinstance(error, PlatformError | LedgerError | ValueError):
        log().error("%s could not be checked", record.title, exc_info=error)
        return f"the check ended with {type(error).__name__}: see the log of the sweep"
    return str(error)


def _asks_to_wait(error: PlatformUnavailable) -> bool:
    return error.not_before is not None and error.seconds_to_wait() > 0


# --- all batches


def refresh_all() -> SweepResult:
    """Refresh every open campaign.

    A connection whose campaigns fail one after the other is left alone until the next sweep; the others do not wait for
    it. It ends within `sweep_deadline` seconds whatever a platform does, and soon after it is interrupted.
    Raises SQLAlchemyError, after all other batches, when the ledger could not be written.
    """
    with time_limit(settings().sweep_deadline) as limit:
        try:
            return _refresh_all_within(limit)
        except BaseException:
            limit.expire()  # requests under way end at once: whoever ends this run waits for their threads
            raise


def _refresh_all_within(limit: Deadline) -> SweepResult:
    queues, result = _queues(open_campaigns()), SweepResult()
    running: dict[PrefectFuture[BatchResult], tuple[ConnectionQueue, list[str]]] = {}
    unrecorded: list[str] = []
    ledger_error: SQLAlchemyError | None = None
    while True:
        _drop_postponed(queues, result)
        if limit.over:
            reason = f"not checked: the {settings().sweep_deadline:g} seconds of this sweep were over"
            _drop(queues, reason, result)
        _submit_batches(queues, running)
        if not running:
            break
        future = next(iter(as_completed(list(running))))
        queue, titles = running.pop(future)
        queue.running -= 1
        batch = future.result(raise_on_failure=False)
        if isinstance(batch, BatchResult):
            unrecorded += batch.unrecorded
            _add_batch(batch, queue, result)
        else:
            log().error("a check of campaigns of %s failed: %s", queue.name, batch)
            result.failures |= dict.fromkeys(titles, "the check failed: see the log of the sweep")
            ledger_error = batch if isinstance(batch, SQLAlchemyError) else ledger_error
    if ledger_error is not None:
        raise ledger_error
    the_ledger().campaigns.record_looks(unrecorded)
    return result


def _drop_postponed(queues: Iterable[ConnectionQueue], result: SweepResult) -> None:
    """Leave connections alone whose platform asked to wait, in this sweep or before it."""
    waiting = [queue for queue in queues if queue.batches]
    waits = the_ledger().waits.all() if waiting else {}
    for queue in waiting:
        wait = waits.get(connection_wait(queue.name))
        if wait is not None:
            until = f"{wait.until:%Y-%m-%d %H:%M} UTC"
            _drop([queue], f"not checked before {until}, as {queue.name} asks: {wait.reason}", result)


def _drop(queues: Iterable[ConnectionQueue], reason: str, result: SweepResult) -> list[str]:
    """Leave the batches to the next sweep. Returns their titles."""
    titles = [title for queue in queues for title in queue.clear()]
    result.failures |= dict.fromkeys(titles, reason)
    return titles


def _submit_batches(
    queues: Iterable[ConnectionQueue], running: dict[PrefectFuture[BatchResult], tuple[ConnectionQueue, list[str]]]
) -> None:
    """Start task runs, up to `looks_at_once` on each connection."""
    for queue in queues:
        while queue.batches and queue.running < settings().looks_at_once:
            titles = queue.batches.popleft()
            running[refresh_batch.submit(titles)] = queue, titles
            queue.running += 1


def _add_batch(batch: BatchResult, queue: ConnectionQueue, result: SweepResult) -> None:
    """Add what a task run found, and drop the rest of a connection that is away."""
    states = {title: State(state) for title, state in batch.states.items()}
    result.states |= {title: state for title, state in states.items() if state is not State.EXPORTED}
    result.failures |= batch.failures
    result.refused += batch.refused
    result.access_denied = result.access_denied or batch.access_denied
    queue.failed_in_a_row = 0 if batch.states else queue.failed_in_a_row + len(batch.failures)
    if batch.locked_out or queue.failed_in_a_row >= MAX_FAILURES * settings().looks_at_once:
        why = "refused the credential" if batch.locked_out else "is away"
        dropped = _drop([queue], f"not checked: {queue.name} {why}", result)
        result.refused += dropped if batch.locked_out else []
