"""HTTP to a platform: one call, one deadline, and one place where answers become errors of ours."""

from __future__ import annotations

import json as jsonlib
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field, replace
from http.cookiejar import DefaultCookiePolicy
from ipaddress import ip_address
from typing import Any, Literal, Protocol
from urllib.parse import unquote, urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter

from . import answers, rates
from .errors import AccessDenied, NotFound, PlatformError, PlatformRefused, PlatformUnavailable
from .lower import CATCHABLE, meaning
from .protocol import Secret

Headers = Mapping[str, "str | Secret"]
Wanted = Literal["json", "bytes", "media", "nothing"]
"""What a good answer holds. "media": bytes of an image or a video, so that a page of HTML is no answer."""
Body = bytes | Callable[[], Any]
"""What is sent; a function gives a stream with `__len__`, `__iter__` and `read`, from its start each time."""
Explain = Callable[["Unexplained"], PlatformError | None]
Params = Mapping[str, "str | int | list[str]"]
"""A list is said once for each of its values."""

_CHUNK = 1 << 16
_LONGEST_ERROR = 1 << 16
_SHORTEST_WAIT = 0.2
_LOOK_FIRST = "It may have acted all the same: look before it is asked to change anything again."
_IN_BETWEEN = "Something between here and the platform may have answered in its place: try again."


class Sink(Protocol):
    """Where the bytes of an answer go."""

    def write(self, part: bytes, /) -> int: ...


class Upload(Protocol):
    """What a request sends when it is not JSON; opened anew for every try."""

    content_type: str

    def open(self) -> Any:
        """A readable stream from its start, with `__len__`, `__iter__`, `read` and `close`."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that says something by its status or its headers too."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    data: Any = field(repr=False)
    """What was wanted: JSON, bytes, or None."""


@dataclass(frozen=True, slots=True)
class Unexplained:
    """An answer that is an error, or no JSON though JSON was wanted."""

    verb: str
    method: str
    status: int
    kind: str
    """Its media type, in lower case."""
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Request:
    verb: str
    method: str
    path: str
    params: Params
    headers: Mapping[str, str] = field(repr=False)
    body: Body | None = None
    wanted: Wanted = "json"
    advice: str = ""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    sink: Callable[[bytes], object] | None = field(default=None, repr=False)
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it came."""

    status: int
    headers: Mapping[str, str]
    """Names in any case."""
    body: bytes
    whole: bool
    cookies: tuple[str, ...] = field(default=(), repr=False)
    """Every Set-Cookie header."""


