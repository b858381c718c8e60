"""`<title>_coco.json`: COCO's object detection format, as `pycocotools` reads it.

Ids are the same in every run: an image's id is its position in the manifest, a category's its position in the schema
(from 1), an annotation's its position in the file. Images without objects are kept. `bbox` is ``[x, y, width, height]``
in pixels, `area` that of the polygon, of the box, or the number of a mask's pixels, `score` the confidence. The
segmentation of an object of several parts is a ring for each part, that of a mask its run lengths, that of a box its
four corners in the order of pycocotools' `loadRes`: with an empty list `annToMask` and others raise an error. COCO has
no annotations without a shape, so labels of a whole image are in the image's own field `labels`, as ``{"category_id",
"score"[, "attributes"]}``. Where the platform reports them, annotations and labels of whole images have `labeler`,
`labeled_at` (UTC), `origin` (person, prediction, corrected) and `model_version`. Frames of videos have `video`, `frame`
and `time_seconds`. COCO's readers ignore further keys. The images come after the annotations, so that the file is
written in one pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from labelwright.datasets.masks import coco_run_lengths
from labelwright.datasets.spool.batch import Batch, Tag
from labelwright.datasets.spool.columns import interleave, join_rows, numbers, repeat_by_count, rows, take
from labelwright.domain import LabelSchema

from .formats import FileFormat
from .provenance import ProvenanceTexts, json_member, json_object
from .records import extents_and_areas, frame_record

if TYPE_CHECKING:
    pass

_END = b"},\n"


class NotInSchema(ValueError):
    """A label that is not in the schema."""


class Coco:
    def __init__(self, title: str, schema: LabelSchema, platform: str = "") -> None:
        self._title = title
        self._schema = schema
        self._ids = {name: number for number, name in enumerate(schema.names, 1)}
        self._images = SpooledTemporaryFile(max_size=4 << 20)  # noqa: SIM115 - closed in tail, or by losing it
        self._written = 0
        self._platform = platform
        self._provenance = ProvenanceTexts(json_member, platform)

    def head(self) -> bytes:
        categories: list[dict[str, Any]] = [
            {"id": number, "name": label.name, "supercategory": label.parent or ""}
            for number, label in enumerate(self._schema.labels, 1)
        ]
        info = orjson.dumps({"description": self._title})
        return b'{"info":%b,\n"categories":%b,\n"annotations":[\n' % (info, orjson.dumps(categories))

    def body(self, batch: Batch) -> bytes:
        self._images.write(self._image_records(batch))
        if not batch.objects:
            return b""
        first_id = self._written + 1
        self._written += batch.objects
        image_ids = [b',"image_id":%d,"category_id":' % image.position for image in batch.images]
        extents, areas = batch.shared(extents_and_areas)
        first_corners, _ = batch.corner_texts
        text = interleave(
            batch.objects,
            b'{"id":',
            numbers(np.arange(first_id, first_id + batch.objects)),
            repeat_by_count(image_ids, batch.counts),
            self._category_ids(batch),
            *_segmentations(batch),
            first_corners,
            b",",
            rows(extents),
            b'],"area":',
            numbers(areas),
            b',"score":',
            batch.confidence_texts,
            _endings(batch, self._provenance.of_batch(batch)),
        )
        # The last object of the file must have no comma, so a comma goes in front of each batch but the first.
        return (text if first_id == 1 else b",\n" + text)[: -len(b",\n")]

    def tail(self) -> Iterator[bytes]:
        yield b'\n],\n"images":['
        self._images.seek(0)
        previous = b""
        while chunk := self._images.read(1 << 20):
            yield previous
            previous = chunk
        yield previous[:-1] + b"\n]}\n"
        self._images.close()

    def _category_ids(self, batch: Batch) -> list[bytes]:
        """The category id of every object. Raises NotInSchema."""
        unknown = [name for name in batch.names if name not in self._ids]
        if unknown:
            raise NotInSchema(f"label '{unknown[0]}' is not in the schema, so it has no COCO category")
        return take([b"%d" % self._ids[name] for name in batch.names], batch.codes)

    def _image_records(self, batch: Batch) -> bytes:
        """One line per image, each with a comma after it."""
        records: list[dict[str, Any]] = [
            {"id": image.position, "file_name": image.file_name, "width": image.size.width, "height": image.size.height}
            for image in batch.images
        ]
        for record, image in zip(records, batch.images, strict=True):
            if image.frame is not None:
                record.update(frame_record(image))
        for index, tags in batch.tags.items():
            records[index]["labels"] = [self._tag(tag) for tag in tags]
        if not records:
            return b""
        # This cannot match inside a string: its quotes would be escaped there.
        return b"\n" + orjson.dumps(records)[1:-1].replace(b'},{"id":', b'},\n{"id":') + b","

    def _tag(self, tag: Tag) -> dict[str, Any]:
        record: dict[str, Any] = {"category_id": self._ids[tag.label], "score": tag.confidence}
        record |= {"attributes": tag.attributes} if tag.attributes else {}
        return record | json_object(tag.provenance, self._platform)


def _segmentations(batch: Batch) -> tuple[bytes | list[bytes], ...]:
    """The columns between the category and the box of every object: rings, run lengths, or the corners of a box."""
    before, after = b',"iscrowd":0,"segmentation":', b',"bbox":['
    first, opposite = batch.corner_texts
    others = rows(batch.corners[:, [0, 3, 2, 1]].reshape(-1, 2))  # the second and the fourth corner of every box
    ring = (b"[[", first, b",", others[::2], b",", opposite, b",", others[1::2], b"]]")
    if not batch.drawings:
        return before, *ring, after
    column = join_rows(batch.objects, *ring)
    ends = np.cumsum(batch.counts)  # of the images' objects, in the columns
    for index, drawing in batch.drawings.items():
        if drawing.mask is not None:
            image = batch.images[int(np.searchsorted(ends, index, side="right"))]
            column[index] = orjson.dumps(coco_run_lengths(drawing.mask, image.size))
        elif drawing.polygons is not None:
            column[index] = orjson.dumps(drawing.polygons)
    return before, column, after


def _endings(batch: Batch, provenance: list[bytes] | None) -> bytes | list[bytes]:
    """The text behind the score of every object: its attributes, its provenance and the closing of its record."""
    if not batch.drawings and provenance is None:
        return _END
    column = [_END] * batch.objects if provenance is None else [text + _END for text in provenance]
    for index, drawing in batch.drawings.items():
        if drawing.attributes:
            column[index] = b',"attributes":%b%b' % (orjson.dumps(drawing.attributes), column[index])
    return column


COCO = FileFormat("_coco{part}.json", lambda export: Coco(export.title, export.schema, export.platform), "coco")
