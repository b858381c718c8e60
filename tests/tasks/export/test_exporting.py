"""Exporting, verifying and repairing, task by task and without a Prefect server; labels are put into the spool."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import ContainerClient

from labelwright.campaigns.image_source import stamp_of
from labelwright.campaigns.lineage import find_dataset, lineage, list_datasets
from labelwright.campaigns.spec import validate_spec
from labelwright.cli.datasets import verify_registered
from labelwright.cli.output.datasets import show_lineage
from labelwright.datasets import FORMATS
from labelwright.domain import Annotation, Box, ExcludedImage, Image, ImageState, LabeledImage, Size, State
from labelwright.ledger import DatasetVersion, ManifestEntry
from labelwright.platforms import PlatformRefused
from labelwright.platforms.registry import PLATFORMS
from labelwright.settings import SettingsError, forget_settings, settings
from labelwright.stores.azure_ml import sdk_process as azure_ml_calls
from labelwright.tasks.campaign.excluded_images import report_excluded
from labelwright.tasks.context import CampaignContext, the_ledger
from labelwright.tasks.export import images as kept_images
from labelwright.tasks.export.files import files_to_write, write_file
from labelwright.tasks.export.labels import spool_of
from labelwright.tasks.export.registration import register_dataset, repair_dataset, verify_dataset
from tests.datasets.test_folder_format import BOXES
from tests.ingest.stores import Azurite
from tests.platforms.shelf import ENTRY

NAMES = [f"{letter}.jpg" for letter in "abcdefg"]


@pytest.fixture
def home(tmp_path, monkeypatch) -> Iterator[Path]:
    monkeypatch.setitem(PLATFORMS, "shelf", ENTRY)
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__URL", f"memory:{tmp_path}")
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__KEY", "good")
    monkeypatch.setenv("LABELWRIGHT_BATCH_SIZE", "3")
    forget_settings()
    yield tmp_path
    forget_settings()


def make_campaign(home: Path, **export: Any) -> None:
    """Seven images of 40 x 30 in a folder, in a campaign whose labels are all there."""
    photos = home / "photos"
    photos.mkdir()
    for name in NAMES:
        (photos / name).write_bytes(name.encode() * 100)
    document = {
        "title": "river",
        "platform": "shelf",
        "images": {"folder": str(photos)},
        "labels": ["boat"],
        "labeler": "a@b.c",
        "export": {"folder": str(home / "datasets"), **export},
    }
    ledger = the_ledger()
    ledger.campaigns.add("river", validate_spec(document, "test").model_dump(mode="json"))
    ledger.campaigns.record_remote_campaign("river", "c1")
    mark = ledger.manifests.begin("river")
    for file in CampaignContext("river").source.find():
        data = Path(file.location).read_bytes()
        sha256, md5 = hashlib.sha256(data).hexdigest(), hashlib.md5(data).hexdigest()
        image = Image(file.name, Size(40, 30), len(data), sha256, md5, "JPEG")
        ledger.manifests.add("river", mark, [ManifestEntry(image, file.location, stamp=stamp_of(file))])
    ledger.manifests.complete("river", mark)
    for state in (State.UPLOADING, State.CREATED, State.ACTIVE, State.COMPLETED, State.FINISHED):
        ledger.campaigns.move("river", state)


def export(width: float, *gone: str) -> dict[str, str]:
    """What the flow `export-campaign` does, task by task; `width` tells one set of labels from another, `gone` are
    images that were deleted on the platform."""
    context = CampaignContext("river")
    box = (Annotation("boat", Box(1, 1, 1 + width, 9)),)
    labeled = [LabeledImage(name, Size(40, 30), box) for name in NAMES if name not in gone]
    spool_of(context).put_page(1, labeled, excluded=[ExcludedImage(name, ImageState.GONE, "deleted") for name in gone])
    if context.spec.export.store == "azure_ml":
        folder = kept_images.choose_image_folder.fn("river")
        if folder is not None:
            for first in range(1, 8, 3):
                kept_images.keep_images.fn("river", folder, first, min(first + 2, 7))
            kept_images.seal_images.fn("river", folder)
    for dataset, file in files_to_write("river"):
        write_file.fn("river", dataset, file)
    for dataset in ("images", "labels"):
        repair_dataset.fn("river", dataset)
    registered = [register_dataset.fn("river", dataset) for dataset in ("images", "labels")]
    for row in registered:
        verify_dataset.fn("river", row["name"], row["version"])
    return {row["name"]: row["version"] for row in registered}


def verified(**how: Any) -> dict[str, dict[str, Any]]:
    return {f"{row['name']} {row['version']}": row for row in verify_registered(None, None, **how)}


def newest() -> dict[str, str]:
    return {one["name"]: one["version"] for one in list_datasets(the_ledger()) if one["newest"]}


def test_labels_a_then_b_then_a_make_the_first_version_the_newest(home):
    make_campaign(home)
    store = home / "datasets" / "river_labels"
    assert export(10)["river_labels"] == "1"
    assert export(20)["river_labels"] == "2"
    assert newest() == {"river_images": "1", "river_labels": "2"}
    assert export(10)["river_labels"] == "1"
    assert newest() == {"river_images": "1", "river_labels": "1"}
    assert find_dataset(the_ledger(), "river_labels", None)["version"] == "1"
    assert find_dataset(the_ledger(), "river_labels", "2")["newest_version"] == "1"
    assert (store / "latest" / "river_labels.csv").read_bytes() == (store / "v1" / "river_labels.csv").read_bytes()
    before = list_datasets(the_ledger())
    export(10)
    assert list_datasets(the_ledger()) == before, "an export without a change changes nothing"
    assert sorted(path.name for path in store.iterdir()) == [".lock", "latest", "latest.json", "v1", "v2"]


def test_an_export_killed_before_its_record_is_completed_by_the_next(home, monkeypatch):
    make_campaign(home)
    export(10)
    with monkeypatch.context() as killed:
        killed.setattr(type(the_ledger().campaigns), "record_dataset", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            export(20)
    assert newest()["river_labels"] == "1"
    assert export(20)["river_labels"] == "2"
    assert newest()["river_labels"] == "2"
    assert not any(row["wrong"] for row in verified().values())


def test_store_and_ledger_that_disagree_on_the_newest_are_repaired(home):
    make_campaign(home)
    export(10)
    export(20)
    record = home / "datasets" / "river_labels" / "latest.json"
    pointer = json.loads(record.read_text())
    first = find_dataset(the_ledger(), "river_labels", "1")
    record.write_text(json.dumps(pointer | {"version": 1, "content_hash": first["content_hash"]}))
    assert verified()["river_labels 2"]["wrong"] == ["the store says that version 1 is the newest, the ledger says 2"]
    export(20)
    assert not any(row["wrong"] for row in verified().values())


def lead_elsewhere(home: Path, target: str) -> None:
    (home / "latest").unlink()
    (home / "latest").symlink_to(target)


def test_an_unreachable_store_does_not_hide_damage_in_others(home):
    make_campaign(home)
    export(10)
    (home / "datasets" / "river_labels" / "v1" / "river_labels.csv").unlink()
    away = "azureml://subscriptions/s/resourcegroups/g/workspaces/w/data/river_away/versions/1"
    the_ledger().campaigns.record_dataset("river", DatasetVersion("river_away", "1", away, "0" * 64))
    results = verified()
    assert results["river_labels 1"]["wrong"] == ["river_labels.csv is gone"]
    (message,) = results["river_away 1"]["wrong"]
    assert message.startswith("could not be compared: the Azure ML workspace ")
    with pytest.raises(SettingsError, match="the Azure ML workspace"):
        verify_registered("river_away", None)


POINTER_DAMAGE = {
    "latest leads to v7, the newest version is in v2": lambda home: lead_elsewhere(home, "v7"),
    "latest leads to v1, the newest version is in v2": lambda home: lead_elsewhere(home, "v1"),
    "latest.json is gone, the link beside it leads to v2": lambda home: (home / "latest.json").unlink(),
    "latest.json is damaged": lambda home: (home / "latest.json").write_text('{"version"'),
}


@pytest.mark.parametrize("message", POINTER_DAMAGE)
def test_a_wrong_pointer_to_the_newest_version_is_repaired(home, message):
    make_campaign(home)
    export(10)
    export(20)
    POINTER_DAMAGE[message](home / "datasets" / "river_labels")
    results = verified()["river_labels 2"]
    assert len(results["wrong"]) == 1
    assert message in results["wrong"][0]
    assert "labelwright export 'river'" in results["repair"]
    export(20)
    assert not any(row["wrong"] for row in verified().values())
    assert (home / "datasets" / "river_labels" / "latest").resolve().name == "v2"


def test_damage_is_repaired_only_while_the_labels_are_the_same(home):
    make_campaign(home)
    export(10)
    version = home / "datasets" / "river_labels" / "v1"
    whole = (version / "river_labels.csv").read_bytes()

    def damage() -> None:
        (version / "river_labels.csv").unlink()
        (version / "receipt.json").unlink()
        (version / "receipt.json").write_text("{}")

    damage()
    results = verified()["river_labels 1"]
    assert results["wrong"][0] == "receipt.json is damaged: it cannot be read as a receipt"
    assert (
        "labelwright export 'river' writes the files again if the labels on the platform are still" in results["repair"]
    )
    export(10)
    assert (version / "river_labels.csv").read_bytes() == whole
    assert not any(row["wrong"] for row in verified().values())

    damage()
    assert export(20)["river_labels"] == "2"
    assert verified()["river_labels 1"]["wrong"], "labels of another version repair nothing"
    assert export(10)["river_labels"] == "1"
    assert not any(row["wrong"] for row in verified().values())


def test_images_in_the_folder_that_are_gone_or_changed_are_told(home):
    make_campaign(home)
    export(10)
    assert verified()["river_images 1"]["unchecked"] == [
        "the images' bytes: their sizes were compared; --deep reads them"
    ]
    (home / "photos" / "a.jpg").unlink()
    (home / "photos" / "b.jpg").write_bytes(b"B.JPG" * 100)
    assert ["a.jpg is gone" in message for message in verified()["river_images 1"]["wrong"]] == [True]
    deep = verified(deep=True)["river_images 1"]
    assert len(deep["wrong"]) == 2
    assert deep["unchecked"] == []


def test_an_excluded_image_may_be_missing_at_its_source(home):
    make_campaign(home, formats=["csv"])
    export(10)
    export(10, "c.jpg")
    (home / "photos" / "c.jpg").unlink()
    for deep in (False, True):
        wrong = {
            name: [message.partition(" ")[0] for message in row["wrong"]] for name, row in verified(deep=deep).items()
        }
        assert wrong == {
            "river_images 1": ["c.jpg"],
            "river_images 2": [],
            "river_labels 1": ["c.jpg"],
            "river_labels 2": [],
        }


def test_a_moved_dataset_folder_is_used_at_its_new_place(home):
    make_campaign(home)
    export(10)
    (home / "datasets").rename(home / "moved")
    ledger = the_ledger()
    spec = ledger.campaigns.get("river").spec
    ledger.campaigns.record_spec("river", spec | {"export": spec["export"] | {"folder": str(home / "moved")}})
    (message,) = verified()["river_labels 1"]["wrong"]
    assert message.endswith(f"it is at {home}/moved/river_labels/v1 now")
    assert export(10)["river_labels"] == "1"
    assert not any(row["wrong"] for row in verified().values())


# --- in a container


class Workspace:
    """Azure ML without its SDKs: versions of data assets in memory."""

    def __init__(self) -> None:
        self.versions: dict[tuple[str, str], dict[str, Any]] = {}

    def ask(self, _verb: str, questions: list[dict[str, Any]]) -> list[Any]:
        return [getattr(self, row["operation"])(row) for row in questions]

    def datastore(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"created": False}

    def register(self, row: dict[str, Any]) -> dict[str, Any]:
        key = (row["name"], row["version"])
        created = key not in self.versions
        path = f"azureml://subscriptions/s/datastores/{row['datastore']}/paths/{row['path']}"
        self.versions[key] = {"name": key[0], "version": key[1], "path": path, "tags": row["tags"]}
        return self.versions[key] | {"created": created}

    def read(self, row: dict[str, Any]) -> dict[str, Any] | None:
        return self.versions.get((row["name"], row["version"]))


@pytest.fixture(scope="module")
def azurite(tmp_path_factory) -> Iterator[Azurite]:
    server = Azurite(tmp_path_factory.mktemp("azurite"), on_disk=True)
    with ContainerClient.from_connection_string(server.connection_string, "extra-images") as container:
        container.create_container()
    yield server
    server.stop()


@pytest.fixture
def container(home, azurite, monkeypatch) -> Iterator[ContainerClient]:
    monkeypatch.setattr(azure_ml_calls.Calls, "ask", Workspace().ask)
    start = "LABELWRIGHT_WORKSPACES__DEFAULT__"
    for name in ("SUBSCRIPTION_ID", "RESOURCE_GROUP", "WORKSPACE_NAME"):
        monkeypatch.setenv(start + name, "s")
    monkeypatch.setenv(start + "CONNECTION_STRING", azurite.connection_string)
    forget_settings()
    with ContainerClient.from_connection_string(azurite.connection_string, "extra-images") as client:
        for blob in client.list_blobs():
            client.delete_blob(blob.name)
        make_campaign(home, store="azure_ml", formats=["csv", "mltable"])
        yield client


def images_in(container: ContainerClient) -> dict[str, bytes]:
    names = [blob.name for blob in container.list_blobs(name_starts_with="image_sets/") if blob.name.endswith(".jpg")]
    return {name: container.download_blob(name).readall() for name in names}


@pytest.mark.azurite
def test_missing_or_replaced_images_in_the_store_are_repaired(home, container, monkeypatch):
    export(10)
    whole = images_in(container)
    names = list(whole)
    container.delete_blob(names[0])
    container.upload_blob(names[6], b"another picture", overwrite=True)
    results = verified()
    for name, row in results.items():
        assert [message.partition(" ")[0] for message in row["wrong"]] == ["a.jpg", "g.jpg"], name
        assert "labelwright export 'river' sends the images again" in row["repair"]

    brought: list[int] = []
    monkeypatch.setattr("labelwright.stores.azure_ml.store.AzureMlStore.keep_images", _counting(brought))
    export(10)
    assert brought == [3, 1], "only the batches with damage"
    assert images_in(container) == whole
    assert not any(row["wrong"] for row in verified(deep=True).values())


@pytest.mark.azurite
@pytest.mark.parametrize("damage", ["gone", "changed"])
def test_a_damaged_copy_of_the_newest_labels_is_restored(home, container, damage):
    export(10)
    export(20)
    path = "label_sets/river_labels.csv"
    whole = container.download_blob(path).readall()
    assert not any(row["wrong"] for row in verified().values())
    if damage == "gone":
        container.delete_blob(path)
    else:
        container.upload_blob(path, bytes(len(whole)), overwrite=True)
    results = verified()
    (name,) = [name for name, row in results.items() if row["wrong"]]
    assert name.startswith("river_labels ")
    assert f"{path}, the copy of the newest labels" in results[name]["wrong"][0]
    export(20)
    assert container.download_blob(path).readall() == whole
    assert not any(row["wrong"] for row in verified().values())


def _counting(brought: list[int]) -> Any:
    from labelwright.stores.azure_ml.store import AzureMlStore

    keep = AzureMlStore.keep_images

    def counted(self: Any, folder: str, items: Any, source: Any, **how: Any) -> Any:
        brought.append(len(items))
        return keep(self, folder, items, source, **how)

    return counted


@pytest.mark.azurite
def test_an_image_that_is_in_no_dataset_is_not_missed_in_the_store(home, container, monkeypatch):
    first = export(10)
    second = export(10, "c.jpg")
    assert first != second
    assert not any(row["wrong"] for row in verified(deep=True).values())
    brought: list[int] = []
    monkeypatch.setattr("labelwright.stores.azure_ml.store.AzureMlStore.keep_images", _counting(brought))
    assert kept_images.choose_image_folder.fn("river") is None, "all are there"
    assert export(10, "c.jpg") == second
    assert brought == []
    # On a machine that never read the labels the receipts alone say which images a version holds.
    spool_of(CampaignContext("river")).keep_only([])
    assert not any(row["wrong"] for row in verified().values())


def test_lineage_of_a_deleted_image_lists_only_datasets_with_it(home, capsys):
    make_campaign(home, formats=["csv"])
    export(10)
    export(10, "c.jpg")
    report_excluded(CampaignContext("river"), {"c.jpg": ExcludedImage("c.jpg", ImageState.GONE, "deleted")})
    digests = {name: hashlib.sha256(name.encode() * 100).hexdigest() for name in NAMES}
    (gone,) = lineage(the_ledger(), settings(), digests["c.jpg"])["found"]
    assert (gone["excluded"], gone["labels"]) == ("gone from the platform: deleted", None)
    assert [(row["name"], row["version"]) for row in gone["datasets"]] == [("river_images", "1"), ("river_labels", "1")]
    show_lineage({"found": [gone]}, as_json=False)
    assert "nothing here" not in capsys.readouterr().out
    (image,) = lineage(the_ledger(), settings(), digests["a.jpg"])["found"]
    assert (image["excluded"], image["labels"], len(image["datasets"])) == ("", {"boat": 1}, 4)


@pytest.mark.azurite
def test_an_interrupted_repair_is_resumed(home, container):
    export(10)
    whole = images_in(container)
    names = list(whole)
    container.upload_blob(names[0], b"another picture", overwrite=True)
    container.upload_blob(names[6], b"another picture", overwrite=True)
    folder = kept_images.choose_image_folder.fn("river")
    kept_images.keep_images.fn("river", folder, 1, 3)  # killed here
    export(10)
    assert images_in(container) == whole

    container.delete_blob(names[0])
    (home / "photos" / "a.jpg").write_bytes(b"changed")
    with pytest.raises(PlatformRefused, match=r"a\.jpg: cannot be repaired: the file has changed"):
        export(10)
    assert [
        message.partition(" ")[0] for message in verified()["river_images " + newest()["river_images"]]["wrong"]
    ] == ["a.jpg"]


@pytest.mark.azurite
def test_foreign_files_among_the_images_stop_the_export(container):
    export(10)
    folder = next(iter(images_in(container))).rpartition("/")[0]
    container.upload_blob(f"{folder}/surplus.txt", b"x")
    with pytest.raises(PlatformRefused, match=r"1 files that are not images of the campaign: surplus\.txt"):
        export(10)
    assert any("surplus.txt is in the store" in message for row in verified().values() for message in row["wrong"])


@pytest.mark.azurite
def test_a_damaged_delivery_is_repaired_by_the_next_export(container):
    export(10)
    (csv,) = [b.name for b in container.list_blobs(name_starts_with="deliveries/river_labels/") if ".csv" in b.name]
    receipt = csv.rpartition("/")[0] + "/receipt.json"
    whole = container.download_blob(csv).readall()
    container.upload_blob(csv, b"something else", overwrite=True)
    container.upload_blob(receipt, b"{}", overwrite=True)
    assert verified()["river_labels " + newest()["river_labels"]]["wrong"]
    export(10)
    assert container.download_blob(csv).readall() == whole
    assert not any(row["wrong"] for row in verified(deep=True).values())


@pytest.mark.azurite
def test_labels_a_then_b_then_a_in_a_container(container):
    first = export(10)["river_labels"]
    second = export(20)["river_labels"]
    assert newest()["river_labels"] == second
    assert export(10)["river_labels"] == first
    parts = {name: version for name, version in newest().items() if name.startswith("river_labels")}
    assert len(parts) > 1
    assert set(parts.values()) == {first}
    record = json.loads(container.download_blob("label_sets/river_labels.latest.json").readall())
    assert record["newest"]["version"] == first
    assert not any(one["wrong"] for one in verified().values())


def test_a_folder_format_is_exported_with_a_split(home, monkeypatch):
    monkeypatch.setitem(FORMATS, "boxes", BOXES)
    make_campaign(home, formats=["csv", "boxes"], split={"train": 50, "validation": 50, "test": 0})
    assert export(10)["river_labels"] == "1"
    assert export(10)["river_labels"] == "1"
    store = home / "datasets" / "river_labels" / "v1"
    names = {path.name for path in store.iterdir()}
    assert names == {
        "receipt.json", "river_boxes", "river_labels.csv", "river_labels_train.csv", "river_labels_validation.csv",
        "river_split.csv",
    }  # fmt: skip
    images = [path for path in (store / "river_boxes").rglob("*.txt") if path.name != "parts.txt"]
    assert len(images) == len(NAMES)
    assert {path.parent.name for path in images} <= {"train", "validation"}
    assert not any(one["wrong"] for one in verified().values())
