"""Projects, tasks, jobs and frames of CVAT, parsed from its JSON.

Missing and additional keys are accepted, so that the same functions read old and new servers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from labelwright.platforms.http.json_fields import Fields


class Stage(StrEnum):
    """Stage of a job: labeling, review, accepted."""

    ANNOTATION = "annotation"
    VALIDATION = "validation"
    ACCEPTANCE = "acceptance"


class JobState(StrEnum):
    """Progress of a job within its stage."""

    NEW = "new"
    IN_PROGRESS = "in progress"
    COMPLETED = "completed"
    REJECTED = "rejected"


class DoneMeans(StrEnum):
    """When a job counts as done: when its labeler says so, or when it was accepted."""

    LABELED = "labeled"
    ACCEPTED = "accepted"


UNKNOWN_ORGANIZATION = -1


@dataclass(frozen=True, slots=True)
class CvatProject:
    """A project. Its `status` is always "annotation" and is not read."""

    id: int
    name: str
    organization: int | None
    """None: in its owner's personal workspace. UNKNOWN_ORGANIZATION: the server does not report it."""
    guide: int | None


@dataclass(frozen=True, slots=True)
class CvatTask:
    """A task. `size` is the number of its frames: 0 before the import."""

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
    """Its field `bug_tracker`, which CVAT stores unchanged: holds the campaign that the task belongs to."""


@dataclass(frozen=True, slots=True)
class CvatJob:
    """A job: frames `start` to `stop` of its task, both inclusive."""

    id: int
    task: int
    start: int
    stop: int
    stage: Stage
    state: JobState
    assignee: int | None = None
    assignee_name: str = ""

    @property
    def frames(self) -> range:
        return range(self.start, self.stop + 1)

    @property
    def accepted(self) -> bool:
        return self.stage is Stage.ACCEPTANCE and self.state is JobState.COMPLETED

    def done(self, means: DoneMeans) -> bool:
        return self.accepted or (means is DoneMeans.LABELED and self.state is JobState.COMPLETED)

    @property
    def is_new(self) -> bool:
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
    """Frames that somebody deleted on CVAT's page."""


def project_from(item: Fields) -> CvatProject:
    return CvatProject(item.whole("id"), item.text("name"), _organization(item), _optional_int(item, "guide_id"))


def task_from(item: Fields) -> CvatTask:
    jobs = item.inner("jobs") if isinstance(item.json.get("jobs"), dict) else None
    return CvatTask(
        id=item.whole("id"),
        name=item.text("name"),
        project=_optional_int(item, "project_id"),
        size=_optional_int(item, "size") or 0,
        jobs=(_optional_int(jobs, "count") or 0) if jobs else 0,
        has_data=item.has("data"),
        assignee=_assignee(item),
        overlap=_optional_int(item, "overlap") or 0,
        segment_size=_optional_int(item, "segment_size") or 0,
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
        assignee=_assignee(item),
        assignee_name=item.inner("assignee").text("username") if isinstance(item.json.get("assignee"), dict) else "",
    )


def is_annotation_job(item: Fields) -> bool:
    """Whether labelers work on the job: not a ground truth job or a replica."""
    return item.json.get("type") in (None, "annotation")


def frames_from(item: Fields, size: int) -> CvatFrames:
    """The frames of a task of `size` frames. Frames of a video are named by the video and their number."""
    frames = [
        CvatFrame(frame.text("name"), frame.whole("width"), frame.whole("height")) for frame in item.each("frames")
    ]
    if len(frames) == 1 and size > 1:
        video = frames[0]
        frames = [CvatFrame(f"{video.name}/{number:06d}", video.width, video.height) for number in range(size)]
    deleted = item.list("deleted_frames") if item.has("deleted_frames") else []
    return CvatFrames(tuple(frames), frozenset(number for number in deleted if isinstance(number, int)))


def _optional_int(item: Fields, name: str) -> int | None:
    return item.whole(name) if item.has(name) else None


def _organization(item: Fields) -> int | None:
    for name in ("organization_id", "organization"):
        if name in item.json:
            organization = item.json[name]
            return item.inner(name).whole("id") if isinstance(organization, dict) else _optional_int(item, name)
    return UNKNOWN_ORGANIZATION


def _assignee(item: Fields) -> int | None:
    """The assignee's id, which the JSON holds as an object or as a number."""
    assignee = item.json.get("assignee")
    return item.inner("assignee").whole("id") if isinstance(assignee, dict) else _optional_int(item, "assignee")


def _one_of(item: Fields, name: str, allowed: Iterable[str]) -> str:
    value = item.text(name)
    if value not in list(allowed):
        item.refuse(name, f"is '{value}', expected one of {', '.join(allowed)}")
    return value
