"""The built documentation site in Chromium, from the disk: run `make docs` before.

Needs axe-core: `npm install --prefix FOLDER axe-core@4.14.1`, and LABELWRIGHT_AXE, the path of its axe.min.js.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.page.chromium import Browser, chromedriver

pytestmark = pytest.mark.browser

SITE = Path(__file__).resolve().parents[2] / "build" / "docs" / "site"


@pytest.fixture(scope="module")
def telephone() -> Iterator[Browser]:
    if not (SITE / "index.html").exists():
        pytest.fail(f"{SITE} is not there: build it with `make docs`")
    with chromedriver() as driver:
        browser = Browser(driver, size=(390, 844), touch=True)
        try:
            yield browser
        finally:
            browser.close()


def test_no_page_is_wider_than_a_telephone_or_loads_from_elsewhere(telephone: Browser) -> None:
    pages = sorted(SITE.rglob("*.html"))
    assert len(pages) > 30
    telephone.open(pages[0].as_uri())
    before = len(telephone.network())  # Chromium's own page of a new tab
    wide = []
    for page in pages:
        telephone.open(page.as_uri())
        if telephone.js("return document.documentElement.scrollWidth > innerWidth"):
            wide.append(page.name)
    loaded = telephone.network()[before:]
    assert not wide
    assert any("/site.css" in address for address in loaded)
    assert not [address for address in loaded if not address.startswith(("file:", "data:"))]


@pytest.mark.parametrize("page", ["index.html", "how-to.html", "tutorial.html", "reference/settings.html"])
def test_axe_finds_nothing(telephone: Browser, page: str) -> None:
    axe = os.environ.get("LABELWRIGHT_AXE")
    assert axe, "set LABELWRIGHT_AXE to axe.min.js of axe-core"
    telephone.open((SITE / page).as_uri())
    telephone.js(Path(axe).read_text(encoding="utf-8") + "; window.axe = axe")
    telephone.js(
        "window.found = null; axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']})"
        ".then(result => { window.found = result.violations.map(one => one.id + ': ' + one.nodes[0].html) })"
    )
    telephone.wait(lambda: telephone.js("return window.found !== null"), "the result of axe")
    assert telephone.js("return window.found") == []


def test_search_works_from_the_disk(telephone: Browser) -> None:
    telephone.open((SITE / "search.html").as_uri() + "?q=lease")
    telephone.wait_text("#search-results", "Search finished")
    found = telephone.js("return [...document.querySelectorAll('#search-results li a')].map(e => e.href)")
    assert any(address.split("?")[0].endswith("ledger.html") for address in found)
