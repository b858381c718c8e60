"""The pace of a campaign, its estimated end, and when it counts as stalled or overdue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

RECENT = timedelta(days=7)
"""The rate is measured over the last week, since labelers come and go."""

SHORTEST_QUIET = timedelta(hours=1)
LONGEST_QUIET = timedelta(hours=72)
"""Long enough for a weekend."""


@dataclass(frozen=True, slots=True)
class Progress:
    """The number of images done and of all images, at a moment at which it changed."""

    at: datetime
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Pace:
    """The pace of a campaign, and the estimates that follow from it."""

    per_hour: float | None
    """Images per hour in the last week; None until the count has changed once."""
    remaining: timedelta | None
    """None when it cannot be estimated."""
    expected_end: datetime | None
    quiet_since: datetime | None
    """When an image was last finished, or when work could begin or begin again."""


def pace_of(history: Sequence[Progress], now: datetime) -> Pace:
    """The pace of a campaign, or of one labeler. `history` is in order of time; the first entry is its beginning."""
    if not history:
        return Pace(None, None, None, None)
    now = max(now, history[-1].at)  # the clock may have been set back
    last = history[-1]
    per_hour = _rate(history, now)
    left = last.total - last.done
    if left <= 0:
        return Pace(per_hour, timedelta(0), last.at, last.at)
    remaining = timedelta(hours=min(left / per_hour, 24 * 365 * 10)) if per_hour else None
    return Pace(per_hour, remaining, now + remaining if remaining is not None else None, last_advance(history))


def _rate(history: Sequence[Progress], now: datetime) -> float | None:
    """Images per hour in the last week; None when no image was finished in it.

    Images are taken to be finished evenly between two entries, so of an interval that began before the week only the
    share inside the week counts. The time since the last entry counts once it is longer than the usual interval:
    before that, nothing says that the pace has changed.
    """
    begin = now - RECENT
    intervals = [(before, after) for before, after in pairwise(history) if after.at > begin and after.at > before.at]
    gained, elapsed = 0.0, timedelta(0)
    for before, after in intervals:
        inside = after.at - max(before.at, begin)
        gained += inside / (after.at - before.at) * max(0, after.done - before.done)
        elapsed += inside  # summed up: after a clock was set back, the last entry may lie before the first
    if not gained:
        return None
    usual = _median([after.at - before.at for before, after in intervals if after.done > before.done])
    quiet = max(timedelta(0), now - history[-1].at - usual)
    return gained / ((elapsed + quiet) / timedelta(hours=1))


def last_advance(history: Sequence[Progress]) -> datetime:
    """When the count last grew, or when images were given back or added; else the beginning."""
    for before, after in zip(reversed(history[:-1]), reversed(history[1:]), strict=True):
        if (after.done, after.total) != (before.done, before.total):
            return after.at
    return history[0].at


def quiet_limit(history: Sequence[Progress], deadline: datetime | None) -> timedelta:
    """How long a campaign may be without progress before it counts as stalled.

    Ten times the campaign's own usual gap, or a tenth of the time until its deadline, whichever is longer; at least an
    hour, at most three days.
    """
    gaps = [
        after.at - before.at for before, after in pairwise(history) if after.done > before.done and after.at > before.at
    ]
    usual = _median(gaps) * 10
    share_of_deadline = (deadline - history[0].at) / 10 if deadline and history else LONGEST_QUIET
    return min(LONGEST_QUIET, max(SHORTEST_QUIET, usual, share_of_deadline))


def _median(spans: Sequence[timedelta]) -> timedelta:
    """The upper median; zero for none."""
    return sorted(spans)[len(spans) // 2] if spans else timedelta(0)


def is_stalled(history: Sequence[Progress], deadline: datetime | None, now: datetime) -> bool:
    """Whether nothing has happened for too long, with images left to label."""
    if not history or history[-1].done >= history[-1].total:
        return False
    return now - last_advance(history) > quiet_limit(history, deadline)


def is_overdue(history: Sequence[Progress], deadline: datetime | None, now: datetime) -> bool:
    """Whether the deadline has passed with images left to label."""
    return deadline is not None and now > deadline and bool(history) and history[-1].done < history[-1].total
