"""Shapes cut at the edges of their image: by geometry, exactly inside, one object however many parts are left."""

from __future__ import annotations

import math

import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st

from labelwright.domain import Box, InvalidShape, MultiPolygon, Polygon, Size
from labelwright.domain.geometry import OUTSIDE, ellipse, rotated
from labelwright.domain.planar import clip_ring

SIZE = Size(700, 400)
U_BEYOND_THE_RIGHT_EDGE = [
    (600, 100),
    (900, 100),
    (900, 300),
    (600, 300),
    (600, 250),
    (800, 250),
    (800, 150),
    (600, 150),
]


def polygon(*flat: float) -> Polygon:
    return Polygon(tuple(zip(flat[::2], flat[1::2], strict=True)))


def areas(shape: Polygon, size: Size) -> tuple[float, float]:
    """Area after clipping, 0 when nothing is left, and the area of shapely's intersection."""
    expected = shapely.Polygon(shape.points).intersection(shapely.box(0, 0, size.width, size.height)).area
    try:
        clipped = shape.clamp(size)
    except InvalidShape as fault:
        return (0.0 if fault.reason == OUTSIDE else math.nan), expected
    assert clipped.inside(size)
    assert clipped.clamp(size) is clipped
    return clipped.area, expected


def test_a_concave_polygon_keeps_its_shape_inside_the_image():
    clipped = polygon(600, 100, 900, 100, 900, 300, 650, 200, 600, 300).clamp(SIZE)
    assert clipped == polygon(600, 100, 700, 100, 700, 220, 650, 200, 600, 300)
    assert clipped.area == 13_000


def test_a_corner_on_the_edge_of_the_image_is_no_crossing():
    clipped = polygon(600, 100, 760, 100, 760, 200, 700, 150, 600, 200).clamp(SIZE)
    assert clipped == polygon(600, 100, 700, 100, 700, 150, 600, 200)


def test_a_polygon_cut_in_two_stays_one_object():
    clipped = Polygon(tuple(U_BEYOND_THE_RIGHT_EDGE)).clamp(SIZE)
    assert isinstance(clipped, MultiPolygon)
    assert [part.box.corners for part in clipped.parts] == [(600, 100, 700, 150), (600, 250, 700, 300)]
    assert clipped.area == 10_000
    assert clipped.box == Box(600, 100, 700, 300)


def test_parts_that_touch_in_one_point_stay_apart():
    clipped = polygon(600, 100, 800, 100, 800, 300, 600, 300, 700, 200).clamp(SIZE)
    assert isinstance(clipped, MultiPolygon)
    assert [part.area for part in clipped.parts] == [5_000, 5_000]


def test_an_object_of_parts_is_clipped_part_by_part():
    both = MultiPolygon((polygon(-50, 0, 50, 0, 50, 100, -50, 100), polygon(650, 0, 750, 0, 750, 100, 650, 100)))
    assert both.clamp(SIZE).area == 10_000
    shape = MultiPolygon((polygon(-50, 0, 50, 0, 50, 100, -50, 100), polygon(800, 0, 850, 0, 850, 100)))
    assert shape.clamp(SIZE) == polygon(50, 0, 50, 100, 0, 100, 0, 0)


@pytest.mark.parametrize(
    "shape",
    [
        polygon(700, 0, 800, 0, 800, 50, 700, 50),  # touches the image along a line
        polygon(700, 400, 800, 400, 800, 500),  # touches it in its corner
        polygon(700, 200, 800, 100, 800, 300),  # touches it in a point
        polygon(-20, -20, -10, -20, -10, -10),
    ],
)
def test_nothing_is_left_of_a_polygon_that_only_touches_the_image(shape):
    with pytest.raises(InvalidShape, match="outside the image of 700 x 400") as refused:
        shape.clamp(SIZE)
    assert refused.value.reason == OUTSIDE


def test_a_polygon_around_the_image_becomes_the_image():
    clipped = polygon(-9, -9, 2000, -9, 2000, 2000, -9, 2000).clamp(SIZE)
    assert clipped.area == 700 * 400
    assert len(clipped.points) == 4


