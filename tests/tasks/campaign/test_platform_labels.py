"""The platform's labels beside the campaign's."""

from __future__ import annotations

import pytest

from labelwright.campaigns.spec import validate_spec
from labelwright.domain import Attribute, Geometry, Label, LabelSchema
from labelwright.platforms.protocol import PlatformLabels
from labelwright.tasks.campaign.platform_labels import (
    LabelsChanged,
    added_labels,
    missing_labels,
    refuse_changed_labels,
)

SCHEMA = LabelSchema(
    (
        Label("vehicle", Geometry.BOX),
        Label("Car", Geometry.BOX, parent="vehicle", attributes=(Attribute("colour", ("red",)), Attribute("wheels"))),
    )
)


@pytest.mark.parametrize(
    ("names", "attributes", "missing", "added"),
    [
        (("vehicle", "Car"), None, [], []),
        (("VEHICLE ", "car"), None, [], []),  # as Remo spells them
        (("Car", "vehicle", "boat"), None, [], ["boat"]),
        (("vehicle",), None, ["label 'Car'"], []),
        (("vehicle", "Cars"), None, ["label 'Car'"], ["Cars"]),
        (("vehicle", "Car"), {"Car": frozenset({"colour"})}, ["attribute 'wheels' of label 'Car'"], []),
        (("vehicle", "Car"), {"Car": frozenset({"Colour", "wheels", "doors"})}, [], []),
        ((), None, ["label 'vehicle'", "label 'Car'"], []),
    ],
)
def test_what_is_missing_and_what_was_added(names, attributes, missing, added):
    remote_labels = PlatformLabels(names, attributes)
    assert missing_labels(SCHEMA, remote_labels) == missing
    assert added_labels(SCHEMA, remote_labels) == added


@pytest.mark.parametrize(
    ("there", "missing"),
    [
        (Geometry.POLYGON, []),
        (Geometry.ANY, []),  # wider than what the campaign asks for
        (Geometry.BOX, ["geometry polygon of label 'sail' (there: box)"]),
    ],
)
def test_a_geometry_that_the_platform_narrowed_is_missing(there, missing):
    schema = LabelSchema((Label("sail", Geometry.POLYGON),))
    assert missing_labels(schema, PlatformLabels(("Sail",), geometries={"Sail": there})) == missing


def test_labels_that_differ_in_case_alone_are_told_apart():
    schema = LabelSchema((Label("car"), Label("Car"), Label("bus")))
    assert missing_labels(schema, PlatformLabels(("car", "Car", "bus"))) == []
    assert missing_labels(schema, PlatformLabels(("car", "bus"))) == ["label 'Car'"]
    assert missing_labels(schema, PlatformLabels(("CAR", "bus"))) == ["label 'Car'"]
    assert added_labels(schema, PlatformLabels(("car", "Car", "CAR", "bus"))) == ["CAR"]


def spec(count: int = 2):
    document = {
        "title": "river",
        "images": {"folder": "/x"},
        "labels": [f"label-{number:02}" for number in range(count)],
        "labeler": "a@b.c",
    }
    return validate_spec(document, "test")


def test_a_deleted_label_is_refused_with_what_to_do_next():
    refuse_changed_labels(spec(), None)  # the platform does not tell
    refuse_changed_labels(spec(), PlatformLabels(("label-00", "label-01", "more")))
    with pytest.raises(LabelsChanged) as caught:
        refuse_changed_labels(spec(), PlatformLabels(("label-00", "lable-01")))
    for part in ("label 'label-01'", "'lable-01' (renamed?)", "labelwright resume 'river'"):
        assert part in str(caught.value)


def test_labels_of_a_project_that_others_use_too_are_no_rename():
    with pytest.raises(LabelsChanged) as caught:
        refuse_changed_labels(spec(), PlatformLabels(("label-00", "theirs"), shared=True))
    assert "theirs" not in str(caught.value)


def test_many_lost_labels_are_counted():
    with pytest.raises(LabelsChanged, match="and 2 more"):
        refuse_changed_labels(spec(12), PlatformLabels(()))
