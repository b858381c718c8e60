"""Renditions of images for browsers, cached in the data directory."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from secrets import token_hex
from typing import Any, BinaryIO

from PIL import Image as Pillow
from PIL import ImageOps
from PIL.TiffImagePlugin import TiffImageFile

from labelwright.service.config import ServiceConfig

from . import tiff_parts
from .decoding import BAND, Memory, bytes_to_decode
from .png_stream import WRITABLE, PngWriter

_ORIENTATION = 0x0112
_ROWS = 4 * 1024**2
"""Pixels of a band of rows that an image in memory is written in."""
_FLIP = {2: Pillow.Transpose.FLIP_LEFT_RIGHT, 3: Pillow.Transpose.ROTATE_180, 4: Pillow.Transpose.FLIP_TOP_BOTTOM}
_TURN = {
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_270,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_90,
}


class Pictures:
    """The folder `pictures` of the data directory, one file per image. Thread-safe."""

    def __init__(self, config: ServiceConfig, memory: Memory) -> None:
        self._folder = config.data_dir / "pictures"
        self._limit = config.limits.pictures_bytes
        self._memory = memory
        self._making = threading.Lock()

    def png(self, image: int, kept: Callable[[], AbstractContextManager[Path]]) -> Path:
        """Returns the path of the image as an upright PNG. Raises TooMuchMemory, FileNotFoundError."""
        return self._made(f"{image}.png", kept, self._write_png)

    def original(self, image: int, kept: Callable[[], AbstractContextManager[Path]]) -> Path:
        """Returns the path of a local copy of the original file. Raises FileNotFoundError."""
        return self._made(f"{image}.original", kept, shutil.copyfile)

    def _made(
        self, name: str, kept: Callable[[], AbstractContextManager[Path]], make: Callable[[Path, Path], Any]
    ) -> Path:
        path = self._folder / name
        if path.exists():
            return path
        with self._making:  # one at a time: whoever asked for the same one finds it
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
        kept_files = [(entry.stat(), Path(entry.path)) for entry in os.scandir(self._folder)]
        total = sum(status.st_size for status, _ in kept_files)
        for status, path in sorted(kept_files, key=lambda pair: pair[0].st_mtime):
            if total <= self._limit:
                return
            if path != newest:
                path.unlink(missing_ok=True)
                total -= status.st_size

    def _write_png(self, source: Path, target: Path) -> None:
        with Pillow.open(source) as image, target.open("wb") as file:
            # Small ones too: Pillow garbles those that lie on their side, are not compressed and have one channel.
            if isinstance(image, TiffImageFile) and tiff_parts.bands_of(image, source) is not None:
                with self._memory.taken(BAND):
                    _write_bands(file, image, source)
                return
            orientation = image.getexif().get(_ORIENTATION, 1)
            # Turning and converting make a second image while the first one is there.
            copies = 0 if orientation == 1 and image.mode in WRITABLE else 1
            with self._memory.taken(bytes_to_decode(image) + copies * 4 * image.width * image.height):
                upright = image if orientation == 1 else ImageOps.exif_transpose(image)
                shown = _shown(upright)
                with PngWriter(file, shown.mode, shown.size) as png:
                    rows = max(1, _ROWS // shown.width)
                    for top in range(0, shown.height, rows):
                        png.add(shown.crop((0, top, shown.width, min(top + rows, shown.height))))


def _shown(image: Pillow.Image) -> Pillow.Image:
    """Converts the image to a mode that browsers display."""
    if image.mode in WRITABLE:
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _write_bands(file: BinaryIO, image: TiffImageFile, source: Path) -> None:
    """Writes an image that comes in bands, turned upright. An image that is turned by 90 degrees is decoded several
    times, each time for as many of its columns as fit into memory."""
    orientation, (width, height) = tiff_parts.orientation_of(image), tiff_parts.stored_size(image)
    mode = _shown(next(_bands(image, source))).mode
    if orientation not in _TURN:
        flip = _FLIP.get(orientation)
        with PngWriter(file, mode, (width, height)) as png:
            for band in _bands(image, source, from_bottom=orientation in (3, 4)):
                png.add(_shown(band if flip is None else band.transpose(flip)))
        return
    columns = max(1, tiff_parts.MOST_PIXELS // height)
    starts = list(range(0, width, columns))
    if orientation in (7, 8):  # the last column becomes the first row
        starts.reverse()
    with PngWriter(file, mode, (height, width)) as png:
        for left in starts:
            right = min(left + columns, width)
            part, top = Pillow.new(mode, (right - left, height)), 0
            for band in _bands(image, source):
                part.paste(_shown(band.crop((left, 0, right, band.height))), (0, top))
                top += band.height
            png.add(part.transpose(_TURN[orientation]))


def _bands(image: TiffImageFile, source: Path, *, from_bottom: bool = False) -> Iterator[Pillow.Image]:
    bands = tiff_parts.bands_of(image, source, from_bottom=from_bottom)
    if bands is None:
        raise AssertionError("a TIFF was in parts and is not any more")
    return bands
