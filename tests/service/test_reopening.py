"""Images that are given back to their labeler: they alone are to be done again, and the others stay as they are."""

from __future__ import annotations

import pytest


def labeled(service, make, images=4):
    """A completed campaign: its path, the ids of its images, and its labeler."""
    campaign, ids, labeler = service.campaign(images=images)
    path = f"/campaigns/{campaign['campaign_id']}"
    objects = [[make.thing(f"of {number}", 0.1 * number)] if number else [] for number in range(images)]
    body = [{"image_id": image, "objects": listed} for image, listed in zip(ids, objects, strict=True)]
    labeler.ok("PUT", f"{path}/objects", body)
    assert service.get(path)["status"] == "completed"
    return path, ids, labeler


def stored(service, path):
    return {image["image_id"]: image for image in service.get(f"{path}/objects")["images"]}


@pytest.mark.parametrize("status", ["completed", "finished"])
def test_only_reopened_images_are_to_be_done_again(service, make, status):
    path, ids, labeler = labeled(service, make)
    if status == "finished":
        service.ok("PUT", path, {"new_status": "finished"})
    before = stored(service, path)
    reopened = [{"image_id": ids[1], "reason": "the mast is missing"}, {"image_id": ids[0]}]
    assert service.ok("POST", f"{path}/images/reopen", reopened) == "ok"
    campaign = service.get(path)
    assert (campaign["status"], campaign["progress"]) == ("active", {"done": 2, "total": 4})
    assert (campaign["date_completed"], campaign["date_finished"]) == (None, None)
    assert stored(service, path) == {image: before[image] for image in ids[2:]}
    listed = {image["image_id"]: image for image in labeler.get(f"{path}/images")["images"]}
    assert [listed[image].get("reopened") for image in ids] == ["", "the mast is missing", None, None]
    labeler.ok("PUT", f"{path}/objects", [{"image_id": ids[1], "objects": [make.thing("corrected")]}])
    assert service.get(path)["status"] == "active", "the other one is not submitted again yet"
    labeler.ok("PUT", f"{path}/objects", [{"image_id": ids[0], "objects": []}])
    assert service.get(path)["status"] == "completed"
    after = stored(service, path)
    assert {image: after[image] for image in ids[2:]} == {image: before[image] for image in ids[2:]}
    assert not any("reopened" in image for image in labeler.get(f"{path}/images")["images"])


def test_labeler_gets_the_reason_and_the_objects_of_before(service, make):
    path, ids, labeler = labeled(service, make)
    where = f"/labeling{path}/images/{ids[1]}"
    before = labeler.get(where)
    service.ok("POST", f"{path}/images/reopen", [{"image_id": ids[1], "reason": "the mast is missing"}])
    now = labeler.get(where)
    assert now == {**before, "done": False, "reopened": "the mast is missing"}, (
        "an open page is not out of date by that"
    )
    response = labeler("PUT", where, {"objects": before["objects"]}, headers={"If-Match": f'"{before["revision"]}"'})
    assert response.status_code == 200
    assert labeler.get(where) == before
    assert service.get(path)["status"] == "completed"


def test_reopening_again_changes_the_reason_and_nothing_else(service, make):
    path, ids, labeler = labeled(service, make)
    for reason in ("first", "second", "second"):
        service.ok("POST", f"{path}/images/reopen", [{"image_id": ids[0], "reason": reason}])
        assert service.get(path)["progress"]["done"] == 3
        assert labeler.get(f"{path}/images")["images"][0]["reopened"] == reason


def test_a_repeated_request_does_not_take_back_a_correction(service, make):
    path, ids, labeler = labeled(service, make)
    key = {"Idempotency-Key": f"reopen-{ids[0]}"}
    service.ok("POST", f"{path}/images/reopen", [{"image_id": ids[0], "reason": ""}], headers=key)
    labeler.ok("PUT", f"{path}/objects", [{"image_id": ids[0], "objects": [make.thing("corrected")]}])
    service.ok("POST", f"{path}/images/reopen", [{"image_id": ids[0], "reason": ""}], headers=key)
    assert service.get(path)["status"] == "completed"


def test_unknown_images_are_named_and_none_is_reopened(service, make):
    path, ids, labeler = labeled(service, make)
    response = service("POST", f"{path}/images/reopen", [{"image_id": ids[0]}, {"image_id": 888_888}])
    details = response.json()["error"]["details"]
    assert (response.status_code, details["unknown"], details["count"]) == (422, [888_888], 1)
    assert details["places"][0].endswith("].image_id")
    assert service.get(path)["progress"]["done"] == 4
    assert labeler("POST", f"{path}/images/reopen", [{"image_id": ids[0]}]).status_code == 403
    assert service("POST", "/campaigns/999999/images/reopen", [{"image_id": ids[0]}]).status_code == 404


def test_images_that_were_never_submitted_stay_to_be_done(service):
    campaign, ids, labeler = service.campaign(images=2)
    path = f"/campaigns/{campaign['campaign_id']}"
    service.ok("POST", f"{path}/images/reopen", [{"image_id": ids[0], "reason": "x"}])
    assert not any("reopened" in image for image in labeler.get(f"{path}/images")["images"])
    created, images, _ = service.campaign(images=1, active=False)
    early = service("POST", f"/campaigns/{created['campaign_id']}/images/reopen", [{"image_id": images[0]}])
    assert early.status_code == 409


def test_reopening_no_image_gives_back_the_campaign_alone(service, make):
    path, _, _ = labeled(service, make)
    service.ok("PUT", path, {"new_status": "finished"})
    before = stored(service, path)
    service.ok("POST", f"{path}/images/reopen", [])
    campaign = service.get(path)
    assert (campaign["status"], campaign["progress"]["done"], stored(service, path)) == ("active", 4, before)
