"""Label schemas, annotations and names."""

import math

import pytest

from labelwright.domain import (
    Annotation,
    Attribute,
    Box,
    Geometry,
    InvalidSchema,
    Label,
    LabelSchema,
    Polygon,
    UnsafeName,
    WholeImage,
    safe_name,
)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "at least one"),
        ([Label("cat"), Label("cat")], "'cat' is listed twice"),
        ([Label("cat", parent="animal")], "its parent 'animal' is not in the schema"),
        ([Label("a", parent="b"), Label("b", parent="a")], "'a' is its own ancestor"),
    ],
)
def test_a_schema_that_contradicts_itself_names_the_label(labels, message):
    with pytest.raises(InvalidSchema, match=message):
        LabelSchema(tuple(labels))


def test_an_attribute_refuses_a_default_that_is_no_answer():
    with pytest.raises(InvalidSchema, match="'red' is not one of its values"):
        Attribute("colour", ("blue", "green"), "red")


def test_a_geometry_takes_its_own_shapes_only():
    box, polygon = Box(0, 0, 1, 1), Polygon(((0, 0), (1, 0), (0, 1)))
    assert Geometry.BOX.takes(box)
    assert not Geometry.BOX.takes(polygon)
    assert Geometry.IMAGE.takes(WholeImage())
    assert all(Geometry.ANY.takes(shape) for shape in (box, polygon, WholeImage()))


@pytest.mark.parametrize("confidence", [-0.1, 1.1, math.nan])
def test_a_confidence_is_a_fraction(confidence):
    with pytest.raises(ValueError, match="fraction"):
        Annotation("cat", WholeImage(), confidence)


@pytest.mark.parametrize(
    "name",
    ["../a.jpg", "a/../b.jpg", "/etc/passwd", "C:\\a.jpg", "a//b.jpg", "", ".", "a\x00b", "a\nb", "x" * 1025, "a./b"],
)
def test_a_name_that_could_escape_is_refused(name):
    with pytest.raises(UnsafeName):
        safe_name(name)


@pytest.mark.parametrize(
    ("spelling", "becomes"),
    [("a\\b.jpg", "a/b.jpg"), ("Café.jpg", "Café.jpg"), ("фото/кот.jpg", "фото/кот.jpg"), ("🐈.png", "🐈.png")],
)
def test_a_name_may_be_any_unicode_and_has_one_spelling(spelling, becomes):
    assert safe_name(spelling) == becomes
