"""Masks as COCO's run lengths, and as polygons that cover the same pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from labelwright.domain import Size

Loop = list[tuple[float, float]]
_RIGHT, _DOWN, _LEFT, _UP = range(4)
_STEP = ((1, 0), (0, 1), (-1, 0), (0, -1))


def coco_run_lengths(flat: Sequence[int], size: Size) -> dict[str, Any]:
    """A mask (`Mask.flat`) as COCO's uncompressed run lengths.

    They go through the whole image column by column, and begin with pixels that are not set.
    """
    bits, left, top = _bits(flat)
    x, y = np.nonzero(bits.T)
    pixels = (x + left) * size.height + y + top
    gaps = np.flatnonzero(np.diff(pixels) != 1)
    starts, ends = pixels[np.r_[0, gaps + 1]], pixels[np.r_[gaps, len(pixels) - 1]] + 1
    borders = np.r_[0, np.stack((starts, ends), axis=1).reshape(-1), size.height * size.width]
    counts = np.diff(borders).tolist()
    return {"size": [size.height, size.width], "counts": counts if counts[-1] else counts[:-1]}


def mask_polygons(flat: Sequence[int]) -> list[Loop]:
    """Polygons that together cover just the pixels of a mask; see `outlines`."""
    bits, left, top = _bits(flat)
    return [[(x + left, y + top) for x, y in loop] for loop in outlines(bits)]


def run_length_polygons(size: Sequence[int], counts: Sequence[int]) -> list[Loop]:
    """Polygons that together cover just the pixels of COCO's uncompressed run lengths. `size`: height and width.

    Raises ValueError for run lengths that do not add up to the image.
    """
    height, width = size
    if sum(counts) != height * width or min(counts, default=0) < 0:
        raise ValueError(f"run lengths of {sum(counts)} pixels, not {height} x {width}")
    bits = np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(width, height).T
    (rows,), (columns,) = np.nonzero(bits.any(axis=1)), np.nonzero(bits.any(axis=0))
    if not len(rows):
        return []
    left, top = int(columns[0]), int(rows[0])
    loops = outlines(bits[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1])
    return [[(x + left, y + top) for x, y in loop] for loop in loops]


def _bits(flat: Sequence[int]) -> tuple[np.ndarray[Any, Any], int, int]:
    """The pixels in the smallest box around them, and the left and the top of this box."""
    runs = np.asarray(flat, dtype=np.int64).reshape(-1, 3)
    left, top = int(runs[:, 1].min()), int(runs[:, 0].min())
    bits = np.zeros((int(runs[:, 0].max()) - top + 1, int(runs[:, 2].max()) - left), dtype=bool)
    for y, start, end in runs.tolist():
        bits[y - top, start - left : end - left] = True
    return bits, left, top


def outlines(mask: np.ndarray[Any, Any]) -> list[Loop]:
    """Polygons (x, y in pixels) that cover exactly the pixels that are not zero, along the pixels' edges.

    Pixels that touch at a corner only are in different polygons. Where there is a hole the mask is cut in two through
    its middle, so that no polygon has a hole.
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
    """Around outlines clockwise (y down), around holes the other way: set pixels are always on the right."""
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
    """One loop; its edges are removed from `leaving`. Only corners where it turns are kept."""
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
    """The directions to try, to the right first: so loops of pixels that touch at a corner stay apart."""
    return (heading + 1) % 4, heading, (heading - 1) % 4


def _twice_the_area(loop: Loop) -> float:
    following = [*loop[1:], loop[0]]
    return sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in zip(loop, following, strict=True))
