"""Checks one deployment on the Prefect server: whether its runs are scheduled, and whether our workers take them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from labelwright import __version__

from .findings import Finding, Level

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.responses import DeploymentResponse

_ANEW = "labelwright deploy"


def check_deployment(client: SyncPrefectClient, name: str) -> Iterator[Finding]:
    """Yields what is wrong with it, or that it is there. name: FLOW/DEPLOYMENT."""
    from prefect.exceptions import ObjectNotFound

    try:
        deployment = client.read_deployment_by_name(name)
    except ObjectNotFound:
        yield Finding("prefect", Level.ERROR, f"deployment {name} is missing", _ANEW)
        return
    faults = [*_scheduling_faults(deployment, name), *_pool_faults(client, deployment, name)]
    if deployment.version not in (None, __version__):
        message = f"deployment {name} is of version {deployment.version}, this is {__version__}"
        faults.append(Finding("prefect", Level.WARNING, message, _ANEW))
    yield from faults or [Finding("prefect", Level.OK, f"deployment {name}")]


def _scheduling_faults(deployment: DeploymentResponse, name: str) -> Iterator[Finding]:
    from labelwright.prefect_integration.deployments import SWEEP

    level = Level.ERROR if name == SWEEP else Level.WARNING
    if deployment.paused:
        # `prefect deployment schedule resume` leaves this flag as it is, and so does `labelwright deploy`.
        advice = f"prefect api POST /deployments/{deployment.id}/resume_deployment, or its switch in the UI"
        yield Finding("prefect", level, f"deployment {name} is paused: nothing is scheduled", advice)
    for schedule in deployment.schedules:
        if not schedule.active:
            message = f"a schedule of deployment {name} is switched off"
            yield Finding("prefect", level, message, f"prefect deployment schedule resume {name} {schedule.id}")
    if name == SWEEP and not deployment.schedules:
        yield Finding("prefect", level, f"deployment {name} has no schedule: no sweep starts by itself", _ANEW)


def _pool_faults(client: SyncPrefectClient, deployment: DeploymentResponse, name: str) -> Iterator[Finding]:
    from prefect.exceptions import ObjectNotFound

    from labelwright.prefect_integration.deployments import POOL

    if deployment.work_pool_name != POOL:
        where = f"work pool '{deployment.work_pool_name}'" if deployment.work_pool_name else "no work pool"
        message = f"deployment {name} is on {where}, and workers of '{POOL}' take none of its runs"
        yield Finding("prefect", Level.ERROR, message, _ANEW)
        return
    queue = deployment.work_queue_name or "default"
    try:
        is_paused = client.read_work_queue_by_name(queue, POOL).is_paused
    except ObjectNotFound:
        return
    if is_paused:
        advice = f"prefect work-queue resume {queue} --pool {POOL}"
        yield Finding("prefect", Level.ERROR, f"work queue '{queue}' of deployment {name} is paused", advice)
