"""Protocol of the service's store: the data directory or Azure Blob.

The files of an image set are uploaded into its dropbox, a container of its own, by signed URLs. When the set is sealed
they are copied to the main container, where label files are written too, and the dropbox is deleted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection

from labelwright.service.api.errors import ServiceError
from labelwright.service.blobs.store import Blob, Incoming


class StorageDown(ServiceError):
    """The store does not answer, or refuses the service's credentials. The log has the details."""

    status = 503


class StorageRefused(RuntimeError):
    """The service cannot work on this store as it is configured. The message says what to do."""

    error_code = "LW6013"


@dataclass(frozen=True, slots=True)
class Copy:
    """A file to be copied from a dropbox into the main container."""

    source: Blob
    name: str
    """In the main container."""
    content_type: str
    md5: str
    """In base64."""


class Storage(Protocol):
    """Stores image sets and images. Thread-safe. A call with a `connection` is part of its transaction: its rows are
    rolled back with it; other effects stay, and may be repeated."""

    def open(self) -> None:
        """Creates the main container if it does not exist."""
        ...

    def close(self) -> None: ...

    # --- dropboxes

    def create_dropbox(self, connection: Connection, name: str) -> bool:
        """Creates a dropbox. Returns False when the name is taken by a container that is not this service's."""
        ...

    def dropbox_url(self, name: str, base_url: str) -> str: ...

    def close_dropbox(self, connection: Connection, name: str) -> None:
        """Refuses further files, as far as the store can."""
        ...

    def dropped(self, name: str, after: str) -> Iterator[Blob]:
        """Yields the files of a dropbox after `after`, by code point of their names."""
        ...

    def local(self, dropbox: str, blob: Blob) -> AbstractContextManager[Path]:
        """Gives a file of a dropbox as a local file during the block. Raises FileNotFoundError."""
        ...

    def delete_dropbox(self, name: str) -> None:
        """Deletes a dropbox and its files. Idempotent."""
        ...

    # --- the main container

    def copy(self, dropbox: str, copy: Copy) -> str | None:
        """Copies the bytes, before the transaction of `enter`. Returns the reason if it is impossible."""
        ...

    def enter(self, connection: Connection, copies: Sequence[Copy]) -> None:
        """Records the copies in the transaction."""
        ...

    def draft(self) -> Incoming:
        """Returns a new file for `put_draft`; otherwise drop it."""
        ...

    def put_draft(self, connection: Connection, name: str, draft: Incoming, md5: str, content_type: str) -> None:
        """Stores the draft, which is closed, as a blob."""
        ...

    def kept(self, name: str) -> AbstractContextManager[Path]:
        """Gives a blob as a local file during the block; do not change or keep it. Raises FileNotFoundError."""
        ...

    def url(self, name: str, base_url: str) -> str:
        """Returns a short-lived URL for reading one blob."""
        ...
