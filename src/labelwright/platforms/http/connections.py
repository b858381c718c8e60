"""Connections of requests and urllib3 that keep the deadlines of `labelwright.network.timed_sockets`."""

from __future__ import annotations

import socket
from contextvars import ContextVar
from functools import partial
from typing import Any, cast

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from labelwright.network.deadlines import FOR_EVER, Deadline, OutOfTime, current_limit
from labelwright.network.timed_sockets import Phases, TimedResponse, connect, resolve
from labelwright.security.masking import mask_logs_of

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
