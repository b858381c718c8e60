"""Campaigns whose next step is a run: why it waits. The ledger is the queue; Prefect has the runs that may start."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from labelwright.domain import WORK, Work
from labelwright.ledger import CampaignRecord, Effect, Ledger, campaign_lease


def start_step(work: Work) -> str:
    """The ledger's step of starting a run."""
    return f"start {work.value}"


def connection_of(record: CampaignRecord) -> str:
    """The name of the campaign's connection."""
    return str(record.spec.get("connection") or record.spec.get("platform"))


def campaign_wait(title: str) -> str:
    """The name of a wait that concerns one campaign, after a Retry-After in one of its runs."""
    return f"campaign {title}"


def connection_wait(connection: str) -> str:
    """The name of a wait that concerns all campaigns of a connection, after a Retry-After in a sweep."""
    return f"connection {connection}"


def waiting_lease(title: str) -> str:
    """The name of the lease of a `run-campaign` run."""
    return f"run {title}"


def finishing_lease(title: str) -> str:
    """The name of the lease of a `finish-campaign` run, which may also export."""
    return f"finish {title}"


def restart_wait(attempts: int, minutes: Sequence[float]) -> timedelta:
    """Time between the start of an attempt and the next one. minutes: the setting `restart_minutes`."""
    return timedelta(minutes=minutes[min(max(attempts, 1), len(minutes)) - 1])


def reasons_to_wait(
    ledger: Ledger, records: Iterable[CampaignRecord], restart_minutes: Sequence[float], moment: datetime | None = None
) -> dict[str, str]:
    """Why the next run of a campaign has not begun, by title. Those that a run works on are left out.

    records: of all campaigns, or places in the queue are too low.
    """
    moment = moment or datetime.now(UTC)
    waits = ledger.waits.all()
    held = {lease.name for lease in ledger.leases.all() if ledger.leases.holds(lease)}
    reasons: dict[str, str] = {}
    queued: Counter[Work] = Counter()
    records = sorted((record for record in records if record.state in WORK), key=lambda record: record.created_at)
    titles = [record.title for record in records]
    moves = ledger.campaigns.last_moves(titles)
    starts = ledger.effects.of_steps(titles, [start_step(work) for work in Work])
    for record in records:
        title, work = record.title, WORK[record.state]
        if held & {campaign_lease(title), waiting_lease(title), finishing_lease(title)}:
            continue
        wait = waits.get(campaign_wait(title)) or waits.get(connection_wait(connection_of(record)))
        generation = moves[title][1] if title in moves else 0
        attempts = [
            effect
            for effect in starts.get(title, ())
            if effect.step == start_step(work) and effect.item.generation == generation
        ]
        if wait is not None:
            reasons[title] = f"its {work.value} run waits until {_minute(wait.until)}: {wait.reason}"
        elif attempts:
            reasons[title] = _after_attempts(work, attempts, restart_minutes, moment)
        else:
            queued[work] += 1
            reasons[title] = f"number {queued[work]} in the queue for a {work.value} run"
    return reasons


def _after_attempts(work: Work, attempts: list[Effect], restart_minutes: Sequence[float], moment: datetime) -> str:
    last, number = attempts[-1], len(attempts)
    started = f"its {work.value} run was started at {_minute(last.intended_at)}"
    following = last.intended_at + restart_wait(number, restart_minutes)
    if following > moment:
        return f"{started}: it waits for a worker, or it failed and is repeated after {_minute(following)}"
    return f"{started}: it waits for a worker, or it failed and the next sweep repeats it (attempt {number + 1})"


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
