"""Reads and writes PNG files row by row, in little memory."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np
from PIL import Image as Pillow

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_COLOR_TYPES = {"L": 0, "RGB": 2, "LA": 4, "RGBA": 6}
WRITABLE = frozenset(_COLOR_TYPES)
"""Pillow's modes that `PngWriter` takes."""
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""The passes of an interlaced image: first column and row, steps between columns and rows."""
_PIECE = 1 << 16
_ROWS = 1 << 20


class BrokenPng(ValueError):
    """The file is not a complete PNG. The message says what is wrong."""


def check_png(path: Path) -> bytes:
    """Checks what decoding would: checksums, the compressed stream, and that no row is missing.

    Takes no memory for the pixels. Returns the EXIF data, empty if there is none. Raises BrokenPng.
    """
    exif = bytearray()
    with path.open("rb") as file:
        if file.read(8) != _SIGNATURE:
            raise BrokenPng("not a PNG file")
        header = b"".join(piece for _, piece in _chunks(file, stop=b"IHDR"))
        if len(header) != 13:
            raise BrokenPng("its first chunk is not the header")
        rows = _Rows(_passes(header))
        stream = zlib.decompressobj()
        try:
            for kind, piece in _chunks(file, stop=b"IEND"):
                if kind == b"eXIf" and len(exif) < _PIECE:
                    exif += piece
                if kind == b"IDAT" and not stream.eof:
                    rows.add(stream.decompress(piece, _ROWS))
                    while stream.unconsumed_tail and not stream.eof:
                        rows.add(stream.decompress(stream.unconsumed_tail, _ROWS))
        except zlib.error as error:
            raise BrokenPng(f"broken data stream when reading image file ({error})") from None
        if not rows.complete:
            raise BrokenPng("image file is truncated")
    return b"Exif\0\0" + bytes(exif) if exif else b""


def _chunks(file: BinaryIO, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields the data of the chunks up to and including the chunk of kind `stop`. Raises BrokenPng."""
    kind = b""
    while kind != stop:
        length, kind = struct.unpack(">I4s", _exactly(file, 8))
        checksum = zlib.crc32(kind)
        for start in range(0, length, _PIECE):
            piece = _exactly(file, min(_PIECE, length - start))
            checksum = zlib.crc32(piece, checksum)
            yield kind, piece
        if struct.unpack(">I", _exactly(file, 4))[0] != checksum:
            raise BrokenPng(f"broken PNG file (bad header checksum in {kind!r})")


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise BrokenPng("image file is truncated")
    return data


def _passes(header: bytes) -> list[tuple[int, int]]:
    """Returns bytes per row and number of rows for each pass. Raises BrokenPng."""
    width, height, depth, color, _, _, interlace = struct.unpack(">IIBBBBB", header)
    if color not in _CHANNELS or depth not in (1, 2, 4, 8, 16) or not width or not height:
        raise BrokenPng("its header is none of a PNG")
    bits = depth * _CHANNELS[color]
    sizes = [(width, height)]
    if interlace:
        sizes = [(-(-(width - x) // dx), -(-(height - y) // dy)) for x, y, dx, dy in _ADAM7]
    return [(1 + (columns * bits + 7) // 8, rows) for columns, rows in sizes if columns > 0 and rows > 0]


class _Rows:
    """Counts the rows of a decompressed stream, and checks the filter number in the first byte of each."""

    def __init__(self, passes: list[tuple[int, int]]) -> None:
        self._passes, self._offset = passes, 0  # of the stream within the first pass that is not complete

    @property
    def complete(self) -> bool:
        return not self._passes

    def add(self, data: bytes) -> None:
        while data and self._passes:
            length, count = self._passes[0]
            part, data = data[: length * count - self._offset], data[length * count - self._offset :]
            filters = part[-self._offset % length :: length]
            if filters and max(filters) > 4:
                raise BrokenPng("a row has an unknown filter")
            self._offset += len(part)
            if self._offset == length * count:
                self._passes, self._offset = self._passes[1:], 0


class PngWriter:
    """Writes a PNG of the given mode (one of WRITABLE) and size, band after band from the top."""

    def __init__(self, file: BinaryIO, mode: str, size: tuple[int, int]) -> None:
        self._file, self._channels = file, {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}[mode]
        self._deflate = zlib.compressobj(1)
        file.write(_SIGNATURE)
        self._chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, _COLOR_TYPES[mode], 0, 0, 0))

    def __enter__(self) -> PngWriter:
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
