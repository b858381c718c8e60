"""`<title>_labels.csv`: a line an object, for data scientists and spreadsheets.

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
from labelwright.domain.spreadsheets import LABEL_COLUMNS

from .spreadsheet_safety import cell, cells

_NOTHING = b",,,,,,\r\n"


class LabelsCsv:
    def __init__(self) -> None:
        self._cells: dict[str, bytes] = {}

    def head(self) -> bytes:
        return ",".join(LABEL_COLUMNS).encode() + b"\r\n"

    def body(self, batch: Batch) -> bytes:
        total = batch.objects
        before: list[bytes] = []
        pending = b""
        names = cells([image.name for image in batch.images])
        for place, (image, name, count) in enumerate(zip(batch.images, names, batch.counts, strict=True)):
            size = image.size
            start = b"%d,%b,%d,%d," % (image.position, name, size.width, size.height)
            if batch.tags and place in batch.tags:
                pending += b"".join(start + self._tag(tag) for tag in batch.tags[place])
            elif not count:
                pending += start + _NOTHING
            if count:
                before.append(pending + start)
                before += [start] * (count - 1)
                pending = b""
        ends: bytes | list[bytes] = b",\r\n"
        if batch.drawings:
            ends = [b",\r\n"] * total
            for number, drawing in batch.drawings.items():
                ends[number] = _polygon(drawing)
        labels = take([self._cell(name) for name in batch.names], batch.codes)
        text = interleave(total, before, labels, batch.confidence_texts, b",", rows(batch.corners), ends)
        return text + pending

    def tail(self) -> Iterator[bytes]:
        return iter(())

    def _cell(self, label: str) -> bytes:
        found = self._cells.get(label)
        if found is None:
            found = self._cells[label] = cell(label) + b","
        return found

    def _tag(self, tag: Tag) -> bytes:
        return self._cell(tag.label) + orjson.dumps(tag.confidence) + b",,,,,\r\n"


def _polygon(drawing: Drawing) -> bytes:
    if drawing.polygons is None:
        return b",\r\n"
    rings = [list(zip(ring[::2], ring[1::2], strict=True)) for ring in drawing.polygons]
    return b',"' + orjson.dumps(rings if len(rings) > 1 else rings[0]) + b'"\r\n'
