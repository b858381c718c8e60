"""The list of images: names, thumbnails, filter and search; and instructions with links and pictures."""

from __future__ import annotations

import base64

import pytest

from tests.service.page.labeling import chequered

pytestmark = pytest.mark.browser


SET_FILTER = (
    "const s = document.getElementById('list-filter'); s.value = arguments[0];s.dispatchEvent(new Event('change'))"
)


def rows(page):
    return page.browser.texts("#list-rows .row")


def test_images_are_found_by_name_number_and_state(at_page, service, make):
    names = ["bank.png", "river 1.png", "river 2.png", "sluice.png", "weir.png"]
    page, ids = at_page({name: chequered(320, 200, (10, 10, 60, 60)) for name in names}, allow_skip=True)
    path = f"/campaigns/{page.campaign['campaign_id']}"
    page.caller.ok("PUT", f"{path}/objects", [{"image_id": i, "objects": [make.thing("Wood")]} for i in ids[:2]])
    service.ok("POST", f"{path}/images/reopen", [{"image_id": ids[1], "reason": "look again"}])
    page.caller.ok("POST", f"/labeling{path}/images/{ids[4]}/notes", {"text": "Which side is left?"})
    skip = f"/labeling{path}/images/{ids[3]}/skip"
    page.caller.ok("PUT", skip, {"reason": "too dark"}, headers={"If-Match": '"none"'})
    page.open()
    page.browser.press("g")
    expected = ["1bank.pngdone", "2river 1.pngreopened", "3river 2.pngopen", "4sluice.pngskipped", "5weir.pngnoteopen"]
    page.browser.wait(lambda: rows(page) == expected, "all images")
    loaded = "return [...document.querySelectorAll('.thumbnail')].every(i => i.naturalWidth === 160)"
    page.browser.wait(lambda: page.browser.js(loaded), "the thumbnails")
    for choice, found in {"done": [0], "todo": [1, 2, 4], "reopened": [1], "skipped": [3], "note": [4]}.items():
        page.browser.js(SET_FILTER, choice)
        assert rows(page) == [expected[i] for i in found], choice
    page.browser.js(SET_FILTER, "all")
    page.browser.click("#list-search")
    page.browser.type("RIVER")
    assert rows(page) == expected[1:3]
    assert page.browser.text("#list-count") == "2 of 5"
    for _ in range(5):
        page.browser.press("Backspace")
    page.browser.type("5")
    page.browser.press("Enter")
    page.browser.wait(lambda: page.place == 5, "the fifth image")
    page.ready()
    assert page.browser.text("#notes .note-text") == "Which side is left?"


@pytest.mark.every_browser
def test_instructions_have_links_and_pictures_and_nothing_else(at_page):
    small = base64.b64encode(chequered(20, 10, (1, 1, 5, 5))).decode()
    written = (
        "See https://example.org/guide?a=1&b=2, and [the rules](https://example.org/rules).\n"
        f"![drawn](data:image/png;base64,{small}) ![sample](image:00.png) ![far](https://example.org/x.png)\n"
        "[no](javascript:window.hit=1) ![no](data:text/html;base64,PGI+) ![none](image:missing.png) <b>bold</b>"
    )
    page, _ = at_page(2, instructions=written)
    page.browser.press("i")
    page.browser.wait(lambda: page.browser.shown("#instructions"), "the instructions")
    links = page.browser.js(
        "return [...document.querySelectorAll('#instructions-text a')]"
        ".map(a => [a.textContent, a.href, a.target, a.rel])"
    )
    safe = ["_blank", "noopener noreferrer"]
    assert links == [
        ["https://example.org/guide?a=1&b=2", "https://example.org/guide?a=1&b=2", *safe],
        ["the rules", "https://example.org/rules", *safe],
        ["far", "https://example.org/x.png", *safe],
    ]
    sizes = (
        "return [...document.querySelectorAll('#instructions-text img')]"
        ".map(i => [i.alt, i.naturalWidth, i.naturalHeight])"
    )
    page.browser.wait(lambda: page.browser.js(sizes) == [["drawn", 20, 10], ["sample", 640, 480]], "two pictures")
    text = page.browser.text("#instructions-text")
    assert text.endswith(
        "[no](javascript:window.hit=1) ![no](data:text/html;base64,PGI+) ![none](image:missing.png) <b>bold</b>"
    )
