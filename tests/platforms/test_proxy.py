"""The proxy of the tests does what its faults say: a test that relies on it could not fail otherwise."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from .proxy import Fault, FaultProxy, Request, Rule


class _Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    got: list[tuple[str, str, int]]
    threads: set[threading.Thread]

    def do_GET(self) -> None:
        self._answer(f'{{"host": "{self.headers["Host"]}"}}'.encode())

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).got.append((self.command, self.path, len(body)))
        self._answer(body)

    def _answer(self, body: bytes) -> None:
        type(self).threads.add(threading.current_thread())
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    _Echo.got, _Echo.threads = [], set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    with FaultProxy(server.server_address[:2]) as proxy:  # type: ignore[arg-type]
        yield proxy
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("fault proxy")]
    server.shutdown()
    server.server_close()
    thread.join()
    assert sum(thread.is_alive() for thread in _Echo.threads) <= 5  # they end with their connections


def _ask(proxy: FaultProxy, method: str = "PUT", body: bytes = b'{"a": 1}', timeout: float = 5) -> tuple[int, bytes]:
    client = http.client.HTTPConnection("127.0.0.1", int(proxy.url.rsplit(":", 1)[1]), timeout=timeout)
    try:
        client.request(method, "/x?y=1", body)
        response = client.getresponse()
        return response.status, response.read()
    finally:
        client.close()


def test_without_rules_requests_and_large_bodies_pass_unchanged(proxy: FaultProxy) -> None:
    body = b"x" * 5_000_000
    assert _ask(proxy, body=body) == (200, body)
    assert [(request.method, request.path, request.forwarded, request.status) for request in proxy.requests] == [
        ("PUT", "/x?y=1", True, 200)
    ]


def test_the_server_sees_the_address_that_the_client_asked_for(proxy: FaultProxy) -> None:
    _, body = _ask(proxy, "GET", b"")
    assert body.decode() == f'{{"host": "{proxy.url.removeprefix("http://")}"}}'


def test_a_connection_is_kept_alive(proxy: FaultProxy) -> None:
    client = http.client.HTTPConnection("127.0.0.1", int(proxy.url.rsplit(":", 1)[1]), timeout=60)
    client.connect()
    end = client.sock.getsockname()
    for _ in range(3):
        client.request("GET", "/")
        client.getresponse().read()
        assert client.sock.getsockname() == end
    client.close()


@pytest.mark.parametrize(
    ("fault", "acted", "expected"),
    [
        (Fault.RESET, False, ConnectionError),
        (Fault.REFUSED, False, ConnectionError),
        (Fault.LOSE_ANSWER, True, ConnectionError),
        (Fault.HANG, True, TimeoutError),
        (Fault.TRUNCATED, True, http.client.IncompleteRead),
        (Fault.TOO_MANY, False, 429),
        (Fault.ERROR, False, 500),
        (Fault.BUSY, False, 503),
        (Fault.ERROR_AFTER, True, 502),
    ],
)
def test_a_fault_does_what_it_says(
    proxy: FaultProxy, fault: Fault, acted: bool, expected: int | type[Exception]
) -> None:
    proxy.add(Rule(fault, nth=(1,), seconds=0.1))
    if isinstance(expected, int):
        assert _ask(proxy)[0] == expected
    else:
        with pytest.raises(expected):
            _ask(proxy, timeout=0.3)
    assert bool(_Echo.got) is acted
    assert proxy.requests[0].forwarded is acted
    assert proxy.requests[0].fault is fault
    _wait_until(lambda: _reachable(proxy))
    assert _ask(proxy)[0] == 200


def test_a_refusing_proxy_serves_again_afterwards(proxy: FaultProxy) -> None:
    with proxy.refusing(), pytest.raises(ConnectionRefusedError):
        _ask(proxy)
    assert _ask(proxy)[0] == 200


def test_rules_strike_at_the_nth_or_at_every_nth_request(proxy: FaultProxy) -> None:
    proxy.add(Rule(Fault.ERROR, every=3))
    assert [_ask(proxy)[0] for _ in range(6)] == [200, 200, 500, 200, 200, 500]
    proxy.clear()
    proxy.add(Rule(Fault.BUSY, method="PUT", path="^/x", nth=(2,)), Rule(Fault.ERROR, path="^/never"))
    assert [_ask(proxy)[0] for _ in range(3)] == [200, 503, 200]


def test_hooks_run_before_the_request_and_before_the_response(proxy: FaultProxy) -> None:
    order: list[str] = []

    def before(request: Request) -> None:
        order.append(f"before {request.method} {len(_Echo.got)}")

    def after(request: Request, status: int) -> None:
        order.append(f"after {status} {len(_Echo.got)}")

    proxy.before_forward, proxy.after_answer = before, after
    _ask(proxy)
    assert order == ["before PUT 0", "after 200 1"]


def _reachable(proxy: FaultProxy) -> bool:
    try:
        socket.create_connection(("127.0.0.1", int(proxy.url.rsplit(":", 1)[1])), 1).close()
    except OSError:
        return False
    return True


def _wait_until(holds: Callable[[], bool], seconds: float = 240) -> None:
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, "in vain"
        time.sleep(0.02)
