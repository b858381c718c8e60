"""Predictions are checked as objects are, and shown to labelers. Labels they are only when somebody submits them."""

from __future__ import annotations

import csv
import io
import itertools
import time

import pytest
import requests

SCHEMA = [
    {
        "name": "boat",
        "geometry": "box",
        "attributes": [{"name": "state", "values": ["whole", "torn"], "required": True}],
    },
    {"name": "sail", "geometry": "polygon"},
    {"name": "fog", "geometry": "image"},
]


@pytest.fixture
def predicted(service, make):
    """A campaign of three images, two of them with predictions: its path, the ids, and its labeler."""

    def begin(**order):
        campaign, ids, labeler = service.campaign(images=3, **order)
        path = f"/campaigns/{campaign['campaign_id']}"
        body = [{"image_id": image, "objects": [make.thing(confidence=0.5, model_version="m-1")]} for image in ids[:2]]
        assert service.ok("PUT", f"{path}/predictions", body) == "ok"
        return path, ids, labeler

    return begin


def kept(service, path):
    return {image["image_id"]: image["objects"] for image in service.get(f"{path}/predictions")["images"]}


def test_predictions_are_suggestions_and_no_labels(service, make, predicted):
    path, ids, labeler = predicted()
    expected = [make.thing(confidence=0.5, model_version="m-1")]
    assert kept(service, path) == dict.fromkeys(ids[:2], expected)
    assert service.get(path)["progress"] == {"done": 0, "total": 3}
    assert service.get(f"{path}/objects")["images"] == []
    assert not any(image["done"] for image in labeler.get(f"{path}/images")["images"])
    seen = [labeler.get(f"/labeling{path}/images/{image}") for image in ids]
    assert [image["predictions"] for image in seen] == [expected, expected, []]
    assert {(image["revision"], len(image["objects"])) for image in seen} == {("none", 0)}


def test_putting_predictions_again_replaces_those_of_the_same_images(service, make, predicted):
    path, ids, _ = predicted()
    newer = make.thing(confidence=0.75, model_version="m-2")
    for _ in range(2):
        service.ok("PUT", f"{path}/predictions", [{"image_id": ids[0], "objects": [newer]}])
        assert kept(service, path)[ids[0]] == [newer]
        assert kept(service, path)[ids[1]][0]["model_version"] == "m-1"
    service.ok("PUT", f"{path}/predictions", [{"image_id": ids[0], "objects": []}])
    assert list(kept(service, path)) == [ids[1]]
    service.ok("PUT", f"{path}/predictions", [])
    assert list(kept(service, path)) == [ids[1]]


def test_images_that_were_submitted_keep_their_labels(service, make, predicted):
    path, ids, labeler = predicted()
    own, where = make.thing("Wood"), f"/labeling{path}/images/{ids[0]}"
    labeler.ok("PUT", f"{path}/objects", [{"image_id": ids[0], "objects": [own]}, {"image_id": ids[2], "objects": []}])
    before = [labeler.get(f"/labeling{path}/images/{image}") for image in ids]
    assert [image["predictions"] == [] for image in before] == [True, False, True]
    body = [{"image_id": image, "objects": [make.thing("late", 0.9)]} for image in ids]
    service.ok("PUT", f"{path}/predictions", body)
    after = [labeler.get(f"/labeling{path}/images/{image}") for image in ids]
    assert [after[0], after[2]] == [before[0], before[2]]
    assert after[1]["predictions"][0]["label"] == "late"
    assert {image["image_id"]: image["objects"] for image in service.get(f"{path}/objects")["images"]} == {
        ids[0]: [own],
        ids[2]: [],
    }
    assert len(kept(service, path)) == 3, "they stay, so that what the model is worth can be measured"
    service.ok("POST", f"{path}/images/reopen", [{"image_id": ids[0]}])
    assert labeler.get(where)["predictions"] == [], "a person has judged it: it has labels to correct"


def test_open_page_is_not_out_of_date_when_predictions_arrive(service, make, predicted):
    path, ids, labeler = predicted()
    where = f"/labeling{path}/images/{ids[0]}"
    revision = labeler.get(where)["revision"]
    service.ok("PUT", f"{path}/predictions", [{"image_id": ids[0], "objects": [make.thing(confidence=0.1)]}])
    response = labeler("PUT", where, {"objects": [make.thing()]}, headers={"If-Match": f'"{revision}"'})
    assert response.status_code == 200, response.text


