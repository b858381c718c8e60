"""Fences: whoever lost a lease changes nothing more, in the ledger or outside.

The token of a lease is compared in every transaction that writes while the lease is held, and the lease's row stays
locked until the transaction ends. So a process that was suspended, and whose lease was taken over, writes nothing when
it comes back. Calls to platforms and stores cannot be part of a transaction: the token is compared before each of them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from sqlalchemy import Engine, select
from sqlalchemy.engine import Connection

from labelwright.network.guards import guarded_by

from . import tables as t
from .errors import LedgerError

CHECKED_FOR = 1.0
"""Seconds for which a compared token counts as ours before a call outside. A lease lives longer by far."""

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""It runs on while the machine is suspended."""


class LeaseLost(LedgerError):
    """Another process took the lease over, because this one seemed dead."""

    error_code = "LW2005"

    def __init__(self, name: str) -> None:
        super().__init__(f"another process took {name} over, because this one seemed dead. It goes on there")


def _clocks() -> tuple[float, float]:
    """Two clocks: a virtual machine that was paused may show it on one of them only."""
    return time.clock_gettime(_CLOCK), time.time()


@dataclass
class Fence:
    """The token of a lease that this thread's work holds."""

    engine: Engine
    name: str
    token: str
    run: str | None = None
    """Prefect's id of the flow run that took it."""
    lost: bool = False
    """Whether a renewal found it lost."""
    checked_at: tuple[float, float] = field(default_factory=_clocks)

    def check(self) -> None:
        """Compares the token, unless that was done a moment ago. Raises LeaseLost."""
        moment = _clocks()
        passed = [now - before for now, before in zip(moment, self.checked_at, strict=True)]
        if not self.lost and all(0 <= seconds < CHECKED_FOR for seconds in passed):
            return
        with self.engine.connect() as connection:
            token = connection.scalar(select(t.leases.c.token).where(t.leases.c.name == self.name))
        if token != self.token:
            self.lost = True
            raise LeaseLost(self.name)
        self.checked_at = moment


_fences: ContextVar[tuple[Fence, ...]] = ContextVar("fences", default=())


@contextmanager
def fenced_by(fence: Fence) -> Iterator[None]:
    """Compares the token before each change that the block makes, in the ledger and outside."""
    reset = _fences.set((*_fences.get(), fence))
    try:
        with guarded_by(fence.check):
            yield
    finally:
        _fences.reset(reset)


def runs_at_work() -> list[str]:
    """Prefect's ids of the flow runs that hold a lease for this thread's work, the outermost first."""
    return list(dict.fromkeys(fence.run for fence in _fences.get() if fence.run is not None))


def refuse_lost_leases(connection: Connection, engine: Engine) -> None:
    """Compares, in a transaction, the tokens of all leases of this database that are held. Raises LeaseLost.

    On PostgreSQL nobody takes them over until the transaction ends, and renewals go on. SQLite has one writer.
    """
    tokens = {fence.name: fence.token for fence in _fences.get() if fence.engine is engine}
    if not tokens:
        return
    held = select(t.leases.c.name, t.leases.c.token).where(t.leases.c.name.in_(tokens)).order_by(t.leases.c.name)
    current = {row.name: row.token for row in connection.execute(held.with_for_update(read=True, key_share=True))}
    for name, token in tokens.items():
        if current.get(name) != token:
            raise LeaseLost(name)
