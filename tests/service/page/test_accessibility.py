"""axe finds nothing on any view, light or dark, and a campaign is labeled from the key to the end by keyboard alone."""

from __future__ import annotations

from typing import Any

import pytest

from tests.service.page.axe import audit as audit  # noqa: PLC0414 - a fixture
from tests.service.page.axe import axe as axe  # noqa: PLC0414 - a fixture
from tests.service.page.labeling import Labeler, chequered

pytestmark = pytest.mark.browser

SCHEMA: list[dict[str, Any]] = [
    {"name": "boat", "geometry": "box", "attributes": [{"name": "hull", "required": True}]},
    {"name": "mast", "geometry": "polygon", "parent": "boat"},
    {"name": "weather", "geometry": "image", "attributes": [{"name": "sky", "values": ["clear", "overcast"]}]},
]


def test_axe_finds_nothing_at_the_desk_and_in_its_dialogs(at_page, audit):
    page, _ = at_page(2, labels=None, label_schema=SCHEMA, instructions="Look closely.")
    browser, checked = page.browser, audit(page.browser)
    checked.view("nothing drawn")
    page.draw((50, 50), (150, 150))
    browser.press("2")
    browser.press("Shift", "A")
    browser.click("#whole-image input[type=checkbox]")
    browser.press("s")
    checked.view("shapes, attributes, labels of the whole image")
    browser.press("Enter")
    browser.wait(lambda: browser.shown("#toast"), "a warning")
    checked.view("a warning")
    browser.click("#view")
    for key, dialog in {"?": "#help", "i": "#instructions", "g": "#list", "t": "#search"}.items():
        checked.dialog(key, dialog)
    browser.click("#settings-button")
    browser.wait(lambda: browser.shown("#settings"), "the settings")
    checked.view("settings")
    assert checked.findings == {}


def test_axe_finds_nothing_in_banners_and_questions(at_page, audit, service, make):
    page, ids = at_page(2)
    path = f"/campaigns/{page.campaign['campaign_id']}"
    browser, checked = page.browser, audit(page.browser)
    page.caller.ok("PUT", f"{path}/objects", [{"image_id": i, "objects": [make.thing("Wood")]} for i in ids])
    page.reload()
    browser.wait_text("#campaign-state", "completed")
    checked.view("a complete campaign")
    service.ok("POST", f"{path}/images/reopen", [{"image_id": ids[0], "reason": "the mast is missing"}])
    page.reload()
    browser.wait_text("#banner", "the mast is missing")
    checked.view("a reopened image")
    page.caller.ok("PUT", f"{path}/objects", [{"image_id": ids[0], "objects": [make.thing("Wood")]}])
    service.ok("PUT", path, {"new_status": "active"})
    page.reload()
    browser.wait_text("#banner", "reopened")
    page.draw((50, 50), (150, 150))
    page.submit()
    browser.wait(lambda: browser.shown("#question"), "the question")
    checked.view("a question")
    browser.press("Escape")
    browser.js("document.getElementById('banner').className = 'banner'; document.getElementById('toast').hidden = true")
    checked.view("a warning that stays")
    assert checked.findings == {}


def test_axe_finds_nothing_on_a_phone(at_page, audit):
    page, _ = at_page(2, page={"size": (320, 640), "touch": True}, labels=[f"part {n}" for n in range(60)])
    checked = audit(page.browser)
    checked.view("a phone")
    assert checked.findings == {}


def test_axe_finds_nothing_at_the_door_and_on_the_admins_page(browser, campaign, service, make, audit):
    campaign(1)
    campaign(1)
    window = browser()
    checked = audit(window)
    window.open(f"{service.url}/label")
    window.wait(lambda: window.shown("#key-form"), "the form")
    checked.view("the door")
    window.open(f"{service.url}/label?a#key={make.key}&secret={make.secret}")
    window.wait(lambda: window.shown("#choice"), "the campaigns")
    checked.view("the list of campaigns")
    window.open(f"{service.url}/")
    window.wait(lambda: window.shown("#overview"), "the overview")
    checked.view("the overview")
    assert checked.findings == {}


@pytest.mark.every_browser
def test_a_campaign_is_labeled_from_the_key_to_the_end_by_keyboard_alone(browser, campaign, service):
    created, (first,), caller = campaign(1, labels=None, label_schema=SCHEMA)
    window = browser()
    page = Labeler(window, service.url, created, caller)
    token = created["access_token"]
    window.open(f"{service.url}/label")
    window.wait(lambda: window.shown("#key-form"), "the form")
    window.type(token["apikey"])  # the cursor is in the field
    window.press("Tab")
    window.type(token["apisecret"])
    window.press("Enter")
    page.ready()

    window.press("a")
    window.wait(lambda: len(page.shapes) == 1, "a box")
    window.press("Right")
    window.press("Enter")  # refused: the cursor goes to the attribute that is missing
    window.wait_text("#toast", "hull")
    window.type("wood")
    window.press("Enter")  # back to the picture
    window.press("t")
    window.wait(lambda: window.shown("#search-field"), "the search")
    window.type("mast")
    window.press("Enter")
    window.wait(lambda: window.text("#labels [aria-pressed=true] .name") == "mast", "the label")
    window.press("Shift", "A")
    window.wait(lambda: len(page.shapes) == 2, "a polygon")
    window.press("Enter")
    page.wait_done(first)
    window.wait_text("#campaign-state", "completed")
    assert [label_object["label"] for label_object in page.objects(first)] == ["boat", "mast"]
    assert page.objects(first)[0]["attributes"] == {"hull": "wood"}


def test_the_focus_comes_back_from_every_dialog(at_page):
    page, _ = at_page({"1.png": chequered(320, 240, (10, 10, 50, 50))}, instructions="Look closely.")
    for button in ("help-button", "instructions-button", "settings-button", "list-button"):
        page.browser.js("document.getElementById(arguments[0]).focus()", button)
        page.browser.press("Enter")
        page.browser.wait(lambda: page.browser.js("return document.querySelector('dialog[open]') !== null"), button)
        page.browser.press("Escape")
        page.browser.wait(lambda: page.browser.js("return document.querySelector('dialog[open]') === null"), button)
        assert page.browser.js("return document.activeElement.id") == button
