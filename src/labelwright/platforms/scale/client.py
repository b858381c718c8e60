"""Client of Scale's REST API, version 1. Its methods return Scale's own JSON.

Sources: the README of Scale's Python SDK (projects, batches, tasks) and the API reference (files, unique ids, metadata,
tags, audits). Names in paths are percent-encoded completely, as in Scale's own client.
"""

from __future__ import annotations

import json as jsonlib
import logging
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from typing import Any
from urllib.parse import quote, urlsplit

from labelwright.platforms.errors import PlatformError, PlatformRefused, PlatformUnavailable
from labelwright.platforms.http.client import Http
from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.http.multipart import Form, FormFile
from labelwright.platforms.protocol import Secret
from labelwright.security.masking import remember

from .errors import TooManyRequests, classify
from .pace import Pace

_log = logging.getLogger(__name__)

NAME = "scale"
MOST = 100
"""Largest page: Scale accepts a limit from 1 to 100."""

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
"""Lists that are sent as one value with commas; other lists repeat the parameter."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing."""

    docs: list[Json]
    total: int | None
    """Number of items on all pages; None when the server does not report it."""
    next: str | None
    """The next page's token (tasks) or offset (batches); None on the last page."""


class ScaleClient:
    """The account of one key at `url` (https://api.scale.com/v1). Safe to share between threads.

    `timeout` is (connecting, waiting for the next bytes), `patience` the longest Retry-After that is waited out. A
    request that gets a 429 without Retry-After is repeated at a lower rate, for at most `storm` seconds, since Scale
    did nothing; no other request is repeated. Raises only the errors of `platforms.errors` and `scale.errors`.
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
        """Creates a task of any type, which costs money. Raises Duplicate when the `unique_id` is taken.

        `unique_id` must not be empty: without it nobody could find out after a lost response whether the task exists.
        """
        operation = f"create the {type} task '{unique_id}'"
        if not unique_id:
            message = "a task without unique_id could be created and billed twice"
            raise PlatformRefused(NAME, f"create a task of type {type}", message=message, advice="Set a unique_id.")
        return self._json(operation, "POST", f"/task/{_segment(type)}", {**params, "unique_id": unique_id})

    def fetch_task(self, task: str) -> Json:
        return self._json(f"fetch task {task}", "GET", f"/task/{_segment(task)}")

    def tasks(self, **filters: Any) -> Page:
        """Returns one page of tasks, the newest first; `next_token` is the `next` of the previous page.

        Times without a zone are UTC. Raises PlatformRefused for an unknown filter, as Scale's own client does.
        """
        operation = "list tasks"
        params = self._params(operation, filters, TASK_FILTERS)
        return _page(operation, self._json(operation, "GET", "/tasks", params=params), filters.get("next_token"))

    def all_tasks(self, **filters: Any) -> Iterator[Json]:
        """Yields every task that matches the filters, page by page."""
        token: str | None = None
        while True:
            page = self.tasks(limit=MOST, **filters, **({"next_token": token} if token else {}))
            yield from page.docs
            token = page.next
            if token is None:
                return

    def cancel_task(self, task: str, *, clear_unique_id: bool = False) -> Json:
        """Cancels a task that nobody has started. Idempotent. Raises InvalidRequest for a completed task."""
        params = {"clear_unique_id": "true"} if clear_unique_id else None
        try:
            return self._json(f"cancel task {task}", "POST", f"/task/{_segment(task)}/cancel", params=params)
        except PlatformRefused as refused:
            if refused.status in (400, 409):
                task_on_server = self.fetch_task(task)
                if task_on_server.get("status") in ("canceled", "cancelled"):
                    held = clear_unique_id and task_on_server.get("unique_id") is not None
                    return self.clear_unique_id(task) if held else task_on_server
            raise

    def set_unique_id(self, task: str, unique_id: str) -> Json:
        body = {"unique_id": unique_id}
        return self._json(f"set the unique_id of task {task}", "POST", f"/task/{_segment(task)}/unique_id", body)

    def clear_unique_id(self, task: str) -> Json:
        """Clears the task's unique_id, so that another task can use it."""
        return self._json(f"clear the unique_id of task {task}", "DELETE", f"/task/{_segment(task)}/unique_id")

    def set_task_metadata(self, task: str, metadata: Mapping[str, Any]) -> Json:
        """Replaces the metadata."""
        path = f"/task/{_segment(task)}/setMetadata"
        return self._json(f"set the metadata of task {task}", "POST", path, dict(metadata))

    def set_tags(self, task: str, tags: Sequence[str]) -> Json:
        return self._json(f"set the tags of task {task}", "POST", f"/task/{_segment(task)}/tags", list(tags))

    def add_tags(self, task: str, tags: Sequence[str]) -> Json:
        return self._json(f"add tags to task {task}", "PUT", f"/task/{_segment(task)}/tags", list(tags))

    def remove_tags(self, task: str, tags: Sequence[str]) -> Json:
        return self._json(f"take tags off task {task}", "DELETE", f"/task/{_segment(task)}/tags", list(tags))

    def audit_task(self, task: str, *, accepted: bool, comments: str | None = None) -> None:
        """Accepts or rejects a task's labels as the customer."""
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
        """Creates a batch. Raises Duplicate when the name is taken: names are unique in an account."""
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
        """Releases a batch's tasks for labeling. Idempotent; does nothing where batches need no release."""
        path = f"/batches/{_segment(name)}/finalize"
        payload = self._call(f"finalize batch '{name}'", "POST", path)
        return payload if isinstance(payload, dict) else {}

    def batch_status(self, name: str) -> Json:
        """Returns the counts of a batch's tasks by status. Counts that are zero are missing."""
        return self._json(f"read the status of batch '{name}'", "GET", f"/batches/{_segment(name)}/status")

    def get_batch(self, name: str) -> Json:
        return self._json(f"read batch '{name}'", "GET", f"/batches/{_segment(name)}")

    def list_batches(self, **filters: Any) -> Page:
        """Returns one page of batches. Batches are paged by offset, not by next_token."""
        operation = "list batches"
        params = self._params(operation, filters, BATCH_FILTERS)
        payload = Fields(NAME, operation, self._json(operation, "GET", "/batches", params=params))
        docs = [item.json for item in payload.each("docs")]
        total = payload.whole("totalDocs") if payload.has("totalDocs") else None
        after = int(filters.get("offset") or 0) + len(docs)
        has_more = payload.json.get("has_more")
        more = has_more if isinstance(has_more, bool) else total is not None and after < total
        return Page(docs, total, str(after) if more and docs else None)

    def all_batches(self, **filters: Any) -> Iterator[Json]:
        """Yields every batch that matches the filters."""
        offset: str | None = "0"
        while offset is not None:
            page = self.list_batches(limit=MOST, offset=int(offset), **filters)
            yield from page.docs
            offset = page.next

    def set_batch_metadata(self, name: str, metadata: Mapping[str, Any]) -> Json:
        """Replaces the metadata."""
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
        """Creates a project. Raises Duplicate when the name is taken."""
        body: Json = {"type": type, "name": name, "params": dict(params or {}), "rapid": rapid, "studio": studio}
        if dataset is not None:
            body["datasetId"] = dataset
        return self._json(f"create project '{name}'", "POST", "/projects", body)

    def get_project(self, name: str) -> Json:
        return self._json(f"read project '{name}'", "GET", f"/projects/{_segment(name)}")

    def projects(self, *, archived: bool | None = None) -> list[Json]:
        """Returns all projects: the list has no pages."""
        operation = "list projects"
        params = None if archived is None else {"archived": str(archived).lower()}
        payload = self._call(operation, "GET", "/projects", params=params)
        return [item.json for item in Fields(NAME, operation, {"projects": payload}).each("projects")]

    def update_project(self, name: str, *, patch: bool = True, **params: Any) -> Json:
        """Creates a new version of the project's parameters. Without `patch`, other parameters are dropped."""
        path = f"/projects/{_segment(name)}/setParams"
        return self._json(f"update project '{name}'", "POST", path, {"patch": patch, **params})

    # Files

    def upload_file(self, file: bytes, name: str, *, media_type: str, **fields: str) -> Json:
        """Uploads a file into Scale's own store. Returns `id` and `attachment_url`.

        Fields: project_name, display_name, reference_id, metadata. Raises Duplicate when the reference_id is taken,
        so a repeated upload is safe.
        """
        plain = quote(name.rpartition("/")[2], safe=" ()[]{}!#$&'*+,;=@^~")
        form = Form(fields, [FormFile(plain, lambda: BytesIO(file), len(file), media_type=media_type)])
        return self._json(f"upload '{name}'", "POST", "/files/upload", body=form)

    def import_file(self, url: Secret, **fields: str) -> Json:
        """Makes Scale copy a file from a URL. Returns `id` and `attachment_url`."""
        return self._json("import a file", "POST", "/files/import", {"file_url": url.value, **fields})

    # Helpers

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
                payload = self._http.call(operation, method, path, **more)
            except PlatformError as error:
                failure = classify(error)
            if failure is None:
                self._pace.succeeded()
                return payload
            if not isinstance(failure, TooManyRequests):
                raise failure
            self._pace.throttled()
            if failure.retry_after is not None or time.monotonic() >= ends:
                raise failure
            _log.info("Scale answers 429: %s again, at %.1f requests a second", operation, self._pace.rate)

    def _params(self, operation: str, filters: Mapping[str, Any], allowed: frozenset[str]) -> dict[str, Any]:
        unknown = sorted(set(filters) - allowed)
        if unknown:
            message = f"there is no filter {', '.join(unknown)}"
            raise PlatformRefused(NAME, operation, message=message, advice=f"Known: {', '.join(sorted(allowed))}.")
        limit = filters.get("limit")
        if limit is not None and not 1 <= limit <= MOST:
            raise PlatformRefused(NAME, operation, message=f"limit is {limit}", advice=f"Scale takes 1 to {MOST}.")
        return {name: _filter(name, value) for name, value in filters.items() if value is not None}


