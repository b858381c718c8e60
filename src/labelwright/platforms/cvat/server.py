"""Calls to a CVAT server: projects, labels, tasks, frames, uploads and annotations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from labelwright.domain import LabelSchema
from labelwright.platforms.errors import NotFound, PlatformRefused
from labelwright.platforms.http.logins import Login
from labelwright.platforms.protocol import ImageToSend, RemoteBatch, Secret, SetState

from . import jobs as cvat_jobs
from .client import NAME, Client
from .imports import jobs_cover_task, read_import
from .models import UNKNOWN_ORGANIZATION, CvatFrames, CvatProject, CvatTask, frames_from, project_from, task_from
from .names import flat_name, name_of
from .options import Options
from .schema import CvatLabels, differences, label_from, labels_for, missing_from
from .uploads import File, UploadOptions, upload


class Server:
    """One server as one user sees it. The options apply to new tasks and uploads."""

    def __init__(self, url: str, user: str, secret: Secret, options: Options, login: Login[str] | None = None) -> None:
        self.options = options
        self.client = Client(
            url,
            user,
            secret,
            organization=options.organization,
            timeout=(options.connect_seconds, options.timeout_seconds),
            patience=options.patience_seconds,
            page_size=options.page_size,
            login=login,
        )
        self.people = cvat_jobs.People(self.client, invite=options.invite)
        self._requests: dict[int, str] = {}
        self._sent: dict[int, int] = {}

    # Projects

    def project(self, project: int) -> CvatProject:
        return project_from(self.client.call(f"read project {project}", "GET", f"/api/projects/{project}"))

    def find_project(self, name: str) -> CvatProject | None:
        """Returns the project of that name in the organization (or the user's workspace).

        Raises PlatformRefused when there are several.
        """
        operation = f"find project '{name}'"
        listed = map(project_from, self.client.all(operation, "/api/projects", {"name": name}))
        # Without an organization CVAT lists the projects of all organizations too.
        matches = [project for project in listed if project.name == name and self._is_here(project)]
        if len(matches) > 1:
            ids = ", ".join(str(project.id) for project in matches[:10])
            message = f"there are {len(matches)} projects of that name: {ids}"
            raise PlatformRefused(NAME, operation, status=200, message=message, advice="Rename all but one.")
        return matches[0] if matches else None

    def _is_here(self, project: CvatProject) -> bool:
        if project.organization == UNKNOWN_ORGANIZATION:
            return True
        return (project.organization is None) == (not self.client.organization)

    def create_project(self, name: str, labels: Sequence[dict[str, Any]]) -> CvatProject:
        """Creates a project. Not idempotent, as names are not unique: call `find_project` first."""
        payload = {"name": name, "labels": list(labels)}
        return project_from(self.client.call(f"create project '{name}'", "POST", "/api/projects", json=payload))

    def add_missing_labels(self, project: int, schema: LabelSchema) -> None:
        """Adds the schema's labels that the project lacks. Raises PlatformRefused when existing ones contradict it."""
        existing = self.labels(project)
        problems = differences(existing, schema)
        if problems:
            advice = "Change the campaign's labels, or give it a project of its own."
            raise PlatformRefused(NAME, f"use project {project}", message="; ".join(problems[:10]), advice=advice)
        missing = missing_from(existing, schema)
        if missing:
            operation, payload = f"add labels to project {project}", {"labels": labels_for(missing)}
            self.client.call(operation, "PATCH", f"/api/projects/{project}", json=payload)

    def delete_project(self, project: int) -> None:
        """Deletes a project with its tasks. Idempotent. CVAT returns 500 while an import into it is running."""
        self._delete(f"/api/projects/{project}", f"delete project {project}")

    def put_guide(self, project: int, instructions: str) -> None:
        """Stores the instructions for labelers. Does nothing on a server without guides."""
        payload = {"project_id": project, "markdown": instructions}
        try:
            advice = "The campaign can be created without instructions."
            self.client.call("keep the instructions", "POST", "/api/guides", json=payload, advice=advice)
        except PlatformRefused as refused:
            if refused.status not in (404, 405):
                raise

    def labels(self, project: int) -> CvatLabels:
        operation = f"list the labels of project {project}"
        listed = self.client.all(operation, "/api/labels", {"project_id": project})
        return CvatLabels(tuple(label_from(item) for item in listed if not item.has("parent_id")))

    # Tasks

    def tasks_of(self, project: int, name: str = "") -> list[CvatTask]:
        """Lists the tasks of a project, the oldest first; only those with that name, if it is set."""
        params: dict[str, str | int] = {"project_id": project, **({"name": name} if name else {})}
        listed = map(task_from, self.client.all(f"list the tasks of project {project}", "/api/tasks", params))
        by_id = {task.id: task for task in listed if task.project in (None, project) and name in ("", task.name)}
        return [by_id[id] for id in sorted(by_id)]

    def task(self, task: int) -> CvatTask:
        return task_from(self.client.call(f"read task {task}", "GET", f"/api/tasks/{task}"))

    def create_task(self, name: str, project: int, *, assignee: int | None = None, marker: str = "") -> CvatTask:
        """Creates an empty task. Not idempotent, as names are not unique. CVAT stores `marker` unchanged."""
        o = self.options
        payload: dict[str, Any] = {"name": name, "project_id": project, "overlap": o.overlap}
        if o.segment_size:
            payload["segment_size"] = o.segment_size
        if o.subset:
            payload["subset"] = o.subset
        if assignee is not None:
            payload["assignee_id"] = assignee
        if marker:
            payload["bug_tracker"] = marker
        return task_from(self.client.call(f"create task '{name}'", "POST", "/api/tasks", json=payload))

    def delete_task(self, task: int) -> None:
        self._delete(f"/api/tasks/{task}", f"delete task {task}")

    def frames(self, task: CvatTask) -> CvatFrames:
        operation = f"list the frames of task {task.id}"
        return frames_from(self.client.call(operation, "GET", f"/api/tasks/{task.id}/data/meta"), task.size)

    def names(self, task: CvatTask) -> set[str]:
        """Returns our names of the images that a task holds."""
        return {name_of(frame.name) for frame in self.frames(task).frames} if task.size else set()

    # Images into a task

    def fill(
        self, tasks: Sequence[CvatTask], images: Sequence[ImageToSend], create: Callable[[int], CvatTask]
    ) -> CvatTask | None:
        """Uploads the images that none of the tasks holds, after removing what a failed try left.

        `create` creates an empty task; it gets the number of tasks with images, plus one. Returns the filled task; None
        when no image is missing or an import is still running: a later call finds what that import lacks.
        """
        present: set[str] = set().union(*map(self.names, tasks))
        missing = [image for image in images if image.image.name not in present]
        if not missing:
            return None
        empty = [task for task in tasks if not task.size]
        with_data = [task for task in empty if task.has_data]
        if any(self.read_import(task).state in (SetState.FINISHING, SetState.FINISHED) for task in with_data):
            return None
        fresh = [task for task in empty if not task.has_data] or [create(len(tasks) - len(empty) + 1)]
        # A failed import cannot be repaired, and nobody knows which files of an interrupted upload arrived.
        for task in [*with_data, *fresh[1:]]:
            self.delete_task(task.id)
        self.upload(fresh[0].id, missing)
        return fresh[0]

    def upload(self, task: int, images: Sequence[ImageToSend]) -> None:
        """Uploads images into an empty task and starts the import."""
        files = [
            File(flat_name(image.image.name, image.image.format), image.image.bytes, image.open) for image in images
        ]
        o = self.options
        upload_options = UploadOptions(o.image_quality, o.sorting, o.use_cache, o.request_megabytes << 20)
        request = upload(self.client, task, files, upload_options)
        self._sent[task] = len(files)
        if request is not None:
            self._requests[task] = request

    def read_import(self, task: CvatTask) -> RemoteBatch:
        """Returns the import state of a task.

        "Finished" only counts when the task has as many images as were sent and its jobs cover all of them.
        """
        checked = self._check_frames(task)
        if checked is not None:
            return checked
        result = read_import(self.client, task, self._requests.get(task.id))
        if result.state is not SetState.FINISHED:
            return result
        current = self.task(task.id)  # it may have finished since the task was read
        if not current.size:
            return RemoteBatch(SetState.CREATED, message="CVAT reports a finished import, but the task is empty")
        message = f"task {task.id} has {current.size} images, and its jobs do not cover them"
        return self._check_frames(current) or RemoteBatch(SetState.FAILED, message=message)

    def _check_frames(self, task: CvatTask) -> RemoteBatch | None:
        """Compares the task's frames with its jobs and with what was sent. None while the frames are not complete."""
        sent = self._sent.get(task.id)
        if not task.size or not jobs_cover_task(task, cvat_jobs.jobs_of(self.client, task=task.id)):
            return None
        if sent is not None and task.size != sent:
            return RemoteBatch(SetState.FAILED, message=f"task {task.id} has {task.size} images, {sent} were sent")
        return RemoteBatch(SetState.FINISHED)

    # Annotations

    def annotations(self, *, task: int | None = None, job: int | None = None) -> dict[str, Any]:
        target = f"tasks/{task}" if task is not None else f"jobs/{job}"
        return self.client.call(f"read the annotations of {target}", "GET", f"/api/{target}/annotations").json

    def change_annotations(
        self, action: str, changes: Mapping[str, Sequence[Any]], *, task: int | None = None, job: int | None = None
    ) -> None:
        """Creates, updates or deletes (`action`) annotations. `changes` may have shapes, tags and tracks."""
        payload = {"version": 0, **{kind: list(changes.get(kind, ())) for kind in ("shapes", "tags", "tracks")}}
        target = f"tasks/{task}" if task is not None else f"jobs/{job}"
        operation, path = f"{action} annotations of {target}", f"/api/{target}/annotations"
        self.client.call(operation, "PATCH", path, json=payload, params={"action": action})

    def _delete(self, path: str, operation: str) -> None:
        try:
            self.client.request(operation, "DELETE", path, expect="nothing")
        except NotFound:
            return
