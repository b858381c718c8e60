"""Decides whether a server's image is a re-encoding of ours: Sonoma Creek re-encodes JPEGs instead of keeping them.

For a JPEG of 20,509 bytes the recorded server returned one of 59,231, as written by quality 100 with halved colour
resolution; pixels differ by up to 6 levels of 255. At sharp edges between colours such a re-encoding differs by far
more from the original, but not at all from our own re-encoding of that kind: the closer of the two comparisons counts.
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
_MAX_PIXEL = 24
"""Levels of 255 by which one pixel may differ after re-encoding (measured: 20 at quality 95, 44 at quality 75)."""
_MAX_MEAN = 3.0
"""Levels by which all pixels may differ on average (measured: 2.7 for noise at quality 95)."""
_MAX_BLOCK = 4
"""Levels by which the means of 8 x 8 pixels may differ: a small object that is drawn in differs by more."""


@dataclass(frozen=True, slots=True)
class PixelDifference:
    """The difference of two images, in levels of 255."""

    most: int
    """Largest difference of one pixel."""
    mean: float
    is_reencoding: bool
    """Whether re-encoding explains the difference: there is none, or a small one in a lossy format."""


def pixel_difference(path: Path, content: bytes) -> PixelDifference | None:
    """Compares an image file with the server's content. None where that is not possible: other sizes, no images."""
    from PIL import Image, UnidentifiedImageError

    first_difference: PixelDifference | None = None
    try:
        with Image.open(path) as original, Image.open(io.BytesIO(content)) as returned:
            lossy, server_image = returned.format in _LOSSY, returned.convert("RGBA")
            for variant, variant_reencoded in _expected(original):
                if variant.size != server_image.size:
                    continue
                difference = _difference(variant, server_image, lossy=lossy)
                is_reencoded = difference.is_reencoding or (
                    variant_reencoded is not None
                    and _difference(variant_reencoded, server_image, lossy=lossy).is_reencoding
                )
                if is_reencoded:
                    return replace(difference, is_reencoding=True)
                first_difference = first_difference or difference
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError):
        return None
    return first_difference


def reencoded(image: Image) -> bytes:
    """The image encoded as by the recorded server."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=100, subsampling="4:2:0")
    return buffer.getvalue()


def _expected(original: Image) -> Iterator[tuple[Image, Image | None]]:
    """Images that a server may return: the image, or turned by its EXIF orientation; each with its re-encoding."""
    from PIL import ExifTags, Image, ImageOps

    is_turned = original.getexif().get(ExifTags.Base.Orientation, 1) in range(2, 9)
    for variant in (original, ImageOps.exif_transpose(original)) if is_turned else (original,):
        rgba, variant_reencoded = variant.convert("RGBA"), None
        if rgba.getchannel("A").getextrema() == (255, 255):  # a JPEG has no transparency: losing it is a difference
            with Image.open(io.BytesIO(reencoded(rgba))) as opened:
                variant_reencoded = opened.convert("RGBA")
        yield rgba, variant_reencoded


def _difference(first: Image, second: Image, *, lossy: bool) -> PixelDifference:
    from PIL import ImageChops, ImageStat

    pixels, blocks = ImageChops.difference(first, second), ImageChops.difference(first.reduce(8), second.reduce(8))
    most, mean = _largest(pixels), float(max(ImageStat.Stat(pixels).mean))
    small = most <= _MAX_PIXEL and mean <= _MAX_MEAN and _largest(blocks) <= _MAX_BLOCK
    return PixelDifference(most, mean, is_reencoding=most == 0 or (lossy and small))


def _largest(image: Image) -> int:
    return max(int(high) for _, high in image.getextrema())  # type: ignore[misc]
