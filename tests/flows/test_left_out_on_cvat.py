"""Shapes of CVAT that a dataset cannot hold, from the labeler's page to the commands, the receipt and the page."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO

from labelwright.cli.output import campaigns as printing_campaigns
from labelwright.flows.export_campaign import export_campaign
from labelwright.flows.finish_campaign import finish_campaign
from labelwright.flows.launch_campaign import launch_campaign
from labelwright.settings import forget_settings
from labelwright.tasks.context import CampaignContext, the_ledger
from tests.platforms.cvat.fake_server.server import FakeCvat
from tests.platforms.cvat.harness import as_labeler

from .conftest import make_photos, make_spec

pytestmark = pytest.mark.usefixtures("plain_flows")

SHAPES: list[dict[str, Any]] = [
    {"type": "rectangle", "points": [1, 2, 11, 12], "occluded": True, "group": 4},
    {"type": "ellipse", "points": [30, 20, 42, 12], "rotation": 30},
    {"type": "polygon", "points": [40, 5, 200, 5, 200, 35, 40, 35, 40, 30, 100, 30, 100, 10, 40, 10]},
    {"type": "polyline", "points": [1, 1, 9, 9, 20, 1]},
    {"type": "points", "points": [1, 1]},
    {"type": "cuboid", "points": list(range(16))},
    {"type": "polygon", "points": [0, 0, 9, 9, 9, 0, 0, 9]},
    {"type": "polygon", "points": [0, 0, 8, 8, 8, 0, 0, 8]},
]
COUNTS = {
    "shapes": {"crosses itself": 4, "cuboid": 2, "points": 2, "polyline": 2},
    "changed": {"cut to its image": 2},
}


@pytest.fixture
def cvat(home, monkeypatch) -> Iterator[FakeCvat]:
    with FakeCvat("requests") as server:
        monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__CVAT__URL", server.url)
        monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__CVAT__KEY", "requester")
        monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__CVAT__SECRET", "requester-password")
        forget_settings()
        yield server


def test_everything_left_out_is_counted_everywhere_and_the_rest_is_exact(cvat, tmp_path, capsys):
    make_photos(tmp_path / "photos", 2)
    options = {"organization": "acme"}
    spec = make_spec(
        "river",
        tmp_path / "photos",
        tmp_path / "datasets",
        platform="cvat",
        labeler="labeler1@example.com",
        options=options,
    )
    launch_campaign(spec)
    (task,) = cvat.state.tasks.values()
    (job,) = cvat.state.jobs_of(task.id)
    boat = next(label.id for label in cvat.state.projects[task.project].labels if label.name == "boat")
    shapes = [{"frame": frame, "label_id": boat, "attributes": [], **shape} for frame in range(2) for shape in SHAPES]
    as_labeler(cvat, "PUT", f"/api/jobs/{job.id}/annotations", {"shapes": shapes, "tags": [], "tracks": []})
    as_labeler(cvat, "PATCH", f"/api/jobs/{job.id}", {"state": "completed"})
    finish_campaign("river")
    assert the_ledger().left_out.find("river").to_dict() == COUNTS
    datasets = export_campaign("river")
    assert the_ledger().left_out.find("river").to_dict() == COUNTS

    printing_campaigns.show_campaign(the_ledger(), "river", as_json=False)
    assert "10 shapes left out: 4 crosses itself, 2 cuboid, 2 points, 2 polyline" in capsys.readouterr().out
    folder = tmp_path / "datasets" / "river_labels" / "v1"
    assert json.loads((folder / "receipt.json").read_text())["left_out"] == COUNTS
    assert [dataset["version"] for dataset in datasets] == ["1", "1"]
    with (CampaignContext("river").folder / "left-out.csv").open(newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 12

    coco = COCO(str(folder / "river_coco.json"))
    box, ellipse, parts = [coco.anns[number] for number in (1, 2, 3)]
    assert len(coco.anns) == 6
    assert box["attributes"] == {"@group": "4", "@occluded": "true"}
    assert ellipse["area"] == pytest.approx(np.pi * 12 * 8, rel=0.01)
    assert int(coco.annToMask(ellipse).sum()) == pytest.approx(ellipse["area"], rel=0.05)
    width = coco.imgs[1]["width"]
    assert len(parts["segmentation"]) == 2
    assert parts["area"] == 2 * 5 * (width - 40) == int(coco.annToMask(parts).sum())
