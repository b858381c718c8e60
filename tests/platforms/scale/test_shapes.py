"""Conversion of labels to Scale's task parameters, and of Scale's responses to labels."""

from __future__ import annotations

from math import cos, dist, pi, sin
from typing import Any

import pytest

from labelwright.domain import Attribute, Box, Geometry, Label, LabelSchema, Polygon, Size, WholeImage
from labelwright.platforms.errors import PlatformRefused
from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.protocol import CampaignOrder
from labelwright.platforms.scale.models import Counts, counts_from, failed_from, image_name, labeled_from
from labelwright.platforms.scale.order import Shapes, order_from, order_in
from labelwright.platforms.shape_notices import ShapeNotices

METADATA = {"file": "sub/a.jpg", "campaign": "river", "width": 100, "height": 80}


def asked(*labels: Label, shapes: Shapes | None = None, rapid: bool = False, instructions: str = "Box it.") -> Any:
    order = CampaignOrder("river", LabelSchema(labels), "x@example.com", instructions)
    return order_from(order, "p", shapes or Shapes(), rapid=rapid)


def completed(*annotations: dict[str, Any], **more: Any) -> Fields:
    task = {"task_id": "1", "status": "completed", "metadata": METADATA, "response": {"annotations": list(annotations)}}
    return Fields("scale", "read labels", task | more)


def shapes_of(*annotations: dict[str, Any], **more: Any) -> list[Any]:
    return [
        annotation.shape
        for annotation in labeled_from(completed(*annotations, **more), "sub/a.jpg", _never, ShapeNotices()).annotations
    ]


def _never(url: str) -> Any:
    raise AssertionError(f"{url} was asked for")


def a_box(**more: Any) -> dict[str, Any]:
    return {"type": "box", "label": "boat", "left": 10, "top": 20.5, "width": 30, "height": 40} | more


def a_polygon(*points: tuple[float, float]) -> dict[str, Any]:
    return {"type": "polygon", "label": "boat", "vertices": [{"x": x, "y": y} for x, y in points]}


# What is asked


def an_ellipse(*corners: tuple[float, float]) -> dict[str, Any]:
    return a_polygon(*corners) | {"type": "ellipse"}


def test_labels_are_asked_for_by_their_geometry() -> None:
    order = asked(Label("boat"), Label("shore", Geometry.POLYGON), Label("buoy", Geometry.ANY))
    assert order.type == "imageannotation"
    assert order.body == {
        "attachment_type": "image",
        "instruction": "Box it.",
        "geometries": {
            "box": {"objects_to_annotate": ["boat", "buoy"]},
            "polygon": {"objects_to_annotate": ["shore", "buoy"]},
        },
    }


def test_labels_of_whole_images_are_categories() -> None:
    labels = Label("sea", Geometry.IMAGE), Label("river", Geometry.IMAGE)
    order = asked(*labels)
    assert (order.type, order.body["categories"]) == ("categorization", ["sea", "river"])
    assert "geometries" not in order.body
    assert asked(*labels, shapes=Shapes(several_categories=True)).body["allow_multiple"] is True
    with pytest.raises(PlatformRefused, match="two types of task"):
        asked(Label("sea", Geometry.IMAGE), Label("boat"))


def test_labels_below_others_are_nested() -> None:
    order = asked(Label("vehicle"), Label("car", parent="vehicle"), Label("van", parent="car"), Label("dog"))
    vehicle = {"choice": "vehicle", "subchoices": [{"choice": "car", "subchoices": ["van"]}]}
    assert order.body["geometries"]["box"]["objects_to_annotate"] == [vehicle, "dog"]


def test_attributes_are_asked_of_the_labels_that_have_them() -> None:
    wet, name = Attribute("wet", ("yes", "no")), Attribute("name")
    order = asked(Label("boat", attributes=(wet, name)), Label("dog", attributes=(wet,)))
    assert order.body["annotation_attributes"] == {
        "wet": {"description": "wet", "type": "category", "choices": ["yes", "no"]},
        "name": {"description": "name", "type": "text", "conditions": {"label_condition": {"label": ["boat"]}}},
    }


def test_shapes_are_restricted_as_the_options_say() -> None:
    shapes = Shapes(rotated_boxes=True, smallest=5, most_corners=50)
    geometries = asked(Label("boat", Geometry.ANY), shapes=shapes).body["geometries"]
    assert geometries["box"] == {"objects_to_annotate": ["boat"], "can_rotate": True, "min_width": 5, "min_height": 5}
    assert geometries["polygon"] == {"objects_to_annotate": ["boat"], "min_vertices": 3, "max_vertices": 50}


def test_rapid_keeps_its_instructions_in_the_project() -> None:
    assert "instruction" not in asked(Label("boat"), rapid=True).body
    assert "instruction" not in asked(Label("boat"), instructions="").body


def test_an_order_is_read_back_from_a_batchs_metadata_as_it_was() -> None:
    order = asked(Label("лодка", Geometry.ANY), Label("boat"))
    assert order_in({"labelwright": order.as_text(), "river": "Maas"}) == order
    for other in (None, {}, {"labelwright": "no JSON"}, {"labelwright": "{}"}, {"labelwright": 3}, "x"):
        assert order_in(other) is None


