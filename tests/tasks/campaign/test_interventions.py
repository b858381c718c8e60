"""Decisions of a person as flows: the same checks and the same effects as the commands, and a sentence at the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from labelwright.campaigns.kept_keys import KeptKeys
from labelwright.campaigns.spec import CampaignSpec, validate_spec
from labelwright.domain import Annotation, Box, State
from labelwright.domain.errors import CannotRun, NothingDone
from labelwright.flows.cancel_campaign import cancel_campaign
from labelwright.flows.launch_campaign import launch_campaign
from labelwright.flows.pause_campaign import pause_campaign
from labelwright.flows.reopen_campaign import reopen_campaign
from labelwright.flows.resume_campaign import resume_campaign
from labelwright.flows.rotate_labeler_key import rotate_labeler_key
from labelwright.flows.sweep_campaigns import sweep_campaigns
from labelwright.ledger import CampaignBusy, campaign_lease
from labelwright.ledger.leases import Leases, Process
from labelwright.platforms.protocol import LabelerAccess, RemoteState, Secret
from labelwright.platforms.registry import PLATFORMS
from labelwright.prefect_integration.connections import CONNECTIONS
from labelwright.settings import forget_settings, settings
from labelwright.tasks.context import the_ledger
from tests.platforms.shelf import ENTRY, STORES, Shelf, Store
from tests.tasks.without_prefect import run_as_functions

TITLE = "river"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setitem(PLATFORMS, "shelf", ENTRY)
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__URL", f"memory:{tmp_path}")
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__KEY", "good")
    forget_settings()
    run_as_functions(monkeypatch)
    yield STORES.setdefault(f"memory:{tmp_path}", Store())
    forget_settings()


@pytest.fixture
def spec(store: Store, tmp_path: Path) -> CampaignSpec:
    (tmp_path / "photos").mkdir()
    for number in range(2):
        Image.new("RGB", (40, 30), (number, 0, 0)).save(tmp_path / "photos" / f"{number}.png")
    document = {
        "title": TITLE,
        "platform": "shelf",
        "images": {"folder": str(tmp_path / "photos")},
        "labels": [{"name": "boat"}],
        "labeler": "a@b.c",
        "export": {"folder": str(tmp_path / "datasets")},
    }
    return validate_spec(document, "test")


def state() -> State:
    return the_ledger().campaigns.get(TITLE).state


def label_all(store: Store, tmp_path: Path) -> None:
    (campaign,) = store.campaigns
    boat = Annotation("boat", Box(1, 2, 11, 12))
    Shelf(f"memory:{tmp_path}", "good").label(campaign, {image: [boat] for image in store.campaigns[campaign].images})


def test_a_paused_launch_is_left_alone_until_it_is_resumed(store, spec):
    the_ledger().campaigns.add(TITLE, spec.model_dump(mode="json"))
    assert "is paused" in pause_campaign(TITLE).message
    sweep_campaigns()
    assert (state(), store.campaigns) == (State.PAUSED, {})
    assert "is paused" in pause_campaign(TITLE).message  # again
    assert resume_campaign(TITLE).message == "'river' was resumed and is active"
    assert len(store.campaigns) == 1


def test_a_finish_that_was_paused_is_resumed_to_its_datasets(store, spec, tmp_path):
    launch_campaign(spec)
    label_all(store, tmp_path)
    sweep_campaigns(go_on="no")
    pause_campaign(TITLE)
    sweep_campaigns()
    assert state() is State.PAUSED
    assert resume_campaign(TITLE).message == "'river' was resumed and is exported"


def test_a_campaign_with_its_labelers_is_neither_paused_nor_resumed(store, spec):
    launch_campaign(spec)
    with pytest.raises(NothingDone, match=r"nothing was paused.*labelers work on it"):
        pause_campaign(TITLE)
    with pytest.raises(NothingDone, match="nothing was resumed"):
        resume_campaign(TITLE)


def test_a_campaign_is_cancelled_once_and_said_to_be_on_its_platform(store, spec):
    launch_campaign(spec)
    assert "it still exists on the platform" in cancel_campaign(TITLE).message
    assert "it still exists on the platform" in cancel_campaign(TITLE).message
    assert (state(), len(store.campaigns)) == (State.CANCELLED, 1)
    assert "it was deleted on the platform" in cancel_campaign(TITLE, delete=True).message
    assert store.campaigns == {}


def test_a_finished_campaign_is_reopened_and_not_cancelled(store, spec, tmp_path):
    launch_campaign(spec)
    label_all(store, tmp_path)
    sweep_campaigns()
    assert state() is State.EXPORTED
    with pytest.raises(CannotRun, match="too late"):
        cancel_campaign(TITLE)
    with pytest.raises(NothingDone, match="shelf cannot reopen"):
        reopen_campaign(TITLE)
    (kept,) = store.campaigns.values()
    kept.state = RemoteState.ACTIVE  # a person has reopened it there
    kept.labels.popitem()
    assert "'river' was reopened on the platform" in reopen_campaign(TITLE).message
    assert state() is State.REOPENED


@pytest.mark.parametrize("flow", [pause_campaign, cancel_campaign, reopen_campaign, resume_campaign])
def test_a_run_that_is_at_work_is_not_interfered_with(store, spec, flow):
    the_ledger().campaigns.add(TITLE, spec.model_dump(mode="json"))
    other = Leases(the_ledger().outbox._database, process=Process("another-machine", 4711, "99"))
    with other.held(campaign_lease(TITLE), "the run 'brave-fox'"), pytest.raises(CampaignBusy, match="brave-fox"):
        flow(TITLE)
    assert state() is State.PLANNED


def test_a_new_key_is_kept_and_said_nowhere(store, spec, monkeypatch):
    launch_campaign(spec)
    with pytest.raises(CannotRun, match="makes no new keys"):
        rotate_labeler_key(TITLE)
    access = LabelerAccess("a@b.c", "new-key", Secret("a-new-secret"))
    monkeypatch.setattr("labelwright.campaigns.interventions.RotatesLabelerKeys", Shelf)
    monkeypatch.setattr(Shelf, "rotate_labeler_key", lambda _shelf, _email: access, raising=False)
    message = rotate_labeler_key(TITLE).message
    assert "a@b.c has a new key" in message
    assert "new-key" not in message
    assert "a-new-secret" not in message
    kept = KeptKeys(settings(), the_ledger(), CONNECTIONS).find("shelf", "a@b.c")
    assert kept is not None
    assert kept.secret == Secret("a-new-secret")
