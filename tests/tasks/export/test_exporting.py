"""Exporting, verifying and repairing, task by task and without a Prefect server; labels are put into the spool."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import ContainerClient
from PIL import Image as Picture
from typer.testing import CliRunner

from labelwright.campaigns.image_source import stamp_of
from labelwright.campaigns.lineage import find_dataset, lineage, list_datasets
from labelwright.campaigns.spec import validate_spec
from labelwright.cli.datasets import datasets
from labelwright.cli.output.datasets import show_lineage
from labelwright.datasets import FORMATS, NotDelivered
from labelwright.domain import (
    UNKNOWN,
    Annotation,
    Box,
    ExcludedImage,
    Image,
    ImageState,
    LabeledImage,
    Mask,
    Origin,
    Provenance,
    Size,
    State,
)
from labelwright.domain.errors import CannotRun
from labelwright.ledger import DatasetVersion, ManifestEntry
from labelwright.platforms import PlatformRefused
from labelwright.platforms.registry import PLATFORMS
from labelwright.settings import SettingsError, forget_settings, settings
from labelwright.stores.azure_ml import sdk_process as azure_ml_calls
from labelwright.stores.azure_ml.names import sdk_path
from labelwright.tasks.campaign.excluded_images import report_excluded
from labelwright.tasks.context import CampaignContext, the_ledger
from labelwright.tasks.export import comparison, statistics
from labelwright.tasks.export import images as kept_images
from labelwright.tasks.export.files import delivery_folder, write_files
from labelwright.tasks.export.labels import spool_of
from labelwright.tasks.export.registered import verify_registered
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


def make_campaign(home: Path, platform: str = "shelf", labels: Sequence[Any] = ("boat",), **export: Any) -> None:
    """Seven images of 40 x 30 in a folder, in a campaign whose labels are all there."""
    photos = home / "photos"
    photos.mkdir()
    for name in NAMES:
        (photos / name).write_bytes(name.encode() * 100)
    document = {
        "title": "river",
        "platform": platform,
        "images": {"folder": str(photos)},
        "labels": list(labels),
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


def export(width: float, *gone: str, mask: Mask | None = None, provenance: Provenance = UNKNOWN) -> dict[str, str]:
    """What the flow `export-campaign` does, task by task; `width` tells one set of labels from another, `gone` are
    images that were deleted on the platform. Objects are boxes, or the mask."""
    context = CampaignContext("river")
    box = (Annotation("boat", mask or Box(1, 1, 1 + width, 9), provenance=provenance),)
    labeled = [LabeledImage(name, Size(40, 30), box) for name in NAMES if name not in gone]
    spool_of(context).put_page(1, labeled, excluded=[ExcludedImage(name, ImageState.GONE, "deleted") for name in gone])
    if context.spec.export.store == "azure_ml":
        folder = kept_images.choose_image_folder.fn("river")
        if folder is not None:
            for first in range(1, 8, 3):
                kept_images.keep_images.fn("river", folder, first, min(first + 2, 7))
            kept_images.seal_images.fn("river", folder)
    write_files.fn("river")
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
def test_labels_and_images_in_the_store_join_by_the_path_that_the_sdk_lists(home, container):
    export(10)
    folder = kept_images.kept_folder(CampaignContext("river"))
    listed = {sdk_path(name.removeprefix(f"{folder}/")) for name in images_in(container)}
    for dataset in ("labels", "images"):
        table = (delivery_folder(CampaignContext("river"), dataset) / f"river_{dataset}.csv").read_text(
            encoding="utf-8"
        )
        assert {row["azureml_path"] for row in csv.DictReader(table.splitlines())} == listed, dataset


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


def test_formats_with_images_are_exported_and_the_receipt_says_what_they_lose(home):
    formats = ["csv", "yolo", "voc", "webdataset", "huggingface", "croissant"]
    make_campaign(home, formats=formats, image_files="link", split={"train": 50, "validation": 50, "test": 0})
    assert export(10.25)["river_labels"] == "1"
    assert export(10.25)["river_labels"] == "1"
    store = home / "datasets" / "river_labels" / "v1"
    linked = sorted((store / "river_yolo" / "images").rglob("*.jpg"))
    assert [path.name[7:] for path in sorted(linked, key=lambda path: path.name)] == NAMES
    assert all(path.samefile(home / "photos" / path.name[7:]) for path in linked)
    receipt = json.loads((store / "receipt.json").read_text())
    assert receipt["not_held_by_formats"] == {
        "voc": {"objects with corners between pixels": "7: rounded to whole pixels"}
    }
    assert receipt["conventions"].keys() == {"voc"}
    described = json.loads((store / "river_croissant.json").read_text())["distribution"]
    assert "river_labels.csv" in {file["name"] for file in described}
    assert not any(one["wrong"] for one in verified().values())


def test_an_image_that_is_gone_stops_a_format_that_holds_images(home):
    make_campaign(home, formats=["csv", "yolo"])
    (home / "photos" / "c.jpg").unlink()
    with pytest.raises(NotDelivered, match=r"c\.jpg cannot be read.*then export again"):
        export(10)
    assert not (home / "datasets" / "river_labels").exists()


def test_two_versions_are_compared_by_command_and_in_prefect(home, capsys, monkeypatch):
    tables: list[list[dict[str, Any]]] = []
    monkeypatch.setattr(comparison, "publish_table", lambda _title, _name, rows, _text: tables.append(rows))
    make_campaign(home)
    first = export(10)
    assert comparison.show_changes("river", registered_as(first)) == {}
    pages: list[str] = []
    drawn = statistics.statistics_page
    monkeypatch.setattr(statistics, "statistics_page", lambda *page: (pages.append(page[-1]), drawn(*page))[1])
    second = export(20, "b.jpg")
    statistics.publish_statistics("river")
    monkeypatch.setattr(comparison, "publish_changes", comparison.publish_changes.fn)
    assert comparison.show_changes("river", registered_as(second)) == {"moved": 6, "removed": 1}
    assert tables[0][0]["label"] == "boat"
    page = (CampaignContext("river").folder / statistics.PAGE).read_text()
    assert "Compared with version 1: 0.0 % of the objects are unchanged: 6 moved, 1 removed." in page
    assert pages == ["Compared with version 1: 0.0 % of the objects are unchanged: 6 moved, 1 removed."], (
        "the page is written once"
    )
    result = CliRunner().invoke(datasets, ["diff", "river_labels", "--check", "--json"])
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert (document["first"]["version"], document["second"]["version"]) == ("1", "2")
    assert document["objects"]["moved"] == 6
    assert document["images"]["only in the first"] == 1
    assert {change["pixels"] for change in document["changes"] if change["status"] == "moved"} == {10}
    picture = home / "changes.png"
    result = CliRunner().invoke(datasets, ["diff", "river_labels:2", "river_labels:2", "--check"])
    assert (result.exit_code, "6 images compared" in result.stdout) == (0, True)
    result = CliRunner().invoke(datasets, ["diff", "river_labels:1", "--pictures", str(picture)])
    assert (result.exit_code, picture.is_file()) == (0, True)
    with pytest.raises(CannotRun, match="is no dataset of labels: give river_labels"):
        CliRunner().invoke(datasets, ["diff", "river_images:1"], catch_exceptions=False, standalone_mode=False)


RING = Mask((*((y, 5, 15) for y in range(5, 8)), *((8, a, b) for a, b in ((5, 7), (13, 15))), (9, 5, 15)))
FILLED = Mask(tuple((y, 5, 15) for y in range(5, 10)))


@pytest.mark.parametrize("formats", [["csv", "coco"], ["csv"]])
def test_masks_of_two_versions_are_compared_by_their_pixels(formats, home):
    make_campaign(home, labels=[{"name": "boat", "geometry": "any"}], formats=formats)
    export(0, mask=RING)
    export(0, "b.jpg", mask=FILLED)
    document = json.loads(CliRunner().invoke(datasets, ["diff", "river_labels", "--json"]).stdout)
    changed = {status: number for status, number in document["objects"].items() if number}
    if formats == ["csv"]:  # the same box around both
        assert (document["masks_by_boxes"], changed) == (True, {"unchanged": 6, "removed": 1})
        result = CliRunner().invoke(datasets, ["diff", "river_labels"])
        assert "Masks were compared by the boxes around them" in result.stdout
        return
    assert (document["masks_by_boxes"], changed) == (False, {"moved": 6, "removed": 1})
    coco = home / "datasets/river_labels/v2/river_coco.json"
    coco.write_text(coco.read_text().replace('{"id":1,"image_id"', '{"id":9,"image_id"'))
    with pytest.raises(CannotRun, match=r"river_coco\.json is not the COCO file of these labels.*datasets verify"):
        CliRunner().invoke(datasets, ["diff", "river_labels"], catch_exceptions=False, standalone_mode=False)


def registered_as(versions: dict[str, str]) -> list[dict[str, Any]]:
    return [{"name": name, "version": version} for name, version in versions.items()]


def test_statistics_are_shown_by_command_as_a_page_and_in_prefect(home, monkeypatch):
    tables: list[list[dict[str, Any]]] = []
    monkeypatch.setattr(statistics, "publish_table", lambda _title, _name, rows, _text: tables.append(rows))
    make_campaign(home)
    export(2)
    sentences = statistics.publish_statistics("river")
    assert sentences == ["boxes less than 4 pixels wide or high: 7"]
    assert [row["what"] for row in tables[0]] == ["boxes less than 4 pixels wide or high"] * 7
    page = (CampaignContext("river").folder / statistics.PAGE).read_text()
    assert "river_labels, version 1" in page
    result = CliRunner().invoke(datasets, ["statistics", "river_labels", "--json", "--page", str(home / "page.html")])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["objects"] == {"boat": 7}
    assert (home / "page.html").read_text() == page
    assert json.loads(result.stdout)["earlier"] is None
    picture = home / "findings.png"
    result = CliRunner().invoke(datasets, ["statistics", "river_labels:1", "--pictures", str(picture)])
    assert "boxes less than 4 pixels wide or high: 7" in result.stdout
    assert Picture.open(picture).format == "PNG"


def test_statistics_say_how_far_a_version_agrees_with_the_one_before(home):
    make_campaign(home)
    export(10)
    export(10, "b.jpg")
    result = CliRunner().invoke(datasets, ["statistics", "river_labels", "--json", "--page", str(home / "page.html")])
    assert json.loads(result.stdout)["earlier"]["version"] == "1"
    assert json.loads(result.stdout)["earlier"]["agreement"] == round(6 / 7, 4)
    sentence = "Compared with version 1: 85.7 % of the objects are unchanged: 6 unchanged, 1 removed."
    assert sentence in (home / "page.html").read_text()
    first = CliRunner().invoke(datasets, ["statistics", "river_labels:1", "--json"])
    assert json.loads(first.stdout)["earlier"] is None, "the later version is not one before it"
    picture = home / "findings.png"
    result = CliRunner().invoke(datasets, ["statistics", "river_labels", "--pictures", str(picture)])
    assert sentence in " ".join(result.stdout.split())
    assert not picture.exists()
    assert "nothing to draw" in result.stderr
    shutil.rmtree(home / "datasets/river_labels/v1")
    result = CliRunner().invoke(datasets, ["statistics", "river_labels", "--json"])
    assert (result.exit_code, json.loads(result.stdout)["earlier"]) == (0, None), "the one before is gone"


def test_labels_that_were_never_used_are_in_prefects_table(home, monkeypatch):
    tables: list[list[dict[str, Any]]] = []
    monkeypatch.setattr(statistics, "publish_table", lambda _title, _name, rows, _text: tables.append(rows))
    make_campaign(home, labels=["boat", "buoy"])
    export(10)
    statistics.publish_statistics("river")
    assert [row["what"] for row in tables[0]] == ["the label 'buoy' was never used"]


def test_lineage_begins_at_an_object_too(home):
    make_campaign(home)
    export(10)
    document = json.loads((home / "datasets/river_labels/v1/river_coco.json").read_text())
    annotation = document["annotations"][4]
    (file,) = (image["file_name"] for image in document["images"] if image["id"] == annotation["image_id"])
    result = CliRunner().invoke(datasets, ["lineage", "river_labels:1", "--object", str(annotation["id"]), "--json"])
    report = json.loads(result.stdout)
    assert (report["object"]["image"], report["object"]["label"]) == (file, "boat")
    assert [image["name"] for image in report["found"]] == [file]
    result = CliRunner().invoke(datasets, ["lineage", "river_labels", "--object", "1"])
    assert "object 1 of river_labels, version 1: boat, 1, 1, 11, 9, on shelf" in " ".join(result.stdout.split())
    assert (annotation["platform"], report["object"]["platform"]) == ("shelf", "shelf")
    export(
        11,
        provenance=Provenance(
            "anna", datetime(2026, 11, 29, 12, tzinfo=UTC), origin=Origin.CORRECTED, model_version="yolo-3"
        ),
    )
    result = CliRunner().invoke(datasets, ["lineage", "river_labels", "--object", "1"])
    words = "boat, 1, 1, 12, 9, by anna, corrected of model yolo-3, 2026-11-29T12:00:00Z, on shelf"
    assert words in " ".join(result.stdout.split())
    result = CliRunner().invoke(datasets, ["statistics", "river_labels"])
    assert "7 objects: corrected of model yolo-3" in result.stdout
    with pytest.raises(CannotRun, match="has 7 objects: give an id from 1 to 7"):
        CliRunner().invoke(
            datasets, ["lineage", "river_labels", "--object", "8"], catch_exceptions=False, standalone_mode=False
        )
