"""Axe finds nothing on any view of the operations page: light and dark, on a phone and on a desk."""

from __future__ import annotations

import pytest

from labelwright.domain import State
from labelwright.operations import overview
from tests.service.page.axe import SystemAudit
from tests.service.page.axe import axe as axe  # noqa: PLC0414 - a fixture
from tests.service.page.chromium import Browser

from .conftest import KEY, READER, SECRET
from .seeding import all_states

pytestmark = pytest.mark.browser

WIDTHS = (320, 1280)


class Visit:
    """A browser on the operations page, and what axe finds in it at both widths."""

    def __init__(self, window: Browser, site: str, axe: str) -> None:
        self.window, self.site, self.checked = window, f"{site}/operations", SystemAudit(window, axe)

    def log_in(self, key: str, secret: str) -> None:
        self.window.open(self.site)
        self.window.wait(lambda: self.window.shown("#key"), "the login")
        self.window.type(key)
        self.window.press("Tab")
        self.window.type(secret)
        self.window.press("Enter")

    def audit(self, name: str) -> None:
        for width in WIDTHS:
            self.window.resize(width, 800)
            self.checked.view(f"{name}, {width} pixels")

    def open(self, path: str, heading: str) -> None:
        self.window.open(f"{self.site}{path}")
        self.window.wait_text("h1", heading)
        self.audit(path)


@pytest.fixture
def visit(browser, site, axe) -> Visit:
    # Pages of errors have an error status, and the service goes away once.
    allow = ("401", "404", "409", "ERR_INTERNET_DISCONNECTED", "htmx:sendError", "htmx:afterRequest")
    return Visit(browser(allow=allow), site, axe)


def test_axe_finds_nothing_on_any_view_of_the_admin(visit, ledger, home, runs, monkeypatch):
    monkeypatch.setattr(overview, "PER_PAGE", 5)
    all_states(ledger, home)
    ledger.campaigns.record_unanswered_notes("harbour at night", 2)
    window = visit.window
    visit.log_in(KEY, "wrong")
    window.wait(lambda: window.shown("[role=alert]"), "the refusal")
    visit.audit("a refused login")
    visit.log_in(KEY, SECRET)
    window.wait_text("h1", "Campaigns")
    visit.audit("the list")
    visit.open("/?show=person", "Campaigns")
    visit.open("/?show=all&page=2", "Campaigns")
    visit.open("/?find=nothing", "Campaigns")
    for title in ("wrong labels", "harbour at night", "orchard", "planned"):
        visit.open(f"/campaign?title={title.replace(' ', '+')}", title)
    for action in ("cancel", "reopen", "deliver", "rotate", "resume"):  # the last one is refused
        visit.open(f"/confirm?title=late&action={action}", "late")
    visit.open("/campaign?title=nobody", "This was not done")
    visit.open("/nowhere", "This was not done")

    window.open(f"{visit.site}/confirm?title=late&action=cancel")
    window.click("form.confirm button")
    window.wait_text("#run", "Running")
    visit.audit("a run that is under way")
    ledger.campaigns.move("late", State.CANCELLED, "by a person")
    runs.end("'late' is cancelled")
    window.wait_text("#run", "is cancelled")
    visit.audit("a run that is over")
    visit.open("/run?id=run-1&action=cancel", "Cancel")
    runs.end("The platform is away", succeeded=False)
    visit.open("/run?id=run-1&action=cancel", "Cancel")

    window.open(f"{visit.site}/")
    window.offline(True)
    window.wait(lambda: window.shown("#lost"), "the notice")
    visit.audit("a service that is away")
    assert visit.checked.findings == {}


def test_axe_finds_nothing_on_the_views_of_a_reader(visit, ledger, home):
    all_states(ledger, home)
    visit.window.open(f"{visit.site}/login")
    visit.window.wait_text("h1", "Operations")
    visit.audit("the login")
    visit.log_in(*READER)
    visit.window.wait_text("h1", "Campaigns")
    visit.audit("the list")
    visit.open("/campaign?title=late", "late")
    visit.open("/confirm?title=late&action=cancel", "Cancel: late")
    assert visit.checked.findings == {}
