"""Pixels of more than 8 bits a channel: read in full, and stretched to what a screen shows.

Screens show 8 bits. Cameras that measure 12 bits write them into 16, thermal cameras use a small part of their range:
cut down to 8 bits such images are black or white. They are stretched from their 0.5th to their 99.5th percentile, all
channels alike. Originals are not touched.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

Pixels = npt.NDArray[Any]

LOW, HIGH = 0.5, 99.5
"""Percentiles that become black and white."""
_COLOR = frozenset(("RGB", "RGBA", "RGBX", "LA"))
_GRAY = frozenset(("I", "F", "I;16", "I;16L", "I;16B", "I;16N"))
_OTHER_ORDER = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
"""Pillow keeps the high byte of each channel. In the other byte order it keeps the low one."""
_SAMPLES = 2_000_000
_NO_DATA = 42113
_LARGEST = 1e30
"""Values beyond it mean that there is none, as 3.4e38 in elevation models."""


def is_deep(image: Pillow.Image) -> bool:
    """Whether an opened image, not loaded yet, has more than 8 bits a channel."""
    if image.format not in ("PNG", "TIFF"):
        return False
    return image.mode in _GRAY or (image.mode in _COLOR and any(";16" in _raw_mode(tile) for tile in _tiles(image)))


def is_gray(image: Pillow.Image) -> bool:
    """Whether a deep image has one channel, which Pillow keeps in full."""
    return image.mode in _GRAY


def read_low_bytes(image: Pillow.Image) -> bool:
    """Sets up an opened color image so that loading it gives the low bytes of its 16-bit channels.

    Returns False when Pillow cannot read them.
    """
    changed = []
    for tile in _tiles(image):
        mode, _, order = _raw_mode(tile).partition(";16")
        if order not in _OTHER_ORDER or mode in ("LA", "RGBa"):
            return False
        other = f"{mode};16{_OTHER_ORDER[order]}"
        changed.append(tile._replace(args=other if isinstance(tile.args, str) else (other, *tile.args[1:])))
    image.tile = changed  # type: ignore[attr-defined]
    return bool(changed)


def _tiles(image: Pillow.Image) -> list[Any]:
    tiles: list[Any] = getattr(image, "tile", [])
    return tiles


def _raw_mode(tile: Any) -> str:
    """How the pixels of a part are written, by Pillow's name; empty when it has none."""
    arguments = tile.args
    if isinstance(arguments, tuple | list):
        arguments = arguments[0] if arguments else ""
    return arguments if isinstance(arguments, str) else ""


def combined(high: Pillow.Image, low: Pillow.Image | None) -> Pixels:
    """The 16-bit channels of a color image of which both bytes were loaded; grey images as they are."""
    pixels: Pixels = np.asarray(high)
    if high.mode in _GRAY:
        return pixels
    upper: Pixels = pixels.astype(np.uint16)
    both: Pixels = upper * 257 if low is None else (upper << 8) | np.asarray(low)
    return both


@dataclass(frozen=True, slots=True)
class Stretch:
    """The values that become black and white."""

    low: float
    high: float

    def apply(self, pixels: Pixels) -> Pixels:
        """Returns the pixels in 8 bits; a fourth channel (or a second one) is opacity and only cut down."""
        if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
            colors, opacity = pixels[..., :-1], (pixels[..., -1:] >> 8).astype(np.uint8)
            return np.concatenate((self.apply(colors), opacity), axis=2)
        span = self.high - self.low
        if span <= 0:  # an even image has nothing to stretch
            even = pixels >> 8 if pixels.dtype.kind == "u" else np.full(pixels.shape, 128)
            return even.astype(np.uint8)
        with np.errstate(invalid="ignore", over="ignore"):
            # 32-bit integers do not fit into float32.
            values: Pixels = pixels.astype(np.float64 if pixels.dtype.kind == "i" else np.float32)
            scaled: Pixels = (values - self.low) * (255 / span)
        stretched: Pixels = np.nan_to_num(scaled, nan=0, posinf=255, neginf=0).clip(0, 255).round().astype(np.uint8)
        return stretched


def stretch_of(bands: Iterable[Pixels], pixels: int, no_data: float | None = None) -> Stretch:
    """Returns the stretch for an image of so many pixels that comes in bands; at most some 2 million are looked at."""
    step = max(1, int((pixels / _SAMPLES) ** 0.5))
    samples = [_sample(band, step) for band in bands]
    values = np.concatenate(samples) if samples else np.zeros(0)
    if values.dtype.kind == "f":
        values = values[np.isfinite(values) & (np.abs(values) < _LARGEST)]
    if no_data is not None:
        values = values[values != no_data]
    if not values.size:
        return Stretch(0, 0)
    low, high = np.percentile(values, (LOW, HIGH))
    if low == high:  # a few bright pixels on an even ground
        low, high = values.min(), values.max()
    return Stretch(float(low), float(high))


def no_data_of(image: Pillow.Image) -> float | None:
    """The value that GDAL wrote for pixels without one; None when there is none."""
    tags: Any = getattr(image, "tag_v2", {})
    text = tags.get(_NO_DATA)
    try:
        return float(text.strip("\0 ")) if isinstance(text, str) else None
    except ValueError:
        return None


def _sample(band: Pixels, step: int) -> Pixels:
    part = band[::step, ::step]
    if part.ndim == 3 and part.shape[2] in (2, 4):
        part = part[..., :-1]
    return part.ravel().copy()
