"""Prints what a sweep found: every campaign with its state, or why it could not be checked."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.markup import escape

from labelwright.domain import BLOCKED, OPEN, WORK, State

from .console import out, show_json
from .images import command_for, in_words

if TYPE_CHECKING:
    from labelwright.ledger import Ledger

_FAILED, _UNAVAILABLE = 1, 4


@dataclass(frozen=True, slots=True)
class Report:
    """What a sweep returned."""

    states: Mapping[str, str]
    failures: Mapping[str, str]
    """Reason by title, for campaigns that could not be checked or could not go on."""
    refused: Collection[str]
    """Of the failures, the titles of those that do not pass by themselves."""


@dataclass(frozen=True, slots=True)
class Row:
    """One campaign. A drop whose launch could not be started has no state."""

    title: str
    state: str | None
    images: Mapping[str, int]
    """Counts of images that are not labeled, by state."""
    reason: str | None
    """Why it needs attention or is paused."""
    failure: str | None
    """Why it could not be checked, or could not go on."""
    needs_person: bool
    way_on: str = ""
    """The command that leads on, unless the reason names one."""
    unanswered_notes: int = 0
    """Notes of labelers without an answer."""


def rows_of(report: Report, ledger: Ledger) -> list[Row]:
    """Every campaign that is not at its end, and those that this sweep exported."""
    from labelwright.campaigns.next_steps import way_on
    from labelwright.campaigns.queue import campaign_wait

    unfinished = [record.title for record in ledger.campaigns.all(OPEN | BLOCKED | frozenset(WORK))]
    titles = list(dict.fromkeys([*report.states, *report.failures, *unfinished]))
    waits = ledger.waits.all()
    records = {record.title: record for record in ledger.campaigns.by_titles(titles)}
    counts = ledger.image_states.counts(titles)
    rows = []
    for title in titles:
        record = records.get(title)
        state = report.states.get(title) if record is None else record.state.value
        needs_attention = state == State.NEEDS_ATTENTION.value
        failure = report.failures.get(title)
        if failure is None and (wait := waits.get(campaign_wait(title))) is not None:
            failure = f"goes on after {wait.until:%Y-%m-%d %H:%M} UTC: {wait.reason}"
        if state in {blocked.value for blocked in BLOCKED}:
            failure = None  # the reason says it already
        rows.append(
            Row(
                title,
                state,
                counts.get(title, {}),
                record.reason if record else None,
                failure,
                needs_attention or title in report.refused,
                way_on(title, record.state, record.reason) if record else "",
                record.unanswered_notes if record else 0,
            )
        )
    return rows


def show_rows(rows: Sequence[Row], as_json: bool) -> None:
    from labelwright.campaigns.next_steps import unanswered_notes

    if as_json:
        show_json(
            {
                row.title: {
                    "state": row.state,
                    "images": dict(row.images),
                    "reason": row.reason,
                    "failure": row.failure,
                    "needs_person": row.needs_person,
                    "unanswered_notes": row.unanswered_notes,
                }
                for row in rows
            }
        )
        return
    if not rows:
        out.print("No campaign is open.")
    for row in rows:
        summary, command = in_words(row.images), command_for(row.title, row.images)
        more = f" ({summary}{': ' + command if command else ''})" if summary else ""
        out.print(f"{escape(row.title)}: {escape((row.state or 'not launched') + more)}")
        if row.reason:
            out.print(f"  why: {escape(row.reason)}")
        if row.way_on:
            out.print(f"  {escape(row.way_on)}")
        if row.failure:
            out.print(f"  {escape(row.failure)}")
        if row.unanswered_notes:
            out.print(f"  {escape(unanswered_notes(row.title, row.unanswered_notes))}")


def exit_code_of(rows: Sequence[Row]) -> int:
    """1 when a campaign needs a person, else 4 when one could not be checked or could not go on, else 0."""
    if any(row.needs_person for row in rows):
        return _FAILED
    return _UNAVAILABLE if any(row.failure for row in rows) else 0
