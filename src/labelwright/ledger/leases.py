"""Leases: held by one process, renewed while it is alive, and free again when it is dead."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event as Signal
from threading import Thread
from typing import Any
from uuid import uuid4

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from . import tables as t
from .database import Database, now, utc
from .errors import LedgerError
from .fences import Fence, LeaseLost, fenced_by

LIFETIME = 90.0
"""Seconds that a lease outlives its last renewal."""

_RELEASE_RETRY_SECONDS = (0.2, 1.0)
"""Seconds between the tries to release a lease."""


class CampaignBusy(LedgerError):
    """Another process holds the lease: the message says which, since when, and when the lease expires."""

    error_code = "LW2004"


@dataclass(frozen=True, slots=True)
class Process:
    """A process, so that it can be told later whether it is still alive."""

    machine: str
    """Host name, and the namespace of process ids where the system has one."""
    pid: int
    start: str | None
    """When it started, in ticks since boot; None where the system does not say."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that a process holds or held."""

    name: str
    token: str
    holder: str
    """For people."""
    run: str | None
    """Prefect's id of the flow run."""
    process: Process
    taken_at: datetime
    expires_at: datetime
    renewals: int


class Leases:
    """The leases of a ledger, by name.

    Whether a holder on another machine is alive can only be told by the clock. A lease that expires later than any
    holder would have set it (a clock was set back) is not trusted: it is watched for a while.
    """

    def __init__(self, database: Database, lifetime: float = LIFETIME, process: Process | None = None) -> None:
        self._database = database
        self._lifetime = lifetime
        self._process = process or this_process()
        self._taken_over: list[Lease] = []

    def find(self, name: str) -> Lease | None:
        with self._database.read() as connection:
            row = connection.execute(select(t.leases).where(t.leases.c.name == name)).one_or_none()
        return None if row is None else _lease_from(row)

    def all(self) -> list[Lease]:
        with self._database.read() as connection:
            return [_lease_from(row) for row in connection.execute(select(t.leases).order_by(t.leases.c.name))]

    def alive(self, lease: Lease) -> bool:
        """Whether its holder may be at work: by its process on this machine, by the expiry on another one."""
        alive = _seems_alive(lease.process)
        if alive is not None:
            return alive
        return lease.expires_at > now()

    def holds(self, lease: Lease) -> bool:
        """Whether another process would fail to take it. False for one that expires too late to be true: `take` watches
        such a lease first."""
        return self.alive(lease) and (_seems_alive(lease.process) is not None or not self._ends_too_late(lease))

    def is_held(self, *names: str) -> bool:
        """Whether any of these leases is held."""
        leases = [lease for lease in map(self.find, names) if lease is not None]
        return any(self.holds(lease) for lease in leases)

    def take(self, name: str, holder: str, run: str | None = None) -> Lease:
        """Takes the lease, also from a dead holder. Raises CampaignBusy."""
        existing = self.find(name)
        if existing is not None and self.alive(existing) and not self._stopped(existing):
            ends = "it lets go when it is done"
            if _seems_alive(existing.process) is None:
                ends = f"if that one is dead, it ends by itself at {existing.expires_at:%H:%M:%S} UTC"
            raise CampaignBusy(
                f"{existing.holder} is at work on it since {existing.taken_at:%Y-%m-%d %H:%M:%S} UTC; {ends}. "
                "Nothing was done: run the same again later"
            )
        token, moment = uuid4().hex, now()
        ends_at = moment + timedelta(seconds=self._lifetime)
        lease = Lease(name, token, holder, run, self._process, moment, ends_at, 0)
        try:
            with self._database.write() as connection:
                gone = delete(t.leases).where(t.leases.c.name == name)
                connection.execute(gone.where(t.leases.c.token == (existing.token if existing else "")))
                # Of several who come at once the unique name lets one in.
                connection.execute(insert(t.leases).values(_row_from(lease)))
        except IntegrityError:
            raise CampaignBusy(
                "somebody else was a moment faster. Nothing was done: run the same again later"
            ) from None
        if existing is not None:
            self._taken_over.append(existing)
        return lease

    def taken_over(self) -> list[Lease]:
        """Leases that were taken from dead holders since the last call."""
        taken, self._taken_over = self._taken_over, []
        return taken

    def _stopped(self, lease: Lease) -> bool:
        """Whether a lease that expires too late to be true is no longer renewed. Watches it for half a lifetime."""
        if not self._ends_too_late(lease):
            return False
        end = time.monotonic() + self._lifetime / 2
        while time.monotonic() < end:
            time.sleep(min(1.0, self._lifetime / 20))
            current = self.find(lease.name)
            if current is None or (current.token, current.renewals) != (lease.token, lease.renewals):
                return False
        return True

    def _ends_too_late(self, lease: Lease) -> bool:
        return lease.expires_at - now() > timedelta(seconds=self._lifetime + 5)

    def renew(self, lease: Lease) -> None:
        """Raises LeaseLost when another process has it."""
        with self._database.write(fenced=False) as connection:
            changed = connection.execute(
                update(t.leases)
                .where(t.leases.c.name == lease.name, t.leases.c.token == lease.token)
                .values(
                    expires_at=now() + timedelta(seconds=self._lifetime),
                    renewals=t.leases.c.renewals + 1,
                )
            ).rowcount
        if not changed:
            raise LeaseLost(lease.name)

    def release(self, lease: Lease) -> None:
        """Releases the lease. Does nothing when it is lost."""
        with self._database.write(fenced=False) as connection:
            connection.execute(delete(t.leases).where(t.leases.c.name == lease.name, t.leases.c.token == lease.token))

    @contextmanager
    def held(
        self, name: str, holder: str, run: str | None = None, on_trouble: Callable[[str], None] = lambda message: None
    ) -> Iterator[Lease]:
        """Holds the lease and renews it from a thread. Raises CampaignBusy. A renewal that fails is tried again.

        Once the lease is lost, the next change that the block makes raises LeaseLost: see `fences`.
        """
        lease, done = self.take(name, holder, run), Signal()
        fence = Fence(self._database.engine, name, lease.token, run)

        def renew() -> None:
            while not done.wait(self._lifetime / 3):
                try:
                    self.renew(lease)
                except LeaseLost as lost:
                    fence.lost = True
                    on_trouble(str(lost))
                    return
                except SQLAlchemyError as error:
                    on_trouble(f"the lease on {name} could not be renewed ({type(error).__name__}); trying again")

        thread = Thread(target=renew, name=f"lease {name}", daemon=True)
        thread.start()
        try:
            with fenced_by(fence):
                yield lease
        finally:
            done.set()
            thread.join(5)
            self._release_with_retries(lease, on_trouble)

    def _release_with_retries(self, lease: Lease, on_trouble: Callable[[str], None]) -> None:
        """Tries a few times: otherwise the next process waits until the lease expires."""
        for wait in (*_RELEASE_RETRY_SECONDS, None):
            try:
                return self.release(lease)
            except SQLAlchemyError as error:
                if wait is not None:
                    time.sleep(wait)
                    continue
                # Not raised: the work is done, or failed with an error of its own.
                why = type(error).__name__
                on_trouble(f"the lease on {lease.name} could not be released ({why}); it expires by itself")


