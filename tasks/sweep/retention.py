"""Removes old runs of ours from Prefect, with their logs and artifacts, so that its database does not grow for ever.

Prefect's own vacuum of runs is not used: it removes the runs of everybody on that server, and with a run the page of a
campaign that still goes on. Events cannot be removed through Prefect's API: its server removes them by itself.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID

from httpx import HTTPError
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    ArtifactCollectionFilter,
    ArtifactCollectionFilterLatestId,
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.context import FlowRunContext
from prefect.exceptions import ObjectNotFound

from labelwright.domain import BLOCKED, OPEN, WORK
from labelwright.ledger import Ledger
from labelwright.settings import settings
from labelwright.tasks.context import the_ledger
from labelwright.tasks.reporting import log

from .dead_runs import FLOWS

QUIET = "quiet"
"""Tag of sweeps that found nothing changed, and started nothing."""

BATCH = 50
"""Runs that are read at once."""

MOST_RUNS = 1000
"""Runs that one sweep removes at most; the next one goes on."""

SECONDS = 60.0
"""Time after which a sweep begins no further batch."""

_SWEEP = "sweep-campaigns"
_ENDED = [StateType.COMPLETED, StateType.FAILED, StateType.CANCELLED, StateType.CRASHED]
_PAGE = 200


def mark_quiet() -> None:
    """Tag the sweep under way as one that changed nothing: it is removed after `quiet_sweep_hours`."""
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if run is None:
        return
    try:
        with get_client(sync_client=True) as client:
            client.update_flow_run(run.id, tags=[*run.tags, QUIET]).raise_for_status()
    except HTTPError as error:  # then it is kept as long as the others
        log().debug("the sweep could not be tagged: Prefect did not respond (%s)", type(error).__name__)


def remove_old_runs() -> int:
    """Remove runs of our flows that ended `retention_days` ago, and quiet or skipped sweeps after `quiet_sweep_hours`.

    Their logs go with them, and their artifacts but the newest one of each key, which is a campaign's page or table.
    Kept are runs that have not ended, and those by which the ledger knows that a campaign was started and is not done.
    0 days keep everything. Returns the number of runs. What is left after a time or a number is left to the next sweep.
    """
    current, moment = settings(), datetime.now(UTC)
    if not current.retention_days:
        return 0
    old = moment - timedelta(days=current.retention_days)
    quiet = max(old, moment - timedelta(hours=current.quiet_sweep_hours))
    removal = Removal(the_ledger())
    try:
        with get_client(sync_client=True) as client:
            removal.remove(client, [_SWEEP], _ended_before(quiet, tag=QUIET))
            removal.remove(client, [_SWEEP], _ended_before(quiet, states=[StateType.CANCELLED]))
            removal.remove(client, FLOWS, _ended_before(old))
    except HTTPError as error:  # the next sweep goes on
        log().warning("old runs are left to the next sweep: Prefect did not respond (%s)", type(error).__name__)
    if removal.count:
        log().info("%d old runs were removed from Prefect", removal.count)
    return removal.count


def _ended_before(moment: datetime, states: Sequence[StateType] = _ENDED, tag: str | None = None) -> FlowRunFilter:
    return FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(states))),
        end_time=FlowRunFilterEndTime(before_=moment),
        tags=None if tag is None else FlowRunFilterTags(all_=[tag]),
    )


class Removal:
    """Removes runs in batches, within the limits of one sweep."""

    def __init__(self, ledger: Ledger) -> None:
        self.count = 0
        self._ledger = ledger
        self._ends = time.monotonic() + SECONDS

    def remove(self, client: SyncPrefectClient, flows: Sequence[str], ended: FlowRunFilter) -> None:
        """Remove the runs of these flows that the filter finds, the oldest first. Raises HTTPError."""
        kept = 0
        while self.count < MOST_RUNS and time.monotonic() < self._ends:
            runs = client.read_flow_runs(
                flow_filter=FlowFilter(name=FlowFilterName(any_=list(flows))),
                flow_run_filter=ended,
                sort=FlowRunSort.EXPECTED_START_TIME_ASC,
                limit=BATCH,
                offset=kept,
            )
            unneeded = self._unneeded(runs)
            if unneeded:
                _remove_artifacts(client, unneeded)
                removed = _remove_runs(client, unneeded)
                self.count += removed
                if not removed:
                    return  # another process removes them
            kept += len(runs) - len(unneeded)
            if len(runs) < BATCH:
                return

    def _unneeded(self, runs: Sequence[FlowRun]) -> list[UUID]:
        """The runs that hold no lease, and by which the ledger knows of no start of a campaign that is not done."""
        ids = [str(run.id) for run in runs]
        starts = self._ledger.effects.with_outcomes(ids) if ids else []
        records = self._ledger.campaigns.by_titles(list({effect.campaign for effect in starts}))
        going_on = {record.title for record in records if record.state in {*WORK, *OPEN, *BLOCKED}}
        needed = {effect.outcome for effect in starts if effect.campaign in going_on}
        needed |= {lease.run for lease in self._ledger.leases.all()} if ids else set()
        return [run.id for run in runs if str(run.id) not in needed]


def _remove_runs(client: SyncPrefectClient, ids: Sequence[UUID]) -> int:
    """Remove runs with their states, task runs and logs. Returns how many there were."""
    removed = 0
    for run in ids:
        with suppress(ObjectNotFound):  # another process removed it
            client.delete_flow_run(run)
            removed += 1
    return removed


def _remove_artifacts(client: SyncPrefectClient, runs: Sequence[UUID]) -> None:
    """Remove the artifacts of these runs, but not the newest of its key."""
    of_runs = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=list(runs)))
    kept = 0
    while True:
        ids = [artifact.id for artifact in client.read_artifacts(artifact_filter=of_runs, limit=_PAGE, offset=kept)]
        if not ids:
            return
        newest = client.read_latest_artifacts(
            artifact_filter=ArtifactCollectionFilter(latest_id=ArtifactCollectionFilterLatestId(any_=ids))
        )
        earlier = set(ids) - {artifact.latest_id for artifact in newest}
        for artifact in earlier:
            with suppress(ObjectNotFound):
                client.delete_artifact(artifact)
        kept += len(ids) - len(earlier)
        if len(ids) < _PAGE:
            return
