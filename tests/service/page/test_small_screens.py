"""Phones and tablets: with 60 labels everything is reached, nothing overlaps, and fingers draw, edit, pinch and pan."""

from __future__ import annotations

import pytest

from tests.service.page.labeling import chequered
from tests.service.page.test_texts import LANGUAGES

pytestmark = pytest.mark.browser

LABELS = [f"Rumex obtusifolius, part {number:02}" for number in range(1, 61)]
FILES = {f"a long name of a photograph {n}.png": chequered(640, 480, (100, 80, 300, 200)) for n in (1, 2)}
SCREENS = {  # width, height, touch
    "320x640": (320, 640, True),
    "390x844": (390, 844, True),
    "768x1024": (768, 1024, True),
    "640x320": (640, 320, True),
    "1280x900": (1280, 900, False),
    "320x256 (zoomed to 400 %)": (320, 256, False),
}

OUT_OF_REACH = """
const faults = [];
for (const e of document.querySelectorAll('#desk button, #desk input, #desk select')) {
  if (!e.checkVisibility()) continue;
  e.scrollIntoView({block: 'nearest', inline: 'nearest'});
  const r = e.getBoundingClientRect();
  const name = `${e.id || e.textContent} ${[r.left, r.top, r.width, r.height].map(Math.round)}`;
  const at = document.elementFromPoint(r.left + r.width / 2, r.top + r.height / 2);
  const cut = r.left < -0.5 || r.top < -0.5 || r.right > innerWidth + 0.5 || r.bottom > innerHeight + 0.5;
  if (cut) faults.push(`cut: ${name}`);
  else if (!e.contains(at) && !at?.contains(e)) faults.push(`covered: ${name}`);
  const [least, narrowest] = arguments[0] ? [44, e.closest('.tools') ? 34 : 44] : [24, 24];
  if (r.height < least - 0.5 || r.width < narrowest - 0.5) faults.push(`small: ${name}`);
}
for (const e of document.querySelectorAll('.desk, .side, .tools, .label-list')) e.scrollTo(0, 0);
if (scrollX || scrollY) faults.push('the page itself was scrolled');
return faults;
"""

OVERLAPPING = """
const shown = [...document.querySelectorAll('.bar > *')]
  .flatMap((e) => e.matches('.steps, .ends') ? [...e.children] : [e])
  .filter((e) => e.checkVisibility() && e.textContent.trim() + e.querySelectorAll('svg').length);
const faults = [];
shown.forEach((a, i) => shown.slice(i + 1).forEach((b) => {
  const [p, q] = [a.getBoundingClientRect(), b.getBoundingClientRect()];
  const width = Math.min(p.right, q.right) - Math.max(p.left, q.left);
  const height = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
  if (width > 1 && height > 1) faults.push(`${a.id} over ${b.id}`);
}));
return faults;
"""


@pytest.fixture
def crowded(at_page, make):
    def arrive(width: int, height: int, touch: bool):
        page, ids = at_page(
            FILES,
            labels=LABELS,
            title=make.fresh("Broad-leaved weeds in a meadow, July"),
            instructions="Look closely.",
            page={"size": (width, height), "touch": touch},
        )
        return page, ids

    return arrive


def test_everything_is_reached_on_every_screen(crowded):
    page, _ = crowded(320, 640, True)
    frame = page.frame
    page.browser.touch([frame.window(100, 100), frame.window(200, 180), frame.window(300, 250)])
    page.browser.wait(lambda: len(page.shapes) == 1, "a box")
    faults = {}
    for name, (width, height, touch) in SCREENS.items():
        page.browser.resize(width, height, touch=touch)
        page.browser.wait(
            lambda size=(width, height), touch=touch: (
                page.browser.js("return [innerWidth, innerHeight, matchMedia('(pointer: coarse)').matches]")
                == [*size, touch]
            ),
            name,
        )
        faults[name] = page.browser.js(OUT_OF_REACH, touch) + page.browser.js(OVERLAPPING)
        if page.browser.js("return document.documentElement.scrollWidth > innerWidth"):
            faults[name].append("the page hangs over the edge")
    assert faults == {name: [] for name in SCREENS}


def test_everything_is_reached_on_a_phone_in_every_language(crowded):
    page, _ = crowded(320, 640, True)
    faults = {}
    for language in sorted(LANGUAGES):
        page.browser.js(
            "const s = document.getElementById('language'); s.value = arguments[0];"
            "s.dispatchEvent(new Event('change'))",
            language,
        )
        page.browser.wait(
            lambda language=language: page.browser.js("return document.documentElement.lang") == language, language
        )
        faults[language] = page.browser.js(OUT_OF_REACH, True) + page.browser.js(OVERLAPPING)
    assert faults == {language: [] for language in LANGUAGES}


