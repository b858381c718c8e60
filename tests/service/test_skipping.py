"""Labelers may skip images for a reason, in campaigns that allow it; a skipped image is no empty one."""

from __future__ import annotations

import csv
import io

import pytest
import requests

from .conftest import thing


@pytest.fixture
def skippable(service):
    created, ids, labeler = service.campaign(3, allow_skip=True)
    return created["campaign_id"], ids, labeler


def skip(labeler, campaign, image, reason="too blurred", revision=None):
    path = f"/labeling/campaigns/{campaign}/images/{image}"
    seen = revision or labeler.get(path)["revision"]
    return labeler("PUT", f"{path}/skip", {"reason": reason}, headers={"If-Match": f'"{seen}"'})


def test_a_skipped_image_is_done_and_told_apart_from_an_empty_one(service, skippable):
    campaign, (first, second, third), labeler = skippable
    assert service.get(f"/campaigns/{campaign}")["allow_skip"] is True
    assert skip(labeler, campaign, first, "  too blurred \n").status_code == 200
    labeler.ok("PUT", f"/campaigns/{campaign}/objects", [{"image_id": second, "objects": []}])
    assert service.get(f"/campaigns/{campaign}")["progress"] == {"done": 2, "total": 3, "skipped": 1}
    images = service.get(f"/campaigns/{campaign}/objects")["images"]
    assert [(image["image_id"], image["objects"], image.get("skipped")) for image in images] == [
        (first, [], "too blurred"),
        (second, [], None),
    ]
    assert skip(labeler, campaign, third, "not a river").json()["campaign"]["status"] == "completed"
    service.ok("PUT", f"/campaigns/{campaign}", {"new_status": "finished"})
    text = requests.get(service.get(f"/campaigns/{campaign}")["labels_csv_url"], timeout=60).text
    assert [row["image_id"] for row in csv.DictReader(io.StringIO(text))] == [str(second)]


def test_labels_and_reopening_take_a_skip_back(service, skippable):
    campaign, (first, second, _), labeler = skippable
    skip(labeler, campaign, first)
    skip(labeler, campaign, second)
    labeler.ok("PUT", f"/campaigns/{campaign}/objects", [{"image_id": first, "objects": [thing()]}])
    assert service.get(f"/campaigns/{campaign}")["progress"] == {"done": 2, "total": 3, "skipped": 1}
    service.ok("POST", f"/campaigns/{campaign}/images/reopen", [{"image_id": second, "reason": "it is sharp"}])
    assert service.get(f"/campaigns/{campaign}")["progress"] == {"done": 1, "total": 3, "skipped": 0}
    listed = labeler.get(f"/labeling/campaigns/{campaign}/images")["images"]
    assert [image.get("reopened") for image in listed] == [None, "it is sharp", None]
    assert not any("skipped" in image for image in listed)


def test_a_skip_overwrites_nothing_unseen_and_is_safe_to_repeat(service, skippable):
    campaign, (first, *_), labeler = skippable
    labeler.ok("PUT", f"/campaigns/{campaign}/objects", [{"image_id": first, "objects": [thing()]}])
    assert skip(labeler, campaign, first, revision="none").status_code == 412
    assert skip(labeler, campaign, first).status_code == 200
    assert skip(labeler, campaign, first, revision="none").status_code == 200, "the same again, after a lost response"
    # An empty image is not what is stored: who has seen it does not overwrite the skip.
    path = f"/labeling/campaigns/{campaign}/images/{first}"
    answer = labeler("PUT", path, {"objects": []}, headers={"If-Match": '"none"'})
    assert answer.status_code == 412


def test_without_leave_or_reason_or_in_another_state_nothing_is_skipped(service, skippable):
    created, (image, *_), labeler = service.campaign(1)
    refused = skip(labeler, created["campaign_id"], image)
    assert refused.status_code == 409
    assert "may be skipped" in refused.json()["error"]["message"]
    assert "allow_skip" not in service.get(f"/campaigns/{created['campaign_id']}")
    campaign, (first, *_), labeler = skippable
    assert skip(labeler, campaign, first, " \n ").status_code == 422
    path = f"/labeling/campaigns/{campaign}/images/{first}/skip"
    assert labeler("PUT", path, {"reason": "x"}).status_code == 428
    service.ok("PUT", f"/campaigns/{campaign}", {"new_status": "completed"})
    assert skip(labeler, campaign, first).status_code == 409
    assert service.get(f"/campaigns/{campaign}")["progress"] == {"done": 0, "total": 3, "skipped": 0}
