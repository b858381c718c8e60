"""Label Studio's run-length encoding of brush masks.

A mask is the RGBA bytes of the image, of which only the alpha counts: a bit stream with the number of bytes (32 bits),
the size of a byte minus 1 (5 bits), four run sizes minus 1 (4 bits each), then runs: a bit whether all bytes are equal,
two bits that choose the size of the length, the length minus 1, and one byte or as many as the run is long.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from labelwright.domain import InvalidShape, Mask, Size
from labelwright.domain.geometry import NO_AREA

_RUN_SIZES = (3, 4, 8, 16)
_MOST_PIXELS = 1 << 28


def decode(rle: Sequence[int], size: Size) -> Mask:
    """Returns the pixels whose alpha is set. Raises InvalidShape for what is no mask of that size."""
    pixels = size.width * size.height
    if pixels > _MOST_PIXELS:
        raise InvalidShape(f"a mask of {size.width} x {size.height} pixels")
    values = _values(_Bits(rle), 4 * pixels)
    alpha = values[3::4].reshape(size.height, size.width) > 127
    if not alpha.any():
        raise InvalidShape("the mask is empty", NO_AREA)
    edges = np.diff(np.pad(alpha, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    (rows, starts), (_, ends) = np.nonzero(edges == 1), np.nonzero(edges == -1)
    return Mask(tuple(zip(rows.tolist(), starts.tolist(), ends.tolist(), strict=True)))


def _values(bits: _Bits, expected: int) -> np.ndarray:
    count, word = bits.read(32), bits.read(5) + 1
    run_sizes = [bits.read(4) + 1 for _ in range(4)]
    if count != expected or word != 8:
        raise InvalidShape(f"a mask of {count} values of {word} bits, the image has {expected} of 8")
    values = np.zeros(count, dtype=np.uint8)
    place = 0
    while place < count:
        repeated = bits.read(1)
        length = bits.read(run_sizes[bits.read(2)]) + 1
        if place + length > count:
            raise InvalidShape("a mask whose runs are longer than its image")
        if repeated:
            values[place : place + length] = bits.read(word)
        else:
            values[place : place + length] = [bits.read(word) for _ in range(length)]
        place += length
    return values


class _Bits:
    """Reads numbers from a list of bytes, bit by bit from the left."""

    def __init__(self, data: Sequence[int]) -> None:
        try:
            self._data = bytes(data)
        except (TypeError, ValueError):
            raise InvalidShape("a mask that is no list of bytes") from None
        self._place = 0

    def read(self, count: int) -> int:
        first, last = self._place // 8, (self._place + count + 7) // 8
        if last > len(self._data):
            raise InvalidShape("a mask that ends too early")
        window = int.from_bytes(self._data[first:last], "big")
        self._place += count
        return (window >> (last * 8 - self._place)) & ((1 << count) - 1)


def encode(mask: Mask, size: Size) -> list[int]:
    """Returns the encoding of a mask that lies in the image."""
    alpha = np.zeros((size.height, size.width), dtype=np.uint8)
    for y, start, end in mask.runs:
        alpha[y, start:end] = 255
    flat = np.repeat(alpha.reshape(-1), 4)
    borders = np.flatnonzero(np.diff(flat.astype(np.int16)))
    ends = [*(borders + 1).tolist(), flat.size]
    texts = [f"{flat.size:032b}", f"{8 - 1:05b}", *(f"{bits - 1:04b}" for bits in _RUN_SIZES)]
    start = 0
    for end in ends:
        while start < end:
            length = min(end - start, 1 << _RUN_SIZES[-1])
            kind = next(number for number, bits in enumerate(_RUN_SIZES) if length <= 1 << bits)
            texts.append(f"1{kind:02b}{length - 1:0{_RUN_SIZES[kind]}b}{flat[start]:08b}")
            start += length
    text = "".join(texts)
    text += "0" * (-len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8, "big"))
