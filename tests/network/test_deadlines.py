"""Every request ends at its deadline, whatever the other side does, and when its time limit is ended early."""

from __future__ import annotations

import contextvars
import socket
import threading
import time
from contextlib import contextmanager
from functools import partial

import pytest

from labelwright.ingest.sources.local import CannotRead
from labelwright.ingest.sources.urls import UrlFetcher
from labelwright.network.deadlines import Deadline, OutOfTime, current_limit, run_within, sleep, time_limit
from labelwright.platforms.errors import PlatformError, PlatformRefused, PlatformUnavailable
from labelwright.platforms.http.client import Http

from .fault_server import DRIPS, Received, drip, fault_server, page, redirect, refuse, response, silent, truncate

HANGS = 60.0
"""Seconds after which a test gives up on a request: only one without a deadline takes so long."""


@contextmanager
def no_hang():
    """Ends the requests of this thread so that a missing deadline is a failure and not a hang."""
    with time_limit(HANGS) as limit:
        yield
    assert not limit.over, "nothing but the test itself ended the request"


def http(url: str, **more: object) -> Http:
    usual: dict = {"timeout": (0.5, 0.5), "whole": 0.7, "patience": 0.0}
    return Http("river", url, **(usual | more))


# Platforms


@pytest.mark.parametrize("what", DRIPS)
def test_a_platform_that_drips_is_cut_off(what: str) -> None:
    with fault_server(drip(what)) as server, no_hang(), pytest.raises(PlatformUnavailable) as caught:
        http(server.url).call("look", "GET", "/x")
    assert caught.value.message in ("no answer in time", "it was not done within 0.7 seconds")


def test_headers_have_a_deadline_of_their_own() -> None:
    with fault_server(drip("a header")) as server, no_hang(), pytest.raises(PlatformUnavailable) as caught:
        http(server.url, timeout=(5.0, 0.5), whole=HANGS / 2).call("look", "GET", "/x")
    assert caught.value.message == "no answer in time"


def test_a_platform_that_takes_a_body_slowly_is_cut_off() -> None:
    def sip(_request: Received, connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        while connection.recv(64):
            time.sleep(0.02)

    with fault_server(sip, reads_body=False) as server, no_hang(), pytest.raises(PlatformUnavailable) as caught:
        http(server.url, timeout=(5.0, HANGS)).call(
            "keep", "POST", "/x", body=("application/octet-stream", b"x" * (64 << 20))
        )
    assert caught.value.message == "it was not done within 0.7 seconds"


def test_a_body_cut_off_at_the_deadline_is_no_success() -> None:
    """Without a Content-Length the end of the connection is the end of the body, even of one that is cut off."""
    endless = drip("a body until the connection closes")
    with fault_server(endless) as server, no_hang(), pytest.raises(PlatformUnavailable):
        http(server.url).call("look", "GET", "/x", expect="bytes")


@pytest.mark.parametrize("behavior", [truncate(), silent, page(), redirect(302, "http://127.0.0.1:9/x")])
def test_other_faults_are_one_error_each(behavior) -> None:
    with fault_server(behavior) as server, no_hang(), pytest.raises((PlatformUnavailable, PlatformRefused)):
        http(server.url).call("look", "GET", "/x")


def test_a_tls_handshake_that_never_ends_is_cut_off() -> None:
    with fault_server(silent) as server, no_hang(), pytest.raises(PlatformError) as caught:
        http(server.url.replace("http:", "https:")).call("look", "GET", "/x")
    assert isinstance(caught.value, PlatformUnavailable)


@pytest.mark.parametrize("what", ["the status line", "a header", "nothing at all"])
def test_a_proxy_that_drips_its_answer_to_connect_is_cut_off(what: str, monkeypatch) -> None:
    with fault_server(drip(what)) as proxy, no_hang():
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(PlatformUnavailable):
            http("https://platform.example").call("look", "GET", "/x")
    assert [request.method for request in proxy.requests] == ["CONNECT"]


def test_a_name_that_is_never_resolved_is_cut_off(monkeypatch) -> None:
    forever = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_a, **_k: forever.wait(HANGS))
    with no_hang(), pytest.raises(PlatformUnavailable) as caught:
        http("http://platform.example").call("look", "GET", "/x")
    forever.set()
    assert caught.value.message in ("no connection in time", "it was not done within 0.7 seconds")


