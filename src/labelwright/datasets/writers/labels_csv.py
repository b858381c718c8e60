"""`<title>_labels.csv`: one row per object, for data scientists and spreadsheets.

RFC 4180 with CR LF, UTF-8. Corners in pixels of the image as displayed; `polygon` is JSON text, ``[[x, y], ...]``, and
``[[[x, y], ...], [[x, y], ...]]`` for an object of several parts. An image without objects keeps a line whose label is
empty; a label of the whole image is a line without corners, ahead of the image's objects. Attributes have no column:
they are in the COCO file.
"""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from labelwright.datasets.spool.batch import Batch, Drawing, Tag
from labelwright.datasets.spool.columns import interleave, rows, take
from labelwright.domain.spreadsheets import LABEL_COLUMNS, csv_cell, csv_cells

from .formats import FileFormat

_NO_OBJECT = b",,,,,,\r\n"


class LabelsCsv:
    def __init__(self) -> None:
        self._label_cells: dict[str, bytes] = {}

    def head(self) -> bytes:
        return ",".join(LABEL_COLUMNS).encode() + b"\r\n"

    def body(self, batch: Batch) -> bytes:
        starts, rest = self._starts(batch)
        labels = take([self._label_cell(name) for name in batch.names], batch.codes)
        ends: bytes | list[bytes] = b",\r\n"
        if batch.drawings:
            ends = [b",\r\n"] * batch.objects
            for index, drawing in batch.drawings.items():
                ends[index] = _polygon(drawing)
        columns = (starts, labels, batch.confidence_texts, b",", rows(batch.corners), ends)
        return interleave(batch.objects, *columns) + rest

    def _starts(self, batch: Batch) -> tuple[list[bytes], bytes]:
        """The image's cells in front of each object, and behind the last object the rows that have none.

        Rows of whole-image labels and of images without objects go in front of the next object's row.
        """
        starts: list[bytes] = []
        pending = b""
        names = csv_cells([image.name for image in batch.images])
        for index, (image, name, count) in enumerate(zip(batch.images, names, batch.counts, strict=True)):
            start = b"%d,%b,%d,%d," % (image.position, name, image.size.width, image.size.height)
            if batch.tags and index in batch.tags:
                pending += b"".join(start + self._tag(tag) for tag in batch.tags[index])
            elif not count:
                pending += start + _NO_OBJECT
            if count:
                starts.append(pending + start)
                starts += [start] * (count - 1)
                pending = b""
        return starts, pending

    def tail(self) -> Iterator[bytes]:
        return iter(())

    def _label_cell(self, label: str) -> bytes:
        cell = self._label_cells.get(label)
        if cell is None:
            cell = self._label_cells[label] = csv_cell(label) + b","
        return cell

    def _tag(self, tag: Tag) -> bytes:
        return self._label_cell(tag.label) + orjson.dumps(tag.confidence) + b",,,,,\r\n"


def _polygon(drawing: Drawing) -> bytes:
    if drawing.polygons is None:
        return b",\r\n"
    rings = [list(zip(ring[::2], ring[1::2], strict=True)) for ring in drawing.polygons]
    return b',"' + orjson.dumps(rings if len(rings) > 1 else rings[0]) + b'"\r\n'


LABELS_CSV = FileFormat("_labels{part}.csv", lambda _: LabelsCsv(), "csv")
