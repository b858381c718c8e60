"""Withdraws images from a campaign before its labelers start."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from labelwright.platforms.errors import PlatformRefused

from .client import NAME
from .models import CvatJob, CvatTask
from .server import Server


def withdraw(
    server: Server,
    operation: str,
    tasks: Iterable[CvatTask],
    jobs: Mapping[int, Sequence[CvatJob]],
    images: Iterable[str],
) -> None:
    """Deletes the tasks that hold the images: CVAT cannot remove a single frame from a task.

    All tasks are checked before the first is deleted. Raises PlatformRefused for a task in which somebody has
    started to label.
    """
    affected = {int(image.partition("/")[0]) for image in images}
    to_delete = [task for task in tasks if task.id in affected]
    for task in to_delete:
        if not all(job.is_new for job in jobs.get(task.id, ())) or _has_annotations(server, task):
            message = f"somebody has begun to label task {task.id} '{task.name}', which holds some of them"
            advice = "Look at the task on CVAT. When its labels may go, delete it there and launch again."
            raise PlatformRefused(NAME, operation, message=message, advice=advice)
    for task in to_delete:
        server.delete_task(task.id)


def _has_annotations(server: Server, task: CvatTask) -> bool:
    annotations = server.annotations(task=task.id)
    return any(annotations.get(kind) for kind in ("shapes", "tags", "tracks"))
