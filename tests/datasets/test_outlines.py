"""Polygons around the pixels of a mask."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from labelwright.datasets.masks import outlines


def mask_of(*rows: str) -> np.ndarray:
    return np.array([[character == "#" for character in row] for row in rows])


def area(loop) -> float:
    return sum(x * ny - nx * y for (x, y), (nx, ny) in zip(loop, [*loop[1:], loop[0]], strict=True)) / 2


def filled_by(loops, shape) -> np.ndarray:
    """Which pixels' centres lie in one of the polygons, by counting crossings."""
    counts = np.zeros(shape, dtype=int)
    for loop in loops:
        for y in range(shape[0]):
            for x in range(shape[1]):
                crossings = 0
                for (ax, ay), (bx, by) in zip(loop, [*loop[1:], loop[0]], strict=True):
                    if (ay > y + 0.5) != (by > y + 0.5) and ax > x + 0.5 and ax == bx:
                        crossings += 1
                counts[y, x] += crossings % 2
    return counts


@pytest.mark.parametrize(
    ("mask", "polygons"),
    [
        (mask_of("...", "..."), 0),
        (mask_of("#"), 1),
        (mask_of("##.", "##."), 1),
        (mask_of("#..", ".#."), 2),  # a corner in common is none
        (mask_of("##..", "..##"), 2),
    ],
)
def test_each_part_has_a_polygon_of_its_own(mask, polygons):
    assert len(outlines(mask)) == polygons


def test_a_square_has_four_corners_in_pixels():
    (loop,) = outlines(mask_of("....", ".##.", ".##."))
    assert sorted(loop) == [(1, 1), (1, 3), (3, 1), (3, 3)]


def test_a_hole_is_cut_open():
    ring = mask_of("####", "#..#", "####")
    loops = outlines(ring)
    assert len(loops) == 2
    assert (filled_by(loops, ring.shape) == ring).all()


@settings(max_examples=150, deadline=None)
@given(arrays(bool, st.tuples(st.integers(1, 7), st.integers(1, 7))))
def test_the_polygons_cover_just_the_mask_once(mask):
    loops = outlines(mask)
    assert all(area(loop) > 0 for loop in loops)
    assert sum(area(loop) for loop in loops) == mask.sum()
    assert (filled_by(loops, mask.shape) == mask).all()
