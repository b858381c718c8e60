"""Takes the pictures of the operations page for the documentation: `pytest tests/operations/pictures.py -m browser`.

Not collected by itself. Look at the pictures afterwards, then commit them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from PIL import Image

from labelwright.demo.photographs import photo_folder
from tests.operations.conftest import KEY, SECRET
from tests.operations.seeding import all_states
from tests.service.page.chromium import Browser, chromedriver

pytestmark = pytest.mark.browser

FOLDER = Path(os.environ.get("LABELWRIGHT_PICTURES") or Path(__file__).parents[2] / "docs" / "images")


@pytest.fixture
def window(site, ledger, home) -> Iterator[Callable[..., Browser]]:
    """A window of this size in which the admin is logged in."""
    all_states(ledger, home, sorted(photo_folder().glob("*.jpg")))
    opened: list[Browser] = []
    with chromedriver() as driver:

        def arrive(width: int, height: int, *, dark: bool = False) -> Browser:
            browser = Browser(driver, size=(width, height))
            opened.append(browser)
            if dark:
                browser.prefer("dark")
            browser.open(f"{site}/operations/")
            return browser

        yield arrive
        for browser in opened:
            browser.close()


def log_in(browser: Browser) -> None:
    browser.click("#key")
    browser.type(KEY)
    browser.click("#secret")
    browser.type(SECRET)
    browser.press("Enter")
    browser.wait_text("h1", "Campaigns")


def keep(browser: Browser, name: str) -> None:
    """Write the window in 256 colours: a third of the bytes."""
    path = FOLDER / name
    browser.screenshot(path)
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(256).save(path, optimize=True)


def test_on_a_desk(window, site):
    browser = window(1280, 1000)
    keep(browser, "operations-login.png")
    log_in(browser)
    keep(browser, "operations.png")
    browser.open(f"{site}/operations/campaign?title={quote('harbour at night')}")
    browser.wait_text("h1", "harbour")
    keep(browser, "operations-campaign.png")
    browser.open(f"{site}/operations/confirm?title={quote('harbour at night')}&action=cancel")
    browser.wait_text("h1", "Cancel")
    keep(browser, "operations-confirm.png")


def test_in_the_dark_and_on_a_telephone(window, site):
    browser = window(1280, 1000, dark=True)
    log_in(browser)
    keep(browser, "operations-dark.png")
    browser.open(f"{site}/operations/campaign?title=orchard")
    browser.wait_text("h1", "orchard")
    keep(browser, "operations-datasets-dark.png")
    telephone = window(320, 640)
    log_in(telephone)
    keep(telephone, "operations-telephone.png")
    wide = telephone.js("return document.documentElement.scrollWidth")
    assert wide <= 320, f"the page is {wide} pixels wide"
