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


SCHEMA = [
    {
        "name": "A",
        "geometry": "box",
        "color": None,
        "parent": None,
        "attributes": [{"name": "state", "values": ["whole", "torn"], "default": None, "required": False}],
        "translations": {},
    }
]


def label(name: str, **fields: object) -> dict[str, object]:
    return {**SCHEMA[0], "name": name, "attributes": [], **fields}


def test_a_schema_is_widened_while_labelers_work(service, make):
    campaign, ids, labeler = service.campaign(images=2, label_schema=SCHEMA)
    path = path_of(campaign)
    outline = {**make.thing("A"), "polygon": [[1, 2], [30, 2], [30, 40], [1, 40]]}
    assert labeler("PUT", f"{path}/objects", [{"image_id": ids[0], "objects": [outline]}]).status_code == 422
    states = {**SCHEMA[0]["attributes"][0], "values": ["whole", "torn", "lost"]}
    wider = [{**SCHEMA[0], "geometry": "any", "color": "#102030", "attributes": [states]}, label("B", parent="A")]
    for _ in range(2):
        changed = service.ok("PATCH", path, {"label_schema": wider})
        assert (changed["label_schema"], changed["labels"]) == (wider, ["A", "B"])
    objects = [outline | {"attributes": {"state": "lost"}}, make.thing("B")]
    labeler.ok("PUT", f"{path}/objects", [{"image_id": ids[0], "objects": objects}])


def test_names_and_translations_alone_keep_the_schema_in_step(service, make):
    campaign, ids, labeler = service.campaign(images=1, label_schema=SCHEMA)
    path = path_of(campaign)
    changed = service.ok("PATCH", path, {"labels": ["A", "B"], "label_translations": {"B": {"nl": "Bee"}}})
    assert [entry["name"] for entry in changed["label_schema"]] == ["A", "B"]
    assert changed["label_schema"][0] == SCHEMA[0]
    assert changed["label_schema"][1] == label("B", geometry="any", translations={"nl": "Bee"})
    labeler.ok("PUT", f"{path}/objects", [{"image_id": ids[0], "objects": [make.thing("B")]}])


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ([label("A", geometry="polygon")], "label 'A' takes box: it can be widened to any, and not become polygon"),
        ([label("A")], "attribute 'state' of label 'A' and its values can be added to, not removed"),
        ([label("B")], "'A' would be missing"),
    ],
)
def test_a_schema_that_would_forbid_objects_that_exist_is_refused(service, schema, message):
    campaign, _, _ = service.campaign(images=1, label_schema=SCHEMA)
    response = service("PATCH", path_of(campaign), {"label_schema": schema})
    assert response.status_code == 409
    assert message in response.json()["error"]["message"]


def test_a_campaign_of_names_gets_a_schema_that_allows_as_much(service):
    campaign, _, _ = service.campaign(images=1, labels=["A"])
    path = path_of(campaign)
    assert service("PATCH", path, {"label_schema": [label("A")]}).status_code == 409
    schema = [label("A", geometry="any"), label("B")]
    assert service.ok("PATCH", path, {"label_schema": schema})["label_schema"] == schema
