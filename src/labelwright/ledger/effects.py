"""Effects on the outside world: the intent is recorded before the call, the outcome after it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from labelwright.domain.commands import quoted

from . import tables as t
from .database import Database, now, utc
from .errors import LedgerError


class AlreadyThere(LedgerError):
    """The platform holds something under our natural key that this ledger never meant to create."""

    error_code = "LW2007"


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectItem:
    """What a step is done to, where a campaign has the step more than once. Each field is a column of the ledger.

    0 and the empty text mean that the step is not distinguished by the field.
    """

    store: str = ""
    """The kind of store that an export goes to."""
    workspace: str = ""
    folder: str = ""
    """The last characters of the store's folder of images."""
    batch: int = 0
    """From 1."""
    first_image: int = 0
    """Position in the manifest, from 1."""
    last_image: int = 0
    generation: int = 0
    """How often the campaign's state had changed when the work became due."""
    attempt: int = 0
    """From 1; within a generation where there is one."""
    earlier_item: str = ""
    """Written by an earlier version for a step that this version does not have."""

    def __str__(self) -> str:
        """For people; nothing takes it apart."""
        images = f"{self.first_image}-{self.last_image}" if self.first_image else ""
        attempt = "-".join(f"{number}" for number in (self.generation, self.attempt) if number)
        batch = f"{self.batch}" if self.batch else ""
        parts = (self.store, self.workspace, self.folder, batch, images, attempt, self.earlier_item)
        return " ".join(part for part in parts if part)


WHOLE_CAMPAIGN = EffectItem()
"""Of steps that a campaign has once."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One effect under its natural key. Without `done_at` it is not known whether it happened."""

    campaign: str
    step: str
    item: EffectItem
    intended_at: datetime
    done_at: datetime | None
    outcome: str | None


class Effects:
    """The effects of campaigns, by campaign, step and item."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, title: str, step: str, item: EffectItem = WHOLE_CAMPAIGN) -> Effect | None:
        """The effect with exactly this item."""
        with self._database.read() as connection:
            row = connection.execute(select(t.effects).where(_key(title, step, item))).one_or_none()
        return None if row is None else _effect_from(row)

    def all(self, title: str) -> list[Effect]:
        """Every effect of the campaign, in the order in which they were intended."""
        return self._select(t.effects.c.campaign == title)

    def of_step(self, title: str, step: str) -> list[Effect]:
        """The effects of a step whatever their items, in the order in which they were intended."""
        return self._select((t.effects.c.campaign == title) & (t.effects.c.step == step))

    def attempts(self, title: str, step: str, generation: int) -> list[Effect]:
        """The attempts at a step in one generation, the first one first."""
        of_step = (t.effects.c.campaign == title) & (t.effects.c.step == step)
        return self._select(of_step & (t.effects.c.generation == generation), t.effects.c.attempt)

    def of_steps(self, titles: Sequence[str], steps: Collection[str]) -> dict[str, list[Effect]]:
        """The effects of these steps by campaign, by generation and attempt; campaigns without any are missing."""
        effects: dict[str, list[Effect]] = {}
        with self._database.read() as connection:
            for first in range(0, len(titles), 500):
                of_steps = t.effects.c.campaign.in_(titles[first : first + 500]) & t.effects.c.step.in_(steps)
                query = select(t.effects).where(of_steps).order_by(t.effects.c.generation, t.effects.c.attempt)
                for row in connection.execute(query):
                    effects.setdefault(row.campaign, []).append(_effect_from(row))
        return effects

    def in_store(self, title: str, step: str, store: str, workspace: str) -> list[Effect]:
        """The effects of a step in one store and workspace, in the order in which they were intended."""
        of_step = (t.effects.c.campaign == title) & (t.effects.c.step == step)
        return self._select(of_step & (t.effects.c.store == store) & (t.effects.c.workspace == workspace))

    def with_outcomes(self, outcomes: Collection[str]) -> list[Effect]:
        """The effects of all campaigns with one of these outcomes, such as the id of a run that was started."""
        return self._select(t.effects.c.outcome.in_(outcomes))

    def _select(
        self, condition: ColumnElement[bool], order: ColumnElement[Any] = t.effects.c.intended_at
    ) -> list[Effect]:
        with self._database.read() as connection:
            rows = connection.execute(select(t.effects).where(condition).order_by(order)).all()
        return [_effect_from(row) for row in rows]

    def intend(self, title: str, step: str, item: EffectItem = WHOLE_CAMPAIGN) -> bool:
        """Records that the effect is about to be tried. Returns False when an older intent stays."""
        row = {"campaign": title, "step": step, "intended_at": now(), **asdict(item)}
        try:
            with self._database.write() as connection:
                connection.execute(insert(t.effects).values(row))
        except IntegrityError:
            return False
        return True

    def settle(self, title: str, step: str, outcome: str, item: EffectItem = WHOLE_CAMPAIGN) -> None:
        """Records that the effect happened."""
        done = {"done_at": now(), "outcome": outcome}
        with self._database.write() as connection:
            connection.execute(update(t.effects).where(_key(title, step, item)).values(done))

    def forget(self, title: str, step: str, item: EffectItem = WHOLE_CAMPAIGN) -> None:
        """Deletes the record of an effect that has to happen again: a reopened campaign is finished once more."""
        with self._database.write() as connection:
            connection.execute(delete(t.effects).where(_key(title, step, item)))

    def once(
        self,
        title: str,
        step: str,
        act: Callable[[], str],
        *,
        look: Callable[[], str | None],
        item: EffectItem = WHOLE_CAMPAIGN,
        what: str = "",
        adopt: bool = False,
    ) -> str:
        """Makes the effect happen once, also after interruptions. Returns its outcome, mostly a remote id.

        `look` finds the effect on the platform by its natural key and returns its outcome, or None. It is called before
        every try: after an interrupted one, what it finds is ours; before the first one, it belongs to somebody else.

        Raises AlreadyThere in the second case, unless it may be adopted: a person who activated our campaign by hand
        did what we meant to do.
        """
        recorded = self.find(title, step, item)
        if recorded is not None and recorded.done_at is not None:
            return recorded.outcome or ""
        existing = look()
        if existing is not None and recorded is None and not adopt:
            raise AlreadyThere(
                f"{what or step} of '{title}' exists on the platform, and this ledger did not make it. Give the "
                "campaign another title, or use the ledger that made it. If that ledger is lost, take the campaign "
                f"over: labelwright adopt {quoted(title)} --file CAMPAIGN.YAML"
            )
        self.intend(title, step, item)
        outcome = act() if existing is None else existing
        self.settle(title, step, outcome, item)
        return outcome


def _key(title: str, step: str, item: EffectItem) -> ColumnElement[bool]:
    columns = [t.effects.c[name] == value for name, value in asdict(item).items()]
    return and_(t.effects.c.campaign == title, t.effects.c.step == step, *columns)


def _effect_from(row: Row[Any]) -> Effect:
    item = EffectItem(**{name: row._mapping[name] for name in EffectItem.__dataclass_fields__})
    done_at = utc(row.done_at) if row.done_at else None
    return Effect(row.campaign, row.step, item, utc(row.intended_at), done_at, row.outcome)
