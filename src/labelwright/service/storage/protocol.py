"""Where the bytes are: the data directory, or Azure Blob. What both can do, and all that the service asks of them.

A set's files come into its dropbox, a container of its own, by URLs that we sign. When the set is sealed they are
copied to the main container, where labels files are written too, and the dropbox goes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection

from labelwright.service.api.errors import ServiceError
from labelwright.service.blobs.store import Blob, Incoming


class StorageDown(ServiceError):
    """The store gives no answer, or refuses ours. The log says more."""

    status = 503


class StorageRefused(RuntimeError):
    """The service cannot work on this store as it is configured. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A file of a dropbox on its way into the main container."""

    source: Blob
    name: str
    """In the main container."""
    content_type: str
    md5: str
    """In base64."""


class Storage(Protocol):
    """Safe to use from any thread. With a `connection` the call is part of its transaction: rows that it writes are
    undone with it; what it did elsewhere is done, and does no harm when it is done again."""

    def open(self) -> None:
        """Make the main container unless it is there."""
        ...

    def close(self) -> None: ...

    # --- dropboxes

    def create_dropbox(self, connection: Connection, name: str) -> bool:
        """False when there is a container of that name that is not ours to use."""
        ...

    def dropbox_url(self, name: str, base_url: str) -> str: ...

    def close_dropbox(self, connection: Connection, name: str) -> None:
        """Take no more files, as far as the store can refuse them."""
        ...

    def dropped(self, name: str, after: str) -> Iterator[Blob]:
        """The files by code point of their names, from the first that comes after `after`."""
        ...

    def local(self, dropbox: str, blob: Blob) -> AbstractContextManager[Path]:
        """The bytes, in a file that will not be lost before the block ends. Raises FileNotFoundError."""
        ...

    def delete_dropbox(self, name: str) -> None:
        """And all in it. Done again it does nothing."""
        ...

    # --- the main container

    def copy(self, dropbox: str, copy: Copy) -> str | None:
        """What can take long of a copy, before the transaction of `enter`; or the reason why it cannot be."""
        ...

    def enter(self, connection: Connection, copy: Copy) -> None:
        """The copy is there when the transaction is."""
        ...

    def draft(self) -> Incoming:
        """A file to be written, for `put_draft` or to be dropped."""
        ...

    def put_draft(self, connection: Connection, name: str, draft: Incoming, md5: str, content_type: str) -> None:
        """Make the draft, which is closed, the blob of that name."""
        ...

    def kept(self, name: str) -> AbstractContextManager[Path]:
        """The bytes of one blob, in a file that is not ours to keep. Raises FileNotFoundError."""
        ...

    def url(self, name: str, base_url: str) -> str:
        """A short-lived URL, for reading one blob."""
        ...
