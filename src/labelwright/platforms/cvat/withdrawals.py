"""Images that are taken out of a campaign before its labelers begin."""

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
    """Delete the tasks that hold the images: CVAT takes no single frame out of a task.

    All of them are looked at before the first is deleted. Raises PlatformRefused for a task in which somebody has
    begun to label.
    """
    affected = {int(image.partition("/")[0]) for image in images}
    doomed = [task for task in tasks if task.id in affected]
    for task in doomed:
        if not all(job.untouched for job in jobs.get(task.id, ())) or _has_annotations(server, task):
            message = f"somebody has begun to label task {task.id} '{task.name}', which holds some of them"
            advice = "Look at the task on CVAT. When its labels may go, delete it there and launch again."
            raise PlatformRefused(NAME, operation, message=message, advice=advice)
    for task in doomed:
        server.delete_task(task.id)


def _has_annotations(server: Server, task: CvatTask) -> bool:
    annotations = server.annotations(task=task.id)
    return any(annotations.get(kind) for kind in ("shapes", "tags", "tracks"))
