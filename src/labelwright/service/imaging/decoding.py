"""Decodes large images in little memory: PNG as a stream, TIFF strip by strip, JPEG at an eighth of its size.

Pillow keeps four bytes a pixel for most images, 716 MB for the largest that is allowed. What cannot be decoded in parts
is decoded only while the memory that is set aside for pixels has room for it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from io import BytesIO
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import BinaryIO

from PIL import Image as Pillow
from PIL import JpegImagePlugin
from PIL.TiffImagePlugin import TiffImageFile

from labelwright.imaging import tiff_parts
from labelwright.imaging.decoding_memory import LARGE, bytes_to_check, pixel_bytes
from labelwright.imaging.inspection import is_animated
from labelwright.imaging.jpeg_damage import JpegCheck, check_jpeg
from labelwright.imaging.memory_limits import too_much_memory
from labelwright.imaging.png_reading import check_png


class TooMuchMemory(ValueError):
    """An image that cannot be decoded in the memory that is set aside. The message says what to save it as."""


class Memory:
    """A budget of bytes for decoded images. Thread-safe."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._used = 0
        self._changed = threading.Condition()

    def check(self, size: int) -> None:
        """Raises TooMuchMemory for more bytes than there can be."""
        if size > self.limit:
            raise TooMuchMemory(too_much_memory(size, self.limit))

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Waits until that many bytes are free and reserves them for the block. Raises TooMuchMemory."""
        self.check(size)
        with self._changed:
            self._changed.wait_for(lambda: self._used + size <= self.limit)
            self._used += size
        try:
            yield
        finally:
            with self._changed:
                self._used -= size
                self._changed.notify_all()


def decode(image: Pillow.Image, path: Path, memory: Memory, content: bytes | None = None) -> JpegCheck | None:
    """Decodes an opened image to its last pixel; `path` is its file. Returns what was found out about a JPEG.

    `content`: the bytes of the file where they were read before; else it is opened again. Large images are not kept,
    JPEGs are shrunk. Raises TooMuchMemory, BrokenPng, and what Pillow raises for a broken file.
    """
    animated = is_animated(image)
    size, needed = pixel_bytes(image), bytes_to_check(image, animated=animated)
    if image.format == "PNG":
        with opened(path, content) as file:
            check_png(file)
        if animated:  # how its frames follow each other is Pillow's to judge
            with memory.taken(needed):
                image.load()
        return None
    if size > LARGE and isinstance(image, TiffImageFile) and (bands := tiff_parts.bands_of(image, path)) is not None:
        with memory.taken(needed):
            for _ in bands:
                pass
        return None
    with memory.taken(needed):
        check = None
        if isinstance(image, JpegImagePlugin.JpegImageFile):
            with _mapped(path) if content is None else nullcontext(content) as data:
                check = check_jpeg(data, image.mode)
            if check.decoded:
                return check
            if size > LARGE:
                image.draft(image.mode, (1, 1))
        image.load()
        return check


def opened(path: Path, content: bytes | None) -> BinaryIO:
    """A file to read: its bytes where they were read before, else from the disk."""
    return path.open("rb") if content is None else BytesIO(content)


@contextmanager
def _mapped(path: Path) -> Iterator[mmap]:
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        yield data
