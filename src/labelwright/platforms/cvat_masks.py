"""Masks of CVAT: runs of pixels in a box, and the outline that one of our polygons can say.

A mask's points are the lengths of runs (the first of pixels that are not set), then left, top, right and bottom of its
box, both edges counted. Pixel (x, y) is the square from (x, y) to (x + 1, y + 1).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from labelwright.domain import InvalidShape, Polygon

_Corner = tuple[int, int]


def outline(points: Sequence[float]) -> Polygon:
    """The polygon whose pixels are just those of the mask.

    Raises InvalidShape, in words, for what one simple polygon cannot say: several parts, or holes.
    """
    bits, left, top = decoded(points)
    rings = _rings(bits)
    parts = [ring for ring in rings if _area(ring) > 0]
    if not parts:
        raise InvalidShape("the mask is empty")
    if len(rings) > 1:
        what = f"{len(parts)} parts" if len(parts) > 1 else f"{len(rings) - 1} holes"
        raise InvalidShape(f"the mask has {what}, and a polygon has one outline")
    return Polygon(tuple((float(x + left), float(y + top)) for x, y in parts[0]))


def decoded(points: Sequence[float]) -> tuple[np.ndarray, int, int]:
    """Which pixels of its box are set (rows from the top), and the box's left and top."""
    if len(points) < 5:
        raise InvalidShape(f"a mask of {len(points)} numbers")
    *runs, left, top, right, bottom = (int(value) for value in points)
    width, height = right - left + 1, bottom - top + 1
    if width < 1 or height < 1 or min(runs) < 0 or sum(runs) > width * height:
        raise InvalidShape("a mask whose runs do not fit into its box")
    flat = np.zeros(width * height, dtype=bool)
    values = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    flat[: len(values)] = values
    return flat.reshape(height, width), left, top


def _rings(bits: np.ndarray) -> list[list[_Corner]]:
    """The closed lines around set pixels: clockwise (as displayed) around a part, the other way around a hole."""
    padded = np.pad(bits, 1)
    following: dict[_Corner, list[_Corner]] = defaultdict(list)
    here = padded[1:-1, 1:-1]
    for beyond, start, end in (
        (padded[:-2, 1:-1], (0, 0), (1, 0)),  # top edges run to the right
        (padded[1:-1, 2:], (1, 0), (1, 1)),  # right edges run down
        (padded[2:, 1:-1], (1, 1), (0, 1)),  # bottom edges run to the left
        (padded[1:-1, :-2], (0, 1), (0, 0)),  # left edges run up
    ):
        for y, x in np.argwhere(here & ~beyond).tolist():
            following[x + start[0], y + start[1]].append((x + end[0], y + end[1]))
    rings = []
    while following:
        first = next(iter(following))
        ring, before, corner = [first], None, first
        while True:
            ends = following[corner]
            # Where two pixels touch at a corner the line stays at its own pixel: it turns right.
            chosen = ends[0] if len(ends) == 1 or before is None else _to_the_right(before, corner, ends)
            ends.remove(chosen)
            if not ends:
                del following[corner]
            before, corner = corner, chosen
            if corner == first:
                break
            ring.append(corner)
        rings.append(_without_straights(ring))
    return rings


def _to_the_right(before: _Corner, corner: _Corner, ends: list[_Corner]) -> _Corner:
    dx, dy = corner[0] - before[0], corner[1] - before[1]
    right = (corner[0] - dy, corner[1] + dx)
    return right if right in ends else ends[0]


def _without_straights(ring: list[_Corner]) -> list[_Corner]:
    count = len(ring)
    return [
        ring[i]
        for i in range(count)
        if (ring[i][0] - ring[i - 1][0]) * (ring[(i + 1) % count][1] - ring[i][1])
        != (ring[i][1] - ring[i - 1][1]) * (ring[(i + 1) % count][0] - ring[i][0])
    ]


def _area(ring: list[_Corner]) -> float:
    """Positive for a part, negative for a hole."""
    pairs = zip(ring, [*ring[1:], ring[0]], strict=True)
    return sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in pairs) / 2
