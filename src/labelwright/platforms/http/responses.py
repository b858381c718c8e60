"""Reads HTTP responses and checks them: a response becomes data, or the one error that its status stands for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, NoReturn
from urllib.parse import urlsplit

import orjson
import requests

from labelwright.platforms.errors import AccessDenied, NotFound, PlatformError, PlatformRefused, PlatformUnavailable
from labelwright.security.credential_shapes import is_plain_word
from labelwright.security.masking import remember

from .error_messages import cut_masked, message, retry_after
from .messages import Request, Response

_CHUNK = 1 << 16
_LONGEST_ERROR = 1 << 16
_LOOK_FIRST = "It may have acted all the same: look before it is asked to change anything again."
_IN_BETWEEN = "Something between here and the platform may have answered in its place: try again."
_COOKIE = re.compile(r"[^=;\s]+=\"?([^;\"]{8,})")


def read_response(incoming: requests.Response, request: Request, largest: int) -> Response:
    """Reads the body of a response: into the request's sink, or at most `largest` bytes into memory.

    Raises errors of requests and urllib3 when the body is shorter than announced or cannot be decoded.
    """
    response = Response(incoming.status_code, incoming.headers, b"")
    limit = largest if incoming.ok else _LONGEST_ERROR
    to_sink = incoming.ok and not (request.expect == "media" and response.is_html)
    sink = request.sink if to_sink else None
    chunks: list[bytes] = []
    size = 0
    while size <= limit and (chunk := incoming.raw.read1(_CHUNK, decode_content=True)):
        if sink is not None:
            sink(chunk)
        else:
            chunks.append(chunk)
            size += len(chunk)
    complete = size <= limit
    if complete and request.method != "HEAD":
        _check_length(incoming)
    cookies = tuple(incoming.raw.headers.getlist("Set-Cookie"))
    remember(*_cookie_secrets(cookies))
    return replace(response, body=b"".join(chunks), complete=complete, cookies=cookies)


def _parsed(body: bytes) -> Any:
    """Parses with orjson, and what it refuses (NaN, UTF-16, half a surrogate) with the slower standard library.

    Whole numbers of more than 64 bits become floats, which `Fields` refuses for ids and counts.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return json.loads(body)


def _check_length(incoming: requests.Response) -> None:
    """Raises ChunkedEncodingError for a body shorter than its Content-Length, even if it happens to be valid JSON."""
    announced = incoming.headers.get("Content-Length", "")
    chunked = "chunked" in incoming.headers.get("Transfer-Encoding", "").lower()
    if not announced.isdecimal() or chunked or incoming.status_code in (204, 304):
        return
    if incoming.raw.tell() < int(announced):  # tell() counts bytes as they came, before any unpacking
        raise requests.exceptions.ChunkedEncodingError


def _cookie_secrets(cookies: tuple[str, ...]) -> list[str]:
    """Returns cookie values that may give access: long, and no plain word such as a language or a theme."""
    values = [match[1].strip() for cookie in cookies if (match := _COOKIE.match(cookie))]
    return [value for value in values if not is_plain_word(value)]


class ResponseChecker:
    """Checks the responses of one platform.

    `largest` is the limit of a body in bytes, `unreachable` the advice when reading fails without a response.
    """

    def __init__(self, platform: str, base_url: str, largest: int, unreachable: str = "") -> None:
        self._platform, self._base_url, self._largest = platform, base_url, largest
        self._unreachable = unreachable or f"Check that {base_url} can be reached, and try again."

    def check(self, request: Request, response: Response) -> Response:
        """Returns the response with its data. Raises the PlatformError that its status or its body stands for."""
        if not 200 <= response.status < 300:
            raise self.error(request, response)
        if not response.complete:
            raise PlatformRefused(
                self._platform,
                request.operation,
                status=response.status,
                message=f"the answer is longer than {self._largest} bytes",
                advice="Ask for smaller pages.",
            )
        html_for_media = request.expect == "media" and response.is_html
        if response.status == 204 or (request.expect != "json" and not html_for_media):
            return replace(response, data=response.body if request.expect in ("bytes", "media") else None)
        if "json" not in response.media_type:
            expected = "JSON" if request.expect == "json" else "a file"
            kind = cut_masked(response.media_type, 60) or "of no type"
            self._not_believed(request, response, f"the answer is {kind}, not {expected}")
        with suppress(ValueError, RecursionError):
            return replace(response, data=_parsed(response.body))
        self._not_believed(request, response, "the answer is not valid JSON")

    def error(self, request: Request, response: Response) -> PlatformError:
        """Returns the error that a status stands for. The only place where a status becomes an error."""
        status, operation = response.status, request.operation
        text = message(response.headers.get("Content-Type", "").lower(), response.body, request.secrets)
        if status in (408, 429) or status >= 500:
            advice = "Try again later." if status in (429, 503) else self.advice(PlatformUnavailable, request)
            wait = retry_after(response.headers)
            return PlatformUnavailable(
                self._platform, operation, status=status, message=text, advice=advice, retry_after=wait
            )
        if status in (401, 403):
            default = "Check the credential." if status == 401 else "The credential is right but may not do this."
            return AccessDenied(
                self._platform, operation, status=status, message=text, advice=request.advice or default
            )
        if status == 404:
            default = f"Check that it is still there, and that {self._base_url} is the address of the platform's API."
            return NotFound(self._platform, operation, status=status, message=text, advice=request.advice or default)
        advice = request.advice
        if status < 400:
            target = _host_of(response.headers)
            text = f"it sends us elsewhere{target}, and credentials stay with the configured host"
            advice = f"Correct the address {self._base_url} of the platform."
        return PlatformRefused(self._platform, operation, status=status, message=text, advice=advice)

    def advice(self, error: type[PlatformError], request: Request) -> str:
        """Returns what to do after an error without a response, or after one that does not say it."""
        if error is not PlatformUnavailable:
            return f"Check the address {self._base_url} and the settings of certificates and proxies."
        if request.method in ("GET", "HEAD"):
            return self._unreachable
        return _LOOK_FIRST

    def _not_believed(self, request: Request, response: Response, text: str) -> NoReturn:
        raise PlatformUnavailable(
            self._platform, request.operation, status=response.status, message=text, advice=_IN_BETWEEN
        )


def _host_of(headers: Mapping[str, str]) -> str:
    """Returns the host of a redirect for a message. The rest of the address may hold a signature."""
    try:
        host = urlsplit(headers.get("Location", "")).hostname
    except ValueError:
        return ""
    return f" (to {cut_masked(host, 100)})" if host else ""
