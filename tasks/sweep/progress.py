"""Looks at campaigns on their platforms: what changed is written down, and nothing is waited for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from prefect import task
from prefect.futures import PrefectFuture, as_completed
from sqlalchemy.exc import SQLAlchemyError

from labelwright.campaigns.outlook import outlook_of
from labelwright.campaigns.spec import stored_spec
from labelwright.domain import LABELED, OPEN, State
from labelwright.ledger import CampaignRecord, LedgerError, campaign_lease
from labelwright.network.deadlines import Deadline, time_limit
from labelwright.platforms import AccessDenied, NotFound, PlatformError, PlatformUnavailable
from labelwright.platforms.protocol import Platform, RecallsImages, RemoteCampaign, RemoteState
from labelwright.platforms.registry import PLATFORMS
from labelwright.settings import settings
from labelwright.tasks.attention import ask_for_attention
from labelwright.tasks.campaign.image_counts import (
    counts_of,
    excluded_since,
    note_image_counts,
    why_it_cannot_go_on,
    with_deleted_images,
)
from labelwright.tasks.campaign.platform_labels import LabelsChanged, refuse_changed_labels
from labelwright.tasks.campaign.repairs import begin_repair, gone_from, reason_for
from labelwright.tasks.campaign.summary import publish_summary
from labelwright.tasks.context import CampaignContext, know, platform_for, the_ledger
from labelwright.tasks.leases import connection_of, connection_wait
from labelwright.tasks.reporting import log, publish_progress
from labelwright.tasks.retries import RETRY_POLICY, UNCACHED

LOOK_TASKS = 100
"""Up to so many campaigns each look is a task run of its own."""

SHARED_TASKS = 32
"""Beyond, that many task runs look at all of them: a task run costs as much as ten looks."""

GIVE_UP_AFTER = 3
"""Campaigns of one connection that fail one after the other before the rest waits for the next sweep."""


@task(task_run_name="read progress of {title}", **RETRY_POLICY)
def read_progress(title: str) -> State:
    """Look once: write progress and state into the ledger. Answers the state.

    A platform's word that all is done counts only when it counts every image as done.
    """
    context = CampaignContext(title)
    record = context.record
    if record.state not in OPEN | LABELED or record.remote_id is None:
        return record.state
    with time_limit(settings().look_deadline):
        return look(record, context.platform)[0]


def look(record: CampaignRecord, platform: Platform, busy: Callable[[], bool] = lambda: False) -> tuple[State, bool]:
    """Look once. Answers the campaign's state, and whether the look itself was written down: of an unchanged campaign
    it is not yet.

    busy: whether another run works on the campaign, which may be sending images that are gone again.
    """
    ledger, title = the_ledger(), record.title
    counts = counts_of(record)
    found = with_deleted_images(record, platform.read_campaign(record.remote_id or ""), platform, counts)
    labelers = [(one.name, one.done, one.total) for one in found.labelers]
    same = (found.done, found.total) == (record.done, record.total) and record.looked_at is not None
    if labelers:
        same = same and ledger.campaigns.has_progress(title, found.done, found.total, labelers)
    tell = log().debug if same else log().info
    tell("%s: %d of %d images labeled, %s on the platform", title, found.done, found.total, found.state.value)
    since_export = excluded_since(found, counts) if record.state is State.EXPORTED else ""
    recounted = note_image_counts(record, found, platform, counts)
    if found.failed or found.cancelled:
        message = "%s: %d images failed, %d were cancelled: labelwright failed '%s' lists them and sends them again"
        (log().warning if recounted else log().debug)(message, title, found.failed, found.cancelled, title)
    changed = not same and ledger.campaigns.record_look(title, found.done, found.total, labelers)
    if changed:
        outlook = outlook_of(ledger.campaigns.get(title), ledger.campaigns.progress(title))
        publish_progress(title, "labeling", found.done, found.total, outlook.pace.expected_end)
    if changed or recounted:
        publish_summary(title, platform)
    if record.state in OPEN and (why := _why_attention(record, found)):
        ask_for_attention(title, why)
        return ledger.campaigns.get(title).state, not same
    _warn_of_setbacks(record, found)
    gone = gone_from(record, found)
    if gone and not busy():
        begin_repair(title, gone, record.images or 0)
        ask_for_attention.fn(title, reason_for(record, platform.name, gone), State.UPLOADING)
        publish_summary(title, platform)
        return ledger.campaigns.get(title).state, not same
    whole = found.total > 0 and found.done == found.total == record.images
    closed = found.state in (RemoteState.COMPLETED, RemoteState.FINISHED)
    if closed and whole and record.state in OPEN:
        return ledger.campaigns.move(title, State.COMPLETED), not same
    if closed and whole and since_export:
        log().warning("%s is exported anew: %s", title, since_export)
        ledger.effects.forget(title, "finish")
        ledger.campaigns.move(title, State.REOPENED, since_export)
        return ledger.campaigns.move(title, State.COMPLETED, since_export), not same
    if closed and not whole:
        log().warning("%s is %s on the platform with %d of %d images done", title, found.state, found.done, found.total)
    if found.state is RemoteState.ACTIVE and record.state in LABELED:
        ledger.effects.forget(title, "finish")
        return ledger.campaigns.move(title, State.REOPENED, "given back on the platform"), not same
    return record.state, not same


def _why_attention(record: CampaignRecord, found: RemoteCampaign) -> str:
    """Why the campaign needs a person; empty when it does not."""
    ours = {str(one.get("name")) for one in record.spec.get("labels", ()) if isinstance(one, dict)}
    if found.labels is not None and not ours <= set(found.labels.names):  # only then the specification is built
        try:
            refuse_changed_labels(stored_spec(record.spec), found.labels)
        except LabelsChanged as changed:
            return str(changed)
    return why_it_cannot_go_on(record, found)


def _warn_of_setbacks(record: CampaignRecord, found: RemoteCampaign) -> None:
    """What should not happen by itself, and may be somebody's decision: in the log, once."""
    if record.state not in OPEN or record.looked_at is None:
        return
    if found.done < record.done:
        message = "%s: %d images are labeled, %d were at the last look: labels are gone, or were given back"
        log().warning(message, record.title, found.done, record.done)
    if found.state is RemoteState.CREATED and found.total and (found.done, found.total) != (record.done, record.total):
        message = "%s: labelers cannot work on all of it on the platform; launch it again to activate it"
        log().warning(message, record.title)


