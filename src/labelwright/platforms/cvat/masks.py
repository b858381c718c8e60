"""Converts between CVAT's run-length masks and polygons or masks of the domain.

A mask's points are run lengths (the first run is of unset pixels), then left, top, right and bottom of its box, all
inclusive. Pixel (x, y) is the square from (x, y) to (x + 1, y + 1).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from labelwright.domain import InvalidShape, Mask, Polygon
from labelwright.domain.geometry import NO_AREA

_Corner = tuple[int, int]

_MOST_PIXELS = 1 << 28
"""Limit of a mask's box: more pixels than any image that a browser shows. CVAT does not validate the numbers."""


def mask_to_shape(points: Sequence[float]) -> Polygon | Mask:
    """Returns the polygon that covers exactly the mask's pixels, or a mask when one polygon cannot.

    Several parts, holes and parts that touch at a corner need a mask. A polygon is preferred, since every dataset
    format has polygons. Raises InvalidShape for invalid and empty masks.
    """
    bits, left, top = points_to_bits(points)
    if not bits.any():
        raise InvalidShape("the mask is empty", NO_AREA)
    rings = _rings(bits)
    if len(rings) == 1:
        with suppress(InvalidShape):  # the outline touches itself at a corner
            return Polygon(tuple((float(x + left), float(y + top)) for x, y in rings[0]))
    edges = np.diff(np.pad(bits, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    (rows, starts), (_, ends) = np.nonzero(edges == 1), np.nonzero(edges == -1)
    return Mask(tuple(zip((rows + top).tolist(), (starts + left).tolist(), (ends + left).tolist(), strict=True)))


def mask_to_points(mask: Mask) -> list[int]:
    """Returns a mask's points in CVAT's format."""
    box = mask.box
    left, top, right, bottom = map(int, box.corners)
    bits = np.zeros((bottom - top, right - left), dtype=bool)
    for y, start, end in mask.runs:
        bits[y - top, start - left : end - left] = True
    flat = bits.reshape(-1)
    borders = np.flatnonzero(np.diff(flat.astype(np.int8), prepend=0))
    return [*np.diff(np.r_[0, borders, flat.size]).tolist(), left, top, right - 1, bottom - 1]


def points_to_bits(points: Sequence[float]) -> tuple[np.ndarray, int, int]:
    """Returns the pixels of the mask's box (rows from the top), and the box's left and top. Raises InvalidShape."""
    if len(points) < 5:
        raise InvalidShape(f"a mask of {len(points)} numbers")
    *runs, left, top, right, bottom = (int(value) for value in points)
    width, height = right - left + 1, bottom - top + 1
    if width < 1 or height < 1 or min(runs) < 0 or sum(runs) > width * height:
        raise InvalidShape("a mask whose runs do not fit into its box")
    if width * height > _MOST_PIXELS:
        raise InvalidShape(f"a mask in a box of {width} x {height} pixels")
    flat = np.zeros(width * height, dtype=bool)
    values = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    flat[: len(values)] = values
    return flat.reshape(height, width), left, top


def _rings(bits: np.ndarray) -> list[list[_Corner]]:
    """The closed outlines of the set pixels: clockwise (as displayed) around a part, the other way around a hole."""
    padded = np.pad(bits, 1)
    following: dict[_Corner, list[_Corner]] = defaultdict(list)
    inside = padded[1:-1, 1:-1]
    for outside, start, end in (
        (padded[:-2, 1:-1], (0, 0), (1, 0)),  # top edges run to the right
        (padded[1:-1, 2:], (1, 0), (1, 1)),  # right edges run down
        (padded[2:, 1:-1], (1, 1), (0, 1)),  # bottom edges run to the left
        (padded[1:-1, :-2], (0, 1), (0, 0)),  # left edges run up
    ):
        for y, x in np.argwhere(inside & ~outside).tolist():
            following[x + start[0], y + start[1]].append((x + end[0], y + end[1]))
    rings = []
    while following:
        first = next(iter(following))
        ring, before, corner = [first], None, first
        while True:
            ends = following[corner]
            # Where two pixels touch at a corner the line stays at its own pixel: it turns right.
            next_corner = ends[0] if len(ends) == 1 or before is None else _to_the_right(before, corner, ends)
            ends.remove(next_corner)
            if not ends:
                del following[corner]
            before, corner = corner, next_corner
            if corner == first:
                break
            ring.append(corner)
        rings.append(_without_collinear_points(ring))
    return rings


def _to_the_right(before: _Corner, corner: _Corner, ends: list[_Corner]) -> _Corner:
    dx, dy = corner[0] - before[0], corner[1] - before[1]
    right = (corner[0] - dy, corner[1] + dx)
    return right if right in ends else ends[0]


def _without_collinear_points(ring: list[_Corner]) -> list[_Corner]:
    count = len(ring)
    return [
        ring[i]
        for i in range(count)
        if (ring[i][0] - ring[i - 1][0]) * (ring[(i + 1) % count][1] - ring[i][1])
        != (ring[i][1] - ring[i - 1][1]) * (ring[(i + 1) % count][0] - ring[i][0])
    ]
