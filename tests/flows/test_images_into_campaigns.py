"""The lifecycle on a platform that keeps no image sets: images go into the campaign itself."""

from __future__ import annotations

import json

import pytest

from labelwright.domain import Annotation, Box, State
from labelwright.flows.export_campaign import export_campaign
from labelwright.flows.finish_campaign import finish_campaign
from labelwright.flows.launch_campaign import launch_campaign
from labelwright.flows.sweep_campaigns import sweep_campaigns
from labelwright.platforms import PlatformRefused
from labelwright.platforms.registry import PLATFORMS
from labelwright.settings import forget_settings
from labelwright.tasks.campaign.batch_upload import ImageChanged
from labelwright.tasks.campaign.image_checks import FilesLeftOut
from labelwright.tasks.context import the_ledger
from tests.platforms.shelf import ENTRY, STORES, Kept, Shelf, Store, lose_the_answer_once

from .conftest import make_photos, make_spec

pytestmark = pytest.mark.usefixtures("plain_flows")
BOAT = Annotation("boat", Box(1, 2, 11, 12))


@pytest.fixture
def store(home, monkeypatch) -> Store:
    monkeypatch.setitem(PLATFORMS, "shelf", ENTRY)
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__URL", f"memory:{home}")
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__KEY", "good")
    monkeypatch.setenv("LABELWRIGHT_BATCH_SIZE", "3")
    forget_settings()
    return STORES.setdefault(f"memory:{home}", Store())


@pytest.fixture
def river(store, tmp_path):
    """Seven images in batches of three."""
    make_photos(tmp_path / "photos", 7, (40, 30))
    return make_spec("river", tmp_path / "photos", tmp_path / "datasets", platform="shelf")


def campaign(store: Store) -> Kept:
    (stored_campaign,) = store.campaigns.values()
    return stored_campaign


def names(store: Store) -> list[str]:
    return sorted(sent.image.name for _, sent in campaign(store).images.values())


def label_all(home, store: Store) -> None:
    Shelf(f"memory:{home}", "good").label("c1", {id: [BOAT] for id in campaign(store).images})


@pytest.mark.usefixtures("prefect_server")
def test_a_campaign_goes_from_folder_to_dataset(home, store, river, tmp_path):
    launch_campaign(river)
    assert the_ledger().campaigns.get("river").state is State.ACTIVE
    assert [(batch, len(sent)) for batch, sent in store.sent] == [(1, 3), (2, 3), (3, 1)]
    label_all(home, store)
    assert sweep_campaigns() == {"river": "exported"}
    records = (tmp_path / "datasets" / "river_labels" / "v1" / "river_detection.jsonl").read_text().splitlines()
    lines = [json.loads(line) for line in records]
    assert len(lines) == 7
    assert all(f"photo-{number:03}.jpg" in line for number, line in enumerate(records)), "labels bear our names"


def test_a_launch_that_is_run_again_sends_nothing(store, river):
    launch_campaign(river)
    store.sent.clear()
    launch_campaign(river)
    assert store.sent == []


@pytest.mark.usefixtures("prefect_server")
def test_a_batch_whose_answer_was_lost_is_looked_for_and_not_sent_twice(store, river):
    store.before_answer = lose_the_answer_once()
    launch_campaign(river)
    assert [batch for batch, _ in store.sent] == [1, 2, 3]
    assert len(names(store)) == 7


def test_images_that_the_platform_leaves_out_are_listed_with_their_reason(home, store, river):
    store.take = lambda batch, name: "too dark" if name == "photo-004.jpg" else None
    launch_campaign(river)
    record = the_ledger().campaigns.get("river")
    assert (record.state, record.images) == (State.ACTIVE, 6)
    assert [(reject.name, reject.reason) for reject in the_ledger().manifests.rejects("river")] == [
        ("photo-004.jpg", "left out by the platform: too dark")
    ]
    label_all(home, store)
    assert sweep_campaigns() == {"river": "exported"}


def test_a_strict_campaign_stops_when_the_platform_leaves_an_image_out(store, tmp_path):
    make_photos(tmp_path / "photos", 2, (40, 30))
    images = {"folder": str(tmp_path / "photos"), "strict": True}
    spec = make_spec("strict", tmp_path / "photos", tmp_path / "datasets", platform="shelf", images=images)
    store.take = lambda batch, name: "too dark"
    with pytest.raises(FilesLeftOut):
        launch_campaign(spec)
    assert the_ledger().campaigns.get("strict").state is State.NEEDS_ATTENTION


def test_a_batch_that_failed_once_is_sent_again(store, river):
    failures = iter(["disk full"])
    store.fails = lambda batch: next(failures, None) if batch == 2 else None
    launch_campaign(river)
    assert [batch for batch, _ in store.sent] == [1, 2, 3, 2]
    assert len(names(store)) == 7


def test_a_batch_that_always_fails_needs_attention(store, river):
    store.fails = lambda batch: "disk full" if batch == 2 else None
    with pytest.raises(PlatformRefused, match="disk full"):
        launch_campaign(river)
    record = the_ledger().campaigns.get("river")
    assert record.state is State.NEEDS_ATTENTION
    assert "disk full" in (record.reason or "")
    store.fails = lambda batch: None
    launch_campaign(river)
    assert the_ledger().campaigns.get("river").state is State.ACTIVE
    assert len(names(store)) == 7


def test_an_image_that_somebody_else_put_into_the_campaign_stops_it(store, river, tmp_path):
    launch_campaign(river)
    id, (shown_name, sent_image) = next(iter(campaign(store).images.items()))
    other_image = type(sent_image)(type(sent_image.image)("other.jpg", *_rest(sent_image.image)), sent_image.open)
    campaign(store).images[id] = (shown_name, other_image)
    with pytest.raises(PlatformRefused, match=r"other\.jpg"):
        launch_campaign(river)


def _rest(image):
    return image.size, image.bytes, image.sha256, image.md5, image.format


def test_a_file_that_was_changed_after_it_was_checked_is_not_sent(store, river, tmp_path):
    changed_file = tmp_path / "photos" / "photo-005.jpg"

    def touch(batch: int) -> None:
        changed_file.write_bytes(changed_file.read_bytes() + b" ")

    store.before_answer = touch
    with pytest.raises(ImageChanged, match=r"photo-005\.jpg"):
        launch_campaign(river)
    assert the_ledger().campaigns.get("river").state is State.NEEDS_ATTENTION


def test_the_platform_decides_how_many_images_make_a_batch(store, tmp_path):
    make_photos(tmp_path / "photos", 5, (40, 30))
    spec = make_spec(
        "pairs", tmp_path / "photos", tmp_path / "datasets", platform="shelf", options={"images_a_batch": 2}
    )
    launch_campaign(spec)
    assert [len(sent) for _, sent in store.sent] == [2, 2, 1]


def test_a_finished_campaign_can_be_exported_again(home, store, river):
    launch_campaign(river)
    label_all(home, store)
    sweep_campaigns(go_on="no")
    finish_campaign("river")
    first_export = export_campaign("river")
    assert export_campaign("river") == first_export
