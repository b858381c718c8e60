"""Stores blobs: their bytes in files with generated names, everything else in the database.

A blob's name never becomes a path, so `..`, `a` beside `a/b` and a thousand characters are all safe. Files
never change: a copy is a row that points to the same file, and a file is deleted when no row points to it.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, insert, select, update

from labelwright.service.database import Database, blobs, blocks, containers


class BlobRefused(Exception):
    """A refused blob request, with Azure's error codes and statuses."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def no_container() -> BlobRefused:
    return BlobRefused(404, "ContainerNotFound", "The specified container does not exist.")


def no_blob() -> BlobRefused:
    return BlobRefused(404, "BlobNotFound", "The specified blob does not exist.")


@dataclass(frozen=True, slots=True)
class Blob:
    name: str
    file: str
    size: int
    md5: str | None
    """Content-MD5 in base64; None for blobs made of blocks whose sender gave none."""
    content_type: str
    etag: str
    modified: str
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Condition:
    """ETags that a blob must (or must not) have for a call to proceed; `*` matches any blob."""

    match: str | None = None
    none_match: str | None = None

    def check_write(self, etag: str | None) -> None:
        if self.none_match == "*" and etag is not None:
            raise BlobRefused(409, "BlobAlreadyExists", "The specified blob already exists.")
        if self.match is not None and (etag is None or self.match not in ("*", etag)):
            raise BlobRefused(412, "ConditionNotMet", "The blob is not the one named in If-Match.")
        if self.none_match not in (None, "*") and etag == self.none_match:
            raise BlobRefused(412, "ConditionNotMet", "The blob is the one named in If-None-Match.")


