"""Results of runs in Azure Blob, where workers and other flows can read them: one block, in Prefect's own format.

Labelwright itself reads none of them: the ledger says what was done. They are for flows of a team that start ours by
`run_deployment` and want what they answered, which else stays on the machine, or in the pod, that ran it.
"""

from __future__ import annotations

from typing import Any

from labelwright.domain.errors import CannotRun
from labelwright.network.deadlines import OutOfTime, run_within
from labelwright.settings import ResultsSettings, SettingsError

_LONGEST = 120.0
"""Seconds: the client waits for the next byte only."""

NAME = "labelwright-results"
"""Of both blocks: the account's and the container's."""

BLOCK = f"azure-blob-storage-container/{NAME}"
"""What PREFECT_DEFAULT_RESULT_STORAGE_BLOCK says where runs are to keep their results there."""


def keep_results_in_blob(given: ResultsSettings) -> str:
    """Save the block with the configured Prefect server, and make the container where it is not there. Answers BLOCK.

    Said again, it updates what is there. Raises CannotRun, SettingsError.
    """
    try:
        from prefect_azure.blob_storage import AzureBlobStorageContainer
        from prefect_azure.credentials import AzureBlobStorageCredentials
    except ImportError:
        raise CannotRun(
            "results in Azure Blob need one more package: pip install 'labelwright[results]', or take "
            "LABELWRIGHT_RESULTS__... out of the settings"
        ) from None
    _make_container(given)
    account = AzureBlobStorageCredentials(connection_string=given.connection_string, account_url=given.account_url)
    account.save(NAME, overwrite=True, _sync=True)  # type: ignore[call-arg]
    container = AzureBlobStorageContainer(container_name=given.container, credentials=account)
    container.save(NAME, overwrite=True, _sync=True)  # type: ignore[call-arg]
    return BLOCK


def can_read_results(given: ResultsSettings) -> bool:
    """Whether the container is there. Raises CannotRun when the account does not say, SettingsError."""
    return _asked(given, lambda container: container.exists())


def _make_container(given: ResultsSettings) -> None:
    def make(container: Any) -> bool:
        from azure.core.exceptions import ResourceExistsError

        # An identity that may write into a container may often not make one: it is only tried where none is.
        if not container.exists():
            try:
                container.create_container()
            except ResourceExistsError:
                return False
        return True

    _asked(given, make)


def _asked(given: ResultsSettings, question: Any) -> bool:
    from azure.core.exceptions import AzureError
    from azure.storage.blob import ContainerClient

    from labelwright.ingest.upload.azure_client import machine_identity

    # Said once and soon: whoever deploys is waiting.
    few: dict[str, Any] = {"retry_total": 1, "initial_backoff": 1, "increment_base": 1, "random_jitter_range": 0}
    few |= {"connection_timeout": 10, "read_timeout": 30}
    try:
        if given.connection_string is not None:
            address = given.connection_string.get_secret_value()
            client = ContainerClient.from_connection_string(address, given.container, **few)
        elif given.account_url:
            client = ContainerClient(given.account_url, given.container, credential=machine_identity(), **few)
        else:
            raise SettingsError(
                "where results are kept is not complete: set LABELWRIGHT_RESULTS__ACCOUNT_URL, or "
                "LABELWRIGHT_RESULTS__CONNECTION_STRING"
            )
    except ValueError as error:
        if isinstance(error, SettingsError):
            raise
        raise SettingsError("LABELWRIGHT_RESULTS__CONNECTION_STRING is no connection string of Azure Storage") from None
    try:
        with client:
            return bool(run_within(_LONGEST, question, client))
    except OutOfTime:
        raise CannotRun(
            f"the container '{given.container}' for results was not reached within {_LONGEST:g} seconds. Does the "
            "account answer?"
        ) from None
    except AzureError as error:
        status = getattr(error, "status_code", None)
        says = f"HTTP {status}" if status else type(error).__name__
        raise CannotRun(
            f"the container '{given.container}' for results cannot be used ({says}). Does the account answer, and has "
            "this identity Storage Blob Data Contributor on the container?"
        ) from None
