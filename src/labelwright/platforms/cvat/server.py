"""What is on a CVAT server: projects, tasks, their frames, labels and annotations. One call a verb, or one list."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from labelwright.platforms.errors import NotFound, PlatformRefused
from labelwright.platforms.http.logins import Login
from labelwright.platforms.protocol import ImageToSend, RemoteBatch, Secret, SetState

from . import jobs as cvat_jobs
from .client import NAME, Client
from .imports import covered, read_import
from .models import UNTOLD, CvatFrames, CvatProject, CvatTask, frames_from, project_from, task_from
from .names import flat_name, name_of
from .options import Options
from .schema import CvatLabels, label_from
from .uploads import File, Uploads, upload


class Server:
    """One server as one user sees it. Tasks and uploads are made by the options."""

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
        """The project of that name in the organization (or in one's own workspace). Two raise PlatformRefused."""
        operation = f"find project '{name}'"
        listed = map(project_from, self.client.all(operation, "/api/projects", {"name": name}))
        # Without an organization CVAT lists those of all organizations too.
        found = [one for one in listed if one.name == name and self._is_here(one)]
        if len(found) > 1:
            told = f"there are {len(found)} of that name: {', '.join(str(one.id) for one in found[:10])}"
            raise PlatformRefused(NAME, operation, status=200, message=told, advice="Rename all but one.")
        return found[0] if found else None

    def _is_here(self, project: CvatProject) -> bool:
        return project.organization == UNTOLD or (project.organization is None) == (not self.client.organization)

    def create_project(self, name: str, labels: Sequence[dict[str, Any]]) -> CvatProject:
        """Names are not unique: the caller has looked for it."""
        said = {"name": name, "labels": list(labels)}
        return project_from(self.client.call(f"create project '{name}'", "POST", "/api/projects", json=said))

    def add_labels(self, project: int, labels: Sequence[dict[str, Any]]) -> None:
        operation, said = f"add labels to project {project}", {"labels": list(labels)}
        self.client.call(operation, "PATCH", f"/api/projects/{project}", json=said)

    def delete_project(self, project: int) -> None:
        """With all that is in it. While something is being imported into it, CVAT answers 500."""
        self._delete(f"/api/projects/{project}", f"delete project {project}")

    def put_guide(self, project: int, instructions: str) -> None:
        """What labelers read. A server that has no guides yet is borne."""
        said = {"project_id": project, "markdown": instructions}
        try:
            advice = "Without instructions the campaign can be made."
            self.client.call("keep the instructions", "POST", "/api/guides", json=said, advice=advice)
        except PlatformRefused as refused:
            if refused.status not in (404, 405):
                raise

    def labels(self, project: int) -> CvatLabels:
        operation = f"list the labels of project {project}"
        listed = self.client.all(operation, "/api/labels", {"project_id": project})
        return CvatLabels(tuple(label_from(one) for one in listed if not one.has("parent_id")))

    # Tasks

    def tasks_of(self, project: int, name: str = "") -> list[CvatTask]:
        """The tasks of a project, the oldest first; of that name, if one is given."""
        params: dict[str, str | int] = {"project_id": project, **({"name": name} if name else {})}
        listed = map(task_from, self.client.all(f"list the tasks of project {project}", "/api/tasks", params))
        found = {task.id: task for task in listed if task.project in (None, project) and name in ("", task.name)}
        return [found[id] for id in sorted(found)]

    def task(self, task: int) -> CvatTask:
        return task_from(self.client.call(f"read task {task}", "GET", f"/api/tasks/{task}"))

    def create_task(self, name: str, project: int, *, assignee: int | None = None, marker: str = "") -> CvatTask:
        """An empty task. Names are not unique: the caller has looked for it. `marker` is kept with it as sent."""
        o = self.options
        said: dict[str, Any] = {"name": name, "project_id": project, "overlap": o.overlap}
        if o.segment_size:
            said["segment_size"] = o.segment_size
        if o.subset:
            said["subset"] = o.subset
        if assignee is not None:
            said["assignee_id"] = assignee
        if marker:
            said["bug_tracker"] = marker
        return task_from(self.client.call(f"create task '{name}'", "POST", "/api/tasks", json=said))

    def delete_task(self, task: int) -> None:
        self._delete(f"/api/tasks/{task}", f"delete task {task}")

    def frames(self, task: CvatTask) -> CvatFrames:
        operation = f"list the frames of task {task.id}"
        return frames_from(self.client.call(operation, "GET", f"/api/tasks/{task.id}/data/meta"), task.size)

    def names(self, task: CvatTask) -> set[str]:
        """Our names of the images that a task holds."""
        return {name_of(frame.name) for frame in self.frames(task).frames} if task.size else set()

    # Images into a task

    def fill(
        self, tasks: Sequence[CvatTask], images: Sequence[ImageToSend], create: Callable[[int], CvatTask]
    ) -> CvatTask | None:
        """Send those images that none of these tasks holds, after looking what an earlier try left behind.

        `create` makes an empty task, given how many hold images already, plus one. Answers the task that is filled;
        None when nothing is lacking, or an import is under way: what that lacks is told by the next look.
        """
        there: set[str] = set().union(*map(self.names, tasks))
        lacking = [image for image in images if image.image.name not in there]
        if not lacking:
            return None
        empty = [task for task in tasks if not task.size]
        begun = [task for task in empty if task.has_data]
        if any(self.read_import(task).state in (SetState.FINISHING, SetState.FINISHED) for task in begun):
            return None
        fresh = [task for task in empty if not task.has_data] or [create(len(tasks) - len(empty) + 1)]
        # A failed import cannot be repaired, and of an upload that broke off nobody knows what arrived.
        for task in [*begun, *fresh[1:]]:
            self.delete_task(task.id)
        self.upload(fresh[0].id, lacking)
        return fresh[0]

    def upload(self, task: int, images: Sequence[ImageToSend]) -> None:
        """Send images into an empty task, and have the import begin."""
        files = [File(flat_name(one.image.name, one.image.format), one.image.bytes, one.open) for one in images]
        o = self.options
        how = Uploads(o.image_quality, o.sorting, o.use_cache, o.request_megabytes << 20)
        request = upload(self.client, task, files, how)
        self._sent[task] = len(files)
        if request is not None:
            self._requests[task] = request

    def read_import(self, task: CvatTask) -> RemoteBatch:
        """Whether the images of a task are in. "Finished" is not believed: the task has as many images as were sent,
        and its jobs cover all of them."""
        verdict = self._verdict(task)
        if verdict is not None:
            return verdict
        told = read_import(self.client, task, self._requests.get(task.id))
        if told.state is not SetState.FINISHED:
            return told
        now = self.task(task.id)  # it may have finished since the task was read
        if not now.size:
            return RemoteBatch(SetState.CREATED, message="it says that it is finished, and nothing was imported")
        told_why = f"task {task.id} has {now.size} images, and its jobs do not cover them"
        return self._verdict(now) or RemoteBatch(SetState.FAILED, message=told_why)

    def _verdict(self, task: CvatTask) -> RemoteBatch | None:
        """What the task itself says; None while it says nothing."""
        sent = self._sent.get(task.id)
        if not task.size or not covered(task, cvat_jobs.jobs_of(self.client, task=task.id)):
            return None
        if sent is not None and task.size != sent:
            return RemoteBatch(SetState.FAILED, message=f"task {task.id} has {task.size} images, {sent} were sent")
        return RemoteBatch(SetState.FINISHED)

    # Annotations

    def annotations(self, *, task: int | None = None, job: int | None = None) -> dict[str, Any]:
        place = f"tasks/{task}" if task is not None else f"jobs/{job}"
        return self.client.call(f"read the annotations of {place}", "GET", f"/api/{place}/annotations").json

    def change_annotations(
        self, action: str, said: Mapping[str, Sequence[Any]], *, task: int | None = None, job: int | None = None
    ) -> None:
        """`action` is create, update or delete; `said` has shapes, tags and tracks, or some of them."""
        whole = {"version": 0, **{kind: list(said.get(kind, ())) for kind in ("shapes", "tags", "tracks")}}
        place = f"tasks/{task}" if task is not None else f"jobs/{job}"
        operation, path = f"{action} annotations of {place}", f"/api/{place}/annotations"
        self.client.call(operation, "PATCH", path, json=whole, params={"action": action})

    def _delete(self, path: str, operation: str) -> None:
        try:
            self.client.ask(operation, "DELETE", path, wanted="nothing")
        except NotFound:
            return
