"""CVAT's JSON and what it becomes: projects, tasks, jobs, frames. One function a shape.

Absent and further keys are borne: both dialects are read by the same functions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from labelwright.platforms.http.json_fields import Fields


class Stage(StrEnum):
    """Where a job stands on its way from labeler to requester."""

    ANNOTATION = "annotation"
    VALIDATION = "validation"
    ACCEPTANCE = "acceptance"


class JobState(StrEnum):
    """How far the work of a stage is."""

    NEW = "new"
    IN_PROGRESS = "in progress"
    COMPLETED = "completed"
    REJECTED = "rejected"


class DoneMeans(StrEnum):
    """When a job counts as done: when its labeler says so, or when it was accepted."""

    LABELED = "labeled"
    ACCEPTED = "accepted"


UNTOLD = -1


@dataclass(frozen=True, slots=True)
class CvatProject:
    """A project. Its `status` stays "annotation" for ever and is not read."""

    id: int
    name: str
    organization: int | None
    """None: of nobody but its owner. UNTOLD: the server does not say."""
    guide: int | None


@dataclass(frozen=True, slots=True)
class CvatTask:
    """A task. `size` counts its frames: 0 before anything was imported."""

    id: int
    name: str
    project: int | None
    size: int
    jobs: int
    has_data: bool
    """Whether an upload into it was begun."""
    assignee: int | None
    overlap: int
    segment_size: int
    marker: str = ""
    """Its field `bug_tracker`, which CVAT keeps as it was sent: there stands whose task it is."""


@dataclass(frozen=True, slots=True)
class CvatJob:
    """A job: frames `start` to `stop` of its task, both counted."""

    id: int
    task: int
    start: int
    stop: int
    stage: Stage
    state: JobState
    assignee: int | None = None
    who: str = ""

    @property
    def frames(self) -> range:
        return range(self.start, self.stop + 1)

    @property
    def accepted(self) -> bool:
        return self.stage is Stage.ACCEPTANCE and self.state is JobState.COMPLETED

    def done(self, means: DoneMeans) -> bool:
        return self.accepted or (means is DoneMeans.LABELED and self.state is JobState.COMPLETED)

    @property
    def untouched(self) -> bool:
        return self.stage is Stage.ANNOTATION and self.state is JobState.NEW


@dataclass(frozen=True, slots=True)
class CvatFrame:
    """A frame of a task; width and height are those of the image as displayed, in pixels."""

    name: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class CvatFrames:
    """The frames of a task by their numbers, from 0."""

    frames: tuple[CvatFrame, ...]
    deleted: frozenset[int]
    """Taken out by somebody in CVAT's page."""


def project_from(item: Fields) -> CvatProject:
    return CvatProject(item.whole("id"), item.text("name"), _organization(item), _perhaps(item, "guide_id"))


def task_from(item: Fields) -> CvatTask:
    jobs = item.inner("jobs") if isinstance(item.json.get("jobs"), dict) else None
    return CvatTask(
        id=item.whole("id"),
        name=item.text("name"),
        project=_perhaps(item, "project_id"),
        size=_perhaps(item, "size") or 0,
        jobs=(_perhaps(jobs, "count") or 0) if jobs else 0,
        has_data=item.has("data"),
        assignee=_person(item),
        overlap=_perhaps(item, "overlap") or 0,
        segment_size=_perhaps(item, "segment_size") or 0,
        marker=item.text("bug_tracker") if item.has("bug_tracker") else "",
    )


def job_from(item: Fields) -> CvatJob:
    return CvatJob(
        id=item.whole("id"),
        task=item.whole("task_id"),
        start=item.whole("start_frame"),
        stop=item.whole("stop_frame"),
        stage=Stage(_one_of(item, "stage", Stage)),
        state=JobState(_one_of(item, "state", JobState)),
        assignee=_person(item),
        who=item.inner("assignee").text("username") if isinstance(item.json.get("assignee"), dict) else "",
    )


def labels_are_put_into(item: Fields) -> bool:
    """Whether a job is one that labelers work on, and no ground truth or copy for comparing."""
    return item.json.get("type") in (None, "annotation")


def frames_from(item: Fields, size: int) -> CvatFrames:
    """The frames of a task of `size` frames. A video is one file with many frames: they bear its name and a number."""
    frames = [CvatFrame(one.text("name"), one.whole("width"), one.whole("height")) for one in item.each("frames")]
    if len(frames) == 1 and size > 1:
        video = frames[0]
        frames = [CvatFrame(f"{video.name}/{number:06d}", video.width, video.height) for number in range(size)]
    deleted = item.list("deleted_frames") if item.has("deleted_frames") else []
    return CvatFrames(tuple(frames), frozenset(number for number in deleted if isinstance(number, int)))


def _perhaps(item: Fields, name: str) -> int | None:
    return item.whole(name) if item.has(name) else None


def _organization(item: Fields) -> int | None:
    for name in ("organization_id", "organization"):
        if name in item.json:
            there = item.json[name]
            return item.inner(name).whole("id") if isinstance(there, dict) else _perhaps(item, name)
    return UNTOLD


def _person(item: Fields) -> int | None:
    """A user's id: told as an object, or as a bare number."""
    who = item.json.get("assignee")
    return item.inner("assignee").whole("id") if isinstance(who, dict) else _perhaps(item, "assignee")


def _one_of(item: Fields, name: str, known: Iterable[str]) -> str:
    value = item.text(name)
    if value not in list(known):
        item.refuse(name, f"is '{value}', which is none of {', '.join(known)}")
    return value
