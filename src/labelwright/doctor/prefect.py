"""Checks the Prefect server: its version, its workers, and our deployments on it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from importlib.metadata import version
from typing import TYPE_CHECKING

from labelwright.domain.errors import CannotRun, error_code_of
from labelwright.settings import Settings

from .clocks import check_clock, origin_of
from .deployments import check_deployment
from .findings import Finding, Level
from .workers import check_workers

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient


def check_prefect(_settings: Settings) -> Iterator[Finding]:
    from labelwright.prefect_integration.client import require_prefect_client

    try:
        client = require_prefect_client()
    except CannotRun as error:
        yield Finding(
            "prefect",
            Level.WARNING,
            str(error),
            "Without one, runs use a server that ends with them",
            error_code_of(error),
        )
        return
    from httpx import HTTPError

    address = str(client.api_url)
    try:
        with client:
            yield _compare_versions(client.api_version(), version("prefect"), address)
            yield from check_clock("prefect", address)
            yield from _check_pool(client)
    except (HTTPError, RuntimeError) as error:
        yield Finding("prefect", Level.ERROR, *_fault(error, origin_of(address)))


def _fault(error: Exception, server: str) -> tuple[str, str]:
    """Returns what is wrong with the server, and what to do."""
    from httpx import HTTPStatusError, TimeoutException

    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, socket.gaierror | ConnectionRefusedError | ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, HTTPStatusError):
        message = f"{server} answers with status {error.response.status_code}"
        if error.response.status_code in (401, 403):
            return message, "It refuses the credential: correct PREFECT_API_AUTH_STRING or PREFECT_API_KEY"
        return message, "Check PREFECT_API_URL, which ends in /api; and see the log of its server"
    advice = "Start it, or check PREFECT_API_URL and PREFECT_API_AUTH_STRING"
    if isinstance(cause, socket.gaierror):
        advice = "Its host's name is unknown here: correct the host in PREFECT_API_URL, or see why DNS fails"
    elif isinstance(cause, ssl.SSLError):
        advice = "Check https or http in PREFECT_API_URL; PREFECT_API_SSL_CERT_FILE names a CA of your own"
    elif isinstance(cause, ConnectionRefusedError):
        advice = "Nothing listens there: start it (prefect server start), or correct PREFECT_API_URL"
    elif isinstance(error, TimeoutException):
        advice = "See whether its host is up, and whether a firewall lets this machine through"
    return f"{server} does not answer: {type(error).__name__}", advice


def _check_pool(client: SyncPrefectClient) -> Iterator[Finding]:
    """Checks work pool, workers, and the deployments when there is a work pool."""
    from prefect.exceptions import ObjectNotFound

    from labelwright.prefect_integration.deployments import POOL, deployment_names, prefect_file

    try:
        pool = client.read_work_pool(POOL)
    except ObjectNotFound:
        yield Finding("prefect", Level.ERROR, f"it has no work pool '{POOL}'", "labelwright deploy")
        return
    if pool.is_paused:
        yield Finding("prefect", Level.ERROR, f"work pool '{POOL}' is paused", f"prefect work-pool resume {POOL}")
    yield from check_workers(client, POOL, pool.type)
    for name in deployment_names(prefect_file()):
        yield from check_deployment(client, name)


def _compare_versions(server: str, local: str, address: str) -> Finding:
    message = f"{origin_of(address)} is Prefect {server}"
    if server.split(".")[:2] == local.split(".")[:2]:
        return Finding("prefect", Level.OK, message)
    newer = "the server's" if server > local else "this machine's"
    advice = "Bring server and workers to one version; the server may be the newer one"
    return Finding("prefect", Level.WARNING, f"{message}, here is {local}: {newer} is newer", advice)
