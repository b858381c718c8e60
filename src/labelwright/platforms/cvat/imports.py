"""Reads whether CVAT has imported the uploaded images, on old and new servers.

CVAT 2.15 reports it at GET /api/tasks/{id}/status, where a task without any import is "Finished" too; newer servers at
GET /api/requests, whose entries expire and are visible to their owner only. Callers also check the task itself: it has
as many frames as images were sent, and its jobs cover all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote

from labelwright.platforms.errors import NotFound, PlatformRefused
from labelwright.platforms.http.error_messages import cut_masked
from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.protocol import RemoteBatch, SetState

from .client import Client
from .models import CvatJob, CvatTask
from .names import name_of

_STATES = {
    "queued": SetState.FINISHING,
    "started": SetState.FINISHING,
    "finished": SetState.FINISHED,
    "failed": SetState.FAILED,
    # States of the queue behind CVAT, which it passes on.
    "deferred": SetState.FINISHING,
    "scheduled": SetState.FINISHING,
    "canceled": SetState.FAILED,
    "stopped": SetState.FAILED,
}
_UNREADABLE = re.compile(r"cannot identify image file (['\"])(?:.*/)?([^/]+?)\1")
"""The name is in double quotes when it contains a single quote."""


def jobs_cover_task(task: CvatTask, jobs: Iterable[CvatJob]) -> bool:
    """Whether the task has frames and its jobs cover all of them."""
    frames: set[int] = set()
    for job in jobs:
        frames.update(job.frames)
    return task.size > 0 and frames.issuperset(range(task.size))


def read_import(client: Client, task: CvatTask, request: str | None) -> RemoteBatch:
    """Returns the state of a task's import as the server reports it. `request`: the import request's id, if known."""
    if not task.has_data and not task.size:
        return RemoteBatch(SetState.CREATED)
    result = _reported_state(client, task, request)
    if result is None:  # the server has forgotten the import: the task's frames decide
        return RemoteBatch(SetState.FINISHING if task.size else SetState.CREATED)
    state, message = result
    if state is SetState.FAILED:
        return RemoteBatch(state, rejected=rejected_files(message), message=_last_line(message))
    return RemoteBatch(state)


def rejected_files(message: str) -> tuple[tuple[str, str], ...]:
    """The file on which an import failed, if the message names it: our image name and the reason."""
    match = _UNREADABLE.search(message)
    return ((name_of(match[2]), "CVAT cannot identify it as an image"),) if match else ()


def _reported_state(client: Client, task: CvatTask, request: str | None) -> tuple[SetState, str] | None:
    readers = (_by_status, _by_requests) if not client.likely_has_requests else (_by_requests, _by_status)
    for read in readers:
        try:
            return read(client, task, request)
        except NotFound:  # the server has the other interface
            continue
        except PlatformRefused as refused:
            if refused.status not in (405, 410):
                raise
    return None


def _by_status(client: Client, task: CvatTask, _: str | None) -> tuple[SetState, str]:
    response = client.call(f"say whether task {task.id} is imported", "GET", f"/api/tasks/{task.id}/status")
    return _state(response, "state"), _message(response)


def _by_requests(client: Client, task: CvatTask, request: str | None) -> tuple[SetState, str] | None:
    operation = f"say whether task {task.id} is imported"
    if request is not None:
        try:
            response = client.call(operation, "GET", f"/api/requests/{quote(request, safe='')}")
        except NotFound:  # it expired: there may be a newer one
            pass
        else:
            return _state(response, "status"), _message(response)
    entries = [
        entry
        for entry in client.all(operation, "/api/requests", {"task_id": task.id, "action": "create"})
        if entry.inner("operation").json.get("task_id") == task.id
    ]
    if not entries:
        return None
    newest = max(entries, key=lambda entry: str(entry.json.get("created_date") or ""))
    return _state(newest, "status"), _message(newest)


def _state(response: Fields, name: str) -> SetState:
    value = response.text(name)
    state = _STATES.get(value.lower())
    if state is None:
        response.refuse(name, f"is '{value}', expected one of {', '.join(_STATES)}")
    return state


def _message(response: Fields) -> str:
    return response.text("message") if response.has("message") else ""


def _last_line(message: str) -> str:
    """The last line of a traceback, which has the error."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return cut_masked(lines[-1]) if lines else "no reason given"
