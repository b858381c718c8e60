"""Shapes in pixels of the image as displayed."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelwright.domain import Box, InvalidShape, Polygon, Size

numbers = st.floats(min_value=-1e6, max_value=1e6, allow_nan=False)


@pytest.mark.parametrize(
    ("corners", "message"),
    [
        ((math.nan, 0, 1, 1), "xmin is not a number"),
        ((0, 0, 1, math.nan), "ymax is not a number"),
        ((0, -math.inf, 1, 1), "ymin is infinite"),
        ((0, 0, math.inf, 1), "xmax is infinite"),
        ((5, 0, 4, 1), "inverted: xmin 5 is greater than xmax 4"),
        ((0, 9, 4, 1), "inverted: ymin 9 is greater than ymax 1"),
        ((3, 0, 3, 1), "empty: xmin and xmax are both 3"),
        ((0, 2, 3, 2), "empty: ymin and ymax are both 2"),
    ],
)
def test_a_box_that_cannot_be_says_why(corners, message):
    with pytest.raises(InvalidShape, match=message):
        Box(*corners)


def test_a_box_gives_fractions_of_the_image():
    assert Box(10, 20, 30, 40).fractions(Size(100, 200)) == (0.1, 0.1, 0.3, 0.2)


def test_a_box_that_reaches_out_is_clamped_to_the_image():
    assert Box(-5, 10, 120, 60).clamp(Size(100, 50)) == Box(0, 10, 100, 50)


def test_a_box_outside_the_image_cannot_be_clamped():
    with pytest.raises(InvalidShape, match="outside the image of 100 x 50"):
        Box(100, 0, 120, 10).clamp(Size(100, 50))


def test_a_box_may_end_on_the_edge_of_the_image():
    assert Box(0, 0, 100, 50).inside(Size(100, 50))
    assert not Box(0, 0, 100.5, 50).inside(Size(100, 50))


@given(numbers, numbers, numbers, numbers)
def test_clamping_twice_changes_nothing_more(a, b, c, d):
    size = Size(640, 480)
    try:
        once = Box(a, b, c, d).clamp(size)
    except InvalidShape:
        return
    assert once.inside(size)
    assert once.clamp(size) == once


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([(0, 0), (10, 10)], "needs 3"),
        ([(0, 0), (10, 10), (0, 0)], "needs 3"),
        ([(0, 0), (10, math.nan), (5, 5)], "corner 2 is not a number"),
        ([(0, 0), (10, 0), (math.inf, 5)], "corner 3 is infinite"),
        ([(0, 0), (5, 0), (10, 0)], "empty: all its corners are on one line"),
        ([(0, 0), (0, 0), (10, 0), (5, 5)], "corners 1 and 2"),
        ([(0, 0), (10, 10), (10, 0), (0, 10)], "crosses itself: the edges after corners 1 and 3 meet"),
        ([(0, 0), (10, 0), (10, 10), (5, 0), (0, 10)], "crosses itself"),
        ([(0, 0), (10, 0), (4, 0), (5, 5)], "crosses itself"),
    ],
)
def test_a_polygon_that_cannot_be_says_why(points, message):
    with pytest.raises(InvalidShape, match=message):
        Polygon(tuple(points))


def test_a_ring_that_repeats_its_first_corner_is_the_same_polygon():
    assert Polygon(((0, 0), (4, 0), (4, 3), (0, 0))) == Polygon(((0, 0), (4, 0), (4, 3)))


def test_a_concave_polygon_is_fine_and_has_the_shoelace_area():
    arrow = Polygon(((0, 0), (10, 5), (0, 10), (3, 5)))
    assert arrow.area == 35
    assert arrow.box == Box(0, 0, 10, 10)


def test_the_one_crossing_of_a_long_outline_is_found_quickly():
    outline = [(math.cos(t) * 500, math.sin(t) * 500) for t in (i * math.tau / 4000 for i in range(4000))]
    assert Polygon(tuple(outline)).area == pytest.approx(math.pi * 500**2, rel=1e-4)
    outline[1000], outline[1001] = outline[1001], outline[1000]
    with pytest.raises(InvalidShape, match="crosses itself"):
        Polygon(tuple(outline))


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=3, max_size=7, unique=True))
def test_the_sweep_finds_the_same_crossings_as_comparing_all_pairs(points):
    def refused() -> bool:
        try:
            Polygon(tuple(points))
        except InvalidShape as error:
            return "crosses" in str(error) or "line" in str(error)
        return False

    assert refused() == _some_edges_meet(points)


def _some_edges_meet(points) -> bool:
    """Slow and plain: parametric intersection of all pairs of edges, in whole numbers."""
    n = len(points)
    edges = [(points[i], points[(i + 1) % n]) for i in range(n)]

    def cross(o, a, b):
        return (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0])

    def on(p, a, b):
        return (
            cross(a, b, p) == 0
            and min(a[0], b[0]) <= p[0] <= max(a[0], b[0])
            and min(a[1], b[1]) <= p[1] <= max(a[1], b[1])
        )

    for i in range(n):
        for j in range(i + 1, n):
            (a, b), (c, d) = edges[i], edges[j]
            shared = {a, b} & {c, d}
            if shared:
                if any(on(p, a, b) for p in (c, d) if p not in shared) or any(
                    on(p, c, d) for p in (a, b) if p not in shared
                ):
                    return True
                continue
            signs = cross(a, b, c) * cross(a, b, d), cross(c, d, a) * cross(c, d, b)
            if signs[0] < 0 and signs[1] < 0:
                return True
            if on(c, a, b) or on(d, a, b) or on(a, c, d) or on(b, c, d):
                return True
    return False
