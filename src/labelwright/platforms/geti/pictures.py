"""Compares an image with what a server made of it: Sonoma Creek gives JPEGs re-encoded, not the bytes it was sent.

The recorded server gave for a JPEG of 20,509 bytes one of 59,231, as quality 100 with halved colour resolution makes
it; pixels differ by up to 6 levels of 255. At sharp edges between colours such a re-encoding differs by far more from
the original, and by nothing from our own re-encoding of that kind: the closer of the two comparisons counts.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

_LOSSY = frozenset({"JPEG", "MPO", "WEBP"})
_MOST = 24
"""Levels of 255 by which one pixel may differ after re-encoding (measured: 20 at quality 95, 44 at quality 75)."""
_MEAN = 3.0
"""Levels by which all pixels may differ on average (measured: 2.7 for noise at quality 95)."""
_BLOCK = 4
"""Levels by which the means of 8 x 8 pixels may differ: a small object that is drawn in differs by more."""


@dataclass(frozen=True, slots=True)
class PixelDifference:
    """How far two images are apart, in levels of 255."""

    most: int
    """Of one pixel."""
    mean: float
    is_reencoding: bool
    """Whether re-encoding explains it: no difference, or a small one in a lossy format."""


def pixel_difference(path: Path, content: bytes) -> PixelDifference | None:
    """Of an image file and what a server gave for it. None for what cannot be compared: other sizes, no images."""
    from PIL import Image, UnidentifiedImageError

    found: PixelDifference | None = None
    try:
        with Image.open(path) as ours, Image.open(io.BytesIO(content)) as theirs:
            lossy, shown = theirs.format in _LOSSY, theirs.convert("RGBA")
            for one, again in _expected(ours):
                if one.size != shown.size:
                    continue
                difference = _difference(one, shown, lossy=lossy)
                same = difference.is_reencoding or (
                    again is not None and _difference(again, shown, lossy=lossy).is_reencoding
                )
                if same:
                    return replace(difference, is_reencoding=True)
                found = found or difference
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError):
        return None
    return found


def reencoded(image: Image) -> bytes:
    """The image as the recorded server gives it."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=100, subsampling="4:2:0")
    return buffer.getvalue()


def _expected(ours: Image) -> Iterator[tuple[Image, Image | None]]:
    """What a server may show for an image: itself, or turned as its EXIF data says; each with its re-encoding."""
    from PIL import ExifTags, Image, ImageOps

    is_turned = ours.getexif().get(ExifTags.Base.Orientation, 1) in range(2, 9)
    for one in (ours, ImageOps.exif_transpose(ours)) if is_turned else (ours,):
        plain, again = one.convert("RGBA"), None
        if plain.getchannel("A").getextrema() == (255, 255):  # a JPEG has no transparency: losing it is a difference
            with Image.open(io.BytesIO(reencoded(plain))) as opened:
                again = opened.convert("RGBA")
        yield plain, again


def _difference(one: Image, other: Image, *, lossy: bool) -> PixelDifference:
    from PIL import ImageChops, ImageStat

    pixels, blocks = ImageChops.difference(one, other), ImageChops.difference(one.reduce(8), other.reduce(8))
    most, mean = _largest(pixels), float(max(ImageStat.Stat(pixels).mean))
    small = most <= _MOST and mean <= _MEAN and _largest(blocks) <= _BLOCK
    return PixelDifference(most, mean, is_reencoding=most == 0 or (lossy and small))


def _largest(image: Image) -> int:
    return max(int(high) for _, high in image.getextrema())  # type: ignore[misc]
