"""Labels of a task, read from its annotations; and those among them that can be no shapes at all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from labelwright.domain import ExcludedImage, LabeledImage
from labelwright.platforms.errors import NotFound, PlatformUnavailable

from . import jobs as cvat_jobs
from .annotations import LeftOut, Reader
from .campaigns import done_frames
from .imports import covered
from .models import CvatJob, CvatTask
from .names import name_of
from .schema import CvatLabels
from .server import Server


@dataclass(frozen=True, slots=True)
class Read:
    """Part of a task's labels. `end` is the frame to go on with; the task's size at its end."""

    images: tuple[LabeledImage, ...]
    left_out: tuple[LeftOut, ...]
    end: int
    excluded: tuple[ExcludedImage, ...] = ()
    """Images that were deleted."""


def read_task(server: Server, task: CvatTask, labels: CvatLabels, start: int) -> Read:
    """The images from frame `start` on whose jobs are done: about a page of them, or all of a small task."""
    means, page = server.options.done_means, server.options.labels_page
    jobs = cvat_jobs.jobs_of(server.client, task=task.id) if task.size else []
    done = done_frames(task, jobs, means) if covered(task, jobs) else set()
    if not done:
        return Read((), (), task.size)
    reader = _reader(server, task, labels)
    if task.overlap or task.size <= page:
        # CVAT brings together what neighbouring jobs say of the images that they share.
        answer = _together(server, task)
        if answer is not None:
            reader.jobs = [job.frames for job in jobs]
            whole = tuple(reader.images(answer, done, range(task.size)))
            return Read(whole, tuple(reader.left_out), task.size, tuple(reader.excluded))
    images: list[LabeledImage] = []
    for job, frames in _owned(jobs):
        wanted = done.intersection(frames)
        if job.start < start or not wanted:
            continue
        if len(images) >= page:
            return Read(tuple(images), tuple(reader.left_out), job.start, tuple(reader.excluded))
        reader.job = job.id
        images += reader.images(server.annotations(job=job.id), wanted, job.frames)
        if len(frames) < len(job.frames):
            reader.note(job.start, "what this job says of images that an earlier one has too: CVAT could not join them")
    return Read(tuple(images), tuple(reader.left_out), task.size, tuple(reader.excluded))


def deleted_among(server: Server, project: int, images: Iterable[str]) -> dict[str, str]:
    """Those of these images ("TASK/FRAME") whose task is gone from the project, or whose frame was deleted."""
    frames: dict[int, list[int]] = defaultdict(list)
    for image in images:
        of_task, _, frame = image.partition("/")
        if of_task.isdecimal() and frame.isdecimal():
            frames[int(of_task)].append(int(frame))
    found: dict[str, str] = {}
    for task_id, numbers in sorted(frames.items()):
        try:
            task = server.task(task_id)
        except NotFound:
            found |= {f"{task_id}/{number}": f"task {task_id} was deleted in CVAT" for number in numbers}
            continue
        if task.project not in (None, project):
            moved = f"task {task_id} was moved to project {task.project} in CVAT"
            found |= {f"{task_id}/{number}": moved for number in numbers}
            continue
        deleted = server.frames(task).deleted if task.size else frozenset()
        for number in numbers:
            if number in deleted:
                found[f"{task_id}/{number}"] = f"frame {number} of task {task_id} was deleted in CVAT"
    return found


def _together(server: Server, task: CvatTask) -> dict[str, Any] | None:
    """The annotations of all jobs of a task. None: CVAT cannot bring them together, as it compares the shapes of two
    jobs on the images that they share, and one of them is malformed. Each job's own are told all the same."""
    try:
        return server.annotations(task=task.id)
    except PlatformUnavailable as error:
        if error.status != 500:
            raise
        return None


def _owned(jobs: Iterable[CvatJob]) -> Iterator[tuple[CvatJob, list[int]]]:
    """The jobs in the order of their images, each with those that no earlier one has."""
    taken: set[int] = set()
    for job in sorted(jobs, key=lambda job: (job.start, job.id)):
        yield job, [frame for frame in job.frames if frame not in taken]
        taken.update(job.frames)


def malformed(server: Server, task: CvatTask, labels: CvatLabels) -> Iterator[LeftOut]:
    """Annotations that can be no shapes: each blocks the server's own exports of the task."""
    if not task.size:
        return
    reader = _reader(server, task, labels)
    for job in cvat_jobs.jobs_of(server.client, task=task.id):
        reader.job, reader.left_out = job.id, []
        for _ in reader.images(server.annotations(job=job.id), job.frames, job.frames):
            pass
        yield from (one for one in reader.left_out if one.malformed)


def remove(server: Server, one: LeftOut) -> None:
    """Take one annotation out of its job. Of one that is gone it does nothing.

    Not out of its task: what lies in a job on a frame of another one is not found that way (recorded traffic).
    """
    kind, job = f"{one.kind}s", one.job or 0
    gone = [item for item in server.annotations(job=job).get(kind) or () if item.get("id") == one.id]
    if gone:
        server.change_annotations("delete", {kind: gone}, job=job)


def _reader(server: Server, task: CvatTask, labels: CvatLabels) -> Reader:
    frames = server.frames(task)
    return Reader(task.id, labels, frames, {number: name_of(one.name) for number, one in enumerate(frames.frames)})
