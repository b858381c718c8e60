"""Regions of Label Studio become annotations, and annotations become regions."""

from __future__ import annotations

from typing import Any

import pytest

from labelwright.domain import (
    Annotation,
    Attribute,
    Box,
    Geometry,
    InvalidShape,
    Label,
    LabelSchema,
    Mask,
    Origin,
    Polygon,
    Provenance,
    Size,
    WholeImage,
)
from labelwright.platforms.errors import PlatformRefused
from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.label_studio import brush
from labelwright.platforms.label_studio.annotations import Reader, size_in, to_result
from labelwright.platforms.label_studio.label_config import check_labels, label_config, read_config
from labelwright.platforms.shape_notices import ShapeNotices

SIZE = Size(40, 30)
SCHEMA = LabelSchema(
    (
        Label("boat", Geometry.BOX, attributes=(Attribute("colour", ("red", "blue")), Attribute("name"))),
        Label('Söhne & "x" <y>', Geometry.ANY, color="#e69f00"),
        Label("shore", Geometry.POLYGON),
        Label("night", Geometry.IMAGE, attributes=(Attribute("moon", ("full", "half")),)),
    )
)
CONFIG = read_config(label_config(SCHEMA, masks=True))
FROM_SDK = [0, 0, 18, 192, 57, 27, 255, 1, 239, 0, 194, 127, 250, 44, 3, 11, 255, 240, 159, 240, 12, 159, 255, 147, 192]
FROM_SDK += [50, 127, 254, 79, 0, 201, 255, 249, 60, 3, 39, 255, 228, 240, 12, 159, 255, 192, 209, 192, 0]
"""What label_studio_sdk 2 encodes of MASK in an image of SIZE."""
MASK = Mask(((3, 4, 9), (4, 4, 10), *((y, 10, 30) for y in range(20, 25))))


def read(result: list[dict[str, Any]], size: Size = SIZE) -> tuple[tuple[Annotation, ...], ShapeNotices]:
    notices = ShapeNotices()
    regions = [Fields("label_studio", "read", region, f"region {number}") for number, region in enumerate(result, 1)]
    return Reader(CONFIG, "a.jpg", size, notices).read(regions, Provenance("ann@example.com")), notices


def rectangle(**value: Any) -> dict[str, Any]:
    defaults = {"x": 25, "y": 50, "width": 25, "height": 20, "rotation": 0, "rectanglelabels": ["boat"]}
    return {"id": "r", "type": "rectanglelabels", "from_name": "box", "to_name": "image", "value": defaults | value}


ANNOTATIONS = [
    Annotation("boat", Box(1, 2.5, 11, 12), attributes={"colour": "red", "name": "Anna\nMaria"}),
    Annotation('Söhne & "x" <y>', Polygon(((1, 1), (9, 1), (5, 8)))),
    Annotation("shore", MASK),
    Annotation("night", WholeImage(), attributes={"moon": "half"}),
    Annotation('Söhne & "x" <y>', WholeImage()),
]


def test_annotations_survive_the_way_there_and_back() -> None:
    annotations, notices = read(to_result(ANNOTATIONS, SIZE, CONFIG))
    assert list(annotations) == ANNOTATIONS
    assert notices.left_out == []
    assert {annotation.labeler for annotation in annotations} == {"ann@example.com"}


def test_masks_are_those_of_the_vendors_sdk() -> None:
    assert brush.decode(FROM_SDK, SIZE) == MASK
    assert brush.decode(brush.encode(MASK, SIZE), SIZE) == MASK


@pytest.mark.parametrize("rle", [[], [0, 0, 18], FROM_SDK[:20], ["a"], [300], [0, 0, 0, 4, 57, 27, 255, 1]])
def test_a_mask_that_cannot_be_decoded_is_no_shape(rle: list[Any]) -> None:
    with pytest.raises(InvalidShape):
        brush.decode(rle, SIZE)


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        ({}, Box(10, 15, 20, 21)),
        ({"rotation": 360}, Box(10, 15, 20, 21)),
        ({"rotation": 90}, Polygon(((10, 15), (10, 25), (4, 25), (4, 15)))),
    ],
)
def test_a_rectangle_turns_around_its_top_left_corner(value: dict[str, Any], shape: Box | Polygon) -> None:
    (annotation,), _ = read([rectangle(**value)])
    assert annotation.shape == shape


