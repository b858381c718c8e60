"""Azure Blob as the store: dropboxes are containers with Azure's signatures, copies are made by Azure itself.

Only bytes that must be checked are downloaded. A container or blob without this service's mark in its metadata is never
touched.
"""

from __future__ import annotations

import time
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path
from secrets import token_hex
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobClient, BlobServiceClient, ContentSettings
from sqlalchemy import Connection

from labelwright.service.blobs.sas import Signer
from labelwright.service.blobs.store import Blob, Incoming
from labelwright.service.config import DROPBOX_RIGHTS, AzureStorage, ServiceConfig

from .azure_sas import Signatures, open_account
from .protocol import Copy, StorageDown

_DAY = 86_400


class CopyFailed(RuntimeError):
    """Azure failed to copy a blob, or took too long. Sealing retries."""


class AzureStore:
    def __init__(self, config: ServiceConfig, account_settings: AzureStorage) -> None:
        self._config = config
        self._given = account_settings
        self._account: BlobServiceClient
        self._sign: Signatures
        self._account, self._sign = open_account(account_settings)
        self._folder = config.data_dir / "fetched"
        self._mark = Signer.of(config.data_dir).mark()

    def open(self) -> None:
        self._folder.mkdir(exist_ok=True)
        for path in self._folder.iterdir():  # of a process that was killed
            if path.stat().st_mtime < time.time() - _DAY:
                path.unlink(missing_ok=True)
        with _asking("make the main container"):
            main = self._account.get_container_client(self._config.main_container)
            if not main.exists():
                main.create_container()

    def close(self) -> None:
        self._account.close()

    # --- dropboxes

    def create_dropbox(self, connection: Connection, name: str) -> bool:
        container = self._account.get_container_client(name)
        with _asking("make a dropbox"):
            try:
                container.create_container(metadata={"labelwright": self._mark})
            except ResourceExistsError as error:
                # One that is being deleted has its name for another while: the next name will do.
                if _code(error) != "ContainerAlreadyExists":
                    return False
                # Ours when we were killed between making it and saying so.
                if (container.get_container_properties().metadata or {}).get("labelwright") != self._mark:
                    return False
        return True

    def dropbox_url(self, name: str, base_url: str) -> str:
        container = self._account.get_container_client(name)
        with _asking("sign a dropbox"):
            signature = self._sign.container(name, DROPBOX_RIGHTS, self._config.dropbox_lifetime)
        return f"{container.url}?{signature}"

    def close_dropbox(self, connection: Connection, name: str) -> None:
        """Does nothing: Azure cannot revoke a signature, so uploads must end before the set is finished."""
        with _asking("find the dropbox"):
            self._account.get_container_client(name).get_container_properties()

    def dropped(self, name: str, after: str) -> Iterator[Blob]:
        # Azure says no word on how it sorts characters beyond ASCII: ids shall not depend on it.
        with _asking("list a dropbox"):
            listing = self._account.get_container_client(name).list_blobs(include=["metadata"])
            # Accounts with a hierarchical namespace list folders as empty blobs, and only their metadata tells.
            listed = [
                _blob(properties) for properties in listing if (properties.metadata or {}).get("hdi_isfolder") != "true"
            ]
        return iter(sorted((blob for blob in listed if blob.name > after), key=lambda blob: blob.name))

    def local(self, dropbox: str, blob: Blob) -> AbstractContextManager[Path]:
        unchanged: dict[str, Any] = {"etag": blob.etag, "match_condition": MatchConditions.IfNotModified}
        return self._fetched(dropbox, blob.name, unchanged if blob.size else {})

    def kept(self, name: str) -> AbstractContextManager[Path]:
        return self._fetched(self._config.main_container, name, {})

    @contextmanager
    def _fetched(self, container: str, name: str, condition: dict[str, Any]) -> Iterator[Path]:
        path = self._folder / token_hex(16)
        client = self._account.get_blob_client(container, name)
        try:
            with _asking("fetch a file"), path.open("xb") as file:
                try:
                    client.download_blob(**condition).readinto(file)
                except ResourceNotFoundError:
                    raise FileNotFoundError(name) from None
            yield path
        finally:
            path.unlink(missing_ok=True)

    def delete_dropbox(self, name: str) -> None:
        with _asking("delete a dropbox"):
            try:
                self._account.delete_container(name)
            except ResourceNotFoundError:
                pass
            except HttpResponseError as error:
                if _code(error) != "ContainerBeingDeleted":
                    raise

    # --- the main container

    def copy(self, dropbox: str, copy: Copy) -> str | None:
        client = self._account.get_blob_client(self._config.main_container, copy.name)
        source = self._account.get_blob_client(dropbox, copy.source.name)
        readable = self._sign.blob(dropbox, copy.source.name, "r", self._given.copy_deadline + timedelta(hours=1))
        # Told with the copy itself: whoever was killed meanwhile knows it again.
        metadata = {"labelwright": self._mark, "md5": copy.md5}
        deadline = time.monotonic() + self._given.copy_deadline.total_seconds()
        with _asking("copy a file"):
            try:
                started = client.start_copy_from_url(
                    f"{source.url}?{readable}",
                    metadata=metadata,
                    match_condition=MatchConditions.IfMissing,
                    source_etag=copy.source.etag,
                    source_match_condition=MatchConditions.IfNotModified,
                )
            except ResourceExistsError:
                if client.get_blob_properties().metadata != metadata:
                    return f"the store holds another file at {copy.name} already: it is not overwritten"
                started = {}
            if started.get("copy_status") != "success":
                await_copy(client, deadline)
            settings = ContentSettings(content_type=copy.content_type, content_md5=bytearray(b64decode(copy.md5)))
            client.set_http_headers(settings)
        return None

    def enter(self, connection: Connection, copies: Sequence[Copy]) -> None:
        pass  # they are there already

    def draft(self) -> Incoming:
        return Incoming(self._folder / token_hex(16))

    def put_draft(self, connection: Connection, name: str, draft: Incoming, md5: str, content_type: str) -> None:
        settings = ContentSettings(content_type=content_type, content_md5=bytearray(b64decode(md5)))
        client = self._account.get_blob_client(self._config.main_container, name)
        with _asking("write a labels file"), draft.path.open("rb") as file:
            client.upload_blob(file, overwrite=True, content_settings=settings)
        draft.drop()

    def url(self, name: str, base_url: str) -> str:
        client = self._account.get_blob_client(self._config.main_container, name)
        with _asking("sign a URL"):
            signature = self._sign.blob(self._config.main_container, name, "r", self._config.image_url_lifetime)
        return f"{client.url}?{signature}"


