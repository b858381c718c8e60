"""Finishing a campaign writes its labels to `label_sets/<title>_labels.csv` of the main container.

One row an object, and one row without a label for an image that was looked at and has none. An image that nobody
looked at has no row: a campaign that was completed by hand may have some.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from io import StringIO
from typing import Any

import orjson
from sqlalchemy import Connection, select

from labelwright.domain.spreadsheets import LABEL_COLUMNS, defuse

from .blobs.store import Incoming
from .campaigns import check_move, enter_state, found
from .database import Database, campaigns
from .image_sets import folder_name
from .objects import labeled
from .storage.protocol import Storage

_PAGE = 2_000


def csv_name(title: str) -> str:
    """The blob's name in the main container."""
    return f"label_sets/{folder_name(f'{title}_labels.csv')}"


class Finishing:
    def __init__(self, database: Database, storage: Storage) -> None:
        self._database = database
        self._storage = storage

    def finish(self, campaign: int) -> None:
        """Write the file and close the campaign, both or neither."""
        while True:
            with self._database.read() as connection:
                row = found(connection, campaign)
                if not check_move(row.status, "finished"):
                    return
                incoming = self._storage.draft()
                try:
                    for text in _rows(connection, campaign):
                        incoming.write((text.encode(),))
                    md5 = incoming.close()
                except BaseException:
                    incoming.drop()
                    raise
            if self._enter(campaign, row.revision, incoming, md5):
                return

    def _enter(self, campaign: int, revision: int, incoming: Incoming, md5: str) -> bool:
        """False when the campaign changed since the file was written."""
        entered = False
        try:
            with self._database.write() as connection:
                row = connection.execute(select(campaigns).where(campaigns.c.id == campaign)).one()
                if row.revision == revision:
                    # Nobody else writes meanwhile: no older file can come after this one.
                    self._storage.put_draft(connection, csv_name(row.title), incoming, md5, "text/csv")
                    enter_state(connection, row, "finished")
                    entered = True
        finally:
            if not entered:
                incoming.drop()
        return entered


def _rows(connection: Connection, campaign: int) -> Iterator[str]:
    """The file, in pieces."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(LABEL_COLUMNS)
    last = 0
    while page := labeled(connection, campaign, last, _PAGE):
        for image in page:
            start = [image.image_id, defuse(image.file_name), image.width, image.height]
            seen = orjson.loads(image.objects)
            for one in seen:
                writer.writerow([*start, *_cells(one)])
            if not seen:
                writer.writerow([*start, *[""] * 7])
        last = page[-1].position
        yield text.getvalue()
        text.seek(0)
        text.truncate()
    yield text.getvalue()


def _cells(one: dict[str, Any]) -> list[Any]:
    box = one["bounding_box"]
    polygon = json.dumps(one["polygon"], separators=(",", ":")) if "polygon" in one else ""
    return [defuse(one["label"]), one["confidence"], box["xmin"], box["ymin"], box["xmax"], box["ymax"], polygon]
