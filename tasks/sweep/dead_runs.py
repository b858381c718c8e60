"""Runs that Prefect believes to be running and that are dead: found by their leases, marked, their slots freed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from httpx import HTTPError
from prefect import task
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound
from prefect.states import Crashed

from labelwright.ledger import Lease, Ledger
from labelwright.settings import settings
from labelwright.tasks.context import the_ledger
from labelwright.tasks.reporting import log
from labelwright.tasks.retries import RETRY_POLICY

FLOWS = [
    "backup-project",
    "coco-project-detection",
    "coco-project-pipeline",
    "coco-project-segmentation",
    "cvat-review-campaign",
    "cvat-tasks-from-folders",
    "export-campaign",
    "finish-campaign",
    "launch-campaign",
    "launch-from-drop",
    "predict-campaign",
    "restore-project",
    "run-campaign",
    "settle-failed-images",
    "sweep-campaigns",
]
"""Those that hold a lease of their own from their first step to their last: all that are deployed."""

_STARTED = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
_PAGE = 200


@task(task_run_name="look for dead runs", **RETRY_POLICY)
def free_dead_runs() -> list[str]:
    """Mark runs as crashed whose process is gone. Answers their ids; their campaigns are free to be taken up again."""
    ledger = the_ledger()
    dead = [lease for lease in ledger.leases.all() if not ledger.leases.alive(lease)]
    try:
        with get_client(sync_client=True) as client:
            marked = mark_dead(client, dead)
            for lease in dead:
                ledger.leases.release(lease)
            for run in _never_began(client, ledger):
                _mark(client, run, "it never began its work, or died before it could say so")
                marked.append(str(run.id))
    except HTTPError as error:  # the platforms can be looked at all the same
        log().warning("dead runs are looked for by the next sweep: Prefect did not answer (%s)", type(error).__name__)
        return []
    return marked


def mark_runs_crashed(dead: Iterable[Lease]) -> None:
    """Mark the runs of leases that were taken over. What cannot be marked now is found by the sweep."""
    dead = list(dead)
    if dead:
        try:
            with get_client(sync_client=True) as client:
                mark_dead(client, dead)
        except HTTPError as error:
            log().warning("a dead run could not be marked in Prefect (%s)", type(error).__name__)


def mark_dead(client: SyncPrefectClient, dead: Iterable[Lease]) -> list[str]:
    """Mark the runs that held these leases as crashed, unless they have ended."""
    marked = []
    for lease in dead:
        if lease.run is None:
            continue
        try:
            run = client.read_flow_run(UUID(lease.run))
        except ObjectNotFound:
            continue
        if run.state is not None and not run.state.is_final():
            _mark(client, run, f"{lease.holder} is dead: its lease on '{lease.name}' is no longer renewed")
            marked.append(lease.run)
    return marked


def _mark(client: SyncPrefectClient, run: FlowRun, why: str) -> None:
    log().warning("run %s is dead: %s", run.name, why)
    client.set_flow_run_state(run.id, Crashed(message=why), force=True)


def _never_began(client: SyncPrefectClient, ledger: Ledger) -> list[FlowRun]:
    """Runs of our deployments that started long ago and hold no lease: every flow takes one first thing."""
    since = datetime.now(UTC) - timedelta(minutes=settings().dead_run_minutes)
    found = [run for run in _started_runs(client) if run.state is not None and run.state.timestamp < since]
    # Asked for last: a run that takes its lease meanwhile holds it, or did not look as if it had started long ago.
    holding = {lease.run for lease in ledger.leases.all()}
    return [run for run in found if str(run.id) not in holding]


def _started_runs(client: SyncPrefectClient) -> list[FlowRun]:
    """All runs of our deployments that Prefect believes to be under way, the oldest first."""
    found: dict[UUID, FlowRun] = {}
    while True:
        page = client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=FLOWS)),
            flow_run_filter=FlowRunFilter(
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_STARTED)),
                deployment_id=FlowRunFilterDeploymentId(is_null_=False),
            ),
            sort=FlowRunSort.EXPECTED_START_TIME_ASC,
            limit=_PAGE,
            offset=len(found),
        )
        new = {run.id: run for run in page if run.id not in found}
        found |= new
        if len(page) < _PAGE or not new:
            return list(found.values())
