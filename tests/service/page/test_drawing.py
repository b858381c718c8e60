"""What is drawn is what is stored, to the pixel."""

from __future__ import annotations

import pytest

from tests.service.page.labeling import chequered, red_block

pytestmark = pytest.mark.browser


@pytest.mark.every_browser
def test_boxes_are_drawn_again_and_again_and_stored_to_the_pixel(at_page):
    page, (first, *_) = at_page()
    frame = page.frame
    corners = [((40, 30), (200, 140)), ((260, 60), (500, 300)), ((620, 470), (300, 330))]
    for start, end in corners:
        page.draw(start, end)
    page.submit()
    page.wait_done(first)
    expected = []
    for start, end in corners:
        (ax, ay), (bx, by) = frame.image(frame.window(*start)), frame.image(frame.window(*end))
        expected.append((min(ax, bx), min(ay, by), max(ax, bx), max(ay, by)))
    assert page.boxes(first) == expected
    assert [label_object["label"] for label_object in page.objects(first)] == ["Plastic"] * 3
    assert all(label_object["confidence"] == 1 for label_object in page.objects(first))


def test_zoomed_in_every_single_pixel_can_be_met(at_page):
    page, (first, *_) = at_page()
    anchor = page.frame.window(320, 240)
    for _ in range(7):
        page.browser.wheel(anchor, -120)
    page.browser.wait(lambda: page.frame.width > 4000, "a closer look")
    kept = page.frame.image(anchor)
    assert abs(kept[0] - 320) <= 1, "the wheel zooms at the cursor"
    assert abs(kept[1] - 240) <= 1, "the wheel zooms at the cursor"
    page.draw((301, 223), (302, 224))
    page.draw((310, 231), (333, 246))
    page.browser.press("0")
    page.submit()
    page.wait_done(first)
    assert page.boxes(first) == [(301, 223, 302, 224), (310, 231, 333, 246)]


def test_a_box_drawn_around_what_is_seen_is_where_it_is_in_the_file(at_page):
    page, (first, *_) = at_page()
    left, top, right, bottom = red_block(_shot(page))
    page.browser.drag((left, top), (right, bottom))
    page.submit()
    page.wait_done(first)
    assert page.boxes(first) == [pytest.approx((100, 80, 300, 200), abs=1)]


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_an_exif_rotated_picture_is_labeled_as_it_is_displayed(at_page, orientation):
    block = (40, 60, 120, 260)
    page, (first,) = at_page({"turned.jpg": chequered(300, 400, block, orientation=orientation)})
    frame = page.frame
    assert (frame.image_width, frame.image_height) == (300, 400)
    left, top, right, bottom = red_block(_shot(page))
    page.browser.drag((left, top), (right, bottom))
    page.submit()
    page.wait_done(first)
    assert (page.stored(first)["width"], page.stored(first)["height"]) == (300, 400)
    assert page.boxes(first) == [pytest.approx(block, abs=1)]


def test_polygons_are_drawn_corner_by_corner(at_page):
    page, (first, *_) = at_page()
    frame = page.frame
    page.browser.press("p")
    polygon = [(100, 100), (300, 110), (280, 260), (120, 240)]
    page.click(*polygon)
    page.browser.press("Enter")
    two = [(400, 50), (600, 60), (500, 200)]
    page.click(*two, two[0])  # closed by a click on its first corner
    three = [(400, 300), (600, 320), (590, 420), (420, 440)]
    page.click(*three)
    page.click((610, 460))
    page.browser.press("Backspace")  # takes that one back
    page.browser.press("Enter")
    page.browser.wait(lambda: len(page.shapes) == 3, "three polygons")
    page.submit()
    page.wait_done(first)
    for stored, drawn in zip(page.objects(first), (polygon, two, three), strict=True):
        corners = [list(frame.image(frame.window(*p))) for p in drawn]
        assert stored["polygon"] == corners
        xs, ys = [c[0] for c in corners], [c[1] for c in corners]
        assert stored["bounding_box"] == {"xmin": min(xs), "xmax": max(xs), "ymin": min(ys), "ymax": max(ys)}


