"""Slots of the deployments: how many more runs may start now. What is due beyond that waits in the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from httpx import HTTPError
from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound, PrefectException

from labelwright.domain import Work
from labelwright.tasks.chaining import task
from labelwright.tasks.reporting import log
from labelwright.tasks.retries import UNCACHED

from .dead_runs import free_dead_runs
from .restarts import DEPLOYMENTS, DueWork, due_work, start_run

FINISH_MANY = "finish-campaigns/finish-campaigns"
"""The deployment whose runs finish one campaign after the other. They take the slots of Work.FINISH."""

_IN_A_SLOT = [StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
"""States of runs that hold a slot, or wait in Prefect for one."""

_SOON = timedelta(minutes=2)
"""Runs that are scheduled for later take no slot yet. Prefect offers a run that waits again after half a minute."""


@dataclass(frozen=True, slots=True)
class Starts:
    """The runs to start now."""

    single: list[DueWork] = field(default_factory=list)
    """Each is a run of its own."""
    finish_many: int = 0
    """Runs that finish one campaign after the other."""


@dataclass(frozen=True, slots=True)
class Slots:
    """How many runs of one kind may start."""

    free: int | None
    """None without a limit."""
    finish_many: int | None = None
    """Active runs that finish many campaigns; None where that deployment does not exist."""


def in_order(due: Iterable[DueWork]) -> list[DueWork]:
    """First attempts come before restarts, and campaigns that were created earlier before others."""
    oldest_first = list(due)[::-1]  # the ledger lists the newest campaign first
    return sorted(oldest_first, key=lambda entry: entry.attempt)


def within_slots(due: Iterable[DueWork]) -> Starts:
    """The runs that may start now: as many of each kind as its deployment has free slots.

    When more campaigns wait to be finished than there are free slots, runs are started that finish one after the other.
    """
    queue = in_order(due)
    single: list[DueWork] = []
    finish_many = 0
    for work in dict.fromkeys(entry.work for entry in queue):
        waiting = [entry for entry in queue if entry.work is work]
        slots = free_slots(work)
        if slots.free is None:
            single += waiting
        elif slots.finish_many is None or (slots.finish_many == 0 and len(waiting) <= slots.free):
            single += waiting[: slots.free]
        else:
            finish_many = min(slots.free, len(waiting))
    if (rest := len(queue) - len(single)) > 0:
        log().info("%d campaigns wait in the queue for runs", rest)
    return Starts(single, finish_many)


def free_slots(work: Work) -> Slots:
    """The slots of a kind of run.

    Without a limit as well when its deployment does not exist: starting a run says so. None is free while Prefect does
    not respond.
    """
    deployment = DEPLOYMENTS[work]
    try:
        with get_client(sync_client=True) as client:
            response = client.read_deployment_by_name(deployment)
            limit = response.global_concurrency_limit
            if limit is None or not limit.active:
                return Slots(None)
            before = FlowRunFilterExpectedStartTime(before_=datetime.now(UTC) + _SOON)
            active = FlowRunFilter(
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_IN_A_SLOT)), expected_start_time=before
            )

            def count(deployment_id: Any) -> int:
                of_deployment = DeploymentFilter(id=DeploymentFilterId(any_=[deployment_id]))
                return client.count_flow_runs(deployment_filter=of_deployment, flow_run_filter=active)

            used, finish_many = count(response.id), None
            if work is Work.FINISH:
                try:
                    finish_many = count(client.read_deployment_by_name(FINISH_MANY).id)
                except ObjectNotFound:  # deployed by an earlier version
                    finish_many = None
    except ObjectNotFound:
        return Slots(None)
    except HTTPError as error:
        log().warning("no run of %s is started now: Prefect did not respond (%s)", deployment, type(error).__name__)
        return Slots(0)
    return Slots(max(0, limit.limit - used - (finish_many or 0)), finish_many)


@task(task_run_name="start {count} runs that finish waiting campaigns", **UNCACHED)
def start_finishing_runs(count: int) -> None:
    """Create runs of finish-campaigns, for a worker to execute. What fails is left to the next sweep."""
    try:
        for _ in range(count):
            run_deployment(FINISH_MANY, timeout=0, as_subflow=False)
    except (HTTPError, PrefectException) as error:
        log().error("a run that finishes waiting campaigns could not be started: %s", error)


def start_next_runs(flow: Flow[Any, Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Hook at the end of a deployed run: starts the runs that waited for its slot, or for that of a dead run.

    The next sweep does what it cannot. Several runs that end at once start each run once: its attempt is one key, in
    the ledger and for Prefect.
    """
    if flow_run.deployment_id is None:
        return
    free_dead_runs.fn()
    starts = within_slots(due_work())
    for due in starts.single:
        start_run.fn(due)
    if starts.finish_many:
        start_finishing_runs.fn(starts.finish_many)
