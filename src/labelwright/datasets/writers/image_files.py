"""Image files within folder formats: copied or linked under names that never collide, or listed.

A name is the image's id in the dataset and what is left of its own name: ``000012_harbour.jpg``. It has ASCII letters,
digits, ``-`` and ``_`` only, no folder and one dot: readers cut names at the first dot, and pair files by their stems.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, TypeGuard

from labelwright.datasets.spool.batch import Batch, StockedImage
from labelwright.network.concurrency import bounded_map

from .errors import ImageChanged

_THREADS = 4
_CHUNK = 1 << 20
_STEM_LENGTH = 80
PART_NAMES = {"": "train", "train": "train", "validation": "val", "test": "test"}
"""Parts of a split as readers of YOLO and VOC call them; all images are for training without one."""

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
_SUFFIXES = {
    "JPEG": (".jpg", ".jpeg"),
    "MPO": (".jpg", ".jpeg"),
    "PNG": (".png",),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
    "GIF": (".gif",),
}
"""By the format of the content, Pillow's name; the usual ending first."""


class ImageFiles(StrEnum):
    """How folder formats hold the images."""

    COPY = "copy"
    LINK = "link"
    """Hard links to the files that were launched; copies where the file system has none."""
    LIST = "list"
    """Only their paths or addresses, in text files."""


@dataclass(frozen=True, slots=True)
class ImageAccess:
    """How a writer gets at the images."""

    open: Callable[[StockedImage], BinaryIO]
    """Raises ImageChanged when the image cannot be read."""
    path: Callable[[StockedImage], Path | None]
    """The image's file on this machine, None when it is not a file."""
    files: ImageFiles = ImageFiles.COPY


def holds_images(access: ImageAccess | None) -> TypeGuard[ImageAccess]:
    """Whether a folder gets the images themselves, and not a list of them."""
    return access is not None and access.files is not ImageFiles.LIST


def image_stem(image: StockedImage) -> str:
    """The name of the image's files without their ending."""
    stem = _UNSAFE.sub("_", _split_name(image.name)[0]).strip("_")[:_STEM_LENGTH]
    return f"{image.position:06d}_{stem}" if stem else f"{image.position:06d}"


def image_suffix(image: StockedImage) -> str:
    """The ending of the image's file by its content, with a dot; by its name where the content is not known."""
    own = _split_name(image.name)[1].lower()
    known = _SUFFIXES.get(image.format, (f".{image.format.lower()}",) if image.format else (own,))
    return own if own in known else known[0]


def stems_of(batch: Batch) -> list[str]:
    """`image_stem` of each image: for `Batch.shared`."""
    return [image_stem(image) for image in batch.images]


def _split_name(name: str) -> tuple[str, str]:
    """The stem of a name's last part and its ending with the dot, which a name may lack: ``a/b.c.jpg`` is b.c, .jpg."""
    last = name.rpartition("/")[2]
    dot = last.rfind(".")
    return (last[:dot], last[dot:]) if 0 < dot < len(last) - 1 else (last, "")


def place_images(batch: Batch, folder: Path, access: ImageAccess) -> None:
    """Copies images into a folder, or links to them. Raises ImageChanged."""
    folder.mkdir(parents=True, exist_ok=True)
    place = _link if access.files is ImageFiles.LINK else _copy
    for _ in bounded_map(
        lambda named: place(named[0], folder / (named[1] + image_suffix(named[0])), access),
        zip(batch.images, batch.shared(stems_of), strict=True),
        threads=_THREADS,
        name="image-files",
    ):
        pass


def read_images(images: Sequence[StockedImage], access: ImageAccess) -> Iterator[bytes]:
    """The bytes of each image, in order. Raises ImageChanged."""
    return bounded_map(lambda image: _read(image, access), images, threads=_THREADS, name="image-files")


def image_address(image: StockedImage, access: ImageAccess | None) -> str:
    """The path of the image's file, or its URL."""
    path = access.path(image) if access is not None else None
    return str(path) if path is not None else image.url


def _read(image: StockedImage, access: ImageAccess) -> bytes:
    with access.open(image) as file:
        content = file.read()
    _compare(image, hashlib.sha256(content).hexdigest())
    return content


def _copy(image: StockedImage, target: Path, access: ImageAccess) -> None:
    digest = hashlib.sha256()
    with access.open(image) as file, target.open("wb") as copy:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            copy.write(chunk)
    _compare(image, digest.hexdigest())


def _link(image: StockedImage, target: Path, access: ImageAccess) -> None:
    path = access.path(image)
    if path is None:
        return _copy(image, target, access)
    with path.open("rb") as file:
        _compare(image, hashlib.file_digest(file, "sha256").hexdigest())
    try:
        target.hardlink_to(path.resolve())
    except OSError:  # another file system, or one without links
        _copy(image, target, access)
    return None


def _compare(image: StockedImage, sha256: str) -> None:
    if image.sha256 and sha256 != image.sha256:
        raise ImageChanged(
            f"{image.file_name} has other bytes than when the campaign was launched. "
            "Put the original image back, then export again"
        )
