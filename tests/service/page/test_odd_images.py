"""Images that readers take differently, at the page: labelers draw in the size that the service knows."""

from __future__ import annotations

import pytest

from tests.imaging.orientation_files import FILES
from tests.imaging.test_deep_pixels import FILES as DEEP
from tests.imaging.test_kinds import animated

pytestmark = pytest.mark.browser

ODD = {
    "a.jpg": FILES["jpeg exif long"](),
    "b.jpg": FILES["jpeg xmp"](),
    "c.png": FILES["png exif after its pixels"](),
    "d.webp": FILES["webp exif"](),
    "e.tif": FILES["tiff 6"](),
    "f.png": DEEP["12 bits in a PNG"],
    "g.png": animated("PNG", default_image=True),
}


def test_a_box_on_an_odd_image_is_stored_in_its_pixels(at_page, service):
    page, ids = at_page(ODD)
    for number, image in enumerate(ids, 1):
        page.browser.wait(lambda number=number: page.place == number and page.frame, f"image {number}")
        page.ready()
        stored = page.stored(image)
        frame = page.frame
        assert (frame.image_width, frame.image_height) == (stored["width"], stored["height"])
        page.draw((2, 2), (7, 6))
        page.submit()
        page.wait_done(image)
        assert page.boxes(image) == [(2, 2, 7, 6)]
