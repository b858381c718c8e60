"""A server that misbehaves on purpose: it echoes, drips, truncates, redirects, sends HTML, or stays silent.

    with fault_server(echo(403)) as server:
        ...  # ask server.url; server.requests holds what came

A behavior is a function of the request and the connection; it sends whatever it likes. Standard library and threads
only, on the loopback interface, on a port that the system chose. One thread serves one connection; all of them end with
the block.
"""

from __future__ import annotations

import base64
import html
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus


@dataclass
class Received:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes
    ended: threading.Event = field(repr=False)
    """Set when the server ends: behaviors that wait wait for it."""

    @property
    def text(self) -> str:
        """All of it, as a proxy or a firewall would quote it."""
        head = "\n".join([f"{self.method} {self.path} HTTP/1.1", *(f"{k}: {v}" for k, v in self.headers.items())])
        return f"{head}\n\n{self.body.decode('utf-8', 'replace')}"


Behavior = Callable[[Received, socket.socket], None]


class FaultServer:
    """`url` is its address, `requests` what came so far, `connections` how many were accepted."""

    def __init__(self, behavior: Behavior, *, reads_body: bool = True) -> None:
        self.behavior = behavior
        self.requests: list[Received] = []
        self.connections = 0
        self._reads_body = reads_body
        self._ended = threading.Event()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self._listener.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        threading.Thread(target=self._accept, name="fault server", daemon=True).start()

    def stop(self) -> None:
        self._ended.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(connection)
                self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), name="fault server", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, suppress(OSError, ValueError), connection.makefile("rb") as reader:
                while not self._ended.is_set() and (request := self._read(reader)) is not None:
                    with self._lock:
                        self.requests.append(request)
                    self.behavior(request, connection)
        finally:
            with self._lock:
                self._open.discard(connection)

    def _read(self, reader: object) -> Received | None:
        line = reader.readline().decode("latin-1").split()  # type: ignore[attr-defined]
        if len(line) < 2:
            return None
        headers: dict[str, str] = {}
        while (raw := reader.readline().decode("latin-1").strip()) != "":  # type: ignore[attr-defined]
            name, _, value = raw.partition(":")
            headers[name.lower()] = value.strip()
        body = b""
        if self._reads_body and headers.get("content-length"):
            body = reader.read(int(headers["content-length"]))  # type: ignore[attr-defined]
        elif self._reads_body and "chunked" in headers.get("transfer-encoding", ""):
            while size := int(reader.readline().partition(b";")[0], 16):  # type: ignore[attr-defined]
                body += reader.read(size)  # type: ignore[attr-defined]
                reader.readline()  # type: ignore[attr-defined]
            reader.readline()  # type: ignore[attr-defined]
        return Received(line[0], line[1], headers, body, self._ended)


@contextmanager
def fault_server(behavior: Behavior, **more: bool) -> Iterator[FaultServer]:
    server = FaultServer(behavior, **more)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def response(status: int, body: bytes, *headers: str, reason: str = "Fault") -> bytes:
    lines = [f"HTTP/1.1 {status} {reason}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1", "replace") + body


# What it can do. Echoes first.


ENCODINGS: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "json": json.dumps,
    "json in json": lambda text: json.dumps(json.dumps(text)),
    "unicode escapes": lambda text: "".join(
        f"\\u{ord(character):04x}" if ord(character) < 0x10000 else character for character in text
    ),
    "percent": lambda text: quote(text, safe=""),
    "percent, small letters": lambda text: quote(text, safe="").replace("%2F", "%2f").lower(),
    "percent, everything": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "form": quote_plus,
    "percent twice": lambda text: quote(quote(text, safe=""), safe=""),
    "html": html.escape,
    "html numbers": lambda text: "".join(f"&#{ord(character)};" for character in text),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 for urls": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "hexadecimal": lambda text: text.encode().hex(),
    "capitals": str.upper,
}
"""Ways in which servers write what they repeat."""


def echo(status: int, media: str = "application/json", encoding: str = "plain") -> Behavior:
    """Repeats the whole request in its answer, in the reason phrase, in headers and in a cookie too."""

    def behave(request: Received, connection: socket.socket) -> None:
        payload = ENCODINGS[encoding](request.text)
        body = json.dumps({"error": {"message": payload}, "detail": payload}) if "json" in media else payload
        if "html" in media:
            body = f"<html><head><title>{status}</title></head><body><pre>{html.escape(payload)}</pre></body></html>"
        line = " ".join(request.text.split())[:2000]
        headers = [
            f"Content-Type: {media}",
            f"X-Request: {line}",
            f"x-ms-error-code: {line[:900]}",
            f"Set-Cookie: last={quote(line)[:500]}",
        ]
        if 300 <= status < 400:
            headers.append(f"Location: http://127.0.0.1:9/{quote(line)}")
        connection.sendall(response(status, body.encode(), *headers, reason=line[:500]))

    return behave


def redirect(status: int, location: str) -> Behavior:
    """Sends the client elsewhere."""
    return lambda _request, connection: connection.sendall(response(status, b"", f"Location: {location}"))


def page(status: int = 200) -> Behavior:
    """Answers with HTML, as a login page or a firewall does."""
    body = b"<html><head><title>Sign in</title></head><body>Please sign in</body></html>"
    return lambda _request, connection: connection.sendall(response(status, body, "Content-Type: text/html"))


def refuse(status: int, retry_after: str | None = None) -> Behavior:
    """Answers with a status, and perhaps with a Retry-After."""
    headers = [f"Retry-After: {retry_after}"] if retry_after is not None else []
    return lambda _request, connection: connection.sendall(
        response(status, b'{"error": "no"}', "Content-Type: application/json", *headers)
    )


def truncate(body: bytes = b'{"a": 1}', missing: int = 10) -> Behavior:
    """Announces more than it sends, and closes."""

    def behave(_request: Received, connection: socket.socket) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body) + missing}\r\n\r\n"
        connection.sendall(head.encode() + body)
        connection.shutdown(socket.SHUT_RDWR)

    return behave


_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Range: bytes 0-999999/1000000\r\n"
_CHUNKED = _OK + b"Transfer-Encoding: chunked\r\n\r\n"

DRIPS: dict[str, tuple[bytes, bytes]] = {
    "nothing at all": (b"", b""),
    "the status line": (b"HTTP/1.1 200 ", b"O"),
    "a header": (_OK + b"X-Slow: ", b"z"),
    "headers without end": (_OK, b"X: y\r\n"),
    "100 Continue without end": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a body": (_OK + b"Content-Length: 1000000\r\n\r\n", b" "),
    "a body until the connection closes": (_OK + b"\r\n", b" "),
    "the extension of a chunk": (_CHUNKED + b"1;", b"x"),
    "chunks": (_CHUNKED, b"1\r\n \r\n"),
    "trailers": (_CHUNKED + b"0\r\n", b"X: y\r\n"),
}
"""What comes at once, and what comes again and again and never ends."""


def drip(what: str, every: float = 0.02) -> Behavior:
    """Sends a piece now and then for ever: whoever waits for the next byte only waits without end."""
    first, piece = DRIPS[what]

    def behave(request: Received, connection: socket.socket) -> None:
        connection.sendall(first)
        while not request.ended.wait(every):
            if piece:
                connection.sendall(piece)

    return behave


def silent(request: Received, _connection: socket.socket) -> None:
    """Takes the request and says nothing."""
    request.ended.wait()
