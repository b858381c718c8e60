"""HTTP/1.1 as the fault proxy reads and writes it."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPResponse
from typing import BinaryIO

CHUNK = 1 << 16


class Server(HTTPConnection):
    """The way to the real server. A connection that idled is not used again: the server may be closing it just now,
    and that would be a fault that nobody asked for."""

    last = 0.0

    def refresh(self) -> None:
        if time.monotonic() - self.last > 1:
            self.close()
        self.last = time.monotonic()


def read_headers(reader: BinaryIO) -> Iterator[tuple[str, str]]:
    while (line := reader.readline()) not in (b"\r\n", b"\n"):
        if not line:
            raise ConnectionError("the client left in the middle of its headers")
        name, _, value = line.decode("latin-1").partition(":")
        yield name.strip(), value.strip()


def read_body(reader: BinaryIO, headers: dict[str, str]) -> Iterator[bytes]:
    if "chunked" in headers.get("transfer-encoding", "").lower():
        while size := int(reader.readline().partition(b";")[0], 16):
            yield from _exactly(reader, size)
            reader.readline()
        while reader.readline().strip():
            pass
    else:
        yield from _exactly(reader, int(headers.get("content-length") or 0))


def _exactly(reader: BinaryIO, size: int) -> Iterator[bytes]:
    while size:
        part = reader.read(min(size, CHUNK))
        if not part:
            raise ConnectionError("the client left in the middle of its body")
        size -= len(part)
        yield part


def pass_on(connection: socket.socket, method: str, response: HTTPResponse, keep: bool) -> None:
    bodiless = method == "HEAD" or response.status in (204, 304)
    length = response.getheader("Content-Length")
    chunked = length is None and not bodiless
    lines = [f"HTTP/1.1 {response.status} {response.reason}"]
    lines += [
        f"{name}: {value}"
        for name, value in response.getheaders()
        if name.lower() not in ("connection", "keep-alive", "transfer-encoding")
    ]
    lines += ["Transfer-Encoding: chunked"] if chunked else []
    lines += [] if keep else ["Connection: close"]
    connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
    while not bodiless and (part := response.read1(CHUNK)):
        connection.sendall(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)
    if chunked:
        connection.sendall(b"0\r\n\r\n")
    response.read()  # read1() does not notice the end, and the next request would be refused


def send(connection: socket.socket, status: str, kind: str, body: bytes, more: str = "") -> None:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    connection.sendall(head.encode("latin-1") + body)


def cut_off(connection: socket.socket) -> None:
    """Let the coming close() send RST: the other side sees a connection that was cut, not one that ended well."""
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
