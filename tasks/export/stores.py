"""The store that a campaign's datasets go to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from labelwright.campaigns.spec import BLOCK, ExportTo
from labelwright.prefect_integration.blocks import workspace_in_block
from labelwright.settings import Settings, SettingsError, WorkspaceSettings
from labelwright.stores.azure_ml.store import AzureMlStore
from labelwright.stores.local import LocalStore
from labelwright.stores.protocol import DatasetStore


def workspace_named(name: str, settings: Settings) -> WorkspaceSettings:
    """The settings' workspace of this name, or the one of a Prefect block (`block:NAME`). Raises SettingsError."""
    if name.startswith(BLOCK):
        return workspace_in_block(name, settings.workspaces.get("default", WorkspaceSettings()))
    workspace = settings.workspaces.get(name.lower())
    if workspace is None:
        variable = f"LABELWRIGHT_WORKSPACES__{name.upper()}"
        raise SettingsError(
            f"no Azure ML workspace '{name}' is known: set {variable}__CONFIG (or __SUBSCRIPTION_ID, __RESOURCE_GROUP, "
            f"__WORKSPACE_NAME) and {variable}__ACCOUNT_URL, or make a Prefect block and say workspace: block:NAME"
        )
    return workspace


def _azure_ml(export: ExportTo, settings: Settings) -> DatasetStore:
    return AzureMlStore(
        workspace_named(export.workspace, settings),
        engine=export.engine,
        threads=settings.upload_threads,
        timeout=settings.request_timeout,
    )


STORES: dict[str, Callable[[ExportTo, Settings], DatasetStore]] = {
    "local": lambda export, settings: LocalStore(Path(export.folder)),
    "azure_ml": _azure_ml,
}


def open_store(export: ExportTo, settings: Settings) -> DatasetStore:
    """Made anew by every task: it may hold credentials. Raises SettingsError."""
    return STORES[export.store](export, settings)


def store_that_holds(location: str, export: ExportTo, settings: Settings) -> DatasetStore:
    """The store of a version that was registered, even if the campaign's next ones go elsewhere."""
    store, engine = store_kind(location, export)
    return open_store(export.model_copy(update={"store": store, "engine": engine}), settings)


def store_kind(location: str, export: ExportTo) -> tuple[str, str]:
    """Store and engine of a version that was registered; of the campaign's next one without a location.

    Locations tell them apart: a folder is local, SDK v2 answers URIs with the subscription in them, SDK v1 has none.
    """
    if not location:
        return export.store, export.engine
    if not location.startswith("azureml://"):
        return "local", export.engine
    return "azure_ml", "sdk_v2" if location.startswith("azureml://subscriptions/") else "sdk_v1"