class Http:
    """A platform's HTTP side. Safe to share between threads; its repr shows no secret.

    `headers` are those that carry the credential: a mapping, or a function called before every request (for tokens
    that change). Their values are kept out of every message. User and password in the address are sent as basic
    authentication and not kept in it. `timeout` is (connecting, waiting for the next bytes) in seconds, `whole` the
    seconds that one request may take altogether. A Retry-After of 429 or 503 that fits into `patience` seconds is
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
        self.base_url, self._basic, host = _address(platform, base_url)
        self._headers = headers or {}
        self._timeout, self._whole, self._patience, self._largest = timeout, whole, patience, largest
        self._session = requests.Session()
        adapter = HTTPAdapter(pool_connections=4, pool_maxsize=threads)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)
        self._explain = explain
        if not cookies:
            self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.auth = _leave  # else ~/.netrc would overwrite our Authorization header
        # Nobody reaches this machine through a proxy; REQUESTS_CA_BUNDLE holds here as elsewhere.
        self._proxies = {"no_proxy": host} if _loopback(host) else None

    def __repr__(self) -> str:
        return f"Http({self.platform!r}, {self.base_url!r})"

    def close(self) -> None:
        self._session.close()

    def keep_cookie(self, name: str, value: str) -> None:
        """Send a cookie from now on, unless the server gave one of that name."""
        if name not in self._session.cookies:
            self._session.cookies.set(name, value)

    def call(
        self,
        verb: str,
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
        sent, data = _described(dict(headers or {}), body)
        request = _Request(verb, method, path, dict(params or {}), sent, data, wanted, advice)
        found = self._patiently(replace(request, sink=into.write if into is not None else None), json).data
        return found if into is None else None

    def ask(
        self,
        verb: str,
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
        request = _Request(verb, method, path, dict(params or {}), dict(headers or {}), body, wanted, advice)
        return self._patiently(replace(request, sink=sink, seconds=seconds), json)

    def ask_openly(
        self, verb: str, method: str, path: str, *, body: Upload | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Ask once, without the credential's headers, and give the answer whatever its status: for logging in.

        Redirects are not followed. Raises PlatformUnavailable or PlatformRefused when there is no answer.
        """
        sent, data = _described(dict(headers or {}), body)
        request = _Request(verb, method, path, {}, sent, data, wanted="bytes")
        try:
            return self._ask(request)
        except CATCHABLE as error:
            kind, told = meaning(error)
            failure = kind(self.platform, verb, words=told, advice=self._advice(kind, request))
        raise failure

    def _patiently(self, asked: _Request, json: Any) -> Reply:
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
            if time.monotonic() + wait > patience_ends:
                raise failure
            time.sleep(wait)
            shortest *= 2

    # What follows gives errors back instead of raising them: `call` raises them where no lower error is at hand, so
    # that none is chained to ours. Lower errors quote addresses, and addresses hold signatures.

    def _prepare(self, request: _Request, json: Any) -> _Request | PlatformError:
        verb, headers, body = request.verb, dict(request.headers), request.body
        if json is not None:
            try:
                body = jsonlib.dumps(json, allow_nan=False).encode()
            except (TypeError, ValueError, RecursionError):
                return self._refused(verb, "what was to be sent cannot be written as JSON", "This is a fault of ours.")
            headers["Content-Type"] = "application/json"
        credential = self._headers() if callable(self._headers) else self._headers
        ours = {name: value.value if isinstance(value, Secret) else value for name, value in credential.items()}
        if self._basic and "authorization" not in {name.lower() for name in ours}:
            ours["Authorization"] = self._basic
        for name, value in ours.items():
            if not (value.isascii() and value.isprintable() and value == value.strip()):
                told = f"the value for {name} has a blank, a line break or a special character in it"
                return AccessDenied(self.platform, verb, words=told, advice="Copy the credential again, without them.")
        headers = {"Accept": "application/json" if request.wanted == "json" else "*/*", **ours, **headers}
        return replace(request, headers=headers, body=body, secrets=_secrets(ours))

    def _once(self, request: _Request) -> Reply | PlatformError:
        try:
            answer = self._ask(request)
        except CATCHABLE as error:
            kind, told = meaning(error)
            return kind(self.platform, request.verb, words=told, advice=self._advice(kind, request))
        found = self._data(request, answer) if 200 <= answer.status < 300 else self._error(request, answer)
        if self._explain is None or not isinstance(found, PlatformError):
            return found
        media = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        return self._explain(Unexplained(request.verb, request.method, answer.status, media, answer.body)) or found

    def _ask(self, request: _Request) -> Answer:
        rates.wait_for(self.base_url)
        ends = time.monotonic() + (request.seconds or self._whole)
        connecting, reading = self._timeout
        with (
            _opened(request.body) as body,
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
            # read1 comes back with what is there, so that a server that drips is cut off at the deadline.
            while part := response.raw.read1(_CHUNK, decode_content=True):
                if sink is not None:
                    sink(part)
                else:
                    parts.append(part)
                    size += len(part)
                if size > largest:
                    break
                if time.monotonic() > ends:
                    raise requests.ReadTimeout
            whole = size <= largest
            if whole and request.method != "HEAD":
                _refuse_a_short_body(response)
            cookies = tuple(response.raw.headers.getlist("Set-Cookie"))
            return Answer(response.status_code, response.headers, b"".join(parts), whole, cookies)

    def _data(self, request: _Request, answer: Answer) -> Reply | PlatformError:
        if not answer.whole:
            told = f"the answer is longer than {self._largest} bytes"
            return self._refused(request.verb, told, "Ask for smaller pages.", answer.status)
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
            told = f"the answer is {answers.cut(kind, 60) or 'of no type'}, not {wanted}"
        return PlatformUnavailable(self.platform, request.verb, status=answer.status, words=told, advice=_IN_BETWEEN)

    def _error(self, request: _Request, answer: Answer) -> PlatformError:
        """The one place where a status becomes an error."""
        status, verb, advice = answer.status, request.verb, request.advice
        said = answers.words(answer.headers.get("Content-Type", "").lower(), answer.body, request.secrets)
        if status in (408, 429) or status >= 500:
            wait = answers.retry_after(answer.headers)
            told = self._advice(PlatformUnavailable, request) if status not in (429, 503) else "Try again later."
            if wait is not None:
                told = f"It asks to be left alone for {wait:.0f} seconds."
            return PlatformUnavailable(self.platform, verb, status=status, words=said, advice=told, retry_after=wait)
        if status in (401, 403):
            told = "Check the credential." if status == 401 else "The credential is right but may not do this."
            return AccessDenied(self.platform, verb, status=status, words=said, advice=advice or told)
        if status == 404:
            told = f"Check that it is still there, and that {self.base_url} is the address of the platform's API."
            return NotFound(self.platform, verb, status=status, words=said, advice=advice or told)
        if status < 400:
            said = f"it sends us elsewhere{_to(answer)}, and credentials stay with the configured host"
            advice = f"Correct the address {self.base_url} of the platform."
        return self._refused(verb, said, advice, status)

    def _refused(self, verb: str, words: str, advice: str, status: int | None = None) -> PlatformRefused:
        return PlatformRefused(self.platform, verb, status=status, words=words, advice=advice)

    def _advice(self, kind: type[PlatformError], request: _Request) -> str:
        if kind is not PlatformUnavailable:
            return f"Check the address {self.base_url} and the settings of certificates and proxies."
        if request.method in ("GET", "HEAD"):
            return f"Check that {self.base_url} can be reached, and try again."
        return _LOOK_FIRST


def _described(
    headers: dict[str, str], body: tuple[str, bytes] | Upload | None
) -> tuple[dict[str, str], bytes | Callable[[], Any] | None]:
    """Headers that say of what type the body is, and the body itself."""
    if body is None:
        return headers, None
    if isinstance(body, tuple):
        return headers | {"Content-Type": body[0]}, body[1]
    return headers | {"Content-Type": body.content_type}, body.open


def _opened(body: Body | None) -> AbstractContextManager[Any]:
    if not callable(body):
        return nullcontext(body)
    stream = body()
    return closing(stream) if hasattr(stream, "close") else nullcontext(stream)


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
    return f" (to {answers.cut(host, 100)})" if host else ""


def _address(platform: str, url: str) -> tuple[str, str, str]:
    """The address without user-info, the basic credential that was in it, and its host."""
    told = ""
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname, parts.port
    except ValueError:
        told = "the platform's address is not valid"
    else:
        if parts.scheme not in ("http", "https"):
            told = "the platform's address does not begin with http:// or https://"
        elif not host:
            told = "the platform's address names no host"
        elif parts.query or parts.fragment:
            told = "the platform's address must end before any ? or #"
    if told:
        raise PlatformRefused(platform, "connect", words=told, advice="It looks like https://host/api/v1.")
    user_info, _, place = parts.netloc.rpartition("@")
    user, _, password = user_info.partition(":")
    pair = f"{unquote(user)}:{unquote(password)}".encode()
    basic = f"Basic {b64encode(pair).decode()}" if user_info else ""
    return urlunsplit((parts.scheme, place, parts.path.rstrip("/"), "", "")), basic, host or ""


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _secrets(headers: Mapping[str, str]) -> tuple[str, ...]:
    """What must not be shown: whole values, and what follows "Token" or "Bearer". The longest first."""
    values = {part for value in headers.values() for part in (value, value.partition(" ")[2]) if part}
    return tuple(sorted(values, key=len, reverse=True))


def _leave(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
