"""A form with one file (RFC 7578), streamed: its length is known before it is read, and it is never in memory whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from io import BytesIO
from secrets import token_hex
from typing import BinaryIO
from urllib.parse import urlencode

_CHUNK = 1 << 16


class FileForm:
    """The field `file` with its name, and text fields. `opener` gives the file from its start, again for every try."""

    def __init__(
        self, file_name: str, opener: Callable[[], BinaryIO], fields: dict[str, str] | None = None, field: str = "file"
    ) -> None:
        self._opener = opener
        boundary = token_hex(16)
        self.content_type = f"multipart/form-data; boundary={boundary}"
        head = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in (fields or {}).items()
        )
        head += (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="{_quoted(file_name)}"\r\n\r\n'
        )
        self._head, self._tail = head.encode(), f"\r\n--{boundary}--\r\n".encode()

    def open(self) -> FormStream:
        return FormStream(self._head, self._opener(), self._tail)


class FormStream:
    """Head, file and tail one after the other. Closing it closes the file."""

    def __init__(self, head: bytes, file: BinaryIO, tail: bytes) -> None:
        file.seek(0, os.SEEK_END)
        self._length = len(head) + file.tell() + len(tail)
        file.seek(0)
        self._file = file
        self._before, self._after = head, tail

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        while part := self.read(_CHUNK):
            yield part

    def read(self, size: int = -1) -> bytes:
        size = size if size >= 0 else self._length
        if self._before:
            part, self._before = self._before[:size], self._before[size:]
            return part
        if part := self._file.read(size):
            return part
        part, self._after = self._after[:size], self._after[size:]
        return part

    def close(self) -> None:
        self._file.close()


class UrlForm:
    """Fields as a browser sends them; small."""

    content_type = "application/x-www-form-urlencoded"

    def __init__(self, fields: dict[str, str]) -> None:
        self._body = urlencode(fields).encode()

    def __repr__(self) -> str:
        return "UrlForm(***)"  # it may hold a password

    def open(self) -> FormStream:
        return FormStream(b"", BytesIO(self._body), b"")


def _quoted(name: str) -> str:
    """As browsers write file names (HTML, 4.10.21.8): quotation marks and line breaks as percent escapes."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
