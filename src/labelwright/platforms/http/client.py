"""HTTP to a platform: one call, one deadline, and one place where answers become errors of ours."""

from __future__ import annotations

import json as jsonlib
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

from labelwright.network.deadlines import OutOfTime, current_limit, sleep, time_limit
from labelwright.platforms.errors import AccessDenied, NotFound, PlatformError, PlatformRefused, PlatformUnavailable
from labelwright.platforms.protocol import Secret
from labelwright.security.credential_shapes import is_plain_word
from labelwright.security.masking import remember

from . import error_messages as answers
from . import rate_limit as rates
from .addresses import is_loopback, read_address
from .connections import TimedAdapter
from .messages import Answer, Body, ErrorResponse, Params, Reply, Request, Sink, Upload, Wanted, described, opened
from .transport_errors import CATCHABLE, meaning

Headers = Mapping[str, "str | Secret"]
Explain = Callable[[ErrorResponse], PlatformError | None]

_CHUNK = 1 << 16
_LONGEST_ERROR = 1 << 16
_SHORTEST_WAIT = 0.2
_LOOK_FIRST = "It may have acted all the same: look before it is asked to change anything again."
_IN_BETWEEN = "Something between here and the platform may have answered in its place: try again."


class Http:
    """A platform's HTTP side. Safe to share between threads; its repr shows no secret.

    `headers` are those that carry the credential: a mapping, or a function called before every request (for tokens
    that change). Their values are kept out of every message. User and password in the address are sent as basic
    authentication and not kept in it. `timeout` is (connecting, waiting for the headers of an answer and between two
    pieces of its body) in seconds, `whole` the seconds that one request may take altogether, with both bodies and
    however slowly it is read or answered. A Retry-After of 429 or 503 that fits into `patience` seconds is
    waited out here, since the server says that it did nothing; there is no other hidden retry. Redirects are refused:
    credentials go to the configured host only. `cookies` are kept for platforms that need a session. `explain` may
    know better than we what a platform means by an answer.
    """

    def __init__(
        self,
        platform: str,
        base_url: str,
        *,
        headers: Headers | Callable[[], Headers] | None = None,
        timeout: tuple[float, float] = (5.0, 60.0),
        whole: float = 600.0,
        patience: float = 60.0,
        threads: int = 32,
        largest: int = 256 << 20,
        cookies: bool = False,
        explain: Explain | None = None,
    ) -> None:
        self.platform = platform
        self.base_url, self._basic, host = read_address(platform, base_url)
        remember(base_url, self._basic, keep=True)
        self._headers = headers or {}
        self._timeout, self._whole, self._patience, self._largest = timeout, whole, patience, largest
        self._session = requests.Session()
        adapter = TimedAdapter(pool_connections=4, pool_maxsize=threads)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)
        self._explain = explain
        if not cookies:
            self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.auth = _leave  # else ~/.netrc would overwrite our Authorization header
        # Nobody reaches this machine through a proxy; REQUESTS_CA_BUNDLE holds here as elsewhere.
        self._proxies = {"no_proxy": host} if is_loopback(host) else None

    def __repr__(self) -> str:
        return f"Http({self.platform!r}, {self.base_url!r})"

    def close(self) -> None:
        self._session.close()

    def connect_with(self, adapter: TimedAdapter) -> None:
        """Make the connections by plain HTTP with this adapter."""
        self._session.mount("http://", adapter)

    def keep_cookie(self, name: str, value: str) -> None:
        """Send a cookie from now on, unless the server gave one of that name."""
        remember(value)
        if name not in self._session.cookies:
            self._session.cookies.set(name, value)

    def call(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: tuple[str, bytes] | Upload | None = None,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        wanted: Wanted = "json",
        into: Sink | None = None,
        advice: str = "",
    ) -> Any:
        """Ask, and give the answer's JSON (None for an empty one), its bytes, or None.

        `verb` completes "when asked to ..." in messages. What is sent is `json`, or a `body` of another type (its
        media type and its bytes, or an upload). `advice` replaces our own for a refusal (4xx). The bytes of a good
        answer go `into` a file where one is given, however many they are; what came before an error is in it too.
        Raises the errors of `labelwright.platforms.errors` and nothing else.
        """
        sent, data = described(dict(headers or {}), body)
        request = Request(operation, method, path, dict(params or {}), sent, data, wanted, advice)
        found = self._send_honoring_retry_after(
            replace(request, sink=into.write if into is not None else None), json
        ).data
        return found if into is None else None

    def ask(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: Body | None = None,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        wanted: Wanted = "bytes",
        advice: str = "",
        sink: Callable[[bytes], object] | None = None,
        seconds: float | None = None,
    ) -> Reply:
        """Like `call`, where the status or the headers of a success matter, or where what is sent is no JSON (`body`;
        say its Content-Type in `headers`). The bytes of a success go to `sink`, if there is one, as they come and
        however many they are; after an error it may hold a part of them. `seconds` is how long the server may take,
        instead of what holds for other requests."""
        request = Request(operation, method, path, dict(params or {}), dict(headers or {}), body, wanted, advice)
        return self._send_honoring_retry_after(replace(request, sink=sink, seconds=seconds), json)

    def request_without_credentials(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        body: Upload | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask once, without the credential's headers, and give the answer whatever its status: for logging in.

        Redirects are not followed. Raises PlatformUnavailable or PlatformRefused when there is no answer.
        """
        sent, data = described(dict(headers or {}), body)
        request = Request(operation, method, path, {}, sent, data, wanted="bytes")
        try:
            return self._ask(request)
        except CATCHABLE as error:
            failure = self._no_answer(request, error)
        raise failure

    def locate(self, operation: str, path: str) -> str:
        """Where the answer to a GET leads: the address of its redirect, which is not followed; empty when it is none.

        The address may hold a signature. Raises the errors of `labelwright.platforms.errors`.
        """
        request = self._prepare(Request(operation, "GET", path, {}, {}, None, "bytes"), None)
        if isinstance(request, PlatformError):
            raise request
        failure: PlatformError
        try:
            answer = self._ask(request)
        except CATCHABLE as error:
            kind, told = meaning(error)
            failure = kind(self.platform, operation, message=told, advice=self._advice(kind, request))
        else:
            if answer.status < 400:
                location = answer.headers.get("Location", "")
                return urljoin(self.base_url + path, location) if location else ""
            failure = self._error(request, answer)
        raise failure

    def _send_honoring_retry_after(self, asked: Request, json: Any) -> Reply:
        patience_ends = time.monotonic() + self._patience
        shortest = _SHORTEST_WAIT
        while True:
            request = self._prepare(asked, json)
            failure = request if isinstance(request, PlatformError) else self._once(request)
            if not isinstance(failure, PlatformError):
                return failure
            wait = failure.retry_after if isinstance(failure, PlatformUnavailable) else None
            if wait is None or failure.status not in (429, 503):
                raise failure
            wait = max(wait, shortest)
            limit = current_limit()
            if time.monotonic() + wait > (patience_ends if limit is None else min(patience_ends, limit.ends)):
                raise failure
            try:
                sleep(wait)
            except OutOfTime:
                raise failure from None
            shortest *= 2

    # What follows gives errors back instead of raising them: `call` raises them where no lower error is at hand, so
    # that none is chained to ours. Lower errors quote addresses, and addresses hold signatures.

    def _prepare(self, request: Request, json: Any) -> Request | PlatformError:
        operation, headers, body = request.operation, dict(request.headers), request.body
        if json is not None:
            try:
                body = jsonlib.dumps(json, allow_nan=False).encode()
            except (TypeError, ValueError, RecursionError):
                return self._refused(
                    operation, "what was to be sent cannot be written as JSON", "This is a fault of ours."
                )
            headers["Content-Type"] = "application/json"
        credential = self._headers() if callable(self._headers) else self._headers
        ours = {name: value.value if isinstance(value, Secret) else value for name, value in credential.items()}
        if self._basic and "authorization" not in {name.lower() for name in ours}:
            ours["Authorization"] = self._basic
        remember(*ours.values())
        for name, value in ours.items():
            if not (value.isascii() and value.isprintable() and value == value.strip()):
                told = f"the value for {name} has a blank, a line break or a special character in it"
                return AccessDenied(
                    self.platform, operation, message=told, advice="Copy the credential again, without them."
                )
        headers = {"Accept": "application/json" if request.wanted == "json" else "*/*", **ours, **headers}
        return replace(request, headers=headers, body=body, secrets=_secrets(ours))

    def _once(self, request: Request) -> Reply | PlatformError:
        try:
            answer = self._ask(request)
        except CATCHABLE as error:
            return self._no_answer(request, error)
        found = self._data(request, answer) if 200 <= answer.status < 300 else self._error(request, answer)
        if self._explain is None or not isinstance(found, PlatformError):
            return found
        media = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        return (
            self._explain(ErrorResponse(request.operation, request.method, answer.status, media, answer.body)) or found
        )

    def _no_answer(self, request: Request, error: BaseException) -> PlatformError:
        kind, told = meaning(error)
        if isinstance(error, OutOfTime):
            kind, told = PlatformUnavailable, f"it was not done within {request.seconds or self._whole:g} seconds"
            limit = current_limit()
            if limit is not None and limit.over:
                told = "the time for this work is over"
        return kind(self.platform, request.operation, message=told, advice=self._advice(kind, request))

    def _ask(self, request: Request) -> Answer:
        """Raises those of CATCHABLE; OutOfTime when the request took longer than it may."""
        rates.wait_for(self.base_url)
        with time_limit(request.seconds or self._whole) as limit:
            try:
                return self._answer(request)
            except CATCHABLE:
                if not limit.over:
                    raise
            raise OutOfTime

    def _answer(self, request: Request) -> Answer:
        connecting, reading = self._timeout
        with (
            opened(request.body) as body,
            self._session.request(
                request.method,
                self.base_url + request.path,
                params=request.params,
                data=body,
                headers=request.headers,
                timeout=(connecting, request.seconds or reading),
                allow_redirects=False,
                proxies=self._proxies,
                stream=True,
            ) as response,
        ):
            largest = self._largest if response.ok else _LONGEST_ERROR
            parts: list[bytes] = []
            size = 0
            page = request.wanted == "media" and _is_html(response.headers)
            sink = request.sink if response.ok and not page else None
            while part := response.raw.read1(_CHUNK, decode_content=True):
                if sink is not None:
                    sink(part)
                else:
                    parts.append(part)
                    size += len(part)
                if size > largest:
                    break
            whole = size <= largest
            if whole and request.method != "HEAD":
                _refuse_a_short_body(response)
            cookies = tuple(response.raw.headers.getlist("Set-Cookie"))
            remember(*_values_of(cookies))
            return Answer(response.status_code, response.headers, b"".join(parts), whole, cookies)

    def _data(self, request: Request, answer: Answer) -> Reply | PlatformError:
        if not answer.whole:
            told = f"the answer is longer than {self._largest} bytes"
            return self._refused(request.operation, told, "Ask for smaller pages.", answer.status)
        page = request.wanted == "media" and _is_html(answer.headers)
        if answer.status == 204 or (request.wanted != "json" and not page):
            bytes_of_it = answer.body if request.wanted in ("bytes", "media") else None
            return Reply(answer.status, answer.headers, bytes_of_it)
        kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if "json" in kind:
            try:
                return Reply(answer.status, answer.headers, jsonlib.loads(answer.body))
            except (ValueError, RecursionError):
                told = "the answer is not valid JSON"
        else:
            wanted = "JSON" if request.wanted == "json" else "a file"
            told = f"the answer is {answers.cut_masked(kind, 60) or 'of no type'}, not {wanted}"
        return PlatformUnavailable(
            self.platform, request.operation, status=answer.status, message=told, advice=_IN_BETWEEN
        )

    def _error(self, request: Request, answer: Answer) -> PlatformError:
        """The one place where a status becomes an error."""
        status, operation, advice = answer.status, request.operation, request.advice
        said = answers.message(answer.headers.get("Content-Type", "").lower(), answer.body, request.secrets)
        if status in (408, 429) or status >= 500:
            wait = answers.retry_after(answer.headers)
            told = self._advice(PlatformUnavailable, request) if status not in (429, 503) else "Try again later."
            return PlatformUnavailable(
                self.platform, operation, status=status, message=said, advice=told, retry_after=wait
            )
        if status in (401, 403):
            told = "Check the credential." if status == 401 else "The credential is right but may not do this."
            return AccessDenied(self.platform, operation, status=status, message=said, advice=advice or told)
        if status == 404:
            told = f"Check that it is still there, and that {self.base_url} is the address of the platform's API."
            return NotFound(self.platform, operation, status=status, message=said, advice=advice or told)
        if status < 400:
            said = f"it sends us elsewhere{_to(answer)}, and credentials stay with the configured host"
            advice = f"Correct the address {self.base_url} of the platform."
        return self._refused(operation, said, advice, status)

    def _refused(self, operation: str, message: str, advice: str, status: int | None = None) -> PlatformRefused:
        return PlatformRefused(self.platform, operation, status=status, message=message, advice=advice)

    def _advice(self, kind: type[PlatformError], request: Request) -> str:
        if kind is not PlatformUnavailable:
            return f"Check the address {self.base_url} and the settings of certificates and proxies."
        if request.method in ("GET", "HEAD"):
            return f"Check that {self.base_url} can be reached, and try again."
        return _LOOK_FIRST


def _is_html(headers: Mapping[str, str]) -> bool:
    return "html" in headers.get("Content-Type", "").lower()


def _refuse_a_short_body(response: requests.Response) -> None:
    """A body shorter than announced is an answer that broke off, even if it happens to be valid JSON."""
    announced = response.headers.get("Content-Length", "")
    chunked = "chunked" in response.headers.get("Transfer-Encoding", "").lower()
    if not announced.isdecimal() or chunked or response.status_code in (204, 304):
        return
    if response.raw.tell() < int(announced):  # tell() counts bytes as they came, before any unpacking
        raise requests.exceptions.ChunkedEncodingError


def _to(answer: Answer) -> str:
    """Only the host: the rest of a redirect's address may hold a signature."""
    try:
        host = urlsplit(answer.headers.get("Location", "")).hostname
    except ValueError:
        return ""
    return f" (to {answers.cut_masked(host, 100)})" if host else ""


def _secrets(headers: Mapping[str, str]) -> tuple[str, ...]:
    """What must not be shown: whole values, and what follows "Token" or "Bearer". The longest first."""
    values = {part for value in headers.values() for part in (value, value.partition(" ")[2]) if part}
    return tuple(sorted(values, key=len, reverse=True))


_COOKIE = re.compile(r"[^=;\s]+=\"?([^;\"]{8,})")


def _values_of(cookies: tuple[str, ...]) -> list[str]:
    """Those that may open something: long, and no word of a sentence, such as a language or the name of a theme."""
    values = [found[1].strip() for cookie in cookies if (found := _COOKIE.match(cookie))]
    return [one for one in values if not is_plain_word(one)]


def _leave(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
