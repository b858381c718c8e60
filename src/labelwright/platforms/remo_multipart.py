"""multipart/form-data as a stream: files are read while they are sent."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class FileToUpload:
    """A file on its way to Remo; `name` as the server shall see it."""

    name: str
    size: int
    open: Callable[[], BinaryIO] = field(repr=False)
    """From its start; may be called again."""


class Multipart:
    """A form with fields and, under the name `files`, files. `stream` gives it from its start, each time anew."""

    def __init__(self, fields: Mapping[str, str], files: Sequence[FileToUpload]) -> None:
        self._boundary = secrets.token_hex(16)
        self.content_type = f"multipart/form-data; boundary={self._boundary}"
        self._texts = b"".join(
            self._head(f'form-data; name="{name}"') + value.encode() + b"\r\n" for name, value in fields.items()
        )
        self._files = [
            (self._head(f'form-data; name="files"; filename="{_escaped(file.name)}"', binary=True), file)
            for file in files
        ]
        self._end = f"--{self._boundary}--\r\n".encode()

    def _head(self, disposition: str, *, binary: bool = False) -> bytes:
        kind = "Content-Type: application/octet-stream\r\n" if binary else ""
        return f"--{self._boundary}\r\nContent-Disposition: {disposition}\r\n{kind}\r\n".encode()

    def __len__(self) -> int:
        return len(self._texts) + sum(len(head) + file.size + 2 for head, file in self._files) + len(self._end)

    def stream(self) -> Stream:
        return Stream(self._pieces(), len(self))

    def _pieces(self) -> Iterator[bytes]:
        yield self._texts
        for head, file in self._files:
            yield head
            with file.open() as source:
                while piece := source.read(_CHUNK):
                    yield piece
            yield b"\r\n"
        yield self._end


class Stream:
    """What `requests` reads a body from, whose length it knows."""

    def __init__(self, pieces: Iterator[bytes], length: int) -> None:
        self._pieces, self._length, self._rest = pieces, length, b""

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.read(_CHUNK), b"")

    def read(self, size: int = -1) -> bytes:
        parts, left = [], size if size >= 0 else self._length
        while left > 0:
            self._rest = self._rest or next((piece for piece in self._pieces if piece), b"")
            if not self._rest:
                break
            parts.append(self._rest[:left])
            self._rest = self._rest[left:]
            left -= len(parts[-1])
        return b"".join(parts)


def _escaped(name: str) -> str:
    """As browsers write it; a line break would end the header."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
