"""The blob side of the Azure ML store: files under names that never change, copies that Azure makes itself.

Every write is conditional: a name that is taken is looked at, never written over, and the one name that moves on (the
labels' newest CSV) is written only if it is still as it was seen. Bodies travel with their MD5, which the store checks
and keeps. Nothing is retried here.
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
    container_client,
    is_folder,
    machine_identity,
    translated,
)
from labelwright.ingest.upload.azure_engine import TAKEN, AzureEngine
from labelwright.ingest.upload.verify import StoredFile
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
_CHANGED = frozenset({"ConditionNotMet", "SourceConditionNotMet", "TargetConditionNotMet"})
_COPY_SIGNED_FOR = timedelta(hours=2)


def open_blobs(account: Account, *, threads: int, timeout: float) -> Blobs:
    """The container, by the account's key, its signature, or else the identity that this machine has.

    Raises SettingsError when an identity is needed and azure-identity is not there.
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
    """One container. Raises PlatformUnavailable, PlatformRefused, ContentMismatch; never with a signature in it."""

    def __init__(self, client: ContainerClient, account: Account, *, threads: int, deadline: float) -> None:
        self._client = client
        self._account = account
        self._threads = threads
        self._deadline = deadline

    def engine(self) -> AzureEngine:
        """The same container as images are sent to."""
        return AzureEngine(self._client)

    def look(self, path: str) -> StoredFile | None:
        found = self._properties(path)
        return None if found is None else _stored(found)

    def put(self, path: str, file: Path, md5: bytes) -> bool:
        """The file under the path; False when it was there already. Raises ContentMismatch when something else is."""
        size = file.stat().st_size
        there = self.look(path)
        if there is None:
            try:
                with file.open("rb") as stream:
                    self._upload(path, stream, size, md5)
            except PlatformError as error:
                if error.message not in TAKEN:
                    raise
                there = self.look(path)
            else:
                return True
        if there is None or (there.bytes, there.md5_hex) != (size, md5.hex()):
            raise ContentMismatch(f"{path} holds something else than {file.name}: it is never written over")
        return False

    def put_over(self, path: str, data: Any, size: int, md5: bytes) -> None:
        """Write over what is under the path, or put it there: for files whose right content is known.

        Raises PlatformUnavailable when somebody else writes it meanwhile.
        """
        there = self._properties(path)
        condition = self._if_still(None if there is None else there.etag)
        if not self._upload_if(path, data, size, md5, condition):
            message = f"{path} was written by somebody else at the same time"
            raise PlatformUnavailable(BLOBS, "repair a file", status=409, message=message, advice="Try again.")

    def text_and_etag(self, path: str) -> tuple[str, str] | None:
        """A small file and what tells it from any later one; None when there is none."""

        def read() -> tuple[str, str]:
            download = self._client.download_blob(path, max_concurrency=1)
            return bytes(download.readall()).decode("utf-8", "replace"), str(download.properties.etag)

        try:
            return _asked("send a file", read)
        except PlatformError as error:
            if _absent(error):
                return None
            raise

    def write_text(self, path: str, text: str, etag: str | None) -> bool:
        """A small file, if what is there still has the etag (None: if there is nothing). Whether it was written."""
        data = text.encode()
        md5 = hashlib.md5(data, usedforsecurity=False).digest()
        return self._upload_if(path, data, len(data), md5, self._if_still(etag))

    def sha256_of(self, path: str) -> str:
        """Reads the whole file."""

        def read() -> str:
            digest = hashlib.sha256()
            for chunk in self._client.download_blob(path, max_concurrency=1).chunks():
                digest.update(chunk)
            return digest.hexdigest()

        return _asked("send a file", read)

    @staticmethod
    def _if_still(etag: str | None) -> dict[str, Any]:
        from azure.core import MatchConditions

        if etag is None:
            return {"match_condition": MatchConditions.IfMissing}
        return {"etag": etag, "match_condition": MatchConditions.IfNotModified}

    def put_text(self, path: str, text: str) -> bool:
        """A small file; False when there is one under the path already, whatever it holds."""
        data = text.encode()
        try:
            self._upload(path, data, len(data), hashlib.md5(data, usedforsecurity=False).digest())
        except PlatformError as error:
            if error.message in TAKEN:
                return False
            raise
        return True

    def read_text(self, path: str) -> str | None:
        """A small file; None when there is none."""
        try:
            data = _asked("send a file", lambda: self._client.download_blob(path, max_concurrency=1).readall())
        except PlatformError as error:
            if _absent(error):
                return None
            raise
        return bytes(data).decode()

    def listed(self, folder: str) -> Iterator[StoredFile]:
        """What lies below a folder, a page at a time."""
        blobs = iter(self._client.list_blobs(name_starts_with=folder, results_per_page=5000, include=WITH_METADATA))
        while (blob := _asked("list a folder", lambda: next(blobs, None))) is not None:
            if not is_folder(blob):
                yield _stored(blob)

    def copy_to(self, source: str, target: str, still: Callable[[], bool] = lambda: True) -> bool:
        """The target becomes a copy of the source, made by Azure. False when it holds the same already, or when `still`
        says, after the target was looked at, that it shall not be the copy any more.

        Raises PlatformUnavailable when somebody else writes the target meanwhile: asked again, it is looked at anew.
        """
        wanted, there = self._properties(source), self._properties(target)
        if wanted is None:
            raise NotFound(BLOBS, "copy a file", status=404, message=f"{source} is not there")
        if there is not None and _stored(there).md5_hex == _stored(wanted).md5_hex is not None:
            return False
        if not still():
            return False
        self._copy(self._signed(source), target, wanted.etag, self._if_still(None if there is None else there.etag))
        copied = self.look(target)
        if copied is None or copied.md5_hex != _stored(wanted).md5_hex:
            message = f"{target} was written by somebody else at the same time"
            raise PlatformUnavailable(BLOBS, "copy a file", status=409, message=message, advice="Try again.")
        return True

    def take_copy(self, source: str, target: str, *, md5_hex: str, size: int, replace: bool = False) -> bool:
        """A file of the container under a second name, copied by Azure. False when the source is not that file.

        Its MD5 is kept with it. A target that is there already has to be the same, or is written over with `replace`:
        else raises ContentMismatch.
        """
        held = self._properties(target)
        there = None if held is None else _stored(held)
        if there is None or (replace and (there.bytes, there.md5_hex) != (size, md5_hex)):
            found = self._properties(source)
            if found is None or (_stored(found).bytes, _stored(found).md5_hex) != (size, md5_hex):
                return False
            self._copy(self._signed(source), target, found.etag, self._if_still(None if held is None else held.etag))
            there = self.look(target)
        if there is None or (there.bytes, there.md5_hex) != (size, md5_hex):
            raise ContentMismatch(f"{target} holds something else than {source}: it is never written over")
        return True

    def copy_in(
        self, source_url: str, target: str, *, etag: str | None, md5_hex: str, size: int, replace: bool = False
    ) -> None:
        """A file of another container (its URL with what opens it), copied by Azure while it has the etag.

        Where the source keeps no MD5, the given one is put beside the copy. Raises ContentMismatch when the source
        changed or is another file, or when the target holds something else and is not to be written over (`replace`).
        """
        from azure.storage.blob import ContentSettings

        there = self._properties(target)
        wrong = there is not None and (_stored(there).bytes, _stored(there).md5_hex) != (size, md5_hex)
        if there is None or (replace and wrong):
            self._copy(source_url, target, etag, self._if_still(None if there is None else there.etag))
            there = self._properties(target)
        if there is not None and _stored(there).bytes == size and _stored(there).md5_hex is None:
            settings = ContentSettings(
                content_type=there.content_settings.content_type, content_md5=bytearray.fromhex(md5_hex)
            )
            blob = self._client.get_blob_client(target)
            _asked("keep a checksum", lambda: blob.set_http_headers(settings))
            there = self._properties(target)
        if there is None or (_stored(there).bytes, _stored(there).md5_hex) != (size, md5_hex):
            raise ContentMismatch(f"{target} is not the image that was checked: take stock again")

    def _copy(self, source_url: str, target: str, etag: str | None, condition: dict[str, Any]) -> None:
        from azure.core import MatchConditions

        blob = self._client.get_blob_client(target)
        source: dict[str, Any] = {}
        if etag is not None:
            source = {"source_etag": etag, "source_match_condition": MatchConditions.IfNotModified}
        try:
            started = _asked(
                "copy a file", lambda: blob.start_copy_from_url(source_url, **source, **condition), conflicts=True
            )
        except PlatformError as error:
            if error.message in TAKEN | _CHANGED:
                return  # the caller looks at what is there now
            raise
        if started.get("copy_status") == "pending":
            self._await(target)

    def _await(self, target: str, pause: float = 0.5) -> None:
        """Until the copy is whole. What is left of one that failed or took too long is removed."""
        blob, end = self._client.get_blob_client(target), time.monotonic() + self._deadline
        while True:
            copy = _asked("say how a copy goes", blob.get_blob_properties).copy
            if copy.status in ("success", None):
                return
            late = copy.status == "pending" and time.monotonic() >= end
            if late:
                _asked("give up a copy", partial(blob.abort_copy, str(copy.id)))
            if late or copy.status != "pending":
                _asked("remove a copy", blob.delete_blob)
                message = "it took too long" if late else f"it is {copy.status}"
                raise PlatformUnavailable(BLOBS, "copy a file", message=message, advice="Try again.")
            time.sleep(pause)
            pause = min(2 * pause, 10.0)

    def _signed(self, path: str) -> str:
        """The URL of a blob of this container as Azure may read it."""
        blob = self._client.get_blob_client(path)
        if not self._account.key:
            return str(blob.url)  # has the signature in it, or the identity may read its own account
        from azure.storage.blob import generate_blob_sas

        name = unquote(urlsplit(self._account.container_url).path.rpartition("/")[2])
        signature = generate_blob_sas(
            self._account.name,
            name,
            path,
            account_key=self._account.key,
            permission="r",
            expiry=datetime.now(UTC) + _COPY_SIGNED_FOR,
        )
        return f"{blob.url.partition('?')[0]}?{signature}"

    def _properties(self, path: str) -> BlobProperties | None:
        blob = self._client.get_blob_client(path)
        try:
            return _asked("say what it holds", blob.get_blob_properties)
        except PlatformError as error:
            if _absent(error):
                return None
            raise

    def _upload_if(self, path: str, data: Any, size: int, md5: bytes, condition: dict[str, Any]) -> bool:
        """Whether it was written; False when the condition does not hold."""
        try:
            self._upload(path, data, size, md5, overwrite=True, **condition)
        except PlatformError as error:
            if error.message in TAKEN | _CHANGED:
                return False
            raise
        return True

    def _upload(self, path: str, data: Any, size: int, md5: bytes, **how: Any) -> None:
        from azure.storage.blob import ContentSettings

        settings = ContentSettings(
            content_type=_TYPES.get(Path(path).suffix.lower(), "application/octet-stream"), content_md5=bytearray(md5)
        )
        _asked(
            "keep a file",
            lambda: self._client.upload_blob(
                path,
                data,
                length=size,
                content_settings=settings,
                # Every request carries the MD5 of its body: the store refuses one that was damaged on its way.
                validate_content=True,
                max_concurrency=self._threads,
                **({"overwrite": False} | how),
            ),
            conflicts=True,
        )


