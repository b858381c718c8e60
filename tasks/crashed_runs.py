"""Marks flow runs whose process died as crashed in Prefect, which still believes them to be running."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from uuid import UUID

from httpx import HTTPError
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Crashed

from labelwright.ledger import Lease
from labelwright.network.guards import before_change

from .reporting import log


def mark_runs_crashed(leases: Iterable[Lease]) -> None:
    """Mark the runs that held these leases. A failure is only logged: the next sweep marks them."""
    leases = [lease for lease in leases if lease.run is not None]
    if leases:
        try:
            with get_client(sync_client=True) as client:
                mark_holders_crashed(client, leases)
        except HTTPError as error:
            log().warning("a dead run could not be marked as crashed in Prefect (%s)", type(error).__name__)


def mark_holders_crashed(
    client: SyncPrefectClient, leases: Iterable[Lease], on_deleted: Callable[[Lease], None] = lambda lease: None
) -> list[str]:
    """Mark the runs that held these leases, unless they have ended. Returns the ids of those marked.

    on_deleted: called for a lease whose run somebody deleted in Prefect.
    """
    marked = []
    for lease in leases:
        if lease.run is None:
            continue
        try:
            run = client.read_flow_run(UUID(lease.run))
        except ObjectNotFound:
            on_deleted(lease)
            continue
        if run.state is not None and not run.state.is_final():
            mark_crashed(client, run, f"{lease.holder} is dead: its lease on '{lease.name}' is no longer renewed")
            marked.append(lease.run)
    return marked


def mark_crashed(client: SyncPrefectClient, run: FlowRun, reason: str) -> None:
    """Mark a dead run as crashed; one that was being cancelled as cancelled, which it stays."""
    log().warning("run %s is dead: %s", run.name, reason)
    being_cancelled = run.state is not None and run.state.type is StateType.CANCELLING
    before_change()
    make_state = Cancelled if being_cancelled else Crashed
    client.set_flow_run_state(run.id, make_state(message=reason), force=True)
