"""What stands in a dataset's files opens in the folder that the images came from."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from labelwright.campaigns.lineage import lineage
from labelwright.campaigns.plan import make_plan
from labelwright.campaigns.spec import CampaignSpec, validate_spec
from labelwright.datasets.delivery import REJECTED_CSV, Delivery, ListedImage, Reason
from labelwright.datasets.receipts import dataset_receipt
from labelwright.datasets.statistics import count
from labelwright.domain import Annotation, Box, ExcludedImage, ImageState, LabeledImage, ShapeNotice, Size
from labelwright.platforms.registry import PLATFORMS
from labelwright.prefect_integration.connections import CONNECTIONS
from labelwright.settings import forget_settings, settings
from labelwright.tasks.campaign.excluded_images import delivery_of, delivery_path, report_excluded
from labelwright.tasks.campaign.image_checks import check_images, register_campaign
from labelwright.tasks.context import CampaignContext
from labelwright.tasks.export.files import delivery_folder, write_files
from labelwright.tasks.export.labels import delivered, record_left_out, spool_of
from tests.platforms.shelf import ENTRY

NAMES = ["Ku\u0308ste.jpg", "\uf900.jpg", "a\\b.jpg", "plain.jpg", "what?.jpg"]


@pytest.fixture
def home(tmp_path, monkeypatch) -> Iterator[Path]:
    monkeypatch.setitem(PLATFORMS, "shelf", ENTRY)
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__URL", f"memory:{tmp_path}")
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__KEY", "good")
    forget_settings()
    yield tmp_path
    forget_settings()


def river(images: dict[str, str], **export: object) -> CampaignSpec:
    document = {"title": "river", "platform": "shelf", "labels": ["boat"], "labeler": "a@b.c", "export": export}
    return validate_spec({**document, "images": images}, "test")


def label_and_write() -> Path:
    """Labels every image with a box and writes the files of an export. Returns the folder of the labels."""
    context = CampaignContext("river")
    box = (Annotation("boat", Box(1, 1, 9, 9)),)
    entries = context.ledger.manifests.entries("river")
    spool_of(context).put_page(1, [LabeledImage(entry.image.name, Size(40, 30), box) for entry in entries])
    write_files.fn("river")
    return delivery_folder(context, "labels")


def rows_of(path: Path, encoding: str = "utf-8") -> list[dict[str, str]]:
    with path.open(encoding=encoding, newline="") as file:
        return list(csv.DictReader(file))


def test_every_file_name_opens_in_the_source_folder(home: Path) -> None:
    (home / "photos").mkdir()
    for number, name in enumerate(NAMES):
        Image.new("RGB", (40, 30), (number * 50, 0, 0)).save(home / "photos" / name)
    spec = river({"folder": str(home / "photos")}, split={"train": 50, "validation": 50, "test": 0})
    warning = make_plan(spec, settings(), CONNECTIONS).warnings[0]
    assert warning.startswith("2 images are taken with an unusual name: 'a\\b.jpg' (its backslash counts as a slash")
    register_campaign.fn(spec)
    check_images.fn("river")
    assert [entry.image.name for entry in CampaignContext("river").ledger.manifests.entries("river")] == [
        "K\u00fcste.jpg",
        "a/b.jpg",
        "plain.jpg",
        "what?.jpg",
        "\u8c48.jpg",
    ]
    labels = label_and_write()
    coco = json.loads((labels / "river_coco.json").read_text(encoding="utf-8"))
    expected = set(NAMES)
    assert {image["file_name"] for image in coco["images"]} == expected
    for path in (
        labels / "river_labels.csv",
        labels / "river_split.csv",
        labels.parent / "images" / "river_images.csv",
    ):
        assert {row["file_name"] for row in rows_of(path)} == expected, path.name
    assert all((home / "photos" / name).exists() for name in expected)
    for line in (labels / "river_detection.jsonl").read_text().splitlines():
        assert json.loads(line)["image_url"].startswith("file:///")


def test_groups_of_the_manifest_reach_the_split_of_the_dataset(home: Path) -> None:
    for number in range(9):
        Image.new("RGB", (40, 30), (number * 25, 0, 0)).save(home / f"{number}.png")
    lines = [f"{number}.png,patient {number % 3}" for number in range(9)]
    (home / "list.csv").write_text("\n".join(["path,group", *lines, ""]))
    split = {"train": 50, "validation": 50, "test": 0, "by": "group"}
    register_campaign.fn(river({"manifest": str(home / "list.csv")}, split=split))
    check_images.fn("river")
    rows = rows_of(label_and_write() / "river_split.csv")
    assert [f"{row['file_name']},{row['group']}" for row in rows] == lines
    assert len({(row["group"], row["part"]) for row in rows}) == 3


def test_the_list_of_what_is_not_delivered_has_the_sources_names(home: Path) -> None:
    (home / "photos").mkdir()
    for number, name in enumerate(NAMES[:2]):
        Image.new("RGB", (40, 30), (number * 50, 0, 0)).save(home / "photos" / name)
    register_campaign.fn(river({"folder": str(home / "photos")}))
    check_images.fn("river")
    context = CampaignContext("river")
    listed = ListedImage("K\u00fcste.jpg", Reason.NOT_LABELED, "")
    Delivery(2, (listed,), 0).write(delivery_path(context))
    assert [row["image"] for row in rows_of(label_and_write() / REJECTED_CSV)] == [NAMES[0]]


def test_receipt_reports_and_rejects_have_the_sources_names(home: Path) -> None:
    (home / "photos").mkdir()
    for number, name in enumerate(NAMES[:2]):
        Image.new("RGB", (40, 30), (number * 50, 0, 0)).save(home / "photos" / name)
    (home / "photos" / "Ru\u0308be.jpg").write_bytes(b"no image")
    (home / "photos" / "Ru\u0308ben.jpg").write_bytes((home / "photos" / NAMES[0]).read_bytes())
    register_campaign.fn(river({"folder": str(home / "photos")}))
    check_images.fn("river")
    context = CampaignContext("river")
    assert {row["name"] for row in rows_of(context.folder / "rejects.csv", "utf-8-sig")} == {
        "Ru\u0308be.jpg",
        "Ru\u0308ben.jpg",
    }
    excluded = ExcludedImage("K\u00fcste.jpg", ImageState.SKIPPED, "by the labeler")
    notices = [ShapeNotice("no area", "\u8c48.jpg", "")]
    labeled = LabeledImage("\u8c48.jpg", Size(40, 30), (Annotation("boat", Box(1, 1, 9, 9)),))
    spool_of(context).put_page(1, [labeled], left_out=notices, excluded=[excluded])
    report_excluded(context, {excluded.name: excluded})
    assert [row["image"] for row in rows_of(context.folder / "excluded.csv")] == [NAMES[0]]
    record_left_out.fn("river")
    assert [row["image"] for row in rows_of(context.folder / "left-out.csv")] == [NAMES[1]]
    Delivery(2, (ListedImage("K\u00fcste.jpg", Reason.SKIPPED, ""),), 0).write(delivery_path(context))
    labels = delivered(context)
    receipt = dataset_receipt(
        campaign={},
        platform="shelf",
        stock=labels.images(),
        excluded=labels.excluded().values(),
        delivery=delivery_of(context),
        statistics=count(labels, context.spec.schema_of_labels()),
        code_version="1",
        source_names=context.ledger.manifests.source_names("river"),
    )
    assert list(receipt["images"]["sha256"]) == [NAMES[1]]
    assert receipt["excluded"]["images"][0]["image"] == receipt["delivery"]["listed"][0]["image"] == NAMES[0]
    sha256 = context.ledger.manifests.find("river", "K\u00fcste.jpg").image.sha256
    assert lineage(context.ledger, settings(), sha256)["found"][0]["excluded"] == "skipped: by the labeler"
