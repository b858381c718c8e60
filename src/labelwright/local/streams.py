"""Standard streams that may be closed, full, or read by nobody any more."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any


class OutputLost(Exception):
    """What a command prints could not be written.

    No OSError on purpose: nothing that handles faults of files, sockets or pipes of its own shall take it for one.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(
            f"the output could not be written: {error.strerror}. What was done is kept: run the same command again, "
            "with its output elsewhere"
        )
        self.reader_is_gone = error.errno == errno.EPIPE
        """The reader of a pipe has seen enough (`| head -1`): nothing is wrong."""


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
    """Standard error: notes and progress, without which a command does its work all the same."""

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
    """Make standard output and error safe to write to, whatever they are connected to.

    A closed stream becomes /dev/null: else the next file or socket that is opened would get its number, and whatever
    a library or a child prints would go into it. Characters that the terminal's encoding lacks are written escaped.
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
    """Let nothing more be written to a stream."""
    null = os.open(os.devnull, os.O_RDWR)
    if null != descriptor:
        os.dup2(null, descriptor)
        os.close(null)


def _safe(stream: Any, descriptor: int, kind: type[io.TextIOWrapper]) -> Any:
    if stream is not None and not isinstance(stream, io.TextIOWrapper):
        return stream  # somebody put another one in its place
    encoding = stream.encoding if stream is not None else "utf-8"
    lines = stream.line_buffering if stream is not None else descriptor == 2
    buffer = open(descriptor, "wb", closefd=False)  # noqa: SIM115 - for the whole process
    return kind(buffer, encoding=encoding, errors="backslashreplace", line_buffering=lines)
