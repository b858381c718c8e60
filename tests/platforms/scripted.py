"""A server that says exactly what a test tells it, byte by byte."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress


class Scripted:
    """A server that says exactly these bytes, one answer a connection (the last one for ever), and notes requests.

    `requests` are heads; `bodies` are the bodies of requests that have a Content-Length, else empty.
    """

    def __init__(self, *answers: bytes | Callable[[socket.socket], None]) -> None:
        self.answers = list(answers)
        self.requests: list[str] = []
        self.bodies: list[str] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                connection.settimeout(5)
                text = b""
                while b"\r\n\r\n" not in text:
                    text += connection.recv(65536)
                head, _, body = text.partition(b"\r\n\r\n")
                length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
                while length and len(body) < int(length[1]):
                    body += connection.recv(65536)
                self.requests.append((head + b"\r\n\r\n").decode())
                self.bodies.append(body.decode(errors="replace"))
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if callable(answer):
                    answer(connection)
                else:
                    connection.sendall(answer)


@contextmanager
def scripted(*answers: bytes | Callable[[socket.socket], None]) -> Iterator[Scripted]:
    server = Scripted(*answers)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server
    finally:
        server.listener.shutdown(socket.SHUT_RDWR)
        server.listener.close()
        thread.join()


def answer(status: int, body: bytes = b"{}", headers: Sequence[str] = ("Content-Type: application/json",)) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body
