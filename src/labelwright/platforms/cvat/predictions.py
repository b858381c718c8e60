"""Uploads predictions as annotations for labelers to correct. They replace earlier predictions."""

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
"""Keeps a request within seconds: CVAT responds when all objects are in its database. Objects that an interrupted
request left are removed by the next try."""

_SCORES = (2, 50)
"""First version that stores a prediction's score."""


def put(server: Server, operation: str, project: int, images: Sequence[LabeledImage]) -> None:
    """Replaces the predictions of images, given by ids "TASK/FRAME". Other annotations stay.

    Raises PlatformRefused when labelers have started on such an image, for an id that is not in the project, and for a
    label or shape that CVAT does not have there.
    """
    labels = server.labels(project)
    tasks_by_id = {task.id: task for task in server.tasks_of(project)}
    by_task: dict[int, dict[int, LabeledImage]] = defaultdict(dict)
    for image in images:
        task, _, frame = image.remote_id.partition("/")
        if not (task.isdecimal() and frame.isdecimal() and int(task) in tasks_by_id):
            message = f"the campaign has no image with id '{image.remote_id}'"
            raise PlatformRefused(NAME, operation, message=message)
        by_task[int(task)][int(frame)] = image
    for task_id, frames in by_task.items():
        jobs = [
            job for job in cvat_jobs.jobs_of(server.client, task=task_id) if not frames.keys().isdisjoint(job.frames)
        ]
        for job in jobs:
            if not job.is_new:
                message = f"job {job.id} is {job.state} in {job.stage}: labelers have started on it"
                advice = "Upload predictions before labelers start."
                raise PlatformRefused(NAME, operation, message=message, advice=advice)
        shapes, tags = _convert(server, operation, frames, labels)
        if tasks_by_id[task_id].overlap:
            # An image in two jobs has its predictions in both. The task's annotations include, and delete, only one.
            for job in jobs:
                _delete_predictions(server, frames, job=job.id)
        else:
            _delete_predictions(server, frames, task=task_id)
        for part in _requests({"shapes": shapes, "tags": tags}):
            server.change_annotations("create", part, task=task_id)


def _convert(
    server: Server, operation: str, frames: Mapping[int, LabeledImage], labels: CvatLabels
) -> tuple[list[Any], list[Any]]:
    scores = server.client.version >= _SCORES
    shapes: list[Any] = []
    tags: list[Any] = []
    for frame, image in sorted(frames.items()):
        try:
            image_shapes, image_tags = to_cvat_shapes(image, frame, labels, scores=scores)
        except KeyError as unknown:
            message = f"the project has no label {unknown}"
            raise PlatformRefused(NAME, operation, message=message, advice="Add it to the campaign's labels.") from None
        except InvalidShape as fault:
            raise PlatformRefused(NAME, operation, message=f"image '{image.name}': {fault}") from None
        shapes += image_shapes
        tags += image_tags
    return shapes, tags


def _delete_predictions(server: Server, frames: Mapping[int, LabeledImage], **target: int) -> None:
    existing = server.annotations(**target)
    old = {
        kind: [
            item for item in existing.get(kind) or () if item.get("source") == PREDICTED and item.get("frame") in frames
        ]
        for kind in ("shapes", "tags")
    }
    for part in _requests(old):
        server.change_annotations("delete", part, **target)


def _requests(objects: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Sequence[Any]]]:
    for kind, items in objects.items():
        for first in range(0, len(items), OBJECTS_A_REQUEST):
            yield {kind: items[first : first + OBJECTS_A_REQUEST]}