def test_a_polygon_that_crosses_itself_is_not_closed(at_page):
    page, _ = at_page()
    page.browser.press("p")
    page.click((100, 100), (300, 300), (300, 100), (100, 300))
    page.browser.press("Enter")
    page.browser.wait_text("#toast", "cross")
    assert page.shapes == []
    page.browser.press("Escape")
    page.click((100, 100), (300, 100), (300, 300))
    page.browser.press("Enter")
    page.browser.wait(lambda: len(page.shapes) == 1, "a polygon")


def test_nothing_lies_outside_the_image(at_page):
    page, (first, *_) = at_page()
    frame = page.frame
    outside_left = (frame.left - 15, frame.top - 12)
    page.browser.drag(frame.window(200, 150), outside_left)
    beyond = (frame.left + frame.width + 20, frame.top + frame.height + 15)
    page.browser.drag(frame.window(500, 400), beyond)
    # A box that is moved over the edge comes back whole; a corner that is pulled over it stops there.
    page.draw((300, 200), (400, 300))
    page.browser.drag(page.frame.window(350, 250), (frame.left + 2, frame.top + 2))
    page.browser.wait(lambda: "at 0, 0" in page.shapes[2], "the moved box")
    page.submit()
    page.wait_done(first)
    boxes = page.boxes(first)
    assert boxes[0] == (0, 0, *frame.image(frame.window(200, 150)))
    assert boxes[1] == (*frame.image(frame.window(500, 400)), 640, 480)
    size = frame.image(frame.window(400, 300))[0] - frame.image(frame.window(300, 200))[0]
    assert boxes[2] == pytest.approx((0, 0, size, size), abs=1)


def test_box_can_be_selected_moved_resized_and_selected_again(at_page):
    page, (first, *_) = at_page()
    page.draw((100, 100), (200, 200))
    page.browser.press("Escape")
    frame = page.frame
    start, end = frame.window(150, 150), frame.window(250, 180)
    page.click((150, 150))
    page.browser.drag(start, end)
    moved = [100 + frame.image(end)[0] - frame.image(start)[0], 100 + frame.image(end)[1] - frame.image(start)[1]]
    page.browser.wait(lambda: page.shapes[0].endswith(f"at {moved[0]}, {moved[1]}"), f"the box at {moved}")
    page.draw((moved[0] + 100, moved[1] + 100), (400, 350))  # by its lower right handle
    page.browser.press("Escape")
    page.click((moved[0] + 140, moved[1] + 130))  # where it was not before
    page.browser.wait(
        lambda: page.browser.js("return !!document.querySelector('.a9s-annotation.selected')"), "it to be found there"
    )
    page.submit()
    page.wait_done(first)
    assert page.boxes(first)[0] == pytest.approx((*moved, 400, 350), abs=1)


def test_shift_draws_inside_the_selected_shape(at_page):
    page, _ = at_page()
    page.draw((100, 100), (400, 400))
    frame = page.frame
    page.browser.drag(frame.window(200, 200), frame.window(300, 300), held="Shift")
    page.browser.wait(lambda: len(page.shapes) == 2, "two boxes")


@pytest.mark.every_browser
def test_a_polygons_corners_are_dragged_added_and_deleted(at_page):
    page, (first, *_) = at_page()
    page.browser.press("p")
    page.click((100, 100), (300, 100), (300, 300), (100, 300))
    page.browser.press("Enter")
    before = page.frame
    page.draw((300, 300), (400, 350))
    page.browser.move_to(before.window(200, 102))  # shows the middle of the upper edge
    page.draw((200, 100), (200, 40))
    page.browser.wait(lambda: "polygon of 5" in page.shapes[0], "a fifth corner")
    page.click((100, 300))
    page.browser.press("Delete")
    page.browser.wait(lambda: "polygon of 4" in page.shapes[0], "four corners")
    page.submit()
    page.wait_done(first)
    corners = [(100, 100), (200, 40), (300, 100), (400, 350)]
    assert page.objects(first)[0]["polygon"] == [pytest.approx(list(corner), abs=1) for corner in corners]


def test_escape_cancels_a_box_that_is_being_drawn(at_page):
    page, _ = at_page()
    page.browser.press("p")
    page.click((100, 100), (200, 200))
    page.browser.press("Escape")
    assert page.browser.js("return document.querySelectorAll('.band').length") == 0
    assert page.shapes == []
    assert page.saved == "Nothing drawn yet"


def _shot(page):
    return page.browser.picture()
