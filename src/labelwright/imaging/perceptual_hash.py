"""Perceptual hashes (pHash): 64 bits that differ in few places between a picture and its changed copies.

The 8 x 8 lowest frequencies of the picture's discrete cosine transform, each compared with their median. Copies that
were encoded anew, resized, made brighter or cropped by 2 % differ in at most 10 bits; mirrored and turned ones do not.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image as Pillow
from PIL.TiffImagePlugin import TiffImageFile

from .decoding_memory import pixel_bytes
from .deep_pixels import Pixels
from .inspection import Opened
from .rendition import displayable

SHORTER_SIDE = 64
"""Pixels that the reduced picture has at least, where the image has them."""
_FREQUENCIES = 8
_TURNS = {
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}
"""By orientation: whether rows and columns are exchanged, and then whether the rows, and the columns, are mirrored."""
_LEAST_CONTRAST = 1.0
"""Standard deviation of the low frequencies, in levels of 255. Below it noise and rounding make the bits."""
_MOST_PNG_BYTES = 256 * 1024**2
"""Of pixels. The check of a PNG holds a few rows, and each checking thread would hold so much for the hash alone."""


def perceptual_hash(opened: Opened, orientation: int, jpeg: Pixels | None = None) -> int | None:
    """Returns the hash of an image as browsers show it. `orientation` is how they turn it: 1 to 8.

    `jpeg`: the pixels of a JPEG, with sides of SHORTER_SIDE at least or in full; without them the image is loaded.
    None for pictures without contrast (black, blank) and below 8 pixels, which all look alike, for very large PNGs, and
    when the image cannot be decoded, which is for the check to say.
    """
    if opened.image.format == "PNG" and pixel_bytes(opened.image) > _MOST_PNG_BYTES:
        return None
    try:
        low = _low_frequencies(displayable(opened) if jpeg is None else _from_jpeg(jpeg))
    except Exception:  # noqa: BLE001 - what Pillow's readers raise is open-ended
        return None
    if low is None:
        return None
    if not isinstance(opened.image, TiffImageFile):  # Pillow has turned it
        low = _turned(low, orientation)
    ranked = np.sort(low, axis=None)
    bits = low > (ranked[31] + ranked[32]) / 2
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _from_jpeg(pixels: Pixels) -> Pillow.Image:
    if pixels.shape[2] == 1:
        return Pillow.fromarray(pixels[:, :, 0])
    height, width, _ = pixels.shape
    return Pillow.frombytes("CMYK", (width, height), np.invert(pixels).tobytes())  # stored inverted, as Adobe does


def _low_frequencies(picture: Pillow.Image) -> Pixels | None:
    """The lowest frequencies of a picture in grey, rows by columns; None when it is too small or has no contrast."""
    width, height = picture.size
    if min(width, height) < _FREQUENCIES:
        return None
    across, down = max(1, width // SHORTER_SIDE), max(1, height // SHORTER_SIDE)
    small = picture.reduce((across, down)) if max(across, down) > 1 else picture
    pixels = np.asarray(small.convert("L"), dtype=np.float32)
    # Products this small are computed by one thread, in every build of OpenBLAS.
    low: Pixels = _cosines(height, down) @ pixels @ _cosines(width, across).T
    contrast = (np.square(low).sum() - np.square(low[0, 0])) / (width * height)
    return low if contrast >= _LEAST_CONTRAST**2 else None


def _turned(low: Pixels, orientation: int) -> Pixels:
    """The frequencies of the turned picture: mirroring changes the sign of the odd ones."""
    exchanged, rows, columns = _TURNS.get(orientation, (False, False, False))
    turned = low.T.copy() if exchanged else low.copy()
    if rows:
        turned[1::2] *= -1
    if columns:
        turned[:, 1::2] *= -1
    return turned


@lru_cache(maxsize=256)
def _cosines(size: int, factor: int) -> Pixels:
    """The lowest frequencies of the orthonormal DCT-II of `size` values, given as means of `factor` values each.

    The last mean may be of fewer.
    """
    begins = np.arange(0, size, factor)
    ends = np.minimum(begins + factor, size)
    waves = np.cos(np.pi * np.arange(_FREQUENCIES)[:, None] * (begins + ends) / (2 * size)) * np.sqrt(2 / size)
    waves[0] /= np.sqrt(2)
    cosines: Pixels = (waves * (ends - begins)).astype(np.float32)
    return cosines
