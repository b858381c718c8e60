"""Starts and stops the embedded service, Prefect's server, a worker and the receiver as child processes."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from labelwright.network.proxies import keep_loopback_direct, open_url
from labelwright.security.private_files import private_database, private_file, private_folder

from . import interruptions

LOOPBACK = "127.0.0.1"


class NotStarted(Exception):
    """A server did not start. The message holds the error from its log."""


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


def start_service(home: Path, port: int | None = None, *, keep: bool = False) -> Server:
    """Starts the embedded labeling service with its data in `home`/service.

    Without a port it takes the one it had before, so that the addresses in datasets stay valid; else a free one.
    """
    private_folder(home)
    folder = private_folder(home / "service")
    address = folder / "service.json"
    port = free_port(port or _recorded_port(address) or 8080)
    # The service writes this file when it listens, so that another program on the port is not taken for it.
    address.unlink(missing_ok=True)
    command = [sys.executable, "-m", "labelwright", "serve", "--port", str(port), "--data-dir", str(folder)]

    def ready() -> str | None:
        recorded = _recorded_port(address)
        url = f"http://{LOOPBACK}:{recorded}"
        return url if recorded and answers(f"{url}/health") else None

    return _start("the labeling service", command, ready, home / "logs" / "service.log", {}, 60, keep)


def start_prefect(home: Path, port: int | None = None, *, keep: bool = False) -> Server:
    """Starts Prefect's server and UI with the database in `home`/prefect; on a free port when 4200 is taken."""
    private_folder(home)
    folder = private_folder(home / "prefect")
    if (folder / "prefect.db").exists():
        private_database(folder / "prefect.db")
    port = port or free_port(4200)
    url = f"http://{LOOPBACK}:{port}"
    environment = {
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_API_URL": f"{url}/api",
        "PREFECT_UI_API_URL": f"{url}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    }
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", LOOPBACK, "--port", str(port)]

    def ready() -> str | None:
        return url if answers(f"{url}/api/health") else None

    return _start("the Prefect server", command, ready, home / "logs" / "prefect.log", environment, 180, keep)


def start_worker(home: Path, prefect: str, pool: str, is_online: Callable[[str], bool]) -> Server:
    """Starts a process worker of the pool, which polls for runs every two seconds.

    is_online: whether the Prefect server has a worker of that name online.
    """
    name = f"{socket.gethostname()}-{os.getpid()}-{time.monotonic_ns():x}"
    environment = {"PREFECT_WORKER_QUERY_SECONDS": "2", "PREFECT_RUNNER_POLL_FREQUENCY": "2"}
    command = [sys.executable, "-m", "prefect", "worker", "start", "--type", "process", "--pool", pool, "--name", name]

    def ready() -> str | None:
        return prefect if is_online(name) else None

    return _start(
        "the worker", command, ready, home / "logs" / "worker.log", environment, 60, keep=False, private=False
    )


def start_receiver(home: Path, prefect: str, host: str, port: int) -> Server:
    """Starts the receiver of webhooks and Event Grid, which sends events to the Prefect server `prefect`."""
    address = home / "receiver.json"
    address.unlink(missing_ok=True)
    command = [sys.executable, "-m", "labelwright", "receive", "--host", host, "--port", str(port)]
    environment = {"LABELWRIGHT_HOME": str(home), "PREFECT_API_URL": f"{prefect}/api"}

    def ready() -> str | None:
        try:
            url = str(json.loads(address.read_text())["url"])
        except (FileNotFoundError, ValueError, KeyError):
            return None
        return url if answers(f"{url}/health") else None

    return _start("the receiver", command, ready, home / "logs" / "receiver.log", environment, 60, keep=False)


def use_prefect_of_up(home: Path) -> None:
    """Sets PREFECT_API_URL to the server of this home's `labelwright up`, when none is set and `up` runs.

    The lock of a running `up` is required: after one that was killed another program may listen on its port, and
    `deploy` would send the credentials of blocks there.
    """
    if "PREFECT_API_URL" in os.environ:
        return
    try:
        with (home / "up.lock").open() as file:
            url = str(json.loads(file.read())["Prefect UI"])
            if not _is_locked(file):
                return
    except (OSError, ValueError, KeyError, TypeError):
        return
    if answers(f"{url}/api/health"):
        os.environ["PREFECT_API_URL"] = f"{url}/api"


def is_service_kept_by_up(home: Path) -> bool:
    """Whether this home's `labelwright up` runs with the embedded service, which it restarts when it ends."""
    try:
        with (home / "up.lock").open() as file:
            return "labeling service" in json.loads(file.read()) and _is_locked(file)
    except (OSError, ValueError, TypeError):
        return False


def _is_locked(file: IO[str]) -> bool:
    """Whether another process holds the lock of the file. On Windows always True."""
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # given back when the file is closed
    except BlockingIOError:
        return True
    return False


def _recorded_port(address: Path) -> int | None:
    """Returns the port in the file that the service writes when it listens."""
    try:
        return int(json.loads(address.read_text())["port"])
    except (FileNotFoundError, ValueError, KeyError):
        return None


def free_port(preferred: int) -> int:
    """Returns the preferred port if nothing listens there, else (and for 0) one that the system chooses."""
    if preferred and _is_free(preferred):
        return preferred
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def answers(health: str) -> bool:
    """Whether a server of this machine reports that it is healthy."""
    with contextlib.suppress(urllib.error.URLError, OSError), open_url(health, 5):
        return True
    return False


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def _start(
    name: str,
    command: list[str],
    ready: Callable[[], str | None],
    log: Path,
    environment: Mapping[str, str],
    patience: float,
    keep: bool,
    private: bool = True,
) -> Server:
    """Starts the process and waits until `ready` returns its address. Raises NotStarted after `patience` seconds.

    private: only the owner can read the files that it writes. Not for a worker, whose runs export datasets.
    """
    private_folder(log.parent)
    inherited = {**os.environ, **environment}
    keep_loopback_direct(inherited)
    with private_file(log).open("ab") as output:
        before = output.tell()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=inherited,
            # In a session of its own it does not get Ctrl+C: this process stops it in order.
            start_new_session=True,
            umask=0o077 if private else -1,
            preexec_fn=_listen if keep else _listen_and_die_with_parent,  # noqa: PLW1509 - system calls and nothing else
        )
    try:
        url = _ready_within(patience, ready, process)
    except BaseException:  # Ctrl+C too: nobody else knows of the process yet
        Server("", process, log).stop()
        raise
    if url is not None:
        return Server(url, process, log)
    code = process.poll()
    Server("", process, log).stop()
    failure = (
        f"did not answer within {patience:g} seconds" if code is None else f"ended with code {code} while it started"
    )
    raise NotStarted(f"{name} {failure}: {_why(log, before)}")


def _ready_within(patience: float, ready: Callable[[], str | None], process: subprocess.Popen[bytes]) -> str | None:
    """Returns the address; None when the process ended or `patience` seconds are over."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        url = ready()
        if process.poll() is not None:
            return None
        if url is not None:
            return url
        time.sleep(0.1)
    return None


def _listen() -> None:
    """Resets signals: in the background of a script this process may ignore Ctrl+C, and children inherit that."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def _listen_and_die_with_parent() -> None:
    """On Linux the kernel ends the child when its parent is killed; elsewhere it goes on running."""
    _listen()
    if sys.platform == "linux":
        parent_death_signal = 1
        ctypes.CDLL(None).prctl(parent_death_signal, signal.SIGTERM)


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
    errors = [line for line in lines if _ERROR.fullmatch(line)]
    last = (errors or lines)[-1].removeprefix("labelwright: ")
    return f"{last[:500]} (all of it: {log})"
