"""Tasks for single calls of a CVAT server: login, projects, tasks, images, jobs. They take the name of a connection.

They need no campaign, so that scripts can create CVAT tasks on their own.
"""

from __future__ import annotations

import re
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from labelwright.ingest import FolderSource
from labelwright.platforms import PlatformRefused, PlatformUnavailable
from labelwright.platforms.cvat.adapter import NAME, Cvat
from labelwright.platforms.cvat.jobs import assign, jobs_of
from labelwright.platforms.cvat.models import CvatTask, JobState, Stage
from labelwright.platforms.protocol import ImageToSend, SetState
from labelwright.tasks.chaining import task
from labelwright.tasks.context import connect_platform
from labelwright.tasks.reporting import log
from labelwright.tasks.retries import RETRY_POLICY

from .cvat_folders import read_image


def cvat_of(connection: str, **options: Any) -> Cvat:
    """Returns the adapter for a connection. `options` are the adapter's; empty ones keep their defaults.

    Raises SettingsError, PlatformRefused.
    """
    filled = {name: value for name, value in options.items() if value not in ("", None)}
    _, cvat = connect_platform(connection, NAME, filled)
    return cast("Cvat", cvat)


@task(task_run_name="log in to {connection}", **RETRY_POLICY)
def log_in(connection: str = NAME, organization: str = "") -> str:
    """Logs in. Returns server and user. The token stays in this task: every task logs in by itself."""
    user = cvat_of(connection, organization=organization).check()
    log().info("%s", user)
    return user


@task(task_run_name="read project {project}", **RETRY_POLICY)
def read_project(project: int | str, connection: str = NAME, organization: str = "") -> dict[str, Any]:
    """Returns a project by its id or name: id, name, labels, number of tasks."""
    server = cvat_of(connection, organization=organization).server
    existing = server.project(project) if isinstance(project, int) else server.find_project(project)
    if existing is None and isinstance(project, str) and project.isdecimal():  # an id from a form or a command line
        existing = server.project(int(project))
    if existing is None:
        message = f"there is no project '{project}'"
        raise PlatformRefused(
            NAME, "read the project", message=message, advice="Create it first, or name its organization."
        )
    labels = [label.name for label in server.labels(existing.id).labels]
    return {**asdict(existing), "labels": labels, "tasks": len(server.tasks_of(existing.id))}


@task(task_run_name="create task {name}", **RETRY_POLICY)
def create_task(
    project: int,
    name: str,
    segment_size: int = 0,
    subset: str = "",
    connection: str = NAME,
    organization: str = "",
) -> int:
    """Creates an empty task in a project, unless one of that name exists. Returns its id. Idempotent.

    segment_size: images per job; 0 puts all into one.
    """
    server = cvat_of(connection, organization=organization, segment_size=segment_size, subset=subset).server
    existing = server.tasks_of(project, name)
    log().info("%s task %s in project %d", "find" if existing else "create", name, project)
    return existing[0].id if existing else server.create_task(name, project).id


@task(task_run_name="read task {number}", **RETRY_POLICY)
def read_task(number: int, connection: str = NAME, organization: str = "") -> dict[str, Any]:
    """Returns a task: id, name, project, numbers of images and jobs."""
    return asdict(cvat_of(connection, organization=organization).server.task(number))


@task(task_run_name="upload images of {name}", **RETRY_POLICY)
def upload_images(
    project: int,
    name: str,
    folder: str,
    files: list[str],
    segment_size: int = 0,
    subset: str = "",
    connection: str = NAME,
    organization: str = "",
) -> int | None:
    """Uploads files of a folder into the task of that name, created if missing. Sends only what is missing.

    A task whose import failed is deleted and created again. Images that a filled task lacks go into an additional one.
    Returns the id of the task that was filled; None when nothing was missing or an import is running.
    """
    server = cvat_of(connection, organization=organization, segment_size=segment_size, subset=subset).server
    source = FolderSource(folder)
    images = [_to_send(source, folder, file) for file in files]

    def create(number: int) -> CvatTask:
        return server.create_task(name if number == 1 else f"{name} #{number}", project)

    log().info("upload what task %s lacks of %d images", name, len(files))
    filled = server.fill(_called(server.tasks_of(project), name), images, create)
    return filled.id if filled else None


@task(task_run_name="wait for task {name}", **RETRY_POLICY)
def wait_for_import(
    project: int, name: str, seconds: float = 3600, connection: str = NAME, organization: str = ""
) -> list[int]:
    """Waits until the tasks of that name are imported, verified by sizes and jobs. Returns the tasks' ids.

    Raises PlatformRefused with the server's message when an import failed (a new run creates the task again), and
    PlatformUnavailable at the deadline.
    """
    server = cvat_of(connection, organization=organization).server
    ends, pause = time.monotonic() + seconds, 0.2
    while True:
        ours = _called(server.tasks_of(project), name)
        imports = [server.read_import(task_import) for task_import in ours]
        bad = [task_import for task_import in imports if task_import.state in (SetState.FAILED, SetState.CREATED)]
        if bad or not imports:
            message = (bad[0].message if bad else "") or "nothing was imported"
            raise PlatformRefused(NAME, f"import task {name}", message=message, advice="Run again to create it again.")
        if all(task_import.state is SetState.FINISHED for task_import in imports):
            return [task_import.id for task_import in ours]
        if time.monotonic() > ends:
            raise PlatformUnavailable(NAME, f"import task {name}", message="it is still running", advice="Wait longer.")
        time.sleep(pause)
        pause = min(pause * 1.5, 10)


@task(task_run_name="delete task {number}", **RETRY_POLICY)
def delete_task(number: int, connection: str = NAME, organization: str = "") -> None:
    """Deletes a task with its images, jobs and annotations. Does nothing if it does not exist."""
    cvat_of(connection, organization=organization).server.delete_task(number)


@task(task_run_name="list the jobs of task {number}", **RETRY_POLICY)
def list_jobs(number: int, connection: str = NAME, organization: str = "") -> list[dict[str, Any]]:
    """Returns id, first and last frame, stage, state and assignee of each job of a task."""
    return [asdict(job) for job in jobs_of(cvat_of(connection, organization=organization).server.client, task=number)]


@task(task_run_name="assign job {job} to {user}", **RETRY_POLICY)
def assign_job(job: int, user: str, connection: str = NAME, organization: str = "") -> None:
    """Assigns a job. user: name or e-mail address; "" removes the assignee."""
    server = cvat_of(connection, organization=organization).server
    assign(server.client, job, server.people.id(user) if user else None)


@task(task_run_name="put job {job} into {stage}", **RETRY_POLICY)
def move_job(job: int, stage: str, state: str = "", connection: str = NAME, organization: str = "") -> None:
    """Sets stage and state of a job.

    stage: annotation, validation or acceptance. state: new, in progress, completed or rejected; "" leaves it unchanged.
    """
    cvat = cvat_of(connection, organization=organization)
    cvat.move_job(job, Stage(stage), JobState(state) if state else None)


def _called(tasks: list[CvatTask], name: str) -> list[CvatTask]:
    """Returns the tasks of that name, and the additional ones ("NAME #2") with images that it lacked."""
    return [candidate for candidate in tasks if re.fullmatch(rf"{re.escape(name)}(?: #\d+)?", candidate.name)]


def _to_send(source: FolderSource, folder: str, file: str) -> ImageToSend:
    image = read_image(folder, file)
    return ImageToSend(image, lambda: source.open(str(Path(folder) / file)))
