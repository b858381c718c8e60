"""A server process of this machine: until it answers, while it runs, and its end."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import interruptions

_POLL = 0.05
"""Seconds between two questions whether a server answers: a refused connection costs next to nothing."""


class NotStarted(Exception):
    """A server did not start. The message holds the error from its log."""

    error_code = "LW6001"


@dataclass(frozen=True, slots=True)
class Server:
    """A running server process."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def stop(self, patience: float | None = None) -> None:
        """Ends the process, by SIGKILL when it has not ended after `patience` seconds.

        By default 15 seconds; 5 after Ctrl+C or SIGTERM, because a supervisor that sent it may kill this process soon.
        """
        if patience is None:
            patience = 15 if interruptions.received is None else 5
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(patience)
            except BaseException as error:  # a second Ctrl+C must not leave it running
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
                if not isinstance(error, subprocess.TimeoutExpired):
                    raise


@dataclass(slots=True)
class Starting:
    """A server process that was started and may not answer yet."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    logged: int
    """Bytes in the log before this start."""
    ready: Callable[[], str | None]
    """Returns the server's address when it answers."""
    patience: float
    elsewhere: Callable[[], Starting] | None = None
    """Starts the server again on another port, when its port was taken before it listened; None: it has to be that."""

    def wait(self) -> Server:
        """Returns the server when it answers. Raises NotStarted when its process ends, or after `patience` seconds."""
        try:
            url = self._address()
        except BaseException:  # Ctrl+C too: nobody else knows of the process yet
            self.stop()
            raise
        if url is not None:
            return Server(url, self.process, self.log)
        code = self.process.poll()
        self.stop()
        why = _why(self.log, self.logged)
        if self.elsewhere and code is not None and _PORT_TAKEN.search(why):
            other = self.elsewhere()
            self.process, self.logged, self.ready, self.elsewhere = other.process, other.logged, other.ready, None
            return self.wait()
        failure = (
            f"did not answer within {self.patience:g} seconds"
            if code is None
            else f"ended with code {code} while it started"
        )
        raise NotStarted(f"{self.name} {failure}: {why}")

    def stop(self) -> None:
        """Ends the process, whether it answers already or not."""
        Server("", self.process, self.log).stop()

    def _address(self) -> str | None:
        """Returns the address; None when the process ended or `patience` seconds are over."""
        end = time.monotonic() + self.patience
        while time.monotonic() < end:
            url = self.ready()
            if self.process.poll() is not None:
                return None
            if url is not None:
                return url
            time.sleep(_POLL)
        return None


START_HEADER = "Labelwright-Start"
"""With its responses Prefect's server sends in this header what it was given at its start."""

_PORT_TAKEN = re.compile("already in use", re.IGNORECASE)
"""In the log of Prefect's server and of our service when another program listens on their port."""

_LEAST_FREE = 1 << 20
"""Free bytes that a server needs to start."""

_ERROR = re.compile(r"[\w.]*(?:Error|Exception|Refused|Failed)\b.*|labelwright: .*")


def _why(log: Path, before: int) -> str:
    """Returns the last line of the log that names an error, else its last line; from `before` bytes on."""
    try:
        with log.open("rb") as file:
            file.seek(before)
            lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    except OSError:
        lines = []
    if not lines:
        full = shutil.disk_usage(log.parent).free < _LEAST_FREE
        return f"the disk is full, and its log is empty: {log}" if full else f"it said nothing (its log: {log})"
    errors = [line for line in lines if _PORT_TAKEN.search(line)] or [line for line in lines if _ERROR.fullmatch(line)]
    last = (errors or lines)[-1].removeprefix("labelwright: ")
    return f"{last[:500]} (all of it: {log})"
