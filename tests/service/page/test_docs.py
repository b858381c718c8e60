"""The API's documentation: complete, from this host alone, and within the page's policy."""

from __future__ import annotations

import pytest
import requests

METHODS = {"get", "post", "put", "patch", "delete", "head"}


def test_the_page_has_the_strict_policy_and_icons_of_its_style_sheet(service):
    headers = requests.get(f"{service.url}/docs", timeout=60).headers
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["img-src"] == "'self' data:"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"


def test_licences_are_served_with_what_they_are_for(service):
    folder = f"{service.url}/page/vendor/swagger-ui"
    assert "Apache License" in requests.get(f"{folder}/LICENSE", timeout=60).text
    assert "SmartBear" in requests.get(f"{folder}/NOTICES", timeout=60).text


@pytest.mark.browser
def test_every_operation_is_listed_and_opens(service, browser):
    """The fixture fails on anything in the console, such as a broken policy, and on requests to another host."""
    document = requests.get(f"{service.url}/openapi.json", timeout=60).json()
    operations = sum(len(path.keys() & METHODS) for path in document["paths"].values())
    page = browser()
    page.open(f"{service.url}/docs")
    page.wait(lambda: len(page.texts(".opblock")) == operations, f"{operations} operations")
    page.click(".opblock-summary-control")
    page.wait(lambda: page.shown(".opblock-body"), "the operation")
    assert page.js("return getComputedStyle(document.querySelector('.opblock')).borderTopStyle") == "solid"
