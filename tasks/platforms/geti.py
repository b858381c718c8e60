"""Calls of a Sonoma Creek or Geti server, each its own task. They take a connection's name: never a credential."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefect import task

from labelwright.domain import LabeledImage
from labelwright.platforms import NotFound, PlatformRefused
from labelwright.platforms.batches import for_each
from labelwright.platforms.geti.adapter import Geti
from labelwright.platforms.geti.backup import save as geti_backup
from labelwright.platforms.geti.client import GetiClient
from labelwright.platforms.geti.labels import annotations_for
from labelwright.platforms.geti.models import GetiMedium
from labelwright.platforms.geti.projects import NewLabel, NewTask, normal_kind
from labelwright.platforms.protocol import LabelsPage
from labelwright.tasks.context import connect_platform
from labelwright.tasks.reporting import log
from labelwright.tasks.retries import RETRY_POLICY, UNCACHED


def geti_at(connection: str, options: Mapping[str, Any] | None = None) -> Geti:
    """The adapter for a connection of the settings, or for a block. Raises SettingsError."""
    made = connect_platform(connection, "geti", options)[1]
    assert isinstance(made, Geti)  # noqa: S101 - the registry says so
    return made


def client_at(connection: str) -> GetiClient:
    return geti_at(connection).client


@task(task_run_name="check {connection}", **RETRY_POLICY)
def check_geti(connection: str) -> str:
    """Reach the server. Answers what it says it is."""
    return geti_at(connection).check()


@task(task_run_name="list the projects of {connection}", **RETRY_POLICY)
def list_geti_projects(connection: str) -> list[dict[str, str]]:
    """Id, name and kind of every project."""
    client = client_at(connection)
    return [{"id": one.id, "name": one.name, "kind": one.kind} for one in client.projects()]


@task(task_run_name="find project {name}", **RETRY_POLICY)
def find_geti_project(connection: str, name: str) -> str | None:
    """The id of the project of exactly that name. Two of one name raise PlatformRefused."""
    found = client_at(connection).find_project(name)
    return None if found is None else found.id


@task(task_run_name="find project {project}", **RETRY_POLICY)
def geti_project_id(connection: str, project: str) -> str:
    """The id of a project by its id or its name. Raises NotFound, and PlatformRefused for two of one name."""
    client = client_at(connection)
    found = [one for one in client.projects() if project in (one.id, one.name)]
    if not found:
        raise NotFound("geti", f"find project '{project}'", status=404, message="there is none of that name or id")
    if len(found) > 1:
        told = f"there are {len(found)} of that name: {', '.join(one.id for one in found[:10])}"
        raise PlatformRefused("geti", f"find project '{project}'", message=told, advice="Name one by its id.")
    return found[0].id


@task(task_run_name="create project {name}", **RETRY_POLICY)
def create_geti_project(connection: str, name: str, kind: str, labels: list[list[str]]) -> str:
    """A project of a kind, with the names of the labels of each of its tasks; the one of that name, if there is one.

    Answers its id, when it can be configured and annotated.
    """
    client = client_at(connection)
    found = client.find_project(name)
    if found is None:
        log().info("create project %s, %s", name, kind)
        types = normal_kind(kind).split(" -> ")
        wanted = zip(types, labels, strict=True)
        found = client.create_project(name, [NewTask(one, tuple(map(NewLabel, names))) for one, names in wanted])
    client.wait_until_ready(found.id)
    return found.id


@task(task_run_name="auto-train of {project}: {on}", **RETRY_POLICY)
def set_geti_auto_train(connection: str, project: str, on: bool) -> None:
    """For all tasks of the project, read back."""
    client = client_at(connection)
    log().info("switch auto-train of project %s %s", project, "on" if on else "off")
    client.set_auto_train(client.project(project), on)


@task(task_run_name="iterations of {project}: {iterations}", **RETRY_POLICY)
def set_geti_iterations(connection: str, project: str, iterations: int) -> dict[str, int]:
    """How long all tasks of the project are trained, within the server's bounds, read back."""
    client = client_at(connection)
    log().info("set the iterations of project %s to %d", project, iterations)
    return client.set_iterations(client.project(project), iterations)


@task(task_run_name="upload {file}", **UNCACHED)
def upload_geti_file(connection: str, project: str, file: str, kind: str = "image") -> str:
    """Send an image or a video. Answers its id. Not tried again: a second try could make a second one."""
    client, path = client_at(connection), Path(file)
    log().info("upload %s to project %s", path.name, project)
    return client.upload(client.project(project), path.name, lambda: path.open("rb"), kind=kind).id


@task(task_run_name="download the images of {project}", **RETRY_POLICY)
def download_geti_images(connection: str, project: str, folder: str) -> dict[str, str]:
    """Every image of the project's first dataset, under its name and id. Answers the file of each id."""
    adapter = geti_at(connection)
    client = adapter.client
    made = client.project(project)

    def save(medium: GetiMedium) -> tuple[str, str]:
        return medium.id, str(geti_backup.download(client, made, medium, Path(folder)))

    log().info("download the images of project %s", project)
    return dict(for_each(save, client.media(made), adapter.options.threads))


@task(task_run_name="annotate {image.name}", **RETRY_POLICY)
def annotate_geti_image(connection: str, project: str, image: LabeledImage) -> None:
    """Say all that is on an image (by `remote_id`; shapes in pixels), in place of what was said before. No annotations
    say that nothing is there: the empty label."""
    client = client_at(connection)
    made = client.project(project)
    medium = GetiMedium(image.remote_id, image.name, "image", image.size.width, image.size.height, "", {})
    client.annotate(made, medium, annotations_for(made, image, client.unit))


@task(task_run_name="read the annotations of {project}", **RETRY_POLICY)
def read_geti_annotations(connection: str, project: str, cursor: str | None = None) -> LabelsPage:
    """A page of what was said of images that are annotated for every task, in pixels; the empty label is no annotation.

    Answers the next page's cursor with it.
    """
    return geti_at(connection).read_labels(project, cursor)


@task(task_run_name="cancel job {job}", **RETRY_POLICY)
def cancel_geti_job(connection: str, job: str) -> None:
    client_at(connection).cancel_job(job)


@task(task_run_name="delete project {project}", **RETRY_POLICY)
def delete_geti_project(connection: str, project: str) -> None:
    """Of a project that is gone it does nothing."""
    log().info("delete project %s", project)
    client_at(connection).delete_project(project)
