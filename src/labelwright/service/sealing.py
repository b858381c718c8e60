"""Sealing: a background thread takes the images of finished sets into the system.

In order of their names, a few at a time; each few enter in one transaction together with how far sealing has come. So
a process killed half-way goes on from there at its next start, and no image enters twice. Only when all are in does
the dropbox go, in the transaction that finishes the set.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from sqlalchemy import Row, func, insert, select, update

from labelwright.domain import UnsafeName, safe_name

from .blobs import Blob, Blobs, copied
from .config import ServiceConfig
from .database import Database, image_sets, images, now, rejects
from .image_sets import folder_name
from .images import CONTENT_TYPES, NotAnImage, Seen, look

log = logging.getLogger("labelwright.service.sealing")

RETRY_SECONDS = 30.0
BUSY_SECONDS = 2.0
"""Until we ask again whether another process, which works on the same database, is done with sealing."""


class TakenOver(RuntimeError):
    """Another process has gone on with the set: it lost sight of us, or we of the database."""


class Sealer:
    """The background thread. `wake` it when a set is to be sealed; at its start it looks by itself."""

    def __init__(self, config: ServiceConfig, database: Database, blobs: Blobs) -> None:
        self._config = config
        self._database = database
        self._blobs = blobs
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="sealing", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        self._wake.set()

    def stop(self) -> None:
        """Return when the images under way are in; the rest waits for the next start."""
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        self._wake.set()
        timeout: float | None = None
        while not self._stopping:
            self._wake.wait(timeout)
            self._wake.clear()
            try:
                timeout = self._seal_all()
            except Exception:
                log.exception("the database cannot be asked what to seal; trying again in %s s", RETRY_SECONDS)
                timeout = RETRY_SECONDS

    def _seal_all(self) -> float | None:
        """Seal what is to be sealed; the seconds until we look again, or None when we need not by ourselves."""
        # A set may be left behind by another process that will not come back.
        timeout = RETRY_SECONDS if self._database.shared else None
        if not self._waiting():
            return timeout
        with self._database.only_one("sealing") as alone:
            if not alone:
                return BUSY_SECONDS
            for image_set in self._waiting():
                try:
                    self._seal(image_set)
                except Exception:
                    # A full disk, say. Nothing is lost: the set stays `finishing`, and we try again.
                    log.exception("sealing image set %s failed; trying again in %s s", image_set, RETRY_SECONDS)
                    timeout = RETRY_SECONDS
        return timeout

    def _waiting(self) -> list[int]:
        with self._database.read() as connection:
            wanted = select(image_sets.c.id).where(image_sets.c.status == "finishing").order_by(image_sets.c.id)
            return list(connection.execute(wanted).scalars())

    def _seal(self, image_set: int) -> None:
        with ThreadPoolExecutor(self._config.sealing_threads, "decoding") as threads:
            while not self._stopping:
                with self._database.read() as connection:
                    row = connection.execute(select(image_sets).where(image_sets.c.id == image_set)).one()
                    after = row.sealed_to or ""
                    some = self._blobs.after(connection, row.container, "", after, self._config.sealing_chunk)
                if not some:
                    self._finish(row)
                    return
                judged = threads.map(partial(self._judge, row.title), some)
                self._enter(row, list(zip(some, judged, strict=True)))

    def _judge(self, title: str, blob: Blob) -> tuple[str, str, Seen, str] | str:
        """Safe name, name of the copy, what was seen and MD5; or the reason why the file is left out."""
        try:
            name = safe_name(blob.name)
        except UnsafeName as error:
            return str(error)
        copy = f"uploads/{folder_name(title)}/{name}"
        if len(copy) > 1024:
            return "with the title of the image set in front the name is longer than 1024 characters"
        path = self._blobs.path(blob.file)
        try:
            with path.open("rb") as file:
                md5 = b64encode(hashlib.file_digest(file, "md5").digest()).decode()
                if file.tell() != blob.size or (blob.md5 and blob.md5 != md5):
                    return "the bytes kept are not those that were uploaded: upload the file again"
                os.fsync(file.fileno())  # before a row promises that it is there
            return name, copy, look(path, self._config.limits.image_pixels), md5
        except FileNotFoundError:
            return "the bytes were lost: upload the file again"
        except NotAnImage as error:
            return str(error)

    def _enter(self, row: Row[Any], judged: list[tuple[Blob, tuple[str, str, Seen, str] | str]]) -> None:
        with self._database.write() as connection:
            before = connection.execute(select(image_sets).where(image_sets.c.id == row.id)).one()
            if (before.status, before.sealed_to) != (row.status, row.sealed_to):
                raise TakenOver(f"image set {row.id} is sealed to {before.sealed_to!r}, not to {row.sealed_to!r}")
            count = before.image_count
            last_id = connection.execute(select(func.max(images.c.id))).scalar() or 0
            names = [verdict[0] for _, verdict in judged if not isinstance(verdict, str)]
            taken = set(
                connection.execute(
                    select(images.c.file_name).where(images.c.imageset_id == row.id, images.c.file_name.in_(names))
                ).scalars()
            )
            entered, left_out = list[dict[str, Any]](), list[dict[str, Any]]()
            for blob, verdict in judged:
                reason = verdict if isinstance(verdict, str) else None
                if not isinstance(verdict, str) and verdict[0] in taken:
                    reason = "another file has the same name when both are written in Unicode's normal form"
                if reason is not None or isinstance(verdict, str):
                    left_out.append({"imageset_id": row.id, "name": blob.name, "reason": reason})
                    continue
                name, copy, seen, md5 = verdict
                taken.add(name)
                content_type = CONTENT_TYPES[seen.filetype]
                copied_blob = copied(blob, copy, content_type=content_type, md5=md5)
                self._blobs.put_row(connection, self._config.main_container, copied_blob)
                entered.append(
                    {
                        "id": last_id + len(entered) + 1,
                        "imageset_id": row.id,
                        "position": count + len(entered) + 1,
                        "file_name": name,
                        "blob": copy,
                        "width": seen.width,
                        "height": seen.height,
                        "filesize": blob.size,
                        "filetype": seen.filetype,
                        "date_taken": seen.date_taken,
                        "lat": seen.lat,
                        "lon": seen.lon,
                    }
                )
            if entered:
                connection.execute(insert(images), entered)
            if left_out:
                connection.execute(insert(rejects), left_out)
            progress = {"sealed_to": judged[-1][0].name, "image_count": count + len(entered)}
            connection.execute(update(image_sets).where(image_sets.c.id == row.id).values(progress))

    def _finish(self, row: Row[Any]) -> None:
        with self._database.write() as connection:
            files = self._blobs.delete_container(connection, row.container)
            finished = {"status": "finished", "date_finished": now()}
            connection.execute(update(image_sets).where(image_sets.c.id == row.id).values(finished))
        self._blobs.unlink_unused(files)
