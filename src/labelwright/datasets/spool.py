"""Labels on disk between the platform and the files: crash-safe pages, read back in the order of the manifest.

A page is one file, ``page-000001.jsonl``: a line an image, then a line with the names and where each begins, then the
place of that line in 20 digits. A line of an image is a JSON array that ends with a comma, so that a run of lines is
the inside of an array and is read by one call:

    [name, width, height, remote_id, labels, confidences, corners, drawings, tags],

labels, confidences and corners (four numbers each, in pixels) are columns over the image's boxes and polygons;
drawings are ``[place, polygon or null, area, attributes or null]`` for those that are more than a box, and tags are
``[place among all annotations, label, confidence, attributes or null]`` for labels of the whole image. Floats are
written by their shortest exact text: what comes out equals what went in.
"""

from __future__ import annotations

import os
import re
from array import array
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from labelwright.domain import Annotation, Box, LabeledImage, Polygon, Size, WholeImage

from .atomic import whole_file
from .records import Batch, Drawing, Stock, StockedImage, Tag

_PAGE = re.compile(r"page-(\d{6,})\.jsonl")
_FOOTER = 21  # 20 digits and a line feed
_IMAGES_A_BATCH = 1024
_BYTES_A_BATCH = 1 << 20


class SpoolDamaged(ValueError):
    """A page that cannot be read: the message says which; remove it and read that page from the platform again."""


