"""A campaign on Remo through all flows of the main job, on a real Prefect server; Remo is the stand-in of both
generations."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator

import pytest
from PIL import Image
from pycocotools.coco import COCO

from labelwright.campaigns.refusals import NotLabeledYet
from labelwright.campaigns.unsupported import Unsupported
from labelwright.datasets import read_labels_csv
from labelwright.domain import State
from labelwright.flows.export_campaign import export_campaign
from labelwright.flows.finish_campaign import finish_campaign
from labelwright.flows.launch_campaign import launch_campaign
from labelwright.flows.run_campaign import run_campaign
from labelwright.flows.sweep_campaigns import sweep_campaigns
from labelwright.settings import forget_settings
from labelwright.tasks.context import the_ledger
from tests.platforms.proxy import Fault, FaultProxy, Rule
from tests.platforms.remo.harness import Labeler
from tests.platforms.remo.server import EMAIL, PASSWORD, RemoServer

from .conftest import make_photos, make_spec

pytestmark = pytest.mark.usefixtures("plain_flows")

LABELS = [{"name": "sailing Boat"}, "buoy"]


@pytest.fixture(params=[pytest.param(False, marks=pytest.mark.slow), True], ids=["0.3.29", "0.6.1"])
def server(request, home, monkeypatch) -> Iterator[RemoServer]:
    with RemoServer(modern=request.param) as server:
        server.world.looks_until_done = 1
        connect_platform(server.url, monkeypatch)
        monkeypatch.setenv("LABELWRIGHT_BATCH_SIZE", "3")
        forget_settings()
        yield server


def connect_platform(url: str, monkeypatch) -> None:
    for name, value in {"URL": url, "KEY": EMAIL, "SECRET": PASSWORD}.items():
        monkeypatch.setenv(f"LABELWRIGHT_CONNECTIONS__REMO__{name}", value)
    forget_settings()


@pytest.fixture
def river(tmp_path):
    """Seven images in batches of three; one in a folder of its own, one stored turned."""
    photos = tmp_path / "photos"
    make_photos(photos, 6)
    (photos / "second").mkdir()
    picture = Image.new("RGB", (60, 40), "red")
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(photos / "second" / "photo-000.jpg", exif=exif)
    return make_spec("river", photos, tmp_path / "datasets", platform="remo", labels=LABELS)


def label(server: RemoServer, at_most: int = 100) -> None:
    """Every third image shows nothing and every fourth is skipped; the others a boat each."""
    remote = the_ledger().campaigns.get("river").remote_id
    (dataset,) = server.world.datasets.values()
    labeler = Labeler(server.url)
    for number, image in enumerate(sorted(dataset.pictures.values(), key=lambda picture: picture.name)[:at_most]):
        corners = [{"x": 1, "y": 2}, {"x": 20 + number, "y": 30}]
        boat = {"name": "OBJ 1", "classes": [{"name": "Sailing boat"}], "coordinates": corners}
        objects = [] if number % 3 == 2 else [boat]
        labeler.say(remote, str(image.id), {"objects": objects}, "skipped" if number == 5 else "done")


def test_a_folder_becomes_datasets_and_a_second_time_changes_nothing(server, river, tmp_path):
    assert launch_campaign(river) == "river"
    record = the_ledger().campaigns.get("river")
    assert record.state is State.ACTIVE
    assert [(dataset.name, len(dataset.pictures)) for dataset in server.world.datasets.values()] == [("river", 7)]
    assert [annotation_set.name for annotation_set in server.world.sets.values()] == ["river"]
    assert sweep_campaigns() == {"river": "active"}

    label(server, at_most=6)
    with pytest.raises(NotLabeledYet, match="6 of 7"):
        finish_campaign("river")
    label(server)
    assert sweep_campaigns() == {"river": "exported"}
    datasets_before = the_ledger().campaigns.datasets("river")

    launch_campaign(river)
    assert sweep_campaigns() == {}
    export_campaign("river")
    assert the_ledger().campaigns.datasets("river") == datasets_before
    assert [len(dataset.pictures) for dataset in server.world.datasets.values()] == [7]
    assert [annotation_set.name for annotation_set in server.world.sets.values()] == ["river"]

    folder = tmp_path / "datasets" / "river_labels" / "v1"
    table = read_labels_csv(folder / "river_labels.csv")
    assert len(table["file_name"].unique()) == 6
    assert "photo-005.jpg" not in set(table["file_name"]), "it was skipped: nobody knows what is on it"
    assert "second/photo-000.jpg" in set(table["file_name"])
    assert set(table["label"]) == {"sailing Boat", ""}
    coco = COCO(str(folder / "river_coco.json"))
    assert [category["name"] for category in coco.cats.values()] == ["sailing Boat", "buoy"]
    assert {image["file_name"]: (image["width"], image["height"]) for image in coco.imgs.values()}[
        "second/photo-000.jpg"
    ] == (40, 60)
    assert len(coco.imgs) == 6
    assert len(coco.anns) == 5
    excluded = json.loads((folder / "receipt.json").read_text())["excluded"]
    assert excluded["images"] == [{"image": "photo-005.jpg", "state": "skipped", "reason": "skipped in Remo"}]
    assert all(item["area"] == item["bbox"][2] * item["bbox"][3] > 0 for item in coco.anns.values())


def test_sweep_notices_images_reopened_or_deleted_after_export(server, river, tmp_path):
    launch_campaign(river)
    label(server)
    assert sweep_campaigns() == {"river": "exported"}
    assert sweep_campaigns() == {}
    remote = the_ledger().campaigns.get("river").remote_id
    (dataset,) = server.world.datasets.values()
    first, second, *_ = sorted(dataset.pictures.values(), key=lambda picture: picture.name)
    Labeler(server.url).say(remote, str(first.id), {"objects": []}, "not_annotated")
    assert sweep_campaigns() == {"river": "reopened"}
    assert the_ledger().campaigns.moves("river")[-1].why == (
        "reopened on the platform, not by Labelwright: 6 of 7 images are done"
    )
    Labeler(server.url).say(remote, str(first.id), {"objects": []}, "done")
    assert sweep_campaigns() == {"river": "exported"}
    with server.lock:
        del dataset.pictures[second.id]
        for annotation_set in server.world.sets.values():
            annotation_set.notes.pop(second.id, None)  # its statistics are as they were counted before
    assert sweep_campaigns() == {"river": "exported"}
    assert sweep_campaigns() == {}, "and once is enough"
    receipt = json.loads((tmp_path / "datasets" / "river_labels" / "v3" / "receipt.json").read_text())
    assert receipt["images"]["count"] == 5
    assert receipt["excluded"]["by_state"] == {"gone from the platform": 1, "skipped": 1}


@pytest.mark.usefixtures("prefect_server")
@pytest.mark.slow
def test_one_run_takes_a_campaign_from_its_folder_to_its_datasets(server, river, monkeypatch):
    import threading

    def work() -> None:
        while not [annotation_set for annotation_set in server.world.sets.values() if annotation_set.name == "river"]:
            stop.wait(0.05)
        label(server)

    stop = threading.Event()
    worker = threading.Thread(target=work)
    worker.start()
    datasets = run_campaign(river, wait_hours=0.01, look_every=0.1)
    worker.join()
    assert [dataset["version"] for dataset in datasets] == ["1", "1"]


@pytest.mark.slow
def test_images_that_remo_does_not_take_are_listed_and_the_rest_goes_on(server, river, tmp_path):
    Image.new("RGB", (30, 30), "blue").save(tmp_path / "photos" / "moving.gif")
    launch_campaign(river)
    assert [(reject.name, "GIF" in reject.reason) for reject in the_ledger().manifests.rejects("river")] == [
        ("moving.gif", True)
    ]
    assert the_ledger().campaigns.get("river").images == 7
    label(server)
    assert sweep_campaigns() == {"river": "exported"}


@pytest.mark.usefixtures("prefect_server")
@pytest.mark.slow
def test_a_launch_whose_answers_are_lost_ends_as_on_a_good_network(server, river, monkeypatch):
    with FaultProxy(("127.0.0.1", server.port)) as proxy:
        connect_platform(proxy.url.replace("127.0.0.1", "localhost"), monkeypatch)
        proxy.add(Rule(Fault.LOSE_ANSWER, method="POST|PUT", path="/(upload|dataset|annotation-sets)/", every=2))
        launch_campaign(river)
        assert [request for request in proxy.requests if request.fault]
    connect_platform(server.url, monkeypatch)
    assert [(dataset.name, len(dataset.pictures)) for dataset in server.world.datasets.values()] == [("river", 7)]
    assert [annotation_set.name for annotation_set in server.world.sets.values()] == ["river"]
    label(server)
    assert sweep_campaigns() == {"river": "exported"}


def test_labels_of_two_kinds_are_refused_before_anything_is_sent(server, river):
    mixed = [{"name": "boat"}, {"name": "sail", "geometry": "polygon"}]
    spec = river.model_validate({**river.model_dump(), "labels": mixed})
    with pytest.raises(Unsupported, match=r"has one of them\. Make a campaign for each"):
        launch_campaign(spec)
    assert the_ledger().campaigns.find("river") is None
    assert not server.world.datasets


@pytest.mark.slow
@pytest.mark.parametrize("geometry", ["polygon", "image"])
def test_outlines_and_labels_of_whole_images_come_back_too(server, river, tmp_path, geometry):
    labels = [{"name": "sailing Boat", "geometry": geometry}]
    launch_campaign(river.model_validate({**river.model_dump(), "labels": labels}))
    (annotation_set,), (dataset,) = server.world.sets.values(), server.world.datasets.values()
    labeler, remote = Labeler(server.url), the_ledger().campaigns.get("river").remote_id
    corners = [{"x": 1, "y": 2}, {"x": 20, "y": 2}, {"x": 20, "y": 30}]
    boat = {"name": "OBJ 1", "classes": [{"name": "Sailing boat"}], "coordinates": corners}
    payload = {"objects": [boat]} if geometry == "polygon" else {"classes": [{"name": "Sailing boat"}]}
    for image in dataset.pictures.values():
        labeler.say(remote, str(image.id), payload)
    assert annotation_set.task == {"polygon": 2, "image": 3}[geometry]
    assert sweep_campaigns() == {"river": "exported"}
    table = read_labels_csv(tmp_path / "datasets" / "river_labels" / "v1" / "river_labels.csv")
    assert set(table["label"]) == {"sailing Boat"}
    outlines = {json.dumps(json.loads(outline)) for outline in table["polygon"] if outline}
    assert outlines == ({"[[1.0, 2.0], [20.0, 2.0], [20.0, 30.0]]"} if geometry == "polygon" else set())
    shutil.rmtree(tmp_path / "datasets")
