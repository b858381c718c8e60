"""Large pictures are usable at once: a reduced one first, then tiles of what is in sight. A slow network says so."""

from __future__ import annotations

import io
import time

import pytest
from PIL import Image, ImageDraw

from tests.service.page.labeling import red_block
from tests.service.page.test_drawing import _shot

pytestmark = pytest.mark.browser

SIZE = (9000, 7000)
BLOCK = (4000, 3000, 4600, 3400)


@pytest.fixture(scope="module")
def large() -> bytes:
    """A JPEG of 63 megapixels: a coarse pattern, and a red block."""
    image = Image.effect_noise((900, 700), 40).convert("RGB").resize(SIZE, Image.Resampling.BILINEAR)
    ImageDraw.Draw(image).rectangle((BLOCK[0], BLOCK[1], BLOCK[2] - 1, BLOCK[3] - 1), fill=(255, 0, 0))
    target = io.BytesIO()
    image.save(target, "JPEG", quality=90)
    return target.getvalue()


def asked(page, part):
    return [url for url in page.browser.network() if part in url]


def tiles_there(page):
    page.browser.wait(
        lambda: page.browser.js("return document.querySelector('.tiles').dataset.pending") == "0", "the tiles"
    )


def test_a_large_picture_is_labeled_to_the_pixel_by_tiles_in_sight(at_page, large):
    page, (first,) = at_page({"large.jpg": large})
    assert asked(page, f"images/{first}/overview")
    assert not asked(page, f"images/{first}/picture"), "the file of the whole picture is not sent"
    left, top, right, bottom = red_block(_shot(page))
    page.browser.drag((left, top), (right, bottom))
    assert len(page.shapes) == 1
    scale = SIZE[0] / page.frame.width
    middle = page.frame.window((BLOCK[0] + BLOCK[2]) / 2, (BLOCK[1] + BLOCK[3]) / 2)
    before = len(asked(page, "/tiles/"))
    for _ in range(9):
        page.browser.wheel(middle, -120)
    page.browser.wait(lambda: page.frame.width > SIZE[0], "a closer look")
    tiles_there(page)
    finest = asked(page, "/tiles/0/")
    assert 0 < len(finest) <= 30, "those in sight, of 252"
    assert len(asked(page, "/tiles/")) - before < 80
    page.browser.press("Escape")
    edges = red_block(_shot(page))
    page.browser.press("Shift", "L")  # the next box is drawn over the first
    page.browser.drag((edges[0], edges[1]), (edges[2], edges[3]))
    page.browser.wait(lambda: len(page.shapes) == 2, "the box of the tiles")
    page.browser.press("0")
    page.submit()
    page.wait_done(first)
    rough, exact = page.boxes(first)
    assert rough == pytest.approx(BLOCK, abs=scale + 1)
    assert exact == pytest.approx(BLOCK, abs=2)


def test_panning_a_large_picture_fetches_what_comes_into_sight(at_page, large):
    page, _ = at_page({"large.jpg": large})
    middle = page.frame.window(4500, 3500)
    for _ in range(9):
        page.browser.wheel(middle, -120)
    tiles_there(page)
    before = len(asked(page, "/tiles/0/"))
    page.browser.press("v")
    for _ in range(2):
        page.browser.drag(middle, (middle[0] - 400, middle[1] - 300))
    page.browser.wait(lambda: len(asked(page, "/tiles/0/")) > before, "tiles that came into sight")
    tiles_there(page)
    # The picture decoded as a whole would take 252 MB: the page never has more than the tiles that it keeps.
    longest, count, images = page.browser.js_later(
        """
        const done = arguments[0], view = document.getElementById('view');
        const { left, top, width, height } = view.getBoundingClientRect();
        const send = (type, n) => view.dispatchEvent(new PointerEvent(type, {
          pointerId: 1, pointerType: 'mouse', button: 1, buttons: 4, bubbles: true,
          clientX: left + width / 2 + 200 * Math.sin(n / 15), clientY: top + height / 2 + 150 * Math.cos(n / 11) }));
        const frames = [];
        send('pointerdown', 0);
        const tick = (now) => {
          frames.push(now);
          send('pointermove', frames.length);
          if (now - frames[0] < 3000) return requestAnimationFrame(tick);
          send('pointerup', frames.length);
          const widths = [...document.querySelectorAll('#stage img:not(.picture)')].map((image) => image.naturalWidth);
          done([Math.max(...frames.slice(1).map((t, i) => t - frames[i])), frames.length, widths]);
        };
        requestAnimationFrame(tick);
        """,
    )
    print(f"{count / 3:.0f} frames a second, the longest took {longest:.0f} ms")
    assert max(images) <= 2048
    assert len(images) <= 161


def test_a_slow_network_shows_what_is_loading(at_page):
    target = io.BytesIO()
    Image.effect_noise((1600, 1200), 90).save(target, "PNG")
    page, _ = at_page({"a.png": target.getvalue(), "b.png": target.getvalue()})
    page.browser.forget_cache()
    page.browser.slow_down(300_000)
    page.browser.reload()
    seen = set()
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and not any(" MB" in text for text in seen):
        seen.add(page.browser.text("#cover-text"))
    size = f"{len(target.getvalue()) / 1e6:.1f} MB …"
    assert any(text.startswith("Loading image 1: ") and text.endswith(f" of {size}") for text in seen), seen
    page.browser.slow_down(None)
    page.ready()
