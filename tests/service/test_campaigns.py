"""Campaigns: their states, their images, their labels."""

from __future__ import annotations

import itertools

import pytest

STATES = ["created", "active", "completed", "finished"]
MOVES = {("created", "active"), ("active", "completed"), ("completed", "finished"), ("completed", "active")}


def brought_to(service, state):
    campaign, _, _ = service.campaign(images=1, active=False)
    for step in STATES[1 : STATES.index(state) + 1]:
        service.ok("PUT", f"/campaigns/{campaign['campaign_id']}", {"new_status": step})
    return f"/campaigns/{campaign['campaign_id']}"


@pytest.mark.parametrize(("current", "new_status"), list(itertools.product(STATES, STATES)))
def test_a_campaign_moves_along_the_arrows_only(service, current, new_status):
    path = brought_to(service, current)
    response = service("PUT", path, {"new_status": new_status})
    if (current, new_status) in MOVES or current == new_status:
        assert (response.status_code, response.json()) == (200, "ok")
        assert service.get(path)["status"] == new_status
    else:
        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (409, "conflict")
        assert error["message"] == f"a campaign that is {current} cannot become {new_status}"
        assert error["details"] == {"status": current, "new_status": new_status}
        assert service.get(path)["status"] == current


def test_a_state_that_there_is_not_is_refused(service):
    assert service("PUT", brought_to(service, "created"), {"new_status": "paused"}).status_code == 422


def test_a_completed_campaign_can_be_reopened_and_labeled_again(service, make):
    campaign, ids, labeler = service.campaign(images=2)
    path = f"/campaigns/{campaign['campaign_id']}"
    labeler.ok("PUT", f"{path}/objects", [{"image_id": image, "objects": [make.thing("A")]} for image in ids])
    done = service.get(path)
    assert done["status"] == "completed"
    late = labeler("PUT", f"{path}/objects", [{"image_id": ids[0], "objects": []}])
    assert (late.status_code, late.json()["error"]["details"]) == (409, {"status": "completed"})
    service.ok("PUT", path, {"new_status": "active"})
    reopened = service.get(path)
    assert (reopened["date_completed"], reopened["date_started"]) == (None, done["date_started"])
    assert reopened["progress"] == {"done": 2, "total": 2}
    labeler.ok("PUT", f"{path}/objects", [{"image_id": ids[0], "objects": [make.thing("B"), make.thing("C")]}])
    again = service.get(path)
    assert again["status"] == "completed", "the last put of a campaign that is labeled throughout completes it"
    assert again["date_completed"] > done["date_completed"]
    labels = [
        [label_object["label"] for label_object in image["objects"]]
        for image in service.get(f"{path}/objects")["images"]
    ]
    assert labels == [["B", "C"], ["A"]]


def test_labels_instructions_and_translations_are_returned(service):
    order = {
        "labels": ["Plastic", "Wood"],
        "instructions": "Draw **tight** boxes.",
        "label_translations": {"Wood": {"nl": "Hout", "de": "Holz"}},
    }
    campaign, _, _ = service.campaign(images=0, active=False, **order)
    body = service.get(f"/campaigns/{campaign['campaign_id']}")
    assert {name: body[name] for name in order} == order
    plain, _, _ = service.campaign(images=0, active=False)
    assert plain["label_translations"] is None
    assert not {"labels", "instructions", "labels_csv_url"} & plain.keys()


@pytest.mark.parametrize(
    "order",
    [
        {"labels": []},
        {"labels": ["A", "A"]},
        {"labels": [" A"]},
        {"labels": ["A\n"]},
        {"labels": ["A"], "label_translations": {"B": {"nl": "b"}}},
        {"labeler_email": "nobody"},
        {"labeler_email": "a@b\r\nX: y"},
        {"title": ""},
        {"title": "\u0000"},
        {"title": "a\ud800"},
        {"title": "x" * 201},
        {"metadata": "text"},
        {"metadata": {"broken": "\ud800"}},
        {"surprise": 1},
    ],
)
def test_an_order_that_contradicts_itself_is_refused(service, make, order):
    before = service.get("/campaigns")["pagination"]["total"]
    body = {"title": make.fresh("bad"), "metadata": None, "labeler_email": "a@example.com", **order}
    response = service("POST", "/campaigns", body)
    assert (response.status_code, response.json()["error"]["code"]) == (422, "invalid"), response.text
    assert service.get("/campaigns")["pagination"]["total"] == before


def test_metadata_comes_back_as_it_was(service):
    metadata = {"a": [1, 2.5, None, {"ü": "<b>"}], "big": 2**70, "exact": 0.1, "": True}
    campaign, _, _ = service.campaign(images=0, metadata=metadata)
    assert service.get(f"/campaigns/{campaign['campaign_id']}")["metadata"] == metadata
    nan = service(
        "POST",
        "/image_sets",
        None,
        data='{"title": "nan", "metadata": {"a": NaN}}',
        headers={"Content-Type": "application/json"},
    )
    assert nan.status_code == 422


def test_a_title_can_be_used_once_and_found_by(service):
    campaign, _, _ = service.campaign(images=0)
    taken = service(
        "POST", "/campaigns", {"title": campaign["title"], "metadata": None, "labeler_email": "a@example.com"}
    )
    assert (taken.status_code, taken.json()["error"]["code"]) == (409, "conflict")
    (match,) = service.get("/campaigns", params={"title": campaign["title"]})["campaigns"]
    assert match["campaign_id"] == campaign["campaign_id"]


def test_adding_an_image_twice_does_no_harm(service, make):
    campaign, ids, labeler = service.campaign(images=3)
    path = f"/campaigns/{campaign['campaign_id']}"
    for body in ([{"id": ids[0]}], [{"id": ids[1]}, {"id": ids[1]}], []):
        assert service.ok("POST", f"{path}/images", body) == "ok"
    assert service.get(path)["progress"]["total"] == 3
    labeler.ok("PUT", f"{path}/objects", [{"image_id": image, "objects": []} for image in ids])
    assert service.ok("POST", f"{path}/images", [{"id": ids[0]}]) == "ok", "also when it is completed"
    other = service.images_of(service.set_of({"a.png": make.picture(9, 9)})["imageset_id"])
    late = service("POST", f"{path}/images", [{"id": other[0]["image_id"]}])
    assert late.status_code == 409


def test_an_unknown_image_is_named_and_nothing_is_added(service):
    _, ids, _ = service.campaign(images=1, active=False)
    other, _, _ = service.campaign(images=0, active=False)
    path = f"/campaigns/{other['campaign_id']}"
    response = service("POST", f"{path}/images", [{"id": ids[0]}, {"id": 777_777}])
    assert response.status_code == 404
    assert "777777" in response.json()["error"]["message"]
    assert service.get(path)["progress"]["total"] == 0
    for bad in ([{"id": 0}], [{"id": "1"}], [{"id": 2**63}], [{"id": 1.5}], [{}], {"id": 1}):
        assert service("POST", f"{path}/images", bad).status_code == 422


def test_an_image_can_be_in_two_campaigns(service, make):
    first, ids, labeler = service.campaign(images=1)
    second, _, _ = service.campaign(images=0)
    service.ok("POST", f"/campaigns/{second['campaign_id']}/images", [{"id": ids[0]}])
    labeler.ok("PUT", f"/campaigns/{first['campaign_id']}/objects", [{"image_id": ids[0], "objects": [make.thing()]}])
    assert service.get(f"/campaigns/{second['campaign_id']}")["progress"] == {"done": 0, "total": 1}
    assert service.get(f"/campaigns/{second['campaign_id']}/objects")["images"] == []
