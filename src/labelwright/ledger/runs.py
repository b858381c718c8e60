"""Flow runs that took up their work, and those that were lost before and started again."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from . import tables as t
from .database import Database, now, utc
from .fences import runs_at_work
from .leases import CampaignBusy

_RECORDED_SINCE = "runs recorded since"
"""The fact with the time from which on runs are recorded, in a ledger of an earlier version."""

_BEING_STARTED = ""
"""In place of the id of the run that follows, until it is known."""


class RunReplaced(CampaignBusy):
    """This run seemed lost before it took up its work, and another one was started in its place."""

    error_code = "LW2006"


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """What the ledger knows of a flow run."""

    run: str
    """Prefect's id."""
    began_at: datetime | None
    """When it took up its work; None while it has not."""
    attempt: int
    """From 1; 2 for the run that was started in place of a lost first one."""
    followed_by: str | None
    """The run that was started in its place; None when there is none, or it is not known yet."""


class Runs:
    """Flow runs, by Prefect's id. A run takes up its work or is followed by another one, never both."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record_begun(self) -> None:
        """Records that the runs that hold a lease here took up their work. Idempotent. Raises RunReplaced."""
        for run in runs_at_work():
            row = {"run": run, "attempt": 1, "began_at": now()}
            if self._insert(row):
                continue
            with self._database.write() as connection:
                mine = (t.runs.c.run == run) & t.runs.c.followed_by.is_(None)
                if not connection.execute(update(t.runs).where(mine).values(began_at=now())).rowcount:
                    raise RunReplaced(
                        "this run seemed dead before it began, and another run was started in its place. "
                        "Nothing was done here: see the other run"
                    )

    def claim_lost(self, run: str) -> int | None:
        """Records that a run was lost before it took up its work. Returns its attempt.

        None when it did take up its work, or was followed by another one already.
        """
        if self._insert({"run": run, "attempt": 1, "followed_by": _BEING_STARTED}):
            return 1
        mine = t.runs.c.run == run
        with self._database.write() as connection:
            row = connection.execute(select(t.runs).where(mine).with_for_update()).one()
            if row.began_at is not None or row.followed_by:
                return None
            connection.execute(update(t.runs).where(mine).values(followed_by=_BEING_STARTED))
        return int(row.attempt)

    def record_follower(self, run: str, follower: str) -> None:
        """Records the run that was started in place of a lost one that was claimed. Idempotent."""
        mine = t.runs.c.run == run
        with self._database.write() as connection:
            attempt = int(connection.execute(select(t.runs.c.attempt).where(mine)).scalar_one())
            # The follower may have begun already, on a fast machine.
            known = connection.execute(update(t.runs).where(t.runs.c.run == follower).values(attempt=attempt + 1))
            if not known.rowcount:
                connection.execute(insert(t.runs).values(run=follower, attempt=attempt + 1))
            connection.execute(update(t.runs).where(mine).values(followed_by=follower))

    def find(self, runs: Iterable[str]) -> dict[str, RecordedRun]:
        """The recorded ones of these runs, by id."""
        with self._database.read() as connection:
            rows = connection.execute(select(t.runs).where(t.runs.c.run.in_(list(runs)))).all()
        return {
            row.run: RecordedRun(
                row.run, utc(row.began_at) if row.began_at else None, row.attempt, row.followed_by or None
            )
            for row in rows
        }

    def started_by_sweeps(self, runs: Iterable[str]) -> set[str]:
        """Those of the runs that a sweep started, as the next step of a campaign."""
        query = select(t.effects.c.outcome).where(t.effects.c.outcome.in_(list(runs)))
        with self._database.read() as connection:
            return {str(run) for run in connection.scalars(query)}

    def recorded_since(self) -> datetime | None:
        """From when on every run is recorded; None where that holds from the first one."""
        with self._database.read() as connection:
            since = connection.scalar(select(t.facts.c.value).where(t.facts.c.name == _RECORDED_SINCE))
        return None if since is None else datetime.fromisoformat(since)

    def _insert(self, row: dict[str, object]) -> bool:
        """Returns whether the run was not recorded yet."""
        with suppress(IntegrityError), self._database.write() as connection:
            connection.execute(insert(t.runs).values(row))
            return True
        return False
