"""Runs everything on one machine: Prefect's server, the labeling service, the deployments, the receiver, a worker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Any

from labelwright.domain.errors import AlreadyRunning
from labelwright.security.private_files import private_file, private_folder
from labelwright.settings import Settings, forget_settings, settings

from . import interruptions, processes
from .servers import (
    NotStarted,
    Server,
    answers,
    require_free_port,
    start_prefect,
    start_receiver,
    start_service,
    start_worker,
)

RESTARTS, WITHIN = 3, 600
"""A part that ended by itself is restarted, but not more often than this within so many seconds."""

HANGS_AFTER = 90.0
"""Seconds without a response to health checks after which a server hangs, and is restarted."""

CHECKED_EVERY, CHECKED_WITHIN = 10.0, 5.0
"""Seconds between two health checks, and for the response to one."""

GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL."""


class _Stopped(BaseException):
    """Ctrl+C, SIGTERM or SIGHUP arrived."""


@dataclass(frozen=True)
class Reporter:
    """Shows progress to the person who runs `up`; by default nothing."""

    note: Callable[[str], None] = lambda _message: None
    waiting: Callable[[str], AbstractContextManager[None]] = lambda _activity: nullcontext()
    """Shows an activity for as long as its context is open."""
    ready: Callable[[dict[str, str], Path], None] = lambda _addresses, _home: None
    """Called once everything runs: with the addresses by name, and the home folder."""


@dataclass(frozen=True)
class PrefectSetup:
    """What `up` does with the Prefect server once it runs."""

    pool: str
    """Work pool of the worker."""
    deploy: Callable[[], object]
    is_worker_online: Callable[[str], bool]


@dataclass
class Part:
    """A process of ours, and how to start it. `start` gets the server that ended, or None the first time."""

    name: str
    start: Callable[[Server | None], Server]
    server: Server | None = None
    has_runs: bool = False
    """Whether the processes below it are runs."""
    reporter: Reporter = field(default_factory=Reporter)
    health: str | None = None
    """Path of its health check, when it is a server."""
    exit_times: list[float] = field(default_factory=list)
    """When it ended by itself, on the monotonic clock."""
    checked_at: float = 0.0
    answered_at: float = 0.0
    """When its health was checked last, and when it responded last, on the monotonic clock."""

    def up(self) -> Server:
        with self.reporter.waiting(f"starting {self.name}"):
            self.server = self.start(self.server)
        self.checked_at = self.answered_at = time.monotonic()
        return self.server

    def restart_if_ended(self) -> None:
        """Restarts it when it ended or hangs.

        Raises NotStarted when it ended more than RESTARTS times within WITHIN seconds.
        """
        if self.server is None:
            return
        self._end_if_it_hangs(self.server)
        if self.server.process.poll() is None:
            return
        code, now = self.server.process.returncode, time.monotonic()
        self.exit_times = [moment for moment in self.exit_times if now - moment < WITHIN] + [now]
        if len(self.exit_times) > RESTARTS:
            raise NotStarted(
                f"{self.name} ended {len(self.exit_times)} times within {WITHIN // 60} minutes, the last time with "
                f"code {code}. Its log: {self.server.log}"
            )
        self.reporter.note(f"{self.name} ended with code {code} and is started again; its log: {self.server.log}")
        try:
            self.up()
        except NotStarted as failure:  # what it depends on may have ended too, and is restarted before the next try
            self.reporter.note(str(failure))
        else:
            self.reporter.note(f"{self.name} runs again")

    def _end_if_it_hangs(self, server: Server) -> None:
        """Kills a server that has not responded to health checks for HANGS_AFTER seconds, and what runs below it."""
        now = time.monotonic()
        if self.health is None or now - self.checked_at < CHECKED_EVERY or server.process.poll() is not None:
            return
        if now - self.checked_at > HANGS_AFTER:
            # This process was suspended, and its servers may have been, too.
            self.answered_at = now
        answered = answers(f"{server.url}{self.health}", CHECKED_WITHIN)
        self.checked_at = time.monotonic()
        if answered:
            self.answered_at = self.checked_at
        elif self.checked_at - self.answered_at >= HANGS_AFTER:
            self.reporter.note(
                f"{self.name} hangs: it has not responded for {HANGS_AFTER:g} seconds and is killed; its log: "
                f"{server.log}"
            )
            # It does not respond to SIGTERM either, and nothing of it may keep the port.
            processes.send([*processes.below(server.process.pid), server.process.pid], signal.SIGKILL)
            server.process.wait()


def run_up(prefect_port: int | None, service_port: int | None, prefect: PrefectSetup, reporter: Reporter) -> None:
    """Starts everything, keeps it running until Ctrl+C, SIGTERM or SIGHUP, and stops it in order.

    A Prefect server or a labeling service that is configured elsewhere is used instead of starting one. What ends by
    itself, or hangs, is restarted.

    Raises CannotRun when `up` runs already or a chosen port is in use, NotStarted when a part does not start or keeps
    ending.
    """
    home = settings().home
    private_folder(home)
    with _only_one(home / "up.lock") as lock_file, _until_stopped():
        parts: list[Part] = []
        try:
            addresses = _start_all(home, parts, prefect_port, service_port, prefect, reporter)
            _write_addresses(lock_file, addresses)
            reporter.ready(addresses, home)
            while True:
                for part in parts:
                    part.restart_if_ended()
                # Runs whose worker died became our children (adopt_orphans): nobody else waits for them.
                processes.reap(keep=[part.server.process.pid for part in parts if part.server is not None])
                time.sleep(0.5)
        except _Stopped:
            reporter.note("stopping")
        finally:
            _stop_in_order(parts)
            reporter.note("everything is stopped")


