"""The labeling page at /label, the admin page at / and the API's documentation at /docs: files with strict headers.

The pages hold no data and need no key; what they show comes from the API, with the key that the person enters.
Everything that a page loads comes from this host.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
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

_DOCS_HEADERS = {
    **HEADERS,
    # Swagger UI draws its icons from its style sheet.
    "Content-Security-Policy": POLICY.replace("img-src 'self' blob:", "img-src 'self' data:"),
}

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "json": "application/json",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


def mount_pages(app: FastAPI) -> None:
    """Adds a route per file of the pages. The files are read at the start: no path of a request is ever opened."""
    files_by_name = _read(files("labelwright.service").joinpath("page"), "")
    app.add_route("/label", _route(files_by_name["label.html"]), ["GET"], include_in_schema=False)
    app.add_route("/", _route(files_by_name["admin.html"]), ["GET"], include_in_schema=False)
    docs = _File(files_by_name["docs.html"].body, _TYPES["html"], _DOCS_HEADERS)
    app.add_route("/docs", _route(docs), ["GET"], include_in_schema=False)
    for name, file in files_by_name.items():
        if not name.endswith(".html"):
            app.add_route(f"/page/{name}", _route(file), ["GET"], include_in_schema=False)


class _File:
    def __init__(self, body: bytes, content_type: str, headers: Mapping[str, str] = HEADERS) -> None:
        self.body = body
        self.headers = {**headers, "Content-Type": content_type, "ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"'}


def _read(folder: Traversable, prefix: str) -> dict[str, _File]:
    files_by_name: dict[str, _File] = {}
    for entry in folder.iterdir():
        if entry.is_dir():
            files_by_name |= _read(entry, f"{prefix}{entry.name}/")
        elif content_type := _TYPES.get(entry.name.rpartition(".")[2]):
            files_by_name[f"{prefix}{entry.name}"] = _File(entry.read_bytes(), content_type)
        elif entry.name in ("LICENSE", "NOTICES"):
            files_by_name[f"{prefix}{entry.name}"] = _File(entry.read_bytes(), "text/plain; charset=utf-8")
    return files_by_name


def _route(file: _File) -> Callable[[Request], Awaitable[Response]]:
    async def serve_file(request: Request) -> Response:
        if request.headers.get("if-none-match") == file.headers["ETag"]:
            return Response(status_code=304, headers=file.headers)
        return Response(file.body, headers=file.headers)

    return serve_file
