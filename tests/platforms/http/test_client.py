"""One place translates HTTP answers and lower errors: what each becomes, and that no secret gets out."""

from __future__ import annotations

import gzip
import http.client
import http.server
import pickle
import socket
import ssl
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import requests
import requests.exceptions
import urllib3
import urllib3.exceptions
from requests.adapters import BaseAdapter

from labelwright.platforms.errors import AccessDenied, NotFound, PlatformError, PlatformRefused, PlatformUnavailable
from labelwright.platforms.http.client import Http
from labelwright.platforms.http.transport_errors import LOWER, meaning
from labelwright.platforms.protocol import Secret
from tests.platforms.proxy import FaultProxy
from tests.platforms.scripted import answer, scripted

CANARY = "CANARY-7b1f"
KEYS = {"Authentication-Key": "KEY-" + CANARY, "Authentication-Secret": Secret(CANARY)}


def client(url: str, **more: Any) -> Http:
    usual: dict[str, Any] = {"headers": KEYS, "timeout": (5.0, 20.0), "patience": 0.0}
    return Http("river", url, **(usual | more))


def error_of(raw: bytes | Callable[[socket.socket], None], **more: Any) -> PlatformError:
    with scripted(raw) as server, pytest.raises(PlatformError) as caught:
        client(server.url, **more).call("feed the fish", "GET", "/x")
    return caught.value


# What answers become


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, PlatformRefused),
        (401, AccessDenied),
        (403, AccessDenied),
        (404, NotFound),
        (405, PlatformRefused),
        (408, PlatformUnavailable),
        (409, PlatformRefused),
        (410, PlatformRefused),
        (422, PlatformRefused),
        (425, PlatformRefused),
        (429, PlatformUnavailable),
        (500, PlatformUnavailable),
        (502, PlatformUnavailable),
        (503, PlatformUnavailable),
        (504, PlatformUnavailable),
        (599, PlatformUnavailable),
        (301, PlatformRefused),
        (302, PlatformRefused),
        (304, PlatformRefused),
    ],
)
def test_every_status_becomes_one_class(status: int, kind: type[PlatformError]) -> None:
    error = error_of(answer(status, b"" if status == 304 else b'{"error": {"message": "the pond is dry"}}'))
    assert type(error) is kind
    assert error.status == status
    assert "feed the fish" in str(error)
    if status >= 400:
        assert error.message == "the pond is dry"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (answer(200, b"<html>", ["Content-Type: text/html; charset=utf-8"]), "the answer is text/html, not JSON"),
        (answer(200, b"{}", []), "the answer is of no type, not JSON"),
        (answer(200, b"{,}"), "the answer is not valid JSON"),
        (answer(200, b""), "the answer is not valid JSON"),
        (answer(200, b"\xff"), "the answer is not valid JSON"),
        (answer(200, b"[" * 100_000), "the answer is not valid JSON"),
        (answer(200, b"{}").replace(b"Length: 2", b"Length: 9"), "the answer broke off"),
        (answer(404, b"{}").replace(b"Length: 2", b"Length: 9"), "the answer broke off"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n2\r\n{}",
            "broke off",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "broke off"),
        (answer(200, b"not gzip", ["Content-Encoding: gzip"]), "could not be unpacked"),
        (b"", "cut"),
        (b"SSH-2.0-OpenSSH\r\n", "the connection"),
    ],
)
def test_an_unusable_response_is_a_transient_error(raw: bytes, message: str) -> None:
    error = error_of(raw)
    assert type(error) is PlatformUnavailable
    assert message in error.message


@pytest.mark.parametrize("lower_layer_notices", [True, False])
def test_a_body_shorter_than_its_content_length_is_an_error(
    monkeypatch: pytest.MonkeyPatch, lower_layer_notices: bool
) -> None:
    if not lower_layer_notices:  # as with urllib3 before 2
        monkeypatch.setattr(urllib3.HTTPResponse, "_init_length", lambda *_: None)
    packed = gzip.compress(b'{"a": 1}')
    whole = answer(200, packed, ["Content-Type: application/json", "Content-Encoding: gzip"])
    with scripted(whole) as server:
        assert client(server.url).call("look", "GET", "/x") == {"a": 1}
    announced = f"Length: {len(packed)}".encode()
    error = error_of(whole.replace(announced, f"Length: {len(packed) + 5}".encode()))
    assert error.message == "the answer broke off"


