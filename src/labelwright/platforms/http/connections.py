"""Connections of requests and urllib3 that keep the deadlines of `labelwright.network.timed_sockets`."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextvars import ContextVar
from functools import partial
from typing import Any, cast
from urllib.parse import urlsplit

from requests import PreparedRequest, Request, Response
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies, select_proxy
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from labelwright.network.deadlines import FOR_EVER, Deadline, OutOfTime, current_limit
from labelwright.network.timed_sockets import Phases, TimedResponse, connect, resolve
from labelwright.security.masking import mask_logs_of

from .addresses import is_loopback

_phases: ContextVar[Phases | None] = ContextVar("phases", default=None)
_PIECE = 1 << 16

mask_logs_of("urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry", "urllib3.poolmanager")


class TimedConnection(HTTPConnection):
    """What is timed is set anew for every request: a connection serves many of them."""

    _connecting: Deadline | None = None

    def _new_conn(self) -> socket.socket:
        deadline = self._connecting
        if deadline is None:
            return super()._new_conn()
        try:
            addresses = resolve(self._dns_host, self.port or self.default_port, deadline.left())
            connected = connect(addresses, deadline, self.socket_options, self.source_address)
            deadline.watch(connected)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "no connection in time") from error
        except OSError as error:
            raise NewConnectionError(self, type(error).__name__) from error
        return connected

    def connect(self) -> None:
        phases = _phases.get()
        if phases is not None:
            self._connecting = Deadline(phases.connecting, phases.whole)
            tunnel = Phases(self._connecting, phases.connecting, phases.connecting)  # for the answer to a CONNECT
            self.response_class = cast("Any", partial(TimedResponse, phases=tunnel))
        try:
            super().connect()
        finally:
            self._connecting = None
        if phases is not None:
            phases.whole.watch(self.sock)

    def request(self, *arguments: Any, **more: Any) -> None:
        phases = _phases.get()
        if phases is not None and self.sock is not None:
            phases.whole.watch(self.sock)
        super().request(*arguments, **more)

    def send(self, data: Any) -> None:
        phases = _phases.get()
        if phases is None or not isinstance(data, bytes | bytearray | memoryview):
            return super().send(data)
        if self.sock is None and self.auto_open:
            self.connect()
        view = memoryview(data).cast("B")
        for first in range(0, len(view), _PIECE):
            deadline = self._connecting or phases.whole
            self.sock.settimeout(min(phases.reading, deadline.left()))
            try:
                super().send(view[first : first + _PIECE])
            except TimeoutError:
                if deadline.over:
                    raise OutOfTime from None
                raise
        return None

    def getresponse(self) -> Any:
        phases = _phases.get()
        if phases is not None:
            self.response_class = cast("Any", partial(TimedResponse, phases=phases))
        return super().getresponse()


class _TimedTls(TimedConnection, HTTPSConnection):
    """Python's order of base classes: what is timed first, then TLS, then plain."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = TimedConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TimedTls


_POOLS = {"http": _Pool, "https": _TlsPool}


class TimedAdapter(HTTPAdapter):
    """Every request ends within `whole` seconds, both bodies included, and within the time limit of its thread.

    `timeout` of a request, (connecting, reading), is for connecting altogether, with names, TLS and proxies, and for
    the headers of the response altogether.
    """

    def __init__(self, *arguments: Any, whole: float | None = None, **more: Any) -> None:
        self._whole = whole
        super().__init__(*arguments, **more)

    def init_poolmanager(self, *arguments: Any, **more: Any) -> None:
        super().init_poolmanager(*arguments, **more)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **more: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **more)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = _POOLS
        return manager

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> Response:
        connecting, reading = timeout if isinstance(timeout, tuple) else (timeout, timeout)
        whole = Deadline(self._whole or FOR_EVER, current_limit())
        token = _phases.set(Phases(whole, connecting or FOR_EVER, reading or FOR_EVER))
        try:
            return super().send(request, stream, timeout, verify, cert, proxies)
        finally:
            _phases.reset(token)


def environ_proxies(url: str) -> dict[str, str]:
    """The proxies of the environment for a URL; none for this machine."""
    return {} if is_loopback(urlsplit(url).hostname or "") else dict(get_environ_proxies(url))


class HostConnections:
    """Keep-alive connections to one host for many small requests, with the deadlines of TimedAdapter.

    What requests finds out anew for each request (proxy, certificates, cookies, redirects) would be half of the work.
    """

    def __init__(self, url: str, *, threads: int, timeout: float, whole: float, verify: str | bool) -> None:
        """`timeout` in seconds: to connect, for the headers of a response, and between two pieces of its body.

        verify: as requests takes it.
        """
        adapter = TimedAdapter(pool_connections=1, pool_maxsize=threads, max_retries=0)
        proxies = environ_proxies(url)
        first = Request("GET", url).prepare()
        self._pool: Any = adapter.get_connection_with_tls_context(first, verify, proxies)
        adapter.cert_verify(self._pool, url, verify, None)  # type: ignore[no-untyped-call]
        self._adapter = adapter  # its pool manager closes the pool when it goes
        proxy = select_proxy(url, proxies)
        target = adapter.request_url(first, proxies)
        whole_url = target != first.path_url  # as a proxy takes it
        self._base = target[: -len(first.path_url)] if whole_url else ""
        self._headers: dict[str, str] = adapter.proxy_headers(proxy) if proxy and whole_url else {}
        self._timeout = Timeout(connect=timeout, read=timeout)
        self._seconds, self._whole = timeout, whole

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> BaseHTTPResponse:
        """Sends one request and reads its whole response. Raises what urllib3 raises, OSError and OutOfTime."""
        whole = Deadline(self._whole, current_limit())
        token = _phases.set(Phases(whole, self._seconds, self._seconds))
        try:
            return cast(
                "BaseHTTPResponse",
                self._pool.urlopen(
                    method,
                    f"{self._base}{path}",
                    body=body,
                    headers={**self._headers, **headers},
                    retries=False,
                    redirect=False,
                    assert_same_host=False,
                    timeout=self._timeout,
                ),
            )
        finally:
            _phases.reset(token)
