"""Whether CVAT has taken in what was uploaded, in both dialects.

2.15 tells by GET /api/tasks/{id}/status, and says "Finished" of a task into which nothing was ever imported; newer ones
by GET /api/requests, whose entries expire and are shown to their owner alone. Neither is believed without the task: it
has as many frames as images were sent, and its jobs cover all of them.
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
    # Not in CVAT's own list, but in that of the queue behind it, whose words it passes on.
    "deferred": SetState.FINISHING,
    "scheduled": SetState.FINISHING,
    "canceled": SetState.FAILED,
    "stopped": SetState.FAILED,
}
_UNREADABLE = re.compile(r"cannot identify image file (['\"])(?:.*/)?([^/]+?)\1")
"""Within double quotes where the name holds a single one."""


def covered(task: CvatTask, jobs: Iterable[CvatJob]) -> bool:
    """Whether the task has frames, and its jobs leave none of them out."""
    frames: set[int] = set()
    for job in jobs:
        frames.update(job.frames)
    return task.size > 0 and frames.issuperset(range(task.size))


def read_import(client: Client, task: CvatTask, request: str | None) -> RemoteBatch:
    """How the import of a task stands, in the server's words alone. `request`: the id of its request, if known."""
    if not task.has_data and not task.size:
        return RemoteBatch(SetState.CREATED)
    told = _told(client, task, request)
    if told is None:  # nobody knows of an import any more: the task itself is asked
        return RemoteBatch(SetState.FINISHING if task.size else SetState.CREATED)
    state, message = told
    if state is SetState.FAILED:
        return RemoteBatch(state, rejected=unreadable(message), message=_last_line(message))
    return RemoteBatch(state)


def unreadable(message: str) -> tuple[tuple[str, str], ...]:
    """The file on which an import failed, if it says so, under our name and with the reason."""
    found = _UNREADABLE.search(message)
    return ((name_of(found[2]), "CVAT cannot identify it as an image"),) if found else ()


def _told(client: Client, task: CvatTask, request: str | None) -> tuple[SetState, str] | None:
    ways = (_by_status, _by_requests) if not client.likely_has_requests else (_by_requests, _by_status)
    for way in ways:
        try:
            return way(client, task, request)
        except NotFound:  # a server of the other dialect
            continue
        except PlatformRefused as refused:
            if refused.status not in (405, 410):
                raise
    return None


def _by_status(client: Client, task: CvatTask, _: str | None) -> tuple[SetState, str]:
    answer = client.call(f"say whether task {task.id} is imported", "GET", f"/api/tasks/{task.id}/status")
    return _state(answer, "state"), _words(answer)


def _by_requests(client: Client, task: CvatTask, request: str | None) -> tuple[SetState, str] | None:
    operation = f"say whether task {task.id} is imported"
    if request is not None:
        try:
            answer = client.call(operation, "GET", f"/api/requests/{quote(request, safe='')}")
        except NotFound:  # it expired: perhaps there is a younger one
            pass
        else:
            return _state(answer, "status"), _words(answer)
    ours = [
        one
        for one in client.all(operation, "/api/requests", {"task_id": task.id, "action": "create"})
        if one.inner("operation").json.get("task_id") == task.id
    ]
    if not ours:
        return None
    newest = max(ours, key=lambda one: str(one.json.get("created_date") or ""))
    return _state(newest, "status"), _words(newest)


def _state(answer: Fields, name: str) -> SetState:
    value = answer.text(name)
    state = _STATES.get(value.lower())
    if state is None:
        answer.refuse(name, f"is '{value}', which is none of {', '.join(_STATES)}")
    return state


def _words(answer: Fields) -> str:
    return answer.text("message") if answer.has("message") else ""


def _last_line(message: str) -> str:
    """Of a traceback the line that says what happened."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return cut_masked(lines[-1]) if lines else "it does not say why"
