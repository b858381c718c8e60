"""The main job with `store: azure_ml`: the real SDKs in environments of their own, blobs in Azurite."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.sorting import TaskRunSort

from labelwright.campaigns.labeler_keys import LabelerKeys
from labelwright.domain import State
from labelwright.flows.export_campaign import export_campaign
from labelwright.flows.launch_campaign import launch_campaign
from labelwright.flows.sweep_campaigns import sweep_campaigns
from labelwright.platforms import PlatformRefused
from labelwright.settings import forget_settings, settings
from labelwright.tasks.context import the_ledger
from tests.stores.azure import Azure, azure_at_hand, python_of, workspace
from tests.stores.azure_ml.stand_in import LONG, Fault
from tests.stores.warm_python import warm_python

from . import partner
from .conftest import make_photos, make_spec

pytestmark = [pytest.mark.azureml, pytest.mark.usefixtures("plain_flows")]

ENGINES = ["sdk_v2", "sdk_v1"]
PATHS = f"{LONG}/datastores/labelwright/paths/"


@pytest.fixture(scope="module")
def around(tmp_path_factory) -> Iterator[Azure]:
    with azure_at_hand(tmp_path_factory.mktemp("azure")) as (azure, _):
        yield azure


@pytest.fixture
def azure(around, service, monkeypatch) -> Iterator[Azure]:
    around.ml.clear()
    for blob in around.names():
        around.container.delete_blob(blob)
    pythons = {f"PYTHON_{version.upper()}": warm_python(version, python_of(version)) for version in ("v1", "v2")}
    for name, value in workspace(around, **pythons).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LABELWRIGHT_BATCH_SIZE", "3")
    forget_settings()
    yield around
    assert around.ml.violations == []


def river(tmp_path: Path, engine: str, **export: object):
    make_photos(tmp_path / "photos", 7)
    return make_spec(
        "river", tmp_path / "photos", tmp_path / "datasets", export={"store": "azure_ml", "engine": engine, **export}
    )


def label() -> None:
    access = LabelerKeys(settings().home).find("campaign_api", "partner@example.com")
    assert access is not None
    url = settings().connection("campaign_api").url or ""
    partner.label(url, the_ledger().campaigns.get("river").remote_id or "", access)


def export_river(tmp_path: Path, engine: str, **export: object) -> None:
    launch_campaign(river(tmp_path, engine, **export))
    label()
    assert sweep_campaigns() == {"river": "exported"}


def command(*message: str) -> int:
    return subprocess.run([sys.executable, "-m", "labelwright", *message], check=False, timeout=120).returncode


@pytest.mark.usefixtures("prefect_server")
@pytest.mark.parametrize("engine", ENGINES)
def test_a_folder_becomes_two_datasets_once(azure, tmp_path, engine):
    export_river(tmp_path, engine)
    datasets_before = the_ledger().campaigns.datasets("river")
    assert [dataset["name"] for dataset in datasets_before][:2] == ["river_images", "river_labels"]
    delivery_folder = settings().campaign_folder("river") / "delivery" / "labels"
    assert azure.read("label_sets/river_labels.csv") == (delivery_folder / "river_labels.csv").read_bytes()

    written, blobs = azure.ml.writes(), azure.names()
    launch_campaign(river(tmp_path, engine))
    assert sweep_campaigns() == {}
    export_campaign("river")
    assert azure.ml.writes() == written
    assert azure.names() == blobs
    assert the_ledger().campaigns.datasets("river") == datasets_before
    assert the_ledger().campaigns.get("river").state is State.EXPORTED

    assert command("datasets", "verify") == 0
    assert command("datasets", "show", "river_labels") == 0
    azure.container.delete_blob(next(name for name in blobs if name.endswith("_coco.json")))
    assert command("datasets", "verify", "river_labels") == 1


def test_what_sdk_v2_registers_is_what_automl_takes(azure, tmp_path):
    export_river(tmp_path, "sdk_v2", split={"train": 60, "validation": 40, "test": 0})
    newest = {name: next(iter(versions.values())) for name, versions in azure.ml.versions.items()}
    tables = ["river_labels", "river_labels_segmentation"]  # no label is one of whole images
    assert {name: dataset["dataType"] for name, dataset in newest.items()} == {
        "river_images": "uri_folder",
        "river_labels_csv": "uri_file",
        **{f"{table}{part}": "mltable" for table in tables for part in ("", "_train", "_validation")},
    }
    table, tags = newest["river_labels"], newest["river_labels"]["tags"]
    assert (tags["campaign"], tags["platform"], tags["images"]) == ("river", "campaign_api", "7")
    assert table["referencedUris"] == ["./labels.jsonl"]
    # The SDK read the MLTable itself, from the container, with the secret that the datastore keeps.
    assert any(method == "CONNECT" and "devstoreaccount1.blob." in target for method, target in azure.ml.calls)

    def lines(name: str) -> list[bytes]:
        return azure.read(newest[name]["dataUri"].removeprefix(PATHS) + "labels.jsonl").splitlines()

    image_paths = [json.loads(line)["image_url"].removeprefix(PATHS) for line in lines("river_labels")]
    for blob in image_paths:
        assert azure.read(blob) == (tmp_path / "photos" / blob.rpartition("/")[2]).read_bytes()
    (image_folder,) = {blob.rpartition("/")[0] for blob in image_paths}
    assert azure.names("image_sets/river/") == sorted([f"{image_folder}.json", *image_paths])
    assert newest["river_images"]["dataUri"] == f"{PATHS}{image_folder}/"
    parts = [lines(f"river_labels_{part}") for part in ("train", "validation")]
    assert all(parts)
    assert sorted(parts[0] + parts[1]) == sorted(lines("river_labels"))

    receipt = json.loads(azure.read(tags["receipt"]))
    delivery = tags["receipt"].rpartition("/")[0]
    assert receipt["content_hash"] == tags["content_hash"] == delivery.rpartition("/")[2]
    for file in receipt["files"]:
        assert hashlib.sha256(azure.read(f"{delivery}/{file['name']}")).hexdigest() == file["sha256"]


def test_what_sdk_v1_registers_points_to_paths_that_hold_the_hash(azure, tmp_path):
    export_river(tmp_path, "sdk_v1")
    images, labels = (azure.ml.datasets[name][-1] for name in ("river_images", "river_labels"))
    assert (images["type"], labels["type"]) == ("file", "tabular")
    assert labels["tags"]["content_hash"] in labels["dataflow"]
    (folder,) = [name.removesuffix(".json") for name in azure.names("image_sets/river/") if name.endswith(".json")]
    assert f"/paths/{folder}/" in images["dataflow"]
    assert [dataset["version"] for dataset in the_ledger().campaigns.datasets("river")] == ["1", "1"]


@pytest.mark.parametrize("engine", ["sdk_v2", pytest.param("sdk_v1", marks=pytest.mark.exhaustive)])
def test_new_content_is_a_new_version_and_keeps_the_first_one(azure, tmp_path, engine):
    export_river(tmp_path, engine)
    previous_versions = {name: azure.read(name) for name in azure.names() if not name.endswith(".latest.json")}
    versions = [
        dataset["version"] for dataset in the_ledger().campaigns.datasets("river") if dataset["name"] == "river_labels"
    ]
    launch_campaign(river(tmp_path, engine, formats=["csv", "mltable"]))
    export_campaign("river")
    current_versions = [
        dataset["version"] for dataset in the_ledger().campaigns.datasets("river") if dataset["name"] == "river_labels"
    ]
    assert current_versions[:1] == versions
    assert len(current_versions) == 2
    assert {name: azure.read(name) for name in previous_versions} == previous_versions

    # Back to the first content: the version that exists, not a third one, and it is the newest now.
    launch_campaign(river(tmp_path, engine))
    export_campaign("river")
    assert [
        dataset["version"] for dataset in the_ledger().campaigns.datasets("river") if dataset["name"] == "river_labels"
    ] == current_versions
    newest = {
        dataset["name"]: dataset["version"] for dataset in the_ledger().campaigns.datasets("river") if dataset["newest"]
    }
    assert newest["river_labels"] == current_versions[0]
    assert json.loads(azure.read("label_sets/river_labels.latest.json"))["newest"]["version"] == current_versions[0]
    assert command("datasets", "verify") == 0


@pytest.mark.usefixtures("prefect_server")
def test_the_next_export_repairs_images_in_the_store(azure, tmp_path, capfd):
    export_river(tmp_path, "sdk_v2")
    images = [name for name in azure.names("image_sets/river/") if not name.endswith(".json")]
    contents = {name: azure.read(name) for name in images}
    azure.container.delete_blob(images[0])
    azure.container.upload_blob(images[4], b"another picture", overwrite=True)
    capfd.readouterr()
    assert command("datasets", "verify") == 1
    output = " ".join(capfd.readouterr().out.split())
    assert "photo-000.jpg is not in the store" in output
    assert "holds 15 bytes under this name" in output
    assert "labelwright export 'river' sends the images again" in output
    written = azure.ml.writes()
    export_campaign("river")
    assert {name: azure.read(name) for name in images} == contents
    assert azure.ml.writes() == written
    assert command("datasets", "verify", "--deep") == 0
    # The batch without damage was not brought again.
    runs = task_runs()
    assert runs["keep images 1-3 of river"] == 1
    # What the source no longer has cannot be repaired, and the command says which image and why.
    azure.container.delete_blob(images[0])
    (tmp_path / "photos" / "photo-000.jpg").write_bytes(b"changed")
    with pytest.raises(PlatformRefused, match=r"photo-000\.jpg: cannot be repaired: the file has changed"):
        export_campaign("river")


@pytest.mark.usefixtures("prefect_server")
def test_every_retry_is_prefects_own(azure, tmp_path):
    azure.ml.faults = [
        Fault("PUT", "/data/river_images/", 429, headers={"Retry-After": "1"}),
        Fault("PUT", "/data/river_labels/", 500, after=True),
        Fault("GET", "/data/river_labels_csv/", 401),
    ]
    export_river(tmp_path, "sdk_v2")
    assert [fault.times for fault in azure.ml.faults] == [0, 0, 0]
    runs = task_runs()
    assert (runs["register images of river"], runs["register labels of river"]) == (2, 2)
    assert {len(versions) for versions in azure.ml.versions.values()} == {1}


def task_runs() -> dict[str, int]:
    """How often each task was tried; of tasks with one name, the newest."""
    with get_client(sync_client=True) as client:
        runs = client.read_task_runs(sort=TaskRunSort.EXPECTED_START_TIME_DESC, limit=60)
    return {run.name: run.run_count for run in reversed(runs)}
