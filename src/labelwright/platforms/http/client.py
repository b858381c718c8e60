"""HTTP client of platform adapters: credentials, deadlines, Retry-After, and errors of one tree."""

from __future__ import annotations

import json as jsonlib
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urljoin

import requests

from labelwright.network.deadlines import OutOfTime, current_limit, sleep, time_limit
from labelwright.network.guards import before_change
from labelwright.platforms.errors import AccessDenied, PlatformError, PlatformRefused, PlatformUnavailable
from labelwright.platforms.values import Secret
from labelwright.security.masking import remember

from . import rate_limit
from .addresses import is_loopback, read_address
from .connections import TimedAdapter
from .messages import Body, ErrorResponse, Expected, Params, Request, Response, Sink, Upload, content_of, opened
from .responses import ResponseChecker, read_response
from .transport_errors import CATCHABLE, meaning

Headers = Mapping[str, "str | Secret"]
Explain = Callable[[ErrorResponse], PlatformError | None]

_SHORTEST_WAIT = 0.2


class Http:
    """The HTTP client of one platform. Safe to share between threads; its repr shows no secret.

    All requests raise the errors of `labelwright.platforms.errors` and no others. Redirects are refused: credentials go
    to the configured host only. A Retry-After of 429 or 503 that fits into `patience` is waited out here, since the
    server says that it did nothing; there is no other hidden retry.

    Args:
        platform: Name for messages.
        base_url: User and password in it are sent as basic authentication.
        headers: Headers that carry the credential; their values are kept out of every message. A function is called
            before every request, for tokens that change.
        timeout: Seconds to connect, and seconds to wait for the headers and between two pieces of a body.
        whole: Seconds that one request may take altogether, with both bodies.
        patience: Seconds of Retry-After that one call waits out altogether.
        threads: Connections that are kept open at most.
        largest: Bytes of a response that are read into memory at most.
        cookies: Whether cookies of the server are kept, for platforms with sessions.
        explain: May return a more specific error for an error response.
        unreachable: What to do when reading fails without a response; by default to check the address.
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
        unreachable: str = "",
    ) -> None:
        self.platform = platform
        self.base_url, self._basic, host = read_address(platform, base_url)
        remember(base_url, self._basic, keep=True)
        self._headers = headers or {}
        self._timeout, self._whole, self._patience, self._largest = timeout, whole, patience, largest
        self._checker = ResponseChecker(platform, self.base_url, largest, unreachable)
        self._explain = explain
        self._session = requests.Session()
        adapter = TimedAdapter(pool_connections=4, pool_maxsize=threads)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)
        if not cookies:
            self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.auth = _keep_headers  # else ~/.netrc would overwrite our Authorization header
        # Nobody reaches this machine through a proxy; REQUESTS_CA_BUNDLE holds here as elsewhere.
        self._proxies = {"no_proxy": host} if is_loopback(host) else None

    def __repr__(self) -> str:
        return f"Http({self.platform!r}, {self.base_url!r})"

    def close(self) -> None:
        self._session.close()

    def connect_with(self, adapter: TimedAdapter) -> None:
        """Uses this adapter for connections without TLS."""
        self._session.mount("http://", adapter)

    def keep_cookie(self, name: str, value: str) -> None:
        """Sends a cookie from now on, unless the server set one of that name."""
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
        expect: Expected = "json",
        into: Sink | None = None,
        advice: str = "",
    ) -> Any:
        """Sends a request and returns the data of the response: JSON, bytes, or None when it is empty.

        Args:
            operation: Completes "when asked to ..." in messages.
            json: The body, or
            body: a body of another type: its media type and bytes, or an upload.
            into: A file for the bytes of a success, which may exceed the limit of `largest`. After an error it may
                hold a part of them.
            advice: Replaces the default advice for a refusal (4xx).
        """
        typed_headers, content = content_of(headers or {}, body)
        sink = into.write if into is not None else None
        request = Request(operation, method, path, params or {}, typed_headers, content, expect, advice, sink=sink)
        response = self._send_honoring_retry_after(request, json)
        return response.data if into is None else None

    def request(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: Body | None = None,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        expect: Expected = "bytes",
        advice: str = "",
        sink: Callable[[bytes], object] | None = None,
        seconds: float | None = None,
    ) -> Response:
        """Like `call`, but returns the whole response, where status or headers of a success matter.

        Args:
            body: A body that is not JSON; its Content-Type is in `headers`.
            sink: Takes the bytes of a success as they arrive, which may exceed the limit of `largest`. After an error
                it may have got a part of them.
            seconds: How long the server may take, where that differs from other requests.
        """
        request = Request(
            operation, method, path, dict(params or {}), headers or {}, body, expect, advice, sink=sink, seconds=seconds
        )
        return self._send_honoring_retry_after(request, json)

    def request_without_credentials(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        body: Upload | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Sends one request without the credential headers and returns the response whatever its status: for logins.

        Redirects are not followed. Raises PlatformUnavailable or PlatformRefused when there is no response.
        """
        typed_headers, content = content_of(headers or {}, body)
        return self._exchange(Request(operation, method, path, {}, typed_headers, content, expect="bytes"))

    def locate(self, operation: str, path: str) -> str:
        """Returns the address that a GET redirects to, without following it; "" when the response is no redirect.

        The address may hold a signature.
        """
        request = self._prepare(Request(operation, "GET", path, {}, {}, expect="bytes"), None)
        response = self._exchange(request)
        if response.status >= 400:
            raise self._checker.error(request, response)
        location = response.headers.get("Location", "")
        return urljoin(self.base_url + path, location) if location else ""

    def _send_honoring_retry_after(self, request: Request, json: Any) -> Response:
        patience_ends = time.monotonic() + self._patience
        shortest = _SHORTEST_WAIT
        while True:
            try:
                return self._send(self._prepare(request, json))
            except PlatformUnavailable as error:
                if error.retry_after is None or error.status not in (429, 503):
                    raise
                wait = max(error.retry_after, shortest)
                limit = current_limit()
                ends = patience_ends if limit is None else min(patience_ends, limit.ends)
                if time.monotonic() + wait > ends:
                    raise
                try:
                    sleep(wait)
                except OutOfTime:
                    raise error from None
            shortest *= 2

    def _prepare(self, request: Request, json: Any) -> Request:
        """Returns the request with its body and the headers of the credential, as it is at this moment."""
        headers, body = dict(request.headers), request.body
        if json is not None:
            headers["Content-Type"] = "application/json"
            body = self._json_body(request.operation, json)
        credential = self._headers() if callable(self._headers) else self._headers
        values = {name: value.value if isinstance(value, Secret) else value for name, value in credential.items()}
        if self._basic and "authorization" not in {name.lower() for name in values}:
            values["Authorization"] = self._basic
        remember(*values.values())
        for name, value in values.items():
            if not (value.isascii() and value.isprintable() and value == value.strip()):
                raise AccessDenied(
                    self.platform,
                    request.operation,
                    message=f"the value for {name} has a blank, a line break or a special character in it",
                    advice="Copy the credential again, without them.",
                )
        accept = "application/json" if request.expect == "json" else "*/*"
        headers = {"Accept": accept, **values, **headers}
        return replace(request, headers=headers, body=body, secrets=_secrets_in(values))

    def _json_body(self, operation: str, json: Any) -> bytes:
        try:
            return jsonlib.dumps(json, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError):
            pass
        message = "what was to be sent cannot be written as JSON"
        raise PlatformRefused(self.platform, operation, message=message, advice="This is a fault of ours.")

    def _send(self, request: Request) -> Response:
        """Sends a request once and returns its checked response."""
        response = self._exchange(request)
        try:
            return self._checker.check(request, response)
        except PlatformError as error:
            failure = error
        explained = None
        if self._explain is not None:
            explained = self._explain(
                ErrorResponse(request.operation, request.method, response.status, response.media_type, response.body)
            )
        raise explained or failure

    def _exchange(self, request: Request) -> Response:
        """Sends a request once and returns the response whatever its status.

        Raises PlatformUnavailable or PlatformRefused when there is none. It is raised outside the `except` block, so
        that no error of requests is chained to it: these quote addresses, and addresses hold signatures.
        """
        try:
            return self._exchange_in_time(request)
        except CATCHABLE as error:
            failure = self._transport_error(request, error)
        raise failure

    def _transport_error(self, request: Request, error: BaseException) -> PlatformError:
        kind, message = meaning(error)
        if isinstance(error, OutOfTime):
            kind, message = PlatformUnavailable, f"it was not done within {request.seconds or self._whole:g} seconds"
            limit = current_limit()
            if limit is not None and limit.over:
                message = "the time for this work is over"
        return kind(self.platform, request.operation, message=message, advice=self._checker.advice(kind, request))

    def _exchange_in_time(self, request: Request) -> Response:
        """Raises OutOfTime when the request took longer than it may, and other errors of CATCHABLE."""
        rate_limit.wait_for(self.base_url)
        if request.method not in ("GET", "HEAD"):
            before_change()
        with time_limit(request.seconds or self._whole) as limit:
            try:
                return self._transfer(request)
            except CATCHABLE:
                if not limit.over:
                    raise
            raise OutOfTime

    def _transfer(self, request: Request) -> Response:
        connect_seconds, read_seconds = self._timeout
        with (
            opened(request.body) as body,
            self._session.request(
                request.method,
                self.base_url + request.path,
                params=request.params,
                data=body,
                headers=request.headers,
                timeout=(connect_seconds, request.seconds or read_seconds),
                allow_redirects=False,
                proxies=self._proxies,
                stream=True,
            ) as incoming,
        ):
            return read_response(incoming, request, self._largest)


def _secrets_in(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Returns the values of headers, and what follows "Token" or "Bearer" in them, the longest first."""
    values = {part for value in headers.values() for part in (value, value.partition(" ")[2]) if part}
    return tuple(sorted(values, key=len, reverse=True))


def _keep_headers(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
