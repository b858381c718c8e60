"""Decodes large images in little memory: PNG as a stream, TIFF strip by strip, JPEG at an eighth of its size.

Pillow keeps four bytes a pixel for most images, 716 MB for the largest that is allowed. What cannot be decoded in parts
is decoded only while the memory that is set aside for pixels has room for it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image as Pillow
from PIL import JpegImagePlugin
from PIL.TiffImagePlugin import TiffImageFile

from . import tiff_parts
from .png_stream import check_png

LARGE = 16 * 1024**2
"""Bytes of pixels from which on an image is decoded in parts."""

BAND = 4 * 4 * tiff_parts.MOST_PIXELS // 4
"""Bytes for one band of a TIFF, with copies of it that are turned or converted."""

_BYTES_PER_PIXEL = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}
_WEBP = 16
"""Bytes a pixel: two canvases of the decoder, the frame, and the image."""


class TooMuchMemory(ValueError):
    """An image that cannot be decoded in the memory that is set aside. The message says what to save it as."""


class Memory:
    """A budget of bytes for decoded images. Thread-safe."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._used = 0
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Waits until that many bytes are free and reserves them for the block. Raises TooMuchMemory."""
        if size > self.limit:
            raise TooMuchMemory(
                f"decoding it takes {size >> 20} MiB of memory, and {self.limit >> 20} MiB are allowed: save it as a"
                " PNG, as a JPEG that is not progressive, or as a TIFF in strips"
            )
        with self._changed:
            self._changed.wait_for(lambda: self._used + size <= self.limit)
            self._used += size
        try:
            yield
        finally:
            with self._changed:
                self._used -= size
                self._changed.notify_all()


def pixel_bytes(image: Pillow.Image) -> int:
    """Bytes that Pillow takes for the pixels of the image."""
    return image.width * image.height * _BYTES_PER_PIXEL.get(image.mode, 4)


def decode(image: Pillow.Image, path: Path, memory: Memory) -> None:
    """Decodes an opened image to its last pixel; `path` is its file. Large images are not kept, JPEGs are shrunk.

    Raises TooMuchMemory, BrokenPng, and what Pillow raises for a broken file.
    """
    size = pixel_bytes(image)
    if size > LARGE and image.format == "PNG":
        image.info["exif"] = check_png(path)  # Pillow would decode all of the image to look for it
        return
    if size > LARGE and isinstance(image, TiffImageFile) and (bands := tiff_parts.bands_of(image, path)) is not None:
        with memory.taken(BAND):
            for _ in bands:
                pass
        return
    if size > LARGE and image.format == "PPM" and getattr(image, "tile", [("raw",)])[0][0] != "raw":
        # Pillow reads these in Python, three seconds for a million pixels, while nothing else gets on.
        raise TooMuchMemory("a PPM in text, or of more than 8 bits, takes too long at this size: save it as a PNG")
    with memory.taken(bytes_to_decode(image)):
        if size > LARGE and isinstance(image, JpegImagePlugin.JpegImageFile):
            image.draft(image.mode, (1, 1))
        image.load()


def bytes_to_decode(image: Pillow.Image) -> int:
    """Bytes of memory that decoding takes, pixels included."""
    size = pixel_bytes(image)
    if isinstance(image, TiffImageFile) and size > LARGE:
        return size + tiff_parts.largest_part(image)
    if image.format == "WEBP":
        return image.width * image.height * _WEBP
    if size <= LARGE or not isinstance(image, JpegImagePlugin.JpegImageFile):
        return size
    shrunk = size // 64 + LARGE
    if "progressive" not in image.info:
        return shrunk
    # The coefficients of all scans are kept, two bytes each.
    factors = [(layer[1], layer[2]) for layer in image.layer]
    most = max(h for h, _ in factors) * max(v for _, v in factors)
    return shrunk + 2 * sum(image.width * image.height * h * v // most for h, v in factors)