def test_a_connection_is_used_again_with_a_new_deadline() -> None:
    def expected_response(_request: Received, connection: socket.socket) -> None:
        connection.sendall(response(200, b"{}", "Content-Type: application/json"))

    with fault_server(expected_response) as server, no_hang():
        item = http(server.url, whole=1.0)
        for _ in range(4):
            assert item.call("look", "GET", "/x") == {}
            time.sleep(0.3)
        assert server.connections == 1


# Limits from outside


def test_a_time_limit_holds_for_every_request_in_it() -> None:
    with fault_server(drip("a body")) as server, time_limit(0.3), pytest.raises(PlatformUnavailable) as caught:
        http(server.url, whole=HANGS, timeout=(HANGS, HANGS)).call("look", "GET", "/x")
    assert caught.value.message == "the time for this work is over"


def test_a_time_limit_that_is_over_asks_nothing_more() -> None:
    with fault_server(page()) as server, time_limit(0.0), pytest.raises(PlatformUnavailable):
        http(server.url).call("look", "GET", "/x")
    assert server.requests == []


@pytest.mark.parametrize("what", ["nothing at all", "a header", "a body"])
def test_expired_limit_interrupts_other_threads(what: str) -> None:
    failures: list[PlatformError] = []

    def ask(url: str) -> None:
        try:
            http(url, whole=HANGS, timeout=(HANGS, HANGS)).call("look", "GET", "/x")
        except PlatformError as error:
            failures.append(error)

    with fault_server(drip(what)) as server, time_limit(HANGS) as limit:
        thread = threading.Thread(target=contextvars.copy_context().run, args=(ask, server.url))
        thread.start()
        while not server.requests:
            time.sleep(0.01)
        limit.expire()
        thread.join(HANGS / 2)
        assert not thread.is_alive()
    assert [failure.message for failure in failures] == ["the time for this work is over"]


def test_limits_nest_and_end_with_the_outer_one() -> None:
    with time_limit(100) as outer, time_limit(1000) as inner:
        assert inner.ends == outer.ends
        assert current_limit() is inner
        outer.expire()
        assert inner.over
        with pytest.raises(OutOfTime):
            sleep(50)
        with pytest.raises(OutOfTime):
            Deadline(5, inner).left()
    assert current_limit() is None


def test_a_call_without_a_deadline_gets_one() -> None:
    forever = threading.Event()
    with pytest.raises(OutOfTime):
        run_within(0.05, forever.wait, HANGS)
    forever.set()
    assert run_within(HANGS, lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        run_within(HANGS, lambda: 1 / 0)


# Images behind URLs


@pytest.mark.parametrize("what", DRIPS)
def test_a_source_of_images_that_drips_is_cut_off(what: str) -> None:
    with fault_server(drip(what)) as server, no_hang(), pytest.raises(PlatformUnavailable) as caught:
        UrlFetcher(10_000_000, allow_private=True, timeout=0.3, whole=0.7).fetch(f"{server.url}/a.jpg")
    assert "it took too long" in caught.value.message


def test_a_source_whose_name_is_never_resolved_is_cut_off(monkeypatch) -> None:
    forever = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_a, **_k: forever.wait(HANGS))
    with no_hang(), pytest.raises(PlatformUnavailable):
        UrlFetcher(1000, allow_private=True, timeout=0.2, whole=0.5).fetch("http://images.example/a.jpg")
    forever.set()


