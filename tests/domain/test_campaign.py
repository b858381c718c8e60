"""The table of moves."""

import itertools

import pytest

from labelwright.domain import LABELED, MOVES, OPEN, IllegalMove, State, move


def test_the_table_knows_every_state():
    assert set(MOVES) == set(State)
    assert set.union(*map(set, MOVES.values())) == set(State)


def test_a_campaign_goes_from_planned_to_exported():
    way = [State.PLANNED, State.UPLOADING, State.CREATED, State.ACTIVE, State.COMPLETED, State.FINISHED, State.EXPORTED]
    for current, following in itertools.pairwise(way):
        assert move(current, following) is following


def test_a_completed_campaign_can_be_reopened_and_completed_again():
    assert move(move(State.COMPLETED, State.REOPENED), State.COMPLETED) is State.COMPLETED


@pytest.mark.parametrize(
    ("current", "target"),
    [(State.PLANNED, State.ACTIVE), (State.ACTIVE, State.FINISHED), (State.CANCELLED, State.ACTIVE)],
)
def test_a_move_that_skips_work_is_refused_and_names_both_states(current, target):
    with pytest.raises(IllegalMove, match=f"is {current.value} cannot become {target.value}"):
        move(current, target)


def test_staying_is_always_allowed():
    assert all(move(state, state) is state for state in State)


def test_needs_attention_can_return_to_the_state_before():
    assert all(State.NEEDS_ATTENTION not in MOVES[state] or state in MOVES[State.NEEDS_ATTENTION] for state in State)


def test_no_state_is_both_open_and_labeled():
    assert not OPEN & LABELED
