"""The whole label schema: what a campaign keeps, what it refuses, and that all faults of a request are listed."""

from __future__ import annotations

from typing import Any

import pytest

BOAT: dict[str, Any] = {
    "name": "boat",
    "geometry": "box",
    "color": "#e69f00",
    "attributes": [
        {"name": "state", "values": ["whole", "torn"], "default": "whole", "required": True},
        {"name": "registration"},
    ],
    "translations": {"nl": "boot"},
}
SAIL: dict[str, Any] = {"name": "sail", "geometry": "polygon", "parent": "boat"}
FOG: dict[str, Any] = {
    "name": "fog",
    "geometry": "image",
    "attributes": [{"name": "density", "values": ["thin", "thick"], "required": True}],
}
SCHEMA = [BOAT, SAIL, FOG, {"name": "other"}]
TRIANGLE = [[1, 2], [30, 2], [30, 40]]
PARTS = [[[1, 2], [10, 2], [10, 10]], [[20, 20], [30, 20], [30, 40]]]


def whole(label: str, **more: Any) -> dict[str, Any]:
    return {"label": label, "confidence": 1, "whole_image": True, **more}


def asking(*attributes: dict[str, Any]) -> dict[str, Any]:
    return {"label_schema": [{"name": "a", "attributes": list(attributes)}]}


@pytest.fixture(scope="module")
def labeling(service):
    """A campaign with the schema; it is never completed."""
    campaign, ids, labeler = service.campaign(images=3, label_schema=SCHEMA)
    return f"/campaigns/{campaign['campaign_id']}/objects", ids, labeler


def test_a_campaign_keeps_its_whole_schema(service):
    created, _, labeler = service.campaign(images=1, label_schema=SCHEMA)
    campaign = service.get(f"/campaigns/{created['campaign_id']}")
    assert campaign["label_schema"] == [
        {
            **BOAT,
            "parent": None,
            "attributes": [
                BOAT["attributes"][0],
                {"name": "registration", "values": [], "default": None, "required": False},
            ],
        },
        {**SAIL, "color": None, "attributes": [], "translations": {}},
        {
            **FOG,
            "color": None,
            "parent": None,
            "translations": {},
            "attributes": [{**FOG["attributes"][0], "default": None}],
        },
        {"name": "other", "geometry": "any", "color": None, "parent": None, "attributes": [], "translations": {}},
    ]
    assert campaign["labels"] == ["boat", "sail", "fog", "other"]
    assert campaign["label_translations"] == {"boat": {"nl": "boot"}}
    (seen_by_labeler,) = labeler.get("/labeling/campaigns")["campaigns"]
    assert seen_by_labeler["label_schema"] == campaign["label_schema"]


def test_a_campaign_of_names_has_no_schema_in_its_responses(service):
    created, _, _ = service.campaign(images=0, active=False, labels=["Plastic"])
    assert "label_schema" not in created
    assert "label_schema" not in service.get(f"/campaigns/{created['campaign_id']}")


def test_health_lists_the_schema_as_a_feature(service):
    assert "label_schema" in service.get("/health")["features"]


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ({"label_schema": []}, "label_schema"),
        ({"label_schema": [BOAT, BOAT]}, "label 'boat' is listed twice"),
        ({"label_schema": [SAIL]}, "its parent 'boat' is not in the schema"),
        ({"label_schema": [{**SAIL, "parent": "sail"}]}, "its own ancestor"),
        ({"label_schema": [{**SAIL, "parent": None, "geometry": "line"}]}, "geometry"),
        ({"label_schema": [{**BOAT, "color": "red"}]}, "color"),
        ({"label_schema": [{**BOAT, "note": "lost"}]}, "note"),
        (asking({"name": "x", "values": ["1"], "default": "2"}), "default '2'"),
        (asking({"name": "@occluded"}), "@occluded"),
        (asking({"name": "x"}, {"name": "x"}), "attribute 'x' is listed twice"),
        (asking({"name": "x", "values": ["1", "1"]}), "value '1' is listed twice"),
        ({"label_schema": [BOAT], "labels": ["boat", "car"]}, "labels are not the names of label_schema"),
    ],
)
def test_a_schema_that_contradicts_itself_is_refused(service, make, order, message):
    body = {"title": make.fresh("campaign"), "metadata": None, "labeler_email": "a@example.com", **order}
    response = service("POST", "/campaigns", body)
    assert response.status_code == 422
    assert message in response.json()["error"]["message"]


def test_what_the_schema_allows_is_stored_and_given_back(labeling, service, make):
    path, ids, labeler = labeling
    objects = [
        make.thing("boat", 0.5, attributes={"state": "torn", "registration": 'AB 12\n"x"'}),
        make.thing("boat", attributes={"state": "whole", "@occluded": "true"}),
        make.thing("sail", polygon=TRIANGLE),
        make.thing("sail", polygons=PARTS),
        whole("fog", attributes={"density": "thin"}),
        make.thing("other"),
        make.thing("other", polygon=TRIANGLE),
        whole("other"),
    ]
    labeler.ok("PUT", path, [{"image_id": ids[0], "objects": objects}])
    (image,) = [image for image in service.get(path)["images"] if image["image_id"] == ids[0]]
    assert image["objects"] == objects


