"""What only a team has: a place for results that several machines read, and a cluster that checks images."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from urllib.parse import urlsplit

from labelwright.settings import Settings, SettingsError

from .findings import Finding, Level

_TIMEOUT = 5.0


def results(given: Settings) -> Iterator[Finding]:
    """Where runs keep their results, when that is told to whoever deploys or to the workers."""
    from prefect.settings import get_current_settings

    from labelwright.domain.errors import CannotRun
    from labelwright.prefect_integration.result_storage import BLOCK, can_read_results

    told = get_current_settings().results.default_storage_block
    if given.results is not None:
        try:
            there = can_read_results(given.results)
        except (CannotRun, SettingsError) as error:
            yield Finding("results", Level.ERROR, str(error), "Mend LABELWRIGHT_RESULTS__...")
            return
        says = f"the container '{given.results.container}'"
        if there:
            yield Finding("results", Level.OK, f"{says} can be read; writing was not tried")
        else:
            yield Finding("results", Level.ERROR, f"{says} is not there", "labelwright deploy")
    if told is None:
        if given.results is not None:
            do = f"PREFECT_DEFAULT_RESULT_STORAGE_BLOCK={BLOCK} for workers; whoever only deploys needs it not"
            yield Finding("results", Level.WARNING, "runs of this machine keep none there", do)
        return
    yield _block(told)


def _block(told: str) -> Finding:
    """The block that Prefect is told to keep results in."""
    from httpx import HTTPError

    from labelwright.domain.errors import CannotRun

    do = "labelwright deploy, with LABELWRIGHT_RESULTS__... set; or take PREFECT_DEFAULT_RESULT_STORAGE_BLOCK away"
    kind, _, name = told.partition("/")
    try:
        if not _is_saved(kind, name):
            return Finding("results", Level.ERROR, f"there is no block {told}, and every run would fail", do)
    except (HTTPError, RuntimeError, CannotRun) as error:
        return Finding("results", Level.ERROR, f"block {told} could not be asked for: {type(error).__name__}", do)
    if kind == "azure-blob-storage-container":
        try:
            version("prefect-azure")
        except PackageNotFoundError:
            says = f"block {told} needs prefect-azure, which is not installed"
            return Finding("results", Level.ERROR, says, "pip install 'labelwright[results]'")
    return Finding("results", Level.OK, f"runs keep their results in {told}")


def _is_saved(kind: str, name: str) -> bool:
    """Whether the Prefect server has the block. Raises HTTPError, RuntimeError, CannotRun."""
    from prefect.exceptions import ObjectNotFound

    from labelwright.prefect_integration.deployments import require_prefect_client

    try:
        with require_prefect_client() as client:
            client.read_block_document_by_name(name, kind, include_secrets=False)
    except ObjectNotFound:
        return False
    return True


def dask(given: Settings) -> Iterator[Finding]:
    """The scheduler is knocked at; whether its machines have Labelwright is only seen when they are asked to check."""
    address = given.dask_scheduler
    if address is None:
        return
    off = "or take LABELWRIGHT_DASK_SCHEDULER out of the settings"
    try:
        version("prefect-dask")
    except PackageNotFoundError:
        do = f"pip install 'labelwright[dask]', {off}"
        yield Finding("dask", Level.ERROR, "a cluster is configured, and prefect-dask is not installed", do)
        return
    try:
        parts = urlsplit(address)
        socket.create_connection((parts.hostname or "", parts.port or 8786), _TIMEOUT).close()
    except (OSError, ValueError) as error:
        says = f"the scheduler at {address} does not answer: {type(error).__name__}"
        yield Finding("dask", Level.ERROR, says, f"dask scheduler, and workers for it; {off}")
    else:
        yield Finding("dask", Level.OK, f"the scheduler at {address} takes connections; its workers were not asked")
