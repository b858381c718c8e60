"""Campaign files that were told of: which of them came of nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from labelwright.ledger import DROPS, Ledger, drop_key

WEEK = timedelta(days=7)


@pytest.fixture
def ledger(url) -> Ledger:
    return Ledger(url)


def drop(ledger: Ledger, blob: str, etag: str = "1", *, sent: bool = True) -> None:
    ledger.inbox.put(DROPS, drop_key(blob, etag), "labelwright.drop.arrived", {}, {"blob": blob, "etag": etag})
    if sent:
        ledger.inbox.mark_sent(letter.id for letter in ledger.inbox.waiting() if letter.payload["blob"] == blob)


def lost(ledger: Ledger, later: timedelta = timedelta(hours=1)) -> list[tuple[str, str]]:
    moment = datetime.now(UTC) + later
    letters = ledger.inbox.lost_drops(moment - timedelta(minutes=10), moment - WEEK)
    return [(letter.payload["blob"], letter.payload["etag"]) for letter in letters]


def test_a_sent_drop_without_a_launch_counts_as_lost_after_a_while(ledger):
    drop(ledger, "river/campaign.yaml")
    drop(ledger, "lake/campaign.yaml", sent=False)
    ledger.inbox.put("webhook north", "n", "labelwright.webhook.received", {}, {"connection": "north"})
    assert lost(ledger, timedelta(0)) == [], "its event has its chance first"
    ledger.inbox.mark_sent(letter.id for letter in ledger.inbox.waiting() if letter.source != DROPS)
    assert lost(ledger) == [("river/campaign.yaml", "1")]
    assert lost(ledger, WEEK * 2) == [], "nobody waits for it any more"


def test_a_launched_or_refused_drop_is_not_lost_but_a_new_version_is(ledger):
    for name in ("river", "lake"):
        drop(ledger, f"{name}/campaign.yaml")
    ledger.inbox.record_launch("river/campaign.yaml", "1", "River")
    ledger.inbox.record_refusal("lake/campaign.yaml", "1")
    assert lost(ledger) == []
    drop(ledger, "lake/campaign.yaml", "2")
    assert lost(ledger) == [("lake/campaign.yaml", "2")]


def test_a_refused_drop_can_still_be_launched_by_a_person(ledger):
    where = ("river/campaign.yaml", "1")
    ledger.inbox.record_refusal(*where)
    assert ledger.inbox.launched_from(*where) is None
    ledger.inbox.record_launch(*where, "River")
    assert ledger.inbox.launched_from(*where) == "River"
    ledger.inbox.record_refusal(*where)
    ledger.inbox.record_launch(*where, "another")
    assert ledger.inbox.launched_from(*where) == "River"
