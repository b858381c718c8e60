"""What a model predicted is shown, accepted, changed and refused, and each object keeps where it came from."""

from __future__ import annotations

import itertools
import time
from typing import Any

import pytest

from labelwright.domain import Box, Origin
from labelwright.platforms.campaign_api.adapter import CampaignApi
from labelwright.platforms.protocol import Secret
from tests.service.page.labeling import Labeler, chequered

from .test_schema import SCHEMA

pytestmark = pytest.mark.browser

SIDES = ("xmin", "ymin", "xmax", "ymax")
FIRST, SECOND, THIRD = (100.5, 80, 300, 200), (320, 60, 420, 160), (60, 260, 200, 400.25)


def predicted(label: str, box: tuple[float, ...], confidence: float, **more: Any) -> dict[str, Any]:
    sides = dict(zip(SIDES, box, strict=True))
    return {"label": label, "confidence": confidence, "bounding_box": sides, "model_version": "m-1", **more}


THREE = [predicted("Plastic", FIRST, 0.9), predicted("Wood", SECOND, 0.6), predicted("Organic", THIRD, 0.3)]


@pytest.fixture
def at_suggestions(browser, campaign, service):
    """A labeler who has opened the link of a campaign whose first image has these predictions."""

    def arrive(
        predictions: list[dict[str, Any]], files: Any = 2, *, page: dict[str, Any] | None = None, **order: Any
    ) -> tuple[Labeler, list[int]]:
        made, ids, caller = campaign(files, **order)
        body = [{"image_id": ids[0], "objects": predictions}]
        service.ok("PUT", f"/campaigns/{made['campaign_id']}/predictions", body)
        labeler = Labeler(browser(**(page or {})), service.url, made, caller)
        labeler.open()
        return labeler, ids

    return arrive


def open_count(page: Labeler) -> int:
    """How many suggestions are on the picture."""
    return int(page.browser.js("return document.querySelectorAll('.paint .suggested').length"))


def tags(page: Labeler) -> list[str]:
    return list(page.browser.texts(".tag.suggested"))


def wait_open(page: Labeler, count: int) -> None:
    page.browser.wait(lambda: open_count(page) == count, f"{count} suggestions")


def origins(objects: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(one["label"], one["confidence"], one.get("origin"), one.get("model_version")) for one in objects]


def test_suggestions_are_shown_dashed_with_their_confidence(at_suggestions):
    page, _ = at_suggestions(THREE)
    assert sorted(tags(page)) == ["Organic 30 %", "Plastic 90 %", "Wood 60 %"]
    assert page.shapes == [], "nobody accepted any"
    dashes = page.browser.js("return getComputedStyle(document.querySelector('.suggested .line')).strokeDasharray")
    assert dashes not in ("", "none")
    assert page.browser.text("#suggestion-count") == "3"
    page.browser.press("PageDown")
    page.browser.wait(lambda: page.place == 2, "the second image")
    page.browser.wait(lambda: not page.browser.shown("#suggestions-part"), "an image without suggestions")


@pytest.mark.every_browser
def test_one_is_accepted_one_changed_one_refused_and_the_origin_is_kept(at_suggestions, service):
    page, (first, _) = at_suggestions(THREE)
    page.click((200, 140))  # selects the suggestion
    page.browser.wait_text("#suggestion-current", "Plastic, 90 %")
    page.browser.click("#accept-button")
    wait_open(page, 2)
    page.browser.wait_text("#suggestion-current", "Wood, 60 %")  # the next one
    page.browser.press("Right")  # a change accepts it
    wait_open(page, 1)
    page.browser.press("w")
    page.browser.press("q")
    wait_open(page, 0)
    assert not page.browser.shown("#suggestions-part")
    page.browser.press("Escape")
    page.draw((450, 300), (550, 400))
    page.submit()
    page.wait_done(first)
    assert origins(page.objects(first)) == [
        ("Plastic", 0.9, "prediction", "m-1"),
        ("Wood", 1, "corrected", "m-1"),
        ("Plastic", 1, None, None),
    ]
    assert page.boxes(first) == [FIRST, (321, 60, 421, 160), (450, 300, 550, 400)], "untouched to the last digit"
    platform = CampaignApi(f"{service.url}/api/v1", service.headers["Authentication-Key"], secret_of(service))
    read = platform.read_labels(str(page.campaign["campaign_id"])).images[0].annotations
    assert [(a.origin, a.provenance.model_version) for a in read] == [
        (Origin.PREDICTION, "m-1"),
        (Origin.CORRECTED, "m-1"),
        (Origin.PERSON, None),
    ]
    assert read[0].shape == Box(*FIRST)


