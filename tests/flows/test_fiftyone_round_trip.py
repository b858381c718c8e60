"""A campaign's dataset through FiftyOne and back, by the recipe of docs/fiftyone.md: `pytest -m readers`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import requests

from labelwright.api import Campaign
from labelwright.campaigns.labeler_keys import LabelerKeys
from labelwright.flows.predict_campaign import predict_campaign
from labelwright.settings import settings
from labelwright.tasks.context import the_ledger
from tests.datasets.test_fiftyone_recipe import PAGE, WITHOUT_DATABASE, recipe
from tests.datasets.test_heavy_readers import FIFTYONE_PACKAGES
from tests.datasets.test_training_judges import ask

from . import partner
from .conftest import make_photos

pytestmark = [pytest.mark.readers, pytest.mark.usefixtures("plain_flows")]


def launched(title: str, folder: Path) -> Campaign:
    return Campaign(
        title=title,
        images={"folder": folder / "photos"},
        labels=[{"name": "boat", "geometry": "any"}, "buoy"],
        labeler="partner@example.com",
        export={"folder": folder / "datasets", "formats": ["csv", "coco"]},
    ).launch()


def predictions(title: str) -> list[dict[str, Any]]:
    """Images with predictions, as the admin sees them."""
    connection = settings().connection("campaign_api")
    assert connection.key is not None
    assert connection.secret is not None
    headers = {
        "Authentication-Key": connection.key.get_secret_value(),
        "Authentication-Secret": connection.secret.get_secret_value(),
    }
    url = f"{connection.url}/campaigns/{the_ledger().campaigns.get(title).remote_id}/predictions"
    response = requests.get(url, headers=headers, timeout=60)
    assert response.ok, response.text
    images: list[dict[str, Any]] = response.json()["images"]
    return images


def label(title: str) -> int:
    access = LabelerKeys(settings().home).find("campaign_api", "partner@example.com")
    remote_id = the_ledger().campaigns.get(title).remote_id
    assert access is not None
    assert remote_id is not None
    return partner.label(settings().connection("campaign_api").url or "", remote_id, access)


def test_a_dataset_goes_to_fiftyone_and_comes_back(service, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = make_photos(tmp_path / "photos" / "north", 6, size=(64, 64))
    river = launched("river", tmp_path)
    label("river")
    versions = {dataset.name: dataset.version for dataset in river.wait(hours=0.1, look_every=0.1)}
    assert versions["river_labels"] == "1"

    script = "\n".join([WITHOUT_DATABASE, *recipe(), "print(json.dumps(len(dataset.samples)))"])
    assert ask(*FIFTYONE_PACKAGES, script, tmp_path) == 6

    tagged = Path("wrong.txt").read_text(encoding="utf-8").splitlines()
    assert 0 < len(tagged) < 6
    assert set(tagged) < {f"north/{name}" for name in names}
    command = shlex.split(next(line for line in PAGE.splitlines() if line.startswith("labelwright reopen")))
    assert command[3:5] == ["--images", "wrong.txt"]
    river.reopen(images=tagged, reason=command[-1])
    assert label("river") == len(tagged), "only the tagged images were given back"

    launched("river-2", tmp_path)
    assert predict_campaign("river-2", "predictions.json", model_version="boats-7") == 6
    predicted = predictions("river-2")
    assert len(predicted) == 6
    [one] = predicted[0]["objects"]
    assert (one["label"], one["confidence"], one["model_version"]) == ("buoy", 0.75, "boats-7")
    assert one["bounding_box"] == {"xmin": 16, "xmax": 24, "ymin": 32, "ymax": 48}