class Incoming:
    """A file that is being received, hashed while it is written. Call `drop` unless it becomes a blob."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path.name
        self.size = 0
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._target: BinaryIO | None = None

    def write(self, chunks: Sequence[bytes]) -> None:
        if self._target is None:
            self._target = self.path.open("xb", buffering=0)
        for chunk in chunks:
            self._md5.update(chunk)
            self.size += len(chunk)
            self._target.write(chunk)

    def close(self) -> str:
        """Closes the file and returns its MD5 in base64."""
        if self._target is None:
            self.write(())
        assert self._target is not None  # noqa: S101
        self._target.close()
        return b64encode(self._md5.digest()).decode()

    def drop(self) -> None:
        if self._target is not None:
            self._target.close()
        self.path.unlink(missing_ok=True)


class Blobs:
    """The containers and blobs of a data directory. Thread-safe."""

    def __init__(self, data_dir: Path, database: Database) -> None:
        self._folder = data_dir / "blobs"
        self._database = database
        for number in range(256):
            (self._folder / f"{number:02x}").mkdir(parents=True, exist_ok=True)

    def path(self, file: str) -> Path:
        return self._folder / file[:2] / file

    def incoming(self) -> Incoming:
        return Incoming(self.path(secrets.token_hex(16)))

    # --- containers

    def create_container(self, connection: Connection, name: str) -> None:
        """Creates the container if it does not exist."""
        if connection.execute(select(containers.c.id).where(containers.c.name == name)).one_or_none() is None:
            connection.execute(insert(containers).values(name=name, sealed=False))

    def seal_container(self, connection: Connection, name: str) -> None:
        """Refuses further writes into the container."""
        connection.execute(update(containers).where(containers.c.name == name).values(sealed=True))

    def delete_container(self, connection: Connection, name: str) -> list[str]:
        """Deletes the container and its blobs; returns files to pass to `unlink_unused` after the commit."""
        row = connection.execute(select(containers.c.id).where(containers.c.name == name)).one_or_none()
        if row is None:
            return []
        files: list[str] = []
        for table in (blobs, blocks):
            inside = table.c.container_id == row.id
            files += connection.execute(select(table.c.file).where(inside)).scalars()
            connection.execute(delete(table).where(inside))
        connection.execute(delete(containers).where(containers.c.id == row.id))
        return files

    # --- blobs

    def put_row(self, connection: Connection, container: str, blob: Blob) -> str | None:
        """Stores the blob's row; returns the replaced file, if any, to pass to `unlink_unused` after the commit."""
        return next(iter(self.put_rows(connection, container, [(blob, Condition())])[1]), None)

    def put_rows(
        self, connection: Connection, container: str, puts: Sequence[tuple[Blob, Condition]]
    ) -> tuple[list[BlobRefused | None], list[str]]:
        """Stores the rows of blobs, one after the other, by as few statements as for one.

        Returns for each blob why it was refused, or None; and the replaced files, to pass to `unlink_unused` after the
        commit. Raises BlobRefused when the container takes none.
        """
        container_id = self._container(connection, container, writing=True)
        current: dict[str, tuple[str, str]] = {}
        for batch in _batches([blob.name for blob, _ in puts]):
            query = select(blobs.c.name, blobs.c.etag, blobs.c.file)
            here = and_(blobs.c.container_id == container_id, blobs.c.name.in_(batch))
            current.update((row.name, (row.etag, row.file)) for row in connection.execute(query.where(here)))
        stored_before = set(current)
        refusals, replaced, rows = list[BlobRefused | None](), list[str](), dict[str, dict[str, object]]()
        for blob, condition in puts:
            etag, file = current.get(blob.name, (None, blob.file))
            try:
                condition.check_write(etag)
            except BlobRefused as error:
                refusals.append(error)
                continue
            refusals.append(None)
            if file != blob.file:
                replaced.append(file)
            current[blob.name] = (blob.etag, blob.file)
            rows[blob.name] = {"container_id": container_id, **_columns(blob)}
        for batch in _batches([name for name in rows if name in stored_before]):
            connection.execute(delete(blobs).where(blobs.c.container_id == container_id, blobs.c.name.in_(batch)))
        if rows:
            connection.execute(insert(blobs), list(rows.values()))
        return refusals, replaced

    def get(self, container: str, name: str) -> Blob:
        with self._database.read() as connection:
            return self.get_row(connection, container, name)

    def get_row(self, connection: Connection, container: str, name: str) -> Blob:
        container_id = self._container(connection, container, writing=False)
        here = and_(blobs.c.container_id == container_id, blobs.c.name == name)
        row = connection.execute(select(blobs).where(here)).one_or_none()
        if row is None:
            raise no_blob()
        return _blob(row)

    def delete(self, container: str, name: str, condition: Condition) -> None:
        with self._database.write(durable=False) as connection:
            container_id = self._container(connection, container, writing=True)
            here = and_(blobs.c.container_id == container_id, blobs.c.name == name)
            row = connection.execute(select(blobs.c.id, blobs.c.etag, blobs.c.file).where(here)).one_or_none()
            if row is None:
                raise no_blob()
            condition.check_write(row.etag)
            connection.execute(delete(blobs).where(blobs.c.id == row.id))
        self.unlink_unused([row.file])

    def after(self, connection: Connection, container: str, prefix: str, after: str, limit: int) -> list[Blob]:
        """Returns up to `limit` blobs with the prefix whose names come after `after`, by code point."""
        container_id = self._container(connection, container, writing=False)
        conditions: list[ColumnElement[bool]] = [blobs.c.container_id == container_id]
        if prefix:
            conditions.append(blobs.c.name >= prefix)
            if (end := successor(prefix)) is not None:
                conditions.append(blobs.c.name < end)
        if after:
            conditions.append(blobs.c.name > after)
        rows = connection.execute(select(blobs).where(*conditions).order_by(blobs.c.name).limit(limit))
        return [_blob(row) for row in rows]

    def entries(
        self, container: str, prefix: str, delimiter: str, after: str, limit: int
    ) -> tuple[list[Blob | str], str | None]:
        """Returns a page of a listing: blobs, and common prefixes as text; and the position of the next page."""
        entries: list[Blob | str] = []
        with self._database.read() as connection:
            while True:
                page = self.after(connection, container, prefix, after, limit + 1 - len(entries))
                for blob in page:
                    cut = blob.name.find(delimiter, len(prefix)) if delimiter else -1
                    if len(entries) == limit:
                        return entries, after
                    if cut < 0:
                        entries.append(blob)
                        after = blob.name
                    else:
                        common = blob.name[: cut + len(delimiter)]
                        entries.append(common)
                        # The last name that could begin so; the next page of the database starts behind it.
                        after = common + "\U0010ffff" * 8
                        break
                else:
                    return entries, None

    # --- blocks

    def put_block(self, container: str, name: str, block_id: str, incoming: Incoming) -> None:
        """Stores a block until a block list commits it. On failure its file is deleted."""
        try:
            with self._database.write(durable=False) as connection:
                container_id = self._container(connection, container, writing=True)
                here = and_(blocks.c.container_id == container_id, blocks.c.name == name, blocks.c.block_id == block_id)
                before = list(connection.execute(select(blocks.c.file).where(here)).scalars())
                connection.execute(delete(blocks).where(here))
                connection.execute(
                    insert(blocks).values(
                        container_id=container_id, name=name, block_id=block_id, file=incoming.file, size=incoming.size
                    )
                )
        except BaseException:
            incoming.drop()
            raise
        self.unlink_unused(before)

    def staged(self, container: str, name: str) -> dict[str, tuple[str, int]]:
        """Returns the uncommitted blocks: file and size by block id."""
        with self._database.read() as connection:
            container_id = self._container(connection, container, writing=False)
            here = and_(blocks.c.container_id == container_id, blocks.c.name == name)
            rows = connection.execute(select(blocks).where(here).order_by(blocks.c.id))
            return {row.block_id: (row.file, row.size) for row in rows}

    def join_blocks(self, container: str, name: str, block_ids: Sequence[str], largest: int) -> Incoming:
        """Concatenates the listed blocks to a file for `put`. Raises BlobRefused for an unknown block."""
        staged = self.staged(container, name)
        if any(block_id not in staged for block_id in block_ids):
            raise BlobRefused(400, "InvalidBlockList", "The list names a block that was not uploaded.")
        if sum(staged[block_id][1] for block_id in block_ids) > largest:
            raise BlobRefused(413, "RequestBodyTooLarge", f"A blob is at most {largest} bytes here.")
        incoming = self.incoming()
        try:
            for block_id in block_ids:
                with self.path(staged[block_id][0]).open("rb") as source:
                    while chunk := source.read(1024**2):
                        incoming.write((chunk,))
        except FileNotFoundError:
            incoming.drop()
            raise BlobRefused(400, "InvalidBlockList", "A block was replaced while it was read: try again.") from None
        except BaseException:
            incoming.drop()
            raise
        return incoming

    def drop_blocks(self, container: str, name: str) -> None:
        with self._database.write(durable=False) as connection:
            container_id = self._container(connection, container, writing=False)
            here = and_(blocks.c.container_id == container_id, blocks.c.name == name)
            files = list(connection.execute(select(blocks.c.file).where(here)).scalars())
            connection.execute(delete(blocks).where(here))
        self.unlink_unused(files)

    # --- files

    def unlink_unused(self, files: Sequence[str]) -> None:
        """Deletes files that no row points to. No row can start to point to such a file later."""
        for batch in _batches(files):
            with self._database.read() as connection:
                used = _used(connection, batch)
            for file in set(batch) - used:
                self.path(file).unlink(missing_ok=True)

    def sweep(self, older_than: float = 86_400) -> int:
        """Deletes files that a killed process left behind; returns their number."""
        swept = 0
        for folder in self._folder.iterdir():
            with os.scandir(folder) as entries:
                old = [entry.name for entry in entries if entry.stat().st_mtime < time.time() - older_than]
            for batch in _batches(old):
                with self._database.read() as connection:
                    unused = set(batch) - _used(connection, batch)
                for file in unused:
                    self.path(file).unlink(missing_ok=True)
                swept += len(unused)
        return swept

    def _container(self, connection: Connection, name: str, *, writing: bool) -> int:
        query = select(containers.c.id, containers.c.sealed).where(containers.c.name == name)
        row = connection.execute(query).one_or_none()
        if row is None:
            raise no_container()
        if writing and row.sealed:
            raise BlobRefused(409, "ContainerDisabled", "The image set is sealed: it takes no more changes.")
        return int(row.id)


