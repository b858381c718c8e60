"""Images into a task of CVAT: small ones several a request, large ones by TUS in parts.

Field names are `client_files[0]`, `client_files[1]`, ...: plain ones are answered 202 and nothing is stored. TUS needs
the trailing slash and an `Origin`; its `Location` names the host as the server knows it, so only its last part is used.
"""

from __future__ import annotations

import re
import time
from base64 import b64encode
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
"""Bytes of a file's part by TUS: servers read it as one body, of which they take 100 MB."""
_STUBBORN = 3
"""How often a part is tried that makes no headway."""


@dataclass(frozen=True, slots=True)
class File:
    """A file on its way; `name` is flat."""

    name: str
    bytes: int
    open: Callable[[], BinaryIO] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Uploads:
    """How images are sent. A request holds at most about `request_bytes`; larger files go by TUS in parts of that, or
    of `LARGEST_PART`."""

    image_quality: int = 70
    sorting: str = "lexicographical"
    use_cache: bool = True
    request_bytes: int = 32 << 20


def upload(client: Client, task: int, files: Sequence[File], how: Uploads) -> str | None:
    """Send all files of a task, and have the import begin. Answers the id of the import's request, where there is one.

    Raises PlatformRefused when two files bear one name (CVAT answers 500 to that) and when the server stored others
    than were sent. A file on which an upload broke off makes the task unfit: it has to be made anew.
    """
    operation, path = f"take images into task {task}", f"/api/tasks/{task}/data/"
    _refuse_twins(operation, [file.name for file in files])
    quality = {"image_quality": how.image_quality}
    _while_busy(
        lambda: client.ask(operation, "POST", path, json=quality, headers={"Upload-Start": ""}, wanted="nothing")
    )
    for some in _requests(files, how.request_bytes):
        if some[0].bytes > how.request_bytes:
            _send_by_tus(client, operation, path, some[0], min(how.request_bytes, LARGEST_PART))
        else:
            _send_together(client, operation, path, some, how.image_quality)
    told = {**quality, "sorting_method": how.sorting, "use_cache": how.use_cache}
    if how.sorting == "predefined":
        told["upload_file_order"] = [file.name for file in files]
    answer = json_of(
        operation, _while_busy(lambda: client.ask(operation, "POST", path, json=told, headers={"Upload-Finish": ""}))
    )
    if answer is None:
        return None
    if isinstance(answer.json.get("client_files"), list):
        stored = {str(name) for name in answer.list("client_files")}
        _refuse_others(operation, {file.name for file in files}, stored)
    return answer.id("rq_id") if answer.has("rq_id") else None


def _refuse_twins(operation: str, names: Sequence[str]) -> None:
    seen: set[str] = set()
    twins = sorted({name for name in names if name in seen or seen.add(name)})  # type: ignore[func-returns-value]
    if twins:
        told = f"{', '.join(twins[:5])} would stand in the task twice"
        raise PlatformRefused(NAME, operation, message=told, advice="Names are unique in a task.")


def _refuse_others(operation: str, sent: set[str], stored: set[str]) -> None:
    if sent != stored:
        told = f"it stored {len(sent & stored)} of {len(sent)} images, and {len(stored - sent)} others"
        raise PlatformRefused(
            NAME, operation, status=202, message=told, advice="Send the batch again: the task is made anew."
        )


def _requests(files: Sequence[File], most: int) -> Iterator[list[File]]:
    """Files that fit into one request together; one that is too large for any stands alone."""
    some: list[File] = []
    size = 0
    for file in files:
        if some and (size + file.bytes > most or len(some) == FILES_A_REQUEST):
            yield some
            some, size = [], 0
        some.append(file)
        size += file.bytes
    if some:
        yield some


def _send_together(client: Client, operation: str, path: str, files: Sequence[File], quality: int) -> None:
    fields: list[tuple[str, str | tuple[str, bytes, str]]] = [("image_quality", str(quality))]
    for number, file in enumerate(files):
        with closing(file.open()) as content:
            kind = guess_type(file.name)[0] or "application/octet-stream"
            fields.append((f"client_files[{number}]", (file.name, content.read(), kind)))
    body, form = encode_multipart_formdata(fields)
    headers = {"Upload-Multiple": "", "Content-Type": form}
    _while_busy(lambda: client.ask(operation, "POST", path, body=body, headers=headers, wanted="nothing"))


def _while_busy(ask: Callable[[], Response]) -> Response:
    """Repeat a request that is answered 429 or 503, which say that the server did nothing.

    Of one whose connection was cut nobody knows which files arrived, and in which state: then the task is made anew.
    """
    for pause in batches.PAUSES:
        try:
            return ask()
        except PlatformUnavailable as error:
            wait = max(pause, error.retry_after or 0.0)
            if error.status not in (429, 503) or wait > batches.LONGEST_WAIT:
                raise
        time.sleep(wait)
    return ask()


def _send_by_tus(client: Client, operation: str, path: str, file: File, part: int) -> None:
    """A part whose answer was lost is not sent again blindly: the server is asked how far it is."""
    name = b64encode(file.name.encode()).decode()
    headers = {
        "Upload-Length": str(file.bytes),
        "Upload-Metadata": f"filename {name}",
        "Tus-Resumable": "1.0.0",
        "Origin": client.origin,
    }
    begun = _while_busy(lambda: client.ask(operation, "POST", path, headers=headers, wanted="nothing"))
    place = re.search(r"([^/]+)$", begun.headers.get("Location", ""))
    if place is None:
        raise PlatformRefused(
            NAME, operation, status=begun.status, message="it did not say where the parts of a file go"
        )
    target = f"{path}{place[1]}"
    with closing(file.open()) as content:
        offset = without_headway = 0
        while offset < file.bytes:
            content.seek(offset)
            data = content.read(part)
            try:
                reached = _send_part(client, operation, target, offset, data)
            except (PlatformUnavailable, PlatformRefused) as error:
                if isinstance(error, PlatformRefused) and error.status != 409:
                    raise
                reached = _how_far(client, operation, target, file.bytes if offset + len(data) == file.bytes else None)
                without_headway = without_headway + 1 if reached <= offset else 0
                if without_headway >= _STUBBORN:
                    raise
            if not 0 <= reached <= file.bytes:
                raise PlatformRefused(NAME, operation, message=f"it says that it holds {reached} of {file.bytes} bytes")
            offset = reached


def _send_part(client: Client, operation: str, target: str, offset: int, data: bytes) -> int:
    headers = {
        "Upload-Offset": str(offset),
        "Content-Type": "application/offset+octet-stream",
        "Tus-Resumable": "1.0.0",
        "Origin": client.origin,
    }
    reply = client.ask(operation, "PATCH", target, body=data, headers=headers, wanted="nothing")
    told = reply.headers.get("Upload-Offset", "")
    return int(told) if told.isdecimal() else offset + len(data)


def _how_far(client: Client, operation: str, target: str, whole: int | None) -> int:
    """How much of a file the server holds. `whole`: when the last part was sent, since a file that is complete is
    answered 404 by old servers and 500 by new ones (their source). If it is not, the import fails and says so."""
    try:
        reply = client.ask(operation, "HEAD", target, headers={"Tus-Resumable": "1.0.0"}, wanted="nothing")
    except (NotFound, PlatformUnavailable) as error:
        if whole is None or error.status not in (404, 500):
            raise
        return whole
    told = reply.headers.get("Upload-Offset", "")
    return int(told) if told.isdecimal() else 0
