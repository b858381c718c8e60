"""Checks what only a team has: storage for results that several machines read, and a Dask cluster for image checks."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from urllib.parse import urlsplit

from labelwright.domain.errors import CannotRun, error_code_of
from labelwright.settings import ResultsSettings, Settings, SettingsError

from .findings import Finding, Level

_TIMEOUT = 5.0


def check_results(settings: Settings) -> Iterator[Finding]:
    """Checks the container and the block for results, as far as this machine's settings name them."""
    from prefect.settings import get_current_settings

    from labelwright.prefect_integration.result_storage import BLOCK

    block = get_current_settings().results.default_storage_block
    if settings.results is not None:
        try:
            yield _check_container(settings.results)
        except (CannotRun, SettingsError) as error:
            yield Finding("results", Level.ERROR, str(error), "Check LABELWRIGHT_RESULTS__...", error_code_of(error))
            return
    if block is not None:
        yield _check_block(block)
    elif settings.results is not None:
        advice = f"PREFECT_DEFAULT_RESULT_STORAGE_BLOCK={BLOCK} for workers; a machine that only deploys needs none"
        yield Finding("results", Level.WARNING, "runs of this machine keep none there", advice)


def _check_container(results: ResultsSettings) -> Finding:
    """Raises CannotRun, SettingsError."""
    from labelwright.prefect_integration.result_storage import can_read_results

    container = f"the container '{results.container}'"
    if can_read_results(results):
        return Finding("results", Level.OK, f"{container} can be read; writing was not tried")
    return Finding("results", Level.ERROR, f"{container} is not there", "labelwright deploy")


def _check_block(block: str) -> Finding:
    """Checks the block that Prefect is configured to keep results in."""
    from httpx import HTTPError

    advice = (
        "labelwright deploy, with LABELWRIGHT_RESULTS__... set; or remove PREFECT_DEFAULT_RESULT_STORAGE_BLOCK from "
        "the environment"
    )
    block_type, _, name = block.partition("/")
    try:
        if not _is_saved(block_type, name):
            return Finding("results", Level.ERROR, f"there is no block {block}, and every run would fail", advice)
    except (HTTPError, RuntimeError, CannotRun) as error:
        return Finding("results", Level.ERROR, f"block {block} could not be read: {type(error).__name__}", advice)
    if block_type == "azure-blob-storage-container":
        try:
            version("prefect-azure")
        except PackageNotFoundError:
            message = f"block {block} needs prefect-azure, which is not installed"
            return Finding("results", Level.ERROR, message, "pip install 'labelwright[results]'")
    return Finding("results", Level.OK, f"runs keep their results in {block}")


def _is_saved(block_type: str, name: str) -> bool:
    """Whether the Prefect server has the block. Raises HTTPError, RuntimeError, CannotRun."""
    from prefect.exceptions import ObjectNotFound

    from labelwright.prefect_integration.client import require_prefect_client

    try:
        with require_prefect_client() as client:
            client.read_block_document_by_name(name, block_type, include_secrets=False)
    except ObjectNotFound:
        return False
    return True


def check_dask(settings: Settings) -> Iterator[Finding]:
    """Opens a connection to the scheduler. Whether its workers have Labelwright is only seen in a run."""
    address = settings.dask_scheduler
    if address is None:
        return
    alternative = "or take LABELWRIGHT_DASK_SCHEDULER out of the settings"
    try:
        version("prefect-dask")
    except PackageNotFoundError:
        advice = f"pip install 'labelwright[dask]', {alternative}"
        yield Finding("dask", Level.ERROR, "a cluster is configured, and prefect-dask is not installed", advice)
        return
    try:
        parts = urlsplit(address)
        socket.create_connection((parts.hostname or "", parts.port or 8786), _TIMEOUT).close()
    except (OSError, ValueError) as error:
        message = f"the scheduler at {address} does not answer: {type(error).__name__}"
        yield Finding("dask", Level.ERROR, message, f"dask scheduler, and workers for it; {alternative}")
    else:
        message = f"the scheduler at {address} takes connections; its workers were not checked"
        yield Finding("dask", Level.OK, message)