def fetch_json(url: str, timeout: tuple[float, float]) -> Any:
    """Returns the JSON at a URL from a response of Scale. Sends no key, since the URL may lead to another host."""
    operation, parts = "fetch annotations", urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise PlatformRefused(NAME, operation, status=200, message="the URL of the annotations is not http or https")
    path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    http = Http(NAME, f"{parts.scheme}://{parts.netloc}", timeout=timeout)
    try:
        body = http.call(operation, "GET", path, expect="bytes")
    finally:
        http.close()
    try:
        return jsonlib.loads(body)
    except (ValueError, RecursionError):
        pass
    raise PlatformUnavailable(NAME, operation, status=200, message="it is no valid JSON", advice="Try again.")


def utc(moment: datetime) -> str:
    """Formats a time in UTC without a zone, as in the docs of Scale's own client: 2021-04-25T07:38:32.368"""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")


def _page(operation: str, json: Json, token_sent: object) -> Page:
    payload = Fields(NAME, operation, json)
    docs = [item.json for item in payload.each("docs")]
    token = payload.json.get("next_token") or None
    more = payload.json.get("has_more")
    if more is True and token is None:
        payload.refuse("next_token", "is missing, though has_more is true")
    last = more is False or (not docs and more is not True)  # whatever token it bears
    if not last and token is not None and token == token_sent:
        payload.refuse("next_token", "is that of the page just read: reading would never end")
    total = payload.whole("total") if payload.has("total") else None
    return Page(docs, total, None if last or token is None else str(token))


def _filter(name: str, value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return utc(value)
    if isinstance(value, list | tuple | set | frozenset):
        texts = [str(item) for item in value]
        return ",".join(texts) if name in _JOINED else texts
    return value


def _segment(name: str) -> str:
    return quote(name, safe="")
