"""Predictions: put on images for labelers to correct, in place of those that were put before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from labelwright.domain import InvalidShape, LabeledImage
from labelwright.platforms.errors import PlatformRefused

from . import jobs as cvat_jobs
from .annotations import PREDICTED, to_cvat_shapes
from .client import NAME
from .schema import CvatLabels
from .server import Server

OBJECTS_A_REQUEST = 2000
"""So that one is answered in seconds: CVAT answers when all of them are in its database. Some that came in before it
broke off are taken out by the next try."""

_SCORES = (2, 50)
"""Servers from here on keep how sure a prediction is; older ones know people's work only."""


def put(server: Server, operation: str, project: int, images: Sequence[LabeledImage]) -> None:
    """Images by their ids, "TASK/FRAME". What people drew stays. Raises PlatformRefused where people have begun, and
    for a label that the project does not have."""
    labels = server.labels(project)
    ours = {task.id: task for task in server.tasks_of(project)}
    by_task: dict[int, dict[int, LabeledImage]] = defaultdict(dict)
    for image in images:
        task, _, frame = image.remote_id.partition("/")
        if not (task.isdecimal() and frame.isdecimal() and int(task) in ours):
            raise PlatformRefused(NAME, operation, message=f"'{image.remote_id}' is the id of no image of the campaign")
        by_task[int(task)][int(frame)] = image
    for task_id, frames in by_task.items():
        jobs = [
            job for job in cvat_jobs.jobs_of(server.client, task=task_id) if not frames.keys().isdisjoint(job.frames)
        ]
        for job in jobs:
            if not job.untouched:
                told = f"job {job.id} is {job.state} in {job.stage}: people have begun with it"
                raise PlatformRefused(NAME, operation, message=told, advice="Put predictions in before labelers work.")
        shapes, tags = _said(server, operation, frames, labels)
        if ours[task_id].overlap:
            # An image in two jobs has its predictions in both. Asked for the task CVAT shows one of them, and deletes
            # that one.
            for job in jobs:
                _take_out(server, frames, job=job.id)
        else:
            _take_out(server, frames, task=task_id)
        for some in _requests({"shapes": shapes, "tags": tags}):
            server.change_annotations("create", some, task=task_id)


def _said(
    server: Server, operation: str, frames: Mapping[int, LabeledImage], labels: CvatLabels
) -> tuple[list[Any], list[Any]]:
    scores = server.client.version >= _SCORES
    shapes: list[Any] = []
    tags: list[Any] = []
    for frame, image in sorted(frames.items()):
        try:
            some_shapes, some_tags = to_cvat_shapes(image, frame, labels, scores=scores)
        except KeyError as unknown:
            told = f"the project has no label {unknown}"
            raise PlatformRefused(NAME, operation, message=told, advice="Add it to the campaign's labels.") from None
        except InvalidShape as fault:
            raise PlatformRefused(NAME, operation, message=f"image '{image.name}': {fault}") from None
        shapes += some_shapes
        tags += some_tags
    return shapes, tags


def _take_out(server: Server, frames: Mapping[int, LabeledImage], **place: int) -> None:
    there = server.annotations(**place)
    old = {
        kind: [one for one in there.get(kind) or () if one.get("source") == PREDICTED and one.get("frame") in frames]
        for kind in ("shapes", "tags")
    }
    for some in _requests(old):
        server.change_annotations("delete", some, **place)


def _requests(objects: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Sequence[Any]]]:
    for kind, some in objects.items():
        for first in range(0, len(some), OBJECTS_A_REQUEST):
            yield {kind: some[first : first + OBJECTS_A_REQUEST]}
