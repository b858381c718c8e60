"""The data directory as the store, behind the service's own part of the Azure Blob API."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection

from labelwright.domain.paths import flush_to_disk
from labelwright.service.blobs.sas import Signer
from labelwright.service.blobs.store import Blob, BlobRefused, Blobs, Condition, Incoming, copied, fresh_blob
from labelwright.service.config import BLOB, DROPBOX_RIGHTS, ServiceConfig
from labelwright.service.database import Database

from .protocol import Copy

log = logging.getLogger("labelwright.service")

_PAGE = 1_000


class DataDirectory:
    def __init__(self, config: ServiceConfig, database: Database) -> None:
        self._config = config
        self._database = database
        self.blobs = Blobs(config.data_dir, database)
        self.signer = Signer.of(config.data_dir)

    def open(self) -> None:
        with self._database.write() as connection:
            self.blobs.create_container(connection, self._config.main_container)
        threading.Thread(target=self._sweep, name="sweeping", daemon=True).start()

    def close(self) -> None:
        pass

    def create_dropbox(self, connection: Connection, name: str) -> bool:
        self.blobs.create_container(connection, name)
        return True

    def dropbox_url(self, name: str, base_url: str) -> str:
        return f"{base_url}{BLOB}/{name}?{self.signer.sign(name, None, DROPBOX_RIGHTS, self._config.dropbox_lifetime)}"

    def close_dropbox(self, connection: Connection, name: str) -> None:
        self.blobs.seal_container(connection, name)

    def dropped(self, name: str, after: str) -> Iterator[Blob]:
        while True:
            with self._database.read() as connection:
                page = self.blobs.after(connection, name, "", after, _PAGE)
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1].name

    @contextmanager
    def local(self, dropbox: str, blob: Blob) -> Iterator[Path]:
        path = self.blobs.path(blob.file)
        flush_to_disk(path)  # before a row promises that it is there
        yield path

    def delete_dropbox(self, name: str) -> None:
        with self._database.write() as connection:
            files = self.blobs.delete_container(connection, name)
        self.blobs.unlink_unused(files)

    def copy(self, dropbox: str, copy: Copy) -> str | None:
        return None  # it is a row that points to the same file

    def enter(self, connection: Connection, copies: Sequence[Copy]) -> None:
        rows = [copied(copy.source, copy.name, content_type=copy.content_type, md5=copy.md5) for copy in copies]
        self.blobs.put_rows(connection, self._config.main_container, [(row, Condition()) for row in rows])

    def draft(self) -> Incoming:
        return self.blobs.incoming()

    def put_draft(self, connection: Connection, name: str, draft: Incoming, md5: str, content_type: str) -> None:
        blob = fresh_blob(name, draft.file, draft.size, md5, content_type)
        # A file that it replaces is left to the next start's sweeping: it goes only after the commit.
        self.blobs.put_row(connection, self._config.main_container, blob)

    @contextmanager
    def kept(self, name: str) -> Iterator[Path]:
        try:
            blob = self.blobs.get(self._config.main_container, name)
        except BlobRefused:
            raise FileNotFoundError(name) from None
        yield self.blobs.path(blob.file)

    def url(self, name: str, base_url: str) -> str:
        container = self._config.main_container
        signature = self.signer.sign(container, name, "r", self._config.image_url_lifetime)
        return f"{base_url}{BLOB}/{container}/{quote(name)}?{signature}"

    def _sweep(self) -> None:
        try:
            self.blobs.sweep()
        except Exception:
            log.exception("sweeping files that nothing points to failed; the next start tries again")
