"""Forecast of a campaign from its progress history: pace, expected end, stalled, overdue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from labelwright.domain import OPEN, Pace, Progress, is_overdue, is_stalled, last_advance, pace_of
from labelwright.ledger import CampaignRecord, Ledger

from .time_zones import show_moment


@dataclass(frozen=True, slots=True)
class Outlook:
    """Pace, deadline and trouble of a campaign at a moment."""

    pace: Pace
    deadline: datetime | None
    stalled_since: datetime | None
    """None while it advances, and for campaigns that are not open for labeling."""
    overdue: bool
    timezone: str | None = None
    """The campaign's time zone, in which the deadline is shown."""

    @property
    def shown_deadline(self) -> str:
        """The deadline with its time zone; empty when there is none."""
        return show_moment(self.deadline, self.timezone) if self.deadline else ""

    @property
    def trouble(self) -> str:
        """A short phrase for tables; empty when there is none."""
        stalled = [f"stalled since {self.stalled_since:%Y-%m-%d %H:%M} UTC"] if self.stalled_since else []
        return ", ".join([*stalled, *(["overdue"] if self.overdue else [])])

    def as_facts(self) -> dict[str, Any]:
        """JSON fields for events and scripts."""
        end, hours = self.pace.expected_end, self.pace.per_hour
        return {
            "images_per_hour": round(hours, 2) if hours else None,
            "expected_end": end.isoformat(timespec="minutes") if end else None,
            "deadline": self.deadline.isoformat() if self.deadline else None,
        }


def outlook_of(record: CampaignRecord, history: Sequence[Progress], moment: datetime | None = None) -> Outlook:
    """The outlook from the campaign's record and its progress, oldest first."""
    moment, deadline = moment or datetime.now(UTC), deadline_of(record)
    is_open = record.state in OPEN
    since = last_advance(history) if is_open and is_stalled(history, deadline, moment) else None
    overdue = is_open and is_overdue(history, deadline, moment)
    return Outlook(pace_of(history, moment), deadline, since, overdue, record.spec.get("timezone"))


def deadline_of(record: CampaignRecord) -> datetime | None:
    """The deadline, without validating the whole specification: a sweep reads hundreds."""
    deadline = record.spec.get("deadline")
    return datetime.fromisoformat(deadline) if deadline else None


@dataclass(frozen=True, slots=True)
class LabelerOutlook:
    """Progress of one labeler, and the time it will still take."""

    name: str
    done: int
    total: int
    remaining: timedelta | None


def labelers_of(ledger: Ledger, record: CampaignRecord, moment: datetime | None = None) -> list[LabelerOutlook]:
    """Each labeler whom the platform reports; else the campaign's one labeler."""
    moment = moment or datetime.now(UTC)
    names = ledger.campaigns.labelers(record.title)
    histories = {name: ledger.campaigns.progress(record.title, name) for name in names}
    if not histories:
        histories = {str(record.spec.get("labeler")): ledger.campaigns.progress(record.title)}
    return [
        LabelerOutlook(name, history[-1].done, history[-1].total, pace_of(history, moment).remaining)
        for name, history in histories.items()
        if history
    ]


def in_words(span: timedelta | None) -> str:
    """A duration such as "40 min", "12 h" or "3 days"; empty when unknown."""
    if span is None:
        return ""
    hours = span.total_seconds() / 3600
    if hours < 1:
        return f"{round(hours * 60)} min"
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} days"
