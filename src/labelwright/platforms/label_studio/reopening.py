"""Gives labeled images back: annotations become drafts again, which labelers change and submit anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from labelwright.platforms.batches import for_each
from labelwright.platforms.errors import NotFound, PlatformRefused
from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.protocol import RemoteState

from .client import NAME
from .label_config import NOTE
from .projects import Project
from .server import Server

CALL, REOPENED = "lw_call", "lw_reopened"
"""Fields of a task's data: the call that reopened it last, and the annotations that this call gives back."""


def reopen_all(server: Server, project: Project, operation: str) -> None:
    """Gives back every annotation of a completed campaign. Continues a reopening that was interrupted.

    An annotation that a labeler submits meanwhile has a higher id than all that were there before, and stays.
    """
    record = project.own_record
    if not record.reopening:
        if project.state() is RemoteState.CREATED:
            message = f"campaign {project.id} was never completed"
            raise PlatformRefused(NAME, operation, message=message, advice="Activate it instead.")
        if project.state() is RemoteState.ACTIVE:
            return
    newest = record.reopening or max(map(int, _annotations(server, project.id, operation)), default=0)
    if not newest:
        return
    server.keep(project.id, operation, replace(record.reopened(), reopening=newest))
    annotations = [id for id in _annotations(server, project.id, operation) if int(id) <= newest]
    for_each(lambda annotation: to_draft(server, annotation, operation), annotations, 1)
    server.keep(project.id, operation, replace(record.reopened(), reopening=0))


def _annotations(server: Server, project: int, operation: str) -> list[str]:
    """Returns the ids of all annotations of a project, skips among them."""
    tasks = server.client.tasks(
        operation,
        project,
        include="id,annotations,annotations_ids",
        everything=True,
        page_size=server.options.page_size,
    )
    return [id for task in tasks for id in _ids_in(task)]


def _ids_in(task: Fields) -> list[str]:
    text = task.json.get("annotations_ids")
    ids = [part.strip() for part in text.split(",")] if isinstance(text, str) else []
    if not ids:
        ids = [str(item.get("id") if isinstance(item, dict) else item) for item in task.json.get("annotations") or ()]
    return [id for id in ids if id.isdecimal()]


def to_draft(server: Server, annotation: str, operation: str) -> None:
    """Makes a draft of an annotation. Does nothing when it is gone, as after a lost response."""
    try:
        server.client.call(operation, "POST", f"/api/annotations/{annotation}/convert-to-draft")
    except NotFound:
        return


def reopen_images(server: Server, project: Project, operation: str, reasons: Mapping[str, str], call_id: str) -> None:
    """Gives the annotations of these tasks back. The reason is shown above the image.

    Which annotations a call gives back is kept in the task's data first: repeated, it leaves later ones alone.
    """
    for_each(lambda task: _reopen_image(server, operation, task, reasons[task], call_id), list(reasons), 1)
    if project.own_record.snapshot is not None:
        server.keep(project.id, operation, project.own_record.reopened())


def _reopen_image(server: Server, operation: str, id: str, reason: str, call_id: str) -> None:
    task = server.client.get(operation, f"/api/tasks/{id}")
    data: dict[str, Any] = dict(task.inner("data").json)
    annotations = [str(item.id("id")) for item in task.each("annotations")]
    if data.get(CALL) == call_id:
        kept = data.get(REOPENED)
        given_back = set(kept) if isinstance(kept, list) else set()
        annotations = [annotation for annotation in annotations if annotation in given_back]
    elif annotations:
        changed = {**data, NOTE: reason, CALL: call_id, REOPENED: annotations}
        server.client.call(operation, "PATCH", f"/api/tasks/{id}", json={"data": changed})
    for annotation in annotations:
        to_draft(server, annotation, operation)
