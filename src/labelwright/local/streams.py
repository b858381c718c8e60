"""Handles standard streams that are closed, full, or no longer read."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any


class OutputLost(Exception):
    """Standard output could not be written.

    Not an OSError, so that code that handles errors of its own files, sockets or pipes does not catch it.
    """

    error_code = "LW1011"

    def __init__(self, error: OSError) -> None:
        super().__init__(
            f"the output could not be written: {error.strerror}. What was done is kept: run the same command again, "
            "with its output elsewhere"
        )
        self.reader_is_gone = error.errno == errno.EPIPE
        """The reader closed the pipe (`| head -1`): nothing is wrong."""


class _Output(io.TextIOWrapper):
    """Standard output. Raises OutputLost."""

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except OSError as error:
            raise OutputLost(error) from None

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            raise OutputLost(error) from None


class _Notes(io.TextIOWrapper):
    """Standard error: notes and progress. Errors in writing are ignored."""

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError:
            discard(2)


def protect() -> None:
    """Makes standard output and error safe to write to, whatever they are connected to.

    A closed stream becomes /dev/null: otherwise the next file or socket gets its descriptor, and the output of a
    library or child process goes there. Characters that the terminal's encoding lacks are written escaped.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            discard(descriptor)
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - for the whole process
    sys.stdout = _safe(sys.stdout, 1, _Output)
    sys.stderr = _safe(sys.stderr, 2, _Notes)


def discard(descriptor: int) -> None:
    """Connects a descriptor to /dev/null."""
    null = os.open(os.devnull, os.O_RDWR)
    if null != descriptor:
        os.dup2(null, descriptor)
        os.close(null)


def _safe(stream: Any, descriptor: int, kind: type[io.TextIOWrapper]) -> Any:
    if stream is not None and not isinstance(stream, io.TextIOWrapper):
        return stream  # it was replaced, by a test for example
    encoding = stream.encoding if stream is not None else "utf-8"
    lines = stream.line_buffering if stream is not None else descriptor == 2
    buffer = open(descriptor, "wb", closefd=False)  # noqa: SIM115 - for the whole process
    return kind(buffer, encoding=encoding, errors="backslashreplace", line_buffering=lines)
