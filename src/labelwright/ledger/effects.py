"""Effects on the outside world: intents before, outcomes after, and a look in between when nobody knows."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from . import tables as t
from .database import Database, now, utc
from .errors import LedgerError


class AlreadyThere(LedgerError):
    """The platform holds a thing of our natural key that this ledger never meant to make."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One effect under its natural key. Without `done_at` nobody knows whether it happened."""

    campaign: str
    step: str
    item: str
    intended_at: datetime
    done_at: datetime | None
    outcome: str | None


class Effects:
    """The effects of campaigns, by campaign, step and item."""

    def __init__(self, database: Database, fence: Callable[[str], None] = lambda title: None) -> None:
        self._database = database
        self._fence = fence
        """Raises when this process may no longer work on the campaign."""

    def find(self, title: str, step: str, item: str = "") -> Effect | None:
        with self._database.read() as connection:
            row = connection.execute(select(t.effects).where(_is(title, step, item))).one_or_none()
        return None if row is None else _effect_from(row)

    def all(self, title: str) -> list[Effect]:
        """In the order in which they were intended."""
        query = select(t.effects).where(t.effects.c.campaign == title).order_by(t.effects.c.intended_at)
        with self._database.read() as connection:
            return [_effect_from(row) for row in connection.execute(query)]

    def intend(self, title: str, step: str, item: str = "") -> None:
        """Write down that the effect is about to be tried; an older intent stays. Raises LeaseLost."""
        self._fence(title)
        with suppress(IntegrityError), self._database.write() as connection:
            connection.execute(insert(t.effects).values(campaign=title, step=step, item=item, intended_at=now()))

    def settle(self, title: str, step: str, item: str, outcome: str) -> None:
        """Write down that the effect happened."""
        with self._database.write() as connection:
            connection.execute(update(t.effects).where(_is(title, step, item)).values(done_at=now(), outcome=outcome))

    def forget(self, title: str, step: str, item: str = "") -> None:
        """Forget an effect that has to happen again: a reopened campaign is finished once more."""
        with self._database.write() as connection:
            connection.execute(delete(t.effects).where(_is(title, step, item)))

    def once(
        self,
        title: str,
        step: str,
        act: Callable[[], str],
        *,
        look: Callable[[], str | None],
        item: str = "",
        what: str = "",
        adopt: bool = False,
    ) -> str:
        """Make the effect happen once, whatever was interrupted before. Answers its outcome, mostly a remote id.

        `look` finds the effect on the platform by its natural key and answers its outcome, or None. It is asked before
        every try: after an interrupted one, what it finds is ours; before the first one, it belongs to somebody else.

        Raises AlreadyThere in the second case, unless it may be adopted: a person who activated our campaign by hand
        did what we meant to do.
        """
        known = self.find(title, step, item)
        if known is not None and known.done_at is not None:
            return known.outcome or ""
        found = look()
        if found is not None and known is None and not adopt:
            raise AlreadyThere(
                f"{what or step} of '{title}' exists on the platform, and this ledger did not make it. Give the "
                "campaign another title, or use the ledger that made it"
            )
        self.intend(title, step, item)
        outcome = act() if found is None else found
        self.settle(title, step, item, outcome)
        return outcome


def _is(title: str, step: str, item: str) -> ColumnElement[bool]:
    return and_(t.effects.c.campaign == title, t.effects.c.step == step, t.effects.c.item == item)


def _effect_from(row: Row[Any]) -> Effect:
    done = utc(row.done_at) if row.done_at else None
    return Effect(row.campaign, row.step, row.item, utc(row.intended_at), done, row.outcome)
