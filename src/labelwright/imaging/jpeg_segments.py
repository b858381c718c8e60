"""Reads the segments of a JPEG up to its first scan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

_SCAN, _END = 0xDA, 0xD9
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_DATA = frozenset((0x01, *range(0xD0, 0xD9)))


def jpeg_segments(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yields marker and content of each segment; bytes that belong to none are passed over, as decoders do."""
    file.seek(2)
    while (marker := _next_marker(file)) not in (None, _SCAN, _END):
        if marker is None or marker in _WITHOUT_DATA:
            continue
        head = file.read(2)
        length = int.from_bytes(head, "big") - 2
        if len(head) < 2 or length < 0:
            return
        yield marker, file.read(length)


def frame_of(file: BinaryIO) -> int | None:
    """Returns the marker of the frame, which says how the JPEG is coded: 0xC0 is baseline, 0xC2 progressive."""
    return next((marker for marker, _ in jpeg_segments(file) if marker in _FRAMES), None)


def _next_marker(file: BinaryIO) -> int | None:
    """Reads up to the next marker; None at the end of the file."""
    while byte := file.read(1):
        if byte == b"\xff":
            while byte == b"\xff":
                byte = file.read(1)
            if byte and byte != b"\0":
                return byte[0]
    return None
