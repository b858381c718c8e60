"""Reads the labels of a task; finds and removes malformed annotations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from labelwright.domain import ExcludedImage, ImageState, LabeledImage
from labelwright.platforms.errors import NotFound, PlatformUnavailable
from labelwright.platforms.protocol import UnlabeledImage

from . import jobs as cvat_jobs
from .annotations import Reader, SkippedAnnotation
from .campaigns import done_frames
from .imports import jobs_cover_task
from .models import CvatJob, CvatTask, DoneMeans, JobState, Stage
from .names import name_of
from .schema import CvatLabels
from .server import Server


@dataclass(frozen=True, slots=True)
class TaskLabels:
    """Part of a task's labels. `end` is the frame to continue with; the task's size when nothing is left."""

    images: tuple[LabeledImage, ...]
    skipped: tuple[SkippedAnnotation, ...]
    end: int
    excluded: tuple[ExcludedImage, ...] = ()
    """Images that were deleted."""


def read_task(server: Server, task: CvatTask, labels: CvatLabels, start: int) -> TaskLabels:
    """Reads the images from frame `start` on whose jobs are done: about a page, or all of a small task."""
    means, page = server.options.done_means, server.options.labels_page
    jobs = cvat_jobs.jobs_of(server.client, task=task.id) if task.size else []
    done = done_frames(task, jobs, means) if jobs_cover_task(task, jobs) else set()
    if not done:
        return TaskLabels((), (), task.size)
    reader = _reader(server, task, labels, jobs)
    if task.overlap or task.size <= page:
        # CVAT merges the annotations of neighbouring jobs on the images that they share.
        annotations = _merged_annotations(server, task)
        if annotations is not None:
            reader.jobs = [job.frames for job in jobs]
            whole = tuple(reader.images(annotations, done, range(task.size)))
            return TaskLabels(whole, tuple(reader.skipped), task.size, tuple(reader.excluded))
    images: list[LabeledImage] = []
    for job, frames in _jobs_with_own_frames(jobs):
        requested = done.intersection(frames)
        if job.start < start or not requested:
            continue
        if len(images) >= page:
            return TaskLabels(tuple(images), tuple(reader.skipped), job.start, tuple(reader.excluded))
        reader.job = job.id
        images += reader.images(server.annotations(job=job.id), requested, job.frames)
        if len(frames) < len(job.frames):
            reader.note(job.start, "annotations of images that an earlier job has too: CVAT could not merge them")
    return TaskLabels(tuple(images), tuple(reader.skipped), task.size, tuple(reader.excluded))


def unlabeled_images(server: Server, tasks: Iterable[CvatTask]) -> Iterator[UnlabeledImage]:
    """Yields the images of jobs that are not done, in the state of the first of these jobs."""
    means = server.options.done_means
    for task in tasks:
        jobs = cvat_jobs.jobs_of(server.client, task=task.id) if task.size else []
        if not jobs_cover_task(task, jobs):
            continue
        waiting = {frame: job for job in reversed(jobs) if not job.done(means) for frame in job.frames}
        if not waiting:
            continue
        frames = server.frames(task)
        for frame in sorted(waiting.keys() - frames.deleted):
            job, name = waiting[frame], name_of(frames.frames[frame].name)
            detail = f"job {job.id} of task {task.id} is in stage {job.stage.value}, {job.state.value}"
            yield UnlabeledImage(f"{task.id}/{frame}", name, _state_in(job), detail)


def _state_in(job: CvatJob) -> ImageState:
    """The state of the images of a job that is not done."""
    if job.state is JobState.REJECTED:
        return ImageState.REJECTED
    if job.stage is not Stage.ANNOTATION or job.state is JobState.COMPLETED:
        return ImageState.LABELED
    return ImageState.DRAFT if job.state is JobState.IN_PROGRESS else ImageState.NOT_LABELED


def deleted_among(server: Server, project: int, images: Iterable[str]) -> dict[str, str]:
    """Returns which of the images ("TASK/FRAME") are gone, and why: their task or their frame was deleted."""
    frames: dict[int, list[int]] = defaultdict(list)
    for image in images:
        task_part, _, frame = image.partition("/")
        if task_part.isdecimal() and frame.isdecimal():
            frames[int(task_part)].append(int(frame))
    reasons: dict[str, str] = {}
    for task_id, numbers in sorted(frames.items()):
        try:
            task = server.task(task_id)
        except NotFound:
            reasons |= {f"{task_id}/{number}": f"task {task_id} was deleted in CVAT" for number in numbers}
            continue
        if task.project not in (None, project):
            moved = f"task {task_id} was moved to project {task.project} in CVAT"
            reasons |= {f"{task_id}/{number}": moved for number in numbers}
            continue
        deleted = server.frames(task).deleted if task.size else frozenset()
        for number in numbers:
            if number in deleted:
                reasons[f"{task_id}/{number}"] = f"frame {number} of task {task_id} was deleted in CVAT"
    return reasons


def _merged_annotations(server: Server, task: CvatTask) -> dict[str, Any] | None:
    """The merged annotations of a task's jobs. None: CVAT cannot merge them.

    It compares the shapes of two jobs on the images that they share, and fails at a malformed one. The annotations of
    each single job can still be read.
    """
    try:
        return server.annotations(task=task.id)
    except PlatformUnavailable as error:
        if error.status != 500:
            raise
        return None


def _jobs_with_own_frames(jobs: Iterable[CvatJob]) -> Iterator[tuple[CvatJob, list[int]]]:
    """The jobs in the order of their images, each with the frames that no earlier job has."""
    taken: set[int] = set()
    for job in sorted(jobs, key=lambda job: (job.start, job.id)):
        yield job, [frame for frame in job.frames if frame not in taken]
        taken.update(job.frames)


def malformed(server: Server, task: CvatTask, labels: CvatLabels) -> Iterator[SkippedAnnotation]:
    """Yields annotations with invalid geometry: each blocks the server's own exports of the task."""
    if not task.size:
        return
    reader = _reader(server, task, labels)
    for job in cvat_jobs.jobs_of(server.client, task=task.id):
        reader.job, reader.skipped = job.id, []
        for _ in reader.images(server.annotations(job=job.id), job.frames, job.frames):
            pass
        yield from (item for item in reader.skipped if item.malformed)


def remove(server: Server, annotation: SkippedAnnotation) -> None:
    """Removes one annotation from its job. Idempotent.

    The task's annotations do not include what a job holds on a frame of another job (recorded traffic).
    """
    kind, job = f"{annotation.kind}s", annotation.job or 0
    gone = [item for item in server.annotations(job=job).get(kind) or () if item.get("id") == annotation.id]
    if gone:
        server.change_annotations("delete", {kind: gone}, job=job)


def _reader(server: Server, task: CvatTask, labels: CvatLabels, jobs: Sequence[CvatJob] = ()) -> Reader:
    frames, options = server.frames(task), server.options
    names = {number: name_of(frame.name) for number, frame in enumerate(frames.frames)}
    reviewed = bool(options.reviewers) or options.done_means is DoneMeans.ACCEPTED
    return Reader(task.id, labels, frames, names, work=jobs, reviewed=reviewed)
