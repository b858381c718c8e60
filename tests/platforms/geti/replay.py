"""Server that replays recordings (VCR cassettes of a real SC 1.1) for requests of the recorded form."""

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
    """`remaining`: recorded requests that did not come yet. `unrecorded`: requests without a recording."""

    def __init__(self, *names: str) -> None:
        self.interactions: list[dict[str, Any]] = []
        for name in names:
            text = (RECORDINGS / f"{name}.yaml").read_text(encoding="utf-8")
            self.interactions += yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["interactions"]
        self.unrecorded: list[str] = []
        self.requests: list[str] = []
        self.content_types: list[str] = []
        replay = self

        class Handler(_Handler):
            recording = replay

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"

    @property
    def remaining(self) -> list[str]:
        return [f"{interaction['request']['method']} {_target(interaction)}" for interaction in self.interactions]

    def take(self, method: str, target: str, body: bytes, content_type: str) -> dict[str, Any] | None:
        self.requests.append(f"{method} {target}")
        for interaction in self.interactions:
            is_same = interaction["request"]["method"] == method and _target(interaction) == target
            if is_same and _content(body, content_type) == _recorded_content(interaction):
                self.interactions.remove(interaction)
                return interaction["response"]
        self.unrecorded.append(f"{method} {target} {_content(body, content_type)}")
        return None


def _target(interaction: dict[str, Any]) -> str:
    parts = urlsplit(interaction["request"]["uri"])
    return parts.path + (f"?{parts.query}" if parts.query else "")


def _recorded_content(interaction: dict[str, Any]) -> Any:
    body = interaction["request"]["body"] or b""
    kind = (interaction["request"]["headers"].get("Content-Type") or [""])[0]
    return _content(body.encode() if isinstance(body, str) else body, kind)


def _content(body: bytes, kind: str) -> Any:
    """The content of a body, independent of the order of keys and of the boundary."""
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
    wbufsize = -1  # head and body in one packet: else each response waits for a delayed acknowledgement
    disable_nagle_algorithm = True
    recording: Replay

    def log_message(self, *_: object) -> None:
        return

    def _respond(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.recording.content_types.append(self.headers.get("Content-Type") or "")
        response = self.recording.take(self.command, self.path, body, self.headers.get("Content-Type") or "")
        if response is None:
            self.send_response(599)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = response["body"].get("string") or b""
        content = content.encode() if isinstance(content, str) else content
        self.send_response(response["status"]["code"])
        for name, values in response["headers"].items():
            for value in values if isinstance(values, list) else [values]:
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _respond


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
