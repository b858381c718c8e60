"""The states of a campaign, the same on every platform, and the table of moves between them."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """State of a campaign.

    planned: a manifest exists, nothing was sent. uploading: images are on their way. created: the platform holds images
    and campaign. active: labelers may label. completed: every image is labeled. reopened: given back to the labelers.
    finished: closed on the platform. exported: its dataset is registered. cancelled: given up by a person.
    needs_attention: cannot go on without a person; the reason is in the ledger. paused: a person cancelled its run in
    Prefect, and no other is started until a person resumes it.
    """

    PLANNED = "planned"
    UPLOADING = "uploading"
    CREATED = "created"
    ACTIVE = "active"
    COMPLETED = "completed"
    REOPENED = "reopened"
    FINISHED = "finished"
    EXPORTED = "exported"
    CANCELLED = "cancelled"
    NEEDS_ATTENTION = "needs attention"
    PAUSED = "paused"


_S = State

MOVES: dict[State, frozenset[State]] = {
    _S.PLANNED: frozenset({_S.UPLOADING, _S.CANCELLED, _S.NEEDS_ATTENTION, _S.PAUSED}),
    _S.UPLOADING: frozenset({_S.CREATED, _S.CANCELLED, _S.NEEDS_ATTENTION, _S.PAUSED}),
    _S.CREATED: frozenset({_S.ACTIVE, _S.CANCELLED, _S.NEEDS_ATTENTION, _S.PAUSED}),
    _S.ACTIVE: frozenset({_S.COMPLETED, _S.REOPENED, _S.CANCELLED, _S.NEEDS_ATTENTION}),
    # Exported without being closed on the platform: a partial delivery, whose other images may still be corrected.
    _S.COMPLETED: frozenset({_S.FINISHED, _S.EXPORTED, _S.REOPENED, _S.CANCELLED, _S.NEEDS_ATTENTION, _S.PAUSED}),
    _S.REOPENED: frozenset({_S.COMPLETED, _S.CANCELLED, _S.NEEDS_ATTENTION}),
    _S.FINISHED: frozenset({_S.EXPORTED, _S.REOPENED, _S.NEEDS_ATTENTION, _S.PAUSED}),
    _S.EXPORTED: frozenset({_S.REOPENED}),
    _S.CANCELLED: frozenset(),
    # A person has solved the problem, or resumed it: back to the state before.
    _S.NEEDS_ATTENTION: frozenset(_S) - {_S.NEEDS_ATTENTION},
    _S.PAUSED: frozenset(_S) - {_S.PAUSED},
}

BLOCKED = frozenset({_S.NEEDS_ATTENTION, _S.PAUSED})
"""The states in which a campaign waits for a person to resume it. The ledger has the reason and the state before."""

OPEN = frozenset({_S.ACTIVE, _S.REOPENED})
"""The states in which labelers work and sweeps check the campaign."""


class Work(StrEnum):
    """The next step of a campaign that is not its labelers' work."""

    LAUNCH = "launch"
    FINISH = "finish"
    DELIVER = "deliver"
    """A partial delivery while labelers are at work."""


WORK: dict[State, Work] = {
    _S.PLANNED: Work.LAUNCH,
    _S.UPLOADING: Work.LAUNCH,
    _S.CREATED: Work.LAUNCH,
    _S.COMPLETED: Work.FINISH,
    _S.FINISHED: Work.FINISH,
}
"""The next step for a campaign that no run is working on."""

LABELED = frozenset({_S.COMPLETED, _S.FINISHED, _S.EXPORTED})
"""The states in which every image is labeled."""


class IllegalMove(ValueError):
    """A change of state that the table of moves does not have."""

    def __init__(self, current: State, target: State) -> None:
        super().__init__(f"a campaign that is {current.value} cannot become {target.value}")
        self.current = current
        self.target = target


def move(current: State, target: State) -> State:
    """Returns the target state. Raises IllegalMove when the table has no such move; staying is always allowed."""
    if target is not current and target not in MOVES[current]:
        raise IllegalMove(current, target)
    return target
