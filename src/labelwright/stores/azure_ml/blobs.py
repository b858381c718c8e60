"""Blob storage of the Azure ML store: immutable files, conditional writes and server-side copies.

A write never replaces a blob with other content by accident: existing blobs are compared, and the one blob that is
replaced (the newest labels CSV) is written under an etag condition. Uploads carry their MD5, which the server checks
and stores. Nothing is retried here.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote, urlsplit

from labelwright.ingest.upload.azure_client import (
    WITH_METADATA,
    access_advice,
    container_client,
    is_folder,
    machine_identity,
    translated,
)
from labelwright.ingest.upload.azure_engine import TAKEN, AzureEngine
from labelwright.ingest.upload.verify import StoredFile
from labelwright.network.guards import before_change
from labelwright.platforms.errors import AccessDenied, NotFound, PlatformError, PlatformUnavailable
from labelwright.stores.protocol import ContentMismatch

from .account import Account, account_of

if TYPE_CHECKING:
    from azure.storage.blob import BlobProperties, ContainerClient

__all__ = ["BLOBS", "Account", "Blobs", "account_of", "md5_of", "open_blobs"]

T = TypeVar("T")

BLOBS = "Azure Blob"
_TYPES = {
    ".csv": "text/csv; charset=utf-8",
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
}
_PRECONDITION_FAILED = frozenset({"ConditionNotMet", "SourceConditionNotMet", "TargetConditionNotMet"})
_COPY_SIGNATURE_LIFETIME = timedelta(hours=2)


def open_blobs(account: Account, *, threads: int, timeout: float) -> Blobs:
    """Opens the container by the account's key, its signature, or else this machine's identity.

    Raises SettingsError when an identity is needed and azure-identity is not installed.
    """
    credential: Any = None
    if account.key:
        credential = {"account_name": account.name, "account_key": account.key}
    elif not account.sas:
        credential = machine_identity()
    client = container_client(
        account.container_url,
        sas=account.sas,
        credential=credential,
        threads=threads,
        timeout=timeout,
        # Blocks of 4 MiB, several at a time; smaller files go in one request.
        max_single_put_size=4 << 20,
        max_block_size=4 << 20,
    )
    return Blobs(client, account, threads=threads, deadline=10 * timeout)


class Blobs:
    """One container. Raises PlatformUnavailable, PlatformRefused, ContentMismatch, without signatures in messages."""

    def __init__(self, client: ContainerClient, account: Account, *, threads: int, deadline: float) -> None:
        self._client = client
        self._account = account
        self._threads = threads
        self._deadline = deadline

    def engine(self) -> AzureEngine:
        """An upload engine for the same container."""
        return AzureEngine(self._client)

    def look(self, path: str) -> StoredFile | None:
        properties = self._properties(path)
        return None if properties is None else _stored_file(properties)

    def put(self, path: str, file: Path, md5: bytes) -> bool:
        """Uploads the file. Returns False when it exists already. Raises ContentMismatch when other content does."""
        size = file.stat().st_size
        stored = self.look(path)
        if stored is None:
            try:
                with file.open("rb") as stream:
                    self._upload(path, stream, size, md5)
            except PlatformError as error:
                if error.message not in TAKEN:
                    raise
                stored = self.look(path)
            else:
                return True
        if stored is None or (stored.bytes, stored.md5_hex) != (size, md5.hex()):
            raise ContentMismatch(f"{path} exists with other content than {file.name}; it is not overwritten")
        return False

    def overwrite(self, path: str, data: Any, size: int, md5: bytes) -> None:
        """Uploads the file and replaces what is there. For files whose correct content is known.

        Raises PlatformUnavailable when another process writes the path at the same time.
        """
        properties = self._properties(path)
        condition = self._if_unchanged(None if properties is None else properties.etag)
        if not self._upload_if(path, data, size, md5, condition):
            message = f"{path} was written by another process at the same time"
            raise PlatformUnavailable(BLOBS, "repair a file", status=409, message=message, advice="Try again.")

    def read_text_with_etag(self, path: str) -> tuple[str, str] | None:
        """Text and etag of a small file; None when it does not exist."""

        def read() -> tuple[str, str]:
            download = self._client.download_blob(path, max_concurrency=1)
            return bytes(download.readall()).decode("utf-8", "replace"), str(download.properties.etag)

        try:
            return _call("send a file", read)
        except PlatformError as error:
            if _is_missing_blob(error):
                return None
            raise

    def write_text(self, path: str, text: str, etag: str | None) -> bool:
        """Writes a small file if the blob still has this etag (None: if it does not exist). Returns whether it did."""
        data = text.encode()
        md5 = hashlib.md5(data, usedforsecurity=False).digest()
        return self._upload_if(path, data, len(data), md5, self._if_unchanged(etag))

    def sha256_of(self, path: str) -> str:
        """Reads the whole file."""

        def read() -> str:
            digest = hashlib.sha256()
            for chunk in self._client.download_blob(path, max_concurrency=1).chunks():
                digest.update(chunk)
            return digest.hexdigest()

        return _call("send a file", read)

    def download(self, path: str, target: Path) -> bool:
        """Writes a blob to a file. Returns False when there is no such blob."""

        def read() -> None:
            with target.open("wb") as file:
                self._client.download_blob(path, max_concurrency=1).readinto(file)

        try:
            _call("read a file", read)
        except PlatformError as error:
            target.unlink(missing_ok=True)
            if _is_missing_blob(error):
                return False
            raise
        return True

    @staticmethod
    def _if_unchanged(etag: str | None) -> dict[str, Any]:
        from azure.core import MatchConditions

        if etag is None:
            return {"match_condition": MatchConditions.IfMissing}
        return {"etag": etag, "match_condition": MatchConditions.IfNotModified}

    def put_text(self, path: str, text: str) -> bool:
        """Writes a small file. Returns False when the path exists already, whatever its content."""
        data = text.encode()
        try:
            self._upload(path, data, len(data), hashlib.md5(data, usedforsecurity=False).digest())
        except PlatformError as error:
            if error.message in TAKEN:
                return False
            raise
        return True

    def read_text(self, path: str) -> str | None:
        """Text of a small file; None when it does not exist."""
        try:
            data = _call("send a file", lambda: self._client.download_blob(path, max_concurrency=1).readall())
        except PlatformError as error:
            if _is_missing_blob(error):
                return None
            raise
        return bytes(data).decode()

    def listed(self, folder: str) -> Iterator[StoredFile]:
        """Yields the files below a folder, read page by page."""
        blobs = iter(self._client.list_blobs(name_starts_with=folder, results_per_page=5000, include=WITH_METADATA))
        while (blob := _call("list a folder", lambda: next(blobs, None))) is not None:
            if not is_folder(blob):
                yield _stored_file(blob)

    def copy_to(self, source: str, target: str, is_current: Callable[[], bool] = lambda: True) -> bool:
        """Copies source to target on the server. Returns False when the target has the same content already, or when
        `is_current`, called after the target was read, returns False.

        Raises PlatformUnavailable when another process writes the target at the same time; it may be repeated.
        """
        source_properties, target_properties = self._properties(source), self._properties(target)
        if source_properties is None:
            raise NotFound(BLOBS, "copy a file", status=404, message=f"{source} does not exist")
        if (
            target_properties is not None
            and _stored_file(target_properties).md5_hex == _stored_file(source_properties).md5_hex is not None
        ):
            return False
        if not is_current():
            return False
        self._copy(
            self._signed_url(source),
            target,
            source_properties.etag,
            self._if_unchanged(None if target_properties is None else target_properties.etag),
        )
        copied = self.look(target)
        if copied is None or copied.md5_hex != _stored_file(source_properties).md5_hex:
            message = f"{target} was written by another process at the same time"
            raise PlatformUnavailable(BLOBS, "copy a file", status=409, message=message, advice="Try again.")
        return True

    def copy_within(self, source: str, target: str, *, md5_hex: str, size: int, replace: bool = False) -> bool:
        """Copies a file within the container, on the server. Returns False when the source has another size or MD5.

        Raises ContentMismatch when the target exists with other content and `replace` is not set.
        """
        target_properties = self._properties(target)
        stored = None if target_properties is None else _stored_file(target_properties)
        if stored is None or (replace and (stored.bytes, stored.md5_hex) != (size, md5_hex)):
            source_properties = self._properties(source)
            if source_properties is None or (
                _stored_file(source_properties).bytes,
                _stored_file(source_properties).md5_hex,
            ) != (size, md5_hex):
                return False
            self._copy(
                self._signed_url(source),
                target,
                source_properties.etag,
                self._if_unchanged(None if target_properties is None else target_properties.etag),
            )
            stored = self.look(target)
        if stored is None or (stored.bytes, stored.md5_hex) != (size, md5_hex):
            raise ContentMismatch(f"{target} exists with other content than {source}; it is not overwritten")
        return True

    def copy_from_url(
        self, source_url: str, target: str, *, etag: str | None, md5_hex: str, size: int, replace: bool = False
    ) -> None:
        """Copies a file of another container (signed URL) on the server, if it still has the etag.

        When the source stores no MD5, the given one is set on the copy. Raises ContentMismatch when the source changed
        or has other content, or when the target exists with other content and `replace` is not set.
        """
        from azure.storage.blob import ContentSettings

        properties = self._properties(target)
        is_wrong = properties is not None and (_stored_file(properties).bytes, _stored_file(properties).md5_hex) != (
            size,
            md5_hex,
        )
        if properties is None or (replace and is_wrong):
            self._copy(source_url, target, etag, self._if_unchanged(None if properties is None else properties.etag))
            properties = self._properties(target)
        if (
            properties is not None
            and _stored_file(properties).bytes == size
            and _stored_file(properties).md5_hex is None
        ):
            settings = ContentSettings(
                content_type=properties.content_settings.content_type, content_md5=bytearray.fromhex(md5_hex)
            )
            blob = self._client.get_blob_client(target)
            before_change()
            _call("keep a checksum", lambda: blob.set_http_headers(settings))
            properties = self._properties(target)
        if properties is None or (_stored_file(properties).bytes, _stored_file(properties).md5_hex) != (size, md5_hex):
            raise ContentMismatch(f"{target} is not the image that was checked. Run the same command again")

    def _copy(self, source_url: str, target: str, etag: str | None, condition: dict[str, Any]) -> None:
        from azure.core import MatchConditions

        blob = self._client.get_blob_client(target)
        source: dict[str, Any] = {}
        before_change()
        if etag is not None:
            source = {"source_etag": etag, "source_match_condition": MatchConditions.IfNotModified}
        try:
            started = _call(
                "copy a file", lambda: blob.start_copy_from_url(source_url, **source, **condition), conflicts=True
            )
        except PlatformError as error:
            if error.message in TAKEN | _PRECONDITION_FAILED:
                return  # the caller compares what is there now
            raise
        if started.get("copy_status") == "pending":
            self._wait_for_copy(target)

    def _wait_for_copy(self, target: str, pause: float = 0.5) -> None:
        """Waits until the copy is complete. Removes the target of one that failed or took too long."""
        blob, end = self._client.get_blob_client(target), time.monotonic() + self._deadline
        while True:
            copy = _call("say how a copy goes", blob.get_blob_properties).copy
            if copy.status in ("success", None):
                return
            is_late = copy.status == "pending" and time.monotonic() >= end
            if is_late:
                _call("give up a copy", partial(blob.abort_copy, str(copy.id)))
            if is_late or copy.status != "pending":
                _call("remove a copy", blob.delete_blob)
                message = "it took too long" if is_late else f"it is {copy.status}"
                raise PlatformUnavailable(BLOBS, "copy a file", message=message, advice="Try again.")
            time.sleep(pause)
            pause = min(2 * pause, 10.0)

    def _signed_url(self, path: str) -> str:
        """A URL by which Azure can read a blob of this container."""
        blob = self._client.get_blob_client(path)
        if not self._account.key:
            return str(blob.url)  # signed already, or read with the identity
        from azure.storage.blob import generate_blob_sas

        name = unquote(urlsplit(self._account.container_url).path.rpartition("/")[2])
        signature = generate_blob_sas(
            self._account.name,
            name,
            path,
            account_key=self._account.key,
            permission="r",
            expiry=datetime.now(UTC) + _COPY_SIGNATURE_LIFETIME,
        )
        return f"{blob.url.partition('?')[0]}?{signature}"

    def _properties(self, path: str) -> BlobProperties | None:
        blob = self._client.get_blob_client(path)
        try:
            return _call("say what it holds", blob.get_blob_properties)
        except PlatformError as error:
            if _is_missing_blob(error):
                return None
            raise

    def _upload_if(self, path: str, data: Any, size: int, md5: bytes, condition: dict[str, Any]) -> bool:
        """Returns False when the condition does not hold."""
        try:
            self._upload(path, data, size, md5, overwrite=True, **condition)
        except PlatformError as error:
            if error.message in TAKEN | _PRECONDITION_FAILED:
                return False
            raise
        return True

    def _upload(self, path: str, data: Any, size: int, md5: bytes, **options: Any) -> None:
        from azure.storage.blob import ContentSettings

        settings = ContentSettings(
            content_type=_TYPES.get(Path(path).suffix.lower(), "application/octet-stream"), content_md5=bytearray(md5)
        )
        before_change()
        _call(
            "keep a file",
            lambda: self._client.upload_blob(
                path,
                data,
                length=size,
                content_settings=settings,
                # Every request carries the MD5 of its body: the server refuses one that was damaged on its way.
                validate_content=True,
                max_concurrency=self._threads,
                **({"overwrite": False} | options),
            ),
            conflicts=True,
        )


def md5_of(file: Path) -> bytes:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).digest()


def _stored_file(blob: BlobProperties) -> StoredFile:
    md5 = blob.content_settings.content_md5
    return StoredFile(str(blob.name), int(blob.size), bytes(md5).hex() if md5 else None)


def _is_missing_blob(error: PlatformError) -> bool:
    """Whether the blob does not exist, in a container that does."""
    return error.status == 404 and error.message != "ContainerNotFound"


def _call(operation: str, call: Callable[[], T], *, conflicts: bool = False) -> T:
    """Runs a call of the Azure client and translates its errors, whose own texts repeat signed URLs."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - translated, or raised again
        failure = translated(error, BLOBS, operation)
    if isinstance(failure, AccessDenied) and failure.status is not None:
        advice = access_advice(failure, "the role Storage Blob Data Contributor, a signature the rights racwl")
        raise AccessDenied(BLOBS, operation, status=failure.status, message=failure.message, advice=advice)
    if failure.status == 404 and failure.message == "ContainerNotFound":
        raise NotFound(
            BLOBS, operation, status=404, message=failure.message, advice="Create the container, or name another one."
        )
    if failure.status in (409, 412) and not conflicts:
        raise PlatformUnavailable(BLOBS, operation, status=failure.status, message=failure.message, advice="Try again.")
    raise failure
