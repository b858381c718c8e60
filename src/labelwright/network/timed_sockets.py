"""Sockets and HTTP responses with overall deadlines.

A socket's own timeout restarts with every byte, so a server that sends single bytes can block a reader for ever. Here
each read and write gets the time that is left until the deadline of its phase: connecting (names, TCP, TLS, a
proxy's CONNECT), waiting for the response's headers, and the whole request with both bodies.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import socket
from dataclasses import dataclass
from typing import Any

from .deadlines import Deadline, OutOfTime, run_within

LONGEST_LINE = 1 << 16
"""Bytes of a line between the chunks of a body; http.client bounds those of headers itself."""


@dataclass(frozen=True, slots=True)
class Phases:
    """The deadlines of one request."""

    whole: Deadline
    connecting: float
    """Seconds until the connection is established."""
    reading: float
    """Seconds between two pieces of a body, and from the end of the request to the end of the response's headers."""


class TimedReader(io.RawIOBase):
    """Reads from a socket until a deadline. `deadline` may be changed between reads."""

    def __init__(self, connection: Any, deadline: Deadline, each: float) -> None:
        self._connection = connection
        self._inner = connection.makefile("rb", buffering=0)  # keeps the socket open while somebody reads
        self.deadline, self._each = deadline, each

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(min(self._each, self.deadline.left()))
        try:
            count = int(self._inner.readinto(buffer) or 0)
        except TimeoutError:
            if self.deadline.over:
                raise OutOfTime from None
            raise
        if self.deadline.over:  # the end of the stream may be its being shut down
            raise OutOfTime
        return count

    def close(self) -> None:
        if not self.closed:
            self._inner.close()
        super().close()


class _Lines(io.BufferedReader):
    """Limits the length of lines, which http.client does not do between chunks."""

    def readline(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0 or size > LONGEST_LINE:
            size = LONGEST_LINE + 1
        line = super().readline(size)
        if len(line) > LONGEST_LINE:
            raise http.client.LineTooLong("a line")
        return line


class TimedResponse(http.client.HTTPResponse):
    """A response with deadlines for headers and body. Use as `response_class`."""

    def __init__(self, connection: Any, *arguments: Any, phases: Phases, **more: Any) -> None:
        super().__init__(connection, *arguments, **more)
        self._phases = phases
        self._reader = TimedReader(connection, Deadline(phases.reading, phases.whole), phases.reading)
        plain, self.fp = self.fp, _Lines(self._reader)
        plain.close()

    def begin(self) -> None:
        super().begin()
        self._reader.deadline = self._phases.whole


def resolve(host: str, port: int, seconds: float) -> list[Any]:
    """As socket.getaddrinfo for TCP, with a time limit. Raises socket.gaierror, OutOfTime."""
    try:
        ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return run_within(seconds, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    return socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)


def connect(
    addresses: list[Any],
    deadline: Deadline,
    options: Any = (),
    source: tuple[str, int] | None = None,
) -> socket.socket:
    """Connects to the first address that accepts, with the remaining time as timeout. Raises OSError."""
    problem: OSError | None = None
    for number, (family, kind, protocol, _, address) in enumerate(addresses):
        connection = socket.socket(family, kind, protocol)
        try:
            for option in options or ():
                connection.setsockopt(*option)
            # Each address gets its share, so that one that does not answer leaves time for the next.
            connection.settimeout(deadline.left() / (len(addresses) - number))
            if source is not None:
                connection.bind(source)
            connection.connect(address)
            connection.settimeout(deadline.left())
        except OSError as error:
            connection.close()
            problem = error
            if deadline.over:
                raise
        else:
            return connection
    raise problem or OSError("no address")
