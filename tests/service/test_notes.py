"""Labelers write notes to whoever ordered the labels, about an image or a shape, and get answers."""

from __future__ import annotations

import pytest


@pytest.fixture
def noted(service):
    created, ids, labeler = service.campaign(2)
    return created["campaign_id"], ids, labeler


SHAPE = {"label": "Plastic", "bounding_box": {"xmin": 1.0, "xmax": 5.0, "ymin": 2.0, "ymax": 6.0}}


def test_a_note_is_listed_and_its_answer_shown_at_the_image(service, noted):
    campaign, (first, second), labeler = noted
    path = f"/labeling/campaigns/{campaign}/images"
    note = labeler.ok("POST", f"{path}/{first}/notes", {"text": " Is this a buoy? ", "shape": SHAPE})
    again = labeler.ok("POST", f"{path}/{first}/notes", {"text": "Is this a buoy?", "shape": SHAPE})
    assert again == note, "the same note is added once"
    labeler.ok("POST", f"{path}/{second}/notes", {"text": "Upside down."})
    (one, two) = service.get(f"/campaigns/{campaign}/notes")["notes"]
    assert (one["text"], one["shape"], one["answer"], two["shape"]) == ("Is this a buoy?", SHAPE, None, None)
    assert one["file_name"]
    service.ok("PUT", f"/campaigns/{campaign}/notes/{note['note_id']}", {"answer": "Yes: label it."})
    (shown,) = labeler.get(f"{path}/{first}")["notes"]
    assert (shown["answer"], bool(shown["date_answered"])) == ("Yes: label it.", True)
    assert [n["note_id"] for n in service.get(f"/campaigns/{campaign}/notes?open=true")["notes"]] == [two["note_id"]]
    listed = labeler.get(path)["images"]
    assert [(image.get("notes"), image.get("answers")) for image in listed] == [(1, 1), (1, 0)]


def test_a_campaign_counts_its_notes_without_an_answer(service, noted):
    campaign, (first, second), labeler = noted
    path = f"/labeling/campaigns/{campaign}/images"
    assert "unanswered_notes" not in service.get(f"/campaigns/{campaign}"), "optional fields are left out"
    note = labeler.ok("POST", f"{path}/{first}/notes", {"text": "Is this a buoy?"})
    labeler.ok("POST", f"{path}/{second}/notes", {"text": "Upside down."})
    assert service.get(f"/campaigns/{campaign}")["unanswered_notes"] == 2
    service.ok("PUT", f"/campaigns/{campaign}/notes/{note['note_id']}", {"answer": "Yes."})
    assert service.get(f"/campaigns/{campaign}")["unanswered_notes"] == 1
    other, _, _ = service.campaign(1)
    assert "unanswered_notes" not in service.get(f"/campaigns/{other['campaign_id']}")


@pytest.mark.parametrize("corner", ["0.0", True, None])
def test_corners_of_a_noted_shape_are_numbers(noted, corner):
    campaign, (first, _), labeler = noted
    body = {"text": "Is this a buoy?", "shape": {**SHAPE, "bounding_box": {**SHAPE["bounding_box"], "ymax": corner}}}
    assert labeler("POST", f"/labeling/campaigns/{campaign}/images/{first}/notes", body).status_code == 422


def test_notes_are_of_ones_own_campaign_and_only_admins_answer(service, noted):
    campaign, (first, _), labeler = noted
    _, _, other = service.campaign(1)
    path = f"/labeling/campaigns/{campaign}/images/{first}/notes"
    note = labeler.ok("POST", path, {"text": "?"})
    assert other("POST", path, {"text": "mine"}).status_code == 404
    assert other("GET", f"/campaigns/{campaign}/notes").status_code == 404
    answer = f"/campaigns/{campaign}/notes/{note['note_id']}"
    assert labeler("PUT", answer, {"answer": "!"}).status_code == 403
    assert service("PUT", f"/campaigns/{campaign}/notes/{note['note_id'] + 99}", {"answer": "!"}).status_code == 404
    assert labeler("POST", path, {"text": " "}).status_code == 422
    assert labeler("POST", path, {"text": "x" * 2001}).status_code == 422