# What is answered


def test_counts_that_are_zero_are_left_out() -> None:
    assert counts_from(Fields("scale", "", {"status": "in_progress"})) == Counts("in_progress", 0, 0, 0, 0)
    payload = {"status": "completed", "pending": 3, "completed": 20, "canceled": 1, "error": 5}
    assert counts_from(Fields("scale", "", payload)) == Counts("completed", 3, 20, 5, 1)
    with pytest.raises(PlatformRefused, match="is 'paused', expected one of completed, in_progress, staging"):
        counts_from(Fields("scale", "", {"status": "paused"}))


def test_boxes_and_polygons_come_back_in_pixels() -> None:
    assert shapes_of(a_box(), a_polygon((1, 1), (9, 1), (5, 8.5))) == [
        Box(10, 20.5, 40, 60.5),
        Polygon(((1, 1), (9, 1), (5, 8.5))),
    ]


def test_polygon_direction_and_closing_point_do_not_matter() -> None:
    points = ((1, 1), (9, 1), (5, 8))
    assert shapes_of(a_polygon(*points, points[0])) == [Polygon(points)]
    assert shapes_of(a_polygon(*points[::-1])) == [Polygon(points[::-1])]


def test_a_box_that_was_turned_is_a_polygon_around_its_centre() -> None:
    (quarter,) = shapes_of(a_box(left=40, top=30, width=20, height=10, rotation=pi / 2))
    assert sorted((round(x, 6), round(y, 6)) for x, y in quarter.points) == [(45, 25), (45, 45), (55, 25), (55, 45)]
    (shape,) = shapes_of(a_box(left=40, top=30, width=20, height=10, rotation=0.3))
    # Clockwise on the screen: the right edge's middle moves down.
    right = [(a + b) / 2 for a, b in zip(shape.points[1], shape.points[2], strict=True)]
    assert right == pytest.approx([50 + 10 * cos(0.3), 35 + 10 * sin(0.3)])


def test_vertices_of_a_rotated_box_are_used() -> None:
    corners = [{"x": 45, "y": 25}, {"x": 55, "y": 25}, {"x": 55, "y": 45}, {"x": 45, "y": 45}]
    (shape,) = shapes_of(a_box(rotation=1.5707, vertices=corners))
    assert shape == Polygon(((45, 25), (55, 25), (55, 45), (45, 45)))
    assert shapes_of(a_box(rotation=0, vertices=corners)) == [Box(10, 20.5, 40, 60.5)]


def test_what_reaches_over_the_edge_is_cut_off() -> None:
    assert shapes_of(a_box(left=-0.25, width=20, top=70, height=11)) == [Box(0, 70, 19.75, 80)]
    notch = a_polygon((60, 10), (120, 10), (120, 40), (65, 25), (60, 40))
    assert shapes_of(notch)[0].area == pytest.approx(
        Polygon(((60, 10), (100, 10), (100, 34.545454545454545), (65, 25), (60, 40))).area
    )


def test_an_ellipse_is_a_polygon_by_the_ends_of_its_axes() -> None:
    # The example of Scale's documentation, in a larger image.
    ends = ((123, 92), (173, 113), (123, 134), (73, 113))
    (shape,) = shapes_of(an_ellipse(*ends), metadata=METADATA | {"width": 1000, "height": 800})
    assert shape.area == pytest.approx(pi * 50 * 21, rel=0.01)
    assert shape.box.corners == pytest.approx((73, 92, 173, 134))
    c, s = cos(0.5), sin(0.5)
    turned = [(50 + x * c - y * s, 40 + x * s + y * c) for x, y in ((0, -10), (30, 0), (0, 10), (-30, 0))]
    (shape,) = shapes_of(an_ellipse(*turned))
    assert shape.area == pytest.approx(pi * 30 * 10, rel=0.01)
    for end in turned:
        assert min(dist(end, corner) for corner in shape.points) < 1e-6


def test_categories_are_labels_of_the_whole_image() -> None:
    task = completed(response={"category": "sea"})
    assert [
        (annotation.label, annotation.shape)
        for annotation in labeled_from(task, "a", _never, ShapeNotices()).annotations
    ] == [("sea", WholeImage())]
    several = labeled_from(completed(response={"category": ["sea", "river"]}), "a", _never, ShapeNotices())
    assert [annotation.label for annotation in several.annotations] == ["sea", "river"]


def test_attributes_become_texts() -> None:
    attributes = {"wet": "yes", "count": 3, "sides": ["left", "right"], "nothing": None}
    (annotation,) = labeled_from(completed(a_box(attributes=attributes)), "a", _never, ShapeNotices()).annotations
    assert annotation.attributes == {"wet": "yes", "count": "3", "sides": "left, right"}
    assert labeled_from(completed(a_box(attributes=None)), "a", _never, ShapeNotices()).annotations[0].attributes == {}


