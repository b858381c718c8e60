"""A server that answers as a recording did (VCR cassettes of a real SC 1.1), and only what was asked in that form."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

HOP_BY_HOP = {"content-length", "transfer-encoding", "connection", "content-encoding", "date"}
RECORDINGS = Path(__file__).parent / "recordings"


class Replay:
    """`unasked` are the exchanges that nobody asked for yet, `strangers` what was asked and never recorded."""

    def __init__(self, *names: str) -> None:
        self.waiting: list[dict[str, Any]] = []
        for name in names:
            text = (RECORDINGS / f"{name}.yaml").read_text(encoding="utf-8")
            self.waiting += yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["interactions"]
        self.strangers: list[str] = []
        self.asked: list[str] = []
        self.content_types: list[str] = []
        replay = self

        class Handler(_Handler):
            recording = replay

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"

    @property
    def unasked(self) -> list[str]:
        return [f"{one['request']['method']} {_target(one)}" for one in self.waiting]

    def take(self, method: str, target: str, body: bytes, content_type: str) -> dict[str, Any] | None:
        self.asked.append(f"{method} {target}")
        for one in self.waiting:
            same = one["request"]["method"] == method and _target(one) == target
            if same and _says(body, content_type) == _recorded_says(one):
                self.waiting.remove(one)
                return one["response"]
        self.strangers.append(f"{method} {target} {_says(body, content_type)}")
        return None


def _target(one: dict[str, Any]) -> str:
    parts = urlsplit(one["request"]["uri"])
    return parts.path + (f"?{parts.query}" if parts.query else "")


def _recorded_says(one: dict[str, Any]) -> Any:
    body = one["request"]["body"] or b""
    kind = (one["request"]["headers"].get("Content-Type") or [""])[0]
    return _says(body.encode() if isinstance(body, str) else body, kind)


def _says(body: bytes, kind: str) -> Any:
    """What a body says, whatever the order of its keys and its boundary."""
    if not body:
        return None
    if "json" in kind:
        return json.loads(body)
    if "urlencoded" in kind:
        return parse_qs(body.decode())
    boundary = re.search(r"boundary=(\S+)", kind)
    assert boundary is not None, kind
    return body.replace(boundary[1].encode(), b"-")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: else each answer waits for a delayed acknowledgement
    disable_nagle_algorithm = True
    recording: Replay

    def log_message(self, *_: object) -> None:
        return

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.recording.content_types.append(self.headers.get("Content-Type") or "")
        found = self.recording.take(self.command, self.path, body, self.headers.get("Content-Type") or "")
        if found is None:
            self.send_response(599)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        said = found["body"].get("string") or b""
        said = said.encode() if isinstance(said, str) else said
        self.send_response(found["status"]["code"])
        for name, values in found["headers"].items():
            for value in values if isinstance(values, list) else [values]:
                if name.lower() not in (
                    "content-length",
                    "transfer-encoding",
                    "connection",
                    "content-encoding",
                    "date",
                ):
                    self.send_header(name, value)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer


@contextmanager
def replaying(*names: str) -> Iterator[Replay]:
    replay = Replay(*names)
    thread = threading.Thread(target=replay.http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield replay
    finally:
        replay.http.shutdown()
        thread.join()
        replay.http.server_close()
