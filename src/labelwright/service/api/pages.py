"""The labeling page at /label and the admin page at /: files from this package, and headers that let nothing else in.

The pages hold no data and need no key to be fetched; what they show comes from the API, with the key that the person
brings. Everything that a page loads comes from here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Asked again every time and answered 304: a new version of the service is never mixed with the old page.
    "Cache-Control": "no-cache",
}

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


def mount_pages(app: FastAPI) -> None:
    """Serve the pages. Only files that are there when the service starts can be asked for: no path is ever opened."""
    found = _read(files("labelwright.service").joinpath("page"), "")
    app.add_route("/label", _route(found["label.html"]), ["GET"], include_in_schema=False)
    app.add_route("/", _route(found["admin.html"]), ["GET"], include_in_schema=False)
    for name, file in found.items():
        if not name.endswith(".html"):
            app.add_route(f"/page/{name}", _route(file), ["GET"], include_in_schema=False)


class _File:
    def __init__(self, body: bytes, content_type: str) -> None:
        self.body = body
        self.headers = {**HEADERS, "Content-Type": content_type, "ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"'}


def _read(folder: Traversable, prefix: str) -> dict[str, _File]:
    found: dict[str, _File] = {}
    for entry in folder.iterdir():
        if entry.is_dir():
            found |= _read(entry, f"{prefix}{entry.name}/")
        elif content_type := _TYPES.get(entry.name.rpartition(".")[2]):
            found[f"{prefix}{entry.name}"] = _File(entry.read_bytes(), content_type)
        elif entry.name in ("LICENSE", "NOTICES"):
            found[f"{prefix}{entry.name}"] = _File(entry.read_bytes(), "text/plain; charset=utf-8")
    return found


def _route(file: _File) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        if request.headers.get("if-none-match") == file.headers["ETag"]:
            return Response(status_code=304, headers=file.headers)
        return Response(file.body, headers=file.headers)

    return answer
