"""A proxy that misbehaves on request: it stands in front of a real server and breaks what a rule names.

    with FaultProxy(("127.0.0.1", port)) as proxy:
        proxy.add(Rule(Fault.LOSE_ANSWER, method="POST", path=r"/campaigns$", nth=(1,)))
        client = CampaignApi(f"{proxy.url}/api/v1", ...)

Threads and the standard library only, on the loopback interface, on a port that the system chose. Bodies are streamed,
connections kept alive, the client's Host header is kept (so that addresses that the server makes point here), and every
request is written down in `requests`.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from http.client import HTTPException, HTTPResponse
from random import Random
from typing import BinaryIO
from urllib.parse import urlsplit

from .wire import Server, cut_off, pass_on, read_body, read_headers, send


class Fault(StrEnum):
    """What can be made to go wrong. The first block happens before the server hears of the request."""

    REFUSED = "connection refused"  # this request is cut, and nobody is let in for `seconds`
    RESET = "reset before the server was asked"
    TOO_MANY = "429"
    ERROR = "500"
    BUSY = "503"

    LOSE_ANSWER = "reset after the server acted"
    HANG = "no answer in time, though the server acted"
    TRUNCATED = "truncated body"
    WRONG_TYPE = "text/html"
    INVALID_JSON = "invalid JSON"
    ERROR_AFTER = "502 although the server acted"


BEFORE = frozenset({Fault.REFUSED, Fault.RESET, Fault.TOO_MANY, Fault.ERROR, Fault.BUSY})
"""With these the server never heard of the request."""


@dataclass
class Rule:
    """When to break what. `path` is searched in the path with its query. Without `nth`, `every`, `share`: each time."""

    fault: Fault
    method: str = ".*"
    path: str = ""
    nth: tuple[int, ...] = ()
    """Which of the matching requests, counted from 1."""
    every: int = 1
    seconds: float = 0.3
    """How long REFUSED lasts. HANG holds the answer until the client leaves or the proxy stops."""
    retry_after: str | None = None
    """For TOO_MANY, BUSY: the header's value."""
    share: float = 1.0
    """Of the requests that `nth` and `every` leave: 0.03 breaks 3 % of them, the same ones each time."""
    matched: int = field(default=0, init=False)
    chance: Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.chance = Random(str(self.fault))

    def strikes(self, method: str, path: str) -> bool:
        if not re.fullmatch(self.method, method) or not re.search(self.path, path):
            return False
        self.matched += 1
        if self.share < 1.0 and self.chance.random() >= self.share:
            return False
        return self.matched in self.nth if self.nth else self.matched % self.every == 0


@dataclass
class Request:
    """A request as it came by, and what became of it."""

    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    forwarded: bool = False
    status: int | None = None
    """What the server answered; None if it was not asked or did not answer."""
    fault: Fault | None = None


