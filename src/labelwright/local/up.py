"""Everything on one machine in one command: Prefect's server, the service, the deployments, the receiver, a worker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Any

from labelwright.cli.output import console as printing
from labelwright.domain.errors import CannotRun
from labelwright.prefect_integration.deployments import POOL, deploy, knows_worker
from labelwright.security.private_files import private_file, private_folder
from labelwright.settings import Settings, forget_settings, settings

from . import interruptions, processes
from .servers import NotStarted, Server, start_prefect, start_receiver, start_service, start_worker

RESTARTS, WITHIN = 3, 600
"""A part that ended by itself is started again, unless it ended more often than this within so many seconds."""

GRACE = 10.0
"""Seconds that a process gets to end when it is asked to; then it is made to."""


class _Asked(BaseException):
    """Somebody asked us to end."""


@dataclass
class Part:
    """A process of ours, and how it is started again. `start` gets the one that ended, or None at first."""

    name: str
    start: Callable[[Server | None], Server]
    server: Server | None = None
    has_runs: bool = False
    """Whether the processes below it are runs."""
    ended: list[float] = field(default_factory=list)
    """When it ended by itself, on the monotonic clock."""

    def up(self) -> Server:
        with printing.waiting(f"starting {self.name}"):
            self.server = self.start(self.server)
        return self.server

    def mend(self) -> None:
        """Start it again when it ended. Raises NotStarted when it does so again and again."""
        if self.server is None or self.server.process.poll() is None:
            return
        code, now = self.server.process.returncode, time.monotonic()
        self.ended = [one for one in self.ended if now - one < WITHIN] + [now]
        if len(self.ended) > RESTARTS:
            raise NotStarted(
                f"{self.name} ended {len(self.ended)} times within {WITHIN // 60} minutes, the last time with code "
                f"{code}. Its log: {self.server.log}"
            )
        printing.note(f"{self.name} ended with code {code} and is started again; its log: {self.server.log}")
        try:
            self.up()
        except NotStarted as failure:  # perhaps what it needs has ended too, and is mended before the next try
            printing.note(str(failure))
        else:
            printing.note(f"{self.name} runs again")


def run_up(prefect_port: int | None, service_port: int | None, *, as_json: bool) -> None:
    """Start everything, tell where it is, keep it running until Ctrl+C, SIGTERM or SIGHUP, and end it in order.

    A Prefect server, or a labeling service, that is configured elsewhere is used and not started. What ends by itself
    is started again. Raises CannotRun when it runs already, NotStarted when a part does not come up or stay up.
    """
    home = settings().home
    private_folder(home)
    with _only_one(home / "up.lock") as told, _asked_to_end():
        parts: list[Part] = []
        try:
            addresses = _start_all(home, parts, prefect_port, service_port)
            _tell(told, addresses)
            printing.show_up(addresses, home, as_json)
            while True:
                for part in parts:
                    part.mend()
                # Runs whose worker died became our children (adopt_orphans): nobody else waits for them.
                processes.reap(keep=[part.server.process.pid for part in parts if part.server is not None])
                time.sleep(0.5)
        except _Asked:
            printing.note("stopping")
        finally:
            _end_in_order(parts)
            printing.note("everything is stopped")


def _start_all(home: Path, parts: list[Part], prefect_port: int | None, service_port: int | None) -> dict[str, str]:
    """Start the parts, each one before those that need it. Answers the addresses by what answers there."""
    addresses: dict[str, str] = {}

    def part(name: str, start: Callable[[Server | None], Server], has_runs: bool = False) -> Server:
        parts.append(Part(name, start, has_runs=has_runs))
        return parts[-1].up()

    if _labels_here(settings()):
        port = service_port
        service = part("the labeling service", lambda was: start_service(home, _port_of(was) or port))
        os.environ["LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__URL"] = f"{service.url}/api/v1"
        forget_settings()
        addresses["labeling service"] = service.url
    prefect = os.environ.get("PREFECT_API_URL", "").removesuffix("/").removesuffix("/api")
    if not prefect:
        prefect = part("the Prefect server", lambda was: start_prefect(home, _port_of(was) or prefect_port)).url
        os.environ["PREFECT_API_URL"] = f"{prefect}/api"
        os.environ["PREFECT_HOME"] = str(home / "prefect")
    addresses["Prefect UI"] = prefect
    with printing.waiting("registering the deployments"):
        deploy()
    receiver = settings().receiver
    if receiver is not None:
        host, wanted = receiver.host, receiver.port
        receives = part("the receiver", lambda was: start_receiver(home, prefect, host, _port_of(was) or wanted))
        addresses["receiver"] = receives.url
    part("the worker", lambda _was: start_worker(home, prefect, POOL, knows_worker), has_runs=True)
    return addresses


def _labels_here(found: Settings) -> bool:
    """Whether `campaign_api` means the embedded service of this home."""
    configured = found.connections.get("campaign_api")
    return configured is None or not configured.url


def _port_of(server: Server | None) -> int | None:
    return int(server.url.rpartition(":")[2]) if server is not None else None


def _end_in_order(parts: list[Part]) -> None:
    """The worker first: its runs still write into the ledger and to Prefect, which end last. Nothing is left behind."""
    for part in reversed(parts):
        if part.server is None:
            continue
        process = part.server.process
        if part.has_runs:
            # Asked first, a run says itself that it was broken off; the worker would kill it without a word.
            processes.send(processes.below(process.pid), signal.SIGTERM)
            _wait_for_the_end(process, GRACE, of_itself=False)
        if process.poll() is None:
            process.terminate()  # once: a second time means to a Prefect worker that it shall die at once
        _wait_for_the_end(process, GRACE)
        processes.send([*processes.below(process.pid), process.pid], signal.SIGKILL)
        process.wait()
    processes.kill_all()


def _wait_for_the_end(process: subprocess.Popen[bytes], patience: float, *, of_itself: bool = True) -> None:
    """Until all below the process, and the process itself, have ended; at most `patience` seconds."""
    end = time.monotonic() + patience
    while (of_itself and process.poll() is None) or processes.below(process.pid):
        if time.monotonic() >= end:
            return
        time.sleep(0.1)


@contextmanager
def _asked_to_end() -> Iterator[None]:
    """The first Ctrl+C, SIGTERM or SIGHUP raises _Asked, later ones end whatever is slow to end."""
    asked = False

    def handle(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            processes.send(processes.below(os.getpid()), signal.SIGKILL)
            return
        asked = True
        raise _Asked

    processes.adopt_orphans()
    numbers = [one for one in interruptions.ENDING if signal.getsignal(one) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    except _Asked:
        pass  # while something was starting
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _only_one(lock: Path) -> Iterator[IO[str]]:
    """One `up` a home. The file tells who runs, and where. Raises CannotRun."""
    with private_file(lock).open("a+") as file:
        if not _lock(file):
            file.seek(0)
            raise CannotRun(f"labelwright up runs already on {lock.parent}: {_who(file.read())}")
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


def _tell(file: IO[str], addresses: dict[str, str]) -> None:
    file.truncate(0)
    json.dump({"process": os.getpid(), **addresses}, file)
    file.flush()


def _who(told: str) -> str:
    try:
        known: dict[str, Any] = json.loads(told)
    except ValueError:
        return "it is just starting"
    return ", ".join(f"{name} {value}" for name, value in known.items())
