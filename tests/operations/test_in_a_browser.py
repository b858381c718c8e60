"""The operations page in a browser: login, filter, an action with its confirmation, and changes without a reload."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from labelwright.domain import State
from tests.service.page.chromium import Browser

from .conftest import KEY, SECRET
from .seeding import add, all_states, progress

pytestmark = pytest.mark.browser


WIDTHS = (320, 390, 768, 1280)


def log_in(window: Browser, site: str) -> None:
    window.open(f"{site}/operations")
    window.type(KEY)  # the first field has the focus
    window.press("Tab")
    window.type(SECRET)
    window.press("Enter")
    window.wait_text("h1", "Campaigns")


@pytest.mark.every_browser
def test_from_login_to_a_cancelled_campaign(browser: Callable[..., Browser], site, ledger, home, runs):
    """The fixture fails on anything in the console, such as a broken policy, and on requests to another host."""
    all_states(ledger, home)
    # Firefox reports a request that ends because its page is left.
    window = browser(allow=("htmx:sendError, [object", "htmx:afterRequest, [object"))
    log_in(window, site)
    assert "late" in window.text(".campaigns")
    window.click("#filter-labeling")
    window.wait(lambda: window.texts(".campaigns tbody th a") == ["late", "reopened", "harbour at night"], "the filter")

    # Live: another labeled image appears without a reload, and what has the focus keeps it.
    window.js("window.sameDocument = true; document.querySelector('#find').focus()")
    window.type("har")
    ledger.campaigns.record_look("harbour at night", 1199, 1200)
    window.wait_text(".campaigns", "1,199 of 1,200")
    assert window.js("return window.sameDocument && document.activeElement.id") == "find"
    assert window.js("return document.activeElement.value") == "har"
    window.press("Enter")
    window.wait(lambda: window.texts(".campaigns tbody th a") == ["harbour at night"], "the text")

    window.click(".campaigns tbody th a")
    window.wait_text("h1", "harbour at night")
    window.click("#action-cancel")
    window.wait_text("h1", "Cancel: harbour at night")
    assert not runs.started
    window.click("form.confirm button")
    window.wait_text("#run", "Cancel: Running.")
    ((_, parameters),) = runs.started.values()
    assert parameters == {"title": "harbour at night", "delete": False}
    ledger.campaigns.move("harbour at night", State.CANCELLED, "by a person")
    runs.end("'harbour at night' is cancelled; it still exists on the platform (id 17)")
    window.wait_text("#run", "it still exists on the platform")
    window.wait_text("#live .badge", "cancelled")

    window.click(".top button")
    window.wait_text("h1", "Operations")
    window.open(f"{site}/operations/campaign?title=late")
    window.wait_text("h1", "Operations")


def test_every_width_shows_everything_without_scrolling_sideways(browser, site, ledger, home):
    all_states(ledger, home)
    add(ledger, "a-title-without-a-place-to-break-it-" * 4, State.ACTIVE, labeler="x" * 60 + "@example.com")
    window = browser()
    log_in(window, site)
    for path in ("/", "/campaign?title=orchard", "/confirm?title=late&action=reopen"):
        for width in WIDTHS:
            window.resize(width, 800)
            window.open(f"{site}/operations{path}")
            window.wait(lambda: window.shown("h1"), "the page")
            assert window.js("return document.documentElement.scrollWidth") <= width, (path, width)


def test_an_ended_session_and_a_service_that_is_away_are_said(browser, site, ledger):
    add(ledger, "river", State.ACTIVE)
    progress(ledger, "river", 10, {"a@example.com": 1.0}, hours=3)
    window = browser(
        allow=("ERR_INTERNET_DISCONNECTED", "401", "htmx:afterRequest", "htmx:sendError", "htmx:responseError")
    )
    log_in(window, site)
    window.offline(True)
    window.wait(lambda: window.shown("#lost"), "the notice")
    window.offline(False)
    window.wait(lambda: not window.shown("#lost"), "the end of the notice")
    window.forget_cookies()
    window.wait_text("h1", "Operations")
