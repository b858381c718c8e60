"""Drops whose event or run was lost: which are tried again, when, and what is left to a person."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from labelwright.campaigns.yaml_loader import SpecError
from labelwright.ledger import DROPS, CampaignBusy, Process, drop_key
from labelwright.ledger.leases import Leases
from labelwright.platforms import PlatformRefused, PlatformUnavailable
from labelwright.settings import forget_settings
from labelwright.tasks.campaign.drops import drop_lease, lost_drops, settling
from labelwright.tasks.context import the_ledger

BLOB, ETAG = "river/campaign.yaml", "0x1"


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    """One campaign file was told of just now."""
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path))
    forget_settings()
    ledger = the_ledger()
    told = {"blob": BLOB, "etag": ETAG}
    ledger.inbox.put(DROPS, drop_key(BLOB, ETAG), "labelwright.drop.arrived", {}, told)
    ledger.inbox.mark_sent(letter.id for letter in ledger.inbox.waiting())
    yield ledger
    forget_settings()


def tries(**later: float) -> list[int]:
    return [attempt for _, attempt in lost_drops(datetime.now(UTC) + timedelta(**later))]


def test_it_is_tried_again_whenever_its_age_has_doubled(ledger):
    at = {minutes: tries(minutes=minutes) for minutes in (9, 11, 19, 21, 39, 41, 81)}
    assert at == {9: [], 11: [1], 19: [1], 21: [2], 39: [2], 41: [3], 81: [4]}
    assert tries(days=6) == [10]
    assert tries(days=8) == []


def test_one_that_is_in_a_runs_hands_is_left_to_it(ledger):
    other = Leases(ledger.outbox._database, process=Process("another-machine", 4711, "99"))
    with other.held(drop_lease(BLOB), "the run 'fox'"):
        assert tries(minutes=11) == []
    assert tries(minutes=11) == [1]


@pytest.mark.parametrize(
    "failure",
    [SpecError("river/campaign.yaml: labeller: did you mean 'labeler'"), PlatformRefused("azure", "send", status=403)],
)
def test_a_refusal_is_left_to_a_person(ledger, failure):
    with pytest.raises(type(failure)), settling(BLOB, ETAG):
        raise failure
    assert tries(minutes=11) == []
    assert ledger.inbox.launched_from(BLOB, ETAG) is None, "a person may still say it again"


@pytest.mark.parametrize(
    "failure", [PlatformUnavailable("azure", "send", message="the night"), CampaignBusy("fox"), KeyboardInterrupt()]
)
def test_what_may_pass_by_itself_is_tried_again(ledger, failure):
    with pytest.raises(type(failure)), settling(BLOB, ETAG, "river"):
        raise failure
    assert tries(minutes=11) == [1]


def test_a_campaign_that_the_ledger_knows_is_taken_up_as_one(ledger):
    ledger.campaigns.add("river", {})
    with pytest.raises(PlatformUnavailable), settling(BLOB, ETAG, "river"):
        raise PlatformUnavailable("shelf", "send images", message="the night")
    assert tries(minutes=11) == []
    assert ledger.inbox.launched_from(BLOB, ETAG) == "river"
