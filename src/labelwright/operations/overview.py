"""What the list of campaigns shows: counted, filtered and sorted from the ledger, with a fixed number of queries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock

from labelwright.campaigns.next_steps import last_move, unanswered_notes
from labelwright.campaigns.outlook import Outlook, outlook_of
from labelwright.campaigns.queue import connection_of, reasons_to_wait
from labelwright.domain import BLOCKED, OPEN, WORK, Progress, State
from labelwright.ledger import CampaignRecord, Ledger, Move, NewDataset

PER_PAGE = 50
"""Campaigns on one page."""
NEWEST = 6
"""Datasets that are shown above the list."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A campaign with its outlook at this moment."""

    record: CampaignRecord
    outlook: Outlook

    @property
    def needs_person(self) -> bool:
        """Whether it waits for a person, is late (stalled or overdue), or has notes that nobody answered."""
        return self.record.state in BLOCKED or bool(self.outlook.trouble) or self.has_unanswered_notes

    @property
    def has_unanswered_notes(self) -> bool:
        return self.record.unanswered_notes > 0 and self.record.state is not State.CANCELLED


FILTERS: Mapping[str, tuple[str, Callable[[Entry], bool]]] = {
    "all": ("All", lambda entry: True),
    "person": ("Needs a person", lambda entry: entry.needs_person),
    "labeling": ("With labelers", lambda entry: entry.record.state in OPEN),
    "run": ("Waits for a run", lambda entry: entry.record.state in WORK),
    "over": ("Over", lambda entry: entry.record.state in (State.EXPORTED, State.CANCELLED)),
}
"""Title and condition of each filter."""


@dataclass(frozen=True, slots=True)
class Query:
    """Which part of the list a person looks at."""

    show: str = "all"
    find: str = ""
    """Part of a title, a labeler or a connection, in any case."""
    page: int = 1


@dataclass(frozen=True, slots=True)
class Row:
    """A campaign as the list shows it."""

    title: str
    state: str
    needs_person: bool
    done: int
    total: int
    pace: str
    expected_end: datetime | None
    deadline: str
    overdue: bool
    labeler: str
    connection: str
    looked_at: datetime | None
    since: str
    reasons: tuple[str, ...]
    """Why it needs a person or waits, each a sentence."""

    @property
    def percent(self) -> int:
        return 100 * self.done // self.total if self.total else 0


@dataclass(frozen=True, slots=True)
class Overview:
    """One page of the list, and the numbers of campaigns by filter."""

    rows: tuple[Row, ...]
    counts: Mapping[str, int]
    """Of campaigns that match the text, by filter."""
    page: int
    pages: int
    matches: int
    datasets: tuple[NewDataset, ...]


class Overviews:
    """Reads overviews of one ledger. Safe to use from several threads."""

    def __init__(self, ledger: Ledger, restart_minutes: Sequence[float]) -> None:
        self._ledger, self._restart_minutes = ledger, restart_minutes
        self._lock = Lock()
        self._histories_key: tuple[int, frozenset[str]] | None = None
        self._histories: dict[str, list[Progress]] = {}

    def read(self, query: Query, moment: datetime | None = None) -> Overview:
        """The page of the list that the query names, or the last one when there are fewer."""
        moment = moment or datetime.now(UTC)
        records = self._ledger.campaigns.all()
        histories = self._progress(records)
        text = query.find.casefold()
        entries = [
            Entry(record, outlook_of(record, histories.get(record.title, []), moment))
            for record in records
            if not text or _matches(record, text)
        ]
        chosen = sorted(filter(FILTERS[query.show][1], entries), key=_urgency)
        pages = max(1, -(-len(chosen) // PER_PAGE))
        page = min(max(1, query.page), pages)
        visible = chosen[(page - 1) * PER_PAGE : page * PER_PAGE]
        counts = {name: sum(map(condition, entries)) for name, (_, condition) in FILTERS.items()}
        datasets = tuple(self._ledger.campaigns.newest_datasets(NEWEST))
        return Overview(self._rows(visible, records), counts, page, pages, len(chosen), datasets)

    def _rows(self, visible: Sequence[Entry], records: Sequence[CampaignRecord]) -> tuple[Row, ...]:
        titles = [entry.record.title for entry in visible]
        waiting = reasons_to_wait(self._ledger, records, self._restart_minutes)
        moves = self._ledger.campaigns.last_moves(titles)
        states = self._ledger.image_states.counts(titles) if titles else {}
        return tuple(
            row_of(entry, moves.get(title, (None, 0))[0], waiting.get(title), states.get(title, {}))
            for title, entry in zip(titles, visible, strict=True)
        )

    def _progress(self, records: Sequence[CampaignRecord]) -> dict[str, list[Progress]]:
        """Progress of the campaigns that labelers work on; read again only when a row was added."""
        titles = frozenset(record.title for record in records if record.state in OPEN)
        with self._lock:
            key = (self._ledger.campaigns.last_progress_id(), titles)
            if key != self._histories_key:
                self._histories = self._ledger.campaigns.histories(sorted(titles))
                self._histories_key = key
            return self._histories


def row_of(entry: Entry, move: Move | None, waiting: str | None, image_states: Mapping[str, int]) -> Row:
    """What the list and the campaign's own page show of it."""
    record, outlook = entry.record, entry.outlook
    is_open = record.state in OPEN
    not_labeled = ", ".join(f"{count:,} {state}" for state, count in image_states.items())
    reasons = (
        record.reason,
        outlook.trouble,
        waiting,
        f"images not labeled: {not_labeled}" if not_labeled else "",
        unanswered_notes(record.title, record.unanswered_notes) if entry.has_unanswered_notes else "",
    )
    return Row(
        title=record.title,
        state=record.state.value,
        needs_person=entry.needs_person,
        done=record.done,
        total=record.total or record.images or 0,
        pace=f"{outlook.pace.per_hour:.1f} an hour" if is_open and outlook.pace.per_hour else "",
        expected_end=outlook.pace.expected_end if is_open else None,
        deadline=outlook.shown_deadline,
        overdue=outlook.overdue,
        labeler=str(record.spec.get("labeler") or ""),
        connection=connection_of(record),
        looked_at=record.looked_at,
        since=last_move([move] if move else [], with_cause=not record.reason),
        reasons=tuple(filter(None, reasons)),
    )


def _matches(record: CampaignRecord, text: str) -> bool:
    texts = (record.title, str(record.spec.get("labeler") or ""), connection_of(record))
    return any(text in value.casefold() for value in texts)


def _urgency(entry: Entry) -> int:
    """Those that need a person first, those that are over last; within a group the newest first."""
    if entry.needs_person:
        return 0 if entry.record.state is State.NEEDS_ATTENTION else 1
    return 3 if FILTERS["over"][1](entry) else 2
