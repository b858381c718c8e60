"""Labels on disk between the platform and the files: crash-safe pages, read back in the order of the manifest.

A page is one file, ``page-000001.labels``:

    objects    six 64-bit floats each: label (its place in the page's own table), confidence, xmin, ymin, xmax, ymax
    extras     for images that have more than boxes, a JSON array: ``[drawings, tags]``, with drawings
               ``[place, polygon or null, area, attributes or null]`` and tags of the whole image
               ``[place among all annotations, label, confidence, attributes or null]``
    index      JSON: names, sizes, remote ids, counts and lengths of the extras, a column each; and the table of labels
    footer     20 digits: where the index begins

So the boxes of a thousand neighbours are one read and no parsing, and floats come out as they went in.
"""

from __future__ import annotations

import os
import re
from array import array
from collections.abc import Iterable, Iterator
from itertools import accumulate, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from labelwright.domain import Annotation, Box, LabeledImage, Polygon, Size, WholeImage

from .atomic import whole_file
from .records import Batch, Drawing, Stock, StockedImage, Tag

if TYPE_CHECKING:
    from .records import Codes, Floats

_PAGE = re.compile(r"page-(\d{6,})\.labels")
_FOOTER = 21  # 20 digits and a line feed
_COLUMNS = 6
_OBJECT = _COLUMNS * 8
_IMAGES_A_BATCH = 512
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
        page = _Page()
        for image in images:
            page.add(image)
        objects, extras = np.array(page.objects, dtype="<f8").tobytes(), b"".join(page.extras)
        with whole_file(self._path(number), lasting=True) as file:
            file.writelines((objects, extras, orjson.dumps(page.index()), b"\n"))
            file.write(b"%020d\n" % (len(objects) + len(extras)))
        return len(page.names)

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
            yield from _labeled_images(self._path(number))

    def delivered(self, stock: Stock) -> SpooledLabels:
        """The labels brought together with the manifest, in its order. Reads the names of all pages now."""
        return SpooledLabels([self._path(number) for number in self.pages()], stock)

    def _path(self, number: int) -> Path:
        return self.folder / f"page-{number:06d}.labels"


class SpooledLabels:
    """Labels of a spool in the order of a manifest. In memory: a name and two numbers an image, and one batch."""

    def __init__(self, pages: list[Path], stock: Stock) -> None:
        if iter(stock) is stock:
            raise TypeError("the stock is read more than once: give a list or an object with __iter__, not a generator")
        self._pages = pages
        self._stock = stock
        self._page_of, self._counts, self._objects = array("L"), array("Q"), array("Q")
        self._extras, self._extra_lengths = array("Q"), array("Q")
        self._sizes: list[tuple[int, int]] = []
        self._remote_ids: list[str] = []
        self._labels: dict[str, int] = {}
        self._codes: list[Codes] = []
        self._index: dict[str, int] = {}
        self._repeated: dict[str, None] = {}
        for place, path in enumerate(pages):
            self._take_index(place, path)

    def _take_index(self, page: int, path: Path) -> None:
        index = _read_index(path)
        names = index["names"]
        for number, name in enumerate(names, len(self._counts)):
            if name in self._index:
                self._repeated[name] = None
            self._index[name] = number
        self._counts.extend(index["counts"])
        self._objects.extend(accumulate(index["counts"][:-1], initial=0) if names else ())
        self._extra_lengths.extend(index["extras"])
        start = sum(index["counts"]) * _OBJECT
        self._extras.extend(accumulate(index["extras"][:-1], initial=start) if names else ())
        self._sizes.extend(zip(index["widths"], index["heights"], strict=True))
        self._remote_ids.extend(index["remote_ids"])
        self._page_of.extend([page] * len(names))
        codes = [self._labels.setdefault(label, len(self._labels)) for label in index["labels"]]
        self._codes.append(np.array(codes, dtype=np.intp))

    def __len__(self) -> int:
        """How many different images were delivered."""
        return len(self._index)

    def repeated(self) -> Iterator[str]:
        return iter(self._repeated)

    def unknown(self) -> Iterator[str]:
        if not self._index:
            return
        known = bytearray(len(self._counts))
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
        first, weight = 0, 0
        for number, place in enumerate(places):
            if place >= 0:
                weight += self._counts[place] * _OBJECT + self._extra_lengths[place]
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
        codes, objects = self._read_objects(places, handles)
        counts = [self._counts[place] for place in places]
        drawings, tags = self._read_extras(places, counts, handles)
        return Batch(
            images=images,
            sizes=[self._sizes[place] for place in places],
            remote_ids=[self._remote_ids[place] for place in places],
            counts=counts,
            names=tuple(self._labels),
            codes=codes,
            confidences=objects[:, 1],
            corners=objects[:, 2:],
            drawings=drawings,
            tags=tags,
            missing=missing,
        )

    def _read_objects(self, places: list[int], handles: list[int]) -> tuple[Codes, Floats]:
        """The objects of places, by one read for each run of neighbours in a page."""
        parts, codes = [np.empty((0, _COLUMNS))], [np.empty(0, dtype=np.intp)]
        page_of, starts, counts = self._page_of, self._objects, self._counts
        for first, last in _runs(places, page_of):
            length = starts[last] + counts[last] - starts[first]
            data = os.pread(handles[page_of[first]], length * _OBJECT, starts[first] * _OBJECT)
            parts.append(np.frombuffer(data, dtype="<f8").reshape(-1, _COLUMNS))
            codes.append(self._codes[page_of[first]][parts[-1][:, 0].astype(np.intp)])
        return np.concatenate(codes), np.concatenate(parts)

    def _read_extras(
        self, places: list[int], counts: list[int], handles: list[int]
    ) -> tuple[dict[int, Drawing], dict[int, list[Tag]]]:
        drawings: dict[int, Drawing] = {}
        tags: dict[int, list[Tag]] = {}
        before = 0
        for number, (place, count) in enumerate(zip(places, counts, strict=True)):
            length = self._extra_lengths[place]
            if length:
                data = os.pread(handles[self._page_of[place]], length, self._extras[place])
                drawn, told = orjson.loads(data)
                for one, polygon, area, attributes in drawn:
                    drawings[before + one] = Drawing(polygon, area, attributes)
                if told:
                    tags[number] = [Tag(label, confidence, attributes) for _, label, confidence, attributes in told]
            before += count
        return drawings, tags


