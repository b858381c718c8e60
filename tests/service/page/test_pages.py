"""How the pages are served: without a key, with headers that let nothing else in, and from this package alone."""

from __future__ import annotations

from importlib.resources import files

import pytest
import requests

PAGE = files("labelwright.service").joinpath("page")


@pytest.fixture(
    params=[
        "/label",
        "/",
        "/page/main.js",
        "/page/label.css",
        "/page/texts/en.json",
        "/page/vendor/annotorious/annotorious.js",
    ]
)
def response(request, service):
    return requests.get(service.url + request.param, timeout=60)


def test_every_file_comes_with_strict_headers(response):
    assert response.status_code == 200
    policy = dict(part.split(" ", 1) for part in response.headers["Content-Security-Policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' blob:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["Cache-Control"] == "no-cache"


def test_a_file_that_did_not_change_is_not_sent_again(response):
    again = requests.get(response.url, headers={"If-None-Match": response.headers["ETag"]}, timeout=60)
    assert again.status_code == 304
    assert again.content == b""


@pytest.mark.parametrize(
    "path",
    [
        "/page/", "/page/label.html", "/page/../pages.py", "/page/%2e%2e/pages.py", "/page/..%2fpages.py",
        "/page/vendor/annotorious/VERSION.md", "/page//etc/passwd", "/label/", "/label/x",
    ],
)  # fmt: skip
def test_nothing_else_is_served(service, path):
    with requests.Session() as session:
        request = requests.Request("GET", service.url).prepare()
        request.url = service.url + path
        assert session.send(request, timeout=60).status_code == 404


def test_the_pages_take_nothing_but_get(service):
    assert requests.post(f"{service.url}/label", timeout=60).status_code == 405


def test_the_pages_hold_no_script_or_style_of_their_own():
    """The policy would refuse it, and only the browser's console would tell."""
    for name in ("label.html", "admin.html"):
        text = PAGE.joinpath(name).read_text(encoding="utf-8")
        assert "style=" not in text
        assert "<style" not in text
        assert text.count("<script") == text.count("<script defer src=") + text.count('<script type="module" src=')
        assert not any(f" on{event}=" in text for event in ("click", "load", "error", "submit"))


def test_text_is_never_set_as_markup():
    for entry in PAGE.iterdir():
        if entry.name.endswith(".js"):
            text = entry.read_text(encoding="utf-8")
            for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
                assert way not in text, f"{entry.name} uses {way}"


def test_what_is_bundled_comes_with_its_licences(service):
    vendor = PAGE.joinpath("vendor/annotorious")
    assert "BSD 3-Clause" in vendor.joinpath("LICENSE").read_text()
    assert "3.8.10" in vendor.joinpath("VERSION.md").read_text()
    notices = vendor.joinpath("NOTICES").read_text()
    for name in ("svelte", "uuid", "dequal", "rbush", "quickselect", "simplify-js", "nanoevents", "nanostores"):
        assert f"==== {name}\n" in notices
    for name in ("LICENSE", "NOTICES"):
        response = requests.get(f"{service.url}/page/vendor/annotorious/{name}", timeout=60)
        assert response.headers["Content-Type"].startswith("text/plain")
