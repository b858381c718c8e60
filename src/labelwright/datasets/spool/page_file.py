"""One page of labels as a file.

A page is one file, ``page-000001.labels``:

    objects    six 64-bit floats each: label (its index in the page's own table), confidence, xmin, ymin, xmax, ymax
    extras     for images that have more than boxes, a JSON array: ``[drawings, tags]``, with drawings
               ``[index, polygon or null, area, attributes or null]``, of masks with their runs behind it, and tags of
               the whole image ``[index among all annotations, label, confidence, attributes or null]``. A polygon is
               ``[x1, y1, x2, y2, ...]``, an object of several parts a list of such lists
    provenance where anything is known: labeler, times and origin of every object, see `provenance.ROW`. Of a tag it
               follows its attributes
    opinions   where there are any: objects, extras and provenance once more, of what each labeler of an image says
    index      JSON: names, sizes, remote ids, counts and lengths of the extras, a column each; the table of labels; and
               where there are any, shapes that are left out, images that are excluded, the table of labelers, the
               table of origins with versions of models, the numbers of images that were reviewed, by their state, and
               the columns of the opinions
    footer     20 digits: where the index begins

So the boxes of neighbouring images are one read without parsing, and floats are read exactly as they were written.
Pages of earlier versions lack provenance, opinions, reviews and models. A page without them is the same bytes in every
version.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from labelwright.domain import (
    UNKNOWN,
    Annotation,
    Box,
    Boxes,
    ExcludedImage,
    ImageState,
    LabeledImage,
    Mask,
    MultiPolygon,
    Opinion,
    Polygon,
    Provenance,
    Shape,
    ShapeNotice,
    Size,
    WholeImage,
)
from labelwright.domain.labels import REVIEWED

from .batch import UNKNOWN_SIZE, Drawing
from .provenance import (
    ROW,
    NameTables,
    ProvenanceReader,
    ProvenanceRows,
    labelers_of,
    microseconds,
    moment_of,
    sources_of,
    to_row,
)

_FOOTER = 21  # 20 digits and a line feed
COLUMNS = 6
OBJECT = COLUMNS * 8
"""Bytes of an object."""


class SpoolDamaged(ValueError):
    """A page that cannot be read: the message says which; remove it and read that page from the platform again."""

    error_code = "LW5011"


class _Sections:
    """The objects, extras and provenance of images, or of opinions, as they lie in the file one after the other."""

    def __init__(self, labels: dict[str, int], tables: NameTables) -> None:
        self._labels = labels
        self._tables = tables
        self._codes = array("d")
        self._numbers = array("d")
        """Confidence and corners of every object."""
        self.extras: list[bytes] = []
        self.counts: list[int] = []
        self._provenance = ProvenanceRows(tables)
        self._total = 0

    def add(self, annotations: Iterable[Annotation]) -> None:
        if isinstance(annotations, Boxes):
            self._add_boxes(annotations)
            return
        drawings: list[Any] = []
        tags: list[Any] = []
        count = 0
        for index, annotation in enumerate(annotations):
            shape = annotation.shape
            if type(shape) is not Box or annotation.attributes:
                attributes = dict(sorted(annotation.attributes.items())) or None
                if isinstance(shape, WholeImage):
                    tags.append(self._tag(index, annotation, attributes))
                    continue
                drawing = _drawing(count, shape, attributes)
                if drawing is not None:
                    drawings.append(drawing)
            if annotation.provenance is not UNKNOWN:
                self._provenance.add(self._total + count, annotation.provenance)
            self._codes.append(self._labels.setdefault(annotation.label, len(self._labels)))
            self._numbers.extend((annotation.confidence, *shape.box.corners))
            count += 1
        self._total += count
        self.counts.append(count)
        self.extras.append(orjson.dumps([drawings, tags]) if drawings or tags else b"")

    def _add_boxes(self, boxes: Boxes) -> None:
        codes = self._labels
        self._codes.extend([codes.setdefault(label, len(codes)) for label in boxes.labels])
        self._numbers.extend(boxes.numbers)
        if boxes.provenance is not UNKNOWN and boxes:
            self._provenance.add(self._total, boxes.provenance, len(boxes))
        self._total += len(boxes)
        self.counts.append(len(boxes))
        self.extras.append(b"")

    def _tag(self, index: int, annotation: Annotation, attributes: dict[str, str] | None) -> list[Any]:
        tag = [index, annotation.label, float(annotation.confidence), attributes]
        known = annotation.provenance is not UNKNOWN
        return [*tag, to_row(annotation.provenance, self._tables)] if known else tag

    def parts(self) -> tuple[bytes, bytes, bytes]:
        objects = np.empty((self._total, COLUMNS), dtype="<f8")
        objects[:, 0] = self._codes
        objects[:, 1:] = np.reshape(self._numbers, (-1, COLUMNS - 1))
        return (
            objects.tobytes(),
            b"".join(self.extras),
            self._provenance.block(self._total),
        )


def _drawing(index: int, shape: Shape, attributes: dict[str, str] | None) -> list[Any] | None:
    """The row of an object that is more than a box; None for a box without attributes."""
    if isinstance(shape, Polygon):
        return [index, list(map(float, shape.flat)), float(shape.area), attributes]
    if isinstance(shape, MultiPolygon):
        return [index, [list(map(float, part.flat)) for part in shape.parts], float(shape.area), attributes]
    if isinstance(shape, Mask):
        return [index, None, float(shape.area), attributes, shape.flat]
    return [index, None, 0.0, attributes] if attributes else None


class Page:
    """Collects the images of a page in columns."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._labels: dict[str, int] = {}
        self._tables = NameTables()
        self._images = _Sections(self._labels, self._tables)
        self._opinions = _Sections(self._labels, self._tables)
        self._left_out: list[list[Any]] = []
        self._excluded: list[list[Any]] = []
        self._reviewed: dict[str, list[int]] = {}
        self._columns: dict[str, list[Any]] = {name: [] for name in ("widths", "heights", "remote_ids")}
        self._opinion_columns: dict[str, list[Any]] = {
            name: [] for name in ("images", "labelers", "labeled_at", "seconds")
        }

    def add_notices(self, left_out: Iterable[ShapeNotice], excluded: Iterable[ExcludedImage]) -> None:
        """Adds shapes and images of this page that are in no dataset."""
        self._left_out += [[notice.reason, notice.image, notice.detail, notice.dropped] for notice in left_out]
        self._excluded += [[image.name, image.state.value, image.detail, image.remote_id] for image in excluded]

    def add(self, image: LabeledImage) -> None:
        number = len(self.names)
        self._images.add(image.annotations)
        self.names.append(image.name)
        width, height = (image.size.width, image.size.height) if image.size is not None else UNKNOWN_SIZE
        _append(self._columns, width, height, image.remote_id)
        if image.state in REVIEWED:
            self._reviewed.setdefault(image.state.value, []).append(number)
        for opinion in image.opinions:
            self._opinions.add(opinion.annotations)
            labeled_at = microseconds(opinion.labeled_at)
            _append(self._opinion_columns, number, opinion.labeler, labeled_at, opinion.seconds)

    def parts(self) -> tuple[bytes, ...]:
        """The bytes of the file, in order."""
        of_images, of_opinions = self._images.parts(), self._opinions.parts()
        index = {"names": self.names, "labels": list(self._labels), **self._columns, **_lengths(self._images)}
        optional: dict[str, Any] = {
            "left_out": self._left_out,
            "excluded": self._excluded,
            "labelers": list(self._tables.labelers),
            "models": self._tables.with_models,
            "provenance": bool(of_images[2]),
            "reviewed": self._reviewed,
        }
        if self._opinion_columns["images"]:
            lengths = _lengths(self._opinions) | {"provenance": bool(of_opinions[2])}
            optional["opinions"] = self._opinion_columns | lengths
        index |= {name: value for name, value in optional.items() if value}
        sections = (*of_images, *of_opinions)
        return *sections, orjson.dumps(index), b"\n%020d\n" % sum(map(len, sections))


