"""The manifest in the ledger: which images belong to a campaign, and what became of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple, TypeVar
from uuid import uuid4

from sqlalchemy import Row, Select, bindparam, delete, func, insert, select, update
from sqlalchemy.engine import Connection

from labelwright.domain import Image, Reject, Size, VideoFrame

from . import tables as t
from .database import Database
from .errors import LedgerError

_CHUNK = 2000
"""Rows that are read or written at once: memory does not grow with the manifest."""

_AFTER_SLASH = chr(ord("/") + 1)
"""The character after the slash: ids are compared byte by byte."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """An image of the manifest, and its state on the platform."""

    image: Image
    location: str
    """A path, URL or blob name; never a secret."""
    position: int | None = None
    """From 1 in the order of names, once the manifest is complete."""
    stamp: str | None = None
    """Changes when a local file is changed after it was checked."""
    stored: bool = False
    """Whether it was seen on the platform's side."""
    remote_id: str | None = None
    source_name: str | None = None
    """The name as the source has it, where it differs."""
    group: str | None = None
    """Images of one group are in one part of a split."""
    frame: VideoFrame | None = None
    """Of an image that is a frame of a video."""


class ImageRow(NamedTuple):
    """What datasets have of an image of the manifest. Made ten times as fast as a ManifestEntry."""

    name: str
    location: str
    width: int
    height: int
    sha256: str
    format: str
    remote_id: str | None
    source_name: str | None
    group: str | None
    video: str | None
    frame: int | None
    time_seconds: float | None


class Checksum(NamedTuple):
    """What the content of an image is verified by."""

    name: str
    bytes: int
    md5: str


