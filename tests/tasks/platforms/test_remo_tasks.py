"""Every call of Remo's document as a task, said as the plain function that it is, to both generations."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from labelwright.platforms import PlatformRefused
from labelwright.platforms.remo.models import ImageStatus, RemoFolder, RemoUpload, Task
from labelwright.settings import forget_settings
from labelwright.tasks.platforms.remo import annotation_sets as sets
from labelwright.tasks.platforms.remo import datasets, images, uploads
from tests.platforms.contract import picture
from tests.platforms.remo.server import EMAIL, PASSWORD, RemoServer

REMO = "our_remo"


@pytest.fixture(params=[False, True], ids=["0.3.29", "0.6.1"])
def server(request, tmp_path, monkeypatch) -> Iterator[RemoServer]:
    with RemoServer(modern=request.param) as server:
        server.world.looks_until_done = 1
        monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path / "home"))
        for name, value in {"PLATFORM": "remo", "URL": server.url, "KEY": EMAIL, "SECRET": PASSWORD}.items():
            monkeypatch.setenv(f"LABELWRIGHT_CONNECTIONS__{REMO.upper()}__{name}", value)
        forget_settings()
        yield server
    forget_settings()


def arrived(upload: RemoUpload) -> None:
    if upload.session:
        assert uploads.wait_for_upload.fn(REMO, upload.session).over


def names(dataset: str, folder: str | None = None) -> list[str]:
    return sorted(item.name for item in datasets.list_contents.fn(REMO, dataset, folder))


@pytest.fixture
def dataset(server, tmp_path) -> str:
    created = datasets.create_dataset.fn(REMO, "river").id
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(picture(name))
    arrived(uploads.upload_files.fn(REMO, created, [str(tmp_path / "a.png"), str(tmp_path / "b.png")]))
    return created


def ids(dataset: str) -> dict[str, str]:
    return {item.name: item.id for item in datasets.list_contents.fn(REMO, dataset)}


def test_files_are_uploaded_once_whatever_is_said_twice(server, dataset, tmp_path):
    arrived(uploads.upload_files.fn(REMO, dataset, [str(tmp_path / "a.png")]))
    assert names(dataset) == ["a.png", "b.png"]


def test_files_of_the_server_are_linked_into_a_folder(server, dataset):
    server.world.local = {"/data/D1/c.png": picture("c.png")}
    folder = datasets.create_folder.fn(REMO, dataset, "batch-1")
    assert datasets.create_folder.fn(REMO, dataset, "batch-1") == folder
    arrived(uploads.link_files.fn(REMO, dataset, ["/data/D1"], folder=folder.id))
    assert names(dataset) == ["a.png", "b.png", "batch-1"]
    assert names(dataset, folder.id) == ["c.png"]
    shown = datasets.list_contents.fn(REMO, dataset, limit=1)
    assert [(type(item), item.name) for item in shown] == [(RemoFolder, "batch-1")]


def test_an_upload_may_name_its_annotation_set_and_task(server, dataset, tmp_path):
    created = sets.create_annotation_set.fn(REMO, dataset, "Round 1", Task.DETECTION, ["Dog"])
    (tmp_path / "c.png").write_bytes(picture("c.png"))
    path = [str(tmp_path / "c.png")]
    arrived(uploads.upload_files.fn(REMO, dataset, path, created.id, Task.DETECTION))
    (request,) = [item for item in server.calls("POST", ".*/upload/") if item.query]
    assert (request.query, request.form["annotation_task"]) == ({"annotation_set_id": created.id}, "Object detection")
    with pytest.raises(PlatformRefused, match="does not match"):
        uploads.upload_files.fn(REMO, dataset, path, created.id, Task.SEGMENTATION)


def test_archives_behind_urls_are_fetched_by_remo_and_images_by_us(server, dataset):
    from tests.platforms.scripted import answer, scripted

    pack = io.BytesIO()
    with zipfile.ZipFile(pack, "w") as archive:
        archive.writestr("packed.png", picture("packed.png"))
    server.world.web = {"https://example.com/pack.zip": pack.getvalue()}
    with scripted(answer(200, picture("linked.png"), ["Content-Type: image/png"])) as web:
        links = ["https://example.com/pack.zip", f"{web.url}/linked.png"]
        arrived(uploads.upload_urls.fn(REMO, dataset, links, allow_private_addresses=True))
    assert names(dataset) == ["a.png", "b.png", "linked.png", "packed.png"]


def test_images_behind_private_addresses_are_not_fetched(server, dataset):
    with pytest.raises(Exception, match="private network"):
        uploads.upload_urls.fn(REMO, dataset, ["http://127.0.0.1:9/a.png"])
    assert names(dataset) == ["a.png", "b.png"]


def test_sessions_are_opened_completed_and_read(server, dataset):
    if not server.modern:
        with pytest.raises(PlatformRefused, match="does not know the call"):
            uploads.start_upload.fn(REMO, dataset)
        return
    opened = uploads.start_upload.fn(REMO, dataset)
    assert uploads.read_upload.fn(REMO, opened.session).state == "not complete"
    for _ in range(2):
        uploads.complete_upload.fn(REMO, opened.session)
    assert uploads.wait_for_upload.fn(REMO, opened.session).state == "done"


def test_tags_are_added_listed_renamed_taken_off_and_deleted(server, dataset):
    created = sets.create_annotation_set.fn(REMO, dataset, "Round 1", Task.DETECTION, [])
    image = ids(dataset)["a.png"]
    tag = images.tag_image.fn(REMO, created.id, image, "cat")
    assert images.tag_image.fn(REMO, created.id, image, "cat") == tag
    assert images.list_tags.fn(REMO, created.id) == [tag]
    renamed = images.rename_tag.fn(REMO, created.id, tag.id, "dog")
    assert images.list_tags.fn(REMO, created.id) == [renamed]
    for _ in range(2):
        images.untag_image.fn(REMO, created.id, image, renamed.id)
    assert images.list_tags.fn(REMO, created.id) == []
    tag = images.tag_image.fn(REMO, created.id, image, "cat")
    for _ in range(2):
        images.delete_tag.fn(REMO, created.id, tag.id)
    assert images.list_tags.fn(REMO, created.id) == []


def test_annotation_sets_are_created_once_listed_renamed_and_deleted(server, dataset):
    created = sets.create_annotation_set.fn(REMO, dataset, "Round 1", Task.CLASSIFICATION, ["Dog", "black Cat"])
    assert [item.name for item in created.classes] == ["Dog", "Black cat"]
    assert sets.create_annotation_set.fn(REMO, dataset, "Round 1", Task.CLASSIFICATION, ["Dog"]).id == created.id
    (listed,) = sets.list_annotation_sets.fn(REMO, dataset, limit=10)
    assert (listed.name, listed.task, listed.total, listed.complete) == ("Round 1", "Image classification", 2, False)
    assert sets.rename_annotation_set.fn(REMO, created.id, "Round one").name == "Round one"
    for _ in range(2):
        sets.delete_annotation_set.fn(REMO, created.id)
    assert sets.list_annotation_sets.fn(REMO, dataset) == []


def test_the_deprecated_form_creates_a_set_too(server, dataset):
    dog = sets.create_class.fn(REMO, "dog")
    created = sets.create_annotation_set_by_class_ids.fn(REMO, dataset, "Old", Task.SEGMENTATION, [dog])
    assert (created.name, created.task, created.classes) == ("Old", "Instance segmentation", (dog,))
    (request,) = server.calls("POST", "/api/annotation-set/")
    payload = {"task": 2, "classes": [{"id": int(dog.id), "name": "Dog"}], "dataset": int(dataset), "name": "Old"}
    assert json.loads(request.body) == payload | {"type": "image"}


def test_classes_are_added_renamed_and_deleted(server, dataset):
    created = sets.create_annotation_set.fn(REMO, dataset, "Round 1", Task.DETECTION, ["Dog"])
    cat = sets.add_class.fn(REMO, created.id, "new class name")
    assert (cat.name, sets.add_class.fn(REMO, created.id, "new class name")) == ("New class name", cat)
    renamed = sets.rename_class.fn(REMO, created.id, cat.id, "Cow")
    assert renamed.id != cat.id
    for _ in range(2):
        sets.delete_class.fn(REMO, created.id, renamed.id)


def test_annotations_are_saved_called_done_and_exported_in_every_format(server, dataset, tmp_path):
    created = sets.create_annotation_set.fn(REMO, dataset, "Round 1", Task.DETECTION, ["Dog"])
    image, corners = ids(dataset)["a.png"], [{"x": 10, "y": 3}, {"x": 30, "y": 18}]
    payload = {"objects": [{"name": "OBJ 1", "classes": [{"name": "Dog"}], "coordinates": corners}]}
    images.save_annotation.fn(REMO, dataset, created.id, image, payload)
    images.set_image_status.fn(REMO, dataset, created.id, image, ImageStatus.DONE)
    assert sets.list_annotation_sets.fn(REMO, dataset)[0].looked_at == 1
    folder = tmp_path / "exports"
    texts = {}
    for kind in ("json", "coco", "csv"):
        for share in ("pixel", "percent"):
            path = sets.export_annotations.fn(REMO, created.id, str(folder / f"{share}.{kind}"), kind, True, share)
            texts[kind, share] = Path(path).read_text()
    assert json.loads(texts["json", "pixel"])[0]["annotations"][0]["bbox"]["xmax"] == 30
    assert json.loads(texts["coco", "percent"])["annotations"][0]["bbox"] == [0.25, 0.1, 0.5, 0.5]
    assert texts["csv", "pixel"].splitlines()[1] == "a.png,Dog,10,3,30,18"
    assert sorted(item.suffix for item in folder.iterdir()) == sorted([".json", ".coco", ".csv"] * 2)


def test_large_images_are_cached_and_cut(server, dataset, tmp_path):
    Image.new("RGB", (4000, 3000), "red").save(tmp_path / "big.png")
    arrived(uploads.upload_files.fn(REMO, dataset, [str(tmp_path / "big.png")]))
    big = ids(dataset)["big.png"]
    images.cache_image.fn(REMO, big)
    path = images.downsample_image.fn(REMO, big, str(tmp_path / "parts" / "part.jpg"), 1000, 600, 1100, 1100, 0.7)
    with Image.open(path) as part:
        assert part.size == (770, 770)


def test_datasets_are_listed_renamed_archived_and_deleted(server, dataset):
    assert [item.name for item in datasets.list_datasets.fn(REMO, public=False, archived=False, limit=10)] == ["river"]
    assert datasets.list_datasets.fn(REMO, public=True) == []
    datasets.rename_dataset.fn(REMO, dataset, "lake")
    assert datasets.archive_dataset.fn(REMO, dataset).archived
    assert [item.name for item in datasets.list_datasets.fn(REMO, archived=True)] == ["lake"]
    assert not datasets.archive_dataset.fn(REMO, dataset, archived=False).archived
    for _ in range(2):
        datasets.delete_dataset.fn(REMO, dataset)
    assert datasets.list_datasets.fn(REMO) == []


def test_a_connection_to_another_platform_is_refused(server, monkeypatch):
    monkeypatch.setenv(f"LABELWRIGHT_CONNECTIONS__{REMO.upper()}__PLATFORM", "campaign_api")
    forget_settings()
    with pytest.raises(PlatformRefused, match="one of campaign_api"):
        datasets.list_datasets.fn(REMO)


def test_no_task_shows_a_secret_in_its_parameters():
    from prefect import Task as PrefectTask

    result = [item for module in (datasets, uploads, sets, images) for item in vars(module).values()]
    tasks = [item for item in result if isinstance(item, PrefectTask)]
    assert len(tasks) >= 33
    for task in tasks:
        annotations = task.fn.__annotations__
        assert "connection" in annotations
        assert not {"secret", "key", "password", "token"} & annotations.keys()
