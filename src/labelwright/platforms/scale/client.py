"""Scale's REST API, version 1: every call of the user's document as a method that answers Scale's own JSON.

The document is the README of Scale's Python SDK (projects, batches, tasks); files, unique ids, metadata, tags and
audits are of the API's reference. Names are part of addresses, percent-encoded to the
last character, as Scale's own client does it.
"""

from __future__ import annotations

import logging
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from typing import Any
from urllib.parse import quote

from labelwright.platforms.errors import PlatformError, PlatformRefused
from labelwright.platforms.http.client import Http
from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.http.multipart import Form, FormFile
from labelwright.platforms.protocol import Secret
from labelwright.security.masking import remember

from .errors import TooManyRequests, told_apart
from .pace import Pace

_log = logging.getLogger(__name__)

NAME = "scale"
MOST = 100
"""Things on a page: Scale takes a limit from 1 to 100."""

TASK_FILTERS = frozenset(
    {
        "start_time",
        "end_time",
        "status",
        "type",
        "project",
        "batch",
        "limit",
        "completed_before",
        "completed_after",
        "next_token",
        "customer_review_status",
        "tags",
        "updated_before",
        "updated_after",
        "unique_id",
        "include_attachment_url",
        "limited_response",
    }
)
BATCH_FILTERS = frozenset(["start_time", "end_time", "exclude_archived", "status", "project", "limit", "offset"])
_JOINED = frozenset({"customer_review_status"})
"""Lists that are one value with commas; the others are said once for each value."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a listing."""

    docs: list[Json]
    total: int | None
    """How many there are on all pages; None when the server does not say."""
    next: str | None
    """The next page's token (tasks) or offset (batches); None on the last page."""