def _append(columns: Mapping[str, list[Any]], *values: Any) -> None:
    for column, value in zip(columns.values(), values, strict=True):
        column.append(value)


def _lengths(sections: _Sections) -> dict[str, list[int]]:
    return {"counts": sections.counts, "extras": list(map(len, sections.extras))}


def labeled_images(path: Path) -> Iterator[LabeledImage]:
    index = read_index(path)
    labels, reader = index["labels"], ProvenanceReader(labelers_of(index), sources_of(index))
    opinions = _opinions(path, index, reader)
    states = {number: ImageState(state) for state, numbers in index.get("reviewed", {}).items() for number in numbers}
    columns = (index[name] for name in ("names", "widths", "heights", "remote_ids"))
    annotations = _read_sections(path, 0, index, labels, reader)
    for number, (name, width, height, remote_id, of_image) in enumerate(zip(*columns, annotations, strict=True)):
        state, said = states.get(number, ImageState.LABELED), opinions.get(number, ())
        yield LabeledImage(name, Size(width, height) if width else None, of_image, remote_id, state, tuple(said))


def _opinions(path: Path, index: Mapping[str, Any], reader: ProvenanceReader) -> dict[int, list[Opinion]]:
    """The opinions of a page's images, by the number of the image."""
    opinions: dict[int, list[Opinion]] = {}
    if "opinions" not in index:
        return opinions
    columns = index["opinions"]
    annotations = _read_sections(path, section_bytes(index), columns, index["labels"], reader)
    rows = (columns[name] for name in ("images", "labelers", "labeled_at", "seconds"))
    for image, labeler, labeled_at, seconds, of_opinion in zip(*rows, annotations, strict=True):
        opinions.setdefault(image, []).append(Opinion(labeler, of_opinion, moment_of(labeled_at), seconds))
    return opinions


