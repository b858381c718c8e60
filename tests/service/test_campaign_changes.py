"""Campaigns that are changed while labelers work."""

from __future__ import annotations

import pytest


def path_of(campaign):
    return f"/campaigns/{campaign['campaign_id']}"


def test_a_label_that_is_added_can_be_given_at_once(service, make):
    campaign, ids, labeler = service.campaign(images=2, labels=["A"], instructions="First.")
    path, objects = path_of(campaign), [{"image_id": ids[0], "objects": [make.thing("B")]}]
    labeler.ok("PUT", f"{path}/objects", [{"image_id": ids[1], "objects": [make.thing("A")]}])
    assert labeler("PUT", f"{path}/objects", objects).status_code == 422
    change = {"labels": ["A", "B"], "instructions": "Second.", "label_translations": {"B": {"nl": "Bee"}}}
    for _ in range(2):
        changed = service.ok("PATCH", path, change)
        assert {name: changed[name] for name in change} == change
        assert "access_token" not in changed
    assert service.get(path)["progress"] == {"done": 1, "total": 2}
    labeler.ok("PUT", f"{path}/objects", objects)
    assert service.get(path)["status"] == "completed"


def test_a_field_that_is_absent_stays(service):
    campaign, _, _ = service.campaign(images=1, labels=["A"], instructions="First.")
    before = service.get(path_of(campaign))
    assert service.ok("PATCH", path_of(campaign), {}) == before
    assert service.ok("PATCH", path_of(campaign), {"metadata": {"river": 1}}) == {**before, "metadata": {"river": 1}}


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        ({"labels": ["B"]}, 409, "labels can be added and not removed: 'A' would be missing"),
        ({"labels": ["A", "A"]}, 422, "listed twice"),
        ({"label_translations": {"C": {"nl": "Zee"}}}, 422, "'C' is not one of the labels"),
        ({"title": "other"}, 422, ""),
    ],
)
def test_a_change_that_is_not_safe_is_refused_as_a_whole(service, change, status, message):
    campaign, _, _ = service.campaign(images=1, labels=["A"])
    before = service.get(path_of(campaign))
    response = service("PATCH", path_of(campaign), {"instructions": "Not this.", **change})
    assert response.status_code == status
    assert message in response.json()["error"]["message"]
    assert service.get(path_of(campaign)) == before


def test_a_campaign_that_takes_any_label_gets_no_list(service):
    campaign, _, _ = service.campaign(images=1)
    response = service("PATCH", path_of(campaign), {"labels": ["A"]})
    assert (response.status_code, response.json()["error"]["code"]) == (409, "conflict")


def test_another_labeler_takes_over_with_a_key_of_his_own(service):
    campaign, ids, first = service.campaign(images=1, labels=["A"])
    path, email = path_of(campaign), f"second-{campaign['campaign_id']}@example.com"
    changed = service.ok("PATCH", path, {"labeler_email": email})
    second = service.labeler(changed)
    assert first("GET", f"{path}/images").status_code == 404
    second.ok("PUT", f"{path}/objects", [{"image_id": ids[0], "objects": []}])
    assert "access_token" not in service.ok("PATCH", path, {"labeler_email": email})


def test_a_finished_campaign_and_a_labeler_change_nothing(service):
    campaign, _, labeler = service.campaign(images=1, labels=["A"])
    path = path_of(campaign)
    assert labeler("PATCH", path, {"labels": ["A", "B"]}).status_code == 403
    for state in ("completed", "finished"):
        service.ok("PUT", path, {"new_status": state})
    assert service("PATCH", path, {"labels": ["A", "B"]}).status_code == 409
    service.ok("PATCH", path, {"labels": ["A"]})
    assert service("PATCH", "/campaigns/999999", {}).status_code == 404
