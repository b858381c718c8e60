"""What labelers put is checked whole, kept exactly, and given back."""

from __future__ import annotations

import json
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


@pytest.fixture(scope="module")
def labeling(service):
    """A campaign of 2,000 images of 100 x 80 pixels would be slow: this one has three, and is never completed."""
    campaign, ids, labeler = service.campaign(images=3, labels=["Plastic", "Wood", "Ätzend"])
    return f"/campaigns/{campaign['campaign_id']}/objects", ids, labeler


def faults(make):
    def boxed(**sides):
        return {**make.thing(), "bounding_box": {**make.box(), **sides}}

    def drawn(corners, **sides):
        return {**boxed(**sides), "polygon": corners}

    square = [[1, 2], [30, 2], [30, 40], [1, 40]]
    return {
        "a label that is not allowed": (make.thing("Paper"), "'Paper' is not one of"),
        "no label": ({**make.thing(), "label": ""}, "label"),
        "a label that is a number": ({**make.thing(), "label": 7}, "label"),
        "a confidence above 1": (make.thing(confidence=1.0000001), "confidence"),
        "a confidence below 0": (make.thing(confidence=-0.1), "confidence"),
        "a confidence that is a word": (make.thing(confidence="1"), "confidence"),
        "a confidence that is true": (make.thing(confidence=True), "confidence"),
        "no confidence": ({"label": "Wood", "bounding_box": make.box()}, "confidence"),
        "an inverted box": (boxed(xmin=30, xmax=1), "inverted"),
        "an empty box": (boxed(ymin=40), "empty"),
        "a box left of the image": (boxed(xmin=-0.001), "not inside the image of 100 x 80"),
        "a box right of the image": (boxed(xmax=100.001), "not inside"),
        "a box below the image": (boxed(ymax=81), "not inside"),
        "a box without a side": ({**make.thing(), "bounding_box": {"xmin": 1, "xmax": 2, "ymin": 1}}, "bounding_box"),
        "a box of words": (boxed(xmin="1"), "bounding_box"),
        "no box": ({"label": "Wood", "confidence": 1}, "bounding_box"),
        "a field that would be lost": ({**make.thing(), "colour": "red"}, "colour"),
        "no object at all": ("Wood", "is not {label"),
        "a polygon of two corners": (drawn([[1, 2], [30, 40]]), "needs 3"),
        "a polygon that crosses itself": (drawn([[1, 2], [30, 40], [30, 2], [1, 40]]), "crosses itself"),
        "a polygon outside the image": (drawn([[1, 2], [130, 2], [30, 40]]), "polygon is not inside"),
        "a polygon beside its box": (drawn(square, xmax=31.5), "bounds"),
        "a polygon of words": (drawn([["1", 2], [3, 4], [5, 6]]), "list of [x, y]"),
        "a polygon of triples": (drawn([[1, 2, 3], [3, 4, 5], [5, 6, 7]]), "list of [x, y]"),
    }


@pytest.mark.parametrize("fault", range(24))
def test_a_fault_names_image_and_object_and_nothing_is_stored(labeling, service, make, fault):
    name, (broken, message) = list(faults(make).items())[fault]
    path, ids, labeler = labeling
    before = service.get(path)
    body = [
        {"image_id": ids[0], "objects": [make.thing()]},
        {"image_id": ids[1], "objects": [make.thing(), broken]},
    ]
    response = labeler("PUT", path, body)
    assert response.status_code == 422, name
    error = response.json()["error"]
    assert error["message"].startswith(f"image {ids[1]}, object 1: "), name
    assert message in error["message"], name
    assert (error["details"]["image_id"], error["details"]["object"]) == (ids[1], 1)
    assert service.get(path) == before


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_not_finite_are_refused(labeling, number):
    path, ids, labeler = labeling
    text = (
        f'[{{"image_id": {ids[0]}, "objects": [{{"label": "Wood", "confidence": 1,'
        f' "bounding_box": {{"xmin": 1, "xmax": {number}, "ymin": 1, "ymax": 2}}}}]}}]'
    )
    assert labeler("PUT", path, None, data=text).status_code == 422


@pytest.mark.parametrize(
    "body",
    [
        {},
        None,
        "x",
        [1],
        [{"image_id": 1}],
        [{"image_id": "1", "objects": []}],
        [{"image_id": True, "objects": []}],
        [{"image_id": 1, "objects": {}}],
        [{"image_id": 1, "objects": [], "note": "lost"}],
        [{"image_id": 2**64, "objects": []}],
        [{"image_id": 1, "objects": []}, {"image_id": 1, "objects": []}],
    ],
)
def test_a_body_of_another_shape_is_refused(labeling, body):
    path, _, labeler = labeling
    response = labeler("PUT", path, None, data=json.dumps(body))
    assert (response.status_code, response.json()["error"]["code"]) == (422, "invalid")


