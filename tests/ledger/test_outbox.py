"""What happened is told once, and never forgotten to be told."""

from __future__ import annotations

import pytest

from labelwright.domain import State
from labelwright.ledger import Ledger, UnknownCampaign


@pytest.fixture
def ledger(url) -> Ledger:
    ledger = Ledger(url)
    ledger.campaigns.add("river", {"title": "river"})
    return ledger


def kinds(ledger: Ledger) -> list[str]:
    return [event.kind for event in ledger.outbox.of("river")]


def go(ledger: Ledger, *states: State) -> None:
    for state in states:
        ledger.campaigns.move("river", state)


def test_every_move_has_an_event(ledger):
    go(ledger, State.UPLOADING, State.CREATED, State.ACTIVE, State.COMPLETED, State.REOPENED, State.COMPLETED)
    assert kinds(ledger) == ["uploading", "created", "activated", "completed", "reopened", "completed"]
    ledger.campaigns.move("river", State.NEEDS_ATTENTION, "the gate")
    last = ledger.outbox.of("river")[-1]
    assert (last.kind, last.payload["why"]) == ("needs-attention", "the gate")


def test_progress_has_an_event_only_when_it_changes(ledger):
    assert ledger.campaigns.record_look("river", 0, 7)
    for done in (0, 3, 3, 3, 5):
        ledger.campaigns.record_look("river", done, 7, [("ann", done, 7)])
    assert kinds(ledger) == ["progressed"] * 3
    assert [event.payload["done"] for event in ledger.outbox.of("river")] == [0, 3, 5]
    assert [progress.done for progress in ledger.campaigns.progress("river")] == [0, 3, 5]
    assert ledger.campaigns.labelers("river") == ["ann"]
    assert [progress.done for progress in ledger.campaigns.progress("river", "ann")] == [0, 3, 5]


def test_a_count_that_returns_has_an_event_again(ledger):
    for done in (3, 7, 2, 7):
        ledger.campaigns.record_look("river", done, 7)
    assert [event.payload["done"] for event in ledger.outbox.of("river")] == [3, 7, 2, 7]


def test_events_of_one_key_are_recorded_once(ledger):
    assert ledger.outbox.put("river", "stalled", "monday", {})
    assert not ledger.outbox.put("river", "stalled", "monday", {})
    assert ledger.outbox.put("river", "stalled", "friday", {})
    assert ledger.outbox.put("river", "overdue", "monday", {})


def test_a_sent_event_keeps_its_id(ledger):
    for number in range(5):
        ledger.outbox.put("river", "stalled", str(number), {"number": number})
    first = ledger.outbox.waiting(3)
    assert [event.payload["number"] for event in first] == [0, 1, 2]
    assert [event.id for event in ledger.outbox.waiting(3)] == [event.id for event in first]
    ledger.outbox.mark_sent([event.id for event in first])
    assert [event.payload["number"] for event in ledger.outbox.waiting()] == [3, 4]


def test_a_deleted_campaign_leaves_nothing_behind(ledger):
    go(ledger, State.UPLOADING)
    ledger.campaigns.record_look("river", 1, 7)
    ledger.effects.intend("river", "x")
    ledger.campaigns.forget("river")
    assert ledger.campaigns.find("river") is None
    assert kinds(ledger) == []
    assert ledger.effects.all("river") == []
    with pytest.raises(UnknownCampaign):
        ledger.campaigns.forget("river")


def test_unpaired_surrogates_are_replaced(ledger):
    ledger.campaigns.move("river", State.NEEDS_ATTENTION, "the server said: \ud83d!")
    assert ledger.campaigns.get("river").reason == "the server said: ?!"
    last = ledger.outbox.of("river")[-1]
    assert last.payload["why"] == "the server said: ?!"
    ledger.outbox.put("river", "stalled", "\udc00", {"labelers": [{"labeler": "\udc00"}]})
    assert ledger.outbox.of("river")[-1].payload == {"labelers": [{"labeler": "?"}]}
