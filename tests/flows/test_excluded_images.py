"""Images that are skipped or deleted on the platform, labels that are deleted there, images that fail: all the way."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from labelwright.campaigns.interventions import failed_images, retry_blocked
from labelwright.datasets import ValidationFailed
from labelwright.domain import Annotation, Box, ImageState, State
from labelwright.flows.export_campaign import export_campaign
from labelwright.flows.finish_campaign import finish_campaign
from labelwright.flows.launch_campaign import launch_campaign
from labelwright.flows.settle_failed_images import settle_failed_images
from labelwright.flows.sweep_campaigns import sweep_campaigns
from labelwright.platforms.registry import PLATFORMS
from labelwright.prefect_integration.connections import CONNECTIONS
from labelwright.settings import forget_settings
from labelwright.tasks.campaign.platform_labels import LabelsChanged
from labelwright.tasks.context import the_ledger
from tests.platforms.shelf import ENTRY, STORES, Kept, Shelf, Store

from .conftest import make_photos, make_spec

pytestmark = pytest.mark.usefixtures("plain_flows")
BOAT = Annotation("boat", Box(1, 2, 11, 12))


@pytest.fixture
def stored_campaign(home, monkeypatch, tmp_path) -> Kept:
    """A campaign of seven images that is launched."""
    monkeypatch.setitem(PLATFORMS, "shelf", ENTRY)
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__URL", f"memory:{home}")
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__KEY", "good")
    forget_settings()
    store = STORES.setdefault(f"memory:{home}", Store())
    make_photos(tmp_path / "photos", 7, (40, 30))
    document = {
        "folder": str(tmp_path / "datasets"),
        "formats": ["csv", "coco", "jsonl", "mltable"],
        "split": {"train": 50, "validation": 50, "test": 0},
    }
    spec = make_spec("river", tmp_path / "photos", tmp_path / "datasets", platform="shelf", export=document)
    launch_campaign(spec)
    (campaign,) = store.campaigns.values()
    return campaign


def ids_of(stored_campaign: Kept) -> dict[str, str]:
    """Ids by our names."""
    return {sent.image.name: id for id, (_, sent) in stored_campaign.images.items()}


def label(stored_campaign: Kept, *unlabeled: str) -> None:
    stored_campaign.labels.update(
        {id: (BOAT,) for name, id in ids_of(stored_campaign).items() if name not in unlabeled}
    )


def images_in(folder: Path) -> dict[str, set[str]]:
    """Which of the photos each file of a dataset names."""
    names = [f"photo-{number:03}.jpg" for number in range(7)]
    return {
        path.relative_to(folder).as_posix(): {name for name in names if name in path.read_text(errors="replace")}
        for path in folder.rglob("*")
        if path.suffix in (".csv", ".json", ".jsonl") and path.name not in ("receipt.json", "rejected.csv")
    }


def receipt(folder: Path) -> dict:
    return json.loads((folder / "receipt.json").read_text())


def test_skipped_and_deleted_images_are_listed_and_not_delivered(home, stored_campaign, tmp_path):
    ids = ids_of(stored_campaign)
    label(stored_campaign)
    stored_campaign.excluded[ids["photo-001.jpg"]] = (ImageState.SKIPPED, "skipped by ann")
    stored_campaign.excluded[ids["photo-002.jpg"]] = (ImageState.GONE, "frame 2 was deleted")  # and it has labels still
    del (
        stored_campaign.images[ids["photo-004.jpg"]],
        stored_campaign.labels[ids["photo-004.jpg"]],
    )  # nothing is left of it
    assert sweep_campaigns() == {"river": "exported"}
    excluded_names = {"photo-001.jpg", "photo-002.jpg", "photo-004.jpg"}
    remaining_names = {f"photo-{number:03}.jpg" for number in range(7)} - excluded_names
    for dataset in ("images", "labels"):
        folder = tmp_path / "datasets" / f"river_{dataset}" / "v1"
        images = images_in(folder)
        assert images
        assert not set.union(*images.values()) & excluded_names, images
        assert set.union(*images.values()) == remaining_names
        dataset_receipt = receipt(folder)
        assert set(dataset_receipt["images"]["sha256"]) == remaining_names
        assert dataset_receipt["images"]["count"] == dataset_receipt["labels"]["images"] == 4
        assert dataset_receipt["labels"]["images_without_objects"] == 0
        assert dataset_receipt["excluded"]["by_state"] == {"gone from the platform": 2, "skipped": 1}
        reasons = {image["image"]: image["reason"] for image in dataset_receipt["excluded"]["images"]}
        assert reasons == {
            "photo-001.jpg": "skipped by ann",
            "photo-002.jpg": "frame 2 was deleted",
            "photo-004.jpg": "deleted from the shelf",
        }
    rejected_csv = tmp_path / "datasets" / "river_labels" / "v1" / "rejected.csv"
    listed = [(row["image"], row["reason"]) for row in csv.DictReader(io.StringIO(rejected_csv.read_text()))]
    assert listed == [
        ("photo-001.jpg", "skipped"),
        ("photo-002.jpg", "deleted on the platform"),
        ("photo-004.jpg", "deleted on the platform"),
    ]
    (excluded_csv,) = home.rglob("excluded.csv")
    rows = list(csv.DictReader(io.StringIO(excluded_csv.read_text())))
    assert [(row["image"], row["state"]) for row in rows] == [
        ("photo-001.jpg", "skipped"),
        ("photo-002.jpg", "gone from the platform"),
        ("photo-004.jpg", "gone from the platform"),
    ]
    record = the_ledger().campaigns.get("river")
    assert (record.done, record.total, record.images) == (7, 7, 7)
    assert the_ledger().image_states.counts() == {"river": {"gone from the platform": 2, "skipped": 1}}
    # One is restored, another one is deleted after the export: the next export is another version.
    del stored_campaign.excluded[ids["photo-002.jpg"]]
    stored_campaign.excluded[ids["photo-000.jpg"]] = (ImageState.GONE, "frame 0 was deleted")
    assert {dataset["version"] for dataset in export_campaign("river")} == {"2"}
    dataset_receipt = receipt(tmp_path / "datasets" / "river_labels" / "v2")
    assert set(dataset_receipt["images"]["sha256"]) == remaining_names - {"photo-000.jpg"} | {"photo-002.jpg"}


def test_a_page_that_is_cut_off_is_no_deletion(stored_campaign, monkeypatch):
    """The platform counts seven, its labels lack one that is still there."""
    label(stored_campaign)
    real = Shelf.read_labels

    def cut_off(self, campaign, cursor=None):
        page = real(self, campaign, cursor)
        return type(page)(page.images[:-1], page.next)

    monkeypatch.setattr(Shelf, "read_labels", cut_off)
    sweep_campaigns(go_on="no")
    with pytest.raises(ValidationFailed, match=r"neither skipped nor deleted(.|\n)*photo-006.jpg"):
        finish_campaign("river")
    assert the_ledger().campaigns.get("river").state is State.NEEDS_ATTENTION


def test_a_campaign_resumes_when_its_deleted_images_are_back(stored_campaign):
    images = dict(stored_campaign.images)
    label(stored_campaign)
    stored_campaign.images.clear()
    stored_campaign.labels.clear()
    assert sweep_campaigns() == {"river": "needs attention"}
    record = the_ledger().campaigns.get("river")
    assert "nothing is left to deliver: of its 7 images 7 gone from the platform" in record.reason
    assert "labelwright resume 'river'" in record.reason
    stored_campaign.images.update(images)
    label(stored_campaign)
    retry_blocked("river")
    assert sweep_campaigns() == {"river": "exported"}


def test_a_label_renamed_on_the_platform_needs_attention(stored_campaign):
    stored_campaign.offered = ["  BOAT ", "buoys"]  # capitals and blanks are the platform's own
    label(stored_campaign)
    assert sweep_campaigns(go_on="no") == {"river": "completed"}
    with pytest.raises(LabelsChanged, match=r"label 'buoy'.*'buoys' \(renamed\?\).*labelwright resume 'river'"):
        finish_campaign("river", export=True)
    assert the_ledger().campaigns.get("river").state is State.NEEDS_ATTENTION
    stored_campaign.offered = ["boat", "buoy", "whale"]  # more than the campaign's: told, and no reason to stop
    retry_blocked("river")
    assert sweep_campaigns() == {"river": "exported"}
    stored_campaign.offered = []
    with pytest.raises(LabelsChanged, match=r"label 'boat'; label 'buoy'"):
        export_campaign("river")


def test_an_image_that_fails_last_is_told_and_sent_again_or_left_out(stored_campaign):
    ids = ids_of(stored_campaign)
    label(stored_campaign, "photo-003.jpg", "photo-005.jpg")
    stored_campaign.failed = {ids["photo-003.jpg"]: "403 from store.example/photo-003.jpg"}
    assert sweep_campaigns() == {"river": "active"}, "one is still with its labelers"
    assert the_ledger().image_states.counts() == {"river": {"failed on the platform": 1}}
    stored_campaign.labels[ids["photo-005.jpg"]] = (BOAT,)
    assert sweep_campaigns() == {"river": "needs attention"}
    reason = the_ledger().campaigns.get("river").reason
    assert "1 failed on the platform" in reason
    assert "labelwright failed 'river' --resend" in reason
    assert [row["reason"] for row in failed_images("river", CONNECTIONS)] == ["403 from store.example/photo-003.jpg"]
    settle_failed_images("river", send_again=True)
    assert the_ledger().campaigns.get("river").state is State.ACTIVE
    assert the_ledger().image_states.counts() == {}
    stored_campaign.failed = {ids["photo-003.jpg"]: "404"}
    assert sweep_campaigns() == {"river": "needs attention"}
    settle_failed_images("river", leave_out=True)
    assert the_ledger().campaigns.get("river").state is State.COMPLETED
    assert sweep_campaigns() == {"river": "exported"}
    assert the_ledger().campaigns.get("river").images == 6