@pytest.mark.parametrize(
    ("region", "reason"),
    [
        (rectangle(rectanglelabels=[]), "no label"),
        (rectangle(width=-5, height=0), "no area"),
        (rectangle(x=120), "outside its image"),
        (rectangle(width="wide"), "malformed"),
        (rectangle(width=0, rotation=10), "malformed"),
        ({"id": "e", "type": "ellipselabels", "value": {"ellipselabels": ["boat"]}}, "ellipselabels"),
        ({"type": "relation", "from_id": "a", "to_id": "b"}, "relation"),
        (
            {
                "id": "p",
                "type": "polygonlabels",
                "value": {"points": [[0, 0]], "closed": False, "polygonlabels": ["s"]},
            },
            "not closed",
        ),
    ],
)
def test_a_region_that_is_no_shape_is_left_out_with_its_reason(region: dict[str, Any], reason: str) -> None:
    annotations, notices = read([region, {**rectangle(), "id": "good"}])
    assert [annotation.shape for annotation in annotations] == [Box(10, 15, 20, 21)]
    assert [notice.reason for notice in notices.left_out] == [reason]


def test_a_region_with_two_labels_becomes_two_annotations() -> None:
    annotations, _ = read([rectangle(rectanglelabels=["boat", 'Söhne & "x" <y>'])])
    assert [annotation.label for annotation in annotations] == ["boat", 'Söhne & "x" <y>']


@pytest.mark.parametrize(
    ("fields", "origin", "confidence"),
    [
        ({"origin": "manual"}, Origin.PERSON, 1.0),
        ({"origin": "prediction", "score": 0.8}, Origin.PREDICTION, 0.8),
        ({"origin": "prediction-changed", "score": 0.8}, Origin.CORRECTED, 1.0),
        ({}, None, 1.0),
    ],
)
def test_the_origin_of_a_region_is_kept(fields: dict[str, Any], origin: Origin | None, confidence: float) -> None:
    (annotation,), _ = read([{**rectangle(), **fields}])
    assert (annotation.origin, annotation.confidence) == (origin, confidence)


def test_the_size_is_that_of_the_image_as_displayed() -> None:
    sizes = [{"original_width": 300, "original_height": 400}, {}]
    assert size_in([{**rectangle(), **fields} for fields in reversed(sizes)]) == Size(300, 400)
    assert size_in([rectangle(), {**rectangle(), "original_width": 0, "original_height": 4}]) is None


def test_the_configuration_tells_the_schema() -> None:
    assert CONFIG.names == ("boat", 'Söhne & "x" <y>', "shore", "night")
    assert [CONFIG.geometry(label.name) for label in SCHEMA] == [label.geometry for label in SCHEMA]
    assert CONFIG.attributes("boat") == {"colour", "name"}
    assert CONFIG.attributes("night") == {"moon"}


def test_controls_keep_their_names_when_labels_are_added() -> None:
    more = LabelSchema((Label("first", attributes=(Attribute("name"),)), *SCHEMA))
    assert CONFIG.controls.items() <= read_config(label_config(more, masks=True)).controls.items()


@pytest.mark.parametrize("text", ["<View><Image", "<!DOCTYPE x [<!ENTITY a 'b'>]><View>&a;</View>"])
def test_a_configuration_that_is_no_plain_xml_is_refused(text: str) -> None:
    with pytest.raises(PlatformRefused):
        read_config(text)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (Label("$price"), "field of the data"),
        (Label("boat", attributes=(Attribute("price", ("$1",)),)), "field of the data"),
        (Label("a, b", attributes=(Attribute("colour"),)), "comma"),
        (Label("boat", Geometry.ANY, attributes=(Attribute("colour"),)), "one geometry"),
    ],
)
def test_labels_that_xml_cannot_hold_are_refused(label: Label, message: str) -> None:
    with pytest.raises(PlatformRefused) as caught:
        check_labels(LabelSchema((label,)), {})
    assert message in f"{caught.value.message} {caught.value.advice}"
