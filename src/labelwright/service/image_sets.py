"""Image sets: created, filled through their dropbox, sealed; and their images."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, insert, select, update

from .access import Identity
from .api.errors import Conflict, Unknown
from .api.pagination import Page
from .config import ServiceConfig
from .database import Database, campaign_images, campaigns, image_sets, images, is_text, now, rejects
from .storage.protocol import Storage

_ATTEMPTS = 20
_CONTAINER = re.compile(r"[a-z0-9](?:-?[a-z0-9])*")


class ImageSets:
    def __init__(self, config: ServiceConfig, database: Database, storage: Storage) -> None:
        self._config = config
        self._database = database
        self._storage = storage
        self.on_finishing: Callable[[], None] = lambda: None
        """Called when there is a set to seal."""

    def create(self, title: str, metadata: str | None, who: Identity, base_url: str) -> dict[str, Any]:
        with self._database.write() as connection:
            taken = select(image_sets.c.id).where(image_sets.c.title == title)
            if connection.execute(taken).one_or_none():
                raise Conflict(f"there is an image set '{title}' already", details={"title": title})
            container = self._new_dropbox(connection, title)
            values = {
                "title": title,
                "metadata": metadata,
                "status": "created",
                "container": container,
                "created_by": who.email,
                "date_created": now(),
                "image_count": 0,
            }
            connection.execute(insert(image_sets).values(values))
            row = connection.execute(select(image_sets).where(image_sets.c.title == title)).one()
        return self._image_set_json(row, base_url)

    def _new_dropbox(self, connection: Connection, title: str) -> str:
        for attempt in range(_ATTEMPTS):
            name = dropbox_name(title, attempt)
            taken = connection.execute(select(image_sets.c.id).where(image_sets.c.container == name)).one_or_none()
            if not taken and self._storage.create_dropbox(connection, name):
                return name
        raise Conflict(f"the store has no free name for the dropbox of '{title}'", details={"title": title})

    def list(self, title: str | None, page: Page, base_url: str) -> dict[str, Any]:
        condition = is_text(image_sets.c.title, title) if title is not None else image_sets.c.id > 0
        with self._database.read() as connection:
            total = connection.execute(select(func.count()).select_from(image_sets).where(condition)).scalar_one()
            query = select(image_sets).where(condition).order_by(image_sets.c.id)
            rows = connection.execute(query.offset(page.first).limit(page.size)).all()
        return {"image_sets": [self._image_set_json(row, base_url) for row in rows], "pagination": page.as_json(total)}

    def get(self, image_set: int, base_url: str) -> dict[str, Any]:
        with self._database.read() as connection:
            row = find_image_set(connection, image_set)
            query = select(rejects).where(rejects.c.imageset_id == image_set).order_by(rejects.c.id)
            left_out = [{"name": reject.name, "reason": reject.reason} for reject in connection.execute(query)]
        return {**self._image_set_json(row, base_url), "image_count": row.image_count, "rejected": left_out}

    def dropbox(self, image_set: int, base_url: str) -> dict[str, Any]:
        """Returns a newly signed upload URL. Raises Conflict once the set is being sealed."""
        with self._database.read() as connection:
            row = find_image_set(connection, image_set)
        if row.status != "created":
            raise Conflict(f"the image set is {row.status}: it takes no more images", details={"status": row.status})
        return {"dropbox_url": self._storage.dropbox_url(row.container, base_url)}

    def seal(self, image_set: int) -> None:
        """Closes the dropbox and starts to import its images. Idempotent."""
        with self._database.write() as connection:
            row = find_image_set(connection, image_set)
            if row.status == "created":
                connection.execute(update(image_sets).where(image_sets.c.id == image_set).values(status="finishing"))
                self._storage.close_dropbox(connection, row.container)
        self.on_finishing()

    def images(self, page: Page, image_set: int | None = None) -> dict[str, Any]:
        """Lists images by id, or those of one set by name."""
        number: ColumnElement[int]
        with self._database.read() as connection:
            if image_set is None:
                number = images.c.id.expression
                total = connection.execute(select(func.max(images.c.id))).scalar() or 0
                inside = number > page.first
            else:
                number = images.c.position.expression
                total = find_image_set(connection, image_set).image_count
                inside = and_(images.c.imageset_id == image_set, number > page.first)
            query = (
                select(images, image_sets.c.title)
                .join(image_sets, image_sets.c.id == images.c.imageset_id)
                .where(inside, number <= page.first + page.size)
                .order_by(number)
            )
            rows = connection.execute(query).all()
        listed = [self._image(row) for row in rows]
        if image_set is not None:  # the notebook shows the list of all images, and it has no such field
            listed = [{**entry, "file_name": row.file_name} for entry, row in zip(listed, rows, strict=True)]
        return {"images": listed, "pagination": page.as_json(total)}

    def image_blob(self, image_id: int, who: Identity) -> str:
        """Returns the blob name of an image.

        Raises Unknown, for a labeler also when it is in none of the labeler's campaigns."""
        with self._database.read() as connection:
            blob = connection.execute(select(images.c.blob).where(images.c.id == image_id)).scalar()
            if blob is not None and not who.admin:
                own = (
                    select(campaign_images.c.image_id)
                    .join(campaigns, campaigns.c.id == campaign_images.c.campaign_id)
                    .where(campaign_images.c.image_id == image_id, campaigns.c.labeler_id == who.user_id)
                )
                if connection.execute(own.limit(1)).first() is None:
                    blob = None
        if blob is None:
            raise Unknown(f"there is no image {image_id}")
        return str(blob)

    def _image_set_json(self, row: Row[Any], base_url: str) -> dict[str, Any]:
        return {
            "blobstorage_path": row.container,
            "created_by": row.created_by,
            "date_created": row.date_created,
            "date_finished": row.date_finished,
            "dropbox_url": self._storage.dropbox_url(row.container, base_url) if row.status == "created" else None,
            "imageset_id": row.id,
            "metadata": json.loads(row.metadata) if row.metadata else None,
            "status": row.status,
            "title": row.title,
        }

    def _image(self, row: Row[Any]) -> dict[str, Any]:
        return {
            "blobstorage_path": f"{self._config.main_container}/{row.blob}",
            "date_taken": row.date_taken,
            "file": {
                "dimensions": {"height": row.height, "width": row.width},
                "filesize": row.filesize,
                "filetype": row.filetype,
            },
            "image_id": row.id,
            "imageset": {"imageset_id": row.imageset_id, "title": row.title},
            "location": {"description": None, "lat": row.lat, "lon": row.lon},
            "metadata": None,
            "tss_id": None,
            "type": None,
        }


def find_image_set(connection: Connection, image_set: int) -> Row[Any]:
    row = connection.execute(select(image_sets).where(image_sets.c.id == image_set)).one_or_none()
    if row is None:
        raise Unknown(f"there is no image set {image_set}")
    return row


def dropbox_name(title: str, attempt: int = 0) -> str:
    """Returns a container name for the title: `dropbox-<title>` where that is valid, else a similar one."""
    plain = f"dropbox-{title}"
    if attempt == 0 and len(plain) <= 63 and _CONTAINER.fullmatch(plain):
        return plain
    ascii_text = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_text)[:30].strip("-")
    digest = hashlib.sha256(f"{title}{attempt or ''}".encode()).hexdigest()[:16]
    return "-".join(part for part in ("dropbox", slug, digest) if part)


def folder_name(title: str) -> str:
    """Returns the title as one segment of a blob's name: unique per title, never `..`."""
    safe = "".join(f"%{ord(c):02X}" if c in "%/\\" or ord(c) < 32 else c for c in title)
    if safe.endswith((".", " ")):  # stores drop them at the end of a part
        safe = f"{safe[:-1]}%{ord(safe[-1]):02X}"
    return safe
