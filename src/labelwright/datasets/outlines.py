"""Polygons around the pixels of a mask: exactly along their edges, without holes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

Loop = list[tuple[float, float]]
_RIGHT, _DOWN, _LEFT, _UP = range(4)
_STEP = ((1, 0), (0, 1), (-1, 0), (0, -1))


def outlines(mask: np.ndarray[Any, Any]) -> list[Loop]:
    """Polygons (x, y in pixels) that cover just the pixels that are not zero; together they have the mask's area.

    Pixels that touch at a corner only are in different polygons. Where there is a hole the mask is cut in two through
    its middle, since a polygon here has none.
    """
    filled = np.asarray(mask) != 0
    if not filled.any():
        return []
    loops = list(_loops(filled))
    holes = [loop for loop in loops if _twice_the_area(loop) < 0]
    if not holes:
        return loops
    across = [x for x, _ in holes[0]]
    cut = int((min(across) + max(across)) // 2)
    left, right = filled.copy(), filled.copy()
    left[:, cut:] = False
    right[:, :cut] = False
    return outlines(left) + outlines(right)


def _loops(filled: np.ndarray[Any, Any]) -> Iterator[Loop]:
    """Round outlines clockwise (y down), round holes the other way: what is filled is always on the right hand."""
    leaving = _edges(filled)
    while leaving:
        start = next(iter(leaving))
        yield _follow(start, leaving)


def _edges(filled: np.ndarray[Any, Any]) -> dict[tuple[int, int], list[int]]:
    """Corners of pixels, and the directions in which an edge leaves them."""
    padded = np.pad(filled, 1).astype(np.int8)
    down, across = np.diff(padded, axis=0)[:, 1:-1], np.diff(padded, axis=1)[1:-1, :]
    leaving: dict[tuple[int, int], list[int]] = {}
    for steps, sign, shift, direction in (
        (down, 1, (0, 0), _RIGHT),
        (down, -1, (1, 0), _LEFT),
        (across, 1, (0, 1), _UP),
        (across, -1, (0, 0), _DOWN),
    ):
        for y, x in zip(*np.nonzero(steps == sign), strict=True):
            leaving.setdefault((int(x) + shift[0], int(y) + shift[1]), []).append(direction)
    return leaving


def _follow(start: tuple[int, int], leaving: dict[tuple[int, int], list[int]]) -> Loop:
    """One loop, its edges taken out of `leaving`. Only corners where it turns are kept."""
    loop: Loop = []
    first = leaving[start][0]
    here, heading = start, first
    while True:
        here = (here[0] + _STEP[heading][0], here[1] + _STEP[heading][1])
        turned = next(turn for turn in _turns(heading) if turn in leaving[here])
        leaving[here].remove(turned)
        if not leaving[here]:
            del leaving[here]
        if turned != heading:
            loop.append((float(here[0]), float(here[1])))
        if (here, turned) == (start, first):
            return loop
        heading = turned


def _turns(heading: int) -> tuple[int, int, int]:
    """To the right first: so loops of pixels that touch at a corner stay apart."""
    return (heading + 1) % 4, heading, (heading - 1) % 4


def _twice_the_area(loop: Loop) -> float:
    following = [*loop[1:], loop[0]]
    return sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in zip(loop, following, strict=True))
