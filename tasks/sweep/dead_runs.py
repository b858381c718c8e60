"""Finds runs that died though Prefect believes them to be running, by their leases, and marks them as crashed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from httpx import HTTPError
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

from labelwright.ledger import Ledger
from labelwright.settings import settings
from labelwright.tasks.chaining import task
from labelwright.tasks.context import the_ledger
from labelwright.tasks.crashed_runs import mark_crashed, mark_holders_crashed
from labelwright.tasks.reporting import log
from labelwright.tasks.retries import RETRY_POLICY

from .restarts import put_wait_after_deletion

FLOWS = [
    "backup-project",
    "cancel-campaign",
    "coco-project-detection",
    "coco-project-pipeline",
    "coco-project-segmentation",
    "cvat-review-campaign",
    "cvat-tasks-from-folders",
    "deliver-campaign",
    "export-campaign",
    "finish-campaign",
    "finish-campaigns",
    "launch-campaign",
    "launch-from-drop",
    "pause-campaign",
    "predict-campaign",
    "reopen-campaign",
    "restore-project",
    "resume-campaign",
    "rotate-labeler-key",
    "run-campaign",
    "settle-failed-images",
    "sweep-campaigns",
]
"""The deployed flows. Each holds a lease of its own from its first step to its last."""

_STARTED = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
_PAGE = 200


@task(task_run_name="find dead runs", **RETRY_POLICY)
def free_dead_runs() -> list[str]:
    """Mark runs as crashed whose process is gone, and release their leases. Returns the runs' ids."""
    ledger = the_ledger()
    dead = [lease for lease in ledger.leases.all() if not ledger.leases.alive(lease)]
    try:
        with get_client(sync_client=True) as client:
            marked = mark_holders_crashed(client, dead, on_deleted=put_wait_after_deletion)
            for lease in dead:
                ledger.leases.release(lease)
            for run in _never_started(client, ledger):
                mark_crashed(client, run, "it never started its work, or died before it took its lease")
                marked.append(str(run.id))
    except HTTPError as error:  # the sweep goes on without it
        log().warning("dead runs are left to the next sweep: Prefect did not respond (%s)", type(error).__name__)
        return []
    return marked


def _never_started(client: SyncPrefectClient, ledger: Ledger) -> list[FlowRun]:
    """Runs of our deployments that started a while ago and hold no lease, though every flow begins by taking one."""
    since = datetime.now(UTC) - timedelta(minutes=settings().dead_run_minutes)
    of_deployments = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_STARTED)),
        deployment_id=FlowRunFilterDeploymentId(is_null_=False),
    )
    started = read_runs(client, FLOWS, of_deployments)
    started_a_while_ago = [run for run in started if run.state is not None and run.state.timestamp < since]
    # Leases are read last: a run that took its lease in the meantime has it then, or did not start a while ago.
    holding = {lease.run for lease in ledger.leases.all()}
    return [run for run in started_a_while_ago if str(run.id) not in holding and not _is_process_here(run)]


def _is_process_here(run: FlowRun) -> bool:
    """Whether a process of this machine executes the run: a busy machine takes long to start one."""
    pid = (run.infrastructure_pid or "").rpartition(":")[2]  # process workers set it, some with the host before it
    if not pid.isdecimal():
        return False
    try:
        return str(run.id).encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


def read_runs(client: SyncPrefectClient, flows: Sequence[str], runs_filter: FlowRunFilter) -> list[FlowRun]:
    """All runs of these flows that pass the filter, the oldest first."""
    runs: dict[UUID, FlowRun] = {}
    while True:
        page = client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=list(flows))),
            flow_run_filter=runs_filter,
            sort=FlowRunSort.EXPECTED_START_TIME_ASC,
            limit=_PAGE,
            offset=len(runs),
        )
        new = {run.id: run for run in page if run.id not in runs}
        runs |= new
        if len(page) < _PAGE or not new:
            return list(runs.values())