def copied(blob: Blob, name: str, *, content_type: str, md5: str) -> Blob:
    """Returns the blob under another name, sharing its file."""
    return fresh_blob(name, blob.file, blob.size, md5, content_type)


def successor(prefix: str) -> str | None:
    """Returns the smallest text greater than every text with `prefix`, or None if there is none."""
    while prefix:
        last = ord(prefix[-1])
        if last < 0x10FFFF:
            return prefix[:-1] + chr(0xE000 if last == 0xD7FF else last + 1)
        prefix = prefix[:-1]
    return None


def pieces(file: BinaryIO, start: int, length: int, size: int = 512 * 1024) -> Iterator[bytes]:
    """Yields `length` bytes of a file from `start` on."""
    file.seek(start)
    while length > 0 and (piece := file.read(min(size, length))):
        length -= len(piece)
        yield piece


def fresh_blob(
    name: str,
    file: str,
    size: int,
    md5: str | None,
    content_type: str,
    *,
    metadata: Mapping[str, str] | None = None,
) -> Blob:
    """Returns a blob with the current time."""
    etag = f'"0x{secrets.token_hex(8).upper()}"'
    return Blob(name, file, size, md5, content_type, etag, formatdate(usegmt=True), metadata or {})


def _columns(blob: Blob) -> dict[str, object]:
    return {
        "name": blob.name,
        "file": blob.file,
        "size": blob.size,
        "md5": blob.md5,
        "content_type": blob.content_type,
        "etag": blob.etag,
        "modified": blob.modified,
        "metadata": json.dumps(dict(blob.metadata)) if blob.metadata else None,
    }


def _batches(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """The values, as many at a time as a statement takes."""
    return (values[start : start + 500] for start in range(0, len(values), 500))


def _blob(row: Row[tuple[object, ...]]) -> Blob:
    metadata = json.loads(row.metadata) if row.metadata else {}
    return Blob(row.name, row.file, row.size, row.md5, row.content_type, row.etag, row.modified, metadata)


def _used(connection: Connection, files: Sequence[str]) -> set[str]:
    used: set[str] = set()
    for table in (blobs, blocks):
        used.update(connection.execute(select(table.c.file).where(table.c.file.in_(files))).scalars())
    return used