def md5_of(file: Path) -> bytes:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).digest()


def _stored(blob: BlobProperties) -> StoredFile:
    md5 = blob.content_settings.content_md5
    return StoredFile(str(blob.name), int(blob.size), bytes(md5).hex() if md5 else None)


def _absent(error: PlatformError) -> bool:
    """Whether it is the blob that is not there; a container that is gone is another thing."""
    return error.status == 404 and error.message != "ContainerNotFound"


def _asked(operation: str, call: Callable[[], T], *, conflicts: bool = False) -> T:
    """The call's answer. The errors raised carry nothing of the client's own, which repeat signed URLs."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - translated, or raised again
        failure = translated(error, BLOBS, operation)
    if failure.status in (401, 403):
        advice = "The identity needs the role Storage Blob Data Contributor, a signature the rights racwl."
        raise AccessDenied(BLOBS, operation, status=failure.status, message=failure.message, advice=advice)
    if failure.status == 404 and failure.message == "ContainerNotFound":
        raise NotFound(
            BLOBS, operation, status=404, message=failure.message, advice="Make the container, or name another."
        )
    if failure.status in (409, 412) and not conflicts:
        raise PlatformUnavailable(BLOBS, operation, status=failure.status, message=failure.message, advice="Try again.")
    raise failure
