"""A day at the page: submitting, undoing, leaving, coming back, losing the network."""

from __future__ import annotations

import time

import pytest

pytestmark = pytest.mark.browser


@pytest.mark.every_browser
def test_enter_submits_and_opens_next_open_image_until_complete(at_page, service):
    page, ids = at_page(3)
    number = page.campaign["campaign_id"]
    for n, image in enumerate(ids, 1):
        page.browser.wait(lambda n=n: page.place == n and page.frame, f"image {n}")
        page.ready()
        page.draw((50, 50), (150, 150))
        assert page.saved == "Draft saved here, not submitted"
        assert not page.stored(image)["done"], "nothing is sent before it is submitted"
        page.submit()
        page.wait_done(image)
    page.browser.wait_text("#campaign-state", "completed")
    assert service.get(f"/campaigns/{number}")["status"] == "completed"
    assert page.browser.text("#progress-text") == "3 of 3 done"
    page.browser.wait_text("#banner", "complete")
    # Read-only is real: neither drawing nor keys change anything.
    page.browser.press("Escape")
    page.draw((300, 300), (400, 400))
    page.browser.press("Delete")
    page.browser.press("a")
    page.browser.press("2")
    page.submit()
    time.sleep(0.3)
    assert len(page.shapes) == 1
    assert page.shapes[0].startswith("1. Plastic")
    assert [len(page.objects(image)) for image in ids] == [1, 1, 1]


def test_an_empty_image_is_submitted_only_on_purpose(at_page):
    page, (first, *_) = at_page()
    page.submit()
    page.browser.wait_text("#toast", "Nothing is drawn")
    assert not page.stored(first)["done"]
    page.browser.press("e")
    assert page.browser.js("return document.getElementById('nothing-button').getAttribute('aria-pressed')") == "true"
    page.submit()
    page.wait_done(first)
    assert page.objects(first) == []
    page.browser.wait(lambda: page.place == 2, "the next image")
    page.browser.press("PageUp")
    page.browser.wait(lambda: page.place == 1, "the first image")
    page.ready()
    page.browser.wait_text("#no-shapes", "Nothing here")
    assert page.saved == "Submitted"


def test_undo_and_redo_go_one_step_at_a_time_labels_included(at_page):
    page, _ = at_page()
    page.draw((50, 50), (150, 150))
    page.browser.press("2")
    page.draw((300, 100), (400, 200))
    page.browser.press("Right")
    page.browser.press("Delete")
    steps = [page.shapes]
    for _ in range(5):
        page.browser.press("Control", "z")
        steps.append(page.shapes)
    description = steps[4][0].removeprefix("1. Plastic, ")
    two = steps[2][1].removeprefix("2. Wood, ")
    assert steps[0] == [f"1. Wood, {description}"]
    assert steps[1][1] != steps[2][1], "the move is taken back by itself"
    assert steps[2] == [f"1. Wood, {description}", f"2. Wood, {two}"]
    assert steps[3] == [f"1. Wood, {description}"]
    assert steps[4] == [f"1. Plastic, {description}"]
    assert steps[5] == []
    assert page.saved == "Nothing drawn yet"
    for _ in range(3):
        page.browser.press("Control", "y")
    assert page.shapes == steps[2]
    page.browser.press("Control", "Shift", "Z")
    assert page.shapes == steps[1]


@pytest.mark.every_browser
def test_reload_keeps_all_work_and_returns_to_the_same_image(at_page):
    page, ids = at_page()
    page.browser.press("PageDown")
    page.browser.wait(lambda: page.place == 2, "the second image")
    page.ready()
    page.draw((60, 70), (160, 170))
    page.browser.press("p")
    page.click((300, 100), (400, 110), (350, 200))
    page.browser.press("Enter")
    drawn = page.shapes
    assert len(drawn) == 2
    page.reload()
    assert page.place == 2
    assert page.shapes == drawn
    assert page.saved == "Draft saved here, not submitted"
    assert "#" not in page.browser.address
    page.submit()
    page.wait_done(ids[1])
    page.browser.wait(lambda: page.place == 3, "the third image")
    assert len(page.objects(ids[1])) == 2


