"""Keeps results of runs in Azure Blob, in Prefect's own format, through one saved block.

Labelwright itself reads none of them: the ledger records what was done. They are for a team's own flows that start ours
with `run_deployment` and use their results, which otherwise stay on the machine, or in the pod, that ran the flow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from labelwright.domain.errors import ResultStorageUnusable
from labelwright.network.deadlines import OutOfTime, run_within
from labelwright.settings import ResultsSettings, SettingsError

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

_DEADLINE = 120.0
"""Seconds for one operation on the container: the Azure client's own timeout is for the next byte."""

NAME = "labelwright-results"
"""Name of both blocks, the account's and the container's."""

BLOCK = f"azure-blob-storage-container/{NAME}"
"""Value of PREFECT_DEFAULT_RESULT_STORAGE_BLOCK for runs that keep their results there."""


def keep_results_in_blob(results: ResultsSettings) -> str:
    """Saves the block with the configured Prefect server and creates a missing container. Returns BLOCK. Idempotent.

    Raises CannotRun, SettingsError.
    """
    try:
        from prefect_azure.blob_storage import AzureBlobStorageContainer
        from prefect_azure.credentials import AzureBlobStorageCredentials
    except ImportError:
        raise ResultStorageUnusable(
            "results in Azure Blob need one more package: pip install 'labelwright[results]', or take "
            "LABELWRIGHT_RESULTS__... out of the settings"
        ) from None
    _create_container(results)
    account = AzureBlobStorageCredentials(connection_string=results.connection_string, account_url=results.account_url)
    account.save(NAME, overwrite=True, _sync=True)  # type: ignore[call-arg]
    container = AzureBlobStorageContainer(container_name=results.container, credentials=account)
    container.save(NAME, overwrite=True, _sync=True)  # type: ignore[call-arg]
    return BLOCK


def can_read_results(results: ResultsSettings) -> bool:
    """Whether the container exists. Raises CannotRun when the account does not respond or refuses, SettingsError."""
    return _on_container(results, lambda container: container.exists())


def _create_container(results: ResultsSettings) -> None:
    def create_if_missing(container: ContainerClient) -> bool:
        from azure.core.exceptions import ResourceExistsError

        # An identity that may write into a container often may not create one.
        if not container.exists():
            try:
                container.create_container()
            except ResourceExistsError:
                return False
        return True

    _on_container(results, create_if_missing)


def _on_container(results: ResultsSettings, operation: Callable[[ContainerClient], bool]) -> bool:
    """Runs the operation on the container within the deadline. Raises CannotRun, SettingsError."""
    from azure.core.exceptions import AzureError
    from azure.storage.blob import ContainerClient

    from labelwright.ingest.upload.azure_client import machine_identity

    # Few retries: a person who deploys is waiting.
    options: dict[str, Any] = {"retry_total": 1, "initial_backoff": 1, "increment_base": 1, "random_jitter_range": 0}
    options |= {"connection_timeout": 10, "read_timeout": 30}
    try:
        if results.connection_string is not None:
            address = results.connection_string.get_secret_value()
            client = ContainerClient.from_connection_string(address, results.container, **options)
        elif results.account_url:
            client = ContainerClient(results.account_url, results.container, credential=machine_identity(), **options)
        else:
            raise SettingsError(
                "the container for results is not set: set LABELWRIGHT_RESULTS__ACCOUNT_URL, or "
                "LABELWRIGHT_RESULTS__CONNECTION_STRING"
            )
    except ValueError as error:
        if isinstance(error, SettingsError):
            raise
        raise SettingsError("LABELWRIGHT_RESULTS__CONNECTION_STRING is no connection string of Azure Storage") from None
    try:
        with client:
            return bool(run_within(_DEADLINE, operation, client))
    except OutOfTime:
        raise ResultStorageUnusable(
            f"the container '{results.container}' for results was not reached within {_DEADLINE:g} seconds. Does the "
            "account answer?"
        ) from None
    except AzureError as error:
        status = getattr(error, "status_code", None)
        reason = f"HTTP {status}" if status else type(error).__name__
        raise ResultStorageUnusable(
            f"the container '{results.container}' for results cannot be used ({reason}). Does the account answer, and "
            "has this identity Storage Blob Data Contributor on the container?"
        ) from None