def secret_of(service: Any) -> Secret:
    return Secret(service.headers["Authentication-Secret"])


def test_all_above_the_threshold_are_accepted(at_suggestions):
    page, (first, _) = at_suggestions(THREE)
    page.browser.js("document.getElementById('threshold').focus()")
    page.browser.press(*["Right"] * 3)
    page.browser.wait_text("#threshold-value", "3 %")
    set_threshold(page, 50)
    wait_open(page, 2)
    assert page.browser.text("#suggestion-count") == "2 of 3"
    page.browser.click("#accept-all-button")
    wait_open(page, 0)
    assert len(page.shapes) == 2
    page.submit()
    page.wait_done(first)
    assert origins(page.objects(first)) == [("Plastic", 0.9, "prediction", "m-1"), ("Wood", 0.6, "prediction", "m-1")]
    page.browser.press("PageUp")
    page.browser.wait(lambda: page.place == 1 and len(page.shapes) == 2, "the first image again")
    assert not page.browser.shown("#suggestions-part"), "an image with labels of a person has no suggestions"


def set_threshold(page: Labeler, value: int) -> None:
    page.browser.js(
        "const s = document.getElementById('threshold'); s.value = arguments[0];"
        "s.dispatchEvent(new Event('input', {bubbles: true}))",
        str(value),
    )


def test_the_threshold_is_kept_for_the_campaign(at_suggestions):
    page, _ = at_suggestions(THREE)
    set_threshold(page, 70)
    wait_open(page, 1)
    page.reload()
    wait_open(page, 1)
    assert page.browser.text("#threshold-value") == "70 %"


def test_keys_alone_step_accept_and_refuse(at_suggestions):
    page, (first, _) = at_suggestions(THREE)
    page.browser.press("w")
    page.browser.wait_text("#suggestion-current", "Plastic, 90 %")
    page.browser.press("y")
    wait_open(page, 2)
    page.browser.wait_text("#suggestion-current", "Wood, 60 %")
    page.browser.press("Delete")
    wait_open(page, 1)
    page.browser.wait_text("#suggestion-current", "Organic, 30 %")
    page.browser.press("2")  # another label: corrected
    wait_open(page, 0)
    page.browser.press("Escape")
    page.browser.press("Enter")
    page.wait_done(first)
    assert origins(page.objects(first)) == [("Plastic", 0.9, "prediction", "m-1"), ("Wood", 1, "corrected", "m-1")]


def test_an_accepted_suggestion_that_is_changed_later_is_corrected_and_undo_takes_that_back(at_suggestions):
    page, (first, _) = at_suggestions(THREE[:1])
    for key in ("w", "y", "s", "Right", "Right"):
        page.browser.press(key)
    page.browser.wait(
        lambda: "at 102, 80" in page.shapes[0] or "at 103, 80" in page.shapes[0], "two steps to the right"
    )
    undo = page.browser
    for _ in range(2):
        undo.click("#undo-button")
    page.browser.wait(lambda: "at 100.5, 80" in page.shapes[0], "as it was accepted")
    undo.click("#undo-button")
    wait_open(page, 1)
    assert page.shapes == []
    page.browser.click("#redo-button")
    wait_open(page, 0)
    page.submit()
    page.wait_done(first)
    assert origins(page.objects(first)) == [("Plastic", 0.9, "prediction", "m-1")]
    assert page.boxes(first) == [FIRST]