def _runs(places: list[int], page_of: array[int]) -> Iterator[tuple[int, int]]:
    """First and last of neighbours in one page."""
    if not places:
        return
    first = last = places[0]
    for place in places[1:]:
        if place != last + 1 or page_of[place] != page_of[first]:
            yield first, last
            first = place
        last = place
    yield first, last


class _Page:
    """Images on their way into a page, in columns."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.objects = array("d")
        self.extras: list[bytes] = []
        self._labels: dict[str, int] = {}
        self._columns: dict[str, list[Any]] = {
            name: [] for name in ("widths", "heights", "remote_ids", "counts", "extras")
        }

    def add(self, image: LabeledImage) -> None:
        drawings: list[Any] = []
        tags: list[Any] = []
        count = 0
        for place, annotation in enumerate(image.annotations):
            shape, attributes = annotation.shape, dict(sorted(annotation.attributes.items())) or None
            if isinstance(shape, WholeImage):
                tags.append([place, annotation.label, float(annotation.confidence), attributes])
                continue
            if isinstance(shape, Polygon):
                drawings.append([count, list(map(float, shape.flat)), float(shape.area), attributes])
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

    def index(self) -> dict[str, Any]:
        return {"names": self.names, "labels": list(self._labels), **self._columns}


def _labeled_images(path: Path) -> Iterator[LabeledImage]:
    index = _read_index(path)
    columns = (index[name] for name in ("names", "widths", "heights", "remote_ids", "counts", "extras"))
    with path.open("rb") as objects, path.open("rb") as extras:
        extras.seek(sum(index["counts"]) * _OBJECT)
        for name, width, height, remote_id, count, length in zip(*columns, strict=True):
            rows = np.frombuffer(objects.read(count * _OBJECT), dtype="<f8").reshape(-1, _COLUMNS).tolist()
            drawings, tags = orjson.loads(extras.read(length)) if length else ((), ())
            annotations = _annotations(rows, index["labels"], drawings, tags)
            yield LabeledImage(name, Size(width, height), tuple(annotations), remote_id)


def _annotations(rows: list[list[float]], labels: list[str], drawings: Any, tags: Any) -> list[Annotation]:
    more = {place: (polygon, attributes) for place, polygon, _, attributes in drawings}
    annotations: list[Annotation] = []
    for place, (code, confidence, *corners) in enumerate(rows):
        polygon, attributes = more.get(place, (None, None))
        shape = Box(*corners) if polygon is None else Polygon(tuple(zip(polygon[::2], polygon[1::2], strict=True)))
        annotations.append(Annotation(labels[int(code)], shape, confidence, attributes or {}))
    for place, label, confidence, attributes in tags:  # in ascending place: each lands where it stood
        annotations.insert(place, Annotation(label, WholeImage(), confidence, attributes or {}))
    return annotations


def _read_index(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            length = file.seek(0, os.SEEK_END)
            file.seek(length - _FOOTER)
            footer = file.read()
            start = int(footer) if footer.endswith(b"\n") else -1
            file.seek(start)
            index: dict[str, Any] = orjson.loads(file.read(length - _FOOTER - start))
        whole = sum(index["counts"]) * _OBJECT + sum(index["extras"]) == start
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SpoolDamaged(f"{path.name} in {path.parent} cannot be read ({error}): read that page again") from error
    if not whole:
        raise SpoolDamaged(f"{path.name} in {path.parent} is damaged, its parts do not add up: read that page again")
    return index