def test_origin_and_model_of_submitted_objects_are_kept(service, make, predicted):
    path, ids, labeler = predicted()
    objects = [
        make.thing(confidence=0.5, origin="prediction", model_version="m-1"),
        make.thing("changed", origin="corrected", model_version="m-1"),
        make.thing("drawn", origin="person"),
        make.thing("of an older page"),
        make.thing("of a tool", 0.5, origin="prediction"),
    ]
    labeler.ok("PUT", f"{path}/objects", [{"image_id": ids[0], "objects": objects}])
    assert service.get(f"{path}/objects")["images"][0]["objects"] == objects
    nulls = make.thing("no model", origin=None, model_version=None)
    labeler.ok("PUT", f"{path}/objects", [{"image_id": ids[1], "objects": [nulls]}])
    assert service.get(f"{path}/objects")["images"][1]["objects"] == [make.thing("no model")]


def test_labels_file_of_a_finished_campaign_has_no_predictions(service, make, predicted):
    path, ids, labeler = predicted()
    labeler.ok("PUT", f"{path}/objects", [{"image_id": ids[0], "objects": [make.thing("mine")]}])
    for state in ("completed", "finished"):
        service.ok("PUT", path, {"new_status": state})
    rows = list(csv.DictReader(io.StringIO(requests.get(service.get(path)["labels_csv_url"]).text)))
    assert [row["label"] for row in rows] == ["mine"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"origin": "robot"}, "origin"),
        ({"origin": 7}, "origin"),
        ({"origin": ["person"]}, "origin"),
        ({"model_version": "m-1"}, "model_version"),
        ({"origin": "person", "model_version": "m-1"}, "model_version"),
        ({"origin": "prediction", "model_version": ""}, "model_version"),
        ({"origin": "prediction", "model_version": "a\nb"}, "model_version"),
        ({"origin": "corrected", "model_version": "m" * 201}, "model_version"),
        ({"origin": "corrected", "model_version": 1}, "model_version"),
    ],
)
def test_an_origin_that_cannot_be_is_refused_by_its_place(service, make, predicted, fields, field):
    path, ids, labeler = predicted()
    response = labeler("PUT", f"{path}/objects", [{"image_id": ids[0], "objects": [make.thing(**fields)]}])
    assert (response.status_code, response.json()["error"]["details"]["places"]) == (
        422,
        [f"body[0].objects[0].{field}"],
    )


def test_predictions_are_checked_as_objects_are_all_faults_at_once(service, make):
    campaign, ids, _ = service.campaign(images=2, label_schema=SCHEMA)
    path = f"/campaigns/{campaign['campaign_id']}"
    fog = {"label": "fog", "confidence": 0.5, "whole_image": True}
    good = [make.thing("boat", 0.5), make.thing("boat", 0.25, attributes={"state": "torn"}), fog]
    service.ok("PUT", f"{path}/predictions", [{"image_id": ids[0], "objects": good}])
    assert kept(service, path) == {ids[0]: good}, "the labeler fills in what is required"
    body = [
        {"image_id": ids[0], "objects": [make.thing("ship"), make.thing("sail"), make.thing("boat", 1.5)]},
        {
            "image_id": ids[1],
            "objects": [
                make.thing("boat", attributes={"state": "sunk"}),
                make.thing("boat", bounding_box=make.box(xmax=101)),
                make.thing("boat", origin="prediction"),
                fog,
                fog,
            ],
        },
        {"image_id": 999_999, "objects": []},
        {"image_id": ids[0], "objects": []},
    ]
    details = service("PUT", f"{path}/predictions", body).json()["error"]["details"]
    assert sorted(details["places"]) == [
        "body[0].objects[0].label",
        "body[0].objects[1].bounding_box",
        "body[0].objects[2].confidence",
        "body[1].objects[0].attributes",
        "body[1].objects[1].bounding_box",
        "body[1].objects[2].origin",
        "body[1].objects[4].whole_image",
        "body[2].image_id",
        "body[3].image_id",
    ]
    assert (details["count"], len(details["faults"])) == (9, 9)
    assert kept(service, path) == {ids[0]: good}, "nothing of a request that is refused is stored"


