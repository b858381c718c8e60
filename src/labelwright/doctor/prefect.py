"""Checks the Prefect server: its version, its workers, and our deployments on it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from typing import TYPE_CHECKING

from labelwright import __version__
from labelwright.domain.errors import CannotRun
from labelwright.settings import Settings

from .clocks import check_clock, origin_of
from .findings import Finding, Level

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient


def check_prefect(_settings: Settings) -> Iterator[Finding]:
    from labelwright.prefect_integration.client import require_prefect_client

    try:
        client = require_prefect_client()
    except CannotRun as error:
        yield Finding("prefect", Level.WARNING, str(error), "Without one, runs use a server that ends with them")
        return
    from httpx import HTTPError

    address = str(client.api_url)
    try:
        with client:
            yield _compare_versions(client.api_version(), version("prefect"), address)
            yield from check_clock("prefect", address)
            yield from _check_workers(client)
    except (HTTPError, RuntimeError) as error:
        message = f"{origin_of(address)} does not answer: {type(error).__name__}"
        yield Finding("prefect", Level.ERROR, message, "Start it, or check PREFECT_API_URL and PREFECT_API_AUTH_STRING")


def _check_workers(client: SyncPrefectClient) -> Iterator[Finding]:
    """Checks work pool and workers, and the deployments when there is a work pool."""
    from prefect.exceptions import ObjectNotFound

    from labelwright.prefect_integration.deployments import POOL, deployment_names, online_workers, prefect_file

    try:
        pool = client.read_work_pool(POOL)
    except ObjectNotFound:
        yield Finding("prefect", Level.ERROR, f"it has no work pool '{POOL}'", "labelwright deploy")
        return
    workers = len(online_workers(client))
    message = f"work pool '{POOL}' ({pool.type}): {workers} workers are online"
    if pool.is_paused:
        yield Finding("prefect", Level.ERROR, f"work pool '{POOL}' is paused", f"prefect work-pool resume {POOL}")
    elif not workers:
        yield Finding("prefect", Level.ERROR, message, f"prefect worker start --pool {POOL}")
    else:
        yield Finding("prefect", Level.OK, message)
    for name in deployment_names(prefect_file()):
        yield _check_deployment(client, name)


def _check_deployment(client: SyncPrefectClient, name: str) -> Finding:
    from prefect.exceptions import ObjectNotFound

    try:
        deployment = client.read_deployment_by_name(name)
    except ObjectNotFound:
        return Finding("prefect", Level.ERROR, f"deployment {name} is missing", "labelwright deploy")
    if deployment.paused:
        advice = f"prefect deployment schedule resume {name} ID, or the switch in the UI"
        return Finding("prefect", Level.WARNING, f"deployment {name} is paused", advice)
    if deployment.version not in (None, __version__):
        message = f"deployment {name} is of version {deployment.version}, this is {__version__}"
        return Finding("prefect", Level.WARNING, message, "labelwright deploy")
    return Finding("prefect", Level.OK, f"deployment {name}")


def _compare_versions(server: str, local: str, address: str) -> Finding:
    message = f"{origin_of(address)} is Prefect {server}"
    if server.split(".")[:2] == local.split(".")[:2]:
        return Finding("prefect", Level.OK, message)
    newer = "the server's" if server > local else "this machine's"
    advice = "Bring server and workers to one version; the server may be the newer one"
    return Finding("prefect", Level.WARNING, f"{message}, here is {local}: {newer} is newer", advice)
