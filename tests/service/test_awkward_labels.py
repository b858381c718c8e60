"""Labels such as `-1`, `=x` and `'a`, from the campaign file to the data scientist's table."""

from __future__ import annotations

import json

import requests
import yaml

import labelwright
from labelwright.campaigns.spec import parse_spec
from labelwright.campaigns.unsupported import reasons_to_refuse
from labelwright.datasets import Spool, StockedImage, write_many
from labelwright.domain import Size
from labelwright.platforms.campaign_api.adapter import CampaignApi
from labelwright.platforms.protocol import Secret

LABELS = ["-1", "=x", "'a", "'=x", "+1", "@x", "NA", "null", "nan", "yes", "012", "1e3", "2026-12-18", 'a "b", c', "é"]


def test_every_label_arrives_as_it_was_written(service, make, tmp_path):
    text = yaml.safe_dump(
        {"title": "t", "images": {"folder": "p"}, "labels": LABELS, "labeler": "a@b.c"}, allow_unicode=True
    )
    spec = parse_spec(text)
    assert reasons_to_refuse(spec) == []
    schema = spec.schema_of_labels()
    assert list(schema.names) == LABELS

    campaign, (image,), labeler = service.campaign(
        images=1, label_schema=[{"name": label, "geometry": "box"} for label in LABELS]
    )
    path = f"/campaigns/{campaign['campaign_id']}"
    objects = [make.thing(label) for label in LABELS]
    labeler.ok("PUT", f"{path}/objects", [{"image_id": image, "objects": objects}])
    service.ok("PUT", path, {"new_status": "finished"})
    (tmp_path / "service.csv").write_bytes(requests.get(service.get(path)["labels_csv_url"], timeout=30).content)
    assert labelwright.read_labels_csv(tmp_path / "service.csv")["label"].tolist() == LABELS

    platform = CampaignApi(service.api, make.key, Secret(make.secret))
    page = platform.read_labels(str(campaign["campaign_id"]), None)
    spool = Spool(tmp_path / "spool")
    spool.put_page(1, page.images)
    stock = [StockedImage(1, page.images[0].name, Size(100, 80), "")]
    written = write_many(["csv", "coco", "detection"], spool.delivered(stock), schema, title="t", folder=tmp_path)
    table = labelwright.read_labels_csv(written["csv"])
    assert table["label"].tolist() == LABELS
    coco = json.loads(written["coco"].read_text())
    names = {category["id"]: category["name"] for category in coco["categories"]}
    assert [names[annotation["category_id"]] for annotation in coco["annotations"]] == LABELS
    (line,) = written["detection"].read_text().splitlines()
    assert [label["label"] for label in json.loads(line)["label"]] == LABELS