def test_redirects_share_the_deadline_of_one_image() -> None:
    def onwards(request: Received, connection: socket.socket) -> None:
        request.ended.wait(0.3)
        connection.sendall(response(302, b"", "Location: /again"))

    with fault_server(onwards) as server, no_hang(), pytest.raises((PlatformUnavailable, CannotRead)) as caught:
        UrlFetcher(1000, allow_private=True, timeout=5.0, whole=0.7).fetch(f"{server.url}/a.jpg")
    assert isinstance(caught.value, PlatformUnavailable)
    assert len(server.requests) <= 4


# Azure


@pytest.mark.parametrize("what", DRIPS)
def test_an_azure_container_that_drips_is_cut_off(what: str) -> None:
    from labelwright.ingest.sources.azure_container import ContainerSource
    from labelwright.ingest.upload.azure_client import container_client

    source = ContainerSource("http://127.0.0.1:9/account/box", sas="sv=1&sig=abc", timeout=0.1)
    with fault_server(drip(what)) as server, no_hang():
        source._kept = container_client(
            f"{server.url}/account/box", sas="sv=1&sig=abcdefgh", threads=1, timeout=0.3, whole=0.7
        )
        for look in (partial(next, source.find()), partial(source.open, "a.jpg")):
            with pytest.raises(PlatformUnavailable):
                look()


@pytest.mark.parametrize(("value", "seconds"), [("3600", 3600.0), ("9" * 30, 86400.0)])
def test_images_and_azure_keep_a_long_retry_after(value: str, seconds: float) -> None:
    from labelwright.ingest.sources.azure_container import ContainerSource

    with fault_server(refuse(429, value)) as server:
        source = ContainerSource(f"{server.url}/account/box", sas="sv=1&sig=abcdefgh", timeout=5)
        for look in (
            partial(UrlFetcher(1000, allow_private=True, timeout=5).fetch, f"{server.url}/a.jpg"),
            partial(next, source.find()),
        ):
            with pytest.raises(PlatformUnavailable) as caught:
                look()
            assert caught.value.retry_after == seconds
            assert f"The server asks to wait {seconds:.0f} seconds (until " in str(caught.value)


# Interrupted


class Interrupted(BaseException):
    """As Ctrl+C or SIGTERM end the main thread."""


@pytest.mark.parametrize("what", ["nothing at all", "a body"])
def test_interrupted_image_checks_do_not_wait_for_slow_servers(what: str) -> None:
    from labelwright.ingest.checks.decode import Limits
    from labelwright.ingest.checks.inventory import build_inventory
    from labelwright.ingest.sources.urls import UrlSource

    with fault_server(drip(what)) as server:
        source = UrlSource([f"{server.url}/{n}.jpg" for n in range(4)], allow_private=True, timeout=HANGS)
        real = source.find

        def find():
            yield from real()
            while not server.requests:
                time.sleep(0.01)
            raise Interrupted

        source.find = find
        ended = threading.Event()

        def check() -> None:
            with pytest.raises(Interrupted):
                list(build_inventory(source, Limits(10**6, 10**6), threads=2))
            ended.set()

        threading.Thread(target=check, daemon=True).start()
        assert ended.wait(HANGS / 2)


def test_prefect_that_never_answers_is_not_waited_for(monkeypatch) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from labelwright.prefect_integration import events as telling_prefect

    monkeypatch.setattr(telling_prefect, "_DEADLINE", 0.5)
    event = {
        "id": "5bdd1e36-5d7a-4f0a-8a54-1d2d3f0e9a11",
        "occurred": "2026-11-22T12:00:00+00:00",
        "event": "labelwright.test",
        "resource": {"prefect.resource.id": "x"},
    }
    with fault_server(drip("a header")) as server:
        changed = temporary_settings({PREFECT_API_URL: f"{server.url}/api"})
        with changed, pytest.raises(telling_prefect.EventsNotSent, match="within"):
            telling_prefect.send_to_prefect([event])
