"""Translates errors of requests, urllib3 and the standard library into errors of ours."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator

import requests.exceptions as r
import urllib3.exceptions as u

from labelwright.platforms.errors import PlatformError, PlatformRefused, PlatformUnavailable

_Meaning = tuple[type[PlatformError], str]
_UNAVAILABLE, _REFUSED = PlatformUnavailable, PlatformRefused

LOWER: dict[type[BaseException], _Meaning] = {
    # requests
    r.RequestException: (_UNAVAILABLE, "the request failed"),
    r.ConnectionError: (_UNAVAILABLE, "the connection failed"),
    r.ProxyError: (_UNAVAILABLE, "the proxy on the way could not be reached or refused"),
    r.SSLError: (_UNAVAILABLE, "the encrypted connection failed"),
    r.Timeout: (_UNAVAILABLE, "no answer in time"),
    r.ConnectTimeout: (_UNAVAILABLE, "no connection in time"),
    r.ReadTimeout: (_UNAVAILABLE, "no answer in time"),
    r.ChunkedEncodingError: (_UNAVAILABLE, "the answer broke off"),
    r.ContentDecodingError: (_UNAVAILABLE, "the answer could not be unpacked"),
    r.StreamConsumedError: (_UNAVAILABLE, "the answer was read twice"),
    r.RetryError: (_UNAVAILABLE, "too many attempts failed"),
    r.HTTPError: (_UNAVAILABLE, "the request failed"),
    r.JSONDecodeError: (_UNAVAILABLE, "the answer is not valid JSON"),
    r.InvalidJSONError: (_REFUSED, "what was to be sent cannot be written as JSON"),
    r.TooManyRedirects: (_REFUSED, "the server sends us in circles"),
    r.URLRequired: (_REFUSED, "no address was given"),
    r.MissingSchema: (_REFUSED, "the address does not begin with http:// or https://"),
    r.InvalidSchema: (_REFUSED, "the address does not begin with http:// or https://"),
    r.InvalidURL: (_REFUSED, "the address is not valid"),
    r.InvalidProxyURL: (_REFUSED, "the address of the proxy is not valid"),
    r.InvalidHeader: (_REFUSED, "a header cannot be sent as it is"),
    r.UnrewindableBodyError: (_REFUSED, "what was to be sent cannot be read a second time"),
    # urllib3, where requests lets it through
    u.HTTPError: (_UNAVAILABLE, "the request failed"),
    u.PoolError: (_UNAVAILABLE, "the connection failed"),
    u.RequestError: (_UNAVAILABLE, "the request failed"),
    u.SSLError: (_UNAVAILABLE, "the encrypted connection failed"),
    u.ProxyError: (_UNAVAILABLE, "the proxy on the way could not be reached or refused"),
    u.DecodeError: (_UNAVAILABLE, "the answer could not be unpacked"),
    u.ProtocolError: (_UNAVAILABLE, "the connection broke off"),
    u.MaxRetryError: (_UNAVAILABLE, "the connection failed"),
    u.HostChangedError: (_REFUSED, "the server sends us to another host"),
    u.TimeoutStateError: (_UNAVAILABLE, "the request failed"),
    u.TimeoutError: (_UNAVAILABLE, "no answer in time"),
    u.ReadTimeoutError: (_UNAVAILABLE, "no answer in time"),
    u.ConnectTimeoutError: (_UNAVAILABLE, "no connection in time"),
    u.NewConnectionError: (_UNAVAILABLE, "no connection"),
    u.NameResolutionError: (_UNAVAILABLE, "the host's name could not be resolved"),
    u.EmptyPoolError: (_UNAVAILABLE, "no connection was free"),
    u.FullPoolError: (_UNAVAILABLE, "no connection was free"),
    u.ClosedPoolError: (_UNAVAILABLE, "the connections were closed"),
    u.LocationValueError: (_REFUSED, "the address is not valid"),
    u.LocationParseError: (_REFUSED, "the address is not valid"),
    u.URLSchemeUnknown: (_REFUSED, "the address does not begin with http:// or https://"),
    u.ResponseError: (_UNAVAILABLE, "the server kept failing"),
    u.ResponseNotChunked: (_UNAVAILABLE, "the answer could not be read"),
    u.BodyNotHttplibCompatible: (_UNAVAILABLE, "the answer could not be read"),
    u.IncompleteRead: (_UNAVAILABLE, "the answer broke off"),
    u.InvalidChunkLength: (_UNAVAILABLE, "the answer broke off"),
    u.InvalidHeader: (_UNAVAILABLE, "the answer has a header that is not valid"),
    u.HeaderParsingError: (_UNAVAILABLE, "the answer has a header that is not valid"),
    u.ProxySchemeUnknown: (_REFUSED, "the address of the proxy is not valid"),
    u.UnrewindableBodyError: (_REFUSED, "what was to be sent cannot be read a second time"),
    # the standard library, where both let it through
    http.client.HTTPException: (_UNAVAILABLE, "the answer is not HTTP"),
    UnicodeError: (_REFUSED, "the address or a header has characters that cannot be sent"),
    OSError: (_UNAVAILABLE, "the connection failed"),
}
"""The error to raise and its message, for every error of requests and urllib3; a test checks that none is missing.
Their own texts are never shown, since they quote addresses, and addresses hold signatures."""

CATCHABLE = (r.RequestException, u.HTTPError, http.client.HTTPException, OSError, UnicodeError)


def meaning(error: BaseException) -> _Meaning:
    """Returns the class to raise and a message, which holds nothing of the error's own text."""
    kind, default = next(
        (LOWER[base] for base in type(error).__mro__ if base in LOWER), (_UNAVAILABLE, "the request failed")
    )
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _REFUSED, "its certificate is not trusted here"
        for kinds, message in _SPECIFIC:
            if isinstance(cause, kinds):
                return kind, message
    return kind, default


_SPECIFIC: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((socket.gaierror, u.NameResolutionError), "the host's name could not be resolved"),
    ((ConnectionRefusedError,), "the connection was refused"),
    ((ConnectionResetError, BrokenPipeError, ConnectionAbortedError), "the connection was cut"),
    ((u.IncompleteRead, http.client.IncompleteRead), "the answer broke off"),
)
"""Causes that are more specific than the errors that wrap them."""


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yields the error and its causes: chained, wrapped as `reason`, or among the arguments."""
    visited: set[int] = set()
    queue: list[object] = [error]
    while queue:
        cause = queue.pop(0)
        if not isinstance(cause, BaseException) or id(cause) in visited:
            continue
        visited.add(id(cause))
        yield cause
        queue += [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]