@dataclass(frozen=True)
class Looks:
    """What one task saw."""

    states: dict[str, str]
    """Of each campaign that could be looked at."""
    troubles: dict[str, str]
    """Of each that could not: why."""
    unchanged: list[str]
    """Those of which nothing was written down yet, not even that they were looked at."""
    denied: bool = False
    """Whether the platform refused our credential, for one of them at least."""
    locked_out: bool = False
    """Whether it does not know the credential at all: nobody need ask for the others."""


@task(task_run_name="look at {titles[0]}", **UNCACHED)
def look_at_one(titles: list[str]) -> Looks:
    """Look once at a campaign."""
    return _look_at(titles)


@task(task_run_name="look at {titles[0]} and more", **UNCACHED)
def look_at_some(titles: list[str]) -> Looks:
    """Look once at each of some campaigns, which share a connection."""
    return _look_at(titles)


def _look_at(titles: Sequence[str]) -> Looks:
    """One platform that is away is noticed soon, and one campaign that is gone troubles no other one."""
    ledger = the_ledger()
    states: dict[str, str] = {}
    troubles: dict[str, str] = {}
    unchanged: list[str] = []
    platforms: dict[str, Platform] = {}
    away, denied, locked_out = 0, False, False
    waiting = set[str]()
    for record in ledger.campaigns.by_titles(titles):
        title = record.title
        if away >= GIVE_UP_AFTER or locked_out or connection_of(record) in waiting:
            troubles[title] = "not looked at: the ones before it failed"
            continue
        try:
            with time_limit(settings().look_deadline):
                platform = _shared(platforms, record)
                state, written = look(record, platform, lambda: ledger.leases.is_held(campaign_lease(title)))  # noqa: B023
        except PlatformUnavailable as error:
            away += 1
            troubles[title] = str(error)
            if error.not_before is not None and error.seconds_to_wait() > 0:
                ledger.waits.put(connection_wait(connection_of(record)), error.not_before, str(error))
                waiting.add(connection_of(record))
        except NotFound as error:
            troubles[title] = str(error)
            ask_for_attention(title, f"{error} If it was taken off on purpose: labelwright cancel '{title}'")
        except AccessDenied as error:
            # 403 may be said of one campaign alone, whose project was closed to us.
            denied, locked_out, away = True, error.status != 403, away + 1
            troubles[title] = str(error)
        except (PlatformError, LedgerError, ValueError) as error:
            troubles[title] = str(error)
        except SQLAlchemyError:
            raise  # the ledger itself takes nothing: no other campaign would fare better
        except Exception as error:  # noqa: BLE001 - whatever it is, the campaigns beside it are looked at
            log().error("%s could not be looked at", title, exc_info=True)
            troubles[title] = f"the look ended with {type(error).__name__}: see the log of the sweep"
        else:
            away = 0
            states[title] = state.value
            if not written:
                unchanged.append(title)
    for title, why in troubles.items():
        log().warning("%s could not be looked at: %s", title, why)
    return Looks(states, troubles, unchanged, denied, locked_out)


def _shared(platforms: dict[str, Platform], record: CampaignRecord) -> Platform:
    """One adapter for campaigns that are reached in the same way: connections are kept open."""
    spec: dict[str, Any] = record.spec
    know(record)
    key = repr((spec.get("connection"), spec.get("platform"), spec.get("options")))
    if key not in platforms:
        platforms[key] = platform_for(stored_spec(spec))
    return platforms[key]