def test_no_response_in_time_is_a_transient_error() -> None:
    error = error_of(lambda connection: time.sleep(0.6), timeout=(5.0, 0.3))
    assert (type(error), error.status, error.message) == (PlatformUnavailable, None, "no answer in time")


def test_a_server_that_drips_is_cut_off_at_the_deadline() -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(50):
            connection.sendall(b" ")
            time.sleep(0.1)

    # One who waited for its end would say that the answer broke off.
    assert error_of(drip, whole=0.4).message == "it was not done within 0.4 seconds"


def test_a_refused_connection_is_a_transient_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(PlatformUnavailable, match="the connection was refused"):
        client(url).call("look", "GET", "/x")


def test_a_response_longer_than_the_limit_is_refused() -> None:
    error = error_of(answer(200, b'"' + b"x" * 100_000 + b'"'), largest=50_000)
    assert type(error) is PlatformRefused
    assert "longer than 50000 bytes" in error.message


def test_a_redirect_is_not_followed_and_its_address_is_not_shown() -> None:
    with scripted(answer(200, b'"stolen"')) as elsewhere:
        error = error_of(answer(302, b"", [f"Location: {elsewhere.url}/?sig={CANARY}"]))
        assert not elsewhere.requests
    assert "(to 127.0.0.1)" in error.message
    assert CANARY not in str(error)


def test_a_caller_can_expect_bytes_or_nothing_instead_of_json() -> None:
    with scripted(answer(200, b"\x00\x01", ["Content-Type: image/png"])) as server:
        assert client(server.url).call("look", "GET", "/x", expect="bytes") == b"\x00\x01"
        assert client(server.url).call("look", "GET", "/x", expect="nothing") is None
    with scripted(answer(204, b"")) as server:
        assert client(server.url).call("look", "DELETE", "/x") is None


def test_connections_are_kept_alive_after_any_response() -> None:
    class Server(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            with suppress(ConnectionError):
                parts = [b'{"a": ', b"1}"]
                self.send_response(int(self.path.rsplit("/", 1)[1]))
                self.send_header("Content-Type", "application/json")
                if "chunked" in self.path:
                    self.send_header("Transfer-Encoding", "chunked")
                    self.end_headers()
                    for part in [*parts, b""]:
                        self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
                else:
                    self.send_header("Content-Length", "8")
                    self.end_headers()
                    self.wfile.write(b"".join(parts))

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    with FaultProxy(("127.0.0.1", server.server_port)) as proxy:
        http_ = client(proxy.url)
        for path in ("/plain/200", "/chunked/200", "/plain/409", "/chunked/409", "/plain/200"):
            with suppress(PlatformRefused):
                assert http_.call("look", "GET", path) == {"a": 1}
        http_.close()
        assert proxy.connections == 1
    server.shutdown()
    server.server_close()
    thread.join()


# Retry-After


def test_a_short_retry_after_is_waited_out_and_asked_again() -> None:
    with scripted(
        answer(429, headers=["Retry-After: 0.3"]), answer(503, headers=["Retry-After: 0"]), answer(200)
    ) as at:
        began = time.monotonic()
        assert client(at.url, patience=5).call("make it", "POST", "/x", json={}) == {}
        assert time.monotonic() - began >= 0.5
        assert len(at.requests) == 3


def test_a_long_retry_after_is_raised_with_its_seconds() -> None:
    error = error_of(answer(429, headers=["Retry-After: 3600"]), patience=60)
    assert isinstance(error, PlatformUnavailable)
    assert error.retry_after == 3600
    assert "3600 seconds" in str(error)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3600", 3600),
        ("Sun, 22 Nov 2026 13:00:00 GMT", 3600),
        ("999999999999", 86400),
        ("1e300", 86400),
        ("120.4", 120),
    ],
)
@pytest.mark.parametrize("status", [429, 503, 500])
def test_a_retry_after_beyond_the_patience_is_reported(status: int, value: str, seconds: int) -> None:
    headers = [f"Retry-After: {value}", "Date: Sun, 22 Nov 2026 12:00:00 GMT"]
    with scripted(answer(status, headers=headers)) as server, pytest.raises(PlatformUnavailable) as caught:
        client(server.url, patience=60).call("look", "GET", "/x")
    assert len(server.requests) == 1
    assert caught.value.retry_after == pytest.approx(seconds, abs=1)
    assert f"The server asks to wait {seconds} seconds (until " in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_patience_is_counted_over_all_waits() -> None:
    with scripted(answer(429, headers=["Retry-After: 0"])) as server:
        with pytest.raises(PlatformUnavailable):
            client(server.url, patience=1.0).call("look", "GET", "/x")
        assert 2 <= len(server.requests) <= 3, "a fourth comes when each wait has a patience of its own"


