"""Objects by their pixels."""

import pytest

from labelwright.domain import Box, Geometry, InvalidShape, Mask, Size

RING = Mask(((2, 1, 4), (3, 1, 2), (3, 3, 4), (4, 1, 4)))


def test_a_mask_has_the_area_and_the_box_of_its_pixels():
    assert RING.area == 8
    assert RING.box == Box(1, 2, 4, 5)


def test_a_mask_goes_into_numbers_and_back():
    assert RING.flat == [2, 1, 4, 3, 1, 2, 3, 3, 4, 4, 1, 4]
    assert Mask.from_flat(RING.flat) == RING


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ((), "mask is empty"),
        (((0, 3, 3),), "run of row 0 is empty, from 3 to 3"),
        (((1, 0, 2), (0, 0, 2)), "row 0 from 0 is not behind"),
        (((0, 4, 6), (0, 1, 2)), "row 0 from 1 is not behind"),
        (((0, 0, 2), (0, 2, 4)), "row 0 from 2 is not behind"),
    ],
)
def test_a_mask_that_cannot_be_says_why(runs, message):
    with pytest.raises(InvalidShape, match=message):
        Mask(runs)


def test_a_mask_is_cut_to_its_image():
    assert RING.inside(Size(4, 5))
    assert not RING.inside(Size(4, 4))
    assert RING.clamp(Size(2, 4)) == Mask(((2, 1, 2), (3, 1, 2)))
    assert Mask(((-1, 0, 3), (0, -2, 3))).clamp(Size(9, 9)) == Mask(((0, 0, 3),))
    assert RING.clamp(Size(9, 9)) is RING
    with pytest.raises(InvalidShape, match="outside the image of 1 x 1"):
        RING.clamp(Size(1, 1))


def test_a_label_that_is_outlined_may_be_a_mask():
    assert Geometry.POLYGON.takes(RING)
    assert Geometry.ANY.takes(RING)
    assert not Geometry.BOX.takes(RING)
