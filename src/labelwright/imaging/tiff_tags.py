"""Reads single tags of TIFF files, of all their directories."""

from __future__ import annotations

import struct
from collections.abc import Collection
from typing import BinaryIO

_SUB_DIRECTORIES = 330
_MOST_DIRECTORIES = 32
_MOST_ENTRIES = 4096
_LETTERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
"""Of BYTE, SHORT, LONG, IFD, LONG8 and IFD8."""


def directories(file: BinaryIO, tags: Collection[int]) -> list[dict[int, int]]:
    """The first value of each of these tags, of each page and of the directories below pages; at most 32 of them.

    What cannot be read is left out. The file begins like a TIFF or a BigTIFF.
    """
    file.seek(0)
    head = file.read(16)
    if len(head) < 8:
        return []
    order = "<" if head[:2] == b"II" else ">"
    big = head[2:4] in (b"+\0", b"\0+")
    place = struct.unpack(order + "Q", head[8:16])[0] if big else struct.unpack(order + "I", head[4:8])[0]
    waiting, seen, found = [int(place)], set[int](), list[dict[int, int]]()
    while waiting and len(found) < _MOST_DIRECTORIES:
        place = waiting.pop(0)
        if place in seen or place < 8:
            continue
        seen.add(place)
        try:
            values, below, following = _directory(file, place, order, big, tags)
        except (struct.error, OverflowError, OSError):
            continue
        found.append(values)
        waiting += [*below, following]
    return found


def _directory(
    file: BinaryIO, place: int, order: str, big: bool, tags: Collection[int]
) -> tuple[dict[int, int], list[int], int]:
    """Returns the tags' values, the places of the directories below this one, and that of the next page."""
    number, entry, offset = ("Q", "HHQ8s", "Q") if big else ("H", "HHI4s", "I")
    file.seek(place)
    count = struct.unpack(order + number, file.read(struct.calcsize(order + number)))[0]
    size = struct.calcsize(order + entry)
    data = file.read(size * min(count, _MOST_ENTRIES))
    following = file.read(struct.calcsize(order + offset)) if count <= _MOST_ENTRIES else b""
    values, below = dict[int, int](), list[int]()
    for tag, kind, amount, content in struct.iter_unpack(order + entry, data[: len(data) // size * size]):
        if kind not in _LETTERS or (tag not in tags and tag != _SUB_DIRECTORIES):
            continue
        numbers = _values(file, order, _LETTERS[kind], min(amount, _MOST_DIRECTORIES), content, offset)
        if tag == _SUB_DIRECTORIES:
            below = numbers
        elif numbers:
            values[tag] = numbers[0]
    return values, below, struct.unpack(order + offset, following)[0] if following else 0


def _values(file: BinaryIO, order: str, letter: str, count: int, content: bytes, offset: str) -> list[int]:
    layout = order + letter * count
    size = struct.calcsize(layout)
    if size > len(content):
        file.seek(struct.unpack(order + offset, content)[0])
        content = file.read(size)
    return list(struct.unpack(layout, content[:size]))
