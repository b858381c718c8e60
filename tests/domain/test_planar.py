"""The check for rings that cross or touch themselves, against one that compares every pair of edges."""

import math
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelwright.domain import InvalidShape, Polygon, planar
from labelwright.domain.planar import meeting_edges

COORDINATE = st.integers(0, 6) | st.sampled_from([0.1, 0.2, 0.3, 1 / 3, 2.5, 1e-9, 1e9])


def turn(a, b, c):
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def between(p, a, b):
    return min(a[0], b[0]) <= p[0] <= max(a[0], b[0]) and min(a[1], b[1]) <= p[1] <= max(a[1], b[1])


def detect_api_version(points, i, j):
    """Whether edges i < j share a point that is not a corner of both, by exact arithmetic on integers."""
    count = len(points)
    a, b = points[i], points[(i + 1) % count]
    c, d = points[j], points[(j + 1) % count]
    if j == i + 1:
        return turn(a, b, d) == 0 and (a[0] - b[0]) * (d[0] - b[0]) + (a[1] - b[1]) * (d[1] - b[1]) > 0
    if i == 0 and j == count - 1:
        return turn(c, a, b) == 0 and (c[0] - a[0]) * (b[0] - a[0]) + (c[1] - a[1]) * (b[1] - a[1]) > 0
    t1, t2, t3, t4 = turn(a, b, c), turn(a, b, d), turn(c, d, a), turn(c, d, b)
    if 0 not in (t1, t2, t3, t4) and (t1 > 0) != (t2 > 0) and (t3 > 0) != (t4 > 0):
        return True
    return any(
        side == 0 and between(p, q, r) for side, p, q, r in ((t1, c, a, b), (t2, d, a, b), (t3, a, c, d), (t4, b, c, d))
    )


def rings(coordinate):
    corners = st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=10)
    return corners.filter(lambda ring: all(a != b for a, b in zip(ring, [*ring[1:], ring[0]], strict=True)))


def check_against_every_pair(ring, exact):
    count = len(ring)
    expected = {(i, j) for i in range(count) for j in range(i + 1, count) if detect_api_version(exact, i, j)}
    crossings = meeting_edges(ring)
    assert (crossings is None) == (not expected)
    assert crossings is None or crossings in expected


@given(ring=rings(st.integers(0, 5)))
@settings(max_examples=600)
def test_finds_what_a_comparison_of_all_pairs_finds(ring):
    check_against_every_pair(ring, ring)


@given(ring=rings(COORDINATE))
@settings(max_examples=300)
def test_the_sweep_alone_is_exact_for_any_numbers(ring):
    from fractions import Fraction

    exact = [(Fraction(x), Fraction(y)) for x, y in ring]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planar, "PAIRS_FOR_GEOS", -1)
        check_against_every_pair(ring, exact)


def circle(count):
    angles = [2 * math.pi * number / count for number in range(count)]
    return [(5000 + 4000 * math.cos(angle), 5000 + 4000 * math.sin(angle)) for angle in angles]


def upright_comb(count):
    return [(x, 9000 if x % 2 else 0) for x in range(count - 2)] + [(count - 3, 10_000), (0, 10_000)]


def flat_comb(count):
    return [(y, x) for x, y in upright_comb(count)]


def slanted_comb(count):
    """The bounding boxes of all edges overlap."""
    teeth = [(x + (9000 if x % 2 else 0), 9000 if x % 2 else 0) for x in range(count - 2)]
    return [*teeth, (30_000, 20_000), (-1, 20_000)]


def star(count):
    """Both halves of the bounding boxes overlap, whichever way one turns them."""
    ring = []
    for number in range(count):
        radius, angle = (5000 if number % 2 else 5), 2 * math.pi * number / count
        ring.append((5000 + radius * math.cos(angle), 5000 + radius * math.sin(angle)))
    return ring


SHAPES = [circle, upright_comb, flat_comb, slanted_comb, star]


@pytest.mark.parametrize("shape", SHAPES)
def test_ten_thousand_corners_take_a_bounded_number_of_steps(shape):
    """Lines of Python run, and pairs of edges that GEOS compares: both would be fifty million for a comparison of
    all pairs."""
    ring, lines = shape(10_000), 0

    def count(frame, event, _argument):
        nonlocal lines
        lines += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        assert meeting_edges(ring) is None
    finally:
        sys.settrace(before)
    assert lines < 4_000_000
    assert planar.PAIRS_FOR_GEOS <= 2_000_000


@pytest.mark.parametrize("shape", SHAPES)
def test_a_crossing_among_ten_thousand_corners_is_named(shape):
    ring = shape(10_000)
    ring[4000], ring[4003] = ring[4003], ring[4000]
    i, j = meeting_edges(ring)
    assert detect_api_version(ring, i, j)
    with pytest.raises(InvalidShape, match=rf"the edges after corners {i + 1} and {j + 1} meet"):
        Polygon(tuple(ring))


@pytest.mark.parametrize("size", [1e-300, 1e-140, 1e140])
def test_exact_arithmetic_is_no_way_to_keep_the_check_busy(size):
    """Fractions took four seconds for 10,000 corners whose products underflow; integers take a bounded number of steps
    of Python."""
    ring, lines = [(x * size, y * size) for x, y in star(3000)], 0

    def count(frame, event, _argument):
        nonlocal lines
        lines += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        assert meeting_edges(ring) is None
    finally:
        sys.settrace(before)
    assert lines < 1_500_000  # Fractions: more than five million


THIN = st.sampled_from([0.0, 5e-324, 1e-310, 1e-300, 1e-16, 0.1, 1 / 3, 1.0, 1 + 2**-52, 1e15, 1e99, 1e120, 1e300])


@given(ring=rings(THIN))
@settings(max_examples=300)
def test_the_sweep_is_exact_where_slopes_overflow_or_underflow(ring):
    from fractions import Fraction

    exact = [(Fraction(x), Fraction(y)) for x, y in ring]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planar, "PAIRS_FOR_GEOS", -1)
        check_against_every_pair(ring, exact)
