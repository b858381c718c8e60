"""Multipart forms (RFC 7578) as streams: the length is known before a file is read, and no file is in memory whole.

The MultipartEncoder of requests-toolbelt is not used: it wants all files open from the start and cannot be sent twice,
so the code that opens each file when its turn comes, and anew for every try, would still be needed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from secrets import token_hex
from typing import BinaryIO
from urllib.parse import urlencode

_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class FormFile:
    """A file of a form. `name` is what the server gets; `media_type` is sent where the platform requires one."""

    name: str
    open: Callable[[], BinaryIO] = field(repr=False)
    """Opens the file at its start; called anew for every try."""
    size: int | None = None
    """In bytes; None: the file is opened before anything is sent, to measure it."""
    field: str = "file"
    media_type: str = ""


class Form:
    """A form of text fields, then files. `open` returns a new stream from its start for every try."""

    def __init__(self, fields: Mapping[str, str], files: Sequence[FormFile]) -> None:
        self._boundary = token_hex(16)
        self.content_type = f"multipart/form-data; boundary={self._boundary}"
        self._files = tuple(files)
        self._texts = b"".join(
            self._head(f'form-data; name="{name}"') + value.encode() + b"\r\n" for name, value in fields.items()
        )
        self._heads = [
            self._head(f'form-data; name="{file.field}"; filename="{_quoted(file.name)}"', file.media_type)
            for file in self._files
        ]
        self._end = f"--{self._boundary}--\r\n".encode()

    def _head(self, disposition: str, media_type: str = "") -> bytes:
        kind = f"Content-Type: {media_type}\r\n" if media_type else ""
        return f"--{self._boundary}\r\nContent-Disposition: {disposition}\r\n{kind}\r\n".encode()

    def open(self) -> FormStream:
        pieces: list[_Piece] = [self._texts]
        length = len(self._texts) + len(self._end)
        with ExitStack() as opened:
            for head, form_file in zip(self._heads, self._files, strict=True):
                size, source = form_file.size, form_file.open
                if size is None:
                    file = opened.enter_context(closing(form_file.open()))
                    size = file.seek(0, os.SEEK_END)
                    file.seek(0)
                    source = _already(file)
                pieces += [head, source, b"\r\n"]
                length += len(head) + size + 2
            return FormStream([*pieces, self._end], length, opened.pop_all())


_Piece = bytes | Callable[[], BinaryIO]


class FormStream:
    """A request body of known length for `requests`. Closing it closes its files."""

    def __init__(self, pieces: Sequence[_Piece], length: int, opened: ExitStack | None = None) -> None:
        self._length, self._rest = length, b""
        self._opened = opened or ExitStack()
        self._parts = self._read(pieces)

    def _read(self, pieces: Sequence[_Piece]) -> Generator[bytes]:
        """Yields the bytes of all pieces. A file is opened when its turn comes and closed after it."""
        for piece in pieces:
            if isinstance(piece, bytes):
                yield piece
                continue
            with closing(piece()) as file:
                while part := file.read(_CHUNK):
                    yield part

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.read(_CHUNK), b"")

    def read(self, size: int = -1) -> bytes:
        parts, left = [], size if size >= 0 else self._length
        while left > 0:
            self._rest = self._rest or next((part for part in self._parts if part), b"")
            if not self._rest:
                break
            parts.append(self._rest[:left])
            self._rest = self._rest[left:]
            left -= len(parts[-1])
        return b"".join(parts)

    def close(self) -> None:
        self._parts.close()
        self._opened.close()


class UrlForm:
    """A small form of text fields, URL-encoded."""

    content_type = "application/x-www-form-urlencoded"

    def __init__(self, fields: dict[str, str]) -> None:
        self._body = urlencode(fields).encode()

    def __repr__(self) -> str:
        return "UrlForm(***)"  # may hold a password

    def open(self) -> FormStream:
        return FormStream([self._body], len(self._body))


def _already(file: BinaryIO) -> Callable[[], BinaryIO]:
    return lambda: file


def _quoted(name: str) -> str:
    """Escapes a file name as browsers do (HTML, 4.10.21.8): quotation marks and line breaks as percent escapes."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
