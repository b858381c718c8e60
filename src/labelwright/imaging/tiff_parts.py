"""Decodes TIFF files in bands: each strip or tile becomes a small TIFF of its own, which Pillow decodes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image as Pillow
from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile

from .deep_pixels import read_low_bytes
from .orientation import stored_size

_WIDTH, _HEIGHT, _COMPRESSION, _PLANAR = 256, 257, 259, 284
_STRIPS, _STRIP_ROWS, _STRIP_BYTES = 273, 278, 279
_TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES = 322, 323, 324, 325
_BITS = 258
_OF_PIXELS = (_BITS, 262, 266, 277, _COMPRESSION, _PLANAR, 292, 293, 317, 320, 338, 339, 347, 529, 530, 531, 532)
"""Tags that say how pixels are written: they hold for each part as for the whole."""
_OLD_JPEG = 6
_ROWS_BYTES = 1024**2
MOST_PIXELS = 16 * 1024**2
"""Of one band."""


def largest_part(image: TiffImageFile) -> int:
    """Bytes of a strip or tile when it is decompressed: a copy that libtiff keeps beside Pillow's pixels."""
    tags: Any = image.tag_v2
    width, height = stored_size(image)
    if tags.get(_COMPRESSION, 1) == 1:
        return 0
    across, down = width, min(tags.get(_STRIP_ROWS, height), height)
    if _TILES in tags:
        across, down = tags[_TILE_WIDTH], tags[_TILE_HEIGHT]
    return int(-(-across * sum(tags.get(_BITS, (1,))) // 8) * down)


def bands_of(
    image: TiffImageFile, path: Path, *, from_bottom: bool = False, low_bytes: bool = False
) -> Iterator[Pillow.Image] | None:
    """Yields the image as stored (not turned upright) in bands of its full width, each of at most MOST_PIXELS.

    The bands come from the top, or from the bottom (each band itself the right way up). None when the file is not
    written in parts, or one part is larger. The iterator raises what Pillow raises for a broken file.

    `low_bytes`: those of channels of 16 bits, of which Pillow keeps the high ones.
    """
    layout = _layout_of(image)
    if layout is None:
        return None
    size, rows_of_parts = layout
    return _bands(image, path, size, rows_of_parts[::-1] if from_bottom else rows_of_parts, low_bytes)


def comes_in_bands(image: TiffImageFile) -> bool:
    """Whether `bands_of` yields the image in bands."""
    return _layout_of(image) is not None


def _layout_of(image: TiffImageFile) -> tuple[tuple[int, int], list[tuple[int, list[tuple[int, int]]]]] | None:
    """The size of a part, and place and length of the parts of each row; None when it cannot be read in bands."""
    tags: Any = image.tag_v2
    width, height = stored_size(image)
    if tags.get(_COMPRESSION, 1) == _OLD_JPEG or tags.get(_PLANAR, 1) != 1:
        return None
    if _TILES in tags:
        size, places, lengths = (tags[_TILE_WIDTH], tags[_TILE_HEIGHT]), tags[_TILES], tags[_TILE_BYTES]
    elif _STRIPS in tags and _STRIP_BYTES in tags:
        rows = min(tags.get(_STRIP_ROWS, height), height)
        places, lengths = tags[_STRIPS], tags[_STRIP_BYTES]
        row_bytes = -(-width * sum(tags.get(_BITS, (1,))) // 8)
        if tags.get(_COMPRESSION, 1) == 1 and len(places) == 1 and lengths[0] >= row_bytes * height:
            # Without compression a strip can be cut at any row; many writers make one strip of the whole image.
            rows = max(1, min(_ROWS_BYTES // row_bytes, height))
            tops = range(0, height, rows)
            lengths = [row_bytes * min(rows, height - top) for top in tops]
            places = [places[0] + row_bytes * top for top in tops]
        size = (width, rows)
    else:
        return None
    across, down = -(-width // size[0]), -(-height // size[1])
    if width * size[1] > MOST_PIXELS or len(places) != across * down or len(lengths) != across * down:
        return None
    parts = list(zip(places, lengths, strict=True))
    return size, list(enumerate(parts[start : start + across] for start in range(0, len(parts), across)))


def _bands(
    image: TiffImageFile,
    path: Path,
    size: tuple[int, int],
    rows: list[tuple[int, list[tuple[int, int]]]],
    low_bytes: bool,
) -> Iterator[Pillow.Image]:
    tiled = _TILES in image.tag_v2
    width, full_height = stored_size(image)
    with path.open("rb") as file:
        for number, row in rows:
            height = min(size[1], full_height - number * size[1])
            decoded: list[Pillow.Image] = []
            for place, length in row:
                file.seek(place)
                data = file.read(length)
                if len(data) < length:
                    raise OSError("image file is truncated")
                # A tile is always whole; the last strip has only the rows that are left.
                decoded.append(_part(image, (size[0], size[1] if tiled else height), data, low_bytes))
            if len(decoded) == 1 and decoded[0].size == (width, height):
                yield decoded[0]
                continue
            band = Pillow.new(decoded[0].mode, (width, height))
            if (palette := decoded[0].getpalette()) is not None:
                band.putpalette(palette)
            for column, part in enumerate(decoded):
                band.paste(part, (column * size[0], 0))
            yield band


def _part(image: TiffImageFile, size: tuple[int, int], data: bytes, low_bytes: bool) -> Pillow.Image:
    """One strip or tile, decoded."""
    whole: Any = image.tag_v2
    tags = ImageFileDirectory_v2(prefix=whole.prefix)
    for tag in _OF_PIXELS:
        if tag in whole:
            tags.tagtype[tag] = whole.tagtype[tag]
            tags[tag] = whole[tag]
    tags[_WIDTH], tags[_HEIGHT], tags[_STRIP_ROWS] = size[0], size[1], size[1]
    tags[_STRIPS], tags[_STRIP_BYTES] = 0, len(data)
    file = io.BytesIO()
    tags.save(file)
    file.write(data)
    file.seek(0)
    with Pillow.open(file, formats=["TIFF"]) as part:
        if low_bytes:
            read_low_bytes(part)
        part.load()
        return part.copy()
