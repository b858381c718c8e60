"""One answer lists everything that is wrong with a request, each fault with its place in the body."""

from __future__ import annotations

import pytest


def resolved(body, place):
    """What stands at a place such as `body[3].objects[0].label`; None for a member that is missing."""
    for part in place.replace("[", ".[").split(".")[1:]:
        body = body[int(part[1:-1])] if part.startswith("[") else body.get(part)
    return body


def refused(caller, method, path, body, status=422, **more):
    response = caller(method, path, body, **more)
    assert response.status_code == status, response.text
    details = response.json()["error"]["details"]
    assert details["count"] == len(details["faults"]) == len(details["places"])
    assert [fault["where"] for fault in details["faults"]] == details["places"]
    assert all(fault["problem"] for fault in details["faults"])
    for place in details["places"]:
        resolved(body, place)  # raises when there is no such place
    return details


@pytest.fixture(scope="module")
def labeling(service):
    campaign, ids, labeler = service.campaign(images=3, labels=["Plastic", "Wood"])
    return f"/campaigns/{campaign['campaign_id']}", f"/labeling/campaigns/{campaign['campaign_id']}", ids, labeler


def bad_objects(make):
    square, far = [[1, 2], [30, 2], [30, 40], [1, 40]], [[1, 2], [130, 2], [30, 40]]
    return {
        ".label": make.thing("Paper"),
        ".confidence": make.thing(confidence=2),
        ".bounding_box": {**make.thing(), "bounding_box": make.box(xmax=300)},
        ".polygon": make.thing(polygon=far),
        ".polygons[1]": make.thing(polygons=[square, far]),
        ".whole_image": {**make.thing(), "whole_image": True},
        ".attributes": make.thing(attributes={"a": 1}),
        "": {**make.thing(), "colour": "red"},
    }


def test_objects_of_all_images_are_listed_with_the_field(labeling, make):
    campaign, page, ids, labeler = labeling
    bad = bad_objects(make)
    objects = [make.thing(), *bad.values()]
    body = [{"image_id": image, "objects": objects} for image in ids]
    details = refused(labeler, "PUT", f"{campaign}/objects", body)
    expected = [f".objects[{number}]{field}" for number, field in enumerate(bad, 1)]
    assert details["places"] == [f"body[{entry}]{place}" for entry in range(3) for place in expected]
    assert [fault["image_id"] for fault in details["faults"]] == [image for image in ids for _ in bad]
    submission = {"images": [{**entry, "revision": "none"} for entry in body]}
    details = refused(labeler, "PUT", f"{page}/images", submission)
    assert details["places"] == [f"body.images[{entry}]{place}" for entry in range(3) for place in expected]
    single = refused(labeler, "PUT", f"{page}/images/{ids[0]}", {"objects": objects}, headers={"If-Match": "none"})
    assert single["places"] == [f"body{place}" for place in expected]


def test_several_faults_of_one_object_are_all_listed(labeling, make):
    campaign, _, ids, labeler = labeling
    far = [[1, 2], [130, 2], [30, 40]]
    thing = make.thing("Paper", 2, polygons=[far, "no", [[1, 2], [30, 40]]])
    thing["bounding_box"] = {"xmin": 1}
    details = refused(labeler, "PUT", f"{campaign}/objects", [{"image_id": ids[0], "objects": [thing]}])
    fields = ["label", "confidence", "bounding_box", "polygons[0]", "polygons[1]", "polygons[2]"]
    assert details["places"] == [f"body[0].objects[0].{field}" for field in fields]


def test_malformed_entries_do_not_hide_faulty_objects(labeling, make):
    campaign, page, ids, labeler = labeling
    entries = [
        "nothing",
        {"image_id": 0, "objects": []},
        {"image_id": ids[0], "objects": [make.thing("Paper")]},
        {"image_id": ids[0], "objects": []},
        {"image_id": ids[1], "objects": {}},
        {"image_id": 999_999, "objects": []},
    ]
    details = refused(labeler, "PUT", f"{campaign}/objects", entries)
    assert sorted(details["places"]) == [
        "body[0]",
        "body[1].image_id",
        "body[2].objects[0].label",
        "body[3].image_id",
        "body[4].objects",
        "body[5].image_id",
    ]
    submissions = [{**entry, "revision": "none"} for entry in entries if isinstance(entry, dict)]
    details = refused(labeler, "PUT", f"{page}/images", {"images": ["nothing", *submissions, {"image_id": 1}]})
    assert details["places"] == ["body.images[0]", "body.images[3]", "body.images[4]", "body.images[6]"]


def test_a_long_list_of_faults_names_every_place(labeling, make):
    campaign, _, ids, labeler = labeling
    body = [{"image_id": ids[0], "objects": [make.thing("Paper")] * 150}]
    details = labeler("PUT", f"{campaign}/objects", body).json()["error"]["details"]
    assert (details["count"], len(details["faults"])) == (150, 100)
    assert details["places"] == [f"body[0].objects[{number}].label" for number in range(150)]


def test_unknown_images_are_listed_with_their_places(labeling, service):
    campaign, _, ids, _ = labeling
    body = [{"id": ids[0]}, {"id": 777_777}, {"id": ids[1]}, {"id": 888_888}]
    details = refused(service, "POST", f"{campaign}/images", body, 404)
    assert (details["unknown"], details["places"]) == ([777_777, 888_888], ["body[1].id", "body[3].id"])
    body = [{"image_id": 777_777, "reason": ""}, {"image_id": ids[0], "reason": ""}, {"image_id": 5, "reason": "x"}]
    details = refused(service, "POST", f"{campaign}/images/reopen", body)
    assert details["places"] == ["body[0].image_id", "body[2].image_id"]
    malformed = service("POST", f"{campaign}/images", [{"id": "x"}, {"id": 1}, {}, {"id": 0, "z": 1}])
    places = [fault["where"] for fault in malformed.json()["error"]["details"]]
    assert sorted(places) == ["body[0].id", "body[2].id", "body[3].id", "body[3].z"]


def test_a_schema_lists_everything_that_contradicts_itself(service, make):
    order = {"title": make.fresh("campaign"), "metadata": None, "labeler_email": "a@example.com"}
    schema = [
        {"name": "boat", "parent": "ship"},
        {"name": "boat"},
        {"name": "sail", "parent": "mast"},
        {"name": "mast", "parent": "sail"},
        {"name": "buoy", "attributes": [{"name": "a", "values": ["1", "1"], "default": "2"}, {"name": "a"}]},
    ]
    details = refused(service, "POST", "/campaigns", {**order, "label_schema": schema})
    assert details["places"] == [
        "body.label_schema[0].parent",
        "body.label_schema[1].name",
        "body.label_schema[2].parent",
        "body.label_schema[3].parent",
        "body.label_schema[4].attributes[0].values[1]",
        "body.label_schema[4].attributes[0]",
        "body.label_schema[4].attributes[1].name",
    ]
    details = refused(service, "POST", "/campaigns", {**order, "labels": ["a", "b", "a", "b"]})
    assert details["places"] == ["body.labels[2]", "body.labels[3]"]
    translations = {"a": {"nl": "x"}, "b": {"nl": "x"}, "c": {}}
    body = {**order, "labels": ["a"], "label_translations": translations}
    assert refused(service, "POST", "/campaigns", body)["count"] == 2
    campaign = service.ok("POST", "/campaigns", {**order, "labels": ["a"]})["campaign_id"]
    details = refused(service, "PATCH", f"/campaigns/{campaign}", {"label_schema": schema})
    assert details["count"] == 7
