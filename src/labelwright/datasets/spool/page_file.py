"""One page of labels as a file.

A page is one file, ``page-000001.labels``:

    objects    six 64-bit floats each: label (its index in the page's own table), confidence, xmin, ymin, xmax, ymax
    extras     for images that have more than boxes, a JSON array: ``[drawings, tags]``, with drawings
               ``[index, polygon or null, area, attributes or null]``, of masks with their runs behind it, and tags of
               the whole image ``[index among all annotations, label, confidence, attributes or null]``. A polygon is
               ``[x1, y1, x2, y2, ...]``, an object of several parts a list of such lists
    index      JSON: names, sizes, remote ids, counts and lengths of the extras, a column each; the table of labels; and
               where there are any, shapes that are left out and images that are excluded
    footer     20 digits: where the index begins

So the boxes of neighbouring images are one read without parsing, and floats are read exactly as they were written.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from labelwright.domain import (
    Annotation,
    Box,
    ExcludedImage,
    ImageState,
    LabeledImage,
    Mask,
    MultiPolygon,
    Polygon,
    ShapeNotice,
    Size,
    WholeImage,
)

from .batch import Drawing

_FOOTER = 21  # 20 digits and a line feed
COLUMNS = 6
OBJECT = COLUMNS * 8
"""Bytes of an object."""


class SpoolDamaged(ValueError):
    """A page that cannot be read: the message says which; remove it and read that page from the platform again."""


class Page:
    """Collects the images of a page in columns."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.objects = array("d")
        self.extras: list[bytes] = []
        self._labels: dict[str, int] = {}
        self._left_out: list[list[Any]] = []
        self._excluded: list[list[Any]] = []
        self._columns: dict[str, list[Any]] = {
            name: [] for name in ("widths", "heights", "remote_ids", "counts", "extras")
        }

    def add_notices(self, left_out: Iterable[ShapeNotice], excluded: Iterable[ExcludedImage]) -> None:
        """Adds shapes and images of this page that are in no dataset."""
        self._left_out += [[notice.reason, notice.image, notice.detail, notice.dropped] for notice in left_out]
        self._excluded += [[image.name, image.state.value, image.detail, image.remote_id] for image in excluded]

    def add(self, image: LabeledImage) -> None:
        drawings: list[Any] = []
        tags: list[Any] = []
        count = 0
        for index, annotation in enumerate(image.annotations):
            shape, attributes = annotation.shape, dict(sorted(annotation.attributes.items())) or None
            if isinstance(shape, WholeImage):
                tags.append([index, annotation.label, float(annotation.confidence), attributes])
                continue
            if isinstance(shape, Polygon):
                drawings.append([count, list(map(float, shape.flat)), float(shape.area), attributes])
            elif isinstance(shape, MultiPolygon):
                rings = [list(map(float, part.flat)) for part in shape.parts]
                drawings.append([count, rings, float(shape.area), attributes])
            elif isinstance(shape, Mask):
                drawings.append([count, None, float(shape.area), attributes, shape.flat])
            elif attributes:
                drawings.append([count, None, 0.0, attributes])
            code = self._labels.setdefault(annotation.label, len(self._labels))
            self.objects.extend((code, annotation.confidence, *shape.box.corners))
            count += 1
        extras = orjson.dumps([drawings, tags]) if drawings or tags else b""
        self.names.append(image.name)
        self.extras.append(extras)
        values = (image.size.width, image.size.height, image.remote_id, count, len(extras))
        for column, value in zip(self._columns.values(), values, strict=True):
            column.append(value)

    def parts(self) -> tuple[bytes, ...]:
        """The bytes of the file, in order."""
        objects, extras = np.array(self.objects, dtype="<f8").tobytes(), b"".join(self.extras)
        index = {"names": self.names, "labels": list(self._labels), **self._columns}
        index |= {name: rows for name, rows in (("left_out", self._left_out), ("excluded", self._excluded)) if rows}
        return objects, extras, orjson.dumps(index), b"\n%020d\n" % (len(objects) + len(extras))


