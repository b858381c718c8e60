"""Writes PNG files band by band, in little memory."""

from __future__ import annotations

import struct
import zlib
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
from PIL import Image as Pillow

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOR_TYPES = {"L": 0, "RGB": 2, "LA": 4, "RGBA": 6}


class PngWriter:
    """Writes a PNG of the given mode (L, LA, RGB, RGBA) and size, band after band from the top."""

    def __init__(self, file: BinaryIO, mode: str, size: tuple[int, int]) -> None:
        self._file, self._channels = file, {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}[mode]
        self._deflate = zlib.compressobj(1)
        file.write(_SIGNATURE)
        self._chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, _COLOR_TYPES[mode], 0, 0, 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._chunk(b"IDAT", self._deflate.flush())
            self._chunk(b"IEND", b"")

    def add(self, band: Pillow.Image) -> None:
        pixels = np.asarray(band, np.uint8).reshape(band.height, band.width * self._channels)
        for start in range(0, len(pixels), 64):
            scanlines = pixels[start : start + 64]
            rows = np.empty((len(scanlines), scanlines.shape[1] + 1), np.uint8)
            rows[:, 0] = 1  # the difference to the pixel on the left
            rows[:, 1:] = scanlines
            rows[:, 1 + self._channels :] -= scanlines[:, : -self._channels]
            if data := self._deflate.compress(rows.tobytes()):
                self._chunk(b"IDAT", data)

    def _chunk(self, kind: bytes, data: bytes) -> None:
        self._file.write(struct.pack(">I4s", len(data), kind) + data + struct.pack(">I", zlib.crc32(kind + data)))
