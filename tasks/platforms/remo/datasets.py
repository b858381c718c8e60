"""Tasks for Remo's datasets and folders, one per call. `connection` is the name of a connection in the settings."""

from __future__ import annotations

from dataclasses import replace

from labelwright.platforms.remo.models import RemoDataset, RemoFolder, RemoImage
from labelwright.tasks.chaining import task
from labelwright.tasks.reporting import log
from labelwright.tasks.retries import RETRY_POLICY

from .connection import remo_at


@task(task_run_name="list Remo's datasets", **RETRY_POLICY)
def list_datasets(
    connection: str, public: bool | None = None, archived: bool | None = None, limit: int | None = None
) -> list[RemoDataset]:
    """Returns the datasets that are public or private, archived or active; None for both.

    Each has Remo's owner, dates, size, thumbnails and most frequent classes, and the whole JSON as `raw`.
    """
    return list(remo_at(connection).list_datasets(public=public, archived=archived, limit=limit))


@task(task_run_name="list the contents of dataset {dataset}", **RETRY_POLICY)
def list_contents(
    connection: str, dataset: str, folder: str | None = None, limit: int | None = 1000
) -> list[RemoFolder | RemoImage]:
    """Returns folders and images at the top of a dataset, or in one of its folders; at most `limit`.

    Each has Remo's whole JSON as `raw`.
    """
    return list(remo_at(connection).list_contents(dataset, folder, limit))


@task(task_run_name="create dataset {name}", **RETRY_POLICY)
def create_dataset(connection: str, name: str) -> RemoDataset:
    """Creates a dataset. Raises PlatformRefused with status 409 for a name that is taken, also by an earlier try."""
    log().info("create dataset %s", name)
    return remo_at(connection).create_dataset(name)


@task(task_run_name="create folder {name} in dataset {dataset}", **RETRY_POLICY)
def create_folder(connection: str, dataset: str, name: str) -> RemoFolder:
    """Returns the folder of that name, created if missing. Idempotent."""
    remo = remo_at(connection)
    for entry in remo.list_contents(dataset):
        if isinstance(entry, RemoFolder) and entry.name == name:
            return entry
    log().info("create folder %s in dataset %s", name, dataset)
    return remo.create_folder(dataset, name)


@task(task_run_name="rename dataset {dataset}", **RETRY_POLICY)
def rename_dataset(connection: str, dataset: str, name: str) -> None:
    """Renames a dataset. Remo does not check for duplicates: check first whether another dataset has that name."""
    log().info("rename dataset %s to %s", dataset, name)
    remo_at(connection).rename_dataset(dataset, name)


@task(task_run_name="archive dataset {dataset}", **RETRY_POLICY)
def archive_dataset(connection: str, dataset: str, archived: bool = True) -> RemoDataset:
    """Archives a dataset, or restores it. The annotation sets of an archived dataset are not found."""
    remo = remo_at(connection)
    log().info("%s dataset %s", "archive" if archived else "restore", dataset)
    remo.archive_dataset(dataset, archived)
    return replace(remo.read_dataset(dataset), archived=archived)


@task(task_run_name="delete dataset {dataset}", **RETRY_POLICY)
def delete_dataset(connection: str, dataset: str) -> None:
    """Deletes a dataset with its images and labels. Does nothing if it does not exist."""
    log().info("delete dataset %s", dataset)
    remo_at(connection).delete_dataset(dataset)
