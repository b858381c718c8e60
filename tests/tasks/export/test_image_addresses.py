"""Image addresses in datasets: the same in every export, and open without the labeling service."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.request import urlopen

import pytest

from labelwright.campaigns.spec import validate_spec
from labelwright.campaigns.unsupported import reasons_to_refuse
from labelwright.campaigns.yaml_loader import SpecError
from labelwright.datasets import read_labels_csv
from labelwright.domain import Annotation, Box, LabeledImage, Size
from labelwright.settings import forget_settings
from labelwright.stores.protocol import content_hash
from labelwright.tasks.context import CampaignContext
from labelwright.tasks.export.files import delivery_folder, write_files
from labelwright.tasks.export.labels import spool_of

from .test_exporting import NAMES, home, make_campaign

__all__ = ["home"]


@pytest.fixture
def moved(monkeypatch):
    """Lets the labeling service listen at another port."""

    def move(port: int) -> None:
        monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__URL", f"http://127.0.0.1:{port}/api/v1")
        monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__KEY", "key")
        monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__SECRET", "a-secret-of-the-tests")
        forget_settings()

    return move


def written(title: str = "river") -> dict[str, str]:
    """Writes the files of both datasets. Returns the content hash of each."""
    labeled = [LabeledImage(name, Size(40, 30), (Annotation("boat", Box(1, 1, 9, 9)),)) for name in NAMES]
    spool_of(CampaignContext(title)).put_page(1, labeled)
    write_files.fn(title)
    return {dataset: content_hash(delivery_folder(CampaignContext(title), dataset)) for dataset in ("images", "labels")}


def addresses(folder: Path) -> list[str]:
    lines = (folder / "delivery" / "labels" / "river_detection.jsonl").read_text().splitlines()
    return [json.loads(line)["image_url"] for line in lines]


def test_labels_are_the_same_version_after_the_service_moved(home, moved):
    make_campaign(home, platform="campaign_api")
    moved(40001)
    before = written()
    moved(40002)
    assert written() == before
    folder = CampaignContext("river").folder
    for address, name in zip(addresses(folder), NAMES, strict=True):
        with urlopen(address) as image:
            assert image.read() == name.encode() * 100
    assert ":4000" not in "".join(path.read_text() for path in (folder / "delivery").rglob("*") if path.is_file())
    assert len(read_labels_csv(folder / "delivery" / "labels" / "river_labels.csv")) == len(NAMES)


def test_addresses_of_the_platform_are_written_when_asked_for(home, moved):
    make_campaign(home, platform="campaign_api", image_addresses="platform")
    moved(40001)
    context = CampaignContext("river")
    context.ledger.manifests.record_remote_ids("river", [(name, str(7 + n)) for n, name in enumerate(NAMES)])
    written()
    assert addresses(context.folder)[0] == "http://127.0.0.1:40001/api/v1/images/7"


def test_addresses_that_there_are_none_of_are_refused():
    document = {"title": "a", "images": {"folder": "x"}, "labels": ["boat"], "labeler": "a@b.c"}
    plain = validate_spec(document, "test")
    assert "image_addresses" not in plain.model_dump(mode="json")["export"], "older ledgers lack it"
    asked = {**document, "export": {"image_addresses": "platform"}}
    assert reasons_to_refuse(validate_spec(asked, "test")) == []
    (reason,) = reasons_to_refuse(validate_spec({**asked, "platform": "cvat"}, "test"))
    assert reason == "export.image_addresses: CVAT has no URLs of images. Remove 'image_addresses: platform'"
    with pytest.raises(SpecError, match="keeps the images"):
        validate_spec({**document, "export": {"image_addresses": "platform", "store": "azure_ml"}}, "test")
