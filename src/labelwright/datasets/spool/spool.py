"""The spool: labels from the platform in crash-safe pages on disk, read back in the order of the manifest."""

from __future__ import annotations

import os
import re
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import accumulate, islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import orjson

from labelwright.datasets.files import whole_file
from labelwright.domain import ExcludedImage, ImageState, LabeledImage, ShapeNotice

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
from .provenance import (
    ROW,
    NameTables,
    ProvenanceColumns,
    ProvenanceReader,
    labeler_codes,
    labelers_of,
    source_codes,
    sources_of,
    unknown_rows,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .batch import Codes, Floats

_PAGE = re.compile(r"page-(\d{6,})\.labels")
_MAX_OPEN_PAGES = 64
_IMAGES_PER_BATCH = 256
_BYTES_PER_BATCH = 1 << 20


class Spool:
    """A folder of pages of labels. Pages may come in any order and repeatedly; the last one of a number is kept."""

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
        """Writes a page of labels and returns the count of its images. A crash leaves the old page or the new one.

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
        """The numbers of the complete pages, in order."""
        if not self.folder.is_dir():
            return ()
        matches = (_PAGE.fullmatch(path.name) for path in self.folder.iterdir())
        return tuple(sorted(int(match[1]) for match in matches if match))

    def keep_only(self, numbers: Iterable[int]) -> None:
        """Deletes pages of an earlier reading that the platform no longer has, and files of a killed writer."""
        kept = {self._path(number).name for number in numbers}
        for path in self.folder.glob("*") if self.folder.is_dir() else ():
            if path.name not in kept and (_PAGE.fullmatch(path.name) or path.suffix == ".part"):
                path.unlink(missing_ok=True)

    def names(self, number: int) -> Iterator[str]:
        """Names of a page's images, including those that are excluded."""
        index = read_index(self._path(number))
        yield from index["names"]
        yield from (image.name for image in excluded_in(index))

    def images(self) -> Iterator[LabeledImage]:
        """Every image as a domain object, page by page. Slow: the writers read `delivered`."""
        for number in self.pages():
            yield from labeled_images(self._path(number))

    def left_out(self) -> Iterator[ShapeNotice]:
        """Shapes that are on the platform and not in the pages, or not as they were drawn."""
        for number in self.pages():
            yield from shape_notices(self._path(number))

    def excluded(self) -> Iterator[ExcludedImage]:
        """Images that will not be labeled: skipped, rejected or deleted."""
        for number in self.pages():
            yield from excluded_images(self._path(number))

    def delivered(self, stock: ManifestImages, *, without: Collection[str] = frozenset()) -> SpooledLabels:
        """The labels joined with the manifest, in its order. Reads the names of all pages now.

        `without` are images that a delivery does not take, labeled or not: they count as excluded.
        """
        return SpooledLabels([self._path(number) for number in self.pages()], stock, without)

    def _path(self, number: int) -> Path:
        return self.folder / f"page-{number:06d}.labels"


class SpooledLabels:
    """Labels of a spool in the order of a manifest. In memory: a name and a few numbers per image, and one batch."""

    def __init__(self, pages: list[Path], stock: ManifestImages, without: Collection[str] = frozenset()) -> None:
        if iter(stock) is stock:
            raise TypeError("the stock is read more than once: give a list or an object with __iter__, not a generator")
        self._pages = pages
        self._stock = stock
        self._without = without
        self._page_of, self._counts, self._objects = array("L"), array("Q"), array("Q")
        self._extras, self._extra_lengths = array("Q"), array("Q")
        self._sizes: list[tuple[int, int]] = []
        self._remote_ids: list[str] = []
        self._labels: dict[str, int] = {}
        self._codes: list[Codes] = []
        self._tables = NameTables()
        self._provenance: dict[int, _PageProvenance] = {}
        self._tag_provenance: list[ProvenanceReader] = []
        self._index: dict[str, int] = {}
        self._repeated: dict[str, None] = {}
        self._excluded: dict[str, ExcludedImage] = {}
        self._rejected: set[int] = set()
        for page, path in enumerate(pages):
            self._add_page(page, path)

    def _add_page(self, page: int, path: Path) -> None:
        index = read_index(path)
        names = index["names"]
        rejected = index.get("reviewed", {}).get(ImageState.REJECTED.value, ())
        self._rejected.update(len(self._counts) + number for number in rejected)
        for number, name in enumerate(names, len(self._counts)):
            if name in self._without:
                continue
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
        labelers, sources = labelers_of(index), sources_of(index)
        self._tag_provenance.append(ProvenanceReader(labelers, sources))
        source_numbers = source_codes(sources, self._tables)
        if index.get("provenance"):
            start += sum(index["extras"])
            self._provenance[page] = _PageProvenance(start, labeler_codes(labelers, self._tables), source_numbers)
        self._excluded.update((image.name, image) for image in excluded_in(index))

    def __len__(self) -> int:
        """The number of different images that were delivered."""
        return len(self._index)

    @property
    def names_models(self) -> bool:
        """Whether it is known of an object which model predicted it."""
        return bool(self._tables.with_models)

    def repeated(self) -> Iterator[str]:
        return iter(self._repeated)

    def unknown(self) -> Iterator[str]:
        if not self._index:
            return
        in_manifest = bytearray(len(self._counts))
        for image in self._stock:
            number = self._index.get(image.name)
            if number is not None:
                in_manifest[number] = 1
        yield from (name for name, number in self._index.items() if not in_manifest[number])

    def both(self) -> Iterator[str]:
        return (name for name in self._excluded if name in self._index)

    def excluded(self) -> Mapping[str, ExcludedImage]:
        return self._excluded

    def images(self) -> Iterator[StockedImage]:
        """Images of the manifest that are in the dataset: those that were delivered."""
        return (image for image in self._stock if image.name in self._index)

    def batches(self) -> Iterator[Batch]:
        with _OpenPages(self._pages) as files:
            stock = iter(self._stock)
            while images := list(islice(stock, _IMAGES_PER_BATCH)):
                yield from self._split(images, files)

    def _split(self, images: list[StockedImage], files: _OpenPages) -> Iterator[Batch]:
        """Batches of about a megabyte, however many objects an image has."""
        entries = [self._index.get(image.name, -1) for image in images]
        first, weight = 0, 0
        for number, entry in enumerate(entries):
            if entry >= 0:
                weight += self._counts[entry] * OBJECT + self._extra_lengths[entry]
            if weight >= _BYTES_PER_BATCH:
                yield self._batch(images[first : number + 1], entries[first : number + 1], files)
                first, weight = number + 1, 0
        if first < len(images):
            yield self._batch(images[first:], entries[first:], files)

    def _batch(self, images: list[StockedImage], entries: list[int], files: _OpenPages) -> Batch:
        missing: list[StockedImage] = []
        excluded: list[StockedImage] = []
        if -1 in entries:
            absent = [image for image, entry in zip(images, entries, strict=True) if entry < 0]
            missing = [image for image in absent if not self._is_left_out(image.name)]
            excluded = [image for image in absent if self._is_left_out(image.name)]
            images = [image for image, entry in zip(images, entries, strict=True) if entry >= 0]
            entries = [entry for entry in entries if entry >= 0]
        codes, objects = self._read_objects(entries, files)
        names: tuple[str, ...] = tuple(self._labels)
        if self._without:  # labels of images that are left out may be in no schema, and writers refuse those
            used, codes = np.unique(codes, return_inverse=True)
            names = tuple(names[code] for code in used.tolist())
        counts = [self._counts[entry] for entry in entries]
        drawings, tags = self._read_extras(entries, counts, files)
        return Batch(
            images=images,
            sizes=[self._sizes[entry] for entry in entries],
            remote_ids=[self._remote_ids[entry] for entry in entries],
            counts=counts,
            names=names,
            codes=codes,
            confidences=objects[:, 1],
            corners=objects[:, 2:],
            drawings=drawings,
            tags=tags,
            missing=missing,
            excluded=excluded,
            rejected=[image for image, entry in zip(images, entries, strict=True) if entry in self._rejected]
            if self._rejected
            else [],
            provenance=self._read_provenance(entries, files) if self._provenance else None,
        )

    def _is_left_out(self, name: str) -> bool:
        return name in self._excluded or name in self._without

    def _read_objects(self, entries: list[int], files: _OpenPages) -> tuple[Codes, Floats]:
        """The objects of the images at `entries`, by one read for each run of neighbours in a page."""
        parts, codes = [np.empty((0, COLUMNS))], [np.empty(0, dtype=np.intp)]
        page_of, starts, counts = self._page_of, self._objects, self._counts
        for first, last in _runs(entries, page_of):
            length = starts[last] + counts[last] - starts[first]
            data = os.pread(files[page_of[first]], length * OBJECT, starts[first] * OBJECT)
            parts.append(np.frombuffer(data, dtype="<f8").reshape(-1, COLUMNS))
            codes.append(self._codes[page_of[first]][parts[-1][:, 0].astype(np.intp)])
        return np.concatenate(codes), np.concatenate(parts)

    def _read_provenance(self, entries: list[int], files: _OpenPages) -> ProvenanceColumns | None:
        """As `_read_objects`; None when no page of these images has any."""
        page_of, starts, counts = self._page_of, self._objects, self._counts
        parts = [unknown_rows(0)]
        known = False
        for first, last in _runs(entries, page_of):
            length = starts[last] + counts[last] - starts[first]
            page = self._provenance.get(page_of[first])
            if page is None:
                parts.append(unknown_rows(length))
                continue
            data = os.pread(files[page_of[first]], length * ROW.itemsize, page.start + starts[first] * ROW.itemsize)
            parts.append(np.frombuffer(data, dtype=ROW).copy())
            parts[-1]["labeler"] = page.labelers[parts[-1]["labeler"]]
            parts[-1]["origin"] = page.sources[parts[-1]["origin"]]
            known = True
        if not known:
            return None
        return ProvenanceColumns(np.concatenate(parts), tuple(self._tables.labelers), tuple(self._tables.sources))

    def _read_extras(
        self, entries: list[int], counts: list[int], files: _OpenPages
    ) -> tuple[dict[int, Drawing], dict[int, list[Tag]]]:
        drawings: dict[int, Drawing] = {}
        tags: dict[int, list[Tag]] = {}
        before = 0
        if not any(map(self._extra_lengths.__getitem__, entries)):
            return drawings, tags
        for number, (entry, count) in enumerate(zip(entries, counts, strict=True)):
            length = self._extra_lengths[entry]
            if length:
                data = os.pread(files[self._page_of[entry]], length, self._extras[entry])
                drawing_rows, tag_rows = orjson.loads(data)
                for index, *columns in drawing_rows:
                    drawings[before + index] = drawing_from(*columns)
                if tag_rows:
                    reader = self._tag_provenance[self._page_of[entry]]
                    tags[number] = [
                        Tag(label, confidence, attributes, *map(reader.of, provenance))
                        for _, label, confidence, attributes, *provenance in tag_rows
                    ]
            before += count
        return drawings, tags


class _PageProvenance(NamedTuple):
    """Where the rows of a page begin, and its labelers and origins as indices into those of the delivery."""

    start: int
    labelers: NDArray[np.int32]
    sources: NDArray[np.int32]


class _OpenPages:
    """Pages that are open for reading, at most 64: a process may have as few as a thousand open files."""

    def __init__(self, paths: list[Path]) -> None:
        self._paths = paths
        self._open: dict[int, int] = {}

    def __enter__(self) -> _OpenPages:
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._open.values():
            os.close(handle)
        self._open.clear()

    def __getitem__(self, page: int) -> int:
        handle = self._open.get(page)
        if handle is None:
            if len(self._open) >= _MAX_OPEN_PAGES:
                os.close(self._open.pop(next(iter(self._open))))
            handle = self._open[page] = os.open(self._paths[page], os.O_RDONLY)
        return handle


def _runs(entries: list[int], page_of: array[int]) -> Iterator[tuple[int, int]]:
    """First and last of each run of neighbours in one page."""
    if not entries:
        return
    first = last = entries[0]
    for entry in entries[1:]:
        if entry != last + 1 or page_of[entry] != page_of[first]:
            yield first, last
            first = entry
        last = entry
    yield first, last
