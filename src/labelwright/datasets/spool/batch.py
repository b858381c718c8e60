"""The input of the writers: images in the order of the manifest, with their objects in columns.

A `Batch` holds the objects of some hundred images in numpy columns, which are formatted by a few calls of C code. No
`Annotation` is made on the way from the spool to a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, TypeVar

import numpy as np

from labelwright.domain import UNKNOWN, ExcludedImage, Provenance, Size, VideoFrame

from .columns import numbers, rows
from .provenance import ProvenanceColumns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]
    Codes: TypeAlias = NDArray[np.intp]


_T = TypeVar("_T")

UNKNOWN_SIZE = (0, 0)
"""Width and height of an image of which the platform does not know them."""


class StockedImage(NamedTuple):
    """An image of the campaign's manifest, with the URL that datasets have for it.

    `position` counts from 1 and is the image's id in every file. In `url`, names with `#`,
    `?` or `%` are quoted already. A signature in it (SAS) is not written into any file.
    """

    position: int
    name: str
    size: Size
    sha256: str
    url: str = ""
    remote_id: str = ""
    source_name: str | None = None
    """The name as the source has it, where it differs."""
    format: str = ""
    """Of the content, by Pillow's name; empty when unknown."""
    store_path: str = ""
    """The path by which the store lists the image in the dataset of images; empty when it keeps no images."""
    group: str | None = None
    """Images of one group are in one part of a split that goes by groups."""
    location: str = ""
    """Where the image's source opens it."""
    frame: VideoFrame | None = None
    """Of an image that is a frame of a video."""

    @property
    def file_name(self) -> str:
        """The name for files of a dataset: it opens in the folder, list or container that the images came from."""
        return self.source_name or self.name


@dataclass(frozen=True, slots=True)
class Drawing:
    """What an object has beyond its box."""

    polygons: list[list[float]] | None
    """``[[x1, y1, x2, y2, ...], ...]`` in pixels: one ring, or one for each part of the object. None for a box."""
    area: float
    """Of the polygons together or the mask, in square pixels."""
    attributes: dict[str, str] | None
    mask: list[int] | None = None
    """``[y1, from1, to1, y2, ...]``: runs of pixels, as `Mask.flat` has them."""

    @property
    def outlined(self) -> bool:
        return self.polygons is not None or self.mask is not None


@dataclass(frozen=True, slots=True)
class Tag:
    """A label of an image as a whole."""

    label: str
    confidence: float
    attributes: dict[str, str] | None
    provenance: Provenance = UNKNOWN


@dataclass(frozen=True)
class Batch:
    """Some images of the manifest in its order, and the objects of all of them in columns."""

    images: list[StockedImage]
    sizes: list[tuple[int, int]]
    """Width and height as the platform reports them: the validation compares them with the manifest's."""
    remote_ids: list[str]
    counts: list[int]
    """How many of the objects belong to each image."""
    names: Sequence[str]
    """Labels of the delivery, more than those of this batch alone; `codes` are indices into it."""
    codes: Codes
    confidences: Floats
    corners: Floats
    """Objects x 4: xmin, ymin, xmax, ymax in pixels; of a polygon or a mask, the smallest box around it."""
    drawings: dict[int, Drawing]
    """By the object's index in the columns, for the few that are more than a box."""
    tags: dict[int, list[Tag]]
    """By the image's index in `images`."""
    missing: list[StockedImage]
    """Images of the manifest between these that were not delivered, without a reason."""
    excluded: list[StockedImage] = field(default_factory=list)
    """Images of the manifest between these that are excluded: skipped, rejected, deleted, or left out of a delivery."""
    rejected: list[StockedImage] = field(default_factory=list)
    """Those of the images whose labels a review rejected."""
    provenance: ProvenanceColumns | None = None
    """Who labeled the objects and when; None where nothing is known of any of them."""

    _shared: dict[Callable[[Batch], Any], Any] = field(init=False, repr=False, compare=False, default_factory=dict)

    @property
    def objects(self) -> int:
        return len(self.codes)

    def shared(self, make: Callable[[Batch], _T]) -> _T:
        """What the function makes of this batch. It is called once, for all formats that write the same."""
        if make not in self._shared:
            self._shared[make] = make(self)
        made: _T = self._shared[make]
        return made

    @cached_property
    def confidence_texts(self) -> list[bytes]:
        """Confidences as JSON numbers."""
        return numbers(self.confidences)

    @cached_property
    def corner_texts(self) -> tuple[list[bytes], list[bytes]]:
        """``xmin,ymin`` and ``xmax,ymax`` as JSON numbers: formatting a number costs most of writing it."""
        texts = rows(self.corners.reshape(-1, 2))
        return texts[::2], texts[1::2]

    def sizes_of_objects(self) -> Floats:
        """Width and height of the image of every object, as the manifest has them: objects x 2."""
        sizes = np.array([(image.size.width, image.size.height) for image in self.images], dtype=np.float64)
        repeated: Floats = np.repeat(sizes.reshape(-1, 2), self.counts, axis=0)
        return repeated

    def label(self, index: int) -> str:
        """The label of an object."""
        return self.names[int(self.codes[index])]

    def owners(self) -> Iterator[tuple[int, int]]:
        """``(index of the image, index of the object)`` for every object: slow, for messages and rare shapes."""
        index = 0
        for image, count in enumerate(self.counts):
            for _ in range(count):
                yield image, index
                index += 1


class Delivered(Protocol):
    """Labels joined with the manifest. Can be read any number of times, and holds little in memory."""

    @property
    def names_models(self) -> bool:
        """Whether it is known of an object which model predicted it."""

    def batches(self) -> Iterator[Batch]: ...

    def unknown(self) -> Iterator[str]:
        """Names of labeled images that the manifest does not have."""

    def repeated(self) -> Iterator[str]:
        """Names of images that were delivered on more than one page."""

    def both(self) -> Iterator[str]:
        """Names of images that were delivered and are excluded as well."""

    def excluded(self) -> Mapping[str, ExcludedImage]:
        """Images that were skipped, rejected or deleted, by name; those that the manifest does not have too."""


ManifestImages: TypeAlias = Iterable[StockedImage]
"""The manifest in its order. It is read more than once: a list or an object with `__iter__`, never a generator."""
