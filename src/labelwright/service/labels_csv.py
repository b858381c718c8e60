"""Writes the labels of a finished campaign to `label_sets/<title>_labels.csv` of the main container.

One row per object, and one row without a label for an image that is labeled as empty. A label of the whole image is a
row without a box. `polygon` is [[x, y], ...], or a list of such lists for an object of several parts; `attributes` is a
JSON object. Images that are not labeled have no row (a campaign that was completed by hand may have some), nor have
images that were skipped. Texts are as they were sent: programs read this file.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from io import StringIO
from typing import Any

import orjson
from sqlalchemy import Connection, Row, select

from labelwright.domain.spreadsheets import LABEL_COLUMNS

from .blobs.store import Incoming
from .campaigns import check_move, enter_state, find_campaign
from .database import Database, campaigns
from .image_sets import folder_name
from .objects import labeled
from .skipped_images import skipped_reasons
from .storage.protocol import Storage

COLUMNS = (*LABEL_COLUMNS, "attributes")

_PAGE = 2_000


def csv_name(title: str) -> str:
    """Returns the blob's name in the main container."""
    return f"label_sets/{folder_name(f'{title}_labels.csv')}"


class Finishing:
    def __init__(self, database: Database, storage: Storage) -> None:
        self._database = database
        self._storage = storage

    def finish(self, campaign: int) -> None:
        """Writes the file and sets the campaign to finished, both or neither."""
        while True:
            with self._database.read() as connection:
                row = find_campaign(connection, campaign)
                if not check_move(row.status, "finished"):
                    return
                incoming = self._storage.draft()
                try:
                    for text in _rows(connection, row):
                        incoming.write((text.encode(),))
                    md5 = incoming.close()
                except BaseException:
                    incoming.drop()
                    raise
            if self._enter(campaign, row.revision, incoming, md5):
                return

    def _enter(self, campaign: int, revision: int, incoming: Incoming, md5: str) -> bool:
        """Returns False when the campaign changed since the file was written."""
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


def _rows(connection: Connection, row: Row[Any]) -> Iterator[str]:
    """Yields the lines of the file."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    last = 0
    while page := labeled(connection, row.id, last, _PAGE):
        skipped = skipped_reasons(connection, row, [image.image_id for image in page])
        for image in page:
            if image.image_id in skipped:
                continue
            start = [image.image_id, image.file_name, image.width, image.height]
            objects = orjson.loads(image.objects)
            for label_object in objects:
                writer.writerow([*start, *_cells(label_object)])
            if not objects:
                writer.writerow([*start, *[""] * (len(COLUMNS) - len(start))])
        last = page[-1].position
        yield text.getvalue()
        text.seek(0)
        text.truncate()
    yield text.getvalue()


def _cells(label_object: dict[str, Any]) -> list[Any]:
    box = label_object.get("bounding_box", {})
    outline = label_object.get("polygon", label_object.get("polygons"))
    return [
        label_object["label"],
        label_object["confidence"],
        *(box.get(side, "") for side in ("xmin", "ymin", "xmax", "ymax")),
        _compact(outline),
        _compact(label_object.get("attributes")),
    ]


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False) if value else ""