def await_copy(client: BlobClient, deadline: float, pause: float = 1.0) -> None:
    """Waits until the copy into this blob is complete. Raises CopyFailed; then the partial copy is deleted.

    `deadline` is a time of the monotonic clock.
    """
    while True:
        copy = client.get_blob_properties().copy
        if copy.status in ("success", None):  # None: it was no copy, or is long since one
            return
        if copy.status != "pending":
            client.delete_blob()
            raise CopyFailed(f"a copy is {copy.status}: {copy.status_description}")
        if time.monotonic() >= deadline:
            client.abort_copy(str(copy.id))
            client.delete_blob()
            raise CopyFailed(f"a copy was pending for too long: {copy.progress} bytes came")
        time.sleep(pause)


@contextmanager
def _asking(what: str) -> Iterator[None]:
    try:
        yield
    except AzureError as error:
        # Its first line: the others name URLs, and those hold signatures.
        reason = _code(error) or type(error).__name__
        raise StorageDown(f"the store did not {what} ({reason}): try again") from error


def _code(error: AzureError) -> str:
    """Returns Azure's error code, or an empty text."""
    return str(getattr(error, "error_code", None) or "")


def _blob(properties: Any) -> Blob:
    settings = properties.content_settings
    md5 = b64encode(bytes(settings.content_md5)).decode() if settings.content_md5 else None
    return Blob(properties.name, "", properties.size, md5, settings.content_type or "", properties.etag, "")
