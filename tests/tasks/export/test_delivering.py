"""Deliveries of campaigns that are labeled in part, task by task and without a Prefect server, on the shelf."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labelwright.campaigns.lineage import lineage
from labelwright.campaigns.refusals import NotLabeledYet
from labelwright.campaigns.spec import validate_spec
from labelwright.datasets.validation import NotReady, ValidationFailed
from labelwright.domain import Annotation, Box, Image, ImageState, LabelSchema, Size, State, Work
from labelwright.domain.errors import CannotRun
from labelwright.ledger import ManifestEntry
from labelwright.platforms.protocol import CampaignOrder, ImageToSend, RemoteState
from labelwright.platforms.registry import PLATFORMS
from labelwright.settings import forget_settings, settings
from labelwright.tasks.campaign.excluded_images import delivery_of, keep_deleted_images
from labelwright.tasks.campaign.progress import read_progress
from labelwright.tasks.context import CampaignContext, the_ledger
from labelwright.tasks.export.checks import check_labels, count_labeled
from labelwright.tasks.export.delivering import (
    begin_delivery,
    conclude_delivery,
    record_delivery,
    refuse_undeliverable,
)
from labelwright.tasks.export.files import write_files
from labelwright.tasks.export.labels import read_labels_page, record_left_out, spool_of
from labelwright.tasks.export.registration import register_dataset, repair_dataset, verify_dataset
from labelwright.tasks.sweep.restarts import due_work
from tests.platforms.shelf import ENTRY, STORES, Kept, Store

NAMES = [f"{number:03}.jpg" for number in range(100)]
BOAT = Annotation("boat", Box(1, 2, 11, 12))
OUTSIDE = Annotation("boat", Box(30, 2, 41, 12))
UNKNOWN = Annotation("ship", Box(1, 2, 11, 12))
SIZE = Size(40, 30)


@pytest.fixture
def home(tmp_path, monkeypatch) -> Iterator[Path]:
    monkeypatch.setitem(PLATFORMS, "shelf", ENTRY)
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__URL", f"memory:{tmp_path}")
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__KEY", "good")
    forget_settings()
    yield tmp_path
    forget_settings()


def make_campaign(home: Path, **export: Any) -> Kept:
    """A campaign of 100 images on the shelf, active and without labels."""
    document = {
        "title": "river",
        "platform": "shelf",
        "images": {"folder": str(home)},
        "labels": ["boat"],
        "labeler": "a@b.c",
        "export": {"folder": str(home / "datasets"), "formats": ["csv", "coco"], **export},
    }
    spec, ledger = validate_spec(document, "test"), the_ledger()
    ledger.campaigns.add("river", spec.model_dump(mode="json"))
    images = [Image(name, SIZE, 9, f"{number:064x}", "0" * 32, "JPEG") for number, name in enumerate(NAMES)]
    schema: LabelSchema = spec.schema_of_labels()
    kept = Kept(CampaignOrder("river", schema, "a@b.c", "", {}), RemoteState.ACTIVE)
    kept.images = {f"i{image.name}": (image.name, ImageToSend(image, io.BytesIO)) for image in images}
    STORES.setdefault(f"memory:{home}", Store()).campaigns["c1"] = kept
    ledger.campaigns.record_remote_campaign("river", "c1")
    mark = ledger.manifests.begin("river")
    ledger.manifests.add("river", mark, [ManifestEntry(image, f"/{image.name}") for image in images])
    ledger.manifests.complete("river", mark)
    ledger.manifests.record_remote_ids("river", [(name, f"i{name}") for name in NAMES])
    for state in (State.UPLOADING, State.CREATED, State.ACTIVE):
        ledger.campaigns.move("river", state)
    return kept


def label_sixty(kept: Kept) -> None:
    """60 images that can be accepted, 5 of them empty; 3 skipped, 2 with refused shapes; 35 are left."""
    ids = list(kept.images)
    kept.labels = dict.fromkeys(ids[:55], (BOAT,)) | dict.fromkeys(ids[55:60], ())
    kept.excluded = dict.fromkeys(ids[60:63], (ImageState.SKIPPED, "skipped by ann"))
    kept.labels |= {ids[63]: (BOAT, OUTSIDE), ids[64]: (UNKNOWN,)}


def deliver(accept_partial: bool = False) -> dict[str, str]:
    """What the flow `deliver-campaign` does, task by task. Returns the versions."""
    refuse_undeliverable("river")
    read_progress.fn("river")
    earlier = count_labeled.fn("river")
    read_labels()
    check_labels.fn("river", accept_partial, earlier)
    begin_delivery.fn("river")
    write_files.fn("river")
    for dataset in ("images", "labels"):
        repair_dataset.fn("river", dataset)
    registered = [register_dataset.fn("river", dataset) for dataset in ("images", "labels")]
    for row in registered:
        verify_dataset.fn("river", row["name"], row["version"])
    record_delivery.fn("river", registered)
    conclude_delivery.fn("river")
    return {row["name"]: row["version"] for row in registered}


def read_labels() -> None:
    context = CampaignContext("river")
    number, cursors = 1, read_labels_page.fn("river", 1, None)
    while cursors:
        number += 1
        cursors = read_labels_page.fn("river", number, cursors[0])
    number += keep_deleted_images.fn("river", number + 1)
    spool_of(context).keep_only(range(1, number + 1))
    record_left_out.fn("river")


def version(home: Path, number: int, dataset: str = "labels") -> Path:
    return home / "datasets" / f"river_{dataset}" / f"v{number}"


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text())))


def receipt(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "receipt.json").read_text())


def state() -> State:
    return the_ledger().campaigns.get("river").state


def test_sixty_of_a_hundred_images_are_delivered_and_forty_listed(home):
    kept = make_campaign(home)
    label_sixty(kept)
    assert deliver(accept_partial=True) == {"river_images": "1", "river_labels": "1"}
    first = version(home, 1)
    labels = rows(first / "river_labels.csv")
    assert len({row["file_name"] for row in labels}) == 60
    assert sorted(row["file_name"] for row in labels if not row["label"]) == NAMES[55:60], "looked, nothing here"
    assert len(rows(version(home, 1, "images") / "river_images.csv")) == 60
    listed = rows(first / "rejected.csv")
    assert [row["image"] for row in listed] == NAMES[60:], "every other image of the campaign, in its order"
    assert Counter(row["reason"] for row in listed) == {"not labeled": 35, "skipped": 3, "shape refused": 2}
    places = {row["image"]: row["place"] for row in listed}
    assert places["060.jpg"] == "skipped by ann"
    assert places["063.jpg"] == "outside its image: boat [30.0, 2.0, 41.0, 12.0]"
    assert places["064.jpg"] == "label not in the schema: ship"
    assert places["070.jpg"] == "image i070.jpg"
    facts = receipt(first)["delivery"]
    assert facts["by_reason"] == {"not labeled": 35, "skipped": 3, "shape refused": 2}
    assert (facts["images"], facts["delivered"], facts["empty"]) == (100, 60, 5)
    assert receipt(first)["labels"]["images_without_objects"] == 5
    assert len(facts["listed"]) == 40


def test_the_campaign_goes_on_after_a_partial_delivery(home):
    kept = make_campaign(home)
    label_sixty(kept)
    deliver(accept_partial=True)
    assert state() is State.ACTIVE
    assert kept.state is RemoteState.ACTIVE
    assert {dataset["version"] for dataset in the_ledger().campaigns.datasets("river")} == {"1"}
    (effect,) = the_ledger().effects.of_step("river", "deliver")
    assert effect.outcome == (
        "river_images version 1, river_labels version 1: 60 of 100 images; "
        "the other 40: 35 not labeled, 3 skipped, 2 shape refused"
    )
    deliver(accept_partial=True)
    assert {dataset["version"] for dataset in the_ledger().campaigns.datasets("river")} == {"1"}
    assert len(the_ledger().effects.of_step("river", "deliver")) == 1, "nothing changed"


def test_version_two_contains_version_one_after_the_correction(home):
    kept = make_campaign(home)
    label_sixty(kept)
    deliver(accept_partial=True)
    ids = list(kept.images)
    kept.labels |= dict.fromkeys(ids[63:], (BOAT,))
    assert deliver() == {"river_images": "2", "river_labels": "2"}
    first, second = (rows(version(home, number) / "river_labels.csv") for number in (1, 2))
    assert all(row in second for row in first)
    assert len({row["file_name"] for row in second}) == 97
    assert receipt(version(home, 2))["delivery"]["by_reason"] == {"skipped": 3}
    images = [rows(version(home, number, "images") / "river_images.csv") for number in (1, 2)]
    assert all(row in images[1] for row in images[0]), "ids and addresses stay"
    assert state() is State.COMPLETED, "the next finish closes it"


def test_the_default_names_counts_reasons_and_commands_while_labeling(home):
    label_sixty(make_campaign(home))
    with pytest.raises(NotLabeledYet) as caught:
        deliver()
    message = str(caught.value)
    assert "60 of 100 images are ready; the other 40: 35 not labeled, 3 skipped, 2 shape refused" in message
    for command in ("reopen 'river' --wrong", "deliver 'river' --accept-partial", "status 'river'"):
        assert f"labelwright {command}" in message
    assert state() is State.ACTIVE
    assert not (home / "datasets").exists()


def test_a_labeled_campaign_with_refused_shapes_needs_a_person(home):
    kept = make_campaign(home)
    label_sixty(kept)
    kept.labels |= dict.fromkeys(list(kept.images)[65:], (BOAT,))
    with pytest.raises(NotReady) as caught:
        deliver()
    message = str(caught.value)
    assert message.startswith("95 of 100 images are ready; the other 5: 3 skipped, 2 shape refused. nothing was")
    assert {finding.kind for finding in caught.value.findings} == {"outside", "label"}
    assert "labelwright reopen 'river' --wrong" in message
    assert state() is State.COMPLETED
    assert not (home / "datasets").exists()


def test_accepting_the_rest_ends_a_labeled_campaign_without_closing_it(home):
    kept = make_campaign(home)
    label_sixty(kept)
    kept.labels |= dict.fromkeys(list(kept.images)[65:], (BOAT,))
    read_progress.fn("river")
    the_ledger().campaigns.move("river", State.NEEDS_ATTENTION, "2 shapes were refused")
    deliver(accept_partial=True)
    assert state() is State.EXPORTED
    assert kept.state is RemoteState.ACTIVE, "the shelf completes by itself; nobody finished it"
    kept.labels |= dict.fromkeys(list(kept.images)[63:65], (BOAT,))
    assert deliver() == {"river_images": "2", "river_labels": "2"}


def test_failed_and_deleted_images_are_listed_with_their_reason(home):
    kept = make_campaign(home)
    label_sixty(kept)
    ids = list(kept.images)
    kept.failed = {ids[70]: "the file is damaged"}
    kept.excluded |= {ids[71]: (ImageState.REJECTED, "rejected by bob"), ids[0]: (ImageState.GONE, "frame 0 deleted")}
    deliver(accept_partial=True)
    listed = {row["image"]: (row["reason"], row["place"]) for row in rows(version(home, 1) / "rejected.csv")}
    assert listed["070.jpg"] == ("failed on the platform", "the file is damaged")
    assert listed["071.jpg"] == ("rejected", "rejected by bob")
    assert listed["000.jpg"] == ("deleted on the platform", "frame 0 deleted"), "although it has labels"
    assert len(listed) == 41


def test_an_image_of_another_size_is_listed(home, monkeypatch):
    kept = make_campaign(home)
    label_sixty(kept)
    the_ledger().manifests.entries("river")
    context = CampaignContext("river")
    assert context.record.images == 100
    shown, sent = kept.images["i000.jpg"]
    read_progress.fn("river")
    earlier = count_labeled.fn("river")
    read_labels()
    spool = spool_of(context)
    images = [
        image if image.name != shown else type(image)(image.name, Size(30, 40), (), image.remote_id)
        for image in spool.images()
    ]
    spool.put_page(1, images, excluded=list(spool.excluded()))
    check_labels.fn("river", True, earlier)
    delivery = delivery_of(context)
    assert delivery is not None
    assert delivery.listed[0].name == sent.image.name
    assert delivery.listed[0].reason.value == "wrong size"
    assert delivery.listed[0].place == "30 x 40 on the platform, 40 x 30 in the manifest"


def test_counts_that_do_not_agree_stop_a_partial_delivery(home, monkeypatch):
    kept = make_campaign(home)
    label_sixty(kept)
    read_progress.fn("river")
    earlier = count_labeled.fn("river")
    read_labels()
    spool = spool_of(CampaignContext("river"))
    spool.put_page(1, list(spool.images())[1:], excluded=list(spool.excluded()))  # a page that was cut off
    with pytest.raises(ValidationFailed, match="64 images were read, the platform counts 65"):
        check_labels.fn("river", True, earlier)


def test_labels_that_arrive_while_they_are_read_do_not_stop_a_delivery(home):
    kept = make_campaign(home)
    label_sixty(kept)
    read_progress.fn("river")
    earlier = count_labeled.fn("river")
    read_labels()
    kept.labels[list(kept.images)[80]] = (BOAT,)
    check_labels.fn("river", True, earlier)
    delivery = delivery_of(CampaignContext("river"))
    assert delivery is not None
    assert delivery.delivered == 60


def test_a_share_of_labels_makes_one_delivery_due(home):
    kept = make_campaign(home, when="60 %")
    label_sixty(kept)
    assert due_work() == [], "nothing was read yet"
    read_progress.fn("river")
    (due,) = due_work()
    assert (due.title, due.work) == ("river", Work.DELIVER)
    deliver(accept_partial=True)
    assert due_work() == []
    kept.labels[list(kept.images)[90]] = (BOAT,)
    read_progress.fn("river")
    assert due_work() == [], "the next one is at completion"


def test_nothing_is_delivered_before_an_image_is_labeled(home):
    make_campaign(home)
    with pytest.raises(NotLabeledYet, match="0 of 100 images are ready; the other 100: 100 not labeled"):
        deliver(accept_partial=True)
    the_ledger().campaigns.move("river", State.CANCELLED)
    with pytest.raises(CannotRun, match="is cancelled"):
        refuse_undeliverable("river")


def test_lineage_tells_which_version_holds_an_image(home):
    label_sixty(make_campaign(home))
    deliver(accept_partial=True)
    (delivered,) = lineage(the_ledger(), settings(), f"{0:064x}")["found"]
    assert {dataset["name"] for dataset in delivered["datasets"]} == {"river_images", "river_labels"}
    (left_out,) = lineage(the_ledger(), settings(), f"{99:064x}")["found"]
    assert left_out["datasets"] == []