@pytest.mark.parametrize("size", [(320, 640), (390, 844)])
def test_submit_is_in_sight_on_a_phone(crowded, size):
    page, _ = crowded(*size, True)
    for button in ("submit-button", "nothing-button", "undo-button", "list-button", "help-button"):
        left, top, right, bottom = page.browser.js(
            "const r = document.getElementById(arguments[0]).getBoundingClientRect();"
            "return [r.left, r.top, r.right, r.bottom]",
            button,
        )
        assert left >= 0, button
        assert top >= 0, button
        assert right <= size[0], button
        assert bottom <= size[1], button


@pytest.mark.every_browser
def test_fingers_draw_edit_pinch_pan_and_submit_on_a_phone(crowded):
    page, (first, *_) = crowded(320, 640, True)
    browser, frame = page.browser, page.frame
    browser.touch([frame.window(100, 100), frame.window(200, 180), frame.window(300, 250)])
    browser.wait(lambda: len(page.shapes) == 1, "a box")

    corner, target = frame.window(300, 250), frame.window(400, 320)
    halfway = ((corner[0] + target[0]) / 2, (corner[1] + target[1]) / 2)
    before = page.shapes
    browser.touch([corner, halfway, target])  # the corner of the shape that was drawn
    browser.wait(lambda: page.shapes != before, "another size")
    assert len(page.shapes) == 1, "a corner is dragged, nothing is drawn"

    width = page.frame.width
    middle = frame.window(320, 240)
    browser.touch(
        [(middle[0] - 15, middle[1]), (middle[0] - 40, middle[1]), (middle[0] - 70, middle[1])],
        [(middle[0] + 15, middle[1]), (middle[0] + 40, middle[1]), (middle[0] + 70, middle[1])],
    )
    browser.wait(lambda: page.frame.width > width * 2, "a closer look")
    zoomed = page.frame
    browser.touch(
        [(120.0, 250.0), (135.0, 240.0), (150.0, 230.0)],
        [(180.0, 250.0), (195.0, 240.0), (210.0, 230.0)],
    )
    browser.wait(lambda: page.frame.left != zoomed.left, "the picture to move")
    assert abs(page.frame.left - zoomed.left - 30) <= 12, "two fingers move the picture with them"
    assert abs(page.frame.width / zoomed.width - 1) < 0.2
    assert len(page.shapes) == 1, "two fingers draw nothing"

    browser.click("#zoom-fit")
    browser.click("#labels li:nth-child(2) button")
    browser.click("#submit-button")
    page.wait_done(first)
    ((xmin, ymin, xmax, ymax),) = page.boxes(first)
    assert (xmin, ymin) == frame.image(frame.window(100, 100))
    assert (xmax, ymax) == pytest.approx(frame.image(target), abs=8)
    assert page.objects(first)[0]["label"] == LABELS[1]


def test_a_long_banner_leaves_room_for_the_picture(crowded, service, make):
    page, (first, second) = crowded(320, 640, True)
    path = f"/campaigns/{page.campaign['campaign_id']}"
    page.caller.ok(
        "PUT", f"{path}/objects", [{"image_id": i, "objects": [make.thing(LABELS[0])]} for i in (first, second)]
    )
    service.ok("POST", f"{path}/images/reopen", [{"image_id": first, "reason": "the mast is missing " * 12}])
    page.reload()
    page.browser.wait_text("#banner", "the mast is missing")
    view, submit = page.browser.js(
        "return ['view', 'submit-button'].map((id) => document.getElementById(id).getBoundingClientRect().height)"
    )
    assert view >= 180
    assert submit >= 44
    assert page.browser.js(OUT_OF_REACH, True) == []


@pytest.mark.parametrize("screen", ["320x640", "1280x900"])
def test_a_label_that_was_searched_for_is_in_sight_in_the_list(crowded, screen):
    page, _ = crowded(*SCREENS[screen])
    page.browser.click("#search-button")
    page.browser.wait(lambda: page.browser.shown("#search-field"), "the search")
    page.browser.type("part 41")
    page.browser.press("Enter")
    page.browser.wait(lambda: page.browser.text("#labels [aria-pressed=true] .name") == LABELS[40], "the label")
    assert page.browser.js(
        "const [list, row] = ['#labels', '#labels [aria-pressed=true]']"
        "  .map((one) => document.querySelector(one).getBoundingClientRect());"
        "return row.left >= list.left - 1 && row.right <= list.right + 1 && row.top >= list.top - 1"
        "  && row.bottom <= list.bottom + 1"
    )
    assert page.browser.js("return [document.querySelector('.desk').scrollTop, scrollX, scrollY]") == [0, 0, 0]


def test_the_smallest_pictures_are_large_enough_for_a_finger(at_page):
    page, (first,) = at_page(
        {"tiny.png": chequered(8, 6, (2, 2, 5, 4))}, page={"size": (320, 640), "touch": True}, labels=["a long label"]
    )
    assert page.frame.width > 250
    page.browser.touch([page.frame.window(2, 2), page.frame.window(4, 3), page.frame.window(5, 4)])
    page.browser.wait(lambda: len(page.shapes) == 1, "a box")
    page.submit()
    page.wait_done(first)
    assert page.boxes(first) == [(2, 2, 5, 4)]
