"""What a person reads of a campaign's state on every page and in every list: since when, why, and the way on."""

from __future__ import annotations

import re
from collections.abc import Sequence

from labelwright.domain import BLOCKED, State
from labelwright.domain.commands import quoted
from labelwright.ledger import Move


def way_on(title: str, state: State, reason: str | None) -> str:
    """The command that leads on from a blocked state, with its occasion; empty when the reason names its own."""
    if state not in BLOCKED or (reason and names_command(title, reason)):
        return ""
    occasion = "To go on" if state is State.PAUSED else "When that is fixed"
    return f"{occasion}: labelwright resume {quoted(title)}"


def names_command(title: str, reason: str) -> bool:
    """Whether a reason names a command for this campaign."""
    return re.search(rf"labelwright [a-z-]+ {re.escape(quoted(title))}", reason) is not None


def unanswered_notes(title: str, count: int) -> str:
    """How many notes of labelers have no answer, and the command that lists them; empty without any."""
    if not count:
        return ""
    notes = "1 note of a labeler has" if count == 1 else f"{count:,} notes of labelers have"
    return f"{notes} no answer: labelwright notes {quoted(title)}"


def last_move(moves: Sequence[Move], *, with_cause: bool) -> str:
    """When the campaign came into its state and by what, as "since 2026-12-18 09:30 UTC: by a person"."""
    if not moves:
        return ""
    move = moves[-1]
    since = f"since {move.at:%Y-%m-%d %H:%M} UTC"
    return f"{since}: {move.why}" if with_cause and move.why else since