class FaultProxy:
    """`url` is its address. `before_forward(request)` is called just before the server is asked, and
    `after_answer(request, status)` when it has answered and the client knows nothing yet."""

    def __init__(
        self,
        target: tuple[str, int],
        *,
        before_forward: Callable[[Request], None] | None = None,
        after_answer: Callable[[Request, int], None] | None = None,
    ) -> None:
        self.target = target
        self.before_forward = before_forward
        self.after_answer = after_answer
        self.requests: list[Request] = []
        self.connections = 0
        """How many were made since the start."""
        self._rules: list[Rule] = []
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()
        self._stopped = threading.Event()
        self._port = 0
        self._listener = self._bind()
        self._port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> FaultProxy:
        self._listen()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._close_listener()
        self._drop_connections()
        while True:
            with self._lock:
                threads = [thread for thread in self._threads if thread is not threading.current_thread()]
            if not threads:
                return
            for thread in threads:
                thread.join(5)
                if thread.is_alive():
                    raise RuntimeError(f"{thread.name} of the proxy does not end")
                with self._lock:
                    self._threads.discard(thread)

    def add(self, *rules: Rule) -> None:
        with self._lock:
            self._rules += rules

    def clear(self) -> None:
        """Behave from now on, and forget what came by."""
        with self._lock:
            self._rules.clear()
            self.requests.clear()

    def seen(self, method: str = ".*", path: str = "", *, forwarded: bool | None = None) -> list[Request]:
        """The requests that came by, of a kind."""
        with self._lock:
            return [
                request
                for request in self.requests
                if re.fullmatch(method, request.method)
                and re.search(path, request.path)
                and forwarded in (None, request.forwarded)
            ]

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Nobody is let in, and who is in is thrown out."""
        self._close_listener()
        self._drop_connections()
        try:
            yield
        finally:
            self._listen()

    # Listening

    def _bind(self) -> socket.socket:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self._port))
        return listener

    def _listen(self) -> None:
        listener = self._listener
        listener.listen(128)
        self._start(self._accept, listener, name="accepting")

    def _close_listener(self) -> None:
        """A socket that is bound and does not listen refuses connections and keeps the port ours."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self._listener.close()
        if not self._stopped.is_set():
            self._listener = self._bind()

    def _drop_connections(self) -> None:
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _start(self, target: Callable[..., None], *arguments: object, name: str) -> None:
        def run() -> None:
            try:
                target(*arguments)
            finally:
                with self._lock:
                    self._threads.discard(threading.current_thread())

        thread = threading.Thread(target=run, name=f"fault proxy: {name}", daemon=True)
        with self._lock:
            self._threads.add(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while not self._stopped.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open.add(connection)
                self.connections += 1
            self._start(self._serve, connection, name="a connection")

    # One connection

    def _serve(self, connection: socket.socket) -> None:
        server = Server(*self.target, timeout=120)
        reader = connection.makefile("rb")
        try:
            while not self._stopped.is_set() and self._exchange(connection, reader, server):
                pass
        except (OSError, HTTPException, ValueError):
            cut_off(connection)  # either side went away in the middle: the other one is told
        finally:
            with self._lock:
                self._open.discard(connection)
            server.close()
            reader.close()
            connection.close()

    def _exchange(self, connection: socket.socket, reader: BinaryIO, server: Server) -> bool:
        """One request and its answer; whether another may follow on this connection."""
        line = reader.readline()
        if not line.strip():
            return False
        method, path, version = line.decode("latin-1").split()
        if "://" in path:  # asked as a forward proxy
            parts = urlsplit(path)
            path = parts.path + (f"?{parts.query}" if parts.query else "")
        headers = list(read_headers(reader))
        request = Request(method, path, {name.lower(): value for name, value in headers})
        with self._lock:
            self.requests.append(request)
            striking = [rule for rule in self._rules if rule.strikes(method, path)]  # each counts each request
            rule = striking[0] if striking else None
        request.fault = rule.fault if rule else None
        if request.headers.get("expect", "").lower() == "100-continue":
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = read_body(reader, request.headers)
        if rule and rule.fault in BEFORE:
            for _ in body:  # read it to the end: a reset in the middle is another fault
                pass
            return self._fail_before(connection, rule)
        response = self._forward(server, request, headers, body)
        if rule:
            return self._spoil(connection, reader, rule, response)
        keep = version == "HTTP/1.1" and request.headers.get("connection", "").lower() != "close"
        pass_on(connection, method, response, keep)
        return keep

    def _forward(
        self, server: Server, request: Request, headers: list[tuple[str, str]], body: Iterator[bytes]
    ) -> HTTPResponse:
        if self.before_forward:
            self.before_forward(request)
        request.forwarded = True
        chunked = "chunked" in request.headers.get("transfer-encoding", "").lower()
        server.refresh()
        server.putrequest(request.method, request.path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            if name.lower() not in ("connection", "keep-alive", "expect", "proxy-connection", "transfer-encoding"):
                server.putheader(name, value)
        if chunked:
            server.putheader("Transfer-Encoding", "chunked")
        server.endheaders()
        for part in body:
            server.send(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)
        if chunked:
            server.send(b"0\r\n\r\n")
        response = server.getresponse()
        request.status = response.status
        if self.after_answer:
            self.after_answer(request, response.status)
        return response

    # Misbehaving

    def _fail_before(self, connection: socket.socket, rule: Rule) -> bool:
        if rule.fault is Fault.REFUSED:
            self._close_listener()
            cut_off(connection)
            self._drop_connections()
            self._start(self._listen_again, rule.seconds, name="refusing")
            return False
        if rule.fault is Fault.RESET:
            cut_off(connection)
            return False
        status = {Fault.TOO_MANY: "429 Too Many Requests", Fault.ERROR: "500 Internal Server Error"}.get(
            rule.fault, "503 Service Unavailable"
        )
        body = b'{"error": {"code": "injected", "message": "the proxy was told to fail"}}'
        wait = f"Retry-After: {rule.retry_after}\r\n" if rule.retry_after is not None else ""
        send(connection, status, "application/json", body, wait)
        return True

    def _listen_again(self, seconds: float) -> None:
        if not self._stopped.wait(seconds):
            self._listen()

    def _spoil(self, connection: socket.socket, reader: BinaryIO, rule: Rule, response: HTTPResponse) -> bool:
        body = response.read()
        match rule.fault:
            case Fault.LOSE_ANSWER:
                cut_off(connection)
                return False
            case Fault.HANG:
                reader.read(1)  # until the client has had enough, or the proxy is stopped
                return False
            case Fault.TRUNCATED:
                head = f"HTTP/1.1 {response.status} OK\r\nContent-Type: application/json\r\n"
                shorter = body[: len(body) // 2]
                connection.sendall(f"{head}Content-Length: {max(len(body), 2)}\r\n\r\n".encode() + shorter)
                return False
            case Fault.WRONG_TYPE:
                send(connection, "200 OK", "text/html", b"<html><title>Sign in</title><p>Please sign in</html>")
            case Fault.INVALID_JSON:
                send(connection, "200 OK", "application/json", body[:-1] + b",,]")
            case _:
                send(connection, "502 Bad Gateway", "text/html", b"<h1>Bad Gateway</h1>")
        return True
