"""Sealing: a background thread that imports the images of finished image sets.

In order of their names, a few at a time; each few enter in one transaction together with how far sealing has come. So
a process killed half-way goes on from there at its next start, and no image enters twice. The dropbox goes only when
all are in. Images that were checked when they arrived (`early_checks`) are not decoded again.
"""

from __future__ import annotations

import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from labelwright.domain import UnsafeName, safe_name
from labelwright.domain.file_names import escaped

from .blobs.store import Blob
from .config import ServiceConfig
from .database import Database, image_sets, images, now, rejects
from .early_checks import EarlyChecks
from .image_checks import ImageChecks
from .image_sets import folder_name
from .images import CONTENT_TYPES, ImageFacts, NotAnImage
from .storage.protocol import Copy, Storage

log = logging.getLogger("labelwright.service.sealing")

RETRY_SECONDS = 30.0
BUSY_SECONDS = 2.0
"""Until we ask again whether another process, which works on the same database, is done with sealing."""


MOST_DEATHS = 2
"""Ends of the process while it decoded a file, the second time alone, after which the file is left out."""

EVERYTHING = "\U0010ffff"
"""How far sealing has come when all files are in and the dropbox is being deleted: no file's name comes after it."""

LONGEST_NAME = 2_500
"""Bytes. A name is part of an index, whose rows have 2,704 bytes in Postgres."""


@dataclass(frozen=True, slots=True)
class Accepted:
    name: str
    facts: ImageFacts
    copy: Copy


Verdict = Accepted | str
"""The outcome for a file: its facts, or the reason why it is rejected."""


class TakenOver(RuntimeError):
    """Another process took over the image set, because this one seemed to be gone."""


