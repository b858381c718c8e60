"""Text of many objects at once: numbers formatted by one call of orjson, and spliced between constant bytes."""

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
    """The piece of every code."""
    table = np.empty(len(pieces), dtype=object)
    table[:] = pieces
    found: list[bytes] = table[codes].tolist()
    return found


def repeat_by_count(pieces: Iterable[bytes], counts: Iterable[int]) -> Iterator[bytes]:
    """Each piece as often as its image has objects."""
    return chain.from_iterable(map(repeat, pieces, counts))


def interleave(count: int, *columns: bytes | Iterable[bytes]) -> bytes:
    """Columns side by side, row after row, as one piece. A column is a piece a row, or one constant for all of them."""
    width = len(columns)
    pieces = [column if isinstance(column, bytes) else b"" for column in columns] * count
    for place, column in enumerate(columns):
        if not isinstance(column, bytes):
            pieces[place::width] = column if isinstance(column, list) else list(column)
    return b"".join(pieces)


def lists(heads: Iterable[bytes], counts: Iterable[int], total: int, closing: bytes) -> tuple[list[bytes], bytes]:
    """What stands before each object when every image opens a list with its head and closes it, and what stands last.

    Before an image's first object stands its head, with the closing of the images before it; before the others a comma.
    """
    before = [b","] * total
    place, pending = 0, b""
    for head, count in zip(heads, counts, strict=True):
        pending += head
        if count:
            before[place] = pending
            place += count
            pending = b""
        pending += closing
    return before, pending
