"""Starts and stops the embedded service, Prefect's server, a worker and the receiver as child processes."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from labelwright.domain.errors import AddressInUse
from labelwright.network.proxies import keep_loopback_direct, open_url
from labelwright.security.private_files import private_database, private_file, private_folder
from labelwright.settings import settings

from .prefect_events import event_retention
from .starting import START_HEADER, NotStarted, Server, Starting

__all__ = ["LOOPBACK", "PREFECT_PORT", "NotStarted", "Server", "Starting"]

LOOPBACK = "127.0.0.1"
PREFECT_PORT = 4200
"""Where Prefect's server listens, unless the port is taken."""


def start_service(home: Path, port: int | None = None, *, keep: bool = False) -> Server:
    """Starts the embedded labeling service and waits for it, as `begin_service`."""
    return begin_service(home, port, keep=keep).wait()


def begin_service(home: Path, port: int | None = None, *, keep: bool = False) -> Starting:
    """Starts the embedded labeling service with its data in `home`/service.

    Without a port it takes the one it had before, so that the addresses in datasets stay valid; else a free one.
    """
    private_folder(home)
    folder = private_folder(home / "service")
    address = folder / "service.json"
    elsewhere = (lambda: begin_service(home, free_port(0), keep=keep)) if port is None else None
    port = free_port(port or _recorded_port(address) or 8080)
    # The service writes this file when it listens, so that another program on the port is not taken for it.
    address.unlink(missing_ok=True)
    command = [sys.executable, "-m", "labelwright", "serve", "--port", str(port), "--data-dir", str(folder)]

    def ready() -> str | None:
        recorded = _recorded_port(address)
        url = f"http://{LOOPBACK}:{recorded}"
        return url if recorded and answers(f"{url}/health") else None

    log = home / "logs" / "service.log"
    return _begin("the labeling service", command, ready, log, {}, 60, keep, elsewhere=elsewhere)


_WITHOUT_BLOCKS = {
    "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false",
    # Otherwise all of Prefect's collections are imported, to find out whether there is something to register.
    "PREFECT_SERVER_MEMOIZE_BLOCK_AUTO_REGISTRATION": "false",
}
"""Types of blocks are for forms in the UI: a block that a program saves registers its own type."""


def start_prefect(home: Path, port: int | None = None, *, keep: bool = False) -> Server:
    """Starts Prefect's server and waits for it, as `begin_prefect`."""
    return begin_prefect(home, port, keep=keep).wait()


def begin_prefect(
    home: Path,
    port: int | None = None,
    *,
    or_another: bool = False,
    keep: bool = False,
    ui: bool = True,
    block_types: bool = True,
) -> Starting:
    """Starts Prefect's server and UI with the database in `home`/prefect; on a free port when 4200 is taken.

    or_another: whether it takes another port when a program takes that one before this server listens, such as
    the server of another command; so it does without a port.
    ui: False for the flows of one command, which need no schedules either, nor anything that watches workers.
    block_types: whether the types of all blocks are registered, so that blocks can be made in the UI.
    """
    private_folder(home)
    folder = private_folder(home / "prefect")
    if (folder / "prefect.db").exists():
        private_database(folder / "prefect.db")
    elsewhere = None
    if or_another or port is None:
        elsewhere = lambda: begin_prefect(home, free_port(0), keep=keep, ui=ui, block_types=block_types)  # noqa: E731
    port = port or free_port(PREFECT_PORT)
    url = f"http://{LOOPBACK}:{port}"
    environment = {
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_API_URL": f"{url}/api",
        "PREFECT_UI_API_URL": f"{url}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        # Checks arguments of calls within the server's library for background tasks; nobody reads its warnings.
        "PY_KEY_VALUE_DISABLE_BEARTYPE": "true",
        **({} if ui else {"PREFECT__SERVER_EPHEMERAL": "1"}),  # Prefect's own name for it
        **({} if block_types else _WITHOUT_BLOCKS),
        **event_retention(settings().retention_days),
    }
    # The server sends it with its responses, so that another one on the port is not taken for it.
    mark = secrets.token_hex(8)
    program = "labelwright.local.prefect_program"
    command = [sys.executable, "-m", program, mark, "server", "start", "--host", LOOPBACK, "--port", str(port)]

    def ready() -> str | None:
        return url if answers(f"{url}/api/health", mark=mark) else None

    log = home / "logs" / "prefect.log"
    return _begin("the Prefect server", command, ready, log, environment, 180, keep, elsewhere=elsewhere)


def start_worker(home: Path, prefect: str, pool: str, is_online: Callable[[str], bool], patience: float = 60) -> Server:
    """Starts a process worker of the pool, which polls for runs every two seconds.

    is_online: whether the Prefect server has a worker of that name online.
    patience: seconds within which it has to be.
    """
    name = f"{socket.gethostname()}-{os.getpid()}-{time.monotonic_ns():x}"
    environment = {
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "PREFECT_RUNNER_POLL_FREQUENCY": "2",
        # Runs inherit it: for four minutes requests are repeated to a server that is busy or being restarted.
        "PREFECT_CLIENT_MAX_RETRIES": "7",
    }
    command = [sys.executable, "-m", "prefect", "worker", "start", "--type", "process", "--pool", pool, "--name", name]

    def ready() -> str | None:
        return prefect if is_online(name) else None

    log = home / "logs" / "worker.log"
    return _begin("the worker", command, ready, log, environment, patience, keep=False, private=False).wait()


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

    return _begin("the receiver", command, ready, home / "logs" / "receiver.log", environment, 60, keep=False).wait()


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


def require_free_port(port: int | None, option: str) -> None:
    """Raises CannotRun when a program listens on the port that a person chose by that option; None: nobody did.

    Without this check another Prefect server on the port would be taken for the one that is started.
    """
    if port is not None and not _is_free(port):
        raise AddressInUse(f"port {port} is in use by another program. Choose another one with {option}")


def free_port(preferred: int) -> int:
    """Returns the preferred port if nothing listens there, else (and for 0) one that the system chooses."""
    if preferred and _is_free(preferred):
        return preferred
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def answers(health: str, seconds: float = 5, mark: str | None = None) -> bool:
    """Whether a server of this machine reports within that time that it is healthy.

    mark: what the server sends with its responses; one without it is another server.
    """
    with contextlib.suppress(urllib.error.URLError, OSError), open_url(health, seconds) as response:
        return mark is None or response.headers.get(START_HEADER) == mark
    return False


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def _begin(
    name: str,
    command: list[str],
    ready: Callable[[], str | None],
    log: Path,
    environment: Mapping[str, str],
    patience: float,
    keep: bool,
    private: bool = True,
    elsewhere: Callable[[], Starting] | None = None,
) -> Starting:
    """Starts the process. Its `wait` returns when `ready` returns its address, within `patience` seconds.

    elsewhere: starts the server on another port, for when the one it was given is taken before it listens.
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
    return Starting(name, process, log, before, ready, patience, elsewhere)


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