def test_a_completed_task_without_annotations_was_looked_at() -> None:
    for response in ({"annotations": []}, {}, None):
        image = labeled_from(completed(response=response), "sub/a.jpg", _never, ShapeNotices())
        assert (image.name, image.size, image.annotations, image.remote_id) == ("sub/a.jpg", Size(100, 80), (), "1")
    bare = Fields("scale", "", {"task_id": "1", "status": "completed", "metadata": METADATA})
    assert labeled_from(bare, "a", _never, ShapeNotices()).annotations == ()


def test_annotations_may_lie_at_an_address() -> None:
    responses = {"https://store.example.com/1": {"annotations": [a_box()]}, "https://store.example.com/2": [a_box()]}
    for response in ("https://store.example.com/1", *({"annotations": url} for url in responses)):
        image = labeled_from(completed(response=response), "a", responses.__getitem__, ShapeNotices())
        assert [annotation.shape for annotation in image.annotations] == [Box(10, 20.5, 40, 60.5)]


@pytest.mark.parametrize(
    ("annotation", "fault", "reason"),
    [
        ({"type": "line", "label": "boat", "vertices": []}, "type is 'line', and only box, polygon, ellipse", "line"),
        ({"type": "cuboid", "label": "boat"}, "type is 'cuboid'", "cuboid"),
        ({"type": "spline", "label": "boat"}, "type is 'spline'", "unknown type"),
        (a_box(width=0), "box is empty", "no area"),
        (a_box(width=0, rotation=0.5), "box is empty", "no area"),
        (a_box(left=200), "outside the image", "outside its image"),
        (a_box(left=None), "left is null", "malformed"),
        (a_box(label=None), "label is null", "malformed"),
        (a_box(label=""), "label is empty", "malformed"),
        (a_polygon((1, 1), (2, 2)), "needs 3", "no area"),
        (a_polygon((0, 0), (9, 9), (9, 0), (0, 9)), "crosses itself", "crosses itself"),
        (an_ellipse((0, 0), (9, 9), (9, 0)), "ellipse has 3 vertices", "malformed"),
        (an_ellipse((0, 0), (9, 0), (9, 3), (0, 3)), "not the ends of its axes", "malformed"),
        ({"label": "boat"}, "type is missing", "malformed"),
    ],
)
def test_unsupported_annotation_is_skipped_with_image_and_place(annotation: Any, fault: str, reason: str) -> None:
    notices = ShapeNotices()
    image = labeled_from(completed(a_box(), annotation, a_box()), "sub/a.jpg", _never, notices)
    assert [annotation.shape for annotation in image.annotations] == [Box(10, 20.5, 40, 60.5)] * 2
    (notice,) = notices.checked()
    assert (notice.reason, notice.image, notice.dropped) == (reason, "sub/a.jpg", True)
    assert fault in notice.detail
    assert "image 'sub/a.jpg'.annotations[1] of task 1" in notice.detail


def test_a_page_of_which_nothing_can_be_read_is_refused() -> None:
    notices = ShapeNotices()
    labeled_from(completed({"kind": "box"}, {"kind": "box"}), "sub/a.jpg", _never, notices)
    with pytest.raises(PlatformRefused, match="type is missing"):
        notices.checked()


def test_shape_with_a_large_cut_is_listed_as_changed() -> None:
    notices = ShapeNotices()
    labeled_from(completed(a_box(left=-30, width=60)), "sub/a.jpg", _never, notices)
    (notice,) = notices.checked()
    assert (notice.reason, notice.dropped) == ("cut to its image", False)


def test_task_without_image_size_is_refused() -> None:
    with pytest.raises(PlatformRefused, match=r"metadata\.width is missing"):
        labeled_from(completed(metadata={}), "a", _never, ShapeNotices())


def test_image_name_comes_from_metadata_or_unique_id() -> None:
    def name(**task: Any) -> str | None:
        return image_name(Fields("scale", "", task), "river")

    assert name(metadata=METADATA) == "sub/a.jpg"
    assert name(metadata={}, unique_id="river/sub/b.jpg") == "sub/b.jpg"
    assert name(unique_id="elsewhere/b.jpg") is None
    assert name(metadata=None) is None


def test_why_a_task_failed_is_told_without_signatures() -> None:
    attachments = [{"statusCode": 403, "url": "https://u:CANARY@store.example.com/a.jpg?sig=CANARY"}]
    response = {"error": "One or more attachments could not be downloaded.", "attachments": attachments}
    failed = failed_from(Fields("scale", "", {"task_id": "7", "status": "error", "response": response}), "a.jpg")
    assert failed.reason == "One or more attachments could not be downloaded. 403 from store.example.com/a.jpg"
    assert (failed.id, failed.name) == ("7", "a.jpg")
    for silent in ({}, {"response": None}, {"response": {"attachments": "x"}}):
        task = Fields("scale", "", {"task_id": "7", "status": "error", **silent})
        assert failed_from(task, "a.jpg").reason == "no reason given"
    assert failed_from(Fields("scale", "", {"task_id": "7", "status": "canceled"}), "a").reason == "it was cancelled"
