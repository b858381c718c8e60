"""Renditions of images for browsers, cached in the data directory."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from secrets import token_hex
from types import TracebackType
from typing import Any, Protocol, Self

from PIL import Image as Pillow
from PIL.TiffImagePlugin import TiffImageFile

from labelwright.imaging import tiff_parts
from labelwright.imaging.decoding_memory import BAND, LARGE, bytes_to_show, pixel_bytes
from labelwright.imaging.deep_pixels import (
    Stretch,
    combined,
    is_deep,
    is_gray,
    no_data_of,
    stretch_of,
)
from labelwright.imaging.inspection import browsers_show_it, open_image
from labelwright.imaging.orientation import SIDEWAYS, shown_orientation, stored_size, tiff_orientation, turn
from labelwright.imaging.rendition import row_bands, to_screen_mode, upright_rendition
from labelwright.service.config import ServiceConfig
from labelwright.service.images import CONTENT_TYPES

from .decoding import Memory
from .png_stream import PngWriter


class RowWriter(Protocol):
    """Takes an image band by band from the top."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None: ...

    def add(self, band: Pillow.Image) -> None: ...


Begin = Callable[[str, tuple[int, int]], RowWriter]
"""Begins to write an image of this mode (L, LA, RGB, RGBA) and size."""


class Pictures:
    """The folder `pictures` of the data directory, one file per image. Thread-safe."""

    def __init__(self, config: ServiceConfig, memory: Memory) -> None:
        self._folder = config.data_dir / "pictures"
        self._limit = config.limits.pictures_bytes
        self._memory = memory
        self._making = {True: threading.Lock(), False: threading.Lock()}

    def png(self, image: int, kept: Callable[[], AbstractContextManager[Path]]) -> Path:
        """Returns the path of the image as an upright PNG of 8 bits a channel, without metadata.

        Raises TooMuchMemory, FileNotFoundError.
        """
        return self.made(f"{image}.png", kept, self._write_png)

    def original(self, image: int, kept: Callable[[], AbstractContextManager[Path]]) -> Path:
        """Returns the path of a local copy of the original file. Raises FileNotFoundError."""
        return self.made(f"{image}.original", kept, shutil.copyfile)

    def needs_png(self, image: int, kept: Callable[[], AbstractContextManager[Path]]) -> bool:
        """Whether browsers show the file otherwise than labelers are to see it. Raises FileNotFoundError."""
        if (self._folder / f"{image}.png").exists():
            return True
        with kept() as path, path.open("rb") as file:
            try:
                with open_image(file, tuple(CONTENT_TYPES), taken=True) as opened:
                    return not browsers_show_it(opened)
            except (OSError, ValueError, SyntaxError):  # the browser shows what it can of a damaged file
                return False

    def made(
        self,
        name: str,
        kept: Callable[[], AbstractContextManager[Path]],
        make: Callable[[Path, Path], Any],
        *,
        small: bool = False,
    ) -> Path:
        """Returns the path of a file of the folder, which `make(source, target)` makes of the image when it is missing.

        `small`: it does not wait for others that take long.
        """
        path = self._folder / name
        if path.exists():
            return path
        with self._making[small]:  # one at a time: whoever asked for the same one finds it
            if path.exists():
                return path
            self._folder.mkdir(mode=0o700, exist_ok=True)
            draft = self._folder / f"{name}.{token_hex(4)}.new"
            try:
                with kept() as file:
                    make(file, draft)
                draft.replace(path)
            finally:
                draft.unlink(missing_ok=True)
            self._make_room(path)
        return path

    def _make_room(self, newest: Path) -> None:
        """Deletes the oldest files while all of them take more than the limit."""
        kept_files = []
        for entry in os.scandir(self._folder):
            with suppress(FileNotFoundError):  # a file that is being made has got its name meanwhile
                kept_files.append((entry.stat(), Path(entry.path)))
        total = sum(status.st_size for status, _ in kept_files)
        for status, path in sorted(kept_files, key=lambda pair: pair[0].st_mtime):
            if total <= self._limit:
                return
            if path != newest and path.suffix != ".new":
                path.unlink(missing_ok=True)
                total -= status.st_size

    def _write_png(self, source: Path, target: Path) -> None:
        with target.open("wb") as file:

            def begin(mode: str, size: tuple[int, int]) -> PngWriter:
                file.seek(0)
                file.truncate()
                return PngWriter(file, mode, size)

            self.write_rows(source, begin)

    def write_rows(self, source: Path, begin: Begin, *, shrink_to: int | None = None, bytes_a_column: int = 0) -> None:
        """Writes an image, upright and of 8 bits a channel, row by row into what `begin(mode, size)` returns.

        `begin` may be called again, to begin anew. A JPEG may come smaller, in a fraction of the time, with a longest
        side of at least `shrink_to`. `bytes_a_column`: of memory that the writer keeps. Raises TooMuchMemory.
        """
        with source.open("rb") as original, open_image(original, tuple(CONTENT_TYPES), taken=True) as opened:
            image = opened.image
            kept_bytes = bytes_a_column * max(image.size)
            # Small ones too: Pillow garbles those that lie on their side, are not compressed and have one channel.
            if isinstance(image, TiffImageFile) and tiff_parts.bands_of(image, source) is not None:
                with self._memory.taken(BAND + kept_bytes):
                    try:
                        _write_bands(begin, image, source)
                    except OSError:  # a part is odd that passes in the whole
                        if pixel_bytes(image) > LARGE:
                            raise
                    else:
                        return
            orientation = shown_orientation(image, original)
            if shrink_to is not None:
                share = min(1, shrink_to / max(image.size))
                image.draft(None, (round(image.width * share), round(image.height * share)))
            needed = bytes_to_show(image, turned=orientation != 1, deep=is_deep(image))
            # Large JPEGs are checked in less memory than they are shown in.
            with self._memory.taken(max(needed, pixel_bytes(image)) + kept_bytes):
                upright = upright_rendition(opened)
                with begin(upright.mode, upright.size) as writer:
                    for top, bottom in row_bands(upright):
                        writer.add(upright.crop((0, top, upright.width, bottom)))


