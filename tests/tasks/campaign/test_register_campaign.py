"""Launching under a title: refused when it is in use, possible again when nothing was made of the campaign."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from labelwright.campaigns import interventions
from labelwright.campaigns.changes import CampaignChanged
from labelwright.campaigns.spec import CampaignSpec, validate_spec
from labelwright.domain import State
from labelwright.ingest import SourceError
from labelwright.platforms import PlatformRefused
from labelwright.platforms.protocol import CampaignOrder
from labelwright.platforms.registry import PLATFORMS
from labelwright.prefect_integration.connections import CONNECTIONS
from labelwright.settings import forget_settings
from labelwright.tasks import attention, leases
from labelwright.tasks.attention import ask_for_attention
from labelwright.tasks.campaign.drops import recording_refusals
from labelwright.tasks.campaign.image_checks import FilesLeftOut, check_images, register_campaign
from labelwright.tasks.campaign.lifecycle import create_campaign
from labelwright.tasks.context import the_ledger
from labelwright.tasks.leases import campaign_lock
from tests.platforms.shelf import ENTRY, STORES, Shelf, Store


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setitem(PLATFORMS, "shelf", ENTRY)
    monkeypatch.setattr(attention, "ask_for_attention", ask_for_attention.fn)
    monkeypatch.setattr(leases, "send_events", lambda: 0)
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__URL", f"memory:{tmp_path}")
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__KEY", "good")
    forget_settings()
    make_photo(tmp_path / "photos" / "a.png")
    yield STORES.setdefault(f"memory:{tmp_path}", Store())
    forget_settings()


def make_photo(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", (20, 10)).save(path)


def spec(tmp_path: Path, folder: str = "photos", labels: tuple[str, ...] = ("boat",), **fields: object) -> CampaignSpec:
    document = {
        "title": "river",
        "platform": "shelf",
        "images": {"folder": str(tmp_path / folder)},
        "labels": list(labels),
        "labeler": "a@b.c",
        **fields,
    }
    return validate_spec(document, "test")


def launch(campaign: CampaignSpec) -> None:
    """The first steps of a launch, without a Prefect server."""
    with campaign_lock(campaign.title, "launch"):
        register_campaign.fn(campaign)
        check_images.fn(campaign.title)
        create_campaign.fn(campaign.title)


def everything() -> tuple[object, ...]:
    ledger = the_ledger()
    entries = list(ledger.manifests.entries("river"))
    return ledger.campaigns.get("river"), ledger.campaigns.moves("river"), ledger.effects.all("river"), entries


def test_a_second_file_with_a_used_title_changes_nothing(store, tmp_path):
    launch(spec(tmp_path))
    before, on_platform = everything(), dict(store.campaigns)
    make_photo(tmp_path / "others" / "b.png")
    for other in (
        spec(tmp_path, "others"),
        spec(tmp_path, labels=("buoy",)),
        spec(tmp_path, "empty", deadline="2030-01-01"),
    ):
        with pytest.raises(CampaignChanged, match="the title 'river' is in use: that campaign is uploading"):
            launch(other)
        assert everything() == before
        assert store.campaigns == on_platform


def test_a_second_file_does_not_disturb_a_campaign_that_needs_attention(store, tmp_path):
    launch(spec(tmp_path))
    ask_for_attention.fn("river", "the gate", "LW5010")
    before = everything()
    with pytest.raises(CampaignChanged, match="that campaign needs attention"):
        launch(spec(tmp_path, labels=("buoy",)))
    assert everything() == before


@pytest.mark.parametrize("folder", ["empty", "missing"])
def test_a_folder_without_images_leaves_no_campaign_behind(store, tmp_path, folder):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError):
        launch(spec(tmp_path, folder))
    assert the_ledger().campaigns.all() == []
    assert not (tmp_path / "home" / "campaigns").exists() or not list((tmp_path / "home" / "campaigns").iterdir())
    launch(spec(tmp_path))
    assert [kept.order.title for kept in store.campaigns.values()] == ["river"]


def test_a_launch_that_failed_at_its_images_can_be_corrected(store, tmp_path):
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("no image")
    with pytest.raises(FilesLeftOut):
        launch(spec(tmp_path, "texts"))
    assert the_ledger().campaigns.get("river").state is State.NEEDS_ATTENTION
    launch(spec(tmp_path, labels=("buoy",)))
    assert [kept.order.labels.names for kept in store.campaigns.values()] == [("buoy",)]
    assert [entry.image.name for entry in the_ledger().manifests.entries("river")] == ["a.png"]
    assert the_ledger().manifests.rejects("river") == []


def test_a_launch_that_its_platform_refused_can_be_corrected(store, tmp_path, monkeypatch):
    def refuse(self: Shelf, order: CampaignOrder) -> None:
        raise PlatformRefused("shelf", "create the campaign", status=422, message="no such label: boat")

    with monkeypatch.context() as patch:
        patch.setattr(Shelf, "create_campaign", refuse)
        with pytest.raises(PlatformRefused):
            launch(spec(tmp_path))
    stamp = next(the_ledger().manifests.entries("river"))
    launch(spec(tmp_path, labels=("buoy",)))
    record = the_ledger().campaigns.get("river")
    assert [label["name"] for label in record.spec["labels"]] == ["buoy"]
    assert (record.remote_id, record.reason) == ("c1", None)
    assert next(the_ledger().manifests.entries("river")) == stamp, "the same images are not checked again"


def test_a_step_that_broke_off_and_made_something_is_no_failed_launch(store, tmp_path, monkeypatch):
    real = Shelf.create_campaign

    def cut(self: Shelf, order: CampaignOrder) -> None:
        real(self, order)
        raise PlatformRefused("shelf", "create the campaign", message="the response was cut")

    with monkeypatch.context() as patch:
        patch.setattr(Shelf, "create_campaign", cut)
        with pytest.raises(PlatformRefused):
            launch(spec(tmp_path))
    before = everything()
    with pytest.raises(CampaignChanged):
        launch(spec(tmp_path, labels=("buoy",)))
    assert everything() == before
    launch(spec(tmp_path))
    assert list(store.campaigns) == ["c1"]


def test_a_campaign_cancelled_before_anything_was_made_can_be_launched_again(store, tmp_path):
    register_campaign.fn(spec(tmp_path))
    interventions.cancel("river", CONNECTIONS)
    launch(spec(tmp_path))
    assert the_ledger().campaigns.get("river").remote_id == "c1"


def test_a_cancelled_campaign_of_which_something_was_made_is_not_launched_again(store, tmp_path):
    launch(spec(tmp_path))
    interventions.cancel("river", CONNECTIONS)
    for file in (spec(tmp_path), spec(tmp_path, labels=("buoy",))):
        with pytest.raises(CampaignChanged, match=r"was cancelled.*labelwright adopt 'river'"):
            launch(file)
    assert the_ledger().campaigns.get("river").state is State.CANCELLED


def test_fields_of_the_ledger_alone_may_change_with_a_launch(store, tmp_path):
    launch(spec(tmp_path))
    launch(spec(tmp_path, deadline="2030-01-01"))
    assert the_ledger().campaigns.get("river").spec["deadline"].startswith("2030")


def test_a_dropped_file_with_a_used_title_is_refused_for_good(store, tmp_path):
    launch(spec(tmp_path))
    before = everything()
    other = spec(tmp_path, labels=("buoy",))
    with pytest.raises(CampaignChanged), recording_refusals("b/campaign.yaml", "0x2", "river", other):
        launch(other)
    assert everything() == before
    assert the_ledger().inbox.launched_from("b/campaign.yaml", "0x2") is None


def test_a_dropped_file_that_broke_off_is_not_taken_for_the_campaign_of_its_title(store, tmp_path):
    launch(spec(tmp_path))
    with pytest.raises(RuntimeError), recording_refusals("b", "0x2", "river", spec(tmp_path, labels=("buoy",))):
        raise RuntimeError("the worker lost its network")
    assert the_ledger().inbox.launched_from("b", "0x2") is None
    with pytest.raises(RuntimeError), recording_refusals("a", "0x1", "river", spec(tmp_path)):
        raise RuntimeError("the worker lost its network")
    assert the_ledger().inbox.launched_from("a", "0x1") == "river"


def test_a_title_is_free_again_for_another_platform_while_nothing_was_made(store, tmp_path):
    register_campaign.fn(spec(tmp_path, platform="cvat", connection="shelf"))
    launch(spec(tmp_path))
    assert list(store.campaigns) == ["c1"]
