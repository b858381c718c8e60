"""Connections that send nothing, too little or too slowly, against the protocol on a real socket."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
import uvicorn

from labelwright.network.listening import ConnectionLimits, protocol_with

GUARD = 30.0
"""Seconds after which a test fails that would hang."""


async def echo(scope, receive, send):
    if scope["type"] != "http":
        return
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body"):
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
            await send({"type": "http.response.body", "body": b"ok"})
            return


@contextmanager
def serving(app=echo, **limits: float) -> Iterator[tuple[str, int]]:
    config = uvicorn.Config(app, http=protocol_with(ConnectionLimits(**limits)), lifespan="off", log_level="warning")
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(512)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield listening.getsockname()
        finally:
            server.should_exit = True
            thread.join(GUARD)


def connected(address: tuple[str, int]) -> socket.socket:
    return socket.create_connection(address, timeout=GUARD)


def rest(client: socket.socket) -> bytes:
    """What comes until the server closes the connection."""
    received = b""
    try:
        while data := client.recv(4096):
            received += data
    except ConnectionResetError:
        pass
    return received


def read_response(client: socket.socket) -> bytes:
    received = b""
    while not received.endswith(b"ok"):
        data = client.recv(4096)
        assert data, received
        received += data
    return received


@pytest.mark.parametrize("sent", [b"", b"G", b"GET / HTTP/1.1\r\nHost: here\r\nX-Long: "])
def test_a_connection_without_whole_headers_is_closed(sent):
    with serving(headers=0.2) as address, connected(address) as client:
        client.sendall(sent)
        assert rest(client) == b""


def test_dripping_headers_do_not_keep_a_connection_open():
    with serving(headers=0.3) as address, connected(address) as client:
        client.sendall(b"GET / HTTP/1.1\r\n")
        ended = threading.Event()

        def drip() -> None:
            while not ended.wait(0.05):
                try:
                    client.sendall(b"a: b\r\n")
                except OSError:
                    return

        threading.Thread(target=drip, daemon=True).start()
        assert rest(client) == b""
        ended.set()


def test_headers_of_a_second_request_have_the_same_limit():
    with serving(headers=0.2) as address, connected(address) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        read_response(client)
        client.sendall(b"GET / HTTP/1.1\r\nHost:")
        assert rest(client) == b""


def test_a_body_that_stops_or_drips_ends_its_connection():
    with serving(body=0.2, body_bytes=100) as address, connected(address) as client:
        client.sendall(b"PUT / HTTP/1.1\r\nHost: here\r\nContent-Length: 1000\r\n\r\nabc")
        assert rest(client) == b""


def test_a_body_that_comes_quickly_enough_is_taken():
    with serving(body=0.3, body_bytes=3) as address, connected(address) as client:
        client.sendall(b"PUT / HTTP/1.1\r\nHost: here\r\nContent-Length: 60\r\n\r\n")
        for _ in range(20):
            client.sendall(b"abc")
            time.sleep(0.05)
        assert b"200 OK" in read_response(client)


def test_a_client_that_reads_nothing_is_cut_off():
    ended = threading.Event()

    async def flood(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            for _ in range(10_000):
                await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
                if (await _now(receive)) == "http.disconnect":
                    return
        finally:
            ended.set()

    async def _now(receive):
        import asyncio

        try:
            return (await asyncio.wait_for(receive(), 0.001))["type"]
        except TimeoutError:
            return ""

    with serving(flood, reading=0.2) as address, connected(address) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        assert ended.wait(GUARD)


def test_idle_connections_make_room_for_a_further_one():
    with serving(connections=20) as address, ExitStack() as stack:
        idle = [stack.enter_context(connected(address)) for _ in range(60)]
        with connected(address) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
            assert b"200 OK" in read_response(client)
        assert rest(idle[0]) == b"", "the oldest was closed"


def test_busy_connection_is_not_closed_for_another():
    begun = threading.Event()

    async def app(scope, receive, send):
        begun.set()
        await echo(scope, receive, send)

    with serving(app, connections=3) as address, ExitStack() as stack:
        busy = stack.enter_context(connected(address))
        busy.sendall(b"PUT / HTTP/1.1\r\nHost: here\r\nContent-Length: 6\r\n\r\nabc")
        assert begun.wait(GUARD)
        for _ in range(10):
            stack.enter_context(connected(address))
        with connected(address) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
            read_response(client)
        busy.sendall(b"def")
        assert b"200 OK" in read_response(busy)


def test_headers_have_ten_seconds_in_the_service_and_in_the_receiver(monkeypatch, tmp_path):
    from labelwright.receiver.run import server_config
    from labelwright.service import ServiceConfig
    from labelwright.service.run import prepare_server

    listening, service_config = prepare_server(ServiceConfig(tmp_path / "service"))
    listening.close()
    for config in (service_config, server_config(echo)):
        assert config.http.limits.headers <= 10
        assert config.http.limits.connections <= 500, "below the usual limit of open files"
        assert config.limit_concurrency is None, "it would count idle connections"
