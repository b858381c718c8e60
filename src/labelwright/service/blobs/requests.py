"""Parses and checks requests to the blob store."""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote_to_bytes

from starlette.types import Scope

from labelwright.service.bodies import Body
from labelwright.service.config import BLOB

from .store import Blob, BlobRefused, Condition

_CONTAINER = re.compile(r"[a-z0-9](?:-?[a-z0-9])*")
# XML 1.0, in which names are listed, has no way to write these.
UNNAMABLE = re.compile("[\x00-\x1f\ud800-\udfff\ufffe\uffff]")
_METADATA = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass(frozen=True, slots=True)
class BlobRequest:
    """A parsed request."""

    method: str
    container: str
    blob: str | None
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Body

    @property
    def condition(self) -> Condition:
        return Condition(self.headers.get("if-match"), self.headers.get("if-none-match"))


@dataclass(frozen=True, slots=True)
class BlobResponse:
    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    stream: tuple[Blob, int, int] | None = None
    """A blob, the first byte and the number of bytes, instead of a body."""


def parse_request(scope: Scope, body: Body) -> BlobRequest:
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    path = path.split(b"?")[0].removeprefix(f"{BLOB}/".encode())
    container, _, blob = path.partition(b"/")
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        headers[name.decode("latin-1")] = value.decode("latin-1")
    try:
        query = dict(parse_qsl(scope["query_string"].decode("ascii"), keep_blank_values=True, errors="strict"))
        names = container.decode("ascii"), unquote_to_bytes(blob).decode("utf-8")
    except ValueError:
        raise BlobRefused(400, "InvalidUri", "The URL is not UTF-8.") from None
    if not 3 <= len(names[0]) <= 63 or not _CONTAINER.fullmatch(names[0]):
        raise BlobRefused(400, "InvalidResourceName", "That is no name of a container.")
    return BlobRequest(scope["method"], names[0], names[1] or None, query, headers, body)


def blob_name(call: BlobRequest) -> str:
    name = call.blob or ""
    # A name is part of an index, whose rows have 2,704 bytes in Postgres; Azure counts characters alone.
    if len(name) > 1024 or len(name.encode()) > 2_500 or UNNAMABLE.search(name):
        raise BlobRefused(400, "InvalidResourceName", "The name is too long, or has control characters in it.")
    return name


def md5_header(call: BlobRequest, header: str) -> str | None:
    value = call.headers.get(header)
    if value is not None:
        try:
            valid = len(b64decode(value, validate=True)) == 16
        except NotBase64:
            valid = False
        if not valid:
            raise BlobRefused(400, "InvalidMd5", f"{header} is not 16 bytes in base64.")
    return value


def content_type(call: BlobRequest) -> str:
    headers = call.headers
    return (headers.get("x-ms-blob-content-type") or headers.get("content-type") or "application/octet-stream")[:200]


def metadata_headers(call: BlobRequest) -> dict[str, str]:
    prefix = "x-ms-meta-"
    metadata = {name[len(prefix) :]: value for name, value in call.headers.items() if name.startswith(prefix)}
    if any(not _METADATA.fullmatch(name) for name in metadata):
        raise BlobRefused(400, "InvalidMetadata", "Names of metadata are letters, digits and underscores.")
    return metadata


def byte_range(text: str, size: int) -> tuple[int, int] | None:
    """Parses a Range header to (first byte, number of bytes); None when the header is to be ignored."""
    match = _RANGE.fullmatch(text.strip())
    if match is None or match[1] == match[2] == "":
        return None
    if match[1] == "":
        start, end = max(size - int(match[2]), 0), size - 1
    else:
        start, end = int(match[1]), min(int(match[2] or size - 1), size - 1)
    if start >= size or end < start:
        raise BlobRefused(416, "InvalidRange", f"The blob has {size} bytes.")
    return start, end - start + 1


def header_of(scope: Scope, name: bytes, otherwise: bytes) -> bytes:
    for key, value in scope["headers"]:
        if key == name and len(value) <= 200:
            return bytes(value)
    return otherwise