def test_what_was_labeled_is_shown_and_changed_after_reopening(at_page, service, make):
    page, (only,) = at_page(1)
    number = page.campaign["campaign_id"]
    objects = [
        {"label": "Wood", "confidence": 0.75, "bounding_box": make.box(10.5, 20.25, 110.5, 120)},
        {
            "label": "Organic",
            "confidence": 1,
            "bounding_box": make.box(200, 200, 300, 300),
            "polygon": [[200, 200], [300, 220], [250, 300]],
        },
    ]
    page.caller.ok("PUT", f"/campaigns/{number}/objects", [{"image_id": only, "objects": objects}])
    page.reload()
    assert [s.split(",")[0] for s in page.shapes] == ["1. Wood", "2. Organic"]
    assert page.browser.text("#campaign-state") == "completed"
    service.ok("PUT", f"/campaigns/{number}", {"new_status": "active"})
    # The page finds out by itself: when one comes back to it, and every 20 seconds.
    page.browser.js("dispatchEvent(new Event('online'))")
    page.browser.wait_text("#campaign-state", "active")
    page.draw((400, 300), (450, 350))
    page.browser.press("3")
    page.submit()
    page.browser.wait_text("#question-heading", "completes the campaign again")
    page.browser.click("#question-buttons .primary")
    page.browser.wait(lambda: len(page.objects(only)) == 3, "three objects")
    assert page.objects(only)[:2] == objects, "what was not touched stays digit for digit"
    assert page.objects(only)[2]["label"] == "Organic"


def test_corrections_in_a_reopened_campaign_go_together(at_page, service, make):
    page, ids = at_page(3)
    number = page.campaign["campaign_id"]
    page.caller.ok(
        "PUT", f"/campaigns/{number}/objects", [{"image_id": i, "objects": [make.thing("Wood")]} for i in ids]
    )
    service.ok("PUT", f"/campaigns/{number}", {"new_status": "active"})
    page.open()
    page.browser.wait_text("#banner", "reopened")
    page.draw((300, 300), (400, 400))
    page.submit()
    page.browser.wait_text("#question-heading", "completes the campaign again")
    page.browser.click("#question-buttons button")  # go on correcting
    assert [len(page.objects(image)) for image in ids] == [1, 1, 1]
    page.browser.press("PageDown")
    page.browser.wait(lambda: page.place == 2, "the second image")
    page.ready()
    page.draw((300, 300), (400, 400))
    page.submit()
    page.browser.wait_text("#question-text", "Your 2 drafts are submitted together")
    page.browser.click("#question-buttons .primary")
    page.browser.wait_text("#campaign-state", "completed")
    assert [len(page.objects(image)) for image in ids] == [2, 2, 1]
    page.browser.press("PageUp")
    page.browser.wait(lambda: page.place == 1, "the first image")
    page.ready()
    assert page.saved == "Submitted"
    assert len(page.shapes) == 2


def test_reopened_images_show_their_reason_and_are_submitted_again(at_page, service, make):
    page, ids = at_page(3)
    path = f"/campaigns/{page.campaign['campaign_id']}"
    page.caller.ok("PUT", f"{path}/objects", [{"image_id": i, "objects": [make.thing("Wood")]} for i in ids])
    reopened = [{"image_id": ids[1], "reason": "the mast is missing"}, {"image_id": ids[2]}]
    service.ok("POST", f"{path}/images/reopen", reopened)
    before = page.objects(ids[0])
    page.open()
    page.ready()
    page.browser.press("PageDown")
    page.browser.wait_text("#banner", "the mast is missing")
    page.ready()
    assert page.saved == "Reopened, not submitted again"
    page.browser.press("g")
    rows = ["100.pngdone", "201.pngreopened", "302.pngreopened"]
    page.browser.wait(lambda: page.browser.texts("#list-rows .row") == rows, "the marks of the images")
    page.browser.press("Escape")
    page.draw((300, 300), (400, 400))
    page.submit()
    page.browser.wait(lambda: page.place == 3 and page.frame, "the other one")
    page.ready()
    assert page.browser.text("#campaign-state") == "active"
    page.submit()  # unchanged: it was right
    page.browser.wait_text("#campaign-state", "completed")
    assert [len(page.objects(image)) for image in ids] == [1, 2, 1]
    assert page.objects(ids[0]) == before


def test_without_the_network_the_draft_stays_and_is_submitted_later(at_page):
    page, (first, *_) = at_page(6, page={"allow": ("ERR_INTERNET_DISCONNECTED",)})
    time.sleep(2)  # the next images are prefetched
    page.browser.offline(True)
    page.draw((50, 50), (150, 150))
    page.submit()
    page.browser.wait_text("#toast", "Not submitted")
    page.browser.wait_text("#saved", "no connection")
    assert "Draft saved here" in page.saved
    page.browser.press("PageDown")  # the next one was fetched ahead of time
    page.browser.wait(lambda: page.place == 2, "the second image")
    page.ready()
    page.draw((70, 70), (170, 170))
    page.browser.press("PageUp")
    page.browser.wait(lambda: page.place == 1, "the first image")
    page.ready()
    assert len(page.shapes) == 1
    page.browser.press("PageDown")
    page.browser.press("PageDown")
    page.browser.press("PageDown")
    page.browser.press("PageDown")
    page.browser.wait(lambda: page.browser.shown("#retry-button"), "an image that was not fetched")
    page.browser.offline(False)  # it is fetched by itself
    page.ready()
    for _ in range(4):
        page.browser.press("PageUp")
    page.browser.wait(lambda: page.place == 1, "the first image")
    page.ready()
    page.submit()
    page.wait_done(first)
    assert len(page.objects(first)) == 1


