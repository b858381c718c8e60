"""A browser and a labeler in it."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.service.page.chromium import Browser, chromedriver
from tests.service.page.firefox import Firefox
from tests.service.page.labeling import Labeler, chequered

BROWSERS = {"chromium": Browser, "firefox": Firefox}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test runs in Chromium and in Firefox; in Firefox as one of the last, unless it is marked `every_browser`.

    LABELWRIGHT_BROWSERS names other browsers.
    """
    if "browser_class" not in metafunc.fixturenames:
        return
    first = metafunc.definition.get_closest_marker("every_browser") is not None
    names = os.environ.get("LABELWRIGHT_BROWSERS", "chromium,firefox").split(",")
    if metafunc.module.__name__.endswith(".pictures"):  # of the documents
        names = ["chromium"]
    metafunc.parametrize(
        "browser_class",
        [
            pytest.param(BROWSERS[name], id=name, marks=[pytest.mark.exhaustive] * (name == "firefox" and not first))
            for name in names
        ],
    )


@pytest.fixture(scope="session")
def driver() -> Iterator[Callable[[], str]]:
    """The address of chromedriver, which is started when it is needed first."""
    with ExitStack() as stack:
        yield functools.cache(lambda: stack.enter_context(chromedriver()))


@pytest.fixture
def browser(driver: Callable[[], str], browser_class: type[Browser]) -> Iterator[Callable[..., Browser]]:
    """Start a browser. At the end its console must be empty, and no other host may have been asked for anything."""
    started: list[tuple[Browser, list[str]]] = []

    def start(*, allow: tuple[str, ...] = (), **settings: Any) -> Browser:
        browser = Firefox(**settings) if browser_class is Firefox else Browser(driver(), **settings)
        started.append((browser, list(allow)))
        return browser

    yield start
    complaints: list[str] = []
    for started_browser, allowed in started:
        try:
            complaints += [line for line in started_browser.log() if not any(part in line for part in allowed)]
            hosts = ("http://127.0.0.1:", "blob:http://127.0.0.1:", "data:", "about:", "chrome:", "chrome-")
            complaints += [f"asked for {url}" for url in started_browser.network() if not url.startswith(hosts)]
        finally:
            started_browser.close()
    assert not complaints


@pytest.fixture
def campaign(service: Any, make: Any) -> Callable[..., tuple[dict[str, Any], list[int], Any]]:
    """A campaign of these pictures (by file name), its images' ids, and its labeler."""

    def begin(files: dict[str, bytes] | int = 3, **order: Any) -> tuple[dict[str, Any], list[int], Any]:
        if isinstance(files, int):
            files = {f"{n:02}.png": chequered(640, 480, (100 + n, 80, 300, 200)) for n in range(files)}
        sealed = service.set_of(files)
        ids = [image["image_id"] for image in service.images_of(sealed["imageset_id"])]
        body = {"title": make.fresh("campaign"), "metadata": None, "labeler_email": f"{make.fresh('labeler')}@x.org"}
        campaign_made = service.ok("POST", "/campaigns", {**body, "labels": ["Plastic", "Wood", "Organic"], **order})
        service.ok("POST", f"/campaigns/{campaign_made['campaign_id']}/images", [{"id": image} for image in ids])
        service.ok("PUT", f"/campaigns/{campaign_made['campaign_id']}", {"new_status": "active"})
        return campaign_made, ids, service.labeler(campaign_made)

    return begin


@pytest.fixture
def at_page(
    browser: Callable[..., Browser], campaign: Callable[..., Any], service: Any
) -> Callable[..., tuple[Labeler, list[int]]]:
    """A labeler who has just opened the link."""

    def arrive(
        files: dict[str, bytes] | int = 3, *, page: dict[str, Any] | None = None, **order: Any
    ) -> tuple[Labeler, list[int]]:
        campaign_made, ids, caller = campaign(files, **order)
        labeler = Labeler(browser(**(page or {})), service.url, campaign_made, caller)
        labeler.open()
        return labeler, ids

    return arrive
