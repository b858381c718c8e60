"""The page offers what the campaign's schema says, and what is drawn and filled in comes back equal."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
import requests

from labelwright.domain import Annotation, Box, Polygon, WholeImage
from labelwright.platforms.campaign_api.adapter import CampaignApi
from labelwright.platforms.protocol import Secret

pytestmark = pytest.mark.browser

SCHEMA: list[dict[str, Any]] = [
    {
        "name": "boat",
        "geometry": "box",
        "color": "#e69f00",
        "attributes": [
            {"name": "state", "values": ["whole", "torn"], "default": "whole"},
            {"name": "registration", "required": True},
        ],
    },
    {"name": "buoy", "color": "#0033aa"},
    {"name": "sail", "geometry": "polygon", "parent": "boat", "translations": {"nl": "zeil"}},
    {
        "name": "weather",
        "geometry": "image",
        "attributes": [{"name": "sky", "values": ["clear", "fog"], "required": True}],
    },
    {"name": "night", "geometry": "image"},
]


@pytest.fixture
def at_schema(at_page):
    def arrive(images: int = 2, **order: Any):
        return at_page(images, labels=None, label_schema=SCHEMA, **order)

    return arrive


def pressed(page, tool: str) -> bool:
    return page.browser.js(f"return document.getElementById('tool-{tool}').getAttribute('aria-pressed')") == "true"


def disabled(page, tool: str) -> bool:
    return bool(page.browser.js(f"return document.getElementById('tool-{tool}').disabled"))


def fill(page, selector: str, text: str) -> None:
    page.browser.click(selector)
    page.browser.type(text)


def choose(page, selector: str, value: str) -> None:
    """Chooses an option with the keyboard: the first letter of its text."""
    page.browser.js("document.querySelector(arguments[0]).focus()", selector)
    page.browser.press(value[0])
    page.browser.wait(
        lambda: page.browser.js("return document.querySelector(arguments[0]).value", selector) == value, value
    )


def test_labels_are_shown_with_hierarchy_and_colours(at_schema):
    page, _ = at_schema()
    assert page.browser.texts("#labels .name") == ["boat", "sail", "buoy"]
    assert page.browser.texts("#labels .more") == ["in boat"]
    left = page.browser.js(
        "return [...document.querySelectorAll('#labels .swatch')].map(s => s.getBoundingClientRect().left)"
    )
    assert left[1] > left[0] == left[2]
    colours = page.browser.js(
        "return [...document.querySelectorAll('#labels .swatch')].map(s => getComputedStyle(s).backgroundColor)"
    )
    assert (colours[0], colours[2]) == ("rgb(230, 159, 0)", "rgb(0, 51, 170)")
    assert page.browser.texts("#whole-image .name") == ["weather", "night"]


def test_the_tool_follows_the_labels_geometry(at_schema):
    page, _ = at_schema()
    assert pressed(page, "box")
    assert disabled(page, "polygon")
    page.browser.press("p")
    page.browser.wait_text("#toast", "“boat” is drawn as a box, not as a polygon")
    assert pressed(page, "box")
    page.browser.press("2")  # sail
    assert pressed(page, "polygon")
    assert disabled(page, "box")
    page.draw((100, 100), (200, 200))  # a drag of the polygon tool is one corner, and no box
    page.browser.press("Escape")
    page.browser.press("a")
    page.browser.wait_text("#toast", "“sail” is drawn as a polygon, not as a box")
    assert page.shapes == []
    page.browser.press("3")  # buoy: any
    assert not disabled(page, "box")
    assert not disabled(page, "polygon")
    assert pressed(page, "polygon"), "the tool stays where the label takes it"


def test_a_shape_keeps_its_label_when_another_one_is_drawn_differently(at_schema):
    page, _ = at_schema()
    page.draw((100, 100), (200, 200))
    page.browser.press("2")
    assert page.shapes[0].startswith("1. boat")
    assert pressed(page, "polygon")
    page.browser.press("s")
    page.browser.press("3")
    page.browser.wait(lambda: page.shapes[0].startswith("1. buoy"), "a label that takes boxes")


@pytest.mark.every_browser
def test_everything_of_a_schema_is_drawn_submitted_and_read_back_equal(at_schema, service):
    page, (first, second) = at_schema()
    frame = page.frame
    page.draw((60, 40), (260, 220))
    page.browser.wait(lambda: page.browser.shown("#attributes"), "the attributes of the boat")
    assert page.browser.js("return document.querySelector('#attributes select').value") == "whole", "its default"
    page.submit()
    page.browser.wait_text("#toast", "“boat” needs its attribute “registration”")
    assert not page.stored(first)["done"]
    assert page.browser.js("return document.activeElement.closest('#attributes') !== null"), (
        "the cursor is in the field"
    )
    page.browser.type("AB 12")
    page.browser.press("Enter")
    choose(page, "#attributes select", "torn")
    page.browser.press("Enter")
    page.browser.press("2")
    sail = [(300, 60), (420, 80), (400, 240), (320, 220)]
    page.click(*sail)
    page.browser.press("Enter")
    page.browser.click("#whole-image li:first-child input[type=checkbox]")
    page.browser.press("Enter")
    page.browser.wait_text("#toast", "“weather” needs its attribute “sky”")
    choose(page, "#whole-image select", "fog")
    page.browser.press("Enter")
    page.submit()
    page.wait_done(first)

    xmin, ymin = frame.image(frame.window(60, 40))
    xmax, ymax = frame.image(frame.window(260, 220))
    corners = tuple(frame.image(frame.window(*corner)) for corner in sail)
    expected = (
        Annotation("boat", Box(xmin, ymin, xmax, ymax), 1, {"state": "torn", "registration": "AB 12"}),
        Annotation("sail", Polygon(corners)),
        Annotation("weather", WholeImage(), 1, {"sky": "fog"}),
    )
    headers = service.headers
    platform = CampaignApi(service.api, headers["Authentication-Key"], Secret(headers["Authentication-Secret"]))
    labels = platform.read_labels(str(page.campaign["campaign_id"]))
    assert [(image.remote_id, image.annotations) for image in labels.images] == [(str(first), expected)]
    assert labels.left_out == ()

    # A label of the whole image alone is something: nothing is drawn on the second image.
    page.browser.wait(lambda: page.place == 2, "the second image")
    page.ready()
    page.browser.click("#whole-image li:last-child input[type=checkbox]")
    page.submit()
    page.wait_done(second)
    assert page.objects(second) == [{"label": "night", "confidence": 1, "whole_image": True}]

    path = f"/campaigns/{page.campaign['campaign_id']}"
    service.ok("PUT", path, {"new_status": "finished"})
    table = csv.DictReader(io.StringIO(requests.get(service.get(path)["labels_csv_url"], timeout=30).text))
    assert [(row["label"], row["xmin"], row["polygon"], row["attributes"]) for row in table] == [
        ("boat", str(xmin), "", '{"state":"torn","registration":"AB 12"}'),
        ("sail", str(min(x for x, _ in corners)), json.dumps(corners, separators=(",", ":")), ""),
        ("weather", "", "", '{"sky":"fog"}'),
        ("night", "", "", ""),
    ]


def test_attributes_and_whole_images_are_kept_in_drafts_and_undone_step_by_step(at_schema):
    page, _ = at_schema()
    page.draw((60, 40), (260, 220))
    fill(page, "#attributes input", "AB")
    page.browser.press("Escape")
    page.browser.click("#whole-image li:last-child input[type=checkbox]")
    page.reload()
    checked = "return document.querySelector('#whole-image li:last-child input').checked"
    registration = "return document.querySelector('#attributes input')?.value"
    assert page.browser.js(checked) is True
    page.browser.press("s")
    assert page.browser.js(registration) == "AB"
    fill(page, "#attributes input", "9")
    page.browser.press("Escape")
    page.browser.click("#whole-image li:last-child input[type=checkbox]")
    assert page.browser.js(checked) is False
    page.browser.press("Control", "z")
    assert page.browser.js(checked) is True
    before = page.browser.js(registration)
    page.browser.press("Control", "z")
    assert (len(before), page.browser.js(registration)) == (3, "AB"), "what was typed is one step"


def test_objects_of_several_parts_are_shown_and_kept(at_schema):
    page, (first, _) = at_schema()
    parts = [[[10, 10], [60, 10], [60, 60]], [[100, 100], [160, 100], [160, 160]]]
    label_object = {
        "label": "sail",
        "confidence": 0.5,
        "bounding_box": {"xmin": 10, "ymin": 10, "xmax": 160, "ymax": 160},
        "polygons": parts,
    }
    number = page.campaign["campaign_id"]
    page.caller.ok("PUT", f"/campaigns/{number}/objects", [{"image_id": first, "objects": [label_object]}])
    page.reload()
    page.browser.press("PageUp")
    page.browser.wait(lambda: page.place == 1, "the first image")
    page.ready()
    page.wait_shapes("1. sail, 2 polygons, 150 × 150 at 10, 10")
    page.browser.press("s")
    page.browser.press("Right")
    page.browser.wait_text("#toast", "several parts is not moved")
    page.browser.press("1")  # boat: drawn as a box, so the sail stays one
    page.draw((300, 300), (400, 400))
    fill(page, "#attributes input", "x")
    page.browser.press("Enter")
    page.submit()
    page.browser.wait(lambda: len(page.objects(first)) == 2, "both")
    assert page.objects(first)[0] == label_object