def test_rotated_boxes_and_ellipses_are_clipped_like_any_polygon():
    turned = rotated(Box(600, 150, 800, 250), 30)
    assert areas(turned, SIZE) == (pytest.approx(turned.area / 2), pytest.approx(turned.area / 2))
    half = ellipse((700, 200), 50, 30, 40)
    assert areas(half, SIZE)[0] == pytest.approx(half.area / 2)


def test_an_ellipse_has_its_area_its_box_and_its_rotation():
    flat = ellipse((100, 80), 60, 20)
    assert flat.area == pytest.approx(math.pi * 60 * 20, rel=0.01)
    assert flat.box.corners == pytest.approx((40, 60, 160, 100))
    turned = ellipse((100, 80), 60, 20, 30)
    assert turned.area == pytest.approx(flat.area)
    tip = (100 + 60 * math.cos(math.radians(30)), 80 + 60 * math.sin(math.radians(30)))
    assert min(math.dist(tip, corner) for corner in turned.points) < 1e-9, "clockwise as displayed, y points down"
    with pytest.raises(InvalidShape, match="ellipse is empty"):
        ellipse((0, 0), 0, 5)


def test_a_corner_farther_away_than_doubles_can_tell_is_refused():
    with pytest.raises(InvalidShape, match="corner 2 is more than 1e"):
        polygon(0, 0, 1e300, 0, 0, 1e300).clamp(SIZE)


def test_a_long_ring_that_crosses_itself_is_refused_quickly():
    ring = [
        (
            350 + (300 + 100 * math.sin(i)) * math.cos(i / 318.3),
            200 + (250 + 60 * math.sin(1.7 * i)) * math.sin(i / 318.3),
        )
        for i in range(2000)
    ]
    with pytest.raises(ValueError, match="polygon of 2000 corners crosses itself"):
        clip_ring(ring, 700, 400)


def star(radii: list[float], middle: tuple[float, float], turn: float) -> Polygon:
    """A polygon around a point; most are concave."""
    angles = [turn + 2 * math.pi * number / len(radii) for number in range(len(radii))]
    x, y = middle
    return Polygon(
        tuple((x + radius * math.cos(at), y + radius * math.sin(at)) for radius, at in zip(radii, angles, strict=True))
    )


def comb(teeth: list[tuple[float, float]], turn: float, middle: tuple[float, float]) -> Polygon:
    """A polygon with a tooth up for each pair of width and length: cut across, it falls into as many parts."""
    corners, x = [(0.0, 0.0)], 0.0
    for width, length in teeth:
        corners += [(x, length), (x + width, length), (x + width, 1.0), (x + width + 1, 1.0)]
        x += width + 1
    corners += [(x, 0.0)]
    c, s = math.cos(turn), math.sin(turn)
    return Polygon(tuple((middle[0] + px * c - py * s, middle[1] + px * s + py * c) for px, py in corners))


sizes = st.builds(Size, st.integers(1, 900), st.integers(1, 900))
places = st.tuples(st.floats(-300, 1200), st.floats(-300, 1200)) | st.tuples(
    st.integers(-9, 9).map(float), st.integers(-9, 9).map(float)
)
turns = st.floats(0, 7) | st.sampled_from([0.0, math.pi / 4, math.pi / 2])
stars = st.builds(star, st.lists(st.floats(0.5, 700), min_size=3, max_size=40), places, turns)
combs = st.builds(
    comb, st.lists(st.tuples(st.floats(0.5, 60), st.floats(2, 500)), min_size=1, max_size=9), turns, places
)


@given(stars | combs, sizes)
@settings(max_examples=400)
@example(Polygon(tuple(U_BEYOND_THE_RIGHT_EDGE)), SIZE)
def test_the_area_after_clipping_is_that_of_the_intersection(shape, size):
    clipped, expected = areas(shape, size)
    assert clipped == pytest.approx(expected, abs=1e-6)


@given(st.lists(st.tuples(st.integers(-2, 8), st.integers(-2, 8)), min_size=3, max_size=12, unique=True))
@settings(max_examples=400)
def test_shapes_on_the_image_border_are_clipped_exactly(corners):
    try:
        shape = Polygon(tuple(corners))
    except InvalidShape:
        return
    clipped, expected = areas(shape, Size(6, 5))
    assert clipped == pytest.approx(expected, abs=1e-9)