def this_process() -> Process:
    return Process(_machine(), os.getpid(), _started(os.getpid()))


def _machine() -> str:
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        namespace = ""
    return f"{socket.gethostname()}{namespace}"


def _started(pid: int) -> str | None:
    """Ticks since boot, on systems with /proc."""
    try:
        return _stat(pid)[19]
    except (OSError, IndexError):
        return None


def _seems_alive(process: Process) -> bool | None:
    """Whether a process of this machine is alive; None where that cannot be seen, or where it is suspended."""
    if process.machine != _machine() or process.start is None:
        return None
    try:
        fields = _stat(process.pid)
    except OSError:
        return False
    if fields[19] != process.start or fields[0] in "ZX":
        return False
    return None if fields[0] in "Tt" else True


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat that follow the command, which may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _row_from(lease: Lease) -> dict[str, Any]:
    row = asdict(lease)
    del row["process"]
    process = lease.process
    return row | {"machine": process.machine, "pid": process.pid, "process_start": process.start}


def _lease_from(row: Row[Any]) -> Lease:
    return Lease(
        name=row.name,
        token=row.token,
        holder=row.holder,
        run=row.run,
        process=Process(row.machine, row.pid, row.process_start),
        taken_at=utc(row.taken_at),
        expires_at=utc(row.expires_at),
        renewals=row.renewals,
    )
