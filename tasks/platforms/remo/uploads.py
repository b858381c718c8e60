"""Tasks that upload files into Remo's datasets, one per call. `connection` is the name of a connection in the settings.

Files are identified by their names within a dataset: a repeated task skips existing ones. List the dataset to verify
that all were added. Prefect shows the parameters of a task: do not pass signed URLs.
"""

from __future__ import annotations

from pathlib import Path

from labelwright.domain.image_limits import MOST_BYTES
from labelwright.ingest.sources.urls import UrlFetcher
from labelwright.platforms.remo.models import RemoUpload, Task
from labelwright.tasks.chaining import task
from labelwright.tasks.reporting import log
from labelwright.tasks.retries import RETRY_POLICY, UNCACHED

from .connection import remo_at


@task(task_run_name="upload files into dataset {dataset}", **RETRY_POLICY)
def upload_files(
    connection: str,
    dataset: str,
    paths: list[str],
    annotation_set: str | None = None,
    annotation_task: Task | None = None,
    folder: str | None = None,
) -> RemoUpload:
    """Uploads images, annotation files or archives from this machine."""
    log().info("upload %d files into dataset %s", len(paths), dataset)
    files = list(map(Path, paths))
    return remo_at(connection).upload_files(
        dataset, files, annotation_set=annotation_set, task=annotation_task, folder=folder
    )


@task(task_run_name="link files into dataset {dataset}", **RETRY_POLICY)
def link_files(
    connection: str,
    dataset: str,
    paths: list[str],
    annotation_set: str | None = None,
    annotation_task: Task | None = None,
    folder: str | None = None,
) -> RemoUpload:
    """Links files and folders on Remo's own machine, without copying them."""
    log().info("link %d files into dataset %s", len(paths), dataset)
    return remo_at(connection).link_files(
        dataset, paths, annotation_set=annotation_set, task=annotation_task, folder=folder
    )


@task(task_run_name="upload from URLs into dataset {dataset}", **RETRY_POLICY)
def upload_urls(
    connection: str,
    dataset: str,
    urls: list[str],
    annotation_set: str | None = None,
    annotation_task: Task | None = None,
    folder: str | None = None,
    allow_private_addresses: bool = False,
) -> RemoUpload:
    """Uploads from URLs. Remo fetches archives and annotation files; images are fetched here and uploaded.

    The reason: Remo would lose the images' names. Addresses of private networks are refused unless allowed.
    """
    log().info("upload from %d URLs into dataset %s", len(urls), dataset)
    fetcher = UrlFetcher(MOST_BYTES, allow_private_addresses, 30.0)
    return remo_at(connection).upload_urls(
        dataset, urls, annotation_set=annotation_set, task=annotation_task, folder=folder, fetch=fetcher.fetch
    )


@task(task_run_name="open an upload into dataset {dataset}", **UNCACHED)
def start_upload(connection: str, dataset: str) -> RemoUpload:
    """Opens an empty session (0.4.25 and later). Not retried, because each try would open another one."""
    return remo_at(connection).start_upload(dataset)


@task(task_run_name="complete upload {upload}", **RETRY_POLICY)
def complete_upload(connection: str, upload: str) -> None:
    """Completes a session, so that the server processes it. Idempotent."""
    remo_at(connection).complete_upload(upload)


@task(task_run_name="read upload {upload}", **RETRY_POLICY)
def read_upload(connection: str, upload: str) -> RemoUpload:
    """Returns the state of an upload."""
    return remo_at(connection).read_upload(upload)


@task(task_run_name="wait for upload {upload}", **RETRY_POLICY)
def wait_for_upload(connection: str, upload: str, seconds: float = 3600) -> RemoUpload:
    """Waits until the server has processed an upload. Raises PlatformUnavailable at the deadline."""
    result = remo_at(connection).wait_for_upload(upload, seconds)
    log().info("upload %s is %s: %d added, %d left out", upload, result.state, result.added, len(result.left_out))
    return result