def open_campaigns() -> list[CampaignRecord]:
    """Those with labelers at work, those that are labeled and not exported yet, and those that are exported while their
    platform may still take images back."""
    wanted = OPEN | (LABELED - {State.EXPORTED})
    records = [*the_ledger().campaigns.all(wanted), *filter(_is_watched, the_ledger().campaigns.all({State.EXPORTED}))]
    return [record for record in records if record.remote_id is not None]


def _is_watched(record: CampaignRecord) -> bool:
    entry = PLATFORMS.get(str(record.spec.get("platform")))
    if entry is None or not issubclass(entry.adapter(), RecallsImages):
        return False
    try:
        platform = platform_for(stored_spec(record.spec))
    except (PlatformError, ValueError) as error:
        log().warning("%s is not watched any more: %s", record.title, error)
        return False
    moves = the_ledger().campaigns.moves(record.title)
    exported = max((one.at for one in moves if one.became is State.EXPORTED), default=record.created_at)
    days = platform.recall_days() if isinstance(platform, RecallsImages) else 0.0
    return datetime.now(UTC) - exported < timedelta(days=days)


def refresh_all() -> tuple[dict[str, State], dict[str, str], bool]:
    """Look at every open campaign, few at once on each connection.

    Answers the states, what could not be looked at and why, and whether a credential was refused. A connection whose
    campaigns fail one after the other is left alone until the next sweep; the others do not wait for it. It ends within
    `sweep_deadline` seconds whatever a platform does, and soon after it is interrupted.
    Raises SQLAlchemyError, after all other looks, when the ledger did not take what was seen.
    """
    with time_limit(settings().sweep_deadline) as limit:
        try:
            return _look_at_all(limit)
        except BaseException:
            limit.expire()  # looks under way end at once: whoever ends this run waits for their threads
            raise


def _look_at_all(limit: Deadline) -> tuple[dict[str, State], dict[str, str], bool]:
    records = open_campaigns()
    queues = {name: deque(shares_of(titles, len(records))) for name, titles in _by_connection(records).items()}
    failed_in_a_row = dict.fromkeys(queues, 0)
    running: dict[PrefectFuture[Looks], tuple[str, list[str]]] = {}
    states: dict[str, State] = {}
    troubles: dict[str, str] = {}
    unchanged: list[str] = []
    denied, broken = False, None
    while True:
        waits = the_ledger().waits.all() if any(queues.values()) else {}
        for name, queue in queues.items():
            wait = waits.get(connection_wait(name))
            if wait is not None:
                told = f"not looked at before {wait.until:%Y-%m-%d %H:%M} UTC, as {name} asks: {wait.reason}"
                troubles |= dict.fromkeys((title for titles in queue for title in titles), told)
                queue.clear()
            if limit.over:
                late = f"not looked at: the {settings().sweep_deadline:g} seconds of this sweep were over"
                troubles |= {title: late for titles in queue for title in titles}
                queue.clear()
            while queue and sum(one == name for one, _ in running.values()) < settings().looks_at_once:
                titles = queue.popleft()
                task_of = look_at_one if len(titles) == 1 else look_at_some
                running[task_of.submit(titles)] = name, titles
        if not running:
            if broken is not None:
                raise broken
            the_ledger().campaigns.record_looks(unchanged)
            # Of what was exported only that is told which was given back.
            return {title: state for title, state in states.items() if state is not State.EXPORTED}, troubles, denied
        future = next(iter(as_completed(list(running))))
        name, titles = running.pop(future)
        seen = future.result(raise_on_failure=False)
        if not isinstance(seen, Looks):
            log().error("a look at campaigns of %s failed: %s", name, seen)
            troubles |= dict.fromkeys(titles, "the look failed: see the log of the sweep")
            broken = seen if isinstance(seen, SQLAlchemyError) else broken
            continue
        states |= {title: State(state) for title, state in seen.states.items()}
        troubles |= seen.troubles
        unchanged += seen.unchanged
        denied = denied or seen.denied
        failed_in_a_row[name] = 0 if seen.states else failed_in_a_row[name] + len(seen.troubles)
        if seen.locked_out or failed_in_a_row[name] >= GIVE_UP_AFTER * settings().looks_at_once:
            for titles in queues[name]:
                troubles |= dict.fromkeys(titles, f"not looked at: {name} is away")
            queues[name].clear()


def _by_connection(records: Iterable[CampaignRecord]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for record in records:
        groups.setdefault(connection_of(record), []).append(record.title)
    return groups


def shares_of(titles: list[str], of: int) -> list[list[str]]:
    """What one task run looks at each, of a connection's campaigns among so many in all."""
    size = 1 if of <= LOOK_TASKS else -(-of // SHARED_TASKS)
    return [titles[first : first + size] for first in range(0, len(titles), size)]
