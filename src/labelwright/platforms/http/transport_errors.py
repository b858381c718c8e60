"""What the layers below us raise, and what it means for whoever asked: one table, and a test that it is whole."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator

import requests.exceptions as r
import urllib3.exceptions as u

from labelwright.platforms.errors import PlatformError, PlatformRefused, PlatformUnavailable

_Meaning = tuple[type[PlatformError], str]
_AGAIN, _NEVER = PlatformUnavailable, PlatformRefused

LOWER: dict[type[BaseException], _Meaning] = {
    # requests
    r.RequestException: (_AGAIN, "the request failed"),
    r.ConnectionError: (_AGAIN, "the connection failed"),
    r.ProxyError: (_AGAIN, "the proxy on the way could not be reached or refused"),
    r.SSLError: (_AGAIN, "the encrypted connection failed"),
    r.Timeout: (_AGAIN, "no answer in time"),
    r.ConnectTimeout: (_AGAIN, "no connection in time"),
    r.ReadTimeout: (_AGAIN, "no answer in time"),
    r.ChunkedEncodingError: (_AGAIN, "the answer broke off"),
    r.ContentDecodingError: (_AGAIN, "the answer could not be unpacked"),
    r.StreamConsumedError: (_AGAIN, "the answer was read twice"),
    r.RetryError: (_AGAIN, "too many attempts failed"),
    r.HTTPError: (_AGAIN, "the request failed"),
    r.JSONDecodeError: (_AGAIN, "the answer is not valid JSON"),
    r.InvalidJSONError: (_NEVER, "what was to be sent cannot be written as JSON"),
    r.TooManyRedirects: (_NEVER, "the server sends us in circles"),
    r.URLRequired: (_NEVER, "no address was given"),
    r.MissingSchema: (_NEVER, "the address does not begin with http:// or https://"),
    r.InvalidSchema: (_NEVER, "the address does not begin with http:// or https://"),
    r.InvalidURL: (_NEVER, "the address is not valid"),
    r.InvalidProxyURL: (_NEVER, "the address of the proxy is not valid"),
    r.InvalidHeader: (_NEVER, "a header cannot be sent as it is"),
    r.UnrewindableBodyError: (_NEVER, "what was to be sent cannot be read a second time"),
    # urllib3, where requests lets it through
    u.HTTPError: (_AGAIN, "the request failed"),
    u.PoolError: (_AGAIN, "the connection failed"),
    u.RequestError: (_AGAIN, "the request failed"),
    u.SSLError: (_AGAIN, "the encrypted connection failed"),
    u.ProxyError: (_AGAIN, "the proxy on the way could not be reached or refused"),
    u.DecodeError: (_AGAIN, "the answer could not be unpacked"),
    u.ProtocolError: (_AGAIN, "the connection broke off"),
    u.MaxRetryError: (_AGAIN, "the connection failed"),
    u.HostChangedError: (_NEVER, "the server sends us to another host"),
    u.TimeoutStateError: (_AGAIN, "the request failed"),
    u.TimeoutError: (_AGAIN, "no answer in time"),
    u.ReadTimeoutError: (_AGAIN, "no answer in time"),
    u.ConnectTimeoutError: (_AGAIN, "no connection in time"),
    u.NewConnectionError: (_AGAIN, "no connection"),
    u.NameResolutionError: (_AGAIN, "the host's name could not be resolved"),
    u.EmptyPoolError: (_AGAIN, "no connection was free"),
    u.FullPoolError: (_AGAIN, "no connection was free"),
    u.ClosedPoolError: (_AGAIN, "the connections were closed"),
    u.LocationValueError: (_NEVER, "the address is not valid"),
    u.LocationParseError: (_NEVER, "the address is not valid"),
    u.URLSchemeUnknown: (_NEVER, "the address does not begin with http:// or https://"),
    u.ResponseError: (_AGAIN, "the server kept failing"),
    u.ResponseNotChunked: (_AGAIN, "the answer could not be read"),
    u.BodyNotHttplibCompatible: (_AGAIN, "the answer could not be read"),
    u.IncompleteRead: (_AGAIN, "the answer broke off"),
    u.InvalidChunkLength: (_AGAIN, "the answer broke off"),
    u.InvalidHeader: (_AGAIN, "the answer has a header that is not valid"),
    u.HeaderParsingError: (_AGAIN, "the answer has a header that is not valid"),
    u.ProxySchemeUnknown: (_NEVER, "the address of the proxy is not valid"),
    u.UnrewindableBodyError: (_NEVER, "what was to be sent cannot be read a second time"),
    # the standard library, where both let it through
    http.client.HTTPException: (_AGAIN, "the answer is not HTTP"),
    UnicodeError: (_NEVER, "the address or a header has characters that cannot be sent"),
    OSError: (_AGAIN, "the connection failed"),
}
"""For every error of requests and urllib3: may it work if asked again, and what to tell. Their own texts are never
shown, since they quote addresses, and addresses hold signatures."""

CATCHABLE = (r.RequestException, u.HTTPError, http.client.HTTPException, OSError, UnicodeError)


def meaning(error: BaseException) -> _Meaning:
    """The class to raise, and words that hold nothing of the error's own text."""
    kind, told = next((LOWER[base] for base in type(error).__mro__ if base in LOWER), (_AGAIN, "the request failed"))
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _NEVER, "its certificate is not trusted here"
        for kinds, message in _PLAINER:
            if isinstance(cause, kinds):
                return kind, message
    return kind, told


_PLAINER: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((socket.gaierror, u.NameResolutionError), "the host's name could not be resolved"),
    ((ConnectionRefusedError,), "the connection was refused"),
    ((ConnectionResetError, BrokenPipeError, ConnectionAbortedError), "the connection was cut"),
    ((u.IncompleteRead, http.client.IncompleteRead), "the answer broke off"),
)
"""Deeper causes that say more than what wraps them."""


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what lies below it: chained, wrapped as `reason`, or among the arguments."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        one = waiting.pop(0)
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