class Sealer:
    """The background thread. Call `wake` when there is a set to seal; at its start it checks by itself."""

    def __init__(
        self,
        config: ServiceConfig,
        database: Database,
        storage: Storage,
        checks: ImageChecks,
        early_checks: EarlyChecks | None = None,
    ) -> None:
        self._config = config
        self._database = database
        self._storage = storage
        self._checks = checks
        self._early_checks = early_checks
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="sealing", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        self._wake.set()

    def stop(self) -> None:
        """Stops after the images that are being decoded; the rest is imported at the next start."""
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
        """Seals all waiting sets; returns the seconds until the next check, or None if none is needed."""
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
            query = select(image_sets.c.id).where(image_sets.c.status == "finishing").order_by(image_sets.c.id)
            return list(connection.execute(query).scalars())

    def _seal(self, image_set: int) -> None:
        with self._database.read() as connection:
            row = connection.execute(select(image_sets).where(image_sets.c.id == image_set)).one()
        if row.sealed_to == EVERYTHING:
            self._finish(row)
            return
        files = self._storage.dropped(row.container, row.sealed_to or "")
        notes = self._checks.notes
        with ThreadPoolExecutor(self._config.sealing_threads, "decoding") as threads:
            while batch := list(islice(files, self._config.sealing_chunk)):
                # A file that was being decoded when the process died is decoded while no other one is.
                alone = {
                    blob.name: self._judge(row, blob, deaths)
                    for blob in batch
                    if (deaths := notes.deaths(row.container, blob.name))
                }
                together = threads.map(partial(self._judge, row), [blob for blob in batch if blob.name not in alone])
                judged = list[Verdict]()
                for blob in batch:
                    if self._stopping:
                        threads.shutdown(wait=False, cancel_futures=True)
                        return
                    judged.append(alone[blob.name] if blob.name in alone else next(together))
                verdicts = self._with_unique_names(row, batch, judged)
                copied = threads.map(partial(self._copy, row), verdicts)
                row = self._enter(row, list(zip(batch, copied, strict=True)))
                notes.forget(row.container, alone)
        self._finish(row)

    def _judge(self, row: Row[Any], blob: Blob, deaths: int = 0) -> Verdict:
        if deaths >= MOST_DEATHS:
            return f"the service ended {deaths} times while it decoded this file: save it anew, with fewer pixels"
        limits = self._config.limits
        try:
            name, copy = _names(row.title, blob.name)
            if blob.size > limits.upload_bytes:
                return f"the file has {blob.size} bytes, and {limits.upload_bytes} are allowed"
            checked = self._early_checks.take(blob) if self._early_checks and not deaths else None
            if checked is None:
                damaged = takes_damaged(row.metadata)
                checked = self._checks.check(row.container, blob, take_damaged=damaged, deaths=deaths)
        except FileNotFoundError:
            return "the bytes were lost: upload the file again"
        except (UnsafeName, NotAnImage) as error:
            return str(error)
        facts = checked.facts
        return Accepted(name, facts, Copy(blob, copy, CONTENT_TYPES[facts.filetype], checked.md5))

    def _with_unique_names(self, row: Row[Any], batch: list[Blob], judged: list[Verdict]) -> list[Verdict]:
        """Rejects images whose name is taken: two would be copied to one place."""
        names = [verdict.name for verdict in judged if isinstance(verdict, Accepted)]
        with self._database.read() as connection:
            query = select(images.c.file_name).where(images.c.imageset_id == row.id, images.c.file_name.in_(names))
            taken = set(connection.execute(query).scalars())
        verdicts = list[Verdict]()
        for blob, verdict in zip(batch, judged, strict=True):
            if isinstance(verdict, Accepted) and verdict.name in taken:
                verdicts.append(_clash(blob.name, verdict.name))
                continue
            if isinstance(verdict, Accepted):
                taken.add(verdict.name)
            verdicts.append(verdict)
        return verdicts

    def _copy(self, row: Row[Any], verdict: Verdict) -> Verdict:
        if isinstance(verdict, str):
            return verdict
        return self._storage.copy(row.container, verdict.copy) or verdict

    def _enter(self, row: Row[Any], judged: list[tuple[Blob, Verdict]]) -> Row[Any]:
        """Inserts the images and returns the image set's new row."""
        with self._database.write() as connection:
            self._check_ours(connection, row)
            last_id = connection.execute(select(func.max(images.c.id))).scalar() or 0
            entered, left_out = list[dict[str, Any]](), list[dict[str, Any]]()
            for blob, verdict in judged:
                if isinstance(verdict, str):
                    left_out.append({"imageset_id": row.id, "name": blob.name, "reason": verdict.replace("\0", " ")})
                    continue
                numbers = {"id": last_id + len(entered) + 1, "position": row.image_count + len(entered) + 1}
                entered.append({**numbers, "imageset_id": row.id, **_columns(verdict)})
            self._storage.enter(connection, [verdict.copy for _, verdict in judged if isinstance(verdict, Accepted)])
            if entered:
                connection.execute(insert(images), entered)
            if left_out:
                connection.execute(insert(rejects), left_out)
            progress = {"sealed_to": judged[-1][0].name, "image_count": row.image_count + len(entered)}
            here = image_sets.c.id == row.id
            connection.execute(update(image_sets).where(here).values(progress))
            return connection.execute(select(image_sets).where(here)).one()

    def _finish(self, row: Row[Any]) -> None:
        # Said before it is done: a dropbox that is not there later was deleted by us, and not lost.
        with self._database.write() as connection:
            self._check_ours(connection, row)
            all_in = update(image_sets).where(image_sets.c.id == row.id).values(sealed_to=EVERYTHING)
            connection.execute(all_in)
        self._storage.delete_dropbox(row.container)
        with self._database.write() as connection:
            finished = {"status": "finished", "date_finished": now()}
            connection.execute(update(image_sets).where(image_sets.c.id == row.id).values(finished))

    @staticmethod
    def _check_ours(connection: Connection, row: Row[Any]) -> None:
        """Raises TakenOver when another process changed the set."""
        before = connection.execute(select(image_sets).where(image_sets.c.id == row.id)).one()
        if (before.status, before.sealed_to) != (row.status, row.sealed_to):
            raise TakenOver(f"image set {row.id} is sealed to {before.sealed_to!r}, not to {row.sealed_to!r}")


def _clash(file: str, name: str) -> str:
    """The reason for leaving out a file whose name is in use, with both spellings told apart."""
    return (
        "another file has the same name when both are written in Unicode's normal form with forward slashes, "
        f"'{escaped(name)}': this one, '{escaped(file)}', is left out"
    )


def takes_damaged(metadata: str | None) -> bool:
    """Whether an image set takes images that lost data: its metadata says `"on_damage": "warn"`."""
    values = json.loads(metadata) if metadata else None
    return isinstance(values, dict) and values.get("on_damage") == "warn"


def _names(title: str, file: str) -> tuple[str, str]:
    """Returns the image's name and that of its copy. Raises UnsafeName."""
    name = safe_name(file)
    copy = f"uploads/{folder_name(title)}/{name}"
    if len(copy) > 1024:
        raise UnsafeName("with the title of the image set in front the name is longer than 1024 characters")
    if len(name.encode()) > LONGEST_NAME:
        raise UnsafeName(f"the name is longer than {LONGEST_NAME} bytes")
    return name, copy


def _columns(verdict: Accepted) -> dict[str, Any]:
    copy, facts = verdict.copy, verdict.facts
    return {
        "file_name": verdict.name,
        "blob": copy.name,
        "width": facts.width,
        "height": facts.height,
        "filesize": copy.source.size,
        "filetype": facts.filetype,
        "date_taken": facts.date_taken,
        "lat": facts.lat,
        "lon": facts.lon,
    }
