"""Finds and ends descendants of this process, orphaned ones included. On Linux only; elsewhere it finds none."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Makes descendants that lose their parent children of this process, so that they can be found."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap(keep: Iterable[int] = ()) -> list[int]:
    """Collects exit codes of ended children, so that none stays defunct. Returns their process ids.

    keep: children whose exit code is read elsewhere (`subprocess.Popen`).
    """
    kept, reaped = set(keep), []
    for pid in _ended_children():
        if pid not in kept:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
                reaped.append(pid)
    return reaped


def kill_all(patience: float = 10) -> None:
    """Kills every descendant of this process and collects the exit codes."""
    end = time.monotonic() + patience
    while True:
        left = below(os.getpid())
        send(left, signal.SIGKILL)
        reap()
        if not left or time.monotonic() > end:
            return
        time.sleep(0.02)


def _ended_children() -> list[int]:
    return [pid for pid, state, parent in _processes() if state == "Z" and parent == os.getpid()]


def below(pid: int) -> list[int]:
    """Returns the living descendants of a process, parents before their children."""
    children: dict[int, list[int]] = {}
    for child, state, parent in _processes():
        if state != "Z":
            children.setdefault(parent, []).append(child)
    descendants, todo = [], [pid]
    while todo:
        inner = children.get(todo.pop(0), [])
        descendants += inner
        todo += inner
    return descendants


def _processes() -> Iterator[tuple[int, str, int]]:
    """Yields id, state and parent of every process."""
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            # The name stands in brackets and may hold anything; state and parent follow.
            state, parent = entry.read_text().rpartition(")")[2].split()[:2]
            yield int(entry.parent.name), state, int(parent)


def send(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