def test_dragging_a_suggestion_accepts_it_as_corrected(at_suggestions):
    page, (first, _) = at_suggestions(THREE[1:2])
    page.click((370, 110))
    page.browser.wait_text("#suggestion-current", "Wood")
    page.draw((370, 110), (380, 130))
    wait_open(page, 0)
    page.submit()
    page.wait_done(first)
    assert origins(page.objects(first)) == [("Wood", 1, "corrected", "m-1")]
    assert page.boxes(first) == [(330, 80, 430, 180)]


def test_suggestions_that_nobody_accepted_are_not_submitted(at_suggestions):
    page, (first, _) = at_suggestions(THREE)
    page.submit()
    page.browser.wait_text("#toast", "3 suggestions are open: accept or refuse them")
    assert not page.stored(first)["done"]
    page.draw((450, 300), (550, 400))
    page.submit()
    page.browser.wait_text("#toast", "3 suggestions are neither accepted nor refused, and are not submitted")
    time.sleep(0.3)
    assert not page.stored(first)["done"]
    page.submit()
    page.wait_done(first)
    assert origins(page.objects(first)) == [("Plastic", 1, None, None)]


def test_nothing_here_refuses_the_suggestions(at_suggestions):
    page, (first, _) = at_suggestions(THREE)
    page.browser.press("e")
    wait_open(page, 0)
    page.browser.press("e")
    wait_open(page, 3)
    page.browser.press("e")
    page.browser.press("Enter")
    page.wait_done(first)
    assert page.objects(first) == []


def test_a_draft_keeps_what_was_decided(at_suggestions, service):
    page, (first, _) = at_suggestions(THREE)
    page.browser.press("w")
    page.browser.press("q")
    wait_open(page, 2)
    page.browser.wait(lambda: "Draft saved" in page.saved, "the draft")
    page.browser.press("y")
    wait_open(page, 1)
    page.reload()
    wait_open(page, 1)
    assert tags(page) == ["Organic 30 %"]
    assert [shape.split(",")[0] for shape in page.shapes] == ["1. Wood"]
    # A newer model's are new; one that is the same object again stays decided.
    body = [{"image_id": first, "objects": [THREE[0], predicted("Wood", SECOND, 0.75, model_version="m-2")]}]
    service.ok("PUT", f"/campaigns/{page.campaign['campaign_id']}/predictions", body)
    page.reload()
    page.browser.wait(lambda: tags(page) == ["Wood 75 %"], "the newer one")
    assert [shape.split(",")[0] for shape in page.shapes] == ["1. Wood"]
    page.browser.press("Enter")
    page.browser.press("Enter")
    page.wait_done(first)
    assert origins(page.objects(first)) == [("Wood", 0.6, "prediction", "m-1")]


def test_refused_alone_is_a_draft_too(at_suggestions):
    page, _ = at_suggestions(THREE)
    page.browser.press("Escape")
    page.browser.click("#refuse-all-button")
    wait_open(page, 0)
    page.reload()
    assert open_count(page) == 0
    assert page.shapes == []
    page.submit()
    page.browser.wait_text("#toast", "Nothing is drawn")


def test_by_touch(at_suggestions):
    page, (first, _) = at_suggestions(THREE, page={"size": (390, 844), "touch": True})
    page.browser.touch([page.frame.window(370, 110)])
    page.browser.wait_text("#suggestion-current", "Wood, 60 %")
    for button in ("accept-button", "refuse-button", "suggestion-next", "accept-all-button"):
        tap(page, f"#{button}")
    wait_open(page, 0)
    assert [shape.split(",")[0] for shape in page.shapes] == ["1. Wood", "2. Plastic"]
    tap(page, "#submit-button")
    page.wait_done(first)
    assert {one["origin"] for one in page.objects(first)} == {"prediction"}


