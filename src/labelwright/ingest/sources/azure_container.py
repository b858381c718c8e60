"""Images in an Azure blob container."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from urllib.parse import quote

from labelwright.domain import Reject, UnsafeName, safe_name
from labelwright.domain.image_limits import MOST_BYTES
from labelwright.ingest.upload.azure_client import (
    WITH_METADATA,
    access_advice,
    container_client,
    is_folder,
    machine_identity,
    translated,
)
from labelwright.network.deadlines import time_limit
from labelwright.platforms.errors import AccessDenied, PlatformError
from labelwright.platforms.protocol import Secret

from .local import CannotRead, SourceError, SourceFile, is_litter, other_name, printable
from .patterns import Patterns

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

_PLATFORM = "image container"
_SLOWEST = 10  # a whole image may take this many times the timeout of one response


class ContainerSource:
    """The blobs of a container, in the container's order. Locations are blob names.

    Args:
        sas: signature with the rights to read and to list; may also be the query of the URL.
        key: the account's key. Signs URLs for platforms, and reads when there is no `sas`.
        identity: read with this machine's identity when there is neither.
        prefix: names start after its last slash: `2026/river/` makes `a.jpg` of `2026/river/a.jpg`.
        timeout: seconds per response; a whole image may take ten times that.
    """

    def __init__(
        self,
        container_url: str,
        prefix: str = "",
        include: Iterable[str] = ("**/*",),
        exclude: Iterable[str] = (),
        *,
        sas: str | None = None,
        key: str | None = None,
        identity: bool = False,
        threads: int = 16,
        timeout: float = 60.0,
        max_bytes: int = MOST_BYTES,
    ) -> None:
        self._url = container_url
        self._sas, self._key, self._identity = sas, key, identity
        self._prefix = prefix
        self._patterns = Patterns(include, exclude)
        self._threads, self._timeout, self._max_bytes = threads, timeout, max_bytes
        self._kept: ContainerClient | None = None

    def __repr__(self) -> str:
        return f"ContainerSource({self._url.partition('?')[0]!r}, prefix={self._prefix!r})"

    @property
    def _client(self) -> ContainerClient:
        if self._kept is None:
            credential: Any = self._sas or (None if "?" in self._url else self._key)
            if self._identity and not credential and "?" not in self._url:
                credential = machine_identity()
            self._kept = container_client(
                self._url, credential=credential, threads=self._threads, timeout=self._timeout
            )
        return self._kept

    def find(self) -> Iterator[SourceFile | Reject]:
        inside = len(self._prefix.rpartition("/")[0]) + 1 if "/" in self._prefix else 0
        blobs = iter(self._client.list_blobs(name_starts_with=self._prefix or None, include=WITH_METADATA))
        yielded = 0
        while True:
            failure: PlatformError | None = None
            try:
                blob = next(blobs, None)
            except Exception as error:  # noqa: BLE001 - translated, or raised again
                failure = _translated(error, "list its images")
            if failure is not None:
                raise failure
            if blob is None:
                break
            name = str(blob.name)[inside:]
            if not name or is_folder(blob) or any(is_litter(part) for part in name.split("/")):
                continue
            if not self._patterns.take(name):
                continue
            yielded += 1
            try:
                safe = safe_name(name)
                source_name = other_name(name, safe)
                yield SourceFile(safe, str(blob.name), int(blob.size), source_name=source_name, version=str(blob.etag))
            except UnsafeName as error:
                yield Reject(printable(name), printable(str(error)))
        if not yielded:
            where = self._url.partition("?")[0]
            raise SourceError(
                f"The container {where} has no matching images under '{self._prefix}'. "
                "Check the container, the prefix and the include and exclude patterns."
            )

    def open(self, location: str) -> BinaryIO:
        """Raises CannotRead when the blob is gone or larger than allowed; see Source for the others."""
        file = tempfile.SpooledTemporaryFile(max_size=1024 * 1024)  # noqa: SIM115 - the caller closes it
        failure: PlatformError | None = None
        try:
            with time_limit(_SLOWEST * self._timeout):  # the client tries again by itself when a body breaks off
                downloader = self._client.download_blob(location, max_concurrency=1)
                too_large = downloader.size > self._max_bytes
                if not too_large:
                    downloader.readinto(file)
        except Exception as error:  # noqa: BLE001 - translated, or raised again
            file.close()
            failure = _translated(error, "send an image")
        if failure is not None:
            if failure.status == 404:
                raise CannotRead("is no longer in the container")
            raise failure
        if too_large:
            file.close()
            raise CannotRead(f"has more than the {self._max_bytes / 1024 / 1024:,.1f} MiB that are allowed")
        file.seek(0)
        return cast(BinaryIO, file)

    def url_for(self, location: str, seconds: float) -> Secret | None:
        """URL that is signed for reading this blob only. Unsigned for a public container.

        None without the account's key: our own signature opens the whole container, and is not shared.
        """
        where, _, query = self._url.partition("?")
        plain = f"{where.rstrip('/')}/{quote(location, safe='/')}"
        if self._key is None:
            return None if self._sas or query or self._identity else Secret(plain)
        from azure.storage.blob import BlobSasPermissions, generate_blob_sas

        now = datetime.now(UTC)
        signature = generate_blob_sas(
            str(self._client.account_name),
            self._client.container_name,
            location,
            account_key=self._key,
            permission=BlobSasPermissions(read=True),
            start=now - timedelta(minutes=15),  # clocks differ
            expiry=now + timedelta(seconds=seconds),
        )
        return Secret(f"{plain}?{signature}")


def _translated(error: Exception, operation: str) -> PlatformError:
    """The error with advice for a container of the campaign's own, whose signature nobody renews."""
    failure = translated(error, _PLATFORM, operation)
    if not isinstance(failure, AccessDenied) or failure.status is None:
        return failure
    advice = access_advice(failure, "the role Storage Blob Data Reader, a signature the rights to read and to list")
    return AccessDenied(_PLATFORM, operation, status=failure.status, message=failure.message, advice=advice)