def labeled_images(path: Path) -> Iterator[LabeledImage]:
    index = read_index(path)
    columns = (index[name] for name in ("names", "widths", "heights", "remote_ids", "counts", "extras"))
    with path.open("rb") as objects, path.open("rb") as extras:
        extras.seek(sum(index["counts"]) * OBJECT)
        for name, width, height, remote_id, count, length in zip(*columns, strict=True):
            rows = np.frombuffer(objects.read(count * OBJECT), dtype="<f8").reshape(-1, COLUMNS).tolist()
            drawings, tags = orjson.loads(extras.read(length)) if length else ((), ())
            annotations = _annotations(rows, index["labels"], drawings, tags)
            yield LabeledImage(name, Size(width, height), tuple(annotations), remote_id)


def shape_notices(path: Path) -> Iterator[ShapeNotice]:
    """Shapes of a page's images that are dropped or changed."""
    for reason, image, detail, dropped in read_index(path).get("left_out", ()):
        yield ShapeNotice(reason, image, detail, dropped)


def excluded_images(path: Path) -> Iterator[ExcludedImage]:
    """Images that were skipped, rejected or deleted."""
    return excluded_in(read_index(path))


def excluded_in(index: dict[str, Any]) -> Iterator[ExcludedImage]:
    """Excluded images of an index, see `read_index`."""
    for name, state, detail, remote_id in index.get("excluded", ()):
        yield ExcludedImage(name, ImageState(state), detail, remote_id)


def _annotations(rows: list[list[float]], labels: list[str], drawings: Any, tags: Any) -> list[Annotation]:
    details = {index: (polygon, attributes, runs) for index, polygon, _, attributes, *runs in drawings}
    annotations: list[Annotation] = []
    for index, (code, confidence, *corners) in enumerate(rows):
        polygon, attributes, runs = details.get(index, (None, None, ()))
        shape: Box | Polygon | MultiPolygon | Mask = Box(*corners) if not runs else Mask.from_flat(*runs)
        if polygon is not None:
            parts = tuple(Polygon(tuple(zip(ring[::2], ring[1::2], strict=True))) for ring in _rings(polygon))
            shape = parts[0] if len(parts) == 1 else MultiPolygon(parts)
        annotations.append(Annotation(labels[int(code)], shape, confidence, attributes or {}))
    for index, label, confidence, attributes in tags:  # in ascending order: each goes to its original index
        annotations.insert(index, Annotation(label, WholeImage(), confidence, attributes or {}))
    return annotations


def drawing_from(
    polygon: Any, area: float, attributes: dict[str, str] | None, mask: list[int] | None = None
) -> Drawing:
    """Makes a drawing from what the page has of it behind the object's index."""
    return Drawing(None if polygon is None else _rings(polygon), area, attributes, mask)


def _rings(polygon: list[Any]) -> list[list[float]]:
    """A polygon of a page as a list of rings. In the page a single ring is no list of rings."""
    return polygon if isinstance(polygon[0], list) else [polygon]


def read_index(path: Path) -> dict[str, Any]:
    """Reads the index of a page. Raises SpoolDamaged."""
    try:
        with path.open("rb") as file:
            length = file.seek(0, os.SEEK_END)
            file.seek(length - _FOOTER)
            footer = file.read()
            start = int(footer) if footer.endswith(b"\n") else -1
            file.seek(start)
            index: dict[str, Any] = orjson.loads(file.read(length - _FOOTER - start))
        consistent = sum(index["counts"]) * OBJECT + sum(index["extras"]) == start
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SpoolDamaged(f"{path.name} in {path.parent} cannot be read ({error}): read that page again") from error
    if not consistent:
        raise SpoolDamaged(f"{path.name} in {path.parent} is damaged, its sizes do not add up: read that page again")
    return index
