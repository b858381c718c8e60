"""Opens the store that a campaign's datasets go to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from labelwright.campaigns.spec import BLOCK, ExportTo
from labelwright.prefect_integration.blocks import workspace_in_block
from labelwright.settings import Settings, WorkspaceSettings
from labelwright.stores.azure_ml.store import AzureMlStore
from labelwright.stores.local import LocalStore
from labelwright.stores.protocol import DatasetStore


def workspace_named(name: str, settings: Settings) -> WorkspaceSettings:
    """The settings' workspace of this name, or the one of a Prefect block (`block:NAME`). Raises SettingsError."""
    if name.startswith(BLOCK):
        return workspace_in_block(name, settings.workspaces.get("default", WorkspaceSettings()))
    return settings.workspace(name)


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
    """Open the store of an export. Every task opens its own, because it may hold credentials. Raises SettingsError."""
    return STORES[export.store](export, settings)


def store_that_holds(location: str, export: ExportTo, settings: Settings) -> DatasetStore:
    """Open the store of a registered version, even if the campaign's next versions go to another one."""
    store, engine = store_kind(location, export)
    return open_store(export.model_copy(update={"store": store, "engine": engine}), settings)


def store_kind(location: str, export: ExportTo) -> tuple[str, str]:
    """Store and engine of a registered version by its location; those of the campaign's next version without one.

    A folder is local; SDK v2 returns URIs with the subscription in them, SDK v1 without.
    """
    if not location:
        return export.store, export.engine
    if not location.startswith("azureml://"):
        return "local", export.engine
    return "azure_ml", "sdk_v2" if location.startswith("azureml://subscriptions/") else "sdk_v1"
