"""Who works on what: a lease is held by one process, renewed while it lives, and free again when it is dead."""

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

LIFETIME = 90.0
"""Seconds that a lease outlives its last renewal."""

_GIVING_BACK = (0.2, 1.0)
"""Seconds between the tries to give a lease back."""


class CampaignBusy(LedgerError):
    """Somebody else is at work: the message says who, since when, and when that ends by itself."""


class LeaseLost(LedgerError):
    """This process was taken for dead, and another one has gone on in its place."""


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
    """Who is at work."""

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
    """The leases of a ledger, by name. Between machines only clocks can be asked, so a lease that ends later than any
    living holder would have said is not trusted: it is watched for a while."""

    def __init__(self, database: Database, lifetime: float = LIFETIME, process: Process | None = None) -> None:
        self._database = database
        self._lifetime = lifetime
        self._process = process or this_process()
        self._held: dict[str, str] = {}
        self._taken_over: list[Lease] = []

    def find(self, name: str) -> Lease | None:
        with self._database.read() as connection:
            row = connection.execute(select(t.leases).where(t.leases.c.name == name)).one_or_none()
        return None if row is None else _lease_from(row)

    def all(self) -> list[Lease]:
        with self._database.read() as connection:
            return [_lease_from(row) for row in connection.execute(select(t.leases).order_by(t.leases.c.name))]

    def alive(self, lease: Lease) -> bool:
        """Whether its holder may still be at work. A holder on this machine is looked for."""
        found = _seems_alive(lease.process)
        if found is not None:
            return found
        return lease.expires_at > now()

    def holds(self, lease: Lease) -> bool:
        """Whether nobody else should even try to take it. One that ends later than any living holder would have said
        (the clock was set back) does not hold: whoever takes it watches it first."""
        return self.alive(lease) and (_seems_alive(lease.process) is not None or not self._ends_too_late(lease))

    def in_hands(self, *names: str) -> bool:
        """Whether somebody holds one of the leases of these names."""
        found = [lease for lease in map(self.find, names) if lease is not None]
        return any(self.holds(lease) for lease in found)

    def take(self, name: str, holder: str, run: str | None = None) -> Lease:
        """Take the lease, from a dead holder too. Raises CampaignBusy."""
        known = self.find(name)
        if known is not None and self.alive(known) and not self._stopped(known):
            ends = "it lets go when it is done"
            if _seems_alive(known.process) is None:
                ends = f"if that one is dead, it ends by itself at {known.expires_at:%H:%M:%S} UTC"
            raise CampaignBusy(
                f"{known.holder} is at work on it since {known.taken_at:%Y-%m-%d %H:%M:%S} UTC; {ends}. "
                "Nothing was done: run the same again later"
            )
        token, moment = uuid4().hex, now()
        ends_at = moment + timedelta(seconds=self._lifetime)
        taken = Lease(name, token, holder, run, self._process, moment, ends_at, 0)
        try:
            with self._database.write() as connection:
                gone = delete(t.leases).where(t.leases.c.name == name)
                connection.execute(gone.where(t.leases.c.token == (known.token if known else "")))
                # Of several who come at once the unique name lets one in.
                connection.execute(insert(t.leases).values(_row_from(taken)))
        except IntegrityError:
            raise CampaignBusy(
                "somebody else was a moment faster. Nothing was done: run the same again later"
            ) from None
        self._held[name] = token
        if known is not None:
            self._taken_over.append(known)
        return taken

    def taken_over(self) -> list[Lease]:
        """Leases of dead holders that were taken since this was last asked."""
        taken, self._taken_over = self._taken_over, []
        return taken

    def _stopped(self, lease: Lease) -> bool:
        """Of a lease that ends too late to be true (the clock was set back): whether nobody renews it."""
        if not self._ends_too_late(lease):
            return False
        end = time.monotonic() + self._lifetime / 2
        while time.monotonic() < end:
            time.sleep(min(1.0, self._lifetime / 20))
            seen = self.find(lease.name)
            if seen is None or (seen.token, seen.renewals) != (lease.token, lease.renewals):
                return False
        return True

    def _ends_too_late(self, lease: Lease) -> bool:
        return lease.expires_at - now() > timedelta(seconds=self._lifetime + 5)

    def renew(self, lease: Lease) -> None:
        """Raises LeaseLost when another process has it."""
        with self._database.write() as connection:
            changed = connection.execute(
                update(t.leases)
                .where(t.leases.c.name == lease.name, t.leases.c.token == lease.token)
                .values(
                    expires_at=now() + timedelta(seconds=self._lifetime),
                    renewals=t.leases.c.renewals + 1,
                )
            ).rowcount
        if not changed:
            raise LeaseLost(f"another process took {lease.name} over, because this one seemed dead. It goes on there")

    def let_go(self, lease: Lease) -> None:
        """Said of a lease that is lost it does nothing."""
        self._held.pop(lease.name, None)
        with self._database.write() as connection:
            connection.execute(delete(t.leases).where(t.leases.c.name == lease.name, t.leases.c.token == lease.token))

    def check(self, name: str) -> None:
        """Raises LeaseLost when this process held the lease and another one has it now."""
        token = self._held.get(name)
        if token is None:
            return
        found = self.find(name)
        if found is None or found.token != token:
            raise LeaseLost(f"another process took {name} over, because this one seemed dead. It goes on there")

    @contextmanager
    def held(
        self, name: str, holder: str, run: str | None = None, on_trouble: Callable[[str], None] = lambda message: None
    ) -> Iterator[Lease]:
        """Hold a lease and renew it from a thread. Raises CampaignBusy. A renewal that fails is tried again."""
        lease, done = self.take(name, holder, run), Signal()

        def renew() -> None:
            while not done.wait(self._lifetime / 3):
                try:
                    self.renew(lease)
                except LeaseLost as lost:
                    on_trouble(str(lost))
                    return
                except SQLAlchemyError as error:
                    on_trouble(f"the lease on {name} could not be renewed ({type(error).__name__}); trying again")

        thread = Thread(target=renew, name=f"lease {name}", daemon=True)
        thread.start()
        try:
            yield lease
        finally:
            done.set()
            thread.join(5)
            self._give_back(lease, on_trouble)

    def _give_back(self, lease: Lease, on_trouble: Callable[[str], None]) -> None:
        """A ledger that does not answer is asked a few times: else the next one waits until the lease runs out."""
        for wait in (*_GIVING_BACK, None):
            try:
                return self.let_go(lease)
            except SQLAlchemyError as error:
                if wait is not None:
                    time.sleep(wait)
                    continue
                # The work is done, or its own error is on its way: neither is worth less for a lease that runs out.
                why = type(error).__name__
                on_trouble(f"the lease on {lease.name} could not be given back ({why}); it ends by itself")


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
    """Whether a process of this machine is alive; None where that cannot be seen from here."""
    if process.machine != _machine() or process.start is None:
        return None
    try:
        fields = _stat(process.pid)
    except OSError:
        return False
    return fields[19] == process.start and fields[0] not in "ZX"


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
