"""The part of the Azure Blob REST API that clients need to fill a dropbox and to fetch an image.

A bare ASGI application: uploads are many and small, and a framework's overhead would be most of the work. The
signature in the URL alone decides what is allowed. Bytes are never served with a type that a browser would run.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from base64 import b64decode
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, BinaryIO, TypeVar

from starlette.types import Receive, Scope, Send

from labelwright.service.api.errors import DATABASE_ERRORS, RETRY_AFTER, Busy, database_busy
from labelwright.service.bodies import Body, BodyBudget, BodyBudgetExceeded, BodyShare, ClientGone
from labelwright.service.config import Limits
from labelwright.service.database import Database

from .puts import Put, Puts, written
from .requests import (
    UNNAMABLE,
    BlobRequest,
    BlobResponse,
    blob_name,
    byte_range,
    content_type,
    header_of,
    md5_header,
    metadata_headers,
    parse_request,
)
from .sas import SignatureRefused, Signer
from .store import Blob, BlobRefused, Blobs, Incoming, pieces
from .xml import BadXml, block_ids, error_xml, list_blobs_xml, list_blocks_xml

log = logging.getLogger("labelwright.service.blobs.store")

T = TypeVar("T")
Headers = list[tuple[bytes, bytes]]
Operation = Callable[[BlobRequest], Awaitable[BlobResponse]]

SERVED_TYPES = frozenset(
    {"image/jpeg", "image/png", "image/gif", "image/webp", "image/bmp", "image/tiff", "image/x-portable-anymap"}
    | {"text/csv", "application/octet-stream"}
)
"""What a browser may be told that a blob is; all else is served as application/octet-stream."""

_GATHER = 1024**2


class BlobApi:
    """`stored` is called with the container and what was stored in it."""

    def __init__(
        self,
        database: Database,
        blobs: Blobs,
        signer: Signer,
        limits: Limits,
        stored: Callable[[str, Sequence[Blob]], None],
    ) -> None:
        self._blobs = blobs
        self._puts = Puts(database, blobs, self._thread, stored)
        self._signer = signer
        self._limits = limits
        self._threads = ThreadPoolExecutor(8, "blobs")
        self._held = BodyBudget(limits.bodies_bytes)
        self._verbs: dict[tuple[str, str | None], tuple[Operation, str]] = {
            ("PUT", None): (self._put, "w"),
            ("PUT", "block"): (self._put_block, "wc"),
            ("PUT", "blocklist"): (self._put_block_list, "w"),
            ("GET", None): (self._get, "r"),
            ("HEAD", None): (self._get, "r"),
            ("GET", "blocklist"): (self._get_block_list, "r"),
            ("DELETE", None): (self._delete, "d"),
        }

    def close(self) -> None:
        self._threads.shutdown(wait=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, body = scope["method"], Body(receive)
        try:
            call = parse_request(scope, body)
            response = await self._answer(call)
        except BlobRefused as error:
            response = _refusal(error)
            await body.drain()
        except ClientGone:
            return
        except Exception as error:
            if isinstance(error, Busy) or (isinstance(error, DATABASE_ERRORS) and database_busy(error)):
                response = _refusal(BlobRefused(503, "ServerBusy", "The service's database is busy: try again."))
                await body.drain()
            else:
                log.exception("%s of a blob failed", method)
                response = _refusal(BlobRefused(500, "InternalError", "The service failed; its log says why."))
        await self._send(response, method, scope, send)

    async def _send(self, response: BlobResponse, method: str, scope: Scope, send: Send) -> None:
        source: BinaryIO | None = None
        if response.stream and method != "HEAD":
            try:
                source = await self._thread(self._blobs.path(response.stream[0].file).open, "rb")
            except FileNotFoundError:
                response = _refusal(
                    BlobRefused(503, "ServerBusy", "The blob was replaced while it was read: try again.")
                )
        length = response.stream[2] if response.stream else len(response.body)
        headers: Headers = [
            (b"x-ms-request-id", secrets.token_hex(16).encode()),
            (b"x-ms-version", header_of(scope, b"x-ms-version", b"2021-12-02")),
            (b"x-content-type-options", b"nosniff"),
            (b"content-security-policy", b"sandbox; default-src 'none'"),
        ]
        if client_id := header_of(scope, b"x-ms-client-request-id", b""):
            headers.append((b"x-ms-client-request-id", client_id))
        headers += [(name.lower().encode(), value.encode("latin-1")) for name, value in response.headers.items()]
        if "Content-Length" not in response.headers and response.status != 304:
            headers.append((b"content-length", str(length).encode()))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        if source is None or response.stream is None:
            await send({"type": "http.response.body", "body": b"" if method == "HEAD" else response.body})
            return
        with source:
            _, start, count = response.stream
            parts = pieces(source, start, count)
            while piece := await self._thread(next, parts, b""):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

    async def _thread(self, work: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    async def _answer(self, call: BlobRequest) -> BlobResponse:
        try:
            rights = self._signer.check(call.query, call.container, call.blob)
        except SignatureRefused as error:
            raise BlobRefused(403, error.code, error.message) from None
        operation, needed = self._verb(call)
        if not needed & set(rights):
            message = f"The URL gives the rights '{rights}', and this needs '{''.join(sorted(needed))}'."
            raise BlobRefused(403, "AuthorizationPermissionMismatch", message)
        return await operation(call)

    def _verb(self, call: BlobRequest) -> tuple[Operation, set[str]]:
        """Returns the handler of a request, and the rights of which it needs one."""
        comp = call.query.get("comp")
        if call.blob is None:
            if call.method == "GET" and comp == "list" and call.query.get("restype") == "container":
                return self._list, {"l"}
            raise BlobRefused(403, "AuthorizationPermissionMismatch", "Containers can be listed here, nothing else.")
        try:
            operation, rights = self._verbs[call.method, comp]
        except KeyError:
            raise BlobRefused(501, "NotImplemented", f"{call.method} with comp={comp} is not served here.") from None
        # The right to create is the right to write a blob that is not there yet: only with If-None-Match.
        only_new = rights == "w" and call.headers.get("if-none-match") == "*"
        return operation, set("wc" if only_new else rights)

    # --- the verbs

    async def _put(self, call: BlobRequest) -> BlobResponse:
        kind = call.headers.get("x-ms-blob-type")
        if kind != "BlockBlob" or "x-ms-copy-source" in call.headers:
            raise BlobRefused(400, "InvalidHeaderValue", "Only block blobs are served here: x-ms-blob-type: BlockBlob.")
        checksums = [md5_header(call, "content-md5"), md5_header(call, "x-ms-blob-content-md5")]
        name, metadata = blob_name(call), metadata_headers(call)
        incoming, rest = await self._body(call)
        put = Put(call.container, name, incoming, rest, checksums, content_type(call), metadata, call.condition)
        blob = await self._puts.store(put)
        return BlobResponse(201, _written(blob))

    async def _put_block(self, call: BlobRequest) -> BlobResponse:
        block_id = call.query.get("blockid", "")
        if not 0 < len(block_id) <= 128 or not (block_id.isascii() and block_id.isprintable()):
            raise BlobRefused(400, "InvalidQueryParameterValue", "blockid is 1 to 128 characters of base64.")
        checksums, name = [md5_header(call, "content-md5")], blob_name(call)
        incoming, rest = await self._body(call)

        def finish() -> str:
            md5 = written(incoming, rest, checksums)
            self._blobs.put_block(call.container, name, block_id, incoming)
            return md5

        md5 = await self._thread(finish)
        return BlobResponse(201, {"Content-MD5": md5, "x-ms-request-server-encrypted": "false"})

    async def _put_block_list(self, call: BlobRequest) -> BlobResponse:
        name, metadata, md5 = blob_name(call), metadata_headers(call), md5_header(call, "x-ms-blob-content-md5")
        try:
            with self._held.body(call.container) as held:
                listed_blocks = block_ids(await _small_body(call.body, held, 8 * 1024**2))
        except BodyBudgetExceeded:
            message = "The service holds as many block lists as it has memory for: try again."
            raise BlobRefused(503, "ServerBusy", message) from None
        except BadXml as error:
            raise BlobRefused(400, "InvalidXmlDocument", str(error)) from None

        joined = partial(self._blobs.join_blocks, call.container, name, listed_blocks, self._limits.upload_bytes)
        incoming = await self._thread(joined)
        kind = content_type(call)
        put = Put(call.container, name, incoming, (), [md5], kind, metadata, call.condition, joined=True)
        blob = await self._puts.store(put)
        await self._thread(self._blobs.drop_blocks, call.container, name)
        return BlobResponse(201, _written(blob))

    async def _get_block_list(self, call: BlobRequest) -> BlobResponse:
        staged = await self._thread(self._blobs.staged, call.container, blob_name(call))
        return BlobResponse(200, {"Content-Type": "application/xml"}, list_blocks_xml(staged))

    async def _get(self, call: BlobRequest) -> BlobResponse:
        blob = await self._thread(self._blobs.get, call.container, blob_name(call))
        condition = call.condition
        if condition.match not in (None, "*", blob.etag):
            raise BlobRefused(412, "ConditionNotMet", "The blob is not the one named in If-Match.")
        if condition.none_match in ("*", blob.etag):
            return BlobResponse(304, {"ETag": blob.etag})
        headers = {
            "ETag": blob.etag,
            "Last-Modified": blob.modified,
            "Accept-Ranges": "bytes",
            "Content-Type": blob.content_type if blob.content_type in SERVED_TYPES else "application/octet-stream",
            "Cache-Control": "private, max-age=300",
            "x-ms-blob-type": "BlockBlob",
            "x-ms-creation-time": blob.modified,
            "x-ms-lease-state": "available",
            "x-ms-lease-status": "unlocked",
            "x-ms-server-encrypted": "false",
            **{f"x-ms-meta-{name}": value for name, value in blob.metadata.items()},
        }
        range_header = call.headers.get("x-ms-range") or call.headers.get("range")
        part = byte_range(range_header, blob.size) if range_header and call.method == "GET" else None
        if part is None:
            if blob.md5:
                headers["Content-MD5"] = blob.md5
            return BlobResponse(200, headers, stream=(blob, 0, blob.size))
        start, count = part
        headers["Content-Range"] = f"bytes {start}-{start + count - 1}/{blob.size}"
        if blob.md5:
            headers["x-ms-blob-content-md5"] = blob.md5
        return BlobResponse(206, headers, stream=(blob, start, count))

    async def _delete(self, call: BlobRequest) -> BlobResponse:
        await self._thread(self._blobs.delete, call.container, blob_name(call), call.condition)
        return BlobResponse(202, {"x-ms-delete-type-permanent": "true"})

    async def _list(self, call: BlobRequest) -> BlobResponse:
        query = call.query
        try:
            limit = min(int(query.get("maxresults", "5000")), 5000)
            after = b64decode(query.get("marker", ""), altchars=b"-_", validate=True).decode()
        except ValueError:
            raise BlobRefused(400, "InvalidQueryParameterValue", "maxresults or marker is not valid.") from None
        if limit < 1:
            raise BlobRefused(400, "OutOfRangeQueryParameterValue", "maxresults is 1 to 5000.")
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        if UNNAMABLE.search(prefix + after):
            raise BlobRefused(400, "InvalidQueryParameterValue", "prefix or marker has control characters in it.")
        page = partial(self._blobs.entries, call.container, prefix, delimiter, after, limit)
        entries, following = await self._thread(page)
        body = list_blobs_xml(call.container, query, entries, following)
        return BlobResponse(200, {"Content-Type": "application/xml"}, body)

    # --- bodies

    async def _body(self, call: BlobRequest) -> tuple[Incoming, list[bytes]]:
        """Receives the body: a file with what is on disk already, and the rest in memory.

        Small bodies are in memory only."""
        declared = call.headers.get("content-length", "0")
        largest = self._limits.upload_bytes
        if declared.isdigit():
            _check_length(int(declared), largest)
        incoming, rest, waiting, total = self._blobs.incoming(), list[bytes](), 0, 0
        try:
            while call.body.more:
                chunk = await call.body.chunk()
                total += len(chunk)
                _check_length(total, largest)
                rest.append(chunk)
                waiting += len(chunk)
                if waiting >= _GATHER:
                    await self._thread(incoming.write, rest)
                    rest, waiting = [], 0
        except BaseException:
            await self._thread(incoming.drop)
            raise
        return incoming, rest


def _check_length(length: int, largest: int) -> None:
    if length > largest:
        raise BlobRefused(413, "RequestBodyTooLarge", f"A blob is at most {largest} bytes here.")


async def _small_body(body: Body, held: BodyShare, largest: int) -> bytes:
    """Reads the whole body. Raises BodyBudgetExceeded when other requests take all the memory."""
    read = bytearray()
    while body.more:
        chunk = await body.chunk()
        held.add(len(chunk))
        read += chunk
        _check_length(len(read), largest)
    return bytes(read)


def _written(blob: Blob) -> dict[str, str]:
    headers = {"ETag": blob.etag, "Last-Modified": blob.modified, "x-ms-request-server-encrypted": "false"}
    if blob.md5:
        headers["Content-MD5"] = blob.md5
    return headers


def _refusal(error: BlobRefused) -> BlobResponse:
    headers = {"x-ms-error-code": error.code, "Content-Type": "application/xml"}
    if error.status == 503:
        headers["Retry-After"] = RETRY_AFTER
    return BlobResponse(error.status, headers, error_xml(error.code, error.message))
