"""A run takes up its work, or another one is started in its place: never both."""

from __future__ import annotations

import threading

import pytest

from labelwright.ledger import Ledger
from labelwright.ledger.runs import RunReplaced

FIRST, SECOND, THIRD = (f"0d9e0000-0000-4000-8000-00000000000{number}" for number in range(3))


@pytest.fixture
def ledger(url) -> Ledger:
    return Ledger(url)


def begin(ledger: Ledger, run: str) -> None:
    with ledger.leases.held(f"flow run {run}", "it", run):
        ledger.runs.record_begun()
        ledger.runs.record_begun()


def test_a_run_that_began_is_not_lost(ledger):
    begin(ledger, FIRST)
    assert ledger.runs.claim_lost(FIRST) is None
    assert ledger.runs.find([FIRST, SECOND])[FIRST].began_at is not None


def test_a_lost_run_is_replaced_once_and_does_not_begin_afterwards(ledger):
    assert ledger.runs.claim_lost(FIRST) == 1
    assert ledger.runs.claim_lost(FIRST) == 1, "the process may have died before it started the other run"
    ledger.runs.record_follower(FIRST, SECOND)
    ledger.runs.record_follower(FIRST, SECOND)
    assert ledger.runs.claim_lost(FIRST) is None
    with pytest.raises(RunReplaced, match="another run was started in its place"):
        begin(ledger, FIRST)
    begin(ledger, SECOND)


def test_attempts_are_counted_from_run_to_run(ledger):
    ledger.runs.claim_lost(FIRST)
    ledger.runs.record_follower(FIRST, SECOND)
    assert ledger.runs.claim_lost(SECOND) == 2
    ledger.runs.record_follower(SECOND, THIRD)
    assert ledger.runs.find([THIRD])[THIRD].attempt == 3


def test_a_follower_that_began_at_once_keeps_its_beginning(ledger):
    ledger.runs.claim_lost(FIRST)
    begin(ledger, SECOND)
    ledger.runs.record_follower(FIRST, SECOND)
    second = ledger.runs.find([SECOND])[SECOND]
    assert (second.began_at is not None, second.attempt) == (True, 2)


def test_of_a_beginning_and_a_claim_at_once_one_wins(ledger):
    for number in range(8):
        run, outcomes, gate = f"run {number}", [], threading.Barrier(2)

        def start(run: str = run, outcomes: list[str] = outcomes, gate: threading.Barrier = gate) -> None:
            gate.wait()
            try:
                begin(ledger, run)
                outcomes.append("begun")
            except RunReplaced:
                pass

        thread = threading.Thread(target=start)
        thread.start()
        gate.wait()
        if ledger.runs.claim_lost(run) is not None:
            outcomes.append("claimed")
        thread.join()
        assert len(outcomes) == 1