class ScaleClient:
    """The account of one key at `url` (https://api.scale.com/v1). Safe to share between threads.

    `timeout` is (connecting, waiting for the next bytes), `patience` the longest Retry-After that is waited out. A 429
    without one says just as well that nothing was done: the request is said again at a slower pace, for at most
    `storm` seconds. Nothing else is said twice.
    Raises the errors of `errors` and `scale_errors` and nothing else.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        pace: Pace | None = None,
        timeout: tuple[float, float] = (5.0, 60.0),
        patience: float = 60.0,
        storm: float = 60.0,
        threads: int = 32,
    ) -> None:
        remember(key, keep=True)
        basic = b64encode(f"{key}:".encode()).decode()
        headers: dict[str, str | Secret] = {"Authorization": Secret(f"Basic {basic}")}
        self._pace, self._storm = pace or Pace(0), storm
        self._http = Http(NAME, url, headers=headers, timeout=timeout, patience=patience, threads=threads)

    def __repr__(self) -> str:
        return f"ScaleClient({self.base_url!r})"

    @property
    def base_url(self) -> str:
        return self._http.base_url

    def close(self) -> None:
        self._http.close()

    # Tasks

    def create_task(self, type: str, *, unique_id: str, **params: Any) -> Json:
        """Make a task of any type. It costs money: without a `unique_id` it is refused here, since after a lost answer
        nobody could tell whether it was made. One that is taken raises Duplicate."""
        operation = f"create the {type} task '{unique_id}'"
        if not unique_id:
            told = "a task without unique_id could be made and billed twice"
            raise PlatformRefused(NAME, f"create a task of type {type}", message=told, advice="Give it one.")
        return self._json(operation, "POST", f"/task/{_segment(type)}", {**params, "unique_id": unique_id})

    def fetch_task(self, task: str) -> Json:
        return self._json(f"fetch task {task}", "GET", f"/task/{_segment(task)}")

    def tasks(self, **filters: Any) -> Page:
        """One page of tasks, the newest first; `next_token=` takes the earlier page's `next`. Times are UTC when they
        name no zone. An unknown filter is refused here, as Scale's own client does it."""
        operation = "list tasks"
        params = self._params(operation, filters, TASK_FILTERS)
        return _page(operation, self._json(operation, "GET", "/tasks", params=params), filters.get("next_token"))

    def all_tasks(self, **filters: Any) -> Iterator[Json]:
        """Every task that the filters leave, page after page."""
        token: str | None = None
        while True:
            page = self.tasks(limit=MOST, **filters, **({"next_token": token} if token else {}))
            yield from page.docs
            token = page.next
            if token is None:
                return

    def cancel_task(self, task: str, *, clear_unique_id: bool = False) -> Json:
        """Cancel a task that nobody has begun. One that is cancelled already is answered as it is (without its
        unique_id, if that was to be cleared); a completed one raises InvalidRequest."""
        params = {"clear_unique_id": "true"} if clear_unique_id else None
        try:
            return self._json(f"cancel task {task}", "POST", f"/task/{_segment(task)}/cancel", params=params)
        except PlatformRefused as refused:
            if refused.status in (400, 409):
                found = self.fetch_task(task)
                if found.get("status") in ("canceled", "cancelled"):
                    held = clear_unique_id and found.get("unique_id") is not None
                    return self.clear_unique_id(task) if held else found
            raise

    def set_unique_id(self, task: str, unique_id: str) -> Json:
        body = {"unique_id": unique_id}
        return self._json(f"set the unique_id of task {task}", "POST", f"/task/{_segment(task)}/unique_id", body)

    def clear_unique_id(self, task: str) -> Json:
        """Free the task's unique_id, so that another task may bear it."""
        return self._json(f"clear the unique_id of task {task}", "DELETE", f"/task/{_segment(task)}/unique_id")

    def set_task_metadata(self, task: str, metadata: Mapping[str, Any]) -> Json:
        """In place of what was there."""
        path = f"/task/{_segment(task)}/setMetadata"
        return self._json(f"set the metadata of task {task}", "POST", path, dict(metadata))

    def set_tags(self, task: str, tags: Sequence[str]) -> Json:
        return self._json(f"set the tags of task {task}", "POST", f"/task/{_segment(task)}/tags", list(tags))

    def add_tags(self, task: str, tags: Sequence[str]) -> Json:
        return self._json(f"add tags to task {task}", "PUT", f"/task/{_segment(task)}/tags", list(tags))

    def remove_tags(self, task: str, tags: Sequence[str]) -> Json:
        return self._json(f"take tags off task {task}", "DELETE", f"/task/{_segment(task)}/tags", list(tags))

    def audit_task(self, task: str, *, accepted: bool, comments: str | None = None) -> None:
        """Say as the customer whether the work is accepted."""
        body: Json = {"accepted": accepted} | ({"comments": comments} if comments is not None else {})
        self._call(f"audit task {task}", "POST", f"/task/{_segment(task)}/audit", json=body, expect="nothing")

    # Batches

    def create_batch(
        self,
        name: str,
        project: str,
        *,
        callback: str = "",
        metadata: Mapping[str, Any] | None = None,
        calibration_batch: bool = False,
        self_label_batch: bool = False,
    ) -> Json:
        """A name that is taken raises Duplicate: names are unique in an account."""
        body: Json = {
            "project": project,
            "name": name,
            "calibration_batch": calibration_batch,
            "self_label_batch": self_label_batch,
            "metadata": dict(metadata or {}),
        }
        if callback:
            body["callback"] = callback
        return self._json(f"create batch '{name}'", "POST", "/batches", body)

    def finalize_batch(self, name: str) -> Json:
        """Let its tasks be worked on. Said twice, and where no batch needs it, it does nothing."""
        path = f"/batches/{_segment(name)}/finalize"
        answer = self._call(f"finalize batch '{name}'", "POST", path)
        return answer if isinstance(answer, dict) else {}  # nobody needs more of it than that it came

    def batch_status(self, name: str) -> Json:
        """Counts of its tasks by status; those that are zero are left out."""
        return self._json(f"read the status of batch '{name}'", "GET", f"/batches/{_segment(name)}/status")

    def get_batch(self, name: str) -> Json:
        return self._json(f"read batch '{name}'", "GET", f"/batches/{_segment(name)}")

    def list_batches(self, **filters: Any) -> Page:
        """One page of batches. They are paged by offset: there is no next_token."""
        operation = "list batches"
        params = self._params(operation, filters, BATCH_FILTERS)
        answer = Fields(NAME, operation, self._json(operation, "GET", "/batches", params=params))
        docs = [one.json for one in answer.each("docs")]
        total = answer.whole("totalDocs") if answer.has("totalDocs") else None
        after = int(filters.get("offset") or 0) + len(docs)
        told = answer.json.get("has_more")
        more = told if isinstance(told, bool) else total is not None and after < total
        return Page(docs, total, str(after) if more and docs else None)

    def all_batches(self, **filters: Any) -> Iterator[Json]:
        """Every batch that the filters leave, to the end."""
        offset: str | None = "0"
        while offset is not None:
            page = self.list_batches(limit=MOST, offset=int(offset), **filters)
            yield from page.docs
            offset = page.next

    def set_batch_metadata(self, name: str, metadata: Mapping[str, Any]) -> Json:
        """In place of what was there."""
        path = f"/batches/{_segment(name)}/setMetadata"
        return self._json(f"set the metadata of batch '{name}'", "POST", path, dict(metadata))

    # Projects

    def create_project(
        self,
        name: str,
        type: str,
        params: Mapping[str, Any] | None = None,
        *,
        rapid: bool = False,
        studio: bool = False,
        dataset: str | None = None,
    ) -> Json:
        """A name that is taken raises Duplicate."""
        body: Json = {"type": type, "name": name, "params": dict(params or {}), "rapid": rapid, "studio": studio}
        if dataset is not None:
            body["datasetId"] = dataset
        return self._json(f"create project '{name}'", "POST", "/projects", body)

    def get_project(self, name: str) -> Json:
        return self._json(f"read project '{name}'", "GET", f"/projects/{_segment(name)}")

    def projects(self, *, archived: bool | None = None) -> list[Json]:
        """All of them: the list has no pages."""
        operation = "list projects"
        params = None if archived is None else {"archived": str(archived).lower()}
        answer = self._call(operation, "GET", "/projects", params=params)
        return [one.json for one in Fields(NAME, operation, {"projects": answer}).each("projects")]

    def update_project(self, name: str, *, patch: bool = True, **params: Any) -> Json:
        """A new version of its parameters. Without `patch` all that are not named here are dropped."""
        path = f"/projects/{_segment(name)}/setParams"
        return self._json(f"update project '{name}'", "POST", path, {"patch": patch, **params})

    # Files

    def upload_file(self, file: bytes, name: str, *, media_type: str, **fields: str) -> Json:
        """Put a file into Scale's own store; answers `id` and `attachment_url`. `reference_id` makes it safe to say
        again: one that is taken raises Duplicate. Fields: project_name, display_name, reference_id, metadata."""
        plain = quote(name.rpartition("/")[2], safe=" ()[]{}!#$&'*+,;=@^~")
        form = Form(fields, [FormFile(plain, lambda: BytesIO(file), len(file), media_type=media_type)])
        return self._json(f"upload '{name}'", "POST", "/files/upload", body=form)

    def import_file(self, url: Secret, **fields: str) -> Json:
        """Let Scale copy a file from an address; answers `id` and `attachment_url`."""
        return self._json("import a file", "POST", "/files/import", {"file_url": url.value, **fields})

    # How it is asked

    def _json(
        self,
        operation: str,
        method: str,
        path: str,
        json: Any = None,
        *,
        params: Mapping[str, Any] | None = None,
        body: Form | None = None,
    ) -> Json:
        return Fields(NAME, operation, self._call(operation, method, path, json=json, params=params, body=body)).json

    def _call(self, operation: str, method: str, path: str, **more: Any) -> Any:
        ends = time.monotonic() + self._storm
        while True:
            self._pace.wait()
            failure = None
            try:
                answer = self._http.call(operation, method, path, **more)
            except PlatformError as error:
                failure = told_apart(error)
            if failure is None:
                self._pace.answered()
                return answer
            if not isinstance(failure, TooManyRequests):
                raise failure
            self._pace.refused()
            if failure.retry_after is not None or time.monotonic() >= ends:
                raise failure
            _log.info("Scale answers 429: %s again, at %.1f requests a second", operation, self._pace.rate)

    def _params(self, operation: str, filters: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
        unknown = sorted(set(filters) - known)
        if unknown:
            told = f"there is no filter {', '.join(unknown)}"
            raise PlatformRefused(NAME, operation, message=told, advice=f"Known: {', '.join(sorted(known))}.")
        limit = filters.get("limit")
        if limit is not None and not 1 <= limit <= MOST:
            raise PlatformRefused(NAME, operation, message=f"limit is {limit}", advice=f"Scale takes 1 to {MOST}.")
        return {name: _filter(name, value) for name, value in filters.items() if value is not None}


def utc(moment: datetime) -> str:
    """As Scale's own client is told to write it: in UTC, and without saying so. 2021-04-25T07:38:32.368"""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")


def _page(operation: str, json: Json, asked: object) -> Page:
    answer = Fields(NAME, operation, json)
    docs = [one.json for one in answer.each("docs")]
    token = answer.json.get("next_token") or None
    more = answer.json.get("has_more")
    if more is True and token is None:
        answer.refuse("next_token", "is missing, though there is more")
    last = more is False or (not docs and more is not True)  # whatever token it bears
    if not last and token is not None and token == asked:
        answer.refuse("next_token", "is that of the page just read: it would be read for ever")
    total = answer.whole("total") if answer.has("total") else None
    return Page(docs, total, None if last or token is None else str(token))


def _filter(name: str, value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return utc(value)
    if isinstance(value, list | tuple | set | frozenset):
        texts = [str(one) for one in value]
        return ",".join(texts) if name in _JOINED else texts
    return value


def _segment(name: str) -> str:
    return quote(name, safe="")
