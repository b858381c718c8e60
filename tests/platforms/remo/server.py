"""A stand-in for Remo, 0.3.29 and 0.6.1, on a real socket of the loopback interface.

    with RemoServer(modern=True) as server:
        Remo(shared_session(server.url, EMAIL, Secret(PASSWORD)))

Strict as the real ones: it logs in by e-mail address, keeps sessions by cookie (and answers 400 to requests of 0.6 that
meet without one), knows addresses only with their slash at the end, answers with a page what it does not know, and
takes host names under localhost only (0.3). Whatever it was asked stands in `asked`.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from . import (
    dataset_responses as remo_dataset_answers,
)
from . import (
    label_responses as remo_label_answers,
)
from . import (
    set_responses as remo_set_answers,
)
from . import (
    upload_responses as remo_upload_answers,
)
from .routes import Answer, Asked, ServerError, answer, knows
from .state import World

ANSWERS = (remo_dataset_answers, remo_label_answers, remo_set_answers, remo_upload_answers)
"""Importing them fills the table of routes."""
EMAIL, PASSWORD = "admin@remo.ai", "adminpass"
_PAGE = "<!doctype html>\n<html>\n  <head>\n    <title>{}</title>\n  </head>\n  <body><p>A page</p></body>\n</html>"
_FORBIDDEN = "<!DOCTYPE html><html><title>403 Forbidden</title><body><p>CSRF verification failed.</p></body></html>"


class RemoServer:
    """`world` may be looked into and changed; under its `lock` while requests are on their way."""

    def __init__(self, *, modern: bool) -> None:
        self.modern = modern
        self.world = World(modern)
        self.token = secrets.token_hex(20)
        self.asked: list[Asked] = []
        self.unknown = ""
        """Addresses that this server does not know, as a pattern: other versions know fewer."""
        self.lock = threading.RLock()
        self.without_cookie = 0
        """Requests without a session cookie that are on their way just now."""
        self.collisions = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.remo = self  # type: ignore[attr-defined]
        self.port = self._server.server_address[1]
        self.url = f"http://localhost:{self.port}"

    def __enter__(self) -> RemoServer:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="remo", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def calls(self, method: str, path: str) -> list[Asked]:
        """What was asked, by method and a pattern that the whole path fits."""
        return [entry for entry in list(self.asked) if entry.method == method and re.fullmatch(path, entry.path)]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 30

    def log_message(self, *_: object) -> None: ...

    def _serve(self) -> None:
        remo: RemoServer = self.server.remo  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        kind, host = self.headers.get("Content-Type", ""), self.headers.get("Host", "")
        request = Asked(self.command, unquote(parts.path), query, kind, body, host=host)
        if kind.startswith("multipart/form-data"):
            request.form, request.files = read_form(kind, body)
        remo.asked.append(request)
        bare = "sessionid" not in SimpleCookie(self.headers.get("Cookie", ""))
        if bare and remo.modern and "Authorization" in self.headers:
            with remo.lock:
                remo.without_cookie += 1
                alone = remo.without_cookie == 1
            time.sleep(0.02)
            with remo.lock:
                alone = alone and remo.without_cookie == 1
                remo.without_cookie -= 1
                remo.collisions += not alone
            if not alone:
                self._say(Answer(400, text="<h1>Bad Request (400)</h1>", kind="text/html"))
                return
        record = self._answer(remo, request)
        if bare and request.path not in ("/version", "/version/"):
            record.headers["Set-Cookie"] = f"sessionid={secrets.token_hex(16)}; HttpOnly; Path=/; SameSite=Lax"
        self._say(record)

    def _answer(self, remo: RemoServer, request: Asked) -> Answer:
        if not remo.modern and request.host.partition(":")[0].split(".")[-1] != "localhost":
            return Answer(400, text="<h1>Bad Request (400)</h1>", kind="text/html")
        version = {"app": "remo", "version": "0.6.1" if remo.modern else "0.3.29"}
        if request.path.rstrip("/") in ("/version", *(["/api/version"] if remo.modern else [])):
            return Answer(200, version)
        login = request.path == "/api/rest-auth/login/"
        hidden = remo.unknown and re.search(remo.unknown, request.path) and request.method == "GET"
        if hidden or (not login and not knows(remo.world, request.path)):
            return self._unknown(remo, request)
        try:
            denied = self._denied(remo, request)
            if denied is not None:
                return denied
            with remo.lock:
                record = answer(remo.world, request)
        except (ServerError, AttributeError, TypeError, ValueError, KeyError):
            page = "<h1>Server Error (500)</h1>" if remo.modern else _PAGE.format("remo.ai")
            return Answer(500, text=page, kind="text/html")
        return record

    def _denied(self, remo: RemoServer, request: Asked) -> Answer | None:
        payload = self.headers.get("Authorization")
        if payload is not None and payload != f"Token {remo.token}":
            return Answer(401, {"detail": "Invalid token."})
        if request.path == "/api/rest-auth/login/" and request.method == "POST":
            if request.json() == {"email": EMAIL, "password": PASSWORD}:
                return Answer(200, {"key": remo.token})
            return Answer(400, {"non_field_errors": ["Unable to log in with provided credentials."]})
        if payload is None and not remo.modern and request.path.startswith("/api/"):  # 0.6 logs every visitor in
            return Answer(401, {"detail": "Authentication credentials were not provided."})
        return None

    def _unknown(self, remo: RemoServer, request: Asked) -> Answer:
        if request.method == "GET":
            return Answer(200, text=_PAGE.format("remo" if remo.modern else "remo.ai"), kind="text/html; charset=utf-8")
        return Answer(405, text=b"", kind="") if remo.modern else Answer(403, text=_FORBIDDEN, kind="text/html")

    def _say(self, record: Answer) -> None:
        body = record.text if record.text is not None else b"" if record.status == 204 else json.dumps(record.json)
        data = body.encode() if isinstance(body, str) else body
        lines = [f"HTTP/1.1 {record.status} {self.responses[record.status][0]}"]
        if record.status != 204:
            lines += [f"Content-Length: {len(data)}"] + ([f"Content-Type: {record.kind}"] if record.kind else [])
        lines += [f"{name}: {value}" for name, value in record.headers.items()]
        self.wfile.write("\r\n".join([*lines, "", ""]).encode("utf-8") + data)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve


def read_form(kind: str, body: bytes) -> tuple[dict[str, str], list[tuple[str, bytes]]]:
    """Fields by name, and the files under `files`. Raises ValueError for what is no form."""
    boundary = re.search(r'boundary="?([^";]+)', kind)
    if boundary is None:
        raise ValueError(kind)
    mark = b"--" + boundary[1].encode()
    pieces = (b"\r\n" + body).split(b"\r\n" + mark)
    if not pieces[-1].startswith(b"--"):
        raise ValueError("the form does not end")
    fields: dict[str, str] = {}
    files: list[tuple[str, bytes]] = []
    for piece in pieces[1:-1]:
        head, _, data = piece.partition(b"\r\n\r\n")
        payload: dict[str, Any] = dict(re.findall(r'(name|filename)="([^"]*)"', head.decode()))
        if "filename" in payload:
            if payload["name"] == "files":
                files.append((payload["filename"], data))
        else:
            fields[payload["name"]] = data.decode()
    return fields, files
