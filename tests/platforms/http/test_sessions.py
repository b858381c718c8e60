"""What `Http` can be asked for beyond JSON: cookies, streams, patience, and a platform's own reading of an answer."""

from __future__ import annotations

import io
import socket
import time
from typing import Any

import pytest

from labelwright.platforms.errors import NotFound, PlatformRefused, PlatformUnavailable
from labelwright.platforms.http.client import Http
from labelwright.platforms.http.messages import ErrorResponse
from labelwright.platforms.http.multipart import Form, FormFile
from labelwright.security.masking import mask
from tests.platforms.scripted import Scripted, answer, scripted

COOKIE = ["Content-Type: application/json", "Set-Cookie: sessionid=abc; Path=/"]


def client(server: Scripted, **more: Any) -> Http:
    return Http("river", server.url, **{"timeout": (5.0, 20.0), "patience": 0.0, **more})


def cookies(server: Scripted) -> list[str]:
    return [line for request in server.requests for line in request.split("\r\n") if line.startswith("Cookie:")]


def test_cookies_are_kept_only_where_requested():
    for kept in (False, True):
        with scripted(answer(200, headers=COOKIE)) as server:
            http = client(server, cookies=kept)
            http.call("look", "GET", "/")
            http.call("look", "GET", "/")
            assert cookies(server) == (["Cookie: sessionid=abc"] if kept else [])


def test_a_cookie_is_masked_unless_it_is_a_word_of_sentences():
    headers = [*COOKIE, "Set-Cookie: theme=highcontrast; Path=/", "Set-Cookie: sticky=q7xw-93fb0c11; Path=/"]
    with scripted(answer(200, headers=headers)) as server:
        client(server).call("look", "GET", "/")
    assert mask("highcontrast images of q7xw-93fb0c11") == "highcontrast images of ***"


def test_a_cookie_that_is_kept_gives_way_to_the_servers():
    with scripted(answer(200, headers=COOKIE)) as server:
        http = client(server, cookies=True)
        http.keep_cookie("sessionid", "ours")
        http.call("look", "GET", "/")
        assert cookies(server) == ["Cookie: sessionid=ours"]
    with scripted(answer(200, headers=COOKIE)) as server:
        http = client(server, cookies=True)
        http.call("look", "GET", "/")
        http.keep_cookie("sessionid", "ours")
        http.call("look", "GET", "/")
        assert cookies(server) == ["Cookie: sessionid=abc"]


def test_explain_may_replace_the_error():
    responses: list[ErrorResponse] = []

    def explain(response: ErrorResponse) -> PlatformRefused | None:
        responses.append(response)
        return (
            NotFound("river", response.operation, status=response.status) if b"nothing here" in response.body else None
        )

    page = answer(200, b"<p>nothing here</p>", ["Content-Type: text/HTML; charset=utf-8"])
    with scripted(page) as server, pytest.raises(NotFound):
        client(server, explain=explain).call("look", "GET", "/")
    assert (responses[0].operation, responses[0].method, responses[0].status, responses[0].kind) == (
        "look",
        "GET",
        200,
        "text/html",
    )
    with scripted(answer(500, b"oops")) as server, pytest.raises(PlatformUnavailable):
        client(server, explain=explain).call("look", "GET", "/")
    with scripted(answer(200)) as server:
        assert client(server, explain=explain).call("look", "GET", "/") == {}
    assert len(responses) == 2, "a good answer needs no explaining"


def test_a_stream_is_sent_whole_with_its_length_on_every_try():
    opened: list[int] = []

    def open_file() -> io.BytesIO:
        opened.append(1)
        return io.BytesIO(b"x" * 10)

    form = Form({"task": "Dog"}, [FormFile("a.png", open_file, 10)])
    busy = answer(503, headers=["Retry-After: 0"])
    with scripted(busy, answer(200)) as server:
        http = client(server, patience=2.0)
        headers = {"Content-Type": form.content_type}
        http.request("send", "POST", "/", body=form.open, headers=headers, expect="json")
    assert len(opened) == 2
    for request in server.requests:
        assert f"Content-Length: {len(form.open())}" in request
        assert "Transfer-Encoding" not in request


def test_a_request_may_be_given_more_time_than_others():
    def slow(connection: socket.socket) -> None:
        time.sleep(0.6)
        connection.sendall(answer(200, b"[]"))

    with scripted(slow) as server, pytest.raises(PlatformUnavailable):
        client(server, timeout=(5.0, 0.3)).call("look", "GET", "/")
    with scripted(slow) as server:
        hasty = client(server, timeout=(5.0, 0.3))
        assert hasty.request("look", "GET", "/", expect="json", seconds=20).data == []