def _start_all(
    home: Path,
    parts: list[Part],
    prefect_port: int | None,
    service_port: int | None,
    prefect: PrefectSetup,
    reporter: Reporter,
) -> dict[str, str]:
    """Starts the parts, each before those that depend on it. Returns the addresses by name."""
    addresses: dict[str, str] = {}

    def part(
        name: str, start: Callable[[Server | None], Server], has_runs: bool = False, health: str | None = None
    ) -> Server:
        parts.append(Part(name, start, has_runs=has_runs, health=health, reporter=reporter))
        return parts[-1].up()

    if _uses_embedded_service(settings()):
        require_free_port(service_port, "--service-port")
        service = part(
            "the labeling service",
            lambda ended: start_service(home, _port_of(ended) or service_port),
            health="/health",
        )
        os.environ["LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__URL"] = f"{service.url}/api/v1"
        forget_settings()
        addresses["labeling service"] = service.url
        addresses["operations page"] = f"{service.url}/operations/"
    prefect_url = os.environ.get("PREFECT_API_URL", "").removesuffix("/").removesuffix("/api")
    if not prefect_url:
        require_free_port(prefect_port, "--prefect-port")
        server = part(
            "the Prefect server",
            lambda ended: start_prefect(home, _port_of(ended) or prefect_port),
            health="/api/health",
        )
        prefect_url = server.url
        os.environ["PREFECT_API_URL"] = f"{prefect_url}/api"
        os.environ["PREFECT_HOME"] = str(home / "prefect")
    addresses["Prefect UI"] = prefect_url
    with reporter.waiting("registering the deployments"):
        prefect.deploy()
    configured = settings().receiver
    if configured is not None:
        host, port_of_receiver = configured.host, configured.port
        receiver = part(
            "the receiver",
            lambda ended: start_receiver(home, prefect_url, host, _port_of(ended) or port_of_receiver),
            health="/health",
        )
        addresses["receiver"] = receiver.url
    part(
        "the worker",
        lambda _ended: start_worker(
            home, prefect_url, prefect.pool, prefect.is_worker_online, max(60, settings().prefect_busy_seconds)
        ),
        has_runs=True,
    )
    return addresses


def _uses_embedded_service(current: Settings) -> bool:
    """Whether `campaign_api` means the embedded service of this home."""
    configured = current.connections.get("campaign_api")
    return configured is None or not configured.url


def _port_of(server: Server | None) -> int | None:
    return int(server.url.rpartition(":")[2]) if server is not None else None


def _stop_in_order(parts: list[Part]) -> None:
    """Stops the worker first: its runs still write to the ledger and to Prefect. No process is left."""
    for part in reversed(parts):
        if part.server is None:
            continue
        process = part.server.process
        if part.has_runs:
            # On SIGTERM a run reports that it was interrupted; the worker would kill it without a report.
            processes.send(processes.below(process.pid), signal.SIGTERM)
            _wait_until_ended(process, GRACE, include_itself=False)
        if process.poll() is None:
            process.terminate()  # once: at the second SIGTERM a Prefect worker ends at once
        _wait_until_ended(process, GRACE)
        processes.send([*processes.below(process.pid), process.pid], signal.SIGKILL)
        process.wait()
    processes.kill_all()


def _wait_until_ended(process: subprocess.Popen[bytes], seconds: float, *, include_itself: bool = True) -> None:
    """Waits until the process and all its descendants have ended, at most `seconds`."""
    end = time.monotonic() + seconds
    while (include_itself and process.poll() is None) or processes.below(process.pid):
        if time.monotonic() >= end:
            return
        time.sleep(0.1)


@contextmanager
def _until_stopped() -> Iterator[None]:
    """Raises _Stopped at the first Ctrl+C, SIGTERM or SIGHUP; later ones kill the child processes."""
    stopping = False

    def handle(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        if stopping:
            processes.send(processes.below(os.getpid()), signal.SIGKILL)
            return
        stopping = True
        raise _Stopped

    processes.adopt_orphans()
    numbers = [number for number in interruptions.ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    except _Stopped:
        pass  # while something was starting
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _only_one(lock: Path) -> Iterator[IO[str]]:
    """Holds the lock of the home's only `up`. The file holds its process id and addresses. Raises CannotRun."""
    with private_file(lock).open("a+") as file:
        if not _lock(file):
            file.seek(0)
            raise AlreadyRunning(f"labelwright up runs already on {lock.parent}: {_describe_holder(file.read())}")
        try:
            yield file
        finally:
            file.truncate(0)


def _lock(file: IO[str]) -> bool:
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write_addresses(file: IO[str], addresses: dict[str, str]) -> None:
    file.truncate(0)
    json.dump({"process": os.getpid(), **addresses}, file)
    file.flush()


def _describe_holder(content: str) -> str:
    try:
        holder: dict[str, Any] = json.loads(content)
    except ValueError:
        return "it is just starting"
    return ", ".join(f"{name} {value}" for name, value in holder.items())
