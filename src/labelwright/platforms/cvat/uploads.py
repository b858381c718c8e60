"""Uploads images into a CVAT task: small files several per request, large ones with TUS in parts.

Field names are `client_files[0]`, `client_files[1]`, ...: other names get a 202 and nothing is stored. TUS needs the
trailing slash and an `Origin`; its `Location` contains the host as the server knows it, so only the last segment is
used.
"""

from __future__ import annotations

import time
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from mimetypes import guess_type
from typing import BinaryIO

from urllib3.filepost import encode_multipart_formdata

from labelwright.platforms import batches
from labelwright.platforms.errors import NotFound, PlatformRefused, PlatformUnavailable
from labelwright.platforms.http.messages import Response

from .client import NAME, Client, json_of

FILES_A_REQUEST = 100
LARGEST_PART = 64 << 20
"""Bytes of one TUS part: servers read it as one body, of which they accept 100 MB."""
_MAX_STALLED_PARTS = 3
"""How often in a row a part may fail without the server's offset moving."""
_TUS_VERSION = {"Tus-Resumable": "1.0.0"}


@dataclass(frozen=True, slots=True)
class File:
    """A file to upload; `name` contains no folders."""

    name: str
    bytes: int
    open: Callable[[], BinaryIO] = field(repr=False)


@dataclass(frozen=True, slots=True)
class UploadOptions:
    """How images are sent and imported.

    A request holds about `request_bytes` at most; larger files go by TUS in parts of that size, or of `LARGEST_PART`.
    """

    image_quality: int = 70
    sorting: str = "lexicographical"
    use_cache: bool = True
    request_bytes: int = 32 << 20


def upload(client: Client, task: int, files: Sequence[File], options: UploadOptions) -> str | None:
    """Sends all files of a task and starts the import. Returns the id of the import request, where there is one.

    Raises PlatformRefused for duplicate file names (CVAT answers 500 to them) and when the server stored other files
    than were sent. A task whose upload was interrupted cannot be used any more: create a new one.
    """
    operation, path = f"take images into task {task}", f"/api/tasks/{task}/data/"
    _refuse_duplicates(operation, [file.name for file in files])
    quality = {"image_quality": options.image_quality}
    _retry_while_busy(
        lambda: client.request(operation, "POST", path, json=quality, headers={"Upload-Start": ""}, expect="nothing")
    )
    for batch in _requests(files, options.request_bytes):
        if batch[0].bytes > options.request_bytes:
            _TusUpload(client, operation, path, batch[0]).send(min(options.request_bytes, LARGEST_PART))
        else:
            _send_together(client, operation, path, batch, options.image_quality)
    payload = {**quality, "sorting_method": options.sorting, "use_cache": options.use_cache}
    if options.sorting == "predefined":
        payload["upload_file_order"] = [file.name for file in files]
    response = json_of(
        operation,
        _retry_while_busy(
            lambda: client.request(operation, "POST", path, json=payload, headers={"Upload-Finish": ""}),
        ),
    )
    if response is None:
        return None
    if isinstance(response.json.get("client_files"), list):
        stored = {str(name) for name in response.list("client_files")}
        _refuse_other_files(operation, {file.name for file in files}, stored)
    return response.id("rq_id") if response.has("rq_id") else None


def _refuse_duplicates(operation: str, names: Sequence[str]) -> None:
    duplicates = sorted(name for name, count in Counter(names).items() if count > 1)
    if duplicates:
        message = f"duplicate image names in one task: {', '.join(duplicates[:5])}"
        raise PlatformRefused(NAME, operation, message=message, advice="Names must be unique in a task.")


def _refuse_other_files(operation: str, sent: set[str], stored: set[str]) -> None:
    if sent != stored:
        message = f"it stored {len(sent & stored)} of {len(sent)} images, and {len(stored - sent)} others"
        raise PlatformRefused(
            NAME, operation, status=202, message=message, advice="Send the batch again: a new task is created for it."
        )


def _requests(files: Sequence[File], max_bytes: int) -> Iterator[list[File]]:
    """Groups files that fit into one request. A file that is too large for any request is a group of its own."""
    batch: list[File] = []
    size = 0
    for file in files:
        if batch and (size + file.bytes > max_bytes or len(batch) == FILES_A_REQUEST):
            yield batch
            batch, size = [], 0
        batch.append(file)
        size += file.bytes
    if batch:
        yield batch