def _read_sections(
    path: Path, start: int, columns: Mapping[str, Any], labels: list[str], reader: ProvenanceReader
) -> Iterator[tuple[Annotation, ...]]:
    """The annotations of each image, or each opinion, of the three sections that begin at `start`."""
    total = sum(columns["counts"])
    with ExitStack() as stack:
        objects, extras, provenance = (stack.enter_context(path.open("rb")) for _ in range(3))
        objects.seek(start)
        extras.seek(start + total * OBJECT)
        provenance.seek(start + total * OBJECT + sum(columns["extras"]))
        known = bool(columns.get("provenance"))
        for count, length in zip(columns["counts"], columns["extras"], strict=True):
            rows = np.frombuffer(objects.read(count * OBJECT), dtype="<f8").reshape(-1, COLUMNS).tolist()
            drawings, tags = orjson.loads(extras.read(length)) if length else ((), ())
            of_objects = reader.read(provenance.read(count * ROW.itemsize)) if known else None
            yield tuple(_annotations(rows, labels, drawings, tags, of_objects, reader))


def section_bytes(columns: Mapping[str, Any]) -> int:
    """Bytes of objects, extras and provenance together."""
    objects: int = sum(columns["counts"])
    provenance = objects * ROW.itemsize if columns.get("provenance") else 0
    extras: int = sum(columns["extras"])
    return objects * OBJECT + extras + provenance


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


def _annotations(
    rows: list[list[float]],
    labels: list[str],
    drawings: Any,
    tags: Any,
    provenances: Sequence[Provenance] | None,
    reader: ProvenanceReader,
) -> list[Annotation]:
    if not drawings and not tags and provenances is None:
        return [Annotation(labels[int(code)], Box(*corners), confidence, {}) for code, confidence, *corners in rows]
    details = {index: (polygon, attributes, runs) for index, polygon, _, attributes, *runs in drawings}
    annotations: list[Annotation] = []
    for index, (code, confidence, *corners) in enumerate(rows):
        polygon, attributes, runs = details.get(index, (None, None, ()))
        shape: Box | Polygon | MultiPolygon | Mask = Box(*corners) if not runs else Mask.from_flat(*runs)
        if polygon is not None:
            parts = tuple(Polygon(tuple(zip(ring[::2], ring[1::2], strict=True))) for ring in _rings(polygon))
            shape = parts[0] if len(parts) == 1 else MultiPolygon(parts)
        provenance = UNKNOWN if provenances is None else provenances[index]
        annotations.append(Annotation(labels[int(code)], shape, confidence, attributes or {}, provenance))
    for index, label, confidence, attributes, *row in tags:  # in ascending order: each goes to its original index
        provenance = reader.of(row[0]) if row else UNKNOWN
        annotations.insert(index, Annotation(label, WholeImage(), confidence, attributes or {}, provenance))
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
        sections = [index, index["opinions"]] if "opinions" in index else [index]
        consistent = sum(map(section_bytes, sections)) == start
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SpoolDamaged(f"{path.name} in {path.parent} cannot be read ({error}): read that page again") from error
    if not consistent:
        raise SpoolDamaged(f"{path.name} in {path.parent} is damaged, its sizes do not add up: read that page again")
    return index