@pytest.mark.parametrize("status", [408, 500, 502, 504])
def test_no_other_status_is_retried(status: int) -> None:
    with scripted(answer(status, headers=["Retry-After: 0"])) as server:
        with pytest.raises(PlatformUnavailable):
            client(server.url, patience=5).call("make it", "POST", "/x", json={})
        assert len(server.requests) == 1


# The error tree


def _below(module: Any, base: type[BaseException]) -> list[type[BaseException]]:
    return [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, base)]


LOWER_ERRORS = [
    *_below(requests.exceptions, requests.exceptions.RequestException),
    *_below(urllib3.exceptions, urllib3.exceptions.HTTPError),
]


@pytest.mark.parametrize("lower", LOWER_ERRORS, ids=lambda error: f"{error.__module__}.{error.__name__}")
def test_every_transport_error_has_a_translation(lower: type[BaseException]) -> None:
    assert lower in LOWER, "say in transport_errors.py whether it may work if asked again"
    assert LOWER[lower][0] in (PlatformUnavailable, PlatformRefused)
    assert LOWER[lower][1]


class _Raising(BaseAdapter):
    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def send(self, *_: Any, **__: Any) -> requests.Response:
        raise self.error

    def close(self) -> None:
        pass


@pytest.mark.parametrize("lower", [*LOWER_ERRORS, http.client.HTTPException, OSError, TimeoutError, UnicodeError])
def test_every_transport_error_is_translated_and_not_chained(lower: type[BaseException]) -> None:
    error = lower.__new__(lower)
    error.args = (f"https://u:{CANARY}@host/?sig={CANARY}",)
    http_ = client("http://127.0.0.1:1")
    http_._session.mount("http://", _Raising(error))
    with pytest.raises(PlatformError) as caught:
        http_.call("look", "GET", f"/x?sig={CANARY}")
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert CANARY not in _everything(caught.value)


def test_an_untrusted_certificate_is_a_permanent_error() -> None:
    inner = ssl.SSLCertVerificationError(1, "self-signed certificate")
    outer = requests.exceptions.SSLError(urllib3.exceptions.MaxRetryError(None, "/", inner))  # type: ignore[arg-type]
    assert meaning(outer) == (PlatformRefused, "its certificate is not trusted here")
    assert meaning(requests.exceptions.SSLError("EOF occurred"))[0] is PlatformUnavailable


