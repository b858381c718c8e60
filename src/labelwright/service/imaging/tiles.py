"""Reduced renditions of large images: an overview, thumbnails, and tiles in levels of half the size each.

Level 0 is the image at its full size; of level n, one pixel is 2^n pixels of the image wide. Tiles of all levels are in
one ZIP file, as `level/column/row`. All are JPEG, of images with transparency PNG. They are made once, row by row, in
the memory of a row of tiles.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self
from zipfile import ZIP_STORED, ZipFile

from PIL import Image as Pillow

from .pictures import Pictures

TILE = 512
OVERVIEW = 2048
"""Longest side of an overview, at most. It is looked at from afar: where it has too few pixels there are tiles."""
THUMBNAIL = 160

LARGE_PIXELS = 12_000_000
LARGE_BYTES = 6_000_000
"""An image with more pixels or bytes is shown as an overview and tiles."""

_BYTES_A_COLUMN = 2 * 4 * TILE
"""Of memory: a row of tiles of four bytes a pixel, and those of all smaller levels."""

Kept = Callable[[], AbstractContextManager[Path]]


def levels_of(width: int, height: int) -> int:
    """Returns how many levels have more pixels than the overview."""
    count, side = 0, max(width, height)
    while side > OVERVIEW:
        count, side = count + 1, -(-side // 2)
    return count


def is_large(width: int, height: int, filesize: int) -> bool:
    big = width * height > LARGE_PIXELS or filesize > LARGE_BYTES
    return big and max(width, height) > OVERVIEW


class Tiles:
    """Renditions in the folder of pictures. Every method raises TooMuchMemory, FileNotFoundError."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures

    def overview(self, image: int, kept: Kept) -> Path:
        return self._pictures.made(f"{image}.overview", kept, self._reduced(OVERVIEW), small=True)

    def thumbnail(self, image: int, kept: Kept) -> Path:
        return self._pictures.made(f"{image}.thumbnail", kept, self._reduced(THUMBNAIL), small=True)

    def tile(self, image: int, level: int, column: int, row: int, kept: Kept) -> bytes | None:
        """Returns a tile; None when the image has no such tile."""
        path = self._pictures.made(f"{image}.tiles", kept, self._write_tiles)
        with ZipFile(path) as archive:
            try:
                return archive.read(f"{level}/{column}/{row}")
            except KeyError:
                return None

    def _reduced(self, side: int) -> Callable[[Path, Path], None]:
        def write(source: Path, target: Path) -> None:
            with target.open("wb") as file:
                self._pictures.write_rows(
                    source,
                    lambda mode, size: _Reduced(file, mode, size, side),
                    shrink_to=side,
                    bytes_a_column=_BYTES_A_COLUMN,
                )

        return write

    def _write_tiles(self, source: Path, target: Path) -> None:
        with target.open("wb") as file:
            self._pictures.write_rows(
                source, lambda mode, size: _Pyramid(file, mode, size), bytes_a_column=_BYTES_A_COLUMN
            )


def media_type(data: bytes) -> str:
    return "image/png" if data.startswith(b"\x89PNG") else "image/jpeg"


class _Strips:
    """Hands on bands of any height as strips of one height; the last may be lower."""

    def __init__(self, mode: str, width: int, height: int, take: Callable[[Pillow.Image], None]) -> None:
        self._strip, self._rows, self._take = Pillow.new(mode, (width, height)), 0, take

    def add(self, band: Pillow.Image) -> None:
        top = 0
        while top < band.height:
            rows = min(band.height - top, self._strip.height - self._rows)
            self._strip.paste(band.crop((0, top, band.width, top + rows)), (0, self._rows))
            self._rows, top = self._rows + rows, top + rows
            if self._rows == self._strip.height:
                self._take(self._strip)
                self._rows = 0

    def finish(self) -> None:
        if self._rows:
            self._take(self._strip.crop((0, 0, self._strip.width, self._rows)))
            self._rows = 0


class _Reduced:
    """Writes a whole image, reduced to a longest side of `side` at most."""

    def __init__(self, file: BinaryIO, mode: str, size: tuple[int, int], side: int) -> None:
        self._file, self._side = file, side
        self._factor = max(1, max(size) // side)
        width, height = size
        self._image = Pillow.new(mode, (-(-width // self._factor), -(-height // self._factor)))
        self._top = 0
        self._strips = _Strips(mode, width, self._factor * max(1, TILE // self._factor), self._take)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._strips.finish()
            if max(self._image.size) > self._side:
                self._image.thumbnail((self._side, self._side), Pillow.Resampling.BOX)
            self._file.seek(0)
            self._file.truncate()
            self._file.write(_encoded(self._image, rough=True))

    def add(self, band: Pillow.Image) -> None:
        self._strips.add(band)

    def _take(self, strip: Pillow.Image) -> None:
        reduced = strip.reduce(self._factor) if self._factor > 1 else strip
        self._image.paste(reduced, (0, self._top))
        self._top += reduced.height


class _Pyramid:
    """Writes the tiles of all levels."""

    def __init__(self, file: BinaryIO, mode: str, size: tuple[int, int]) -> None:
        file.seek(0)
        file.truncate()
        self._archive = ZipFile(file, "w", ZIP_STORED)
        self._levels: list[_Strips] = []
        self._rows = [0] * max(1, levels_of(*size))
        width = size[0]
        for level in range(len(self._rows)):
            self._levels.append(_Strips(mode, width, TILE, self._taker(level)))
            width = -(-width // 2)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if kind is None:
            for level in self._levels:  # the last strip of one goes into the next
                level.finish()
        self._archive.close()

    def add(self, band: Pillow.Image) -> None:
        self._levels[0].add(band)

    def _taker(self, level: int) -> Callable[[Pillow.Image], None]:
        def take(strip: Pillow.Image) -> None:
            for column, tile in enumerate(_columns(strip)):
                self._archive.writestr(f"{level}/{column}/{self._rows[level]}", _encoded(tile))
            self._rows[level] += 1
            if level + 1 < len(self._levels):
                self._levels[level + 1].add(strip.reduce(2))

        return take


def _columns(strip: Pillow.Image) -> Iterator[Pillow.Image]:
    for left in range(0, strip.width, TILE):
        yield strip.crop((left, 0, min(left + TILE, strip.width), strip.height))


def _encoded(image: Pillow.Image, *, rough: bool = False) -> bytes:
    target = io.BytesIO()
    if image.mode in ("LA", "RGBA"):
        image.save(target, "PNG", compress_level=1)
    elif rough:
        image.save(target, "JPEG", quality=85)
    else:
        image.save(target, "JPEG", quality=92, subsampling=0)
    return target.getvalue()
