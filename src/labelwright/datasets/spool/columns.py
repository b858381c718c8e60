"""Formats many objects at once: columns of numbers by one call of orjson, interleaved with constant bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

if TYPE_CHECKING:
    from numpy.typing import NDArray


def numbers(values: NDArray[Any]) -> list[bytes]:
    """The JSON text of every number, row by row."""
    return _json(values.reshape(-1))[1:-1].split(b",") if values.size else []


def rows(values: NDArray[Any]) -> list[bytes]:
    """The JSON text of every row without its brackets: ``b"1.0,2.5,3.0,4.0"``."""
    return _json(values)[2:-2].split(b"],[") if values.size else []


def _json(values: NDArray[Any]) -> bytes:
    return orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)


def take(pieces: Sequence[bytes], codes: NDArray[np.intp]) -> list[bytes]:
    """The pieces that the codes point to."""
    table = np.empty(len(pieces), dtype=object)
    table[:] = pieces
    selected: list[bytes] = table[codes].tolist()
    return selected


def repeat_by_count(pieces: Iterable[bytes], counts: Iterable[int]) -> Iterator[bytes]:
    """Each piece as often as its image has objects."""
    return chain.from_iterable(map(repeat, pieces, counts))


def interleave(count: int, *columns: bytes | Iterable[bytes]) -> bytes:
    """Joins columns row by row. A column has a piece for each row, or is one constant for all of them."""
    merged: list[bytes | Iterable[bytes]] = []  # neighbouring constants are one piece
    for column in columns:
        before = merged[-1] if merged else None
        if isinstance(column, bytes) and isinstance(before, bytes):
            merged[-1] = before + column
        else:
            merged.append(column)
    width = len(merged)
    pieces = [column if isinstance(column, bytes) else b"" for column in merged] * count
    for offset, column in enumerate(merged):
        if not isinstance(column, bytes):
            pieces[offset::width] = column if isinstance(column, list) else list(column)
    return b"".join(pieces)


def join_rows(count: int, *columns: bytes | Iterable[bytes]) -> list[bytes]:
    """As `interleave`, each row by itself. No piece holds a line feed."""
    return interleave(count, *columns, b"\n").split(b"\n")[:-1]


def joined_by_image(pieces: Sequence[bytes], counts: Iterable[int]) -> Iterator[bytes]:
    """The pieces of all objects of each image as one."""
    first = 0
    for count in counts:
        yield b"".join(pieces[first : first + count])
        first += count


def lists(heads: Iterable[bytes], counts: Iterable[int], total: int, closing: bytes) -> tuple[list[bytes], bytes]:
    """The text in front of each object when the objects of an image are a list, and the text behind the last object.

    In front of an image's first object this is the image's head, after the closing of the images before it; in front of
    the others it is a comma.
    """
    before = [b","] * total
    index, pending = 0, b""
    for head, count in zip(heads, counts, strict=True):
        pending += head
        if count:
            before[index] = pending
            index += count
            pending = b""
        pending += closing
    return before, pending