def test_who_may_put_predictions_and_when(service, make, predicted):
    path, ids, labeler = predicted(active=False)
    body = [{"image_id": ids[0], "objects": [make.thing(confidence=0.5)]}]
    assert labeler("PUT", f"{path}/predictions", body).status_code == 403
    assert labeler("GET", f"{path}/predictions").status_code == 403
    assert service("PUT", "/campaigns/999999/predictions", body).status_code == 404
    assert service("GET", "/campaigns/999999/predictions").status_code == 404
    for state in ("active", "completed"):
        service.ok("PUT", path, {"new_status": state})
        response = service("PUT", f"{path}/predictions", body)
        assert response.status_code == (200 if state == "active" else 409)
    assert response.json()["error"]["details"] == {"status": "completed"}
    assert "predictions" in service.get("/health")["features"]


def test_pages_of_predictions_have_each_image_once(service, make, predicted):
    path, ids, _ = predicted()
    service.ok("PUT", f"{path}/predictions", [{"image_id": ids[2], "objects": [make.thing(confidence=0.25)]}])
    pages = [service.get(f"{path}/predictions?page={page}&per_page=2") for page in (1, 2, 3)]
    assert [[image["image_id"] for image in page["images"]] for page in pages] == [ids[:2], ids[2:], []]
    assert {page["pagination"]["total"] for page in pages} == {3}


def test_a_thousand_predictions_of_an_image_are_one_request(service, make, predicted):
    path, ids, labeler = predicted()
    objects = [
        make.thing(confidence=0.001 * number, bounding_box=make.box(x, y, x + 2, y + 2), model_version="m")
        for number, (x, y) in enumerate(itertools.product(range(0, 50), range(0, 40, 2)))
    ]
    assert len(objects) == 1000
    service.ok("PUT", f"{path}/predictions", [{"image_id": ids[0], "objects": objects}])
    assert labeler.get(f"/labeling{path}/images/{ids[0]}")["predictions"] == objects
    accepted = [{**one, "origin": "prediction"} for one in objects]
    labeler.ok("PUT", f"{path}/objects", [{"image_id": ids[0], "objects": accepted}])
    assert service.get(f"{path}/objects")["images"][0]["objects"] == accepted


def test_predictions_are_still_there_after_a_restart(serve, make):
    with serve() as service:
        campaign, ids, _ = service.campaign(images=1)
        path = f"/campaigns/{campaign['campaign_id']}"
        service.ok("PUT", f"{path}/predictions", [{"image_id": ids[0], "objects": [make.thing(confidence=0.5)]}])
    with serve() as service:
        assert kept(service, path) == {ids[0]: [make.thing(confidence=0.5)]}


@pytest.mark.slow
def test_predictions_for_a_hundred_thousand_images_arrive_in_batches(serve, make, tmp_path):
    """Rows are written straight into the database: making as many image files is not what is measured."""
    from sqlalchemy import insert

    from labelwright.service.database import Database, campaign_images, campaigns, images

    count, at_once = 100_000, 5_000
    with serve() as service:
        campaign, (first,), labeler = service.campaign(images=1)
        number = campaign["campaign_id"]
        database = Database(tmp_path / "data")
        with database.write() as connection:
            row = connection.execute(images.select().where(images.c.id == first)).one()._asdict()
            some = range(first + 1, first + count)
            rows = [row | {"id": image, "position": image, "file_name": f"{image}.png"} for image in some]
            connection.execute(insert(images), rows)
            connection.execute(
                insert(campaign_images),
                [
                    {"campaign_id": number, "position": position, "image_id": image, "done": False}
                    for position, image in enumerate(some, 2)
                ],
            )
            connection.execute(campaigns.update().where(campaigns.c.id == number).values(total=count))
        database.close()
        path = f"/campaigns/{number}"
        began = time.monotonic()
        for start in range(first, first + count, at_once):
            body = [
                {"image_id": image, "objects": [make.thing(confidence=0.5)]} for image in range(start, start + at_once)
            ]
            service.ok("PUT", f"{path}/predictions", body)
        print(f"{count} images in {time.monotonic() - began:.1f} s")
        assert service.get(f"{path}/predictions?page=11&per_page=10000")["pagination"]["total"] == count
        last = service.get(f"{path}/predictions?page=10&per_page=10000")["images"]
        assert (len(last), last[-1]["image_id"]) == (10_000, first + count - 1)
        assert service.get(path)["progress"] == {"done": 0, "total": count}
        assert len(labeler.get(f"/labeling{path}/images/{first + count - 1}")["predictions"]) == 1