class Manifests:
    """The manifests of campaigns. A complete one changes only where the platform leaves an image out."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # Inventory

    def begin(self, title: str) -> str:
        """Begins a pass over the images. Returns its mark. Entries of an interrupted pass can still be read."""
        with self._database.write() as connection:
            self._refuse_when_complete(connection, title)
            connection.execute(delete(t.rejects).where(t.rejects.c.campaign == title))
        return uuid4().hex

    def add(self, title: str, mark: str, entries: Sequence[ManifestEntry], rejects: Sequence[Reject] = ()) -> None:
        """Records entries and rejects of the pass."""
        with self._database.write() as connection:
            self._refuse_when_complete(connection, title)
            for chunk in stretches(entries, 500):
                names = [entry.image.name for entry in chunk]
                connection.execute(delete(t.images).where(t.images.c.campaign == title, t.images.c.name.in_(names)))
                connection.execute(insert(t.images), [_row_from(title, mark, entry) for entry in chunk])
            if rejects:
                rows = [{"campaign": title, "name": reject.name, "reason": reject.reason} for reject in rejects]
                connection.execute(insert(t.rejects), rows)

    def complete(self, title: str, mark: str) -> int:
        """Ends the pass: deletes images that it did not see, and numbers the others by name. Returns their number."""
        with self._database.write() as connection:
            self._refuse_when_complete(connection, title)
            connection.execute(delete(t.images).where(t.images.c.campaign == title, t.images.c["pass"] != mark))
            count, after = 0, ""
            while True:
                query = select(t.images.c.name).where(t.images.c.campaign == title, t.images.c.name > after)
                names = connection.scalars(query.order_by(t.images.c.name).limit(_CHUNK)).all()
                if names:
                    rows = [{"of": name, "to": position} for position, name in enumerate(names, count + 1)]
                    connection.execute(_update_by_name(title, position=bindparam("to")), rows)
                    after = names[-1]
                count += len(names)
                if len(names) < _CHUNK:
                    break
            connection.execute(update(t.campaigns).where(t.campaigns.c.title == title).values(images=count))
        return count

    def reopen_empty(self, title: str) -> None:
        """Makes an empty manifest incomplete again, so that the next pass may fill it."""
        with self._database.write() as connection:
            campaign = (t.campaigns.c.title == title) & (t.campaigns.c.images == 0)
            connection.execute(update(t.campaigns).where(campaign).values(images=None))

    @staticmethod
    def _refuse_when_complete(connection: Connection, title: str) -> None:
        # The row is locked to the end of the transaction: no other transaction writes this manifest meanwhile.
        row = select(t.campaigns.c.images).where(t.campaigns.c.title == title).with_for_update(key_share=True)
        if connection.scalar(row) is not None:
            raise LedgerError(f"the manifest of '{title}' is complete and cannot be changed")

    # Reading

    def find(self, title: str, name: str) -> ManifestEntry | None:
        with self._database.read() as connection:
            row = connection.execute(
                select(t.images).where(t.images.c.campaign == title, t.images.c.name == name)
            ).one_or_none()
        return None if row is None else _entry_from(row)

    def named(self, title: str, names: Iterable[str]) -> dict[str, ManifestEntry]:
        """By name, the entries of those of the names that the manifest has."""
        entries: dict[str, ManifestEntry] = {}
        for chunk in stretches(names, 500):
            query = select(t.images).where(t.images.c.campaign == title, t.images.c.name.in_(chunk))
            entries.update((row.name, _entry_from(row)) for row in self._read(query))
        return entries

    def entries(self, title: str) -> Iterator[ManifestEntry]:
        """Every image in the order of names, read in chunks."""
        return map(_entry_from, self._in_order(select(t.images), title))

    def image_rows(self, title: str) -> Iterator[ImageRow]:
        """As `entries`, with what datasets need of an image."""
        columns = t.images.c
        query = select(
            columns.name,
            columns.location,
            columns.width,
            columns.height,
            columns.sha256,
            columns.format,
            columns.remote_id,
            columns.source_name,
            columns.split_group,
            columns.video,
            columns.frame,
            columns.time_seconds,
        )
        return map(ImageRow._make, self._in_order(query, title))

    def _in_order(self, query: Select[Any], title: str) -> Iterator[Row[Any]]:
        after = ""
        while True:
            chunk = query.where(t.images.c.campaign == title, t.images.c.name > after)
            rows = self._read(chunk.order_by(t.images.c.name).limit(_CHUNK))
            yield from rows
            if len(rows) < _CHUNK:
                return
            after = rows[-1].name

    def checksums(self, title: str) -> Iterator[Checksum]:
        """Those of every image in the order of names, read in chunks."""
        after = ""
        while True:
            columns = select(t.images.c.name, t.images.c.bytes, t.images.c.md5)
            query = columns.where(t.images.c.campaign == title, t.images.c.name > after)
            rows = self._read(query.order_by(t.images.c.name).limit(_CHUNK))
            yield from map(Checksum._make, rows)
            if len(rows) < _CHUNK:
                return
            after = rows[-1].name

    def not_stored(self, title: str, first: int, last: int) -> list[ManifestEntry]:
        """Images at positions first to last (both counted) that were not yet seen on the platform's side."""
        query = select(t.images).where(
            t.images.c.campaign == title, t.images.c.position.between(first, last), t.images.c.stored == 0
        )
        return [_entry_from(row) for row in self._read(query.order_by(t.images.c.position))]

    def between(self, title: str, first: int, last: int) -> list[ManifestEntry]:
        """Images at positions first to last (both counted), in their order."""
        query = select(t.images).where(t.images.c.campaign == title, t.images.c.position.between(first, last))
        return [_entry_from(row) for row in self._read(query.order_by(t.images.c.position))]

    def with_sha256(self, begins: str) -> list[tuple[str, ManifestEntry]]:
        """Every campaign's images whose SHA-256 begins so (hexadecimal digits), as pairs of title and entry."""
        query = select(t.images).where(t.images.c.sha256.startswith(begins.lower(), autoescape=True))
        rows = self._read(query.order_by(t.images.c.campaign, t.images.c.name))
        return [(row.campaign, _entry_from(row)) for row in rows]

    def remote_ids(self, title: str, first: int, last: int) -> list[str]:
        """The platform's ids of the images at positions first to last (both counted)."""
        query = select(t.images.c.remote_id).where(
            t.images.c.campaign == title, t.images.c.position.between(first, last)
        )
        return [row.remote_id for row in self._read(query.order_by(t.images.c.position))]

    def positions(self, title: str, names: Iterable[str]) -> Iterator[int]:
        """The positions of the named images."""
        for chunk in stretches(names, 500):
            query = select(t.images.c.position).where(t.images.c.campaign == title, t.images.c.name.in_(chunk))
            for row in self._read(query):
                yield row.position

    def positions_not_stored(self, title: str) -> Iterator[int]:
        """The positions of images that were not yet seen on the platform's side, in order."""
        after = 0
        while True:
            query = select(t.images.c.position).where(
                t.images.c.campaign == title, t.images.c.stored == 0, t.images.c.position > after
            )
            rows = self._read(query.order_by(t.images.c.position).limit(_CHUNK))
            yield from (row.position for row in rows)
            if len(rows) < _CHUNK:
                return
            after = rows[-1].position

    def sizes_of(self, title: str, names: Iterable[str]) -> dict[str, Size]:
        """Sizes of the named images as displayed; names that the manifest does not know are left out."""
        sizes: dict[str, Size] = {}
        for chunk in stretches(names, 500):
            query = select(t.images.c.name, t.images.c.width, t.images.c.height).where(
                t.images.c.campaign == title, t.images.c.name.in_(chunk)
            )
            sizes.update((row.name, Size(row.width, row.height)) for row in self._read(query))
        return sizes

    def names_of(self, title: str, remote_ids: Iterable[str]) -> dict[str, str]:
        """Our names of images by the platform's ids; those that the manifest does not know are left out."""
        names: dict[str, str] = {}
        for chunk in stretches(remote_ids, 500):
            query = select(t.images.c.name, t.images.c.remote_id).where(
                t.images.c.campaign == title, t.images.c.remote_id.in_(chunk)
            )
            names.update((row.remote_id, row.name) for row in self._read(query))
        return names

    def source_names(self, title: str) -> dict[str, str]:
        """By name, the names of images as their source has them, of those where it differs."""
        query = select(t.images.c.name, t.images.c.source_name)
        rows = self._read(query.where(t.images.c.campaign == title, t.images.c.source_name.is_not(None)))
        return {row.name: row.source_name for row in rows}

    def remote_parents(self, title: str) -> frozenset[str]:
        """The parts before the slash of the platform's ids, where they are of the form PARENT/NUMBER.

        One short query for each: an index leads from one to the next, however many images each holds.
        """
        parents: set[str] = set()
        after = ""
        with self._database.read() as connection:
            while True:
                query = select(func.min(t.images.c.remote_id)).where(
                    t.images.c.campaign == title, t.images.c.remote_id > after
                )
                remote_id = connection.scalar(query)
                if remote_id is None:
                    return frozenset(parents)
                parent, slash, _ = remote_id.partition("/")
                if slash:
                    parents.add(parent)
                after = f"{parent}{_AFTER_SLASH}" if slash else remote_id

    def last_position(self, title: str) -> int:
        with self._database.read() as connection:
            return connection.scalar(select(func.max(t.images.c.position)).where(t.images.c.campaign == title)) or 0

    def count_stored(self, title: str) -> int:
        query = select(func.count()).where(t.images.c.campaign == title, t.images.c.stored == 1)
        with self._database.read() as connection:
            return connection.scalar(query) or 0

    def rejects(self, title: str) -> list[Reject]:
        query = select(t.rejects).where(t.rejects.c.campaign == title).order_by(t.rejects.c.id)
        return [Reject(row.name, row.reason) for row in self._read(query)]

    def _read(self, query: Select[Any]) -> Sequence[Row[Any]]:
        with self._database.read() as connection:
            return connection.execute(query).all()

    # State of the images

    def mark_stored(self, title: str, names: Iterable[str], stored: bool = True) -> None:
        for chunk in stretches(names, 500):
            with self._database.write() as connection:
                connection.execute(
                    update(t.images)
                    .where(t.images.c.campaign == title, t.images.c.name.in_(chunk))
                    .values(stored=int(stored))
                )

    def mark_all_stored(self, title: str, stored: bool = True) -> None:
        with self._database.write() as connection:
            connection.execute(update(t.images).where(t.images.c.campaign == title).values(stored=int(stored)))

    def record_remote_ids(self, title: str, ids: Iterable[tuple[str, str]]) -> None:
        """Records pairs of name and platform id; names that are not in the manifest are ignored."""
        for chunk in stretches(ids, _CHUNK):
            with self._database.write() as connection:
                statement = _update_by_name(title, remote_id=bindparam("to"), stored=1)
                connection.execute(statement, [{"of": name, "to": remote} for name, remote in chunk])

    def missing(self, title: str, at_most: int) -> tuple[list[str], int]:
        """Images that the platform had and its last listing lacks: the first names, and their number."""
        those = (t.images.c.campaign == title) & t.images.c.remote_id.is_not(None) & (t.images.c.stored == 0)
        names = select(t.images.c.name).where(those).order_by(t.images.c.name).limit(at_most)
        with self._database.read() as connection:
            count = connection.scalar(select(func.count()).select_from(t.images).where(those)) or 0
            return list(connection.scalars(names)), count

    def without_remote_id(self, title: str, at_most: int = 20) -> list[str]:
        query = select(t.images.c.name).where(t.images.c.campaign == title, t.images.c.remote_id.is_(None))
        return [row.name for row in self._read(query.order_by(t.images.c.name).limit(at_most))]

    def drop(self, title: str, reject: Reject) -> None:
        """Moves an image that the platform left out from the manifest to the rejects. Idempotent."""
        with self._database.write() as connection:
            gone = connection.execute(
                delete(t.images).where(t.images.c.campaign == title, t.images.c.name == reject.name)
            ).rowcount
            if gone:
                connection.execute(insert(t.rejects).values(campaign=title, name=reject.name, reason=reject.reason))
                connection.execute(
                    update(t.campaigns).where(t.campaigns.c.title == title).values(images=t.campaigns.c.images - 1)
                )


