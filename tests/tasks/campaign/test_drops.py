"""Drops whose event or run was lost: which are tried again, when, and what is left to a person."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from labelwright.campaigns.yaml_loader import SpecError
from labelwright.ingest.sources.local import CannotRead
from labelwright.ledger import DROPS, CampaignBusy, Process, drop_key
from labelwright.ledger.leases import Leases
from labelwright.platforms import AccessDenied, PlatformRefused, PlatformUnavailable
from labelwright.settings import MissingSetting, SettingsError, forget_settings, settings
from labelwright.tasks.campaign import drops
from labelwright.tasks.campaign.drops import (
    drop_lease,
    read_dropped_campaign,
    record_drop_launch,
    recording_refusals,
    unanswered_drops,
)
from labelwright.tasks.context import the_ledger

BLOB, ETAG = "river/campaign.yaml", "0x1"


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    """One campaign file was told of just now."""
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path))
    forget_settings()
    ledger = the_ledger()
    payload = {"blob": BLOB, "etag": ETAG}
    ledger.inbox.put(DROPS, drop_key(BLOB, ETAG), "labelwright.drop.arrived", {}, payload)
    ledger.inbox.mark_sent(letter.id for letter in ledger.inbox.waiting())
    yield ledger
    forget_settings()


def tries(**later: float) -> list[int]:
    return [attempt for _, attempt in unanswered_drops(datetime.now(UTC) + timedelta(**later))]


def test_it_is_tried_again_whenever_its_age_has_doubled(ledger):
    at = {minutes: tries(minutes=minutes) for minutes in (9, 11, 19, 21, 39, 41, 81)}
    assert at == {9: [], 11: [1], 19: [1], 21: [2], 39: [2], 41: [3], 81: [4]}
    assert tries(days=6) == [10]
    assert tries(days=8) == []


def test_a_drop_whose_lease_is_held_is_not_retried(ledger):
    with Leases(ledger.outbox._database, process=Process("another-machine", 4711, "99")).held(
        drop_lease(BLOB), "the run 'fox'"
    ):
        assert tries(minutes=11) == []
    assert tries(minutes=11) == [1]


@pytest.mark.parametrize(
    "failure",
    [SpecError("river/campaign.yaml: labeller: did you mean 'labeler'"), PlatformRefused("azure", "send", status=403)],
)
def test_a_refusal_is_left_to_a_person(ledger, failure):
    with pytest.raises(type(failure)), recording_refusals(BLOB, ETAG):
        raise failure
    assert tries(minutes=11) == []
    assert ledger.inbox.launched_from(BLOB, ETAG) is None, "a person may still say it again"


@pytest.mark.parametrize(
    "failure", [PlatformUnavailable("azure", "send", message="the night"), CampaignBusy("fox"), KeyboardInterrupt()]
)
def test_what_may_pass_by_itself_is_tried_again(ledger, failure):
    with pytest.raises(type(failure)), recording_refusals(BLOB, ETAG, "river"):
        raise failure
    assert tries(minutes=11) == [1]


def test_a_campaign_that_the_ledger_knows_is_taken_up_as_one(ledger):
    ledger.campaigns.add("river", {})
    with pytest.raises(PlatformUnavailable), recording_refusals(BLOB, ETAG, "river"):
        raise PlatformUnavailable("shelf", "send images", message="the night")
    assert tries(minutes=11) == []
    assert ledger.inbox.launched_from(BLOB, ETAG) == "river"


DROP_CONTAINER = "https://photos.blob.core.windows.net/drop"


def set_to(monkeypatch, **values: str) -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"LABELWRIGHT_{name}", value)
    forget_settings()


def test_a_file_waits_until_a_worker_has_the_drop_container(ledger, monkeypatch):
    with pytest.raises(MissingSetting, match=r"this worker .* LABELWRIGHT_RECEIVER__DROP_CONTAINER"):
        launch()
    # No sweep of a machine without the setting starts it, however old it is.
    assert [tries(**later) for later in ({"minutes": 11}, {"days": 6}, {"days": 30})] == [[], [], []]
    set_to(monkeypatch, RECEIVER__DROP_CONTAINER=DROP_CONTAINER)
    first, *more = tries(minutes=11)
    assert (more, tries(days=30)) == ([], [first]), "one run for each failure, also after weeks"

    # That run was taken by another worker, which still lacks it: the next sweep starts one more.
    ledger.waits.put(waiting(ledger), datetime.now(UTC) + timedelta(days=366), "the same")
    (second,) = tries(minutes=11)
    assert second != first

    record_drop_launch.fn(BLOB, ETAG, "river")
    assert tries(minutes=11) == []
    assert ledger.waits.all() == {}


def waiting(ledger) -> str:
    (name,) = ledger.waits.all()
    return name


def launch() -> None:
    with recording_refusals(BLOB, ETAG):
        read_dropped_campaign.fn(BLOB)


@pytest.mark.parametrize(
    "failure", [AccessDenied("image container", "send an image", status=403), CannotRead("is no longer there")]
)
def test_a_worker_without_a_credential_refuses_no_file(ledger, monkeypatch, failure):
    class Refusing:
        def open(self, _blob: str) -> None:
            raise failure

    monkeypatch.setattr(drops, "open_container", lambda *_, **__: Refusing())
    set_to(monkeypatch, RECEIVER__DROP_CONTAINER=DROP_CONTAINER)
    with pytest.raises(MissingSetting, match="LABELWRIGHT_CONTAINER_SAS"):
        launch()
    assert tries(minutes=11) == []
    set_to(monkeypatch, CONTAINER_SAS="sig=of-the-tests")
    assert len(tries(minutes=11)) == 1
    # With a credential, a file that is gone is refused, and a credential that is refused is to be renewed.
    with pytest.raises((SettingsError, CannotRead)) as raised:
        launch()
    assert not isinstance(raised.value, MissingSetting)
    assert len(tries(minutes=11)) == (0 if isinstance(failure, CannotRead) else 1)


def test_a_missing_connection_is_waited_for_and_taken_up(ledger, monkeypatch):
    with pytest.raises(MissingSetting), recording_refusals(BLOB, ETAG, "river"):
        settings().connection("agency")
    assert tries(minutes=11) == []
    set_to(
        monkeypatch, CONNECTIONS__AGENCY__URL="https://cvat.example.com", CONNECTIONS__AGENCY__KEY="key-of-the-tests"
    )
    assert len(tries(minutes=11)) == 1