def _send_together(client: Client, operation: str, path: str, files: Sequence[File], quality: int) -> None:
    fields: list[tuple[str, str | tuple[str, bytes, str]]] = [("image_quality", str(quality))]
    for number, file in enumerate(files):
        with closing(file.open()) as content:
            media_type = guess_type(file.name)[0] or "application/octet-stream"
            fields.append((f"client_files[{number}]", (file.name, content.read(), media_type)))
    body, content_type = encode_multipart_formdata(fields)
    headers = {"Upload-Multiple": "", "Content-Type": content_type}
    _retry_while_busy(lambda: client.request(operation, "POST", path, body=body, headers=headers, expect="nothing"))


def _retry_while_busy(send: Callable[[], Response]) -> Response:
    """Repeats a request that gets 429 or 503: with these the server did nothing.

    After a cut connection nobody knows which files arrived, so that error is raised and a new task is created.
    """
    for pause in batches.PAUSES:
        try:
            return send()
        except PlatformUnavailable as error:
            wait = max(pause, error.retry_after or 0.0)
            if error.status not in (429, 503) or wait > batches.LONGEST_WAIT:
                raise
        time.sleep(wait)
    return send()


class _TusUpload:
    """One file, sent in parts with TUS."""

    def __init__(self, client: Client, operation: str, path: str, file: File) -> None:
        self._client, self._operation, self._path, self._file = client, operation, path, file

    def send(self, part_bytes: int) -> None:
        """Sends the file from its start. Raises PlatformUnavailable or PlatformRefused."""
        target = self._create()
        offset = stalled = 0
        with closing(self._file.open()) as content:
            while offset < self._file.bytes:
                content.seek(offset)
                part = content.read(part_bytes)
                try:
                    stored = self._send_part(target, offset, part)
                except (PlatformUnavailable, PlatformRefused) as error:
                    if isinstance(error, PlatformRefused) and error.status != 409:
                        raise
                    # The response is lost, or the offsets differ: the server's own offset decides what to send next.
                    stored = self._stored_bytes(target, complete=offset + len(part) == self._file.bytes)
                    stalled = stalled + 1 if stored <= offset else 0
                    if stalled >= _MAX_STALLED_PARTS:
                        raise
                offset = self._checked(stored)

    def _create(self) -> str:
        """Announces the file and returns the path for its parts."""
        name = b64encode(self._file.name.encode()).decode()
        headers = {
            "Upload-Length": str(self._file.bytes),
            "Upload-Metadata": f"filename {name}",
            "Origin": self._client.origin,
            **_TUS_VERSION,
        }
        response = _retry_while_busy(
            lambda: self._client.request(self._operation, "POST", self._path, headers=headers, expect="nothing")
        )
        segment = response.headers.get("Location", "").rpartition("/")[2]
        if not segment:
            message = "its response has no Location for the parts of a file"
            raise PlatformRefused(NAME, self._operation, status=response.status, message=message)
        return f"{self._path}{segment}"

    def _send_part(self, target: str, offset: int, part: bytes) -> int:
        """Sends the bytes from `offset` on and returns the next offset."""
        headers = {
            "Upload-Offset": str(offset),
            "Content-Type": "application/offset+octet-stream",
            "Origin": self._client.origin,
            **_TUS_VERSION,
        }
        response = self._client.request(self._operation, "PATCH", target, body=part, headers=headers, expect="nothing")
        return _upload_offset(response, default=offset + len(part))

    def _stored_bytes(self, target: str, *, complete: bool) -> int:
        """Returns how many bytes of the file the server holds.

        `complete`: the last part was sent. The server then no longer knows the upload (old servers answer 404, new
        ones 500, by their source), which counts as all bytes; if it is not, the import fails with a message.
        """
        try:
            response = self._client.request(self._operation, "HEAD", target, headers=_TUS_VERSION, expect="nothing")
        except (NotFound, PlatformUnavailable) as error:
            if complete and error.status in (404, 500):
                return self._file.bytes
            raise
        return _upload_offset(response, default=0)

    def _checked(self, stored: int) -> int:
        if not 0 <= stored <= self._file.bytes:
            message = f"the server reports {stored} of {self._file.bytes} bytes"
            raise PlatformRefused(NAME, self._operation, message=message)
        return stored


def _upload_offset(response: Response, *, default: int) -> int:
    value = response.headers.get("Upload-Offset", "")
    return int(value) if value.isdecimal() else default
