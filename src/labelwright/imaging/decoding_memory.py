"""How much memory decoding an image takes in the embedded service, by which ingest and service refuse the same ones.

Pillow keeps up to four bytes a pixel; PNGs are decoded as a stream, TIFFs strip by strip, JPEGs at an eighth of their
size. What cannot be decoded in parts needs the more, the larger it is.
"""

from __future__ import annotations

from PIL import Image as Pillow
from PIL import JpegImagePlugin
from PIL.TiffImagePlugin import TiffImageFile

from . import tiff_parts

LARGE = 16 * 1024**2
"""Bytes of pixels from which on an image is decoded in parts."""

BAND = 4 * 4 * tiff_parts.MOST_PIXELS // 4
"""Bytes for one band of a TIFF, with copies of it that are turned or converted."""

SCREEN_MODES = frozenset(("L", "LA", "RGB", "RGBA"))
"""Pillow's modes that browsers and PNG have."""
_BYTES_PER_PIXEL = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}
_WEBP = 16
"""Bytes a pixel: two canvases of the decoder, the frame, and the image."""


def pixel_bytes(image: Pillow.Image) -> int:
    """Bytes that Pillow takes for the pixels of the image."""
    return image.width * image.height * _BYTES_PER_PIXEL.get(image.mode, 4)


def bytes_to_check(image: Pillow.Image, *, animated: bool) -> int:
    """Bytes of memory that checking an opened image to its last pixel takes."""
    if image.format == "PNG":
        return pixel_bytes(image) if animated else 0
    if isinstance(image, TiffImageFile) and pixel_bytes(image) > LARGE and tiff_parts.comes_in_bands(image):
        return BAND
    return bytes_to_decode(image)


def bytes_to_show(image: Pillow.Image, *, turned: bool, deep: bool) -> int:
    """Bytes of memory that an upright PNG of 8 bits takes, made of the whole image."""
    # Turning and converting make a second image while the first one is there, and 16 bits are read twice.
    copies = 1 if turned or image.mode not in SCREEN_MODES else 0
    copies += 2 if deep else 0
    return bytes_to_decode(image) + copies * 4 * image.width * image.height


def bytes_to_decode_webp(pixels: int) -> int:
    return pixels * _WEBP


def bytes_to_decode(image: Pillow.Image) -> int:
    """Bytes of memory that decoding it as a whole takes, pixels included."""
    size = pixel_bytes(image)
    if isinstance(image, TiffImageFile) and size > LARGE:
        return size + tiff_parts.largest_part(image)
    if image.format == "WEBP":
        return bytes_to_decode_webp(image.width * image.height)
    if size <= LARGE or not isinstance(image, JpegImagePlugin.JpegImageFile):
        return size
    shrunk = size // 64 + LARGE
    if "progressive" not in image.info:
        return shrunk
    # The coefficients of all scans are kept, two bytes each.
    factors = [(layer[1], layer[2]) for layer in image.layer]
    most = max(h for h, _ in factors) * max(v for _, v in factors)
    return shrunk + 2 * sum(image.width * image.height * h * v // most for h, v in factors)
