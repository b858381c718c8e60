"""Refreshes the progress of all open campaigns: one task run for each connection, and few campaigns at once within it.

A task run costs Prefect's database as much as everything else of a quiet sweep, so there is none for each campaign.
How many campaigns of a connection are read at once (`looks_at_once`) is counted here and not by a Prefect concurrency
limit: somebody would have to create one on the server for every connection.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

from httpx import HTTPError
from prefect.futures import PrefectFuture, as_completed
from sqlalchemy.exc import SQLAlchemyError

from labelwright.campaigns.connections import remember_title
from labelwright.campaigns.queue import connection_of, connection_wait
from labelwright.campaigns.spec import stored_spec
from labelwright.domain import LABELED, OPEN, State
from labelwright.domain.commands import quoted
from labelwright.domain.errors import text_with_code
from labelwright.ledger import CampaignRecord, LedgerError, campaign_lease
from labelwright.network.deadlines import current_limit, time_limit
from labelwright.platforms import AccessDenied, NotFound, PlatformError, PlatformUnavailable
from labelwright.platforms.protocol import Platform, RecallsImages
from labelwright.platforms.registry import PLATFORMS
from labelwright.settings import settings
from labelwright.tasks.attention import ask_for_attention
from labelwright.tasks.campaign.progress import Refreshed, refresh_progress
from labelwright.tasks.chaining import task
from labelwright.tasks.context import platform_for, the_ledger
from labelwright.tasks.reporting import log
from labelwright.tasks.retries import UNCACHED

MAX_SINGLE_BATCHES = 100
"""Up to so many campaigns, each is a batch of its own."""

MAX_SHARED_BATCHES = 32
"""Beyond that, so many batches share all campaigns: within a batch they share an adapter with its open connections."""

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
    changed: bool = False
    """Whether the progress or the state of a campaign is another one than before."""

    def add(self, other: SweepResult) -> None:
        self.states |= other.states
        self.failures |= other.failures
        self.access_denied = self.access_denied or other.access_denied
        self.refused += other.refused
        self.changed = self.changed or other.changed


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
    """Cut a connection's titles into the batches of one thread each; `campaign_count` counts all connections'."""
    size = 1 if campaign_count <= MAX_SINGLE_BATCHES else -(-campaign_count // MAX_SHARED_BATCHES)
    return [titles[first : first + size] for first in range(0, len(titles), size)]


@dataclass(eq=False)
class ConnectionQueue:
    """Batches of one connection's campaigns that wait for a thread."""

    name: str
    batches: deque[list[str]]
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


# --- one batch, in a thread of its connection's task run


@dataclass
class BatchResult:
    """What a thread found. All of its campaigns share a connection."""

    states: dict[str, str] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    """Of the failures, the titles of those that do not pass by themselves."""
    unrecorded: list[str] = field(default_factory=list)
    """Unchanged campaigns: the ledger does not have yet that they were read."""
    changed: bool = False
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


def refresh_batch(titles: list[str]) -> BatchResult:
    """Refresh campaigns that share a connection, one after the other. One that fails does not stop the others.

    Raises SQLAlchemyError when the ledger cannot be written: no other campaign would fare better.
    """
    result, breaker = BatchResult(), CircuitBreaker()
    adapters: dict[str, Platform] = {}
    records, counts = the_ledger().campaigns.by_titles(titles), the_ledger().image_states.counts(titles)
    for record in records:
        title = record.title
        if breaker.is_open:
            result.failures[title] = "not checked: the campaigns before it failed"
            continue
        try:
            refreshed = _refresh_one(record, counts.get(title, {}), adapters)
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
            result.changed = result.changed or refreshed.recorded or refreshed.state is not record.state
            if not refreshed.recorded:
                result.unrecorded.append(title)
    for title, reason in result.failures.items():
        log().warning("%s could not be checked: %s", title, reason)
    result.access_denied, result.locked_out = breaker.access_denied, breaker.locked_out
    return result


def _refresh_one(record: CampaignRecord, counts: Mapping[str, int], adapters: dict[str, Platform]) -> Refreshed:
    """counts: images by state, read with the record. adapters: those of this batch, kept because campaigns with the
    same options share open connections."""
    leases = the_ledger().leases
    with time_limit(settings().look_deadline):
        remember_title(record)
        key = repr((record.spec.get("connection"), record.spec.get("platform"), record.spec.get("options")))
        if key not in adapters:
            adapters[key] = platform_for(stored_spec(record.spec))
        in_use = partial(leases.is_held, campaign_lease(record.title))
        return refresh_progress(record, adapters[key], in_use, counts)


def _handle_failure(record: CampaignRecord, error: Exception) -> str:
    """Record what follows from a failed refresh. Returns the reason to show."""
    if isinstance(error, NotFound):
        ask_for_attention(
            record.title,
            f"deleted on the platform, not by Labelwright, or closed to its user: {error} If that was on purpose: "
            f"labelwright cancel {quoted(record.title)}",
            error.error_code,
        )
    elif isinstance(error, PlatformUnavailable):
        if error.not_before is not None and _asks_to_wait(error):
            the_ledger().waits.put(connection_wait(connection_of(record)), error.not_before, str(error))
    elif not isinstance(error, PlatformError | LedgerError | ValueError):
        log().error("%s could not be checked", record.title, exc_info=error)
        return f"the check ended with {type(error).__name__}: see the log of the sweep"
    return text_with_code(error)


