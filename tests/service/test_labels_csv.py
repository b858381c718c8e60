"""The file that finishing writes."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
import requests

GOLDEN = Path(__file__).with_name("labels_golden.csv")


def test_the_file_is_the_golden_one(serve, make):
    names = ["=cmd.png", 'a,b"c.png', "empty.png", "never.png", "ünï/日本.png"]
    with serve() as service:
        sealed = service.set_of({name: make.picture(100, 80) for name in names})
        ids = [image["image_id"] for image in service.images_of(sealed["imageset_id"])]
        campaign, _, labeler = service.campaign(images=0)
        path = f"/campaigns/{campaign['campaign_id']}"
        service.ok("POST", f"{path}/images", [{"id": image} for image in ids])
        polygon = [[1.5, 2], [30, 2], [30, 40.25]]
        exact = {**make.thing("Wood", 0.1), "bounding_box": {"xmin": 0.1, "xmax": 1 / 3, "ymin": 1e-7, "ymax": 80}}
        objects_by_image = [
            [make.thing("=HYPERLINK(1)"), make.thing("+1"), make.thing("-1"), make.thing("@x", 0.5)],
            [make.thing("with, comma", polygon=polygon), exact],
            [],
            None,
            [
                make.thing("日本", attributes={"state": 'torn, "wet"', "staat": "nat"}),
                {"label": "Foggy", "confidence": 1, "whole_image": True, "attributes": {"how": "=thick"}},
                {"label": "Dark", "confidence": 0.5, "whole_image": True},
                make.thing(polygons=[[[1, 2], [10, 2], [10, 10]], [[20, 20], [30, 20], [30, 40]]]),
            ],
        ]
        body = [
            {"image_id": image, "objects": objects}
            for image, objects in zip(ids, objects_by_image, strict=True)
            if objects is not None
        ]
        labeler.ok("PUT", f"{path}/objects", body)
        for state in ("completed", "finished"):
            service.ok("PUT", path, {"new_status": state})
        response = requests.get(service.get(path)["labels_csv_url"])
    assert response.headers["Content-Type"] == "text/csv"
    assert response.content.decode() == GOLDEN.read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(response.content.decode())))
    assert {float(row["xmax"]) for row in rows if row["label"] == "Wood"} == {1 / 3}


@pytest.mark.parametrize("title", ["../../etc/passwd", "a/b", "Ü & <b>", "x" * 200])
def test_any_title_has_its_file_and_no_other_ones(serve, title):
    with serve() as service:
        campaign, ids, labeler = service.campaign(images=1, title=title)
        path = f"/campaigns/{campaign['campaign_id']}"
        labeler.ok("PUT", f"{path}/objects", [{"image_id": ids[0], "objects": []}])
        service.ok("PUT", path, {"new_status": "finished"})
        url = service.get(path)["labels_csv_url"]
        assert requests.get(url).text.count("\n") == 2
        assert "/../" not in url


def test_there_is_no_file_before_the_campaign_is_finished(service):
    campaign, ids, labeler = service.campaign(images=1)
    path = f"/campaigns/{campaign['campaign_id']}"
    labeler.ok("PUT", f"{path}/objects", [{"image_id": ids[0], "objects": []}])
    assert "labels_csv_url" not in service.get(path)
