"""What helps while labeling: keys, finding labels, hiding, locking, copies, and how the picture is shown."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from tests.service.page.labeling import chequered

pytestmark = pytest.mark.browser

KEYS_OF = (
    "return [...document.querySelectorAll('#help-keys dd')].find(d => d.textContent === arguments[0])"
    ".previousElementSibling.textContent"
)


def color_at(page, point):
    """The color on the screen at a point of the image."""
    shot = Image.open(io.BytesIO(page.browser.picture())).convert("RGB")
    x, y = page.frame.window(*point)
    return shot.getpixel((int(x), int(y)))


@pytest.mark.every_browser
def test_n_draws_as_in_cvat_and_help_shows_the_keys(at_page):
    page, _ = at_page()
    press = page.browser.press
    press("p")
    press("v")
    press("n")
    assert page.browser.js("return document.getElementById('tool-polygon').getAttribute('aria-pressed')") == "true"
    page.click((100, 100), (300, 110), (280, 260))
    press("n")  # closes it
    page.browser.wait(lambda: len(page.shapes) == 1, "the polygon")
    press("f")
    page.browser.wait(lambda: page.place == 2, "the second image")
    page.ready()
    press("d")
    page.browser.wait(lambda: page.place == 1, "the first image")
    page.ready()
    press("?")
    page.browser.wait(lambda: page.browser.shown("#help-keys"), "the help")
    assert page.browser.js(KEYS_OF, "Next image") == "F Page Down ."
    assert page.browser.js(KEYS_OF, "Undo") == "Ctrl+Z"


def test_a_key_is_changed_in_the_help_and_kept_on_the_device(at_page):
    page, _ = at_page()
    press = page.browser.press
    press("?")
    page.browser.click("#help-change")
    page.browser.click("[data-change='box']")
    press("h")
    page.browser.wait_text("#help-message", "H is the key of “Hide or show the selected shape” already")
    page.browser.click("[data-change='box']")
    press("5")
    page.browser.wait_text("#help-message", "5 cannot be changed")
    page.browser.click("[data-change='box']")
    press("u")
    page.browser.wait_text("#help-message", "Changed: Draw boxes")
    press("Escape")
    page.browser.wait(lambda: not page.browser.shown("#help"), "the picture")
    page.reload()
    press("v")
    press("b")  # nobody's any more
    pressed = "return document.getElementById('tool-box').getAttribute('aria-pressed')"
    assert page.browser.js(pressed) == "false"
    press("u")
    assert page.browser.js(pressed) == "true"
    assert page.browser.js("return document.getElementById('tool-box').title") == "Draw boxes (U)"
    press("?")
    assert page.browser.js(KEYS_OF, "Draw boxes") == "U"
    page.browser.click("#help-reset")
    assert page.browser.js(KEYS_OF, "Draw boxes") == "B"


def test_labels_beyond_nine_are_found_by_number_and_the_last_ones_come_first(at_page):
    page, (_first, *_) = at_page(labels=[f"part {n:02}" for n in range(1, 41)])
    page.draw((50, 50), (150, 150))
    page.browser.press("t")
    page.browser.wait(lambda: page.browser.shown("#search-field"), "the search")
    page.browser.type("23")
    page.browser.press("Enter")
    page.browser.wait(lambda: page.shapes[0].startswith("1. part 23"), "the label with that number")
    page.browser.press("/")
    page.browser.wait(lambda: page.browser.shown("#search-field"), "the search")
    assert page.browser.text("#search-results li .name") == "part 23"
    page.browser.press("Escape")


@pytest.mark.every_browser
def test_hidden_and_locked_shapes_are_left_alone(at_page):
    page, (first, *_) = at_page()
    press, js = page.browser.press, page.browser.js
    page.draw((50, 50), (150, 150))
    page.draw((300, 100), (400, 200))
    press("Shift", "H")
    assert len(page.browser.texts(".tag")) == 1
    assert js("return document.querySelectorAll('.shape-item.away').length") == 1
    press("Shift", "H")
    assert len(page.browser.texts(".tag")) == 2
    press("h")
    assert len(page.browser.texts(".tag")) == 1
    page.browser.click(".shape-item:nth-child(2) .mini.hide")
    assert len(page.browser.texts(".tag")) == 2
    press("l")
    before = page.shapes
    press("Right")
    page.browser.wait_text("#toast", "locked")
    press("Delete")
    press("2")
    assert page.shapes == before
    press("Escape")
    page.click((350, 150))  # a click finds no locked shape
    assert js("return document.querySelectorAll('#shapes [aria-pressed=true].row').length") == 0
    page.draw((320, 120), (380, 180))  # drawn over it
    page.browser.wait(lambda: len(page.shapes) == 3, "the box above")
    press("s")
    press("s")
    press("l")
    press("Delete")
    page.submit()
    page.wait_done(first)
    assert len(page.boxes(first)) == 2, "hiding and locking change nothing that is sent"


def test_shapes_are_copied_from_the_previous_image_in_one_step(at_page):
    page, (_first, second, *_) = at_page(
        {"a.png": chequered(640, 480, (1, 1, 9, 9)), "b.png": chequered(400, 480, (1, 1, 9, 9))}
    )
    press = page.browser.press
    press("r")
    page.browser.wait_text("#toast", "first image")
    page.draw((50, 50), (150, 150))
    page.draw((350, 100), (500, 200))
    page.draw((500, 300), (600, 400))
    drawn = page.shapes
    press("PageDown")
    page.browser.wait(lambda: page.place == 2, "the second image")
    page.ready()
    press("r")
    page.browser.wait(lambda: len(page.shapes) == 2, "those that fit: of a draft, too")
    assert page.shapes[0] == drawn[0]
    assert "box 50 × " in page.shapes[1], "cut at the edge of the narrower image"
    press("r")
    page.browser.wait_text("#toast", "here already")
    press("Control", "z")
    assert page.shapes == []
    press("Control", "y")
    page.submit()
    page.wait_done(second)
    assert page.boxes(second)[1][2] == 400


def test_a_shape_is_copied_and_pasted_on_another_image(at_page):
    page, (_, second, *_) = at_page()
    press = page.browser.press
    page.draw((50, 50), (150, 150))
    press("2")
    press("Control", "c")
    press("Control", "v")
    page.browser.wait(lambda: len(page.shapes) == 2, "a copy beside it")
    assert page.shapes[0] != page.shapes[1]
    press("PageDown")
    page.browser.wait(lambda: page.place == 2, "the second image")
    page.ready()
    press("Control", "v")
    page.browser.wait(lambda: len(page.shapes) == 1, "the copy")
    assert page.shapes[0].startswith("1. Wood")
    page.submit()
    page.wait_done(second)


def test_brightness_contrast_and_inversion_change_only_what_is_seen(at_page):
    page, (_first, *_) = at_page()
    press = page.browser.press
    assert color_at(page, (500, 400)) == (90, 90, 90)
    press("j")
    page.browser.wait(lambda: page.browser.shown("#adjust"), "the panel")
    for _ in range(20):
        press("Right")  # brightness: 200 %
    assert page.browser.text("#adjust-brightness-value") == "200 %"
    page.browser.wait(lambda: color_at(page, (500, 400)) == (180, 180, 180), "a brighter picture")
    page.browser.click("#adjust-invert")
    page.browser.wait(lambda: color_at(page, (280, 190))[0] < 10, "red inverted")
    press("Escape")
    page.browser.wait(lambda: not page.browser.shown("#adjust"), "the picture")
    page.draw((50, 50), (150, 150))
    press("PageDown")
    page.browser.wait(lambda: page.place == 2, "the second image")
    page.ready()
    assert color_at(page, (280, 190))[0] < 10, "it holds for the next image"
    press("j")
    page.browser.click("#adjust-reset")
    page.browser.wait(lambda: color_at(page, (500, 400)) == (90, 90, 90), "the picture as it is")


def test_the_crosshair_spans_the_view_while_something_can_be_drawn(at_page):
    page, _ = at_page()
    x, y = page.frame.window(320, 240)
    page.browser.move_to((x, y))
    assert page.browser.shown(".crosshair")
    across, down, view = page.browser.js(
        "return ['.across', '.down', '#view'].map(s => { const r ="
        " document.querySelector(s).getBoundingClientRect(); return [r.left, r.top, r.width, r.height] })"
    )
    assert [across[0], across[2]] == [view[0], view[2]]
    assert [down[1], down[3]] == [view[1], view[3]]
    assert abs(across[1] - y) <= 1
    assert abs(down[0] - x) <= 1
    page.browser.press("v")
    page.browser.move_to((x + 5, y))
    assert not page.browser.shown(".crosshair")
    page.browser.press("b")
    page.browser.press("x")
    page.browser.move_to((x, y))
    assert not page.browser.shown(".crosshair")
    page.reload()
    page.browser.move_to((x + 5, y))
    assert not page.browser.shown(".crosshair"), "kept on the device"
