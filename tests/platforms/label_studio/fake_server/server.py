"""A stand-in for Label Studio 1.23 (Community) on a real socket of the loopback interface.

    with FakeLabelStudio() as server:
        LabelStudio(server.url, Secret(server.pat))

It answers recorded requests as the real one did (test_replay.py), traps included: calls of Enterprise get a page of
HTML, PUT empties a project, two files under one name lose one, 101 files are a 500.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from .state import NoRoute, Refused, User, World

Json = Any
_PAGE = "<!DOCTYPE html><html><head><title>Page not found</title></head><body>" + "<p></p>" * 20 + "</body></html>"


@dataclass
class Call:
    """A request as the routes get it."""

    world: World
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    user: User = field(default_factory=lambda: User(0, ""))
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """Files by the name of their field: of two under one name the later one."""
    file_count: int = 0

    def json(self) -> Any:
        kind = self.headers.get("content-type", "")
        if "urlencoded" in kind:
            return dict(parse_qsl(self.body.decode()))
        try:
            return json.loads(self.body or b"{}")
        except ValueError as error:
            raise Refused(400, f"JSON parse error - {error}") from None


@dataclass
class Reply:
    status: int
    json: Any = None
    body: bytes | None = None
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


Route = Callable[..., Reply]
ROUTES: list[tuple[str, re.Pattern[str], Route]] = []
OPEN = frozenset({"/api/version", "/health", "/api/token/refresh", "/api/token/rotate", "/user/login"})


def route(method: str, pattern: str) -> Callable[[Route], Route]:
    """Registers a function for a path. Paths work with and without a slash at their end."""

    def register(function: Route) -> Route:
        ROUTES.append((method, re.compile(pattern.rstrip("/") + "/?"), function))
        return function

    return register


class FakeLabelStudio:
    """`world` may be looked into and changed, under its lock while requests are on their way."""

    def __init__(self) -> None:
        from . import import_routes, project_routes, task_routes  # noqa: F401 - importing them fills the table of routes

        self.world = World()
        self.pat = self.world.make_pat()
        self.calls: list[Call] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.fake = self  # type: ignore[attr-defined]
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> FakeLabelStudio:
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name="label studio", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def made(self, method: str, pattern: str) -> list[Call]:
        """The calls of a method whose path fits a pattern."""
        return [call for call in list(self.calls) if call.method == method and re.fullmatch(pattern, call.path)]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 30

    def log_message(self, *_: object) -> None: ...

    def _serve(self) -> None:
        fake: FakeLabelStudio = self.server.fake  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        call = Call(fake.world, self.command, unquote(parts.path), query, headers, body)
        fake.calls.append(call)
        with fake.world.lock:
            reply = _answer(call)
        data = reply.body if reply.body is not None else b"" if reply.status == 204 else _dump(reply.json)
        self.send_response(reply.status)
        if reply.status != 204:
            self.send_header("Content-Type", reply.kind)
            self.send_header("Content-Length", str(len(data)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve


def _dump(payload: Any) -> bytes:
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


def _answer(call: Call) -> Reply:
    try:
        return _routed(call)
    except NoRoute:
        return Reply(404, body=_PAGE.encode(), kind="text/html; charset=utf-8")
    except Refused as refused:
        payload = {
            "id": "970fc704-a519-4028-a4e0-7932f37f203a",
            "status_code": refused.status,
            "version": "1.23.2",
            "detail": refused.detail,
            "exc_info": None,
        }
        if refused.faults is not None:
            payload["validation_errors"] = refused.faults
        return Reply(refused.status, payload)


def _routed(call: Call) -> Reply:
    fitting = [
        (method, match, function) for method, pattern, function in ROUTES if (match := pattern.fullmatch(call.path))
    ]
    if not fitting:
        raise NoRoute
    if call.path.rstrip("/") not in OPEN:
        session = re.search(r"sessionid=(\d+)", call.headers.get("cookie", ""))
        call.user = (
            call.world.users[int(session[1])] if session else call.world.user_of(call.headers.get("authorization", ""))
        )
    for method, match, function in fitting:
        if method == call.method:
            if call.headers.get("content-type", "").startswith("multipart/form-data"):
                _read_form(call)
            return function(call, *(int(part) if part.isdecimal() else part for part in match.groups()))
    raise Refused(405, f'Method "{call.method}" not allowed.')


def _read_form(call: Call) -> None:
    """Files by the name of their field, as Django's `FILES.items()` gives them: one for each name."""
    boundary = re.search(r'boundary="?([^";]+)', call.headers["content-type"])
    mark = b"--" + (boundary[1] if boundary else "").encode()
    for piece in (b"\r\n" + call.body).split(b"\r\n" + mark)[1:-1]:
        head, _, data = piece.partition(b"\r\n\r\n")
        match = re.search(r'name="([^"]*)"; filename="([^"]*)"', head.decode("utf-8", "replace"))
        if match:
            call.files[match[1]] = (match[2], data)
            call.file_count += 1
    if call.file_count > 100:
        raise Refused(500, "The number of files exceeded settings.DATA_UPLOAD_MAX_NUMBER_FILES.")
