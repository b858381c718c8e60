"""`<title>_coco.json`: COCO's object detection format, as `pycocotools` reads it.

Ids are the same in every run: an image's is its place in the manifest, a category's its place in the schema (from 1),
an annotation's its place in the file. Images without objects are kept. `bbox` is ``[x, y, width, height]`` in pixels,
`area` that of the polygon, of the box, or the number of a mask's pixels, `score` the confidence. The segmentation of an
object of several parts is a ring for each part, that of a mask its run lengths. COCO has no objects without a place:
labels of a whole image stand in the image's own field `labels`, as ``{"category_id", "score"[, "attributes"]}``. The
images come after the annotations, so that the file is written in one pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from tempfile import SpooledTemporaryFile
from typing import Any

import numpy as np
import orjson

from labelwright.datasets.masks import coco_runs
from labelwright.datasets.spool.batch import Batch, Tag
from labelwright.datasets.spool.columns import interleave, numbers, repeat_by_count, rows, take
from labelwright.domain import LabelSchema

_NO_POLYGON = b',"iscrowd":0,"segmentation":[],"bbox":['


class NotInSchema(ValueError):
    """A label that cannot be written, since categories are the schema's."""


class Coco:
    def __init__(self, title: str, schema: LabelSchema) -> None:
        self._title = title
        self._schema = schema
        self._ids = {name: number for number, name in enumerate(schema.names, 1)}
        self._categories = {name: b"%d" % number + _NO_POLYGON for name, number in self._ids.items()}
        self._images = SpooledTemporaryFile(max_size=4 << 20)  # noqa: SIM115 - closed in tail, or by losing it
        self._written = 0

    def head(self) -> bytes:
        categories: list[dict[str, Any]] = [
            {"id": number, "name": label.name, "supercategory": label.parent or ""}
            for number, label in enumerate(self._schema.labels, 1)
        ]
        info = orjson.dumps({"description": self._title})
        return b'{"info":%b,\n"categories":%b,\n"annotations":[\n' % (info, orjson.dumps(categories))

    def body(self, batch: Batch) -> bytes:
        self._images.write(self._image_records(batch))
        total = batch.objects
        if not total:
            return b""
        first, self._written = self._written + 1, self._written + total
        boxes = batch.corners.copy()
        boxes[:, 2:] -= boxes[:, :2]
        areas = boxes[:, 2] * boxes[:, 3]
        categories = take([self._category(name) for name in batch.names], batch.codes)
        ends: bytes | list[bytes] = b"},\n"
        if batch.drawings:
            ends = [b"},\n"] * total
            ends_of = np.cumsum(batch.counts)  # of the images' objects, in the columns
            for place, drawing in batch.drawings.items():
                if drawing.outlined:
                    areas[place] = drawing.area
                    told: Any = drawing.polygons
                    if drawing.mask is not None:
                        owner = int(np.searchsorted(ends_of, place, side="right"))
                        told = coco_runs(drawing.mask, batch.images[owner].size)
                    segmentation = b',"iscrowd":0,"segmentation":%b,"bbox":[' % orjson.dumps(told)
                    categories[place] = b"%d" % self._ids[batch.label(place)] + segmentation
                if drawing.attributes:
                    ends[place] = b',"attributes":%b},\n' % orjson.dumps(drawing.attributes)
        owners = [b',"image_id":%d,"category_id":' % image.position for image in batch.images]
        text = interleave(
            total,
            b'{"id":',
            numbers(np.arange(first, first + total)),
            repeat_by_count(owners, batch.counts),
            categories,
            rows(boxes),
            b'],"area":',
            numbers(areas),
            b',"score":',
            batch.confidence_texts,
            ends,
        )
        # The comma of the last object of all would be one too many: it goes in front of what follows instead.
        return (text if first == 1 else b",\n" + text)[:-2]

    def tail(self) -> Iterator[bytes]:
        yield b'\n],\n"images":['
        self._images.seek(0)
        before = b""
        while chunk := self._images.read(1 << 20):
            yield before
            before = chunk
        yield before[:-1] + b"\n]}\n"
        self._images.close()

    def _category(self, label: str) -> bytes:
        if label not in self._categories:
            raise NotInSchema(
                f"label '{label}' has no place in the schema, so no category: the gate would have said so"
            )
        return self._categories[label]

    def _image_records(self, batch: Batch) -> bytes:
        """A line an image, each with a comma after it."""
        records: list[dict[str, Any]] = [
            {"id": image.position, "file_name": image.name, "width": image.size.width, "height": image.size.height}
            for image in batch.images
        ]
        for place, tags in batch.tags.items():
            records[place]["labels"] = [self._tag(tag) for tag in tags]
        if not records:
            return b""
        # Inside a string the quotes of what is replaced here would be escaped.
        return b"\n" + orjson.dumps(records)[1:-1].replace(b'},{"id":', b'},\n{"id":') + b","

    def _tag(self, tag: Tag) -> dict[str, Any]:
        found: dict[str, Any] = {"category_id": self._ids[tag.label], "score": tag.confidence}
        return found | {"attributes": tag.attributes} if tag.attributes else found