@pytest.mark.parametrize(
    "error",
    [
        PlatformError("p", "look", status=418, message="w", advice="a"),
        PlatformUnavailable("p", "look", status=429, message="w", advice="a", retry_after=3.0),
        PlatformRefused("p", "look", status=409, message="w"),
        AccessDenied("p", "look", status=401),
        NotFound("p", "look", status=404),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_survive_pickling(error: PlatformError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert vars(again) == vars(error)
    assert str(again) == str(error)


def test_a_request_that_was_not_sent_is_not_called_unanswered() -> None:
    assert str(PlatformRefused("p", "look", message="no")) == "p was not asked to look: no"
    text = str(PlatformRefused("p", "look", status=400, message="Not found.", advice="Look again."))
    assert text == "p answered 400 when asked to look: Not found. Look again."


# Secrets


def _everything(error: BaseException) -> str:
    return "".join([str(error), repr(error), repr(error.args), *traceback.format_exception(error), repr(vars(error))])


@pytest.mark.parametrize(
    "raw",
    [
        answer(400, f'{{"error": {{"message": "key KEY-{CANARY} with secret {CANARY} is bad"}}}}'.encode()),
        answer(500, f"see https://host/box?sig={CANARY}".encode(), ["Content-Type: text/plain"]),
        answer(401, f"<p>https://u:{CANARY}@host/</p>".encode(), ["Content-Type: text/html"]),
        b"",
    ],
)
def test_secrets_repeated_by_a_server_are_not_shown(raw: bytes) -> None:
    error = error_of(raw)
    assert CANARY not in _everything(error)
    assert CANARY not in _everything(pickle.loads(pickle.dumps(error)))


def test_user_and_password_in_the_address_are_sent_and_never_shown() -> None:
    with scripted(answer(404)) as server:
        http_ = client(server.url.replace("//", f"//user:{CANARY}@"))
        with pytest.raises(NotFound) as caught:
            http_.call("look", "GET", "/x")
        assert "Authorization: Basic " in server.requests[0]
    assert CANARY not in _everything(caught.value) + repr(http_)
    assert CANARY not in repr(KEYS["Authentication-Secret"])


def test_a_secret_that_is_no_valid_header_is_refused_unseen() -> None:
    for broken in (f"{CANARY}\n", f"{CANARY}ключ", f"{CANARY}\r\nX: y", f" {CANARY}"):
        with pytest.raises(AccessDenied, match="Authentication-Secret") as caught:
            client("http://127.0.0.1:1", headers={"Authentication-Secret": Secret(broken)}).call("look", "GET", "/x")
        assert CANARY not in _everything(caught.value)


@pytest.mark.parametrize("url", ["host/api", "ftp://host", "http://", "http://h:port", "http://h/?sig=CANARY-7b1f", ""])
def test_an_address_that_cannot_be_one_is_refused_at_once(url: str) -> None:
    with pytest.raises(PlatformRefused, match="It looks like") as caught:
        client(url)
    assert CANARY not in _everything(caught.value)


def test_what_cannot_be_written_as_json_is_not_sent() -> None:
    with pytest.raises(PlatformRefused, match="cannot be written as JSON"):
        client("http://127.0.0.1:1").call("make it", "POST", "/x", json={"a": float("nan")})


def test_a_changing_credential_is_read_before_every_request() -> None:
    tokens = iter(["one", "two"])
    with scripted(answer(200)) as server:
        http_ = client(server.url, headers=lambda: {"Authorization": Secret(f"Bearer {next(tokens)}")})
        http_.call("look", "GET", "/x")
        http_.call("look", "GET", "/x")
        assert ["Bearer one" in server.requests[0], "Bearer two" in server.requests[1]] == [True, True]


def test_the_environment_s_netrc_and_proxies_are_kept_away(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login x password y\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with scripted(answer(200)) as server:
        http_ = client(server.url, headers={"Authorization": Secret("Token t")})
        assert http_.call("look", "GET", "/x") == {}
        assert "Authorization: Token t" in server.requests[0]


def test_a_body_of_another_type_is_sent_under_its_type() -> None:
    with scripted(answer(200)) as server:
        client(server.url).call("send a form", "POST", "/x", body=("text/plain; a=b", b"12345"))
    (request,) = server.requests
    assert "Content-Type: text/plain; a=b\r\n" in request
    assert "Content-Length: 5\r\n" in request


def test_a_list_parameter_is_sent_once_per_value() -> None:
    with scripted(answer(200)) as server:
        client(server.url).call("list", "GET", "/x", params={"tags": ["a", "b c"], "limit": 3})
    assert server.requests[0].startswith("GET /x?tags=a&tags=b+c&limit=3 ")


# Answers that say something by their status or headers, and bodies that are no JSON


def test_a_response_has_status_headers_and_bytes() -> None:
    with scripted(answer(202, b"PK", ["Content-Type: application/zip", "Upload-Offset: 7"])) as server:
        reply = client(server.url).request("feed the fish", "GET", "/x")
    assert (reply.status, reply.headers["upload-offset"], reply.data) == (202, "7", b"PK")
    assert CANARY not in repr(reply)


def test_a_response_may_have_no_body() -> None:
    with scripted(answer(201, b"", [])) as server:
        assert client(server.url).request("feed the fish", "POST", "/x", body=b"raw").data == b""


def test_a_large_response_goes_to_the_sink_and_not_into_memory() -> None:
    parts: list[bytes] = []
    with scripted(answer(200, b"x" * 300_000, ["Content-Type: application/zip"])) as server:
        reply = client(server.url, largest=1000).request("fetch", "GET", "/x", sink=parts.append)
    assert (b"".join(parts), reply.data) == (b"x" * 300_000, b"")


def test_a_large_response_that_broke_off_is_an_error() -> None:
    parts: list[bytes] = []
    short = answer(200, b"x" * 1000, []).replace(b"Length: 1000", b"Length: 1001")
    with scripted(short) as server, pytest.raises(PlatformUnavailable, match="broke off"):
        client(server.url).request("fetch", "GET", "/x", sink=parts.append)


def test_the_body_of_an_error_does_not_go_to_the_sink() -> None:
    parts: list[bytes] = []
    with scripted(answer(400, b'"no such thing"')) as server, pytest.raises(PlatformRefused, match="no such thing"):
        client(server.url).request("fetch", "GET", "/x", sink=parts.append)
    assert parts == []
