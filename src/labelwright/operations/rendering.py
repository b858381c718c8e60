"""Pages from templates, with strict headers, and the files that they load."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import Response

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # With `no-referrer` browsers would hide where a form comes from, which is checked.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


def _minute(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else ""


_templates = Environment(
    loader=PackageLoader("labelwright.operations"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters["minute"] = _minute


def render(template: str, **values: Any) -> str:
    """The template's text with these values; everything in them is escaped."""
    return _templates.get_template(template).render(values)


def page(text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(text, status, {**HEADERS, **(headers or {})}, "text/html; charset=utf-8")


def digest(text: str) -> str:
    """Tells whether a part of a page is still what its reader has."""
    return hashlib.sha256(text.encode()).hexdigest()[:20]


class StaticFile:
    """A file that pages load. It is read once: no path of a request is ever opened."""

    def __init__(self, body: bytes, content_type: str) -> None:
        self._body = body
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        self._headers = {**HEADERS, "Content-Type": content_type, "ETag": tag, "Cache-Control": "no-cache"}

    def response(self, known_tag: str | None) -> Response:
        """The file, or 304 for a client that has it."""
        if known_tag == self._headers["ETag"]:
            return Response(status_code=304, headers=self._headers)
        return Response(self._body, headers=self._headers)


def static_files() -> dict[str, StaticFile]:
    """The files by their path below `static/`."""
    return _read(files("labelwright.operations").joinpath("static"), "")


def _read(folder: Traversable, prefix: str) -> dict[str, StaticFile]:
    static: dict[str, StaticFile] = {}
    for entry in folder.iterdir():
        if entry.is_dir():
            static |= _read(entry, f"{prefix}{entry.name}/")
            continue
        content_type = _TYPES.get(entry.name.rpartition(".")[2], "text/plain" if entry.name == "LICENSE" else "")
        if content_type:
            static[f"{prefix}{entry.name}"] = StaticFile(entry.read_bytes(), f"{content_type}; charset=utf-8")
    return static
