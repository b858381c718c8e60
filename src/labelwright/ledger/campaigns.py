"""Campaigns in the ledger: their states, their progress, their datasets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Row, Table, delete, func, insert, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from labelwright.domain import BLOCKED, Progress, State, move

from . import registered
from . import tables as t
from .database import Database, now, utc
from .errors import UnknownCampaign
from .outbox import CHANGED, KINDS, new_key, write_event
from .registered import DatasetVersion, NewDataset


@dataclass(frozen=True, slots=True)
class CampaignRecord:
    """A campaign as the ledger has it."""

    title: str
    state: State
    spec: dict[str, Any]
    created_at: datetime
    state_before: State | None = None
    """The state before it needed attention or was paused."""
    reason: str | None = None
    image_set: str | None = None
    remote_id: str | None = None
    images: int | None = None
    """Images in the manifest; None until the manifest is complete."""
    done: int = 0
    total: int = 0
    looked_at: datetime | None = None
    unanswered_notes: int = 0
    """Notes of labelers without an answer, as the platform told when the progress was read last."""


@dataclass(frozen=True, slots=True)
class Move:
    """A change of state."""

    was: State
    became: State
    at: datetime
    why: str | None


def _belongs_to_campaign(table: Table) -> bool:
    return any(key.target_fullname == "campaigns.title" for key in table.foreign_keys)


def _last_progress(connection: Connection, title: str) -> dict[str, tuple[int, int]]:
    newest = select(func.max(t.progress.c.id)).where(t.progress.c.campaign == title).group_by(t.progress.c.labeler)
    rows = connection.execute(select(t.progress).where(t.progress.c.id.in_(newest)))
    return {row.labeler: (row.done, row.total) for row in rows}


def _by_labeler(done: int, total: int, labelers: Sequence[tuple[str, int, int]]) -> dict[str, tuple[int, int]]:
    """Done and total by labeler; of all together under the empty name."""
    return {"": (done, total)} | {name: (part, whole) for name, part, whole in labelers if name}


class Campaigns:
    """The campaigns, by title."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.moved: set[str] = set()
        """Titles of campaigns whose state or specification this process changed."""
        self.forgotten: set[str] = set()
        """Titles of campaigns whose record this process deleted."""

    def add(self, title: str, spec: dict[str, Any]) -> CampaignRecord:
        """Records a campaign as planned; an existing record stays as it is."""
        row = {"title": title, "state": State.PLANNED.value, "spec": spec, "created_at": now(), "done": 0, "total": 0}
        # When another run was first, its record counts.
        with suppress(IntegrityError), self._database.write() as connection:
            connection.execute(insert(t.campaigns).values(row))
        return self.get(title)

    def get(self, title: str) -> CampaignRecord:
        """Raises UnknownCampaign."""
        record = self.find(title)
        if record is None:
            raise UnknownCampaign(title)
        return record

    def find(self, title: str) -> CampaignRecord | None:
        with self._database.read() as connection:
            row = connection.execute(select(t.campaigns).where(t.campaigns.c.title == title)).one_or_none()
        return None if row is None else _campaign_from(row)

    def all(self, states: Iterable[State] | None = None) -> list[CampaignRecord]:
        """Campaigns in these states, or all of them, the newest first."""
        query = select(t.campaigns).order_by(t.campaigns.c.created_at.desc(), t.campaigns.c.title)
        if states is not None:
            query = query.where(t.campaigns.c.state.in_([state.value for state in states]))
        with self._database.read() as connection:
            return [_campaign_from(row) for row in connection.execute(query)]

    def by_titles(self, titles: Sequence[str]) -> list[CampaignRecord]:
        """The campaigns of these titles, in this order; unknown titles are left out."""
        records: dict[str, CampaignRecord] = {}
        with self._database.read() as connection:
            for first in range(0, len(titles), 500):
                query = select(t.campaigns).where(t.campaigns.c.title.in_(titles[first : first + 500]))
                records.update((row.title, _campaign_from(row)) for row in connection.execute(query))
        return [records[title] for title in titles if title in records]

    def with_remote_id(self, remote_id: str) -> list[CampaignRecord]:
        """The campaigns with this id on their platform; different platforms may use the same id."""
        query = select(t.campaigns).where(t.campaigns.c.remote_id == remote_id)
        with self._database.read() as connection:
            return [_campaign_from(row) for row in connection.execute(query)]

    def move(self, title: str, state: State, why: str | None = None, back_to: State | None = None) -> State:
        """Changes the state, and records the move and its event. Raises IllegalMove. Staying records nothing.

        back_to: the state in which a campaign that needs attention or is paused goes on when it is resumed; by default
        the present.
        """
        with self._database.write() as connection:
            row = connection.execute(
                select(t.campaigns).where(t.campaigns.c.title == title).with_for_update()
            ).one_or_none()
            if row is None:
                raise UnknownCampaign(title)
            current = State(row.state)
            if move(current, state) is current:
                return current
            values: dict[str, Any] = {"state": state.value, "reason": None, "state_before": None}
            if state in BLOCKED:
                before = row.state_before if current in BLOCKED else current.value
                values.update(reason=why, state_before=back_to.value if back_to else before)
            connection.execute(update(t.campaigns).where(t.campaigns.c.title == title).values(values))
            inserted = connection.execute(
                insert(t.moves).values(campaign=title, was=current.value, became=state.value, at=now(), why=why)
            )
            if state in KINDS:
                payload = {
                    "was": current.value,
                    "state": state.value,
                    "done": row.done,
                    "total": row.total,
                    "why": why,
                }
                write_event(connection, title, KINDS[state], str(new_key(inserted)), payload)
        self.moved.add(title)
        return state

    def moves(self, title: str) -> list[Move]:
        query = select(t.moves).where(t.moves.c.campaign == title).order_by(t.moves.c.id)
        with self._database.read() as connection:
            return [Move(State(r.was), State(r.became), utc(r.at), r.why) for r in connection.execute(query)]

    def last_moves(self, titles: Sequence[str]) -> dict[str, tuple[Move, int]]:
        """The last move of each campaign, and how many it has made; campaigns without any are missing."""
        counted = select(func.max(t.moves.c.id).label("id"), func.count().label("moves")).group_by(t.moves.c.campaign)
        moves: dict[str, tuple[Move, int]] = {}
        with self._database.read() as connection:
            for first in range(0, len(titles), 500):
                newest = counted.where(t.moves.c.campaign.in_(titles[first : first + 500])).subquery()
                query = select(t.moves, newest.c.moves.label("number")).join(newest, newest.c.id == t.moves.c.id)
                for row in connection.execute(query):
                    last = Move(State(row.was), State(row.became), utc(row.at), row.why)
                    moves[row.campaign] = (last, row.number)
        return moves

    def record_spec(self, title: str, spec: dict[str, Any]) -> None:
        self._set(title, spec=spec)

    def record_change(self, title: str, spec: dict[str, Any], changes: Sequence[str]) -> None:
        """Replaces the specification of a launched campaign, and records the event with what changed, in words."""
        with self._database.write() as connection:
            mine = t.campaigns.c.title == title
            connection.execute(update(t.campaigns).where(mine).values(spec=spec))
            write_event(connection, title, CHANGED, str(uuid4()), {"changes": list(changes)})
        self.moved.add(title)

    def begin_again(self, title: str, spec: dict[str, Any], *, keep_images: bool) -> None:
        """Replaces a campaign of which nothing exists outside this ledger, by one that is planned.

        keep_images: whether the manifest stays. The history stays; the move that is added makes the runs that sweeps
        start for the new specification others than those for the old one.
        """
        kept = [t.moves, t.events, *([t.images, t.rejects] if keep_images else [])]
        tables = [table for table in t.metadata.sorted_tables if _belongs_to_campaign(table) and table not in kept]
        values: dict[str, Any] = {"spec": spec, "state": State.PLANNED.value, "state_before": None, "reason": None}
        values |= {"image_set": None, "remote_id": None}
        with self._database.write() as connection:
            mine = t.campaigns.c.title == title
            current = connection.scalar(select(t.campaigns.c.state).where(mine).with_for_update())
            for table in tables:
                connection.execute(delete(table).where(table.c.campaign == title))
            connection.execute(
                update(t.campaigns).where(mine).values(values | ({} if keep_images else {"images": None}))
            )
            why = "launched again with a corrected file"
            moved = {"campaign": title, "was": current, "became": State.PLANNED.value, "at": now(), "why": why}
            connection.execute(insert(t.moves).values(moved))

    def record_unanswered_notes(self, title: str, count: int) -> None:
        self._set(title, unanswered_notes=count)

    def record_look(self, title: str, done: int, total: int, labelers: Sequence[tuple[str, int, int]] = ()) -> bool:
        """Records images done and total, and the same for each labeler where the platform reports them.

        Returns whether anything changed since the last time; then the change is recorded with an event.
        """
        progress = _by_labeler(done, total, labelers)
        with self._database.write() as connection:
            connection.execute(
                update(t.campaigns).where(t.campaigns.c.title == title).values(done=done, total=total, looked_at=now())
            )
            before = _last_progress(connection, title)
            changed = [name for name in progress if before.get(name) != progress[name]]
            number = None
            for name in changed:
                row = {
                    "campaign": title,
                    "labeler": name,
                    "at": now(),
                    "done": progress[name][0],
                    "total": progress[name][1],
                }
                inserted = connection.execute(insert(t.progress).values(row))
                number = new_key(inserted)
            if number is not None and (before or done):  # the first look at an untouched campaign is no progress
                payload = {
                    "done": done,
                    "total": total,
                    "labelers": [{"labeler": name, "done": part, "total": whole} for name, part, whole in labelers],
                }
                write_event(connection, title, "progressed", str(number), payload)
        return bool(changed)

    def has_progress(self, title: str, done: int, total: int, labelers: Sequence[tuple[str, int, int]] = ()) -> bool:
        """Whether the last recorded progress is this one."""
        with self._database.read() as connection:
            before = _last_progress(connection, title)
        return all(before.get(name) == counts for name, counts in _by_labeler(done, total, labelers).items())

    def record_looks(self, titles: Sequence[str]) -> None:
        """Records that the progress was read and had not changed."""
        with self._database.write() as connection:
            for first in range(0, len(titles), 500):
                chunk = list(titles[first : first + 500])
                connection.execute(update(t.campaigns).where(t.campaigns.c.title.in_(chunk)).values(looked_at=now()))

    def progress(self, title: str, labeler: str = "") -> list[Progress]:
        """The changes of the progress, the oldest first. Without a labeler: of all together."""
        query = select(t.progress).where(t.progress.c.campaign == title, t.progress.c.labeler == labeler)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(t.progress.c.id)).all()
        return [Progress(utc(row.at), row.done, row.total) for row in rows]

    def histories(self, titles: Sequence[str]) -> dict[str, list[Progress]]:
        """The progress of many campaigns, of all labelers together."""
        histories: dict[str, list[Progress]] = {}
        with self._database.read() as connection:
            for first in range(0, len(titles), 500):
                condition = t.progress.c.campaign.in_(titles[first : first + 500]) & (t.progress.c.labeler == "")
                for row in connection.execute(select(t.progress).where(condition).order_by(t.progress.c.id)):
                    histories.setdefault(row.campaign, []).append(Progress(utc(row.at), row.done, row.total))
        return histories

    def last_progress_id(self) -> int:
        """Grows with each recorded change of any campaign's progress."""
        with self._database.read() as connection:
            return connection.scalar(select(func.max(t.progress.c.id))) or 0

    def labelers(self, title: str) -> list[str]:
        """The labelers whose progress the platform reported."""
        query = select(t.progress.c.labeler).where(t.progress.c.campaign == title, t.progress.c.labeler != "")
        with self._database.read() as connection:
            return sorted(set(connection.scalars(query.distinct())))

    def forget(self, title: str) -> None:
        """Deletes every record of the campaign; platform and datasets are not touched. Raises UnknownCampaign."""
        with self._database.write() as connection:
            if not connection.execute(delete(t.campaigns).where(t.campaigns.c.title == title)).rowcount:
                raise UnknownCampaign(title)
        self.forgotten.add(title)

    def record_image_set(self, title: str, image_set: str) -> None:
        self._set(title, image_set=image_set)

    def record_remote_campaign(self, title: str, remote_id: str) -> None:
        self._set(title, remote_id=remote_id)

    def _set(self, title: str, **values: Any) -> None:
        with self._database.write() as connection:
            connection.execute(update(t.campaigns).where(t.campaigns.c.title == title).values(**values))

    def record_dataset(self, title: str, dataset: DatasetVersion) -> None:
        """Records a registered version, which is the newest of its name now. Idempotent. See `registered.record`."""
        with self._database.write() as connection:
            registered.record(connection, title, dataset)

    def datasets(self, title: str) -> list[dict[str, Any]]:
        """The registered versions, the oldest registration first. See `registered.listed`."""
        with self._database.read() as connection:
            return registered.listed(connection, title)

    def newest_datasets(self, limit: int) -> list[NewDataset]:
        """The versions of all campaigns that were exported last, the newest first."""
        with self._database.read() as connection:
            return registered.newest(connection, limit)


def _campaign_from(row: Row[Any]) -> CampaignRecord:
    return CampaignRecord(
        title=row.title,
        state=State(row.state),
        spec=row.spec,
        created_at=utc(row.created_at),
        state_before=State(row.state_before) if row.state_before else None,
        reason=row.reason,
        image_set=row.image_set,
        remote_id=row.remote_id,
        images=row.images,
        done=row.done,
        total=row.total,
        looked_at=utc(row.looked_at) if row.looked_at else None,
        unanswered_notes=row.unanswered_notes or 0,
    )
