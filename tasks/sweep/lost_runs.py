"""Starts runs again that died before they took up their work, as a launch whose worker died while starting it.

A run that took up its work is in the ledger, and so is what it works on: sweeps go on with that. A run that failed is
not started again: a person has to correct what it was given.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from httpx import HTTPError, HTTPStatusError
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterEndTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.exceptions import ObjectNotFound

from labelwright.ledger import Ledger
from labelwright.tasks.chaining import task
from labelwright.tasks.context import the_ledger
from labelwright.tasks.reporting import log
from labelwright.tasks.retries import RETRY_POLICY

from .dead_runs import FLOWS, read_runs

STARTED_AGAIN_FOR = timedelta(days=1)
"""How long after its death a run is started again."""

MAX_ATTEMPTS = 5
"""So many runs are lost one after the other before a person has to look."""

_STARTED_BY_SWEEPS = {"finish-campaign", "finish-campaigns", "launch-from-drop", "sweep-campaigns"}
"""What these do, a sweep starts without being asked."""


@task(task_run_name="start lost runs again", **RETRY_POLICY)
def restart_lost_runs() -> list[str]:
    """Start runs of our deployments again, once each, that died before they took up their work. Returns the new ids."""
    ledger, started = the_ledger(), []
    try:
        with get_client(sync_client=True) as client:
            for run, attempt in _lost_runs(client, ledger):
                follower = _start_again(client, ledger, run, attempt)
                if follower is not None:
                    started.append(follower)
    except HTTPError as error:  # the sweep goes on without it
        log().warning("lost runs are left to the next sweep: Prefect did not respond (%s)", type(error).__name__)
    return started


def _lost_runs(client: SyncPrefectClient, ledger: Ledger) -> list[tuple[FlowRun, int]]:
    """Crashed runs that took up no work and were not started again yet, with the number of the attempt."""
    crashed = read_runs(
        client,
        [name for name in FLOWS if name not in _STARTED_BY_SWEEPS],
        FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.CRASHED])),
            deployment_id=FlowRunFilterDeploymentId(is_null_=False),
            end_time=FlowRunFilterEndTime(after_=datetime.now(UTC) - STARTED_AGAIN_FOR),
        ),
    )
    since, ids = ledger.runs.recorded_since(), [str(run.id) for run in crashed]
    recorded, by_sweeps = ledger.runs.find(ids), ledger.runs.started_by_sweeps(ids)
    lost = []
    for run in crashed:
        known = recorded.get(str(run.id))
        heard_of = known is not None and (known.began_at is not None or known.followed_by is not None)
        before = since is not None and (run.created is None or run.created < since)
        if not heard_of and not before and str(run.id) not in by_sweeps and not _is_launched_since(ledger, run):
            lost.append((run, known.attempt if known else 1))
    return lost


def _is_launched_since(ledger: Ledger, run: FlowRun) -> bool:
    """Whether the campaign that the run was to launch was launched after it was submitted, perhaps by another file."""
    campaign = run.parameters.get("campaign")
    title = campaign.get("title") if isinstance(campaign, dict) else None
    record = ledger.campaigns.find(title) if isinstance(title, str) else None
    if record is None or run.created is None:
        return False
    return max([record.created_at, *(move.at for move in ledger.campaigns.moves(record.title))]) > run.created


def _start_again(client: SyncPrefectClient, ledger: Ledger, run: FlowRun, attempt: int) -> str | None:
    """Create a run of the same deployment with the same parameters, once however often it is called. Returns its id."""
    if attempt >= MAX_ATTEMPTS:
        log().error("the run %s died before it began, and so did %d runs before it: start it anew", run.name, attempt)
        return None
    if run.deployment_id is None or ledger.runs.claim_lost(str(run.id)) is None:
        return None
    try:
        follower = client.create_flow_run_from_deployment(
            run.deployment_id,
            parameters=run.parameters,
            tags=run.tags,
            job_variables=run.job_variables,
            idempotency_key=f"in place of {run.id}",
        )
    except (ObjectNotFound, HTTPStatusError) as error:  # of this run only; the next sweep tries again
        log().warning("the run %s died before it began, and cannot be started again: %s", run.name, error)
        return None
    ledger.runs.record_follower(str(run.id), str(follower.id))
    log().warning("the run %s died before it began: %s was started in its place", run.name, follower.name)
    return str(follower.id)
