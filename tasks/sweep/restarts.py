"""What should be going on and is not: found by every sweep, started once, started again when it died."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from httpx import HTTPError
from prefect import task
from prefect.client.orchestration import get_client
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound

from labelwright.domain import WORK, State, Work
from labelwright.ledger import CampaignRecord, Effect, EffectItem, Ledger, campaign_lease
from labelwright.settings import Settings, settings
from labelwright.tasks.attention import ask_for_attention
from labelwright.tasks.context import the_ledger
from labelwright.tasks.leases import campaign_wait, connection_of, connection_wait, finishing_lease, waiting_lease
from labelwright.tasks.reporting import log
from labelwright.tasks.retries import RETRY_POLICY


@dataclass(frozen=True, slots=True)
class Due:
    """A piece of work to be begun now."""

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


def due_work() -> list[Due]:
    """Campaigns that nobody works on and that wait for something else than labels; each try a while after the last.

    After too many tries a campaign asks for attention.
    """
    ledger, found = the_ledger(), settings()
    waits, due = ledger.waits.all(), []
    for record in ledger.campaigns.all(WORK):
        wait = waits.get(campaign_wait(record.title)) or waits.get(connection_wait(connection_of(record)))
        if wait is not None:
            until = f"{wait.until:%Y-%m-%d %H:%M} UTC"
            log().info("%s is not taken up before %s, as the server asks: %s", record.title, until, wait.reason)
            continue
        if _in_hands(ledger, record.title):
            continue
        work = WORK[record.state]
        generation = len(ledger.campaigns.moves(record.title))
        tries = ledger.effects.attempts(record.title, _step(work), generation)
        if len(tries) >= found.restarts:
            ask_for_attention(
                record.title,
                f"the {work.value} run was started {len(tries)} times and never came to its end: see its runs in "
                f"Prefect, then: labelwright resume '{record.title}'",
            )
        elif _may_begin(record, work, tries, found):
            due.append(Due(record.title, work, generation, len(tries) + 1))
    return due


def _in_hands(ledger: Ledger, title: str) -> bool:
    return ledger.leases.is_held(campaign_lease(title), waiting_lease(title), finishing_lease(title))


def _step(work: Work) -> str:
    return f"start {work.value}"


def _may_begin(record: CampaignRecord, work: Work, tries: list[Effect], found: Settings) -> bool:
    moment = datetime.now().astimezone()
    if not tries:
        return not (work is Work.FINISH and _left_to_the_event(record, moment, found))
    waits = found.restart_minutes
    wait = timedelta(minutes=waits[min(len(tries), len(waits)) - 1])
    passed = moment - tries[-1].intended_at
    if timedelta(0) <= passed < wait:
        return False
    return _has_ended(tries[-1])


def _left_to_the_event(record: CampaignRecord, moment: datetime, found: Settings) -> bool:
    """Whether the completed event has its chance first: the sweep only makes up for a lost one."""
    if found.finish_by != "event" or record.state is not State.COMPLETED:
        return False
    completed = the_ledger().campaigns.moves(record.title)[-1].at
    return timedelta(0) <= moment - completed < timedelta(minutes=found.event_minutes)


def _has_ended(effect: Effect) -> bool:
    """Whether the run of an earlier try is over. A run of this process is: nobody holds the campaign."""
    try:
        run_id = UUID(effect.outcome or "")
    except ValueError:
        return True
    with get_client(sync_client=True) as client:
        try:
            run = client.read_flow_run(run_id)
        except ObjectNotFound:
            return True
        except HTTPError as error:  # the next sweep asks again; other campaigns do not wait for it
            log().warning(
                "%s: Prefect does not say whether its run has ended (%s)", effect.campaign, type(error).__name__
            )
            return False
    return run.state is None or run.state.is_final()


def note_begun(due: Due, outcome: str = "here") -> None:
    """Write down that this try was begun."""
    effects = the_ledger().effects
    effects.intend(due.title, _step(due.work), due.item)
    effects.settle(due.title, _step(due.work), outcome, due.item)


@task(task_run_name="start the {due.work.value} run of {due.title}", **RETRY_POLICY)
def start_run(due: Due) -> str:
    """Create the flow run on its deployment; a worker takes it. Answers its id. Said again it is the same run."""
    ledger = the_ledger()
    name, parameters = "finish-campaign/finish-campaign", dict[str, Any](title=due.title, export=True)
    if due.work is Work.LAUNCH:
        name, parameters = "launch-campaign/launch-campaign", {"campaign": ledger.campaigns.get(due.title).spec}

    def start() -> str:
        run: Any = run_deployment(
            name,
            parameters=parameters,
            idempotency_key=f"{due.work.value} {due.title} {due.item}",
            timeout=0,
            as_subflow=False,
        )
        return str(run.id)

    log().info("start the %s run of %s", due.work.value, due.title)
    return ledger.effects.once(due.title, _step(due.work), start, look=lambda: None, item=due.item)
