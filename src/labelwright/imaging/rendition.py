"""Renditions of images for screens: 8 bits a channel, in modes that every browser and PNG have."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image as Pillow
from PIL.TiffImagePlugin import TiffImageFile

from .decoding_memory import SCREEN_MODES
from .deep_pixels import Pixels, combined, is_deep, is_gray, no_data_of, read_low_bytes, stretch_of
from .inspection import Opened, open_image
from .orientation import shown_orientation, turn

_ROWS = 4 * 1024**2
"""Pixels of a band of rows."""


def upright_rendition(opened: Opened) -> Pillow.Image:
    """Loads an image and returns what labelers see: upright as browsers show it, its first frame, 8 bits a channel."""
    orientation = shown_orientation(opened.image, opened.file)
    shown = displayable(opened)
    # Pillow turns a TIFF when it loads it.
    return shown if isinstance(opened.image, TiffImageFile) else turn(shown, orientation)


def row_bands(image: Pillow.Image) -> Iterator[tuple[int, int]]:
    """Yields the first row, and that after the last one, of bands of some million pixels."""
    rows = max(1, _ROWS // image.width)
    return ((top, min(top + rows, image.height)) for top in range(0, image.height, rows))


def displayable(opened: Opened) -> Pillow.Image:
    """Loads an image and returns it as screens show it, turned as Pillow loads it (TIFFs upright, others as stored)."""
    image = opened.image
    if not is_deep(image):
        image.load()
        return to_screen_mode(image)
    no_data, low, formats = no_data_of(image), None, (image.format or "",)
    if not is_gray(image):
        opened.file.seek(0)
        with open_image(opened.file, formats, taken=True) as again:
            if read_low_bytes(again.image):
                again.image.load()
                low = again.image.copy()
        opened.file.seek(0)
    image.load()

    def pixels() -> Iterator[Pixels]:
        for top, bottom in row_bands(image):
            box = (0, top, image.width, bottom)
            yield combined(image.crop(box), None if low is None else low.crop(box))

    stretch = stretch_of(pixels(), image.width * image.height, no_data)
    bands = [stretch.apply(band) for band in pixels()]
    return Pillow.fromarray(np.concatenate(bands))


def to_screen_mode(image: Pillow.Image) -> Pillow.Image:
    """Converts the image to a mode that browsers display."""
    if image.mode in SCREEN_MODES:
        return image
    if image.has_transparency_data:
        return image.convert("RGBA")
    return image.convert("L" if image.mode == "1" else "RGB")
