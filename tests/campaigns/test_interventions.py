"""What a person decides: taken up, given up, given back, forgotten."""

from __future__ import annotations

import json

import pytest

from labelwright.campaigns import interventions
from labelwright.campaigns.connections import Connections
from labelwright.campaigns.spec import validate_spec
from labelwright.cli.output import campaigns as printing_campaigns
from labelwright.cli.output import images as printing_images
from labelwright.domain import BLOCKED, State, Work
from labelwright.domain.errors import CannotRun, NothingDone
from labelwright.ledger import CampaignBusy, Ledger, UnknownCampaign, campaign_lease, open_ledger
from labelwright.ledger.leases import Leases, Process
from labelwright.platforms.protocol import CampaignOrder, RemoteState
from labelwright.platforms.registry import PLATFORMS
from labelwright.prefect_integration.connections import CONNECTIONS, PrefectBlocks
from labelwright.settings import forget_settings, settings
from labelwright.tasks.campaign.lifecycle import refuse_unlabeled
from tests.platforms.shelf import ENTRY, STORES, Kept, Store

TITLE = "river"


@pytest.fixture
def store(tmp_path, monkeypatch) -> Store:
    monkeypatch.setitem(PLATFORMS, "shelf", ENTRY)
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__URL", f"memory:{tmp_path}")
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__KEY", "good")
    forget_settings()
    yield STORES.setdefault(f"memory:{tmp_path}", Store())
    forget_settings()


@pytest.fixture
def ledger(store) -> Ledger:
    return open_ledger(settings().ledger_address())


def campaign(ledger: Ledger, store: Store, *states: State) -> None:
    """One that came into these states, on a shelf."""
    document = {"title": TITLE, "platform": "shelf", "images": {"folder": "/x"}, "labels": ["a"], "labeler": "a@b.c"}
    spec = validate_spec(document, "test")
    ledger.campaigns.add(TITLE, spec.model_dump(mode="json"))
    for state in states:
        ledger.campaigns.move(TITLE, state, "the gate" if state is State.NEEDS_ATTENTION else None)
    store.campaigns["c1"] = Kept(CampaignOrder(TITLE, spec.schema_of_labels(), "a@b.c"), RemoteState.ACTIVE)
    ledger.campaigns.record_remote_campaign(TITLE, "c1")


LAUNCHED = (State.UPLOADING, State.CREATED, State.ACTIVE)


@pytest.mark.parametrize(
    ("states", "due"),
    [
        ((State.UPLOADING, State.NEEDS_ATTENTION), Work.LAUNCH),
        ((*LAUNCHED, State.NEEDS_ATTENTION), None),
        ((*LAUNCHED, State.COMPLETED, State.NEEDS_ATTENTION), Work.FINISH),
        ((*LAUNCHED, State.COMPLETED, State.FINISHED), Work.FINISH),
        ((), Work.LAUNCH),
        ((State.UPLOADING, State.PAUSED), Work.LAUNCH),
        ((*LAUNCHED, State.COMPLETED, State.PAUSED), Work.FINISH),
        ((State.UPLOADING, State.PAUSED, State.NEEDS_ATTENTION), Work.LAUNCH),
    ],
)
def test_a_campaign_is_taken_up_where_it_stood(ledger, store, states, due):
    campaign(ledger, store, *states)
    spec, work = interventions.retry_blocked(TITLE)
    assert (spec.title, work) == (TITLE, due)
    record = ledger.campaigns.get(TITLE)
    before = [state for state in (State.PLANNED, *states) if state not in BLOCKED]
    assert (record.state, record.reason) == (before[-1], None)


def test_what_is_over_is_not_taken_up(ledger, store):
    campaign(ledger, store, *LAUNCHED, State.COMPLETED, State.FINISHED, State.EXPORTED)
    with pytest.raises(CannotRun, match="nothing to retry"):
        interventions.retry_blocked(TITLE)


@pytest.mark.parametrize("states", [LAUNCHED, (*LAUNCHED, State.COMPLETED, State.REOPENED)])
def test_what_labelers_work_on_is_not_resumed_in_silence(ledger, store, states):
    campaign(ledger, store, *states)
    with pytest.raises(NothingDone, match=r"nothing was resumed.*labelwright sweep"):
        interventions.retry_blocked(TITLE)


@pytest.mark.parametrize(
    ("states", "way"),
    [
        ((*LAUNCHED, State.CANCELLED), "labelwright adopt 'river' --file CAMPAIGN.YAML"),
        ((*LAUNCHED, State.COMPLETED, State.FINISHED, State.EXPORTED), "labelwright reopen 'river'"),
    ],
)
def test_what_cannot_be_resumed_names_the_way_on(ledger, store, states, way):
    campaign(ledger, store, *states)
    with pytest.raises(CannotRun) as caught:
        interventions.retry_blocked(TITLE)
    assert way in str(caught.value)


