"""Tasks for single calls of a Sonoma Creek or Geti server. They take a connection's name, never a credential."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labelwright.domain import LabeledImage
from labelwright.platforms import NotFound, PlatformRefused
from labelwright.platforms.batches import for_each
from labelwright.platforms.geti.adapter import Geti
from labelwright.platforms.geti.backup.save import download
from labelwright.platforms.geti.client import GetiClient
from labelwright.platforms.geti.labels import annotations_for
from labelwright.platforms.geti.models import GetiMedium
from labelwright.platforms.geti.projects import NewLabel, NewTask, normal_kind
from labelwright.platforms.protocol import LabelsPage
from labelwright.tasks.chaining import task
from labelwright.tasks.context import connect_platform
from labelwright.tasks.reporting import log
from labelwright.tasks.retries import RETRY_POLICY, UNCACHED


def connect_geti(connection: str, options: Mapping[str, Any] | None = None) -> Geti:
    """Returns the adapter for a connection of the settings or a block. Raises SettingsError."""
    adapter = connect_platform(connection, "geti", options)[1]
    assert isinstance(adapter, Geti)  # noqa: S101 - the registry maps "geti" to this class
    return adapter


def connect_client(connection: str) -> GetiClient:
    return connect_geti(connection).client


@task(task_run_name="check {connection}", **RETRY_POLICY)
def check_geti(connection: str) -> str:
    """Connects to the server. Returns its name and version."""
    return connect_geti(connection).check()


@task(task_run_name="list the projects of {connection}", **RETRY_POLICY)
def list_geti_projects(connection: str) -> list[dict[str, str]]:
    """Returns id, name and kind of every project."""
    client = connect_client(connection)
    return [{"id": project.id, "name": project.name, "kind": project.kind} for project in client.projects()]


@task(task_run_name="find project {name}", **RETRY_POLICY)
def find_geti_project(connection: str, name: str) -> str | None:
    """Returns the id of the project of exactly that name, or None. Raises PlatformRefused when there are several."""
    match = connect_client(connection).find_project(name)
    return None if match is None else match.id


@task(task_run_name="find project {project}", **RETRY_POLICY)
def geti_project_id(connection: str, project: str) -> str:
    """Returns the id of a project by its id or name. Raises NotFound, and PlatformRefused when there are several."""
    client = connect_client(connection)
    matches = [match for match in client.projects() if project in (match.id, match.name)]
    if not matches:
        raise NotFound("geti", f"find project '{project}'", status=404, message="there is none of that name or id")
    if len(matches) > 1:
        message = f"there are {len(matches)} of that name: {', '.join(match.id for match in matches[:10])}"
        raise PlatformRefused("geti", f"find project '{project}'", message=message, advice="Name one by its id.")
    return matches[0].id


@task(task_run_name="create project {name}", **RETRY_POLICY)
def create_geti_project(connection: str, name: str, kind: str, labels: list[list[str]]) -> str:
    """Creates a project of a kind, with the names of each task's labels, unless one of that name exists. Idempotent.

    Returns its id once the project can be configured and annotated.
    """
    client = connect_client(connection)
    existing = client.find_project(name)
    if existing is None:
        log().info("create project %s, %s", name, kind)
        types = normal_kind(kind).split(" -> ")
        tasks = zip(types, labels, strict=True)
        existing = client.create_project(
            name, [NewTask(kind_of_task, tuple(map(NewLabel, names))) for kind_of_task, names in tasks]
        )
    client.wait_until_ready(existing.id)
    return existing.id


@task(task_run_name="auto-train of {project}: {on}", **RETRY_POLICY)
def set_geti_auto_train(connection: str, project: str, on: bool) -> None:
    """Switches auto-train of all tasks of the project, and checks it."""
    client = connect_client(connection)
    log().info("switch auto-train of project %s %s", project, "on" if on else "off")
    client.set_auto_train(client.project(project), on)


@task(task_run_name="iterations of {project}: {iterations}", **RETRY_POLICY)
def set_geti_iterations(connection: str, project: str, iterations: int) -> dict[str, int]:
    """Sets the training length of all tasks within the server's bounds. Returns the values read back, by task title."""
    client = connect_client(connection)
    log().info("set the iterations of project %s to %d", project, iterations)
    return client.set_iterations(client.project(project), iterations)


@task(task_run_name="upload {file}", **UNCACHED)
def upload_geti_file(connection: str, project: str, file: str, kind: str = "image") -> str:
    """Uploads an image or a video. Returns its id. Not retried, because that could upload it twice."""
    client, path = connect_client(connection), Path(file)
    log().info("upload %s to project %s", path.name, project)
    return client.upload(client.project(project), path.name, lambda: path.open("rb"), kind=kind).id


@task(task_run_name="download the images of {project}", **RETRY_POLICY)
def download_geti_images(connection: str, project: str, folder: str) -> dict[str, str]:
    """Downloads every image of the project's first dataset. Returns the files by image ids."""
    adapter = connect_geti(connection)
    client = adapter.client
    details = client.project(project)

    def save(medium: GetiMedium) -> tuple[str, str]:
        return medium.id, str(download(client, details, medium, Path(folder)))

    log().info("download the images of project %s", project)
    return dict(for_each(save, client.media(details), adapter.options.threads))


@task(task_run_name="annotate {image.name}", **RETRY_POLICY)
def annotate_geti_image(connection: str, project: str, image: LabeledImage) -> None:
    """Replaces all annotations of an image (by `remote_id`; shapes in pixels). Idempotent.

    An image without annotations gets the empty label.
    """
    client = connect_client(connection)
    details = client.project(project)
    annotations = annotations_for(details, image, client.unit)  # refuses an image of unknown size
    width, height = (image.size.width, image.size.height) if image.size is not None else (0, 0)
    medium = GetiMedium(image.remote_id, image.name, "image", width, height, "", {})
    client.annotate(details, medium, annotations)


@task(task_run_name="read the annotations of {project}", **RETRY_POLICY)
def read_geti_annotations(connection: str, project: str, cursor: str | None = None) -> LabelsPage:
    """Returns a page of images annotated for every task, with annotations in pixels, and the next page's cursor.

    The empty label is no annotation.
    """
    return connect_geti(connection).read_labels(project, cursor)


@task(task_run_name="cancel job {job}", **RETRY_POLICY)
def cancel_geti_job(connection: str, job: str) -> None:
    connect_client(connection).cancel_job(job)


@task(task_run_name="delete project {project}", **RETRY_POLICY)
def delete_geti_project(connection: str, project: str) -> None:
    """Deletes a project. Idempotent."""
    log().info("delete project %s", project)
    connect_client(connection).delete_project(project)