def test_two_tabs_on_one_image_do_not_overwrite_each_other_unseen(at_page, make):
    page, (first, *_) = at_page(page={"allow": ("412",)})
    browser = page.browser
    first_tab = browser.tab
    two = browser.new_tab()
    browser.switch(two)
    page.open()
    page.draw((50, 50), (100, 100))
    browser.switch(first_tab)
    browser.wait(lambda: len(page.shapes) == 1, "the other tab's draft")
    page.draw((200, 200), (300, 300))
    browser.switch(two)
    browser.wait(lambda: len(page.shapes) == 2, "the draft that followed")
    # Somebody submits the image from another device.
    number = page.campaign["campaign_id"]
    page.caller.ok("PUT", f"/campaigns/{number}/objects", [{"image_id": first, "objects": [make.thing("Wood")]}])
    page.draw((350, 350), (400, 400))
    page.submit()
    browser.wait_text("#question-heading", "changed elsewhere")
    assert "Stored now: 1 shape. Here: 3 shapes." in browser.text("#question-text")
    assert [o["label"] for o in page.objects(first)] == ["Wood"], "nothing was overwritten"
    browser.js(
        "[...document.querySelectorAll('#question-buttons button')].find(b => b.textContent.includes('stored')).click()"
    )
    browser.wait(lambda: [s.split(",")[0] for s in page.shapes] == ["1. Wood"], "what is stored")
    page.draw((350, 350), (400, 400))
    page.submit()
    browser.wait(lambda: len(page.objects(first)) == 2, "two objects")


def test_two_tabs_that_both_drew_ask_which_to_keep(at_page):
    page, _ = at_page()
    browser = page.browser
    first_tab = browser.tab
    two = browser.new_tab()
    browser.switch(two)
    # A tab that sleeps is told nothing.
    deaf = "addEventListener('storage', (event) => event.stopImmediatePropagation())"
    browser.run_first(deaf)
    page.open()
    browser.switch(first_tab)
    page.draw((50, 50), (100, 100))
    browser.switch(two)
    assert page.shapes == []
    page.draw((300, 300), (400, 400))
    browser.wait_text("#banner", "another tab")
    assert page.saved == "Not saved: open in two tabs"
    browser.switch(first_tab)
    assert page.saved == "Draft saved here, not submitted"
    browser.switch(two)
    browser.click("#banner-buttons button:last-child")
    browser.wait_text("#saved", "Draft saved here")
    browser.switch(first_tab)
    browser.wait_text("#banner", "another tab")
    mine = page.shapes
    browser.click("#banner-buttons button:first-child")
    browser.wait(lambda: page.shapes and page.shapes != mine, "the other tab's box")


def test_a_full_device_is_told(at_page):
    page, _ = at_page()
    page.browser.js("Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); }")
    page.draw((50, 50), (150, 150))
    assert page.saved == "Not saved on this device"
    page.browser.js("window.onbeforeunload = null; delete Storage.prototype.setItem")


def test_a_draft_older_than_what_is_stored_asks(at_page, make):
    page, (first, *_) = at_page()
    page.draw((50, 50), (150, 150))
    number = page.campaign["campaign_id"]
    page.caller.ok("PUT", f"/campaigns/{number}/objects", [{"image_id": first, "objects": [make.thing("Wood")] * 2}])
    page.browser.reload()
    page.browser.wait_text("#question-heading", "older than what is stored")
    page.browser.press("Escape")
    assert len(page.shapes) == 1
    page.submit()
    page.browser.wait(lambda: len(page.objects(first)) == 1, "mine, knowingly")


def test_the_list_shows_what_is_done_and_what_is_a_draft(at_page):
    page, ids = at_page(5)
    page.draw((50, 50), (150, 150))
    page.submit()
    page.wait_done(ids[0])
    page.browser.wait(lambda: page.place == 2, "the second")
    page.ready()
    page.draw((50, 50), (150, 150))
    page.browser.press("g")
    page.browser.wait(lambda: page.browser.shown("#list-rows li"), "the list")
    rows = page.browser.texts("#list-rows .row")
    assert rows == ["100.pngdone", "201.pngdraft", "302.pngopen", "403.pngopen", "504.pngopen"]
    page.browser.press("Down")
    page.browser.press("Down")
    page.browser.press("Enter")
    page.browser.wait(lambda: page.place == 4, "the fourth image")
