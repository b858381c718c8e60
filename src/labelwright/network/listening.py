"""What uvicorn lacks: time limits for headers, bodies and slow readers, and an announcement of the start.

Shared by the embedded service and the webhook receiver. Without it, idle clients keep their connections for ever and
crowd out others.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import uvicorn
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.h11_impl import H11Protocol


class AnnouncingServer(uvicorn.Server):
    """A server that calls `on_started` once it accepts connections and ends in order on a signal."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_started()


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits of one connection, in seconds unless another unit is named."""

    headers: float = 10.0
    """From the connection, or from the first byte of a further request, to the end of the request's headers."""
    body: float = 20.0
    """In each such interval `body_bytes` of an unfinished body have to arrive."""
    body_bytes: int = 10 * 1024
    reading: float = 60.0
    """For the client to take the next part of a response."""
    connections: int = 500
    """Open at once. A further one takes the place of the oldest that has no request under way, of the client that
    holds the most; when all have one, the further one is closed."""


def protocol_with(limits: ConnectionLimits) -> type[asyncio.Protocol]:
    """The protocol class for uvicorn's setting `http`."""
    return cast("type[asyncio.Protocol]", type("LimitedProtocol", (_LimitedProtocol,), {"limits": limits}))


class _LimitedProtocol(H11Protocol):
    limits: ClassVar[ConnectionLimits]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._since = self.loop.time()
        self._header_timer: asyncio.TimerHandle | None = None
        self._body_timer: asyncio.TimerHandle | None = None
        self._reading_timer: asyncio.TimerHandle | None = None
        self._received = 0

    @property
    def idle(self) -> bool:
        """Whether no request is under way."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._header_timer = self.loop.call_later(self.limits.headers, self._close)
        if len(self.connections) > self.limits.connections:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        super().data_received(data)
        self._set_timers()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._set_timers()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._reading_timer is None:
            self._reading_timer = self.loop.call_later(self.limits.reading, self._abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._reading_timer = _cancelled(self._reading_timer)

    def connection_lost(self, exc: Exception | None) -> None:
        self._header_timer = _cancelled(self._header_timer)
        self._body_timer = _cancelled(self._body_timer)
        self._reading_timer = _cancelled(self._reading_timer)
        super().connection_lost(exc)

    def _set_timers(self) -> None:
        if not self.idle:
            self._header_timer = _cancelled(self._header_timer)
            if self.cycle.more_body and self._body_timer is None:
                self._received = 0
                self._body_timer = self.loop.call_later(self.limits.body, self._check_body)
        elif self._header_timer is None and self.timeout_keep_alive_task is None:
            self._header_timer = self.loop.call_later(self.limits.headers, self._close)
        if self.timeout_keep_alive_task is not None:  # it closes the connection earlier
            self._header_timer = _cancelled(self._header_timer)

    def _check_body(self) -> None:
        """Closes the connection when too little of a body arrived, unless the application is the slow side."""
        self._body_timer = None
        if self.idle or not self.cycle.more_body:
            return
        if self._received < self.limits.body_bytes and len(self.cycle.body) <= HIGH_WATER_LIMIT:
            self._close()
            return
        self._received = 0
        self._body_timer = self.loop.call_later(self.limits.body, self._check_body)

    def _make_room(self) -> None:
        others = [
            connection
            for connection in self.connections
            if isinstance(connection, _LimitedProtocol) and connection is not self
        ]
        idle = [connection for connection in others if connection.idle and not connection.transport.is_closing()]
        if not idle:
            self._close()
            return
        count_by_host = Counter(connection.host for connection in idle)
        min(idle, key=lambda connection: (-count_by_host[connection.host], connection._since))._abort()

    @property
    def host(self) -> str:
        return self.client[0] if self.client else ""

    def _close(self) -> None:
        self.transport.close()

    def _abort(self) -> None:
        self.transport.abort()


def _cancelled(timer: asyncio.TimerHandle | None) -> asyncio.TimerHandle | None:
    """Nothing, in place of a timer that no longer runs."""
    if timer is not None:
        timer.cancel()
    return None
