"""The server's own exports, in both dialects. A file can be fetched once; a failure is told once.

2.15: GET with `format` answers 202 until the file is there, then 201, then the same with `action=download` gives it.
Newer: POST .../dataset/export gives a request, which is polled and gives the address of the file. Which one a server
speaks, it says itself: the other one is answered 404 or 405.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import BinaryIO, Literal, NoReturn
from urllib.parse import parse_qsl, quote

from labelwright.platforms.errors import NotFound, PlatformError, PlatformRefused, PlatformUnavailable

from .client import NAME, Client, json_of, path_of

What = Literal["tasks", "projects", "jobs"]
TRIES = 3
"""How often an export is begun anew: its file was fetched by somebody else, or its request expired."""

_OTHER_DIALECT = (404, 405, 410)
"""How a way to export is answered that the server does not have; a format that it switched off is a 405, too."""

_GONE = ("not finished", "unknown export request")
"""What a server says of a file that is not there any more, or again not yet."""

_ADVICE = "A malformed shape can block every export: look for one with the task 'find malformed shapes'."


@dataclass
class Export:
    """One export of a task, a project or a job. `deadline` is in seconds, for all of it."""

    client: Client
    what: What
    id: int
    format: str
    images: bool = False
    deadline: float = 3600
    pause: float = 0.1
    operation: str = field(init=False)

    def __post_init__(self) -> None:
        self.operation = f"export {self.what[:-1]} {self.id} as {self.format}"
        self._ends = time.monotonic() + self.deadline

    def into(self, file: BinaryIO) -> None:
        """Have it made, and write the zip to the file.

        Raises PlatformRefused with the server's words when it cannot be made, PlatformUnavailable at the deadline and
        when the download broke off (what is in the file then is no export: begin again, with a file that is empty).
        """
        ways = (self._by_request, self._by_polling)
        first, second = ways if self.client.likely_has_requests else reversed(ways)
        try:
            return first(file)
        except PlatformRefused as refused:
            if refused.status not in _OTHER_DIALECT:
                raise
            told = refused
        try:
            return second(file)
        except PlatformRefused as refused:
            # Neither way is there: it was the thing, or its format, that is not, as the way of its dialect says.
            raise (told if refused.status in _OTHER_DIALECT else refused) from None

    # 2.15

    def _by_polling(self, file: BinaryIO) -> None:
        path = f"/api/{self.what}/{self.id}/{'dataset' if self.images else 'annotations'}"
        failures = 0
        while True:
            try:
                reply = self.client.ask(self.operation, "GET", path, params={"format": self.format}, wanted="nothing")
            except PlatformUnavailable as error:
                # A failed export is told once, as 500 with the exception's words; asked again it begins anew.
                if error.status != 500:
                    raise
                failures += 1
                if failures == 2:
                    self._failed(error)
                self._wait(file)
                continue
            if reply.status == 201 and self._fetched(path, {"format": self.format, "action": "download"}, file):
                return
            self._wait(file)

    def _fetched(self, path: str, params: dict[str, str | int], file: BinaryIO) -> bool:
        """Whether the file was there. It is not when somebody else fetched it, when it expired, and when the same was
        asked for again meanwhile."""
        file.seek(0)
        file.truncate()
        try:
            reply = self.client.ask(self.operation, "GET", path, params=params, sink=file.write)
        except PlatformRefused as refused:
            told = refused.message.lower()
            gone = refused.status == 404 or (refused.status == 400 and any(message in told for message in _GONE))
            if not gone:
                raise
            return False
        return reply.status == 200

    # Newer

    def _by_request(self, file: BinaryIO) -> None:
        for _ in range(TRIES):
            request = self._begin(file)
            address = self._wait_for(request, file) if request else None
            if address is not None:
                path, query = path_of(self.operation, address)
                if self._fetched(path, dict(parse_qsl(query)), file):
                    return
        told = f"the file was gone {TRIES} times before it could be fetched"
        raise PlatformUnavailable(NAME, self.operation, message=told, advice="Is somebody else exporting the same?")

    def _begin(self, file: BinaryIO) -> str | None:
        params = {"format": self.format, "save_images": "true" if self.images else "false"}
        path = f"/api/{self.what}/{self.id}/dataset/export"
        try:
            answer = json_of(self.operation, self.client.ask(self.operation, "POST", path, params=params))
        except PlatformRefused as refused:
            if refused.status != 409:
                raise
            answer = None  # one of the same words is under way, or made and not fetched
        if answer is not None and answer.has("rq_id"):
            return answer.id("rq_id")
        found = self._find()
        if found is None:
            self._wait(file)
        return found

    def _find(self) -> str | None:
        """The request of an export of ours that is there already."""
        kind = "dataset" if self.images else "annotations"
        for one in self.client.all(
            self.operation, "/api/requests", {f"{self.what[:-1]}_id": self.id, "action": "export"}
        ):
            operation = one.inner("operation")
            target = operation.json.get("target", self.what[:-1])  # a task's export tells its project, too
            ours = target == self.what[:-1] and operation.json.get(f"{target}_id") == self.id
            if ours and operation.json.get("format") == self.format and kind in str(operation.json.get("type")):
                return one.id("id")
        return None

    def _wait_for(self, request: str, file: BinaryIO) -> str | None:
        """The file's address. None: the request expired."""
        while True:
            try:
                answer = self.client.call(self.operation, "GET", f"/api/requests/{quote(request, safe='')}")
            except NotFound:
                return None
            status = answer.text("status").lower()
            if status == "finished" and not answer.has("result_url"):
                told = "it was made and put into a cloud storage, where the server is set to put exports of it"
                advice = "Take the file from there, or set the target storage to local on CVAT's page."
                raise PlatformRefused(NAME, self.operation, status=200, message=told, advice=advice)
            if status == "finished":
                return answer.text("result_url")
            if status not in ("queued", "started", "deferred", "scheduled"):
                message = answer.text("message").strip() if answer.has("message") else status
                raise PlatformRefused(NAME, self.operation, status=200, message=message[-500:], advice=_ADVICE)
            self._wait(file)

    def _failed(self, error: PlatformError) -> NoReturn:
        raise PlatformRefused(NAME, self.operation, status=500, message=error.message, advice=_ADVICE) from None

    def _wait(self, file: BinaryIO) -> None:
        file.seek(0)
        file.truncate()
        if time.monotonic() + self.pause > self._ends:
            told = f"it was not made in {self.deadline:g} seconds"
            raise PlatformUnavailable(NAME, self.operation, message=told, advice="Try again: it may be made by then.")
        time.sleep(self.pause)
        self.pause = min(self.pause * 1.5, 10)
