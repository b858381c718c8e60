"""`<title>_labels.csv`: one row per object, for data scientists.

RFC 4180 with CR LF, UTF-8 without a byte order mark, every text as it is: `labelwright.read_labels_csv` reads it, and
`labelwright datasets spreadsheet` makes a copy that is safe to open in a spreadsheet. Corners in pixels of the image as
displayed; `polygon` is JSON text, ``[[x, y], ...]``, and ``[[[x, y], ...], [[x, y], ...]]`` for an object of several
parts. An image without objects keeps a line whose label is empty; a label of the whole image is a line without corners,
ahead of the image's objects. `attributes` is JSON text, ``{"name": "value"}``. `labeler`, `labeled_at` (UTC) and
`origin` (person, prediction, corrected) are empty where the platform does not report them. Datasets with objects
of which the model is known have a further column, `model_version`. `platform` is where an object was labeled. A mask
is the box around it; its pixels are in the COCO file. Campaigns of videos have `video`, `frame` and `time_seconds`
behind these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import orjson

from labelwright.datasets.spool.batch import Batch, Drawing, Tag
from labelwright.datasets.spool.columns import interleave, take
from labelwright.domain.spreadsheets import LABEL_COLUMNS, csv_cell, csv_cells

from .formats import FileFormat
from .losses import Content
from .provenance import MODEL_VERSION, NAMES, PLATFORM, ProvenanceTexts
from .store_paths import LineEnds

COLUMNS = (*LABEL_COLUMNS, "attributes", *NAMES)
_UNKNOWN = b",,,"
"""Behind the attributes when nothing is known of labeler, time and origin."""
_NO_OBJECT = b",,,,,,,"
"""In place of label, confidence, corners, polygon and attributes."""
_BOX = b",,"
"""Behind the corners of a box without attributes."""


class LabelsCsv:
    def __init__(
        self, path_column: str = "", *, videos: bool = False, models: bool = False, platform: str = ""
    ) -> None:
        self._label_cells: dict[str, bytes] = {}
        further = [MODEL_VERSION] * models + [PLATFORM] * bool(platform)
        self._columns = (*COLUMNS, *further)
        self._unknown = _UNKNOWN + b"," * len(further)
        self._provenance = ProvenanceTexts(_cell, platform, models=models)
        self._ends = LineEnds(path_column, videos=videos)

    def head(self) -> bytes:
        return ",".join(self._columns).encode() + self._ends.head

    def body(self, batch: Batch) -> bytes:
        starts, rest = self._starts(batch)
        labels = take([self._label_cell(name) for name in batch.names], batch.codes)
        details: bytes | list[bytes] = _BOX
        if batch.drawings:
            details = [_BOX] * batch.objects
            for index, drawing in batch.drawings.items():
                details[index] = b"," + _polygon(drawing) + b"," + _attributes(drawing.attributes)
        known = self._provenance.of_batch(batch) or self._unknown
        ends = self._ends.of_objects(batch)
        low, high = batch.corner_texts
        columns = (starts, labels, batch.confidence_texts, b",", low, b",", high, details, known, ends)
        return interleave(batch.objects, *columns) + rest

    def _starts(self, batch: Batch) -> tuple[list[bytes], bytes]:
        """The image's cells in front of each object, and behind the last object the rows that have none.

        Rows of whole-image labels and of images without objects go in front of the next object's row.
        """
        starts: list[bytes] = []
        pending = b""
        names = csv_cells([image.file_name for image in batch.images])
        for index, (image, name, count) in enumerate(zip(batch.images, names, batch.counts, strict=True)):
            start = b"%d,%b,%d,%d," % (image.position, name, image.size.width, image.size.height)
            if batch.tags and index in batch.tags:
                pending += b"".join(start + self._tag(tag) + self._ends.of(image) for tag in batch.tags[index])
            elif not count:
                pending += start + _NO_OBJECT + self._unknown + self._ends.of(image)
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
        confidence, attributes = orjson.dumps(tag.confidence), _attributes(tag.attributes)
        cells = (self._label_cell(tag.label), confidence, b",,,,,,", attributes, self._provenance.of(tag.provenance))
        return b"".join(cells)


def _polygon(drawing: Drawing) -> bytes:
    if drawing.polygons is None:
        return b""
    rings = [list(zip(ring[::2], ring[1::2], strict=True)) for ring in drawing.polygons]
    return b'"' + orjson.dumps(rings if len(rings) > 1 else rings[0]) + b'"'


def _attributes(attributes: Mapping[str, str] | None) -> bytes:
    return csv_cell(orjson.dumps(attributes).decode()) if attributes else b""


def _cell(_: str, value: str) -> bytes:
    return b"," + csv_cell(value)


LABELS_CSV = FileFormat(
    "_labels{part}.csv",
    lambda export: LabelsCsv(export.path_column, videos=export.videos, models=export.models, platform=export.platform),
    "csv",
    cannot_hold={Content.HOLES: "the box around each"},
)
