"""Restarts interrupted launches and finishes: finds campaigns that no run works on, and starts their next run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from httpx import HTTPError
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound

from labelwright.campaigns.queue import (
    campaign_wait,
    connection_of,
    connection_wait,
    finishing_lease,
    restart_wait,
    start_step,
    waiting_lease,
)
from labelwright.domain import OPEN, WORK, State, Work
from labelwright.domain.commands import quoted
from labelwright.ledger import CampaignRecord, Effect, EffectItem, Lease, Ledger, campaign_lease
from labelwright.settings import Settings, settings
from labelwright.tasks.attention import ask_for_attention
from labelwright.tasks.chaining import task
from labelwright.tasks.context import the_ledger
from labelwright.tasks.export.delivering import is_early_delivery_due
from labelwright.tasks.reporting import log
from labelwright.tasks.retries import RETRY_POLICY

DEPLOYMENTS = {
    Work.LAUNCH: "launch-campaign/launch-campaign",
    Work.FINISH: "finish-campaign/finish-campaign",
    Work.DELIVER: "deliver-campaign/deliver-campaign",
}
"""The deployment of each kind of run, as FLOW/DEPLOYMENT."""


@dataclass(frozen=True, slots=True)
class DueWork:
    """A run to start now."""

    title: str
    work: Work
    generation: int
    """How often the campaign's state had changed when the work became due."""
    attempt: int
    """From 1, within the generation."""

    @property
    def item(self) -> EffectItem:
        """The ledger's key of this attempt."""
        return EffectItem(generation=self.generation, attempt=self.attempt)


def due_work() -> list[DueWork]:
    """Campaigns that no run works on and that wait for a run, not for labels. Attempts are spaced by `restart_minutes`.

    After `restarts` attempts a campaign is moved to "needs attention" instead.
    """
    ledger, current = the_ledger(), settings()
    waits, due = ledger.waits.all(), []
    for record, work in _waiting_for_runs(ledger):
        wait = waits.get(campaign_wait(record.title)) or waits.get(connection_wait(connection_of(record)))
        if wait is not None:
            until = f"{wait.until:%Y-%m-%d %H:%M} UTC"
            log().info("%s is not restarted before %s: %s", record.title, until, wait.reason)
            continue
        if _in_hands(ledger, record.title):
            continue
        generation = len(ledger.campaigns.moves(record.title))
        attempts = ledger.effects.attempts(record.title, start_step(work), generation)
        if len(attempts) >= current.restarts:
            ask_for_attention(
                record.title,
                f"the {work.value} run was started {len(attempts)} times and never finished: see its runs in "
                f"Prefect, then: labelwright resume {quoted(record.title)}",
                "LW1404",
            )
        elif _is_due(record, work, attempts, current):
            due.append(DueWork(record.title, work, generation, len(attempts) + 1))
    return due


def _waiting_for_runs(ledger: Ledger) -> Iterator[tuple[CampaignRecord, Work]]:
    """Campaigns whose next step is not their labelers' work, and those with a share of labels to deliver early."""
    for record in ledger.campaigns.all([*WORK, *OPEN]):
        if record.state in WORK:
            yield record, WORK[record.state]
        elif (when := record.spec.get("export", {}).get("when")) and is_early_delivery_due(ledger, record, when):
            yield record, Work.DELIVER


def _in_hands(ledger: Ledger, title: str) -> bool:
    return ledger.leases.is_held(campaign_lease(title), waiting_lease(title), finishing_lease(title))


def _is_due(record: CampaignRecord, work: Work, attempts: list[Effect], current: Settings) -> bool:
    moment = datetime.now().astimezone()
    if not attempts:
        return not (work is Work.FINISH and _is_left_to_event(record, moment, current))
    passed = moment - attempts[-1].intended_at
    if timedelta(0) <= passed < restart_wait(len(attempts), current.restart_minutes):
        return False
    return _has_ended(attempts[-1])


def _wait_after_deletion(title: str, attempts: int) -> None:
    """Put the restart wait between a run's deletion and the next run."""
    until = datetime.now().astimezone() + restart_wait(attempts, settings().restart_minutes)
    the_ledger().waits.put(campaign_wait(title), until, "its run was deleted in Prefect")
    log().warning("%s: its run was deleted in Prefect; the next one starts after %s", title, f"{until:%H:%M}")


def put_wait_after_deletion(lease: Lease) -> None:
    """Put the restart wait before the next run of the campaign whose dead run held this lease and was deleted."""
    ledger = the_ledger()
    for record in ledger.campaigns.all(WORK):
        title = record.title
        if lease.name in (campaign_lease(title), waiting_lease(title), finishing_lease(title)):
            generation = len(ledger.campaigns.moves(title))
            _wait_after_deletion(title, len(ledger.effects.attempts(title, start_step(WORK[record.state]), generation)))


def _is_left_to_event(record: CampaignRecord, moment: datetime, current: Settings) -> bool:
    """Whether the completed event may still start the run; the sweep only replaces a lost event."""
    if current.finish_by != "event" or record.state is not State.COMPLETED:
        return False
    completed = the_ledger().campaigns.moves(record.title)[-1].at
    return timedelta(0) <= moment - completed < timedelta(minutes=current.event_minutes)


def _has_ended(effect: Effect) -> bool:
    """Whether the run of an earlier attempt is over. One within a sweep is, because its lease is free."""
    try:
        run_id = UUID(effect.outcome or "")
    except ValueError:
        return True
    with get_client(sync_client=True) as client:
        try:
            run = client.read_flow_run(run_id)
        except ObjectNotFound:
            # Written down, so that the wait is put once and the attempt is over afterwards.
            the_ledger().effects.settle(effect.campaign, effect.step, "its run was deleted", effect.item)
            _wait_after_deletion(effect.campaign, effect.item.attempt)
            return False
        except HTTPError as error:  # the next sweep tries again
            log().warning(
                "%s: the state of its run could not be read from Prefect (%s)", effect.campaign, type(error).__name__
            )
            return False
    return run.state is None or run.state.is_final()


def record_start(due: DueWork, outcome: str = "here") -> None:
    """Record that this attempt was started."""
    effects = the_ledger().effects
    effects.intend(due.title, start_step(due.work), due.item)
    effects.settle(due.title, start_step(due.work), outcome, due.item)


@task(task_run_name="start the {due.work.value} run of {due.title}", **RETRY_POLICY)
def start_run(due: DueWork) -> str:
    """Create the flow run on its deployment, for a worker to execute. Returns its id. Idempotent."""
    ledger = the_ledger()
    parameters = dict[str, Any](title=due.title, export=True)
    if due.work is Work.LAUNCH:
        parameters = {"campaign": ledger.campaigns.get(due.title).spec}
    elif due.work is Work.DELIVER:
        parameters = {"title": due.title, "accept_partial": True}

    def start() -> str:
        run = cast(
            FlowRun,
            run_deployment(
                DEPLOYMENTS[due.work],
                parameters=parameters,
                idempotency_key=f"{due.work.value} {due.title} {due.item}",
                timeout=0,
                as_subflow=False,
            ),
        )
        return str(run.id)

    log().info("start the %s run of %s", due.work.value, due.title)
    return ledger.effects.once(due.title, start_step(due.work), start, look=lambda: None, item=due.item)
