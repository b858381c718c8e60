"""Downloads CVAT's own dataset exports, from old and new servers.

CVAT 2.15: GET with `format` returns 202 until the file exists, then 201; the same with `action=download` returns it.
Newer servers: POST .../dataset/export creates a request, which is polled until it has the file's URL. A server returns
404 or 405 to the interface that it does not have. A file can be downloaded once, and a failure is reported once.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import BinaryIO, Literal, NoReturn
from urllib.parse import parse_qsl, quote

from labelwright.platforms.errors import NotFound, PlatformError, PlatformRefused, PlatformUnavailable

from .client import NAME, Client, json_of, path_of

Exportable = Literal["tasks", "projects", "jobs"]
TRIES = 3
"""How often an export is started again after its request expired or somebody else downloaded the file."""

_NO_SUCH_CALL = (404, 405, 410)
"""Status codes for an interface that the server does not have. A disabled format gets a 405 too."""

_GONE = ("not finished", "unknown export request")
"""Parts of messages about a file that no longer exists, or does not exist yet."""

_ADVICE = "A malformed shape can block every export: look for one with the task 'find malformed shapes'."


@dataclass
class Export:
    """One export of a task, a project or a job. `deadline` is in seconds, for all of it."""

    client: Client
    kind: Exportable
    id: int
    format: str
    images: bool = False
    deadline: float = 3600
    pause: float = 0.1
    operation: str = field(init=False)

    def __post_init__(self) -> None:
        self.operation = f"export {self.kind[:-1]} {self.id} as {self.format}"
        self._ends = time.monotonic() + self.deadline

    def into(self, file: BinaryIO) -> None:
        """Starts the export, waits for it and writes the zip to the file.

        Raises PlatformRefused with the server's message when the export fails, PlatformUnavailable at the deadline and
        when the download was interrupted: the file's content is incomplete then.
        """
        interfaces = (self._by_request, self._by_polling)
        first, second = interfaces if self.client.likely_has_requests else reversed(interfaces)
        try:
            return first(file)
        except PlatformRefused as refused:
            if refused.status not in _NO_SUCH_CALL:
                raise
            first_error = refused
        try:
            return second(file)
        except PlatformRefused as refused:
            # Neither interface found it: so the task or the format does not exist, as the first error says.
            raise (first_error if refused.status in _NO_SUCH_CALL else refused) from None

    # CVAT 2.15

    def _by_polling(self, file: BinaryIO) -> None:
        path = f"/api/{self.kind}/{self.id}/{'dataset' if self.images else 'annotations'}"
        params = {"format": self.format}
        failures = 0
        while True:
            try:
                response = self.client.request(self.operation, "GET", path, params=params, expect="nothing")
            except PlatformUnavailable as error:
                # A failed export is reported once, as 500 with the exception's message; the next request restarts it.
                if error.status != 500:
                    raise
                failures += 1
                if failures == 2:
                    self._failed(error)
                self._wait(file)
                continue
            if response.status == 201 and self._download(path, {**params, "action": "download"}, file):
                return
            self._wait(file)

    def _download(self, path: str, params: dict[str, str | int], file: BinaryIO) -> bool:
        """Returns whether the file was there: not when somebody else downloaded it, it expired or was restarted."""
        file.seek(0)
        file.truncate()
        try:
            response = self.client.request(self.operation, "GET", path, params=params, sink=file.write)
        except PlatformRefused as refused:
            server_message = refused.message.lower()
            gone = refused.status == 400 and any(message in server_message for message in _GONE)
            if not gone and refused.status != 404:
                raise
            return False
        return response.status == 200

    # Newer servers

    def _by_request(self, file: BinaryIO) -> None:
        for _ in range(TRIES):
            request = self._begin(file)
            address = self._wait_for(request, file) if request else None
            if address is not None:
                path, query = path_of(self.operation, address)
                if self._download(path, dict(parse_qsl(query)), file):
                    return
        message = f"the file was gone {TRIES} times before it could be downloaded"
        raise PlatformUnavailable(NAME, self.operation, message=message, advice="Is somebody else exporting the same?")

    def _begin(self, file: BinaryIO) -> str | None:
        params = {"format": self.format, "save_images": "true" if self.images else "false"}
        path = f"/api/{self.kind}/{self.id}/dataset/export"
        try:
            response = json_of(self.operation, self.client.request(self.operation, "POST", path, params=params))
        except PlatformRefused as refused:
            if refused.status != 409:
                raise
            response = None  # the same export is running, or done and not downloaded
        if response is not None and response.has("rq_id"):
            return response.id("rq_id")
        existing = self._find()
        if existing is None:
            self._wait(file)
        return existing

    def _find(self) -> str | None:
        """The id of an existing request for the same export."""
        kind = "dataset" if self.images else "annotations"
        for request in self.client.all(
            self.operation, "/api/requests", {f"{self.kind[:-1]}_id": self.id, "action": "export"}
        ):
            operation = request.inner("operation")
            target = operation.json.get("target", self.kind[:-1])  # a task's export names its project, too
            own_export = target == self.kind[:-1] and operation.json.get(f"{target}_id") == self.id
            if own_export and operation.json.get("format") == self.format and kind in str(operation.json.get("type")):
                return request.id("id")
        return None

    def _wait_for(self, request: str, file: BinaryIO) -> str | None:
        """Returns the file's URL. None: the request expired."""
        while True:
            try:
                response = self.client.call(self.operation, "GET", f"/api/requests/{quote(request, safe='')}")
            except NotFound:
                return None
            status = response.text("status").lower()
            if status == "finished" and not response.has("result_url"):
                message = "the export went to a cloud storage, as the server's target storage setting says"
                advice = "Take the file from there, or set the target storage to local on CVAT's page."
                raise PlatformRefused(NAME, self.operation, status=200, message=message, advice=advice)
            if status == "finished":
                return response.text("result_url")
            if status not in ("queued", "started", "deferred", "scheduled"):
                message = response.text("message").strip() if response.has("message") else status
                raise PlatformRefused(NAME, self.operation, status=200, message=message[-500:], advice=_ADVICE)
            self._wait(file)

    def _failed(self, error: PlatformError) -> NoReturn:
        raise PlatformRefused(NAME, self.operation, status=500, message=error.message, advice=_ADVICE) from None

    def _wait(self, file: BinaryIO) -> None:
        file.seek(0)
        file.truncate()
        if time.monotonic() + self.pause > self._ends:
            message, advice = f"it was not ready within {self.deadline:g} seconds", "Try again: it may be ready then."
            raise PlatformUnavailable(NAME, self.operation, message=message, advice=advice)
        time.sleep(self.pause)
        self.pause = min(self.pause * 1.5, 10)
