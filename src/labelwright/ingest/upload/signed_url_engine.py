"""A dropbox by its signed URL: Put Blob and List Blobs as plain requests, everything else by Microsoft's own client.

That client spends ten times the processor's time of such a request on it. The requests are those that it would send,
and the store verifies every file as it arrives.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from http.client import HTTPException
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit
from xml.etree.ElementTree import Element, ParseError, fromstring

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from labelwright.domain import Image
from labelwright.network.deadlines import OutOfTime
from labelwright.platforms.errors import PlatformError, PlatformUnavailable
from labelwright.platforms.http.connections import HostConnections
from labelwright.platforms.http.error_messages import cut_masked, retry_after
from labelwright.security.masking import remember

from .azure_client import IMAGE_STORE, container_client, for_status, is_folder, no_answer_words, trusted_certificates
from .azure_engine import TAKEN, AzureEngine, content_type
from .renewal import Renewable
from .verify import StoredFile

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

VERSION = "2021-12-02"
"""Of the Blob service's API; Azurite and older Azure Stacks know it."""
_CODE = re.compile(rb"<Code>(\w{1,80})</Code>")
_PER_PAGE = 5000


class SignedUrlEngine:
    """See upload.Engine. `timeout` in seconds, as `container_client` takes it; `renew` gives the container's URL with a
    new signature."""

    def __init__(
        self, container_url: str, *, threads: int, timeout: float, renew: Callable[[], str] | None = None
    ) -> None:
        def container(url: str) -> _Container:
            return _Container(url, threads, timeout)

        def client(url: str) -> ContainerClient:
            return container_client(url, threads=threads, timeout=timeout)

        def connect() -> AzureEngine:
            return AzureEngine(client(container_url), None if renew is None else lambda: client(renew()))

        self._containers: Renewable[_Container] = Renewable(
            container(container_url), None if renew is None else lambda: container(renew())
        )
        self._connect = connect

    @cached_property
    def _azure(self) -> AzureEngine:
        """Made when it is needed: its import takes seconds."""
        return self._connect()

    def put(self, image: Image, data: bytes) -> bool:
        """The request carries Content-MD5: the store refuses a body that is another one, and keeps the MD5."""
        md5 = base64.b64encode(bytes.fromhex(image.md5)).decode()
        headers = {
            "x-ms-blob-type": "BlockBlob",
            "x-ms-blob-content-type": content_type(image),
            "x-ms-blob-content-md5": md5,
            "Content-MD5": md5,
            "Content-Type": "application/octet-stream",
            "If-None-Match": "*",
        }
        try:
            self._containers.use(lambda container: container.put(image.name, headers, data))
        except PlatformError as error:
            if error.message in TAKEN:
                return False
            raise
        return True

    def put_blocks(self, image: Image, pieces: Iterator[bytes]) -> bool:
        return self._azure.put_blocks(image, pieces)

    def look(self, name: str) -> StoredFile | None:
        return self._azure.look(name)

    def everything(self) -> Iterator[StoredFile]:
        marker = ""
        while True:
            page, marker = self._containers.use(lambda container, at=marker: container.page(at))  # type: ignore[misc]
            yield from page
            if not marker:
                return


@dataclass(frozen=True, slots=True)
class _Listed:
    """A blob of a listing, with what `is_folder` looks at."""

    name: str
    metadata: dict[str, str] = field(default_factory=dict)


class _Container:
    """A container behind one signature. Every failure is a PlatformError without the signature in it."""

    def __init__(self, url: str, threads: int, timeout: float) -> None:
        plain, _, self._signature = url.partition("?")
        remember(self._signature)
        self._path = urlsplit(plain).path.rstrip("/")
        self._connections = HostConnections(
            plain, threads=threads, timeout=timeout, whole=10 * timeout, verify=trusted_certificates()
        )

    def put(self, name: str, headers: dict[str, str], data: bytes) -> None:
        path = f"{self._path}/{quote(name, safe='~/')}?{self._signature}"
        self._send("keep an image", "PUT", path, headers, data, expected=201)

    def page(self, marker: str) -> tuple[list[StoredFile], str]:
        """Some files of the listing, and the marker of the next ones; empty at the end."""
        query = f"restype=container&comp=list&include=metadata&maxresults={_PER_PAGE}"
        if marker:
            query = f"{query}&marker={quote(marker, safe='')}"
        path = f"{self._path}?{query}&{self._signature}"
        body = self._send("list what it holds", "GET", path, {}, b"", expected=200)
        try:
            return _read_listing(body)
        except (ParseError, ValueError, AttributeError, LookupError, TypeError, binascii.Error):
            failure = _strange("list what it holds")
        raise failure

    def _send(
        self, operation: str, method: str, path: str, headers: dict[str, str], data: bytes, *, expected: int
    ) -> bytes:
        try:
            response = self._connections.send(method, path, {**headers, "x-ms-version": VERSION}, data)
        except (HTTPError, HTTPException, OSError, OutOfTime) as error:
            failure: PlatformError = for_status(IMAGE_STORE, operation, None, no_answer_words(error))
        else:
            if response.status == expected:
                return response.data
            failure = _refusal(operation, response)
        raise failure  # outside of the except block: what urllib3 raises repeats the signed URL


def _refusal(operation: str, response: BaseHTTPResponse) -> PlatformError:
    """Of the response's own text nothing is taken over but Azure's error code."""
    code = response.headers.get("x-ms-error-code", "")
    if not code and (found := _CODE.search(response.data)):
        code = found[1].decode()
    message = cut_masked(code or response.reason or "", 200)
    return for_status(IMAGE_STORE, operation, response.status, message, retry_after(response.headers))


def _strange(operation: str) -> PlatformError:
    message = "what answers there is no Azure container"
    return PlatformUnavailable(IMAGE_STORE, operation, message=message, advice="Check the address, and try again.")


def _read_listing(body: bytes) -> tuple[list[StoredFile], str]:
    """Raises ParseError, ValueError and such for what is no listing."""
    if b"<!" in body:  # a document type; no listing has one
        raise ValueError("not a listing")
    root = fromstring(body)  # noqa: S314 - without a document type nothing expands
    blobs = root.find("Blobs")
    if root.tag != "EnumerationResults" or blobs is None:
        raise ValueError("not a listing")
    return [file for blob in blobs.iter("Blob") if (file := _stored(blob))], root.findtext("NextMarker") or ""


def _stored(blob: Element) -> StoredFile | None:
    """None for a folder."""
    named, properties, metadata = blob.find("Name"), blob.find("Properties"), blob.find("Metadata")
    if named is None or properties is None or named.text is None:
        raise ValueError("not a listing")
    name = unquote(named.text) if named.get("Encoded") == "true" else named.text
    if metadata is not None or name.endswith("/"):
        values = {} if metadata is None else {value.tag: value.text or "" for value in metadata}
        if is_folder(_Listed(name, values)):
            return None
    md5 = properties.findtext("Content-MD5")
    return StoredFile(
        name, int(properties.findtext("Content-Length", "")), base64.b64decode(md5).hex() if md5 else None
    )
