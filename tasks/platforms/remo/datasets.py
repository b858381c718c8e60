"""Remo's datasets and folders, a call a task. `connection` is the name of a connection in the settings."""

from __future__ import annotations

from dataclasses import replace

from prefect import task

from labelwright.platforms.remo.models import RemoDataset, RemoFolder, RemoImage
from labelwright.tasks.reporting import log
from labelwright.tasks.retries import RETRY_POLICY

from .connection import remo_at


@task(task_run_name="list Remo's datasets", **RETRY_POLICY)
def list_datasets(
    connection: str, public: bool | None = None, archived: bool | None = None, limit: int | None = None
) -> list[RemoDataset]:
    """Public ones or private ones, archived ones or active ones; None for both. Each has what Remo says of it: owner,
    dates, size, thumbnails, most frequent classes; and the whole answer as `answer`."""
    return list(remo_at(connection).list_datasets(public=public, archived=archived, limit=limit))


@task(task_run_name="list the contents of dataset {dataset}", **RETRY_POLICY)
def list_contents(
    connection: str, dataset: str, folder: str | None = None, limit: int | None = 1000
) -> list[RemoFolder | RemoImage]:
    """Folders and images at the top of a dataset, or in one of its folders; at most `limit` of them. Each has the
    whole answer of Remo's as `answer`."""
    return list(remo_at(connection).list_contents(dataset, folder, limit))


@task(task_run_name="create dataset {name}", **RETRY_POLICY)
def create_dataset(connection: str, name: str) -> RemoDataset:
    """Raises PlatformRefused with status 409 when the name is taken, be it by a try whose answer was lost."""
    log().info("create dataset %s", name)
    return remo_at(connection).create_dataset(name)


@task(task_run_name="create folder {name} in dataset {dataset}", **RETRY_POLICY)
def create_folder(connection: str, dataset: str, name: str) -> RemoFolder:
    """The folder of that name, which is made when it is not there."""
    remo = remo_at(connection)
    for entry in remo.list_contents(dataset):
        if isinstance(entry, RemoFolder) and entry.name == name:
            return entry
    log().info("create folder %s in dataset %s", name, dataset)
    return remo.create_folder(dataset, name)


@task(task_run_name="rename dataset {dataset}", **RETRY_POLICY)
def rename_dataset(connection: str, dataset: str, name: str) -> None:
    """Remo checks no names here: look first whether another dataset has it."""
    log().info("rename dataset %s to %s", dataset, name)
    remo_at(connection).rename_dataset(dataset, name)


@task(task_run_name="archive dataset {dataset}", **RETRY_POLICY)
def archive_dataset(connection: str, dataset: str, archived: bool = True) -> RemoDataset:
    """Put it away, or take it back. Its annotation sets are not found while it is away."""
    remo = remo_at(connection)
    log().info("%s dataset %s", "archive" if archived else "take back", dataset)
    remo.archive_dataset(dataset, archived)
    return replace(remo.read_dataset(dataset), archived=archived)


@task(task_run_name="delete dataset {dataset}", **RETRY_POLICY)
def delete_dataset(connection: str, dataset: str) -> None:
    """With its images and labels. Does nothing if it does not exist."""
    log().info("delete dataset %s", dataset)
    remo_at(connection).delete_dataset(dataset)