def faults(make):
    return {
        "a polygon of a label for boxes": (
            make.thing("boat", polygon=TRIANGLE, attributes={"state": "torn"}),
            "label 'boat' is for boxes, not for a polygon",
        ),
        "a box of a label for polygons": (make.thing("sail"), "label 'sail' is for polygons, not for a box"),
        "a box of a label for whole images": (
            make.thing("fog", attributes={"density": "thin"}),
            "label 'fog' is for the image as a whole, not for a box",
        ),
        "a whole image of a label for polygons": (whole("sail"), "not for the image as a whole"),
        "a required attribute that is missing": (make.thing("boat"), "attribute 'state' of label 'boat' is required"),
        "a required attribute that is blank": (make.thing("boat", attributes={"state": " "}), "is required"),
        "an attribute that the label does not have": (
            make.thing("sail", polygon=TRIANGLE, attributes={"state": "torn"}),
            "label 'sail' has no attribute 'state'",
        ),
        "a value that is no choice": (
            make.thing("boat", attributes={"state": "wet"}),
            "attribute 'state' is 'wet', which is not one of: whole, torn",
        ),
        "an attribute that is a number": (make.thing("boat", attributes={"state": 7}), "'state' is not a text"),
        "attributes that are a list": (make.thing("boat", attributes=["state"]), "attributes is not {name: text}"),
        "a whole image with a box": (
            make.thing("other", whole_image=True),
            "whole_image is true, and there is also bounding_box",
        ),
        "a whole image that is 1": ({"label": "other", "confidence": 1, "whole_image": 1}, "not true or false"),
        "two kinds of outline": (make.thing("sail", polygon=TRIANGLE, polygons=PARTS), "has polygon and polygons"),
        "one part": (make.thing("sail", polygons=PARTS[:1]), "at least 2"),
        "a part outside": (
            make.thing("sail", polygons=[PARTS[0], [[1, 1], [200, 1], [9, 9]]]),
            "polygons[1] is not inside",
        ),
        "parts beside their box": (make.thing("sail", polygons=[PARTS[0], [[20, 20], [50, 20], [30, 40]]]), "bounds"),
        "parts that are no list": (make.thing("sail", polygons={}), "polygons is not a list"),
    }


def test_what_the_schema_forbids_is_refused_with_image_and_object(labeling, service, make):
    path, ids, labeler = labeling
    before = service.get(path)
    for name, (broken, message) in faults(make).items():
        body = [{"image_id": ids[1], "objects": [make.thing("other"), broken]}]
        response = labeler("PUT", path, body)
        assert response.status_code == 422, name
        error = response.json()["error"]
        assert error["message"].startswith(f"image {ids[1]}, object 1: "), name
        assert message in error["message"], (name, error["message"])
        assert (error["details"]["count"], len(error["details"]["faults"])) == (1, 1), name
    assert service.get(path) == before


def test_all_faults_of_a_request_are_listed_at_once(labeling, make):
    path, ids, labeler = labeling
    broken = make.thing("boat", 2, polygon=TRIANGLE, attributes={"colour": "red"})
    body = [
        {"image_id": ids[1], "objects": [make.thing("other"), broken]},
        {"image_id": 999_999, "objects": []},
        {"image_id": ids[2], "objects": [make.thing("car"), whole("other"), whole("other")]},
    ]
    error = labeler("PUT", path, body).json()["error"]
    listed = [
        (fault["image_id"], fault["object"], fault["problem"].split(",")[0]) for fault in error["details"]["faults"]
    ]
    assert listed == [
        (ids[1], 1, "confidence is a number from 0 to 1"),
        (ids[1], 1, "label 'boat' is for boxes"),
        (ids[1], 1, "label 'boat' has no attribute 'colour'; its attributes: state"),
        (ids[1], 1, "attribute 'state' of label 'boat' is required"),
        (999_999, None, listed[4][2]),
        (ids[2], 0, "label 'car' is not one of the campaign's: boat"),
        (ids[2], 2, "label 'other' is on the image as a whole twice"),
    ]
    assert listed[4][2].startswith("is not in campaign ")
    assert error["details"]["count"] == 7
    first = error["details"]["faults"][0]
    assert {name: error["details"][name] for name in first} == first
    assert error["message"] == f"image {ids[1]}, object 1: {first['problem']}"


def test_the_list_of_faults_is_bounded_and_counted(labeling, make):
    path, ids, labeler = labeling
    error = labeler("PUT", path, [{"image_id": ids[1], "objects": [make.thing("car")] * 250}]).json()["error"]
    assert (error["details"]["count"], len(error["details"]["faults"])) == (250, 100)


def test_a_campaign_of_names_takes_any_geometry_and_attributes(service, make):
    campaign, ids, labeler = service.campaign(images=2, labels=["Plastic"])
    path = f"/campaigns/{campaign['campaign_id']}/objects"
    objects = [
        make.thing(attributes={"anything": "at all"}),
        make.thing(polygons=PARTS),
        whole("Plastic"),
    ]
    labeler.ok("PUT", path, [{"image_id": ids[0], "objects": objects}])
    assert service.get(path)["images"][0]["objects"] == objects


def test_corners_of_all_parts_count_towards_the_limit(labeling, make):
    path, ids, labeler = labeling
    many = [[[1, 1]] * 5_000] * 101
    response = labeler("PUT", path, [{"image_id": ids[1], "objects": [make.thing("sail", polygons=many)]}])
    assert "at most 500000 corners" in response.text
