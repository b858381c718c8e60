"""Labels on disk between the platform and the files: crash-safe pages, read back in the order of the manifest."""

from __future__ import annotations

import os
import re
from array import array
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate, islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import orjson

from labelwright.datasets.files import whole_file
from labelwright.domain import ExcludedImage, LabeledImage, ShapeNotice

from .batch import Batch, Drawing, ManifestImages, StockedImage, Tag
from .page_file import (
    COLUMNS,
    OBJECT,
    Page,
    drawing_from,
    excluded_images,
    excluded_in,
    labeled_images,
    read_index,
    shape_notices,
)

if TYPE_CHECKING:
    from .batch import Codes, Floats

_PAGE = re.compile(r"page-(\d{6,})\.labels")
_OPEN_PAGES = 64
_IMAGES_A_BATCH = 256
_BYTES_A_BATCH = 1 << 20


class Spool:
    """A folder of pages of labels. Pages may come in any order, and again; the last put of a number is kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def put_page(
        self,
        number: int,
        images: Iterable[LabeledImage],
        *,
        left_out: Iterable[ShapeNotice] = (),
        excluded: Iterable[ExcludedImage] = (),
    ) -> int:
        """Keeps a page of labels and returns the count of its images. A kill leaves the old page or the new one.

        `left_out` are shapes of these images that are dropped or changed, `excluded` images that are not in `images`
        because they were skipped, rejected or deleted.
        """
        if number < 0:
            raise ValueError(f"pages are counted from 0 or 1, not {number}")
        page = Page()
        for image in images:
            page.add(image)
        page.add_notices(left_out, excluded)
        with whole_file(self._path(number), lasting=True) as file:
            file.writelines(page.parts())
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

    def names(self, number: int) -> Iterator[str]:
        """Names of a page's images, those that are excluded too."""
        index = read_index(self._path(number))
        yield from index["names"]
        yield from (one.name for one in excluded_in(index))

    def images(self) -> Iterator[LabeledImage]:
        """Every image as the domain knows it, page by page. Slow: the writers read `delivered`."""
        for number in self.pages():
            yield from labeled_images(self._path(number))

    def left_out(self) -> Iterator[ShapeNotice]:
        """Shapes that are on the platform and not in the pages, or not as they were drawn."""
        for number in self.pages():
            yield from shape_notices(self._path(number))

    def excluded(self) -> Iterator[ExcludedImage]:
        """Images on which work is over and that are not in the pages: skipped, rejected or deleted."""
        for number in self.pages():
            yield from excluded_images(self._path(number))

    def delivered(self, stock: ManifestImages) -> SpooledLabels:
        """The labels brought together with the manifest, in its order. Reads the names of all pages now."""
        return SpooledLabels([self._path(number) for number in self.pages()], stock)

    def _path(self, number: int) -> Path:
        return self.folder / f"page-{number:06d}.labels"


