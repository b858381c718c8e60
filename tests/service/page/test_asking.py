"""When a labeler cannot go on: skipping with a reason, and notes with their answers."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser


def test_an_image_is_skipped_with_a_reason_and_labeled_later(at_page, service):
    page, (first, _) = at_page(2, allow_skip=True)
    press = page.browser.press
    page.draw((50, 50), (150, 150))
    press("k")
    page.browser.wait_text("#writing-hint", "1 shape on it will be deleted")
    press("Enter")  # no reason, no skip
    page.browser.type("too blurred")
    press("Enter")
    page.browser.wait(lambda: page.place == 2, "the next image")
    page.ready()
    assert page.stored(first)["skipped"] == "too blurred"
    assert page.objects(first) == []
    press("PageUp")
    page.browser.wait(lambda: page.place == 1, "the first image")
    page.ready()
    assert page.saved == "Skipped: too blurred"
    assert page.shapes == []
    page.draw((60, 60), (150, 150))
    page.submit()
    page.browser.wait(lambda: page.objects(first), "its labels after all")
    assert page.stored(first)["skipped"] is None
    page.browser.wait(lambda: page.place == 2, "the second image")
    page.ready()
    press("k")
    page.browser.wait(lambda: page.browser.shown("#writing-ready button"), "the last reason")
    page.browser.click("#writing-ready button")
    page.browser.wait_text("#campaign-state", "completed")
    progress = service.get(f"/campaigns/{page.campaign['campaign_id']}")["progress"]
    assert progress == {"done": 2, "total": 2, "skipped": 1}


def test_without_leave_there_is_no_skipping(at_page):
    page, (first, *_) = at_page(2)
    assert not page.browser.shown("#skip-button")
    page.browser.press("k")
    page.browser.wait_text("#toast", "may be skipped")
    assert not page.stored(first)["done"]


@pytest.mark.every_browser
def test_a_note_about_a_shape_reaches_the_requester_and_the_answer_the_labeler(at_page, service):
    page, _ = at_page(2)
    press = page.browser.press
    page.draw((50, 50), (150, 150))
    (drawn,) = page.shapes
    press("m")
    page.browser.wait(lambda: page.browser.shown("#writing-about"), "the note")
    page.browser.type("Is this plastic?")
    press("Enter")
    page.browser.wait_text("#toast", "sent")
    assert page.browser.text("#notes").endswith("Is this plastic?Not answered yet.")
    path = f"/campaigns/{page.campaign['campaign_id']}/notes"
    (note,) = service.get(path)["notes"]
    box = note["shape"]["bounding_box"]
    assert note["shape"]["label"] == "Plastic"
    assert f"at {box['xmin']:.0f}, {box['ymin']:.0f}" in drawn
    service.ok("PUT", f"{path}/{note['note_id']}", {"answer": "Yes, a crate."})
    page.reload()
    page.browser.wait_text("#notes .note-answer", "Answer: Yes, a crate.")
    press("Escape")
    page.browser.click("#notes button")
    assert page.browser.js("return document.querySelectorAll('#shapes .row[aria-pressed=true]').length") == 1
    press("Delete")
    page.browser.click("#notes button")
    page.browser.wait_text("#toast", "not there any more")
    page.browser.press("g")
    page.browser.wait(lambda: page.browser.texts("#list-rows .row")[0] == "100.pngansweredopen", "its mark")


def test_a_note_that_cannot_be_sent_is_not_lost(at_page):
    page, _ = at_page(2, page={"allow": ("ERR_INTERNET_DISCONNECTED",)})
    page.browser.offline(True)
    page.browser.press("m")
    page.browser.wait(lambda: page.browser.shown("#writing"), "the note")
    page.browser.type("Which river?")
    page.browser.press("Enter")
    page.browser.wait_text("#toast", "It said: Which river?")
    page.browser.offline(False)