def tap(page: Labeler, selector: str) -> None:
    page.browser.js("document.querySelector(arguments[0]).scrollIntoView({block: 'center'})", selector)
    x, y, width, height = page.browser.js(
        "const r = document.querySelector(arguments[0]).getBoundingClientRect(); return [r.x, r.y, r.width, r.height]",
        selector,
    )
    assert min(width, height) >= 40, f"{selector} is too small for a thumb"
    page.browser.touch([(x + width / 2, y + height / 2)])


def test_schema_attributes_and_whole_images(at_suggestions):
    weather = {"label": "weather", "confidence": 0.5, "whole_image": True, "model_version": "m-1"}
    polygon = {
        **predicted("sail", (100, 100, 200, 200), 0.75),
        "polygon": [[100, 100], [200, 100], [150, 200]],
    }
    page, (first, _) = at_suggestions(
        [predicted("boat", SECOND, 0.5), polygon, weather, {**weather, "label": "night"}],
        labels=None,
        label_schema=SCHEMA,
    )
    page.browser.click("#accept-all-button")
    wait_open(page, 0)
    page.submit()
    page.browser.wait_text("#toast", "needs its attribute “registration”")
    page.browser.type("NL-1")
    page.browser.press("Enter")
    page.browser.press("Enter")
    page.browser.wait_text("#toast", "needs its attribute “sky”")
    page.browser.js(
        "const s = document.querySelector('#whole-image select'); s.value = 'fog';"
        "s.dispatchEvent(new Event('input', {bubbles: true}))"
    )
    page.browser.js("document.querySelector('.a9s-annotationlayer').focus()")
    page.submit()
    page.wait_done(first)
    stored = {one["label"]: one for one in page.objects(first)}
    assert {label: one["origin"] for label, one in stored.items()} == {
        "boat": "corrected",
        "sail": "prediction",
        "weather": "corrected",
        "night": "prediction",
    }
    assert stored["boat"]["attributes"] == {"state": "whole", "registration": "NL-1"}
    assert stored["sail"]["polygon"] == polygon["polygon"]


def test_a_thousand_suggestions_on_an_image(at_suggestions):
    boxes = [(x * 16.0, y * 19.0, x * 16.0 + 12.5, y * 19.0 + 15) for x, y in itertools.product(range(40), range(25))]
    many = [predicted("Plastic", box, round(0.001 * n, 3)) for n, box in enumerate(boxes)]
    page, (first, _) = at_suggestions(
        many, {"a.png": chequered(640, 480, (10, 10, 20, 20)), "b.png": chequered(9, 9, (1, 1, 3, 3))}
    )
    wait_open(page, 1000)
    for keys, count in ((["w", "y"], 999), (["q"], 998)):
        began = time.monotonic()
        page.browser.press(*keys)
        wait_open(page, count)
        assert time.monotonic() - began < 5
    set_threshold(page, 50)
    wait_open(page, 500)
    page.browser.click("#accept-all-button")
    wait_open(page, 0)
    page.submit()
    page.wait_done(first)
    assert page.boxes(first) == [boxes[0], *boxes[500:]]
    assert {one["origin"] for one in page.objects(first)} == {"prediction"}


def test_ticking_a_whole_image_label_accepts_what_the_model_says_of_it(at_suggestions):
    night = {"label": "night", "confidence": 0.5, "whole_image": True, "model_version": "m-1"}
    page, (first, _) = at_suggestions([night], labels=None, label_schema=SCHEMA)
    page.browser.click("#whole-image li:last-child input")
    page.browser.wait(lambda: not page.browser.shown("#suggestions-part"), "nothing left to decide")
    page.browser.press("Enter")
    page.wait_done(first)
    assert page.objects(first) == [{**night, "origin": "prediction"}]