class SpooledLabels:
    """Labels of a spool in the order of a manifest. In memory: a name and two numbers an image, and one batch."""

    def __init__(self, pages: list[Path], stock: ManifestImages) -> None:
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
        self._excluded: dict[str, ExcludedImage] = {}
        for place, path in enumerate(pages):
            self._take_index(place, path)

    def _take_index(self, page: int, path: Path) -> None:
        index = read_index(path)
        names = index["names"]
        for number, name in enumerate(names, len(self._counts)):
            if name in self._index:
                self._repeated[name] = None
            self._index[name] = number
        self._counts.extend(index["counts"])
        self._objects.extend(accumulate(index["counts"][:-1], initial=0) if names else ())
        self._extra_lengths.extend(index["extras"])
        start = sum(index["counts"]) * OBJECT
        self._extras.extend(accumulate(index["extras"][:-1], initial=start) if names else ())
        self._sizes.extend(zip(index["widths"], index["heights"], strict=True))
        self._remote_ids.extend(index["remote_ids"])
        self._page_of.extend([page] * len(names))
        codes = [self._labels.setdefault(label, len(self._labels)) for label in index["labels"]]
        self._codes.append(np.array(codes, dtype=np.intp))
        self._excluded.update((one.name, one) for one in excluded_in(index))

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

    def both(self) -> Iterator[str]:
        return (name for name in self._excluded if name in self._index)

    def excluded(self) -> Mapping[str, ExcludedImage]:
        return self._excluded

    def images(self) -> Iterator[StockedImage]:
        """Images of the manifest that are in the dataset: those that were delivered."""
        return (image for image in self._stock if image.name in self._index)

    def batches(self) -> Iterator[Batch]:
        with _Files(self._pages) as files:
            stock = iter(self._stock)
            while images := list(islice(stock, _IMAGES_A_BATCH)):
                yield from self._split(images, files)

    def _split(self, images: list[StockedImage], files: _Files) -> Iterator[Batch]:
        """Batches of about a megabyte, however many objects an image has."""
        found = self._index.get
        places = [found(image.name, -1) for image in images]
        first, weight = 0, 0
        for number, place in enumerate(places):
            if place >= 0:
                weight += self._counts[place] * OBJECT + self._extra_lengths[place]
            if weight >= _BYTES_A_BATCH:
                yield self._batch(images[first : number + 1], places[first : number + 1], files)
                first, weight = number + 1, 0
        if first < len(images):
            yield self._batch(images[first:], places[first:], files)

    def _batch(self, images: list[StockedImage], places: list[int], files: _Files) -> Batch:
        missing: list[StockedImage] = []
        excluded: list[StockedImage] = []
        if -1 in places:
            absent = [image for image, place in zip(images, places, strict=True) if place < 0]
            missing = [image for image in absent if image.name not in self._excluded]
            excluded = [image for image in absent if image.name in self._excluded]
            images = [image for image, place in zip(images, places, strict=True) if place >= 0]
            places = [place for place in places if place >= 0]
        codes, objects = self._read_objects(places, files)
        counts = [self._counts[place] for place in places]
        drawings, tags = self._read_extras(places, counts, files)
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
            excluded=excluded,
        )

    def _read_objects(self, places: list[int], files: _Files) -> tuple[Codes, Floats]:
        """The objects of places, by one read for each run of neighbours in a page."""
        parts, codes = [np.empty((0, COLUMNS))], [np.empty(0, dtype=np.intp)]
        page_of, starts, counts = self._page_of, self._objects, self._counts
        for first, last in _runs(places, page_of):
            length = starts[last] + counts[last] - starts[first]
            data = os.pread(files[page_of[first]], length * OBJECT, starts[first] * OBJECT)
            parts.append(np.frombuffer(data, dtype="<f8").reshape(-1, COLUMNS))
            codes.append(self._codes[page_of[first]][parts[-1][:, 0].astype(np.intp)])
        return np.concatenate(codes), np.concatenate(parts)

    def _read_extras(
        self, places: list[int], counts: list[int], files: _Files
    ) -> tuple[dict[int, Drawing], dict[int, list[Tag]]]:
        drawings: dict[int, Drawing] = {}
        tags: dict[int, list[Tag]] = {}
        before = 0
        if not any(map(self._extra_lengths.__getitem__, places)):
            return drawings, tags
        for number, (place, count) in enumerate(zip(places, counts, strict=True)):
            length = self._extra_lengths[place]
            if length:
                data = os.pread(files[self._page_of[place]], length, self._extras[place])
                drawn, told = orjson.loads(data)
                for one, *drawing in drawn:
                    drawings[before + one] = drawing_from(*drawing)
                if told:
                    tags[number] = [Tag(label, confidence, attributes) for _, label, confidence, attributes in told]
            before += count
        return drawings, tags


class _Files:
    """Pages that are open for reading, never more than a few: a system may allow a thousand open files in all."""

    def __init__(self, paths: list[Path]) -> None:
        self._paths = paths
        self._open: dict[int, int] = {}

    def __enter__(self) -> _Files:
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._open.values():
            os.close(handle)
        self._open.clear()

    def __getitem__(self, page: int) -> int:
        handle = self._open.get(page)
        if handle is None:
            if len(self._open) >= _OPEN_PAGES:
                os.close(self._open.pop(next(iter(self._open))))
            handle = self._open[page] = os.open(self._paths[page], os.O_RDONLY)
        return handle


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
