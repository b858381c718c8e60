"""The calls of Sonoma Creek and Geti, one method each. What they are put together to stands in geti.py and beside it.

Nothing is retried here but what geti_session says. Creating projects and uploading media are not idempotent: names may
come twice, so whoever says them again after a lost answer looks first.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from functools import cached_property
from typing import Any, BinaryIO

from . import geti_configuration as configuration
from .errors import NotFound, PlatformRefused, PlatformUnavailable
from .fields import Fields
from .geti_configuration import OutOfBounds, Parameter
from .geti_dialects import Dialect, Page, meet
from .geti_projects import CannotBe, NewTask, project_body
from .geti_session import NAME, GetiSession
from .geti_shapes import (
    GetiAnnotation,
    GetiMedium,
    GetiProject,
    GetiScene,
    GetiTask,
    Unit,
    medium_from,
    project_from,
    scene_from,
)
from .geti_stream import objects
from .http import Sink
from .multipart import Form, FormFile

_MANIFEST = ("model_manifest_id", "model_template_id", "id")


class GetiClient:
    """A server, from the first call on. `page_size` is how many media are asked for at a time (default: the
    dialect's own)."""

    def __init__(
        self, session: GetiSession, *, workspace: str = "", organization: str = "", page_size: int | None = None
    ) -> None:
        self.session = session
        self._workspace, self._organization = workspace, organization
        self.page_size = page_size

    @cached_property
    def _met(self) -> tuple[Dialect, str]:
        return meet(self.session, workspace=self._workspace, organization=self._organization)

    def reach(self) -> str:
        """Ask the server anew what it is. Answers its version."""
        self.__dict__.pop("_met", None)
        return self.version

    @property
    def dialect(self) -> Dialect:
        return self._met[0]

    @property
    def version(self) -> str:
        return self._met[1]

    @property
    def unit(self) -> Unit:
        return self.dialect.unit

    # Projects

    def projects(self) -> Iterator[GetiProject]:
        """Every project of the workspace; of newer servers these may lack labels."""
        return self.dialect.projects(self.session, "list the projects")

    def project(self, project: str) -> GetiProject:
        return self.dialect.project(self.session, f"read project {project}", project)

    def find_project(self, name: str) -> GetiProject | None:
        """The project of exactly that name. Names are not unique: two raise PlatformRefused."""
        verb = f"find project '{name}'"
        found = [one for one in self.dialect.projects(self.session, verb) if one.name == name]
        if len(found) > 1:
            told = f"there are {len(found)} of that name: {', '.join(one.id for one in found[:10])}"
            raise PlatformRefused(NAME, verb, status=200, words=told, advice="Rename all but one.")
        return found[0] if found else None

    def create_project(self, name: str, tasks: list[NewTask]) -> GetiProject:
        """Not idempotent. Raises PlatformRefused for a project that cannot be, without asking the server."""
        verb = f"create project '{name}'"
        try:
            body = project_body(name, tasks)
        except CannotBe as fault:
            refused = PlatformRefused(NAME, verb, words=str(fault))
        else:
            path = f"{self.dialect.root}/projects"
            return project_from(Fields(NAME, verb, self.session.ask(verb, "POST", path, json=body, repeatable=False)))
        raise refused

    def wait_until_ready(self, project: str, seconds: float = 30.0) -> None:
        """Until the server has made what belongs to a new project: before that its configuration cannot be read."""
        ends = time.monotonic() + seconds
        while True:
            try:
                self.session.ask(f"wait for project {project}", "GET", f"{self._of(project)}/status")
            except NotFound as failure:
                if time.monotonic() >= ends:
                    raise
                waited = failure
            else:
                return
            del waited
            time.sleep(min(0.5, max(0.0, ends - time.monotonic())))

    def delete_project(self, project: str) -> None:
        """Of a project that is gone it does nothing. Raises PlatformUnavailable while its jobs run."""
        self._delete(f"delete project {project}", self._of(project))

    def algorithms(self) -> list[dict[str, Any]]:
        """What can be trained, as SC 1.x tells it: `algorithm_name`, `task_type`, `model_template_id` and more."""
        verb = "list the algorithms"
        answer = Fields(NAME, verb, self.session.ask(verb, "GET", f"{self.dialect.api}/supported_algorithms"))
        return [one.json for one in answer.each("items" if answer.has("items") else "supported_algorithms")]

    def status(self, project: str) -> dict[str, Any]:
        """What its tasks are doing; tells of training, not of campaigns."""
        verb = f"read the status of project {project}"
        return Fields(NAME, verb, self.session.ask(verb, "GET", f"{self._of(project)}/status")).json

    # Configuration

    def auto_train(self, project: GetiProject) -> bool:
        """Whether any task trains by itself."""
        return any(self._auto_trains(project))

    def set_auto_train(self, project: GetiProject, on: bool) -> None:
        """For every task, read back. Raises PlatformRefused when the server says that it did and did not."""
        verb = f"set auto-train of project {project.id}"
        if self.dialect.patches_configuration:
            found = self.session.ask(verb, "GET", f"{self._of(project.id)}/project_configuration")
            for one in _auto_training_keys(found):
                one["value"] = on
            self.session.ask(verb, "PATCH", f"{self._of(project.id)}/project_configuration", json=found)
        else:
            for task in project.trained:
                body = configuration.auto_train_body(self.dialect.workspace, project.id, task.id, on)
                self.session.ask(verb, "POST", self._chain(project, task), json=body)
        if any(now is not on for now in self._auto_trains(project)):
            told = f"auto-train is not {'on' if on else 'off'} after it was set"
            raise PlatformRefused(NAME, verb, status=200, words=told, advice="Set it on the server's own page.")

    def _auto_trains(self, project: GetiProject) -> list[bool]:
        verb = f"read auto-train of project {project.id}"
        if self.dialect.patches_configuration:
            found = self.session.ask(verb, "GET", f"{self._of(project.id)}/project_configuration")
            return [one["value"] is True for one in _auto_training_keys(found)]
        return [
            parameter.value is True
            for task in project.trained
            for parameter in self.task_parameters(project, task)
            if parameter.name == "auto_training"
        ]

    def task_parameters(self, project: GetiProject, task: GetiTask) -> list[Parameter]:
        """Those of one task, until 2.11."""
        verb = f"read the configuration of '{task.title}'"
        answer = Fields(NAME, verb, self.session.ask(verb, "GET", self._chain(project, task)))
        return list(configuration.parameters(list(answer.each("components"))))

    def set_iterations(self, project: GetiProject, iterations: int, titles: list[str] | None = None) -> dict[str, int]:
        """How long every task (or those of these titles) is trained, within the server's bounds, read back. Answers it
        by the tasks' titles.

        Raises PlatformRefused when the server takes another number, or has no such parameter.
        """
        verb = f"set the iterations of project {project.id}"
        try:
            tasks = [task for task in project.trained if titles is None or task.title in titles]
            for task in tasks:
                self._set_iterations(verb, project, task, iterations)
        except OutOfBounds as fault:
            refused = PlatformRefused(NAME, verb, words=str(fault), advice="Choose a number within the bounds.")
        else:
            now = self.iterations(project)
            if any(now.get(task.title) != iterations for task in tasks):
                told = f"after it was set, the server says {now}"
                raise PlatformRefused(NAME, verb, status=200, words=told)
            return now
        raise refused

    def iterations(self, project: GetiProject) -> dict[str, int]:
        """How long each task is trained, by its title; none for a task that does not say."""
        found = {}
        for task in project.trained:
            if self.dialect.patches_configuration:
                key = next((one for _, one in self._training_keys(project, task)), None)
                value = key["value"] if key is not None else None
            else:
                parameter = configuration.iterations_of(iter(self.task_parameters(project, task)))
                value = parameter.value if parameter is not None else None
            if isinstance(value, int):
                found[task.title] = value
        return found

    def _set_iterations(self, verb: str, project: GetiProject, task: GetiTask, iterations: int) -> None:
        if self.dialect.patches_configuration:
            for whole, one in self._training_keys(project, task):
                low, high = one.get("min_value"), one.get("max_value")
                Parameter("training", str(one["key"]), one["value"], {}, low, high).set_to(iterations)
                one["value"] = iterations
                path = f"{self._of(project.id)}/training_configuration"
                self.session.ask(verb, "PATCH", path, json=whole)
                return
        else:
            parameter = configuration.iterations_of(iter(self.task_parameters(project, task)))
            if parameter is not None:
                body = configuration.parameter_body(parameter.set_to(iterations))
                self.session.ask(verb, "POST", self._chain(project, task), json=body)
                return
        told = f"'{task.title}' has none of the parameters {', '.join(configuration.ITERATIONS)}"
        raise PlatformRefused(NAME, verb, words=told)

    def _training_keys(self, project: GetiProject, task: GetiTask) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """From 2.12: the task's training configuration, and the value in it that says how long is trained."""
        verb, path = f"read the training of '{task.title}'", f"{self._of(project.id)}/training_configuration"
        manifest = self._manifest(project, task)
        query = f"model_manifest_id={manifest}" if manifest else f"task_id={task.id}"
        found = self.session.ask(verb, "GET", f"{path}?{query}")
        if isinstance(found, dict):
            keys = {str(one["key"]): one for one in configuration.keyed(found, "training")}
            whole = {"task_id": task.id, **({"model_manifest_id": manifest} if manifest else {})} | found
            yield from ((whole, keys[name]) for name in configuration.ITERATIONS if name in keys)

    def _manifest(self, project: GetiProject, task: GetiTask) -> str:
        """What is trained for this task unless somebody chose otherwise; empty when the server does not say."""
        verb = f"list the algorithms of project {project.id}"
        try:
            answer = Fields(NAME, verb, self.session.ask(verb, "GET", f"{self._of(project.id)}/supported_algorithms"))
        except NotFound:
            return ""
        all_of_them = answer.each("supported_algorithms") if answer.has("supported_algorithms") else ()
        found = [
            one.json
            for one in all_of_them
            if task.type in (str(one.json.get(name, "")).casefold() for name in ("task", "task_type"))
        ]
        found.sort(key=lambda one: not (one.get("is_default_model") or one.get("default_algorithm")))
        return next((str(one[name]) for one in found[:1] for name in _MANIFEST if one.get(name)), "")

    def configuration(self, project: GetiProject) -> dict[str, Any]:
        """Everything that can be set, as the server tells it."""
        verb = f"read the configuration of project {project.id}"
        ending = "project_configuration" if self.dialect.patches_configuration else "configuration"
        return Fields(NAME, verb, self.session.ask(verb, "GET", f"{self._of(project.id)}/{ending}")).json

    def set_configuration(self, project: GetiProject, values: Mapping[tuple[str, str], Any]) -> None:
        """Set values of parameters (until 2.11), all in one request as recorded. Keys are pairs of a task's id ("" for
        the project) and "component/name"."""
        verb = f"set the configuration of project {project.id}"
        found = self.configuration(project)
        body = configuration.whole_body(found, values)
        self.session.ask(verb, "POST", f"{self._of(project.id)}/configuration", json=body)

    def patch_configuration(self, project: GetiProject, configuration: dict[str, Any]) -> None:
        """Set what `configuration` answered, with other values, from 2.12."""
        verb = f"set the configuration of project {project.id}"
        self.session.ask(verb, "PATCH", f"{self._of(project.id)}/project_configuration", json=configuration)

    # Media

    def media(
        self, project: GetiProject, kind: str = "image", dataset: str = "", size: int | None = None
    ) -> Iterator[GetiMedium]:
        """Every image or video of a dataset (default: the first), page after page. Only one is made at a time, however
        many an answer holds."""
        page: Page | None = self.dialect.first_page(self._dataset(project, dataset), kind, size or self._size)
        while page is not None:
            page = yield from self._media_of(page, kind)

    def media_after(
        self, project: GetiProject, after: str, size: int, *, kind: str = "image", dataset: str = ""
    ) -> tuple[list[GetiMedium], str]:
        """A page of a dataset from a cursor on ("" for the start), and the next page's cursor, "" at the end.

        The cursor is the path that the server gave.
        """
        page = self.dialect.first_page(self._dataset(project, dataset), kind, size)
        if after:
            page = Page(page.method, after, page.json)
        media: list[GetiMedium] = []
        pages = self._media_of(page, kind)
        while True:
            try:
                media.append(next(pages))
            except StopIteration as end:
                return media, end.value.path if end.value is not None else ""

    def _media_of(self, page: Page, kind: str) -> Generator[GetiMedium, None, Page | None]:
        """The media of a page; returns the next one. Servers give a next page even after the last (recorded): an empty
        one is the end."""
        verb, seen = f"list the {kind}s", False
        body = self.session.ask(verb, page.method, page.path, json=page.json, wanted="media")
        answer = objects(verb, body or b"{}", "media")
        while True:
            try:
                one = next(answer)
            except StopIteration as end:
                rest: Fields = end.value
                break
            seen = True
            yield medium_from(one, kind)
        following = rest.text("next_page") if seen and rest.has("next_page") else ""
        return Page(page.method, following, page.json) if following else None

    def count_images(self, project: GetiProject, state: str | None = None) -> int | None:
        """How many images the first dataset holds, or those annotated so; None where that cannot be asked in one
        request."""
        page = self.dialect.first_page(self._dataset(project, ""), "image", 1)
        if page.json is None:
            return None
        rules = list(page.json["rules"])
        if state is not None:
            rules.append({"field": "annotation_scene_state", "operator": "equal", "value": state})
        verb = "count the images"
        try:
            answer = self.session.ask(verb, page.method, page.path, json={**page.json, "rules": rules})
        except PlatformRefused as refused:
            if refused.status != 400:
                raise
            return None  # a server that cannot be asked so
        fields = Fields(NAME, verb, answer)
        return fields.whole("total_matched_images") if fields.has("total_matched_images") else None

    def upload(
        self,
        project: GetiProject,
        file_name: str,
        opener: Callable[[], BinaryIO],
        *,
        kind: str = "image",
        dataset: str = "",
        labels: list[str] | None = None,
    ) -> GetiMedium:
        """Send an image or a video; `labels` (ids) annotate an image of a classification project at once.

        Not idempotent. Raises PlatformRefused with status 400, 413 or 415 for a file that the server does not take.
        """
        fields = {"upload_info": json.dumps({"label_ids": labels})} if labels else {}
        verb = f"upload {kind} '{file_name}'"
        path = f"{self._dataset(project, dataset)}/media/{kind}s"
        form = Form(fields, [FormFile(file_name, opener)])
        return medium_from(Fields(NAME, verb, self.session.ask(verb, "POST", path, body=form, repeatable=False)), kind)

    def download(self, project: GetiProject, medium: GetiMedium, into: Sink, *, dataset: str = "") -> None:
        """The bytes, as they come, into a file."""
        path = (
            medium.url
            or f"{self._medium(project, medium, dataset)}/display/{'stream' if medium.type == 'video' else 'full'}"
        )
        self.session.ask(f"download {medium.type} {medium.id}", "GET", path, wanted="media", into=into)

    def download_frame(
        self, project: GetiProject, video: GetiMedium, frame: int, into: Sink, *, dataset: str = ""
    ) -> None:
        path = f"{self._medium(project, video, dataset)}/frames/{frame}/display/full"
        self.session.ask(f"download frame {frame} of video {video.id}", "GET", path, wanted="media", into=into)

    def delete_medium(self, project: GetiProject, medium: GetiMedium, *, dataset: str = "") -> None:
        """Of one that is gone it does nothing. Raises PlatformUnavailable while the project is locked."""
        self._delete(f"delete {medium.type} {medium.id}", self._medium(project, medium, dataset))

    def create_dataset(self, project: GetiProject, name: str) -> str:
        """Another dataset of a project (2.x). Answers its id."""
        verb = f"create dataset '{name}'"
        path = f"{self._of(project.id)}/datasets"
        return Fields(NAME, verb, self.session.ask(verb, "POST", path, json={"name": name}, repeatable=False)).id("id")

    # Annotations

    def annotate(
        self,
        project: GetiProject,
        medium: GetiMedium,
        annotations: list[GetiAnnotation] | tuple[GetiAnnotation, ...],
        *,
        frame: int | None = None,
        dataset: str = "",
    ) -> GetiScene:
        """Say all that is on an image or a frame, in place of what was said before; coordinates in the server's unit.

        Saying it again does no harm.
        """
        verb = f"annotate {medium.type} {medium.id}"
        path = self._medium(project, medium, dataset)
        identifier: dict[str, Any] = {"type": "image", "image_id": medium.id}
        if frame is not None:
            path += f"/frames/{frame}"
            identifier = {"type": "video_frame", "video_id": medium.id, "frame_index": frame}
        body = {"media_identifier": identifier, "annotations": [one.json() for one in annotations]}
        answer = self.session.ask(verb, "POST", f"{path}/annotations", json=body)
        return scene_from(Fields(NAME, verb, answer), self.unit) if answer is not None else GetiScene((), self.unit)

    def scene(
        self, project: GetiProject, medium: GetiMedium, *, frame: int | None = None, dataset: str = ""
    ) -> GetiScene | None:
        """What was said last of an image or a frame; None when nobody said anything.

        2.x answers 204 then; what SC answers was never recorded: a 404 is taken for it when the image is there.
        """
        verb = f"read the annotations of {medium.type} {medium.id}"
        path = self._medium(project, medium, dataset) + (f"/frames/{frame}" if frame is not None else "")
        try:
            answer = self.session.ask(verb, "GET", f"{path}/annotations/latest")
        except NotFound:
            return None
        return scene_from(Fields(NAME, verb, answer), self.unit) if answer is not None else None

    def video_scenes(self, project: GetiProject, video: GetiMedium, *, dataset: str = "") -> list[GetiScene]:
        """Those of every frame about which something was said."""
        verb = f"read the annotations of video {video.id}"
        try:
            answer = self.session.ask(verb, "GET", f"{self._medium(project, video, dataset)}/annotations/latest")
        except NotFound:
            return []
        if answer is None:
            return []
        fields = Fields(NAME, verb, {"video_annotations": answer} if isinstance(answer, list) else answer)
        scenes = [scene_from(one, self.unit) for one in fields.each("video_annotations")]
        return [scene for scene in scenes if scene.frame is not None and scene.annotations]

    # Jobs

    def job(self, job: str) -> dict[str, Any]:
        """With `state`: scheduled, running, finished, failed or cancelled."""
        verb = f"read job {job}"
        return Fields(NAME, verb, self.session.ask(verb, "GET", f"{self.dialect.root}/jobs/{job}")).json

    def cancel_job(self, job: str) -> None:
        """Raises PlatformRefused (412) for one that cannot be cancelled any more."""
        self.session.ask(f"cancel job {job}", "POST", f"{self.dialect.root}/jobs/{job}:cancel", wanted="nothing")

    def wait_for_job(self, job: str, seconds: float = 3600.0, look_every: float = 2.0) -> dict[str, Any]:
        """Until it ended. Raises PlatformUnavailable when it did not in time, PlatformRefused when it failed."""
        ends, verb = time.monotonic() + seconds, f"wait for job {job}"
        while True:
            found = self.job(job)
            state = str(found.get("state", "")).casefold()
            if state == "finished":
                return found
            if state in ("failed", "cancelled"):
                raise PlatformRefused(NAME, verb, status=200, words=f"the job {state}")
            if time.monotonic() >= ends:
                raise PlatformUnavailable(NAME, verb, words=f"the job is still '{state}'", advice="Look again later.")
            time.sleep(min(look_every, max(0.0, ends - time.monotonic())))

    # Where things are

    @property
    def _size(self) -> int:
        return self.page_size or self.dialect.page

    def _of(self, project: str) -> str:
        return f"{self.dialect.root}/projects/{project}"

    def _chain(self, project: GetiProject, task: GetiTask) -> str:
        return f"{self._of(project.id)}/configuration/task_chain/{task.id}"

    def _dataset(self, project: GetiProject, dataset: str) -> str:
        return f"{self._of(project.id)}/datasets/{dataset or project.dataset}"

    def _medium(self, project: GetiProject, medium: GetiMedium, dataset: str) -> str:
        kind = "videos" if medium.type == "video" else "images"
        return f"{self._dataset(project, dataset)}/media/{kind}/{medium.id}"

    def _delete(self, verb: str, path: str) -> None:
        try:
            self.session.ask(verb, "DELETE", path)
        except NotFound:
            return
        except PlatformRefused as refused:
            if refused.status != 409:
                raise
            locked = refused
        else:
            return
        advice = "Jobs of the project are running: wait for them, or cancel them."
        raise PlatformUnavailable(NAME, verb, status=409, words=locked.words, advice=advice)


def _auto_training_keys(found: Any) -> Iterator[dict[str, Any]]:
    for task in found.get("task_configs") or () if isinstance(found, dict) else ():
        yield from (one for one in configuration.keyed(task, "auto_training") if one["key"] == "enable")
