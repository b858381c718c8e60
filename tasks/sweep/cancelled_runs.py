"""Pauses campaigns whose run a person cancelled in Prefect, so that no sweep starts another one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from httpx import HTTPError
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterParentFlowRunId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort

from labelwright.campaigns.queue import finishing_lease, waiting_lease
from labelwright.domain import BLOCKED, WORK, State
from labelwright.ledger import CampaignBusy, CampaignRecord, Ledger, campaign_lease
from labelwright.tasks.campaign.drops import RETRIED_FOR
from labelwright.tasks.chaining import task
from labelwright.tasks.context import the_ledger
from labelwright.tasks.crashed_runs import mark_runs_crashed
from labelwright.tasks.reporting import log
from labelwright.tasks.retries import RETRY_POLICY

_DROP_FLOW = "launch-from-drop"
_FLOWS = [
    "export-campaign",
    "finish-campaign",
    "finish-campaigns",
    "launch-campaign",
    _DROP_FLOW,
    "resume-campaign",
    "run-campaign",
]
"""The flows that bring a campaign forward, and that sweeps would start again."""
_CANCELLED = [StateType.CANCELLED, StateType.CANCELLING]
"""A run whose worker is gone stays in the second one for ever."""
_ENDED_BY_ITSELF = [StateType.COMPLETED, StateType.FAILED]
_MOST_RUNS = 200

_BEGINNINGS = frozenset({State.ACTIVE, State.REOPENED, State.COMPLETED})
"""With these states other work becomes due than that of an earlier run."""


@task(task_run_name="find cancelled runs", **RETRY_POLICY)
def pause_cancelled() -> list[str]:
    """Pause campaigns whose run was cancelled in Prefect while they wait for a run. Returns their titles.

    A campaign whose labelers are at work waits for no run: it stays active. A campaign file whose launch was cancelled
    is not launched again.
    """
    ledger = the_ledger()
    try:
        with get_client(sync_client=True) as client:
            runs = _cancelled_runs(client)
            _refuse_drops(runs, ledger)
            waiting = ledger.campaigns.all(WORK) if runs else []
            newest = _newest_by_title(client, runs) if waiting else {}
            return [record.title for record in waiting if _pause(client, ledger, record, newest.get(record.title))]
    except HTTPError as error:  # the next sweep asks again
        log().warning("cancelled runs could not be read from Prefect (%s)", type(error).__name__)
        return []


def _cancelled_runs(client: SyncPrefectClient) -> list[FlowRun]:
    return client.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=_FLOWS)),
        flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_CANCELLED))),
        sort=FlowRunSort.EXPECTED_START_TIME_DESC,
        limit=_MOST_RUNS,
    )


def _refuse_drops(runs: Iterable[FlowRun], ledger: Ledger) -> None:
    for run in _recent_drops(runs):
        blob, etag = run.parameters["blob"], run.parameters.get("etag")
        if isinstance(blob, str) and isinstance(etag, str):
            ledger.inbox.record_refusal(blob, etag)


def _recent_drops(runs: Iterable[FlowRun]) -> list[FlowRun]:
    """Runs that launch from a campaign file which sweeps would launch again."""
    since = datetime.now(UTC) - RETRIED_FOR
    return [run for run in runs if "blob" in run.parameters and _cancelled_at(run) > since]


def _recent_runs_of_many(runs: Iterable[FlowRun]) -> list[FlowRun]:
    """Runs of finish-campaigns, which have no parameters."""
    since = datetime.now(UTC) - RETRIED_FOR
    return [run for run in runs if not run.parameters and _cancelled_at(run) > since]


def _newest_by_title(client: SyncPrefectClient, runs: Iterable[FlowRun]) -> dict[str, FlowRun]:
    """The run of each campaign that was cancelled last."""
    titles = {run.id: _title_in(run.parameters) for run in runs}
    titles |= _titles_of_drops(client, [run.id for run in _recent_drops(runs)])
    titles |= _titles_at_work(client, [run.id for run in _recent_runs_of_many(runs)])
    newest: dict[str, FlowRun] = {}
    for run in runs:
        title = titles.get(run.id)
        if title and (title not in newest or _cancelled_at(run) > _cancelled_at(newest[title])):
            newest[title] = run
    return newest


def _titles_of_drops(client: SyncPrefectClient, drops: list[UUID]) -> dict[UUID, str | None]:
    """The campaigns of runs that launch from a file, by the launch within them; none before the file was read."""
    titles: dict[UUID, str | None] = {}
    for drop in drops:
        within = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[drop]))
        for run in client.read_flow_runs(flow_run_filter=within, limit=1):
            titles[drop] = _title_in(run.parameters)
    return titles


def _titles_at_work(client: SyncPrefectClient, runs_of_many: list[UUID]) -> dict[UUID, str | None]:
    """The campaign that a run of many worked on when it was cancelled; those before it are done, the others waited."""
    titles: dict[UUID, str | None] = {}
    for run_of_many in runs_of_many:
        within = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[run_of_many]))
        for run in client.read_flow_runs(flow_run_filter=within, sort=FlowRunSort.START_TIME_DESC, limit=1):
            if run.state is None or run.state.type not in _ENDED_BY_ITSELF:
                titles[run_of_many] = _title_in(run.parameters)
    return titles


def _title_in(parameters: dict[str, Any]) -> str | None:
    campaign = parameters.get("campaign")
    title = campaign.get("title") if isinstance(campaign, dict) else parameters.get("title")
    return title if isinstance(title, str) else None


def _cancelled_at(run: FlowRun) -> datetime:
    return run.state.timestamp if run.state is not None else datetime.min.replace(tzinfo=UTC)


def _pause(client: SyncPrefectClient, ledger: Ledger, record: CampaignRecord, run: FlowRun | None) -> bool:
    """Pauses the campaign if this run was cancelled since its present work began. Returns whether it did."""
    title = record.title
    if run is None or _cancelled_at(run) <= _work_began_at(ledger, record):
        return False
    if ledger.leases.is_held(campaign_lease(title), waiting_lease(title), finishing_lease(title)):
        return False  # it has not ended yet, or another run goes on
    reason = _reason(client, run)
    try:
        with ledger.leases.held(campaign_lease(title), "the sweep"):
            mark_runs_crashed(ledger.leases.taken_over())
            ledger.campaigns.move(title, State.PAUSED, reason)
    except CampaignBusy:
        return False
    log().warning("%s is paused: %s", title, reason)
    return True


def _work_began_at(ledger: Ledger, record: CampaignRecord) -> datetime:
    """When the campaign's present work became due, or a person resumed it last."""
    moves = ledger.campaigns.moves(record.title)
    begun = [move.at for move in moves if move.became in _BEGINNINGS or move.was in BLOCKED]
    return max(begun, default=record.created_at)


def _reason(client: SyncPrefectClient, run: FlowRun) -> str:
    """Who cancelled the run and when, as far as Prefect tells: a time, and at most a message."""
    states = [state for state in client.read_flow_run_states(run.id) if state.type in _CANCELLED]
    first = min(states, key=lambda state: state.timestamp, default=run.state)
    at = f" on {first.timestamp:%Y-%m-%d at %H:%M} UTC" if first is not None else ""
    message = f" ({first.message})" if first is not None and first.message else ""
    return f"its run '{run.name}' was cancelled in Prefect{at}{message}"