def _write_bands(begin: Begin, image: TiffImageFile, source: Path) -> None:
    """Writes an image that comes in bands, turned upright. An image that is turned by 90 degrees is decoded several
    times, each time for as many of its columns as fit into memory."""
    orientation, (width, height) = tiff_orientation(image), stored_size(image)
    bands = _ShownBands(image, source)
    mode = next(bands.read()).mode
    if orientation not in SIDEWAYS:
        with begin(mode, (width, height)) as writer:
            for band in bands.read(from_bottom=orientation in (3, 4)):
                writer.add(turn(band, orientation))
        return
    columns = max(1, tiff_parts.MOST_PIXELS // height)
    starts = list(range(0, width, columns))
    if orientation in (7, 8):  # the last column becomes the first row
        starts.reverse()
    with begin(mode, (height, width)) as writer:
        for left in starts:
            right = min(left + columns, width)
            part, top = Pillow.new(mode, (right - left, height)), 0
            for band in bands.read():
                part.paste(band.crop((left, 0, right, band.height)), (0, top))
                top += band.height
            writer.add(turn(part, orientation))


class _ShownBands:
    """The bands of a TIFF as screens show them."""

    def __init__(self, image: TiffImageFile, source: Path) -> None:
        self._image, self._source = image, source
        self._low_bytes = is_deep(image) and not is_gray(image)
        self._stretch: Stretch | None = None
        if is_deep(image):
            width, height = stored_size(image)
            pixels = (combined(high, low) for high, low in self._stored())
            self._stretch = stretch_of(pixels, width * height, no_data_of(image))

    def read(self, *, from_bottom: bool = False) -> Iterator[Pillow.Image]:
        for high, low in self._stored(from_bottom=from_bottom):
            if self._stretch is None:
                yield to_screen_mode(high)
            else:
                yield Pillow.fromarray(self._stretch.apply(combined(high, low)))

    def _stored(self, *, from_bottom: bool = False) -> Iterator[tuple[Pillow.Image, Pillow.Image | None]]:
        """Yields bands, with the low bytes of color images of 16 bits."""
        bands = self._bands(from_bottom=from_bottom, low_bytes=False)
        if not self._low_bytes:
            return ((band, None) for band in bands)
        return zip(bands, self._bands(from_bottom=from_bottom, low_bytes=True), strict=True)

    def _bands(self, *, from_bottom: bool, low_bytes: bool) -> Iterator[Pillow.Image]:
        bands = tiff_parts.bands_of(self._image, self._source, from_bottom=from_bottom, low_bytes=low_bytes)
        if bands is None:
            raise AssertionError("a TIFF was in parts and is not any more")
        return bands