def _update_by_name(title: str, **values: Any) -> Any:
    return update(t.images).where(t.images.c.campaign == title, t.images.c.name == bindparam("of")).values(**values)


def stretches(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """The items in lists of at most `size`, one list in memory at a time."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _row_from(title: str, mark: str, entry: ManifestEntry) -> dict[str, Any]:
    image = entry.image
    return {
        "campaign": title,
        "name": image.name,
        "location": entry.location,
        "stamp": entry.stamp,
        "sha256": image.sha256,
        "md5": image.md5,
        "bytes": image.bytes,
        "width": image.size.width,
        "height": image.size.height,
        "format": image.format,
        "pass": mark,
        "stored": 0,
        "source_name": entry.source_name,
        "split_group": entry.group,
        "video": entry.frame.video if entry.frame is not None else None,
        "frame": entry.frame.number if entry.frame is not None else None,
        "time_seconds": entry.frame.seconds if entry.frame is not None else None,
    }


def _entry_from(row: Row[Any]) -> ManifestEntry:
    image = Image(row.name, Size(row.width, row.height), row.bytes, row.sha256, row.md5, row.format)
    return ManifestEntry(
        image,
        row.location,
        row.position,
        row.stamp,
        bool(row.stored),
        row.remote_id,
        source_name=row.source_name,
        group=row.split_group,
        frame=VideoFrame(row.video, row.frame, row.time_seconds) if row.video is not None else None,
    )
