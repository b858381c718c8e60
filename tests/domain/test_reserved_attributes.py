"""Attributes that platforms have for every object cannot be mistaken for those of a schema."""

import pytest

from labelwright.domain import GROUP, OCCLUDED, Attribute, InvalidSchema


@pytest.mark.parametrize("name", [OCCLUDED, GROUP, "@anything"])
def test_a_schema_cannot_have_an_attribute_that_is_reserved(name):
    with pytest.raises(InvalidSchema, match="give it another name"):
        Attribute(name)


def test_names_without_the_mark_are_free():
    assert Attribute("occluded").name == "occluded"
    assert Attribute("mail@home").name == "mail@home"