def _asks_to_wait(error: PlatformUnavailable) -> bool:
    return error.not_before is not None and error.seconds_to_wait() > 0


# --- one connection, in a task run


@task(task_run_name="check {count} campaigns of {connection}", **UNCACHED)
def refresh_connection(connection: str, batches: list[list[str]], count: int) -> SweepResult:
    """Refresh the campaigns of a connection, `looks_at_once` of them at the same time.

    When they fail one after the other, the rest is left alone until the next sweep.
    Raises SQLAlchemyError, after all other batches, when the ledger could not be written.
    """
    queue, result = ConnectionQueue(connection, deque(batches)), SweepResult()
    running: dict[Future[BatchResult], list[str]] = {}
    unrecorded: list[str] = []
    ledger_error: SQLAlchemyError | None = None
    with ThreadPoolExecutor(settings().looks_at_once) as pool:
        while True:
            _drop_postponed(queue, result)
            _drop_late(queue, result)
            while queue.batches and len(running) < settings().looks_at_once:
                titles = queue.batches.popleft()
                running[pool.submit(copy_context().run, refresh_batch, titles)] = titles
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                titles = running.pop(future)
                try:
                    batch = future.result()
                except Exception as error:  # noqa: BLE001 - the other batches are refreshed
                    log().error("a check of campaigns of %s failed: %s", connection, error)
                    result.failures |= dict.fromkeys(titles, "the check failed: see the log of the sweep")
                    ledger_error = error if isinstance(error, SQLAlchemyError) else ledger_error
                else:
                    unrecorded += batch.unrecorded
                    _add_batch(batch, queue, result)
    if ledger_error is not None:
        raise ledger_error
    the_ledger().campaigns.record_looks(unrecorded)
    return result


def _drop_postponed(queue: ConnectionQueue, result: SweepResult) -> None:
    """Leave a connection alone whose platform asked to wait, in this sweep or before it."""
    until = the_ledger().waits.find(connection_wait(queue.name)) if queue.batches else None
    if until is not None:
        moment = f"{until.until:%Y-%m-%d %H:%M} UTC"
        _drop(queue, f"not checked before {moment}, as {queue.name} asks: {until.reason}", result)


def _drop_late(queue: ConnectionQueue, result: SweepResult) -> None:
    limit = current_limit()
    if limit is not None and limit.over:
        _drop(queue, f"not checked: the {settings().sweep_deadline:g} seconds of this sweep were over", result)


def _drop(queue: ConnectionQueue, reason: str, result: SweepResult) -> list[str]:
    """Leave the batches to the next sweep. Returns their titles."""
    titles = queue.clear()
    result.failures |= dict.fromkeys(titles, reason)
    return titles


def _add_batch(batch: BatchResult, queue: ConnectionQueue, result: SweepResult) -> None:
    """Add what a thread found, and drop the rest of a connection that is away."""
    states = {title: State(state) for title, state in batch.states.items()}
    result.states |= {title: state for title, state in states.items() if state is not State.EXPORTED}
    result.failures |= batch.failures
    result.refused += batch.refused
    result.changed = result.changed or batch.changed
    result.access_denied = result.access_denied or batch.access_denied
    queue.failed_in_a_row = 0 if batch.states else queue.failed_in_a_row + len(batch.failures)
    if batch.locked_out or queue.failed_in_a_row >= MAX_FAILURES * settings().looks_at_once:
        why = "refused the credential" if batch.locked_out else "is away"
        dropped = _drop(queue, f"not checked: {queue.name} {why}", result)
        result.refused += dropped if batch.locked_out else []


# --- all connections


def refresh_all() -> SweepResult:
    """Refresh every open campaign.

    A connection whose campaigns fail one after the other is left alone until the next sweep; the others do not wait for
    it. It ends within `sweep_deadline` seconds whatever a platform does, and soon after it is interrupted.
    Raises SQLAlchemyError, after all other connections, when the ledger could not be written.
    """
    with time_limit(settings().sweep_deadline) as limit:
        try:
            return _refresh_connections()
        except BaseException:
            limit.expire()  # requests under way end at once: whoever ends this run waits for their threads
            raise


def _refresh_connections() -> SweepResult:
    """Refresh each connection in a task run of its own, all at the same time."""
    result = SweepResult()
    ledger_error: SQLAlchemyError | None = None
    running: dict[PrefectFuture[SweepResult], list[str]] = {}
    for queue in _queues(open_campaigns()):
        _drop_postponed(queue, result)
        if not queue.batches:
            continue
        batches = list(queue.batches)
        titles = queue.clear()
        running[refresh_connection.submit(queue.name, batches, len(titles))] = titles
    for future in as_completed(list(running)):
        found = future.result(raise_on_failure=False)
        if isinstance(found, SweepResult):
            result.add(found)
        else:
            result.failures |= dict.fromkeys(running[future], "the check failed: see the log of the sweep")
            ledger_error = found if isinstance(found, SQLAlchemyError) else ledger_error
    if ledger_error is not None:
        raise ledger_error
    return result