def test_a_body_that_is_nested_without_end_is_refused(labeling):
    path, _, labeler = labeling
    assert labeler("PUT", path, None, data="[" * 500_000).status_code == 422


coordinates = st.floats(0, 80, allow_subnormal=False) | st.integers(0, 80)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sent_objects=st.lists(
        st.tuples(st.floats(0, 1), st.lists(coordinates, min_size=2, max_size=2, unique=True), coordinates), max_size=4
    )
)
def test_what_was_put_is_given_back_digit_for_digit(labeling, service, sent_objects):
    path, ids, labeler = labeling
    objects = [
        {
            "label": "Ätzend",
            "confidence": confidence,
            "bounding_box": {"xmin": min(xs), "xmax": max(xs), "ymin": y / 2, "ymax": y / 2 + 1},
        }
        for confidence, xs, y in sent_objects
    ]
    labeler.ok("PUT", path, [{"image_id": ids[2], "objects": objects}])
    (stored,) = [image for image in service.get(path)["images"] if image["image_id"] == ids[2]]
    assert stored["objects"] == objects
    assert repr(stored["objects"]) == repr(objects), "an integer stays one"


def test_a_polygon_is_kept_beside_its_box(service, make):
    campaign, ids, labeler = service.campaign(images=1)
    path = f"/campaigns/{campaign['campaign_id']}/objects"
    polygon = [[1.25, 2], [30, 2.5], [29.9, 40.75], [1, 40]]
    labeler.ok("PUT", path, [{"image_id": ids[0], "objects": [make.thing(polygon=polygon)]}])
    (image,) = service.get(path)["images"]
    assert image["objects"] == [make.thing(polygon=polygon)]
    assert (image["width"], image["height"], image["file_name"]) == (100, 80, "0000.png")
    assert image["labeled_by"].startswith("labeler-")


def test_a_box_may_fill_the_image_to_its_edges(labeling, make):
    path, ids, labeler = labeling
    whole = {**make.thing("Wood"), "bounding_box": {"xmin": 0, "xmax": 100, "ymin": 0, "ymax": 80}}
    assert labeler.ok("PUT", path, [{"image_id": ids[0], "objects": [whole]}]) == "ok"


def test_empty_list_counts_as_done_unlike_an_unlabeled_image(service):
    campaign, ids, labeler = service.campaign(images=3)
    path = f"/campaigns/{campaign['campaign_id']}"
    labeler.ok("PUT", f"{path}/objects", [{"image_id": ids[1], "objects": []}])
    assert service.get(path)["progress"] == {"done": 1, "total": 3}
    assert [image["done"] for image in labeler.get(f"{path}/images")["images"]] == [False, True, False]
    (image,) = service.get(f"{path}/objects")["images"]
    assert (image["image_id"], image["objects"]) == (ids[1], [])
    labeler.ok("PUT", f"{path}/objects", [{"image_id": ids[1], "objects": []}])
    assert service.get(path)["progress"] == {"done": 1, "total": 3}, "twice is once"


def test_an_active_campaign_takes_labels_and_no_other_does(service):
    campaign, ids, labeler = service.campaign(images=1, active=False)
    path = f"/campaigns/{campaign['campaign_id']}"
    response = labeler("PUT", f"{path}/objects", [{"image_id": ids[0], "objects": []}])
    assert (response.status_code, response.json()["error"]["details"]) == (409, {"status": "created"})


def test_any_label_is_taken_where_none_were_named(service, make):
    campaign, ids, labeler = service.campaign(images=1)
    path = f"/campaigns/{campaign['campaign_id']}/objects"
    label = "<script>alert('1')</script> 日本 \"q\""
    labeler.ok("PUT", path, [{"image_id": ids[0], "objects": [make.thing(label)]}])
    assert service.get(path)["images"][0]["objects"][0]["label"] == label


def test_an_admin_may_put_objects_too(service):
    campaign, ids, _ = service.campaign(images=2)
    path = f"/campaigns/{campaign['campaign_id']}/objects"
    service.ok("PUT", path, [{"image_id": ids[0], "objects": []}])
    assert service.get(path)["images"][0]["labeled_by"] == "admin@localhost"


def test_a_polygon_of_thousands_of_corners_is_judged_quickly(labeling, make):
    from math import cos, pi, sin

    path, ids, labeler = labeling
    corners = [[50 + 30 * cos(2 * pi * n / 2000), 40 + 30 * sin(2 * pi * n / 2000)] for n in range(2000)]
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    round_one = {
        **make.thing(polygon=corners),
        "bounding_box": {"xmin": min(xs), "xmax": max(xs), "ymin": min(ys), "ymax": max(ys)},
    }
    assert labeler.ok("PUT", path, [{"image_id": ids[0], "objects": [round_one]}]) == "ok"
    many = make.thing(polygon=[[1, 1]] * 10_001)
    assert "at most 10000" in labeler("PUT", path, [{"image_id": ids[0], "objects": [many]}]).text
    assert sys.getrecursionlimit() < 10_000