class Spool:
    """A folder of pages of labels. Pages may come in any order, and again; the last put of a number is kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def put_page(self, number: int, images: Iterable[LabeledImage]) -> int:
        """Keeps a page of labels and returns the count of its images. A kill leaves the old page or the new one."""
        if number < 0:
            raise ValueError(f"pages are counted from 0 or 1, not {number}")
        names: list[str] = []
        starts: list[int] = []
        place = 0
        with whole_file(self._path(number), lasting=True) as file:
            for image in images:
                line = orjson.dumps(_record(image)) + b",\n"
                names.append(image.name)
                starts.append(place)
                place += file.write(line)
            file.write(orjson.dumps({"names": names, "starts": starts}) + b"\n")
            file.write(b"%020d\n" % place)
        return len(names)

    def pages(self) -> tuple[int, ...]:
        """The numbers of the pages that are here and whole, in order."""
        if not self.folder.is_dir():
            return ()
        return tuple(sorted(int(found[1]) for one in self.folder.iterdir() if (found := _PAGE.fullmatch(one.name))))

    def keep_only(self, numbers: Iterable[int]) -> None:
        """Drops pages of an earlier reading that the platform no longer has, and what a killed writer left."""
        kept = {self._path(number).name for number in numbers}
        for one in self.folder.glob("*") if self.folder.is_dir() else ():
            if one.name not in kept and (_PAGE.fullmatch(one.name) or one.suffix == ".part"):
                one.unlink(missing_ok=True)

    def images(self) -> Iterator[LabeledImage]:
        """Every image as the domain knows it, page by page. Slow: the writers read `delivered`."""
        for number in self.pages():
            with self._path(number).open("rb") as file:
                left = _index(self._path(number))[2]
                while left > 0:
                    line = file.readline()
                    left -= len(line)
                    yield _labeled(orjson.loads(line[:-2]))

    def delivered(self, stock: Stock) -> SpooledLabels:
        """The labels brought together with the manifest, in its order. Reads the names of all pages now."""
        return SpooledLabels([self._path(number) for number in self.pages()], stock)

    def _path(self, number: int) -> Path:
        return self.folder / f"page-{number:06d}.jsonl"


class SpooledLabels:
    """Labels of a spool in the order of a manifest. In memory: a name and two numbers an image, and one batch."""

    def __init__(self, pages: list[Path], stock: Stock) -> None:
        if iter(stock) is stock:
            raise TypeError("the stock is read more than once: give a list or an object with __iter__, not a generator")
        self._pages = pages
        self._stock = stock
        self._starts, self._ends, self._page_of = array("Q"), array("Q"), array("L")
        self._index: dict[str, int] = {}
        self._repeated: dict[str, None] = {}
        for place, path in enumerate(pages):
            self._read_names(place, path)

    def _read_names(self, place: int, path: Path) -> None:
        names, starts, end = _index(path)
        number = len(self._starts)
        for name in names:
            if name in self._index:
                self._repeated[name] = None
            self._index[name] = number
            number += 1
        self._starts.extend(starts)
        self._ends.extend(starts[1:])
        if starts:
            self._ends.append(end)
        self._page_of.extend([place] * len(names))

    def __len__(self) -> int:
        """How many different images were delivered."""
        return len(self._index)

    def repeated(self) -> Iterator[str]:
        return iter(self._repeated)

    def unknown(self) -> Iterator[str]:
        if not self._index:
            return
        known = bytearray(len(self._starts))
        for image in self._stock:
            place = self._index.get(image.name)
            if place is not None:
                known[place] = 1
        yield from (name for name, place in self._index.items() if not known[place])

    def batches(self) -> Iterator[Batch]:
        handles = [os.open(path, os.O_RDONLY) for path in self._pages]
        try:
            stock = iter(self._stock)
            while images := list(islice(stock, _IMAGES_A_BATCH)):
                yield from self._split(images, handles)
        finally:
            for handle in handles:
                os.close(handle)

    def _split(self, images: list[StockedImage], handles: list[int]) -> Iterator[Batch]:
        """Batches of about a megabyte, however many objects an image has."""
        places = [self._index.get(image.name, -1) for image in images]
        starts, ends = self._starts, self._ends
        first, weight = 0, 0
        for number, place in enumerate(places):
            weight += ends[place] - starts[place] if place >= 0 else 0
            if weight >= _BYTES_A_BATCH:
                yield self._batch(images[first : number + 1], places[first : number + 1], handles)
                first, weight = number + 1, 0
        if first < len(images):
            yield self._batch(images[first:], places[first:], handles)

    def _batch(self, images: list[StockedImage], places: list[int], handles: list[int]) -> Batch:
        missing: list[StockedImage] = []
        if -1 in places:
            missing = [image for image, place in zip(images, places, strict=True) if place < 0]
            images = [image for image, place in zip(images, places, strict=True) if place >= 0]
            places = [place for place in places if place >= 0]
        return _columns(images, self._read(places, handles), missing)

    def _read(self, places: list[int], handles: list[int]) -> list[Any]:
        """The records of places, by one read for each run of neighbours in a page."""
        if not places:
            return []
        parts: list[bytes] = []
        first = last = places[0]
        page_of, starts, ends = self._page_of, self._starts, self._ends
        for place in chain(places[1:], (-1,)):
            if place == last + 1 and page_of[place] == page_of[last]:
                last = place
                continue
            parts.append(os.pread(handles[page_of[first]], ends[last] - starts[first], starts[first]))
            first = last = place
        records: list[Any] = orjson.loads(b"[" + b"".join(parts)[:-2] + b"]")
        return records


def _columns(images: list[StockedImage], records: list[Any], missing: list[StockedImage]) -> Batch:
    if not records:
        return Batch([], [], [], [], [], [], np.empty((0, 4)), {}, {}, missing)
    _, widths, heights, remote_ids, labels, confidences, corners, drawings, tags = zip(*records, strict=True)
    counts = list(map(len, labels))
    flat = list(chain.from_iterable(corners))
    return Batch(
        images=images,
        sizes=list(zip(widths, heights, strict=True)),
        remote_ids=list(remote_ids),
        counts=counts,
        labels=list(chain.from_iterable(labels)),
        confidences=list(chain.from_iterable(confidences)),
        corners=np.array(flat, dtype=np.float64).reshape(-1, 4),
        drawings=_drawings(drawings, counts) if any(drawings) else {},
        tags={
            image: [Tag(label, confidence, attributes) for _, label, confidence, attributes in some]
            for image, some in enumerate(tags)
            if some
        },
        missing=missing,
    )


def _drawings(drawings: Iterable[list[Any]], counts: list[int]) -> dict[int, Drawing]:
    found: dict[int, Drawing] = {}
    before = 0
    for some, count in zip(drawings, counts, strict=True):
        for place, polygon, area, attributes in some:
            found[before + place] = Drawing(polygon, area, attributes)
        before += count
    return found


def _record(image: LabeledImage) -> list[Any]:
    labels: list[str] = []
    confidences: list[float] = []
    corners: list[float] = []
    drawings: list[Any] = []
    tags: list[Any] = []
    for place, annotation in enumerate(image.annotations):
        shape, confidence = annotation.shape, float(annotation.confidence)
        attributes = dict(sorted(annotation.attributes.items())) or None
        if isinstance(shape, WholeImage):
            tags.append([place, annotation.label, confidence, attributes])
            continue
        if isinstance(shape, Polygon):
            drawings.append([len(labels), list(map(float, shape.flat)), float(shape.area), attributes])
        elif attributes:
            drawings.append([len(labels), None, 0.0, attributes])
        labels.append(annotation.label)
        confidences.append(confidence)
        corners.extend(map(float, shape.box.corners))
    size = image.size
    return [image.name, size.width, size.height, image.remote_id, labels, confidences, corners, drawings, tags]


def _labeled(record: list[Any]) -> LabeledImage:
    name, width, height, remote_id, labels, confidences, corners, drawings, tags = record
    more = {place: (polygon, attributes) for place, polygon, _, attributes in drawings}
    annotations: list[Annotation] = []
    for place, (label, confidence) in enumerate(zip(labels, confidences, strict=True)):
        polygon, attributes = more.get(place, (None, None))
        shape: Box | Polygon
        if polygon is None:
            shape = Box(*corners[4 * place : 4 * place + 4])
        else:
            shape = Polygon(tuple(zip(polygon[::2], polygon[1::2], strict=True)))
        annotations.append(Annotation(label, shape, confidence, attributes or {}))
    for place, label, confidence, attributes in tags:  # in ascending place: each lands where it stood
        annotations.insert(place, Annotation(label, WholeImage(), confidence, attributes or {}))
    return LabeledImage(name, Size(width, height), tuple(annotations), remote_id)


def _index(path: Path) -> tuple[list[str], list[int], int]:
    """The names in a page, where each begins, and where the last one ends."""
    try:
        with path.open("rb") as file:
            length = file.seek(0, os.SEEK_END)
            file.seek(length - _FOOTER)
            end = int(file.read())
            file.seek(end)
            index = orjson.loads(file.read(length - _FOOTER - end))
        return index["names"], index["starts"], end
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SpoolDamaged(f"{path.name} in {path.parent} cannot be read ({error}): read that page again") from error