def test_a_cancelled_campaign_is_neither_finished_nor_exported(ledger, store):
    campaign(ledger, store, *LAUNCHED, State.CANCELLED)
    with pytest.raises(CannotRun, match="launch its images as a new campaign"):
        refuse_unlabeled(TITLE, State.CANCELLED)


def test_a_cancelled_campaign_is_left_on_its_platform_or_taken_off(ledger, store):
    campaign(ledger, store, *LAUNCHED)
    assert "still exists on the platform (id c1)" in interventions.cancel(TITLE, CONNECTIONS)
    assert ledger.campaigns.get(TITLE).state is State.CANCELLED
    assert list(store.campaigns) == ["c1"]
    assert "deleted on the platform" in interventions.cancel(TITLE, CONNECTIONS, delete=True)
    assert store.campaigns == {}


def test_it_is_too_late_to_cancel_a_finished_campaign(ledger, store):
    campaign(ledger, store, *LAUNCHED, State.COMPLETED, State.FINISHED)
    with pytest.raises(CannotRun, match="too late"):
        interventions.cancel(TITLE, CONNECTIONS)


def test_a_campaign_under_way_is_forgotten_by_force_only(ledger, store):
    campaign(ledger, store, *LAUNCHED)
    folder = settings().campaign_folder(TITLE)
    folder.mkdir(parents=True)
    with pytest.raises(CannotRun, match="labelwright cancel 'river' first"):
        interventions.forget(TITLE)
    interventions.forget(TITLE, force=True)
    assert ledger.campaigns.find(TITLE) is None
    assert not folder.exists()
    assert list(store.campaigns) == ["c1"]


@pytest.mark.parametrize(
    "decide",
    [
        interventions.retry_blocked,
        lambda title: interventions.cancel(title, CONNECTIONS),
        lambda title: interventions.reopen(title, CONNECTIONS),
        interventions.forget,
    ],
)
def test_nobody_interferes_with_a_run_that_is_at_work(ledger, store, decide):
    with pytest.raises(UnknownCampaign):
        decide(TITLE)
    campaign(ledger, store, *LAUNCHED)
    other = Leases(ledger.outbox._database, process=Process("another-machine", 4711, "99"))
    with other.held(campaign_lease(TITLE), "the run 'brave-fox'"), pytest.raises(CampaignBusy, match="brave-fox"):
        decide(TITLE)
    assert ledger.campaigns.get(TITLE).state is State.ACTIVE


# Images that failed


def test_failed_images_are_listed_without_side_effects(ledger, store):
    campaign(ledger, store, *LAUNCHED)
    kept = store.campaigns["c1"]
    kept.images = {"1": ("1.jpg", None), "2": ("2.jpg", None)}
    kept.failed = {"2": "403 from store.example/2.jpg"}
    assert interventions.failed_images(TITLE, CONNECTIONS) == [
        {"file": "2.jpg", "reason": "403 from store.example/2.jpg"}
    ]
    assert ledger.campaigns.get(TITLE).state is State.ACTIVE


class PlatformWithoutResending:
    name = "shelf"


class ConnectionsWithoutResending(Connections):
    def platform_for(self, spec):
        return PlatformWithoutResending()


def test_platform_without_failed_images_points_to_status(ledger, store):
    campaign(ledger, store, *LAUNCHED)
    with pytest.raises(CannotRun, match="labelwright status 'river'"):
        interventions.failed_images(TITLE, ConnectionsWithoutResending(PrefectBlocks()))


def test_commands_print_failed_images_and_what_leads_on(ledger, store, capsys):
    campaign(ledger, store, *LAUNCHED)
    failed = {"failed on the platform": [("2.jpg", "403 from store.example/2.jpg")], "skipped": [("3.jpg", "by ann")]}
    ledger.image_states.record(TITLE, failed, only=failed)
    printing_campaigns.show_campaign(ledger, TITLE, False)
    shown = capsys.readouterr().out
    for part in ("2.jpg", "403 from store.example/2.jpg", "3.jpg", "by ann", "labelwright failed 'river' --resend"):
        assert part in " ".join(shown.split())
    printing_campaigns.show_campaign(ledger, TITLE, True)
    image_states = json.loads(capsys.readouterr().out)["image_states"]
    assert image_states["failed on the platform"] == {
        "count": 1,
        "images": [{"image": "2.jpg", "reason": "403 from store.example/2.jpg"}],
    }
    printing_campaigns.show_campaigns(ledger, True)
    assert json.loads(capsys.readouterr().out)[0]["image_states"] == {"failed on the platform": 1, "skipped": 1}
    printing_images.show_failed(TITLE, [{"file": "2.jpg", "reason": "403"}], "", False)
    assert "labelwright failed 'river' --leave-out" in " ".join(capsys.readouterr().out.split()).replace("command", "")
