"""Predictions into a campaign: a call that fails costs its images alone."""

from __future__ import annotations

import json
from types import SimpleNamespace

from labelwright.domain import Image, Label, LabeledImage, LabelSchema, Size
from labelwright.ledger import ManifestEntry
from labelwright.platforms import PlatformUnavailable
from labelwright.tasks.campaign import predictions


class Platform:
    """Fails the first call for some images."""

    def __init__(self, failing: set[str]) -> None:
        self.failing = failing
        self.calls: list[list[str]] = []

    def put_predictions(self, campaign: str, images: list[LabeledImage]) -> None:
        self.calls.append([image.name for image in images])
        if images[0].name in self.failing:
            self.failing.discard(images[0].name)
            raise PlatformUnavailable("platform", "put predictions", message="cut")


def test_only_the_failed_call_is_repeated(tmp_path, monkeypatch):
    names = [f"{number:04}.jpg" for number in range(1000)]
    coco = {
        "images": [{"id": number, "file_name": name, "width": 60, "height": 40} for number, name in enumerate(names)],
        "categories": [{"id": 1, "name": "boat"}],
        "annotations": [{"image_id": number, "category_id": 1, "bbox": [1, 2, 3, 4]} for number in range(1000)],
    }
    (tmp_path / "coco.json").write_text(json.dumps(coco))
    images = [Image(name, Size(60, 40), 1, "0" * 64, "0" * 32, "JPEG") for name in names]
    entries = [ManifestEntry(image, image.name, remote_id=image.name) for image in images]
    platform = Platform({"0200.jpg", "0600.jpg"})
    context = SimpleNamespace(
        require_capability=lambda _: platform,
        ledger=SimpleNamespace(manifests=SimpleNamespace(entries=lambda _: iter(entries))),
        remote_id="c",
        spec=SimpleNamespace(schema_of_labels=lambda: LabelSchema((Label("boat"),))),
    )
    monkeypatch.setattr(predictions, "CampaignContext", lambda _: context)
    assert predictions.put_predictions.fn("river", str(tmp_path / "coco.json")) == 1000
    assert [call[0] for call in platform.calls] == [
        *("0000.jpg", "0200.jpg", "0400.jpg", "0600.jpg", "0800.jpg"),
        *("0200.jpg", "0600.jpg"),
    ]
