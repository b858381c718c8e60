"""The flows against a real Prefect server and the real embedded service."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import sys
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import requests
from azure.storage.blob import ContainerClient
from PIL import Image
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey, FlowRunFilter, FlowRunFilterName
from prefect.client.schemas.sorting import FlowRunSort
from prefect.settings import PREFECT_RESULTS_PERSIST_BY_DEFAULT, temporary_settings
from pycocotools.coco import COCO

from labelwright.campaigns.artifact_keys import artifact_key
from labelwright.campaigns.changes import CampaignChanged
from labelwright.campaigns.labeler_keys import LabelerKeys
from labelwright.campaigns.refusals import NotLabeledYet
from labelwright.cli.main import main
from labelwright.datasets import ValidationFailed, read_labels_csv
from labelwright.domain import State
from labelwright.flows.export_campaign import export_campaign
from labelwright.flows.finish_campaign import finish_campaign
from labelwright.flows.launch_campaign import launch_campaign
from labelwright.flows.run_campaign import run_campaign
from labelwright.flows.sweep_campaigns import sweep_campaigns
from labelwright.ledger import AlreadyThere, Ledger
from labelwright.platforms import PlatformRefused
from labelwright.prefect_integration.runtime import flush_logs_and_events
from labelwright.settings import forget_settings, settings
from labelwright.tasks.campaign.image_checks import FilesLeftOut
from labelwright.tasks.campaign.waiting import LabelsLate
from labelwright.tasks.context import the_ledger
from tests.platforms.proxy import Fault, FaultProxy, Rule

from . import partner
from .conftest import make_photos, make_spec

pytestmark = pytest.mark.usefixtures("plain_flows")


@pytest.fixture
def river(service, tmp_path):
    """A specification of seven images in batches of three."""
    make_photos(tmp_path / "photos", 7)
    return make_spec("river", tmp_path / "photos", tmp_path / "datasets")


@pytest.fixture(autouse=True)
def small_batches(home, monkeypatch):
    monkeypatch.setenv("LABELWRIGHT_BATCH_SIZE", "3")
    forget_settings()


def ledger() -> Ledger:
    return the_ledger()


def api() -> str:
    return settings().connection("campaign_api").url or ""


def admin() -> dict[str, str]:
    connection = settings().connection("campaign_api")
    assert connection.key is not None
    assert connection.secret is not None
    return {
        "Authentication-Key": connection.key.get_secret_value(),
        "Authentication-Secret": connection.secret.get_secret_value(),
    }


def get(path: str):
    response = requests.get(f"{api()}{path}", headers=admin(), timeout=60)
    response.raise_for_status()
    return response.json()


def put(path: str, body) -> None:
    requests.put(f"{api()}{path}", json=body, headers=admin(), timeout=60).raise_for_status()


def label(at_most: int | None = None) -> int:
    access = LabelerKeys(settings().home).find("campaign_api", "partner@example.com")
    assert access is not None
    return partner.label(api(), ledger().campaigns.get("river").remote_id or "", access, at_most)


@pytest.mark.usefixtures("prefect_server")
def test_a_folder_becomes_datasets_and_a_second_time_changes_nothing(river, tmp_path):
    assert launch_campaign(river) == "river"
    assert ledger().campaigns.get("river").state is State.ACTIVE
    label()
    assert sweep_campaigns() == {"river": "exported"}
    datasets_before = ledger().campaigns.datasets("river")
    assert [(row["name"], row["version"]) for row in datasets_before] == [("river_images", "1"), ("river_labels", "1")]

    launch_campaign(river)
    assert sweep_campaigns() == {}
    export_campaign("river")
    assert ledger().campaigns.datasets("river") == datasets_before
    assert get("/images")["pagination"]["total"] == 7
    assert len(get("/campaigns")["campaigns"]) == 1

    folder = tmp_path / "datasets" / "river_labels" / "v1"
    coco = COCO(str(folder / "river_coco.json"))
    table = read_labels_csv(folder / "river_labels.csv")
    assert len(coco.imgs) == table["file_name"].nunique() == 7
    assert len(coco.anns) == (table["label"] != "").sum()
    assert set(table[table["label"] == ""]["file_name"]) == {"photo-002.jpg", "photo-005.jpg"}
    assert not (tmp_path / "datasets" / "river_labels" / "v2").exists()


def test_labels_are_exactly_what_the_labeler_said(river, tmp_path):
    launch_campaign(river)
    label()
    sweep_campaigns()
    table = read_labels_csv(tmp_path / "datasets" / "river_labels" / "v1" / "river_labels.csv")
    for number in range(7):
        expected = partner.objects_for(0, number)
        got = table[table["file_name"] == f"photo-{number:03}.jpg"].to_dict("records")
        assert len(got) == max(1, len(expected))
        for drawn, row in zip(expected, got, strict=False):
            box = drawn["bounding_box"]
            assert {edge: row[edge] for edge in box} == box
            assert (row["label"], row["confidence"]) == (drawn["label"], drawn["confidence"])
            assert json.loads(row["polygon"] or "null") == drawn.get("polygon")


def test_what_cannot_be_taken_is_listed_and_the_rest_goes_on(river, tmp_path):
    photos = tmp_path / "photos"
    content = (photos / "photo-000.jpg").read_bytes()
    (photos / "broken.jpg").write_bytes(content[: len(content) // 2])
    (photos / "text.png").write_text("I am no picture")
    (photos / "empty.jpg").touch()
    (photos / "copy.jpg").write_bytes(content)
    (photos / "кошка.jpg").write_bytes((photos / "photo-001.jpg").read_bytes())
    (photos / "photo-001.jpg").unlink()
    inner = photos / "second"
    inner.mkdir()
    turned = Image.new("RGB", (30, 20), "red")
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(inner / "photo-000.jpg", exif=exif)
    launch_campaign(river)
    rejects = {row.name: row.reason for row in ledger().manifests.rejects("river")}
    # Of two equal files the first by name is taken.
    assert set(rejects) == {"broken.jpg", "text.png", "empty.jpg", "photo-000.jpg"}
    with (settings().campaign_folder("river") / "rejects.csv").open(newline="", encoding="utf-8") as file:
        assert {row[0] for row in csv.reader(file)} >= set(rejects)
    images = {row["file_name"]: row["file"]["dimensions"] for row in get("/image_sets/1/images")["images"]}
    assert images["second/photo-000.jpg"] == {"width": 20, "height": 30}
    assert "кошка.jpg" in images
    assert len(images) == 8


def test_strict_stops_before_anything_is_sent(river, tmp_path):
    (tmp_path / "photos" / "text.png").write_text("I am no picture")
    strict = river.model_copy(update={"images": river.images.model_copy(update={"strict": True})})
    with pytest.raises(FilesLeftOut, match=r"1 files were left out and the campaign is strict.*rejects\.csv"):
        launch_campaign(strict)
    assert get("/image_sets")["image_sets"] == []
    assert ledger().campaigns.get("river").state is State.NEEDS_ATTENTION
    (tmp_path / "photos" / "text.png").unlink()
    launch_campaign(strict)
    assert ledger().campaigns.get("river").state is State.ACTIVE


def test_a_campaign_that_was_launched_does_not_change_under_its_labelers(river):
    launch_campaign(river)
    with pytest.raises(CampaignChanged, match=r"this file differs: instructions changed.*labelwright change 'river'"):
        launch_campaign(river.model_copy(update={"instructions": "Something else."}))
    launch_campaign(make_spec("river", Path(river.images.folder), Path("elsewhere"), deadline="2030-01-01"))
    assert ledger().campaigns.get("river").spec["deadline"].startswith("2030")


def test_a_title_that_somebody_else_uses_is_not_taken_over(river):
    requests.post(f"{api()}/image_sets", json={"title": "river", "metadata": {}}, headers=admin(), timeout=60)
    with pytest.raises(AlreadyThere, match="another title"):
        launch_campaign(river)
    assert "another title" in (ledger().campaigns.get("river").reason or "")


def test_a_campaign_is_finished_only_when_every_image_is_labeled(river):
    launch_campaign(river)
    label(at_most=6)
    with pytest.raises(NotLabeledYet, match="6 of 7"):
        finish_campaign("river")
    assert sweep_campaigns() == {"river": "active"}
    with pytest.raises(LabelsLate, match="6 of 7 images are labeled"):
        run_campaign(river, wait_hours=0, look_every=0.1)
    label()
    assert [row["version"] for row in run_campaign(river, wait_hours=0.1, look_every=0.1)] == ["1", "1"]


def test_a_campaign_returned_to_its_labelers_is_exported_again(river, tmp_path):
    launch_campaign(river)
    label()
    assert sweep_campaigns(go_on="no") == {"river": "completed"}
    remote = ledger().campaigns.get("river").remote_id
    put(f"/campaigns/{remote}", {"new_status": "active"})
    assert sweep_campaigns() == {"river": "reopened"}
    access = LabelerKeys(settings().home).find("campaign_api", "partner@example.com")
    first_image = get(f"/campaigns/{remote}/images")["images"][0]["image_id"]
    requests.put(
        f"{api()}/campaigns/{remote}/objects",
        json=[{"image_id": first_image, "objects": []}],
        headers=partner.headers(access),
        timeout=60,
    ).raise_for_status()
    if get(f"/campaigns/{remote}")["status"] == "active":
        put(f"/campaigns/{remote}", {"new_status": "completed"})
    assert sweep_campaigns() == {"river": "exported"}
    table = read_labels_csv(tmp_path / "datasets" / "river_labels" / "v1" / "river_labels.csv")
    assert set(table[table["file_name"] == "photo-000.jpg"]["label"]) == {""}


def test_export_needs_every_label_and_no_sweep_before_it(river):
    launch_campaign(river)
    label(at_most=6)
    with pytest.raises(NotLabeledYet, match="6 of 7"):
        export_campaign("river")
    assert ledger().campaigns.get("river").state is State.ACTIVE
    assert ledger().campaigns.datasets("river") == []
    label()
    assert [row["version"] for row in export_campaign("river")] == ["1", "1"]
    remote = ledger().campaigns.get("river").remote_id
    assert get(f"/campaigns/{remote}")["status"] == "finished"
    passed = [move.became for move in ledger().campaigns.moves("river")]
    assert passed[-3:] == [State.COMPLETED, State.FINISHED, State.EXPORTED]


def test_a_label_outside_the_schema_is_refused_before_closing(river, service, tmp_path):
    launch_campaign(river)
    label()
    sweep_campaigns(go_on="no")
    # The campaign file says boxes only; the partner sent polygons too.
    record = ledger().campaigns.get("river")
    spec = dict(record.spec)
    spec["labels"] = [dict(row, geometry="box") for row in spec["labels"]]
    ledger().campaigns.record_spec("river", spec)
    with pytest.raises(ValidationFailed, match="whose shape the schema does not allow"):
        finish_campaign("river")
    assert get(f"/campaigns/{record.remote_id}")["status"] == "completed"
    assert ledger().campaigns.get("river").state is State.NEEDS_ATTENTION
    assert ledger().campaigns.datasets("river") == []


def test_one_failing_campaign_delays_no_other_one(river, tmp_path):
    launch_campaign(river)
    label()
    make_photos(tmp_path / "sea", 2, (50, 30))
    launch_campaign(make_spec("sea", tmp_path / "sea", tmp_path / "datasets"))
    ledger().campaigns.record_remote_campaign("sea", "999")
    assert sweep_campaigns() == {"river": "exported"}


@pytest.mark.usefixtures("prefect_server")
def test_faults_on_the_way_are_retried_and_nothing_is_doubled(river, service, monkeypatch):
    with FaultProxy(("127.0.0.1", int(service.rsplit(":", 1)[1]))) as proxy:
        admin = json.loads((settings().home / "service" / "admin.json").read_text())
        for name, value in {
            "url": f"{proxy.url}/api/v1",
            **admin,
        }.items():  # a proxy cannot prove that it is the service
            monkeypatch.setenv(f"LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__{name.upper()}", value)
        forget_settings()
        proxy.add(
            Rule(Fault.LOSE_ANSWER, method="POST", path=r"/image_sets$", nth=(1,)),
            Rule(Fault.LOSE_ANSWER, method="PUT", path=r"/blob/.*photo-004", nth=(1,)),
            Rule(Fault.BUSY, method="PUT", path=r"/blob/.*photo-001", nth=(1,)),
            Rule(Fault.TRUNCATED, method="GET", path=r"comp=list", nth=(1,)),
            Rule(Fault.LOSE_ANSWER, method="PUT", path=r"/image_sets/\d+$", nth=(1,)),
            Rule(Fault.LOSE_ANSWER, method="POST", path=r"/campaigns$", nth=(1,)),
            Rule(Fault.ERROR, method="POST", path=r"/campaigns/\d+/images$", nth=(1,)),
            Rule(Fault.LOSE_ANSWER, method="PUT", path=r"/campaigns/\d+$", nth=(1,)),
            Rule(Fault.TRUNCATED, method="GET", path=r"/objects", nth=(1,)),
        )
        launch_campaign(river)
        label()
        assert sweep_campaigns() == {"river": "exported"}
        faults = {request.fault for request in proxy.requests if request.fault}
        assert faults == {Fault.LOSE_ANSWER, Fault.BUSY, Fault.TRUNCATED, Fault.ERROR}
        proxy.clear()
        assert get("/images")["pagination"]["total"] == 7
        assert len(get("/campaigns")["campaigns"]) == len(get("/image_sets")["image_sets"]) == 1


@pytest.mark.usefixtures("prefect_server")
def test_an_expired_signature_is_asked_for_anew(river, service, monkeypatch):
    """The signature that the first answer held is made to look used up: the store refuses the first upload."""
    from labelwright.ingest import DropboxExpired
    from labelwright.ingest.upload import dropbox as upload

    calls = []
    real = upload.Dropbox.upload

    def refuses_once(self, *arguments):
        calls.append(1)
        if len(calls) == 1:
            raise DropboxExpired("image store", "take images", status=403)
        return real(self, *arguments)

    monkeypatch.setattr(upload.Dropbox, "upload", refuses_once)
    launch_campaign(river)
    assert len(calls) == 4  # three batches, the first one twice
    assert ledger().campaigns.get("river").state is State.ACTIVE


def test_an_image_that_changes_during_the_upload_is_not_sent(river, tmp_path, monkeypatch):
    from labelwright.tasks.campaign import image_set_upload

    real = image_set_upload.open_dropbox

    def meddling(*arguments, **keywords):
        Image.new("RGB", (60, 40), "black").save(tmp_path / "photos" / "photo-003.jpg")
        return real(*arguments, **keywords)

    monkeypatch.setattr(image_set_upload, "open_dropbox", meddling)
    with pytest.raises(PlatformRefused, match=r"photo-003\.jpg.*changed"):
        launch_campaign(river)
    assert ledger().campaigns.get("river").state is State.NEEDS_ATTENTION


def test_the_source_folder_may_be_deleted_after_the_upload(river, tmp_path):
    launch_campaign(river)
    shutil.rmtree(tmp_path / "photos")
    label()
    assert sweep_campaigns() == {"river": "exported"}
    launch_campaign(river)


@pytest.mark.usefixtures("prefect_server")
def test_people_see_progress_rejects_and_all_campaigns_in_prefect(river, tmp_path):
    (tmp_path / "photos" / "text.png").write_text("I am no picture")
    launch_campaign(river)
    label()
    sweep_campaigns()
    with get_client(sync_client=True) as client:
        artifacts = client.read_artifacts(
            artifact_filter=ArtifactFilter(key=ArtifactFilterKey(like_="river-%")), sort="CREATED_DESC"
        )
    kinds = {artifact.key: artifact.type for artifact in artifacts}
    assert kinds[artifact_key("river", "rejects")] == "table"
    progress = [artifact for artifact in artifacts if artifact.type == "progress"]
    assert progress
    assert any("7 of 7" in (artifact.description or "") for artifact in progress)


def has_ended(nodes: dict[str, Any], last: str) -> bool:
    """Whether all task runs of the graph have ended, this one among them."""
    labels = {node["label"] for node in nodes.values()}
    return last in labels and all(node["state_type"] == "COMPLETED" for node in nodes.values())


@pytest.mark.usefixtures("prefect_server")
def test_run_names_and_the_chain_of_tasks_read_in_prefect(river):
    launch_campaign(river)
    flush_logs_and_events()
    with get_client(sync_client=True) as client:
        name_filter = FlowRunFilter(name=FlowRunFilterName(any_=["launch river"]))
        (launched,) = client.read_flow_runs(flow_run_filter=name_filter, limit=1, sort=FlowRunSort.START_TIME_DESC)
        path, ends = {"id": launched.id}, time.monotonic() + 240
        nodes: dict[str, Any] = {}
        while not has_ended(nodes, "show river") and time.monotonic() < ends:
            time.sleep(0.2)  # Prefect's server records task runs some time after they ended
            nodes = dict(client.request("GET", "/flow_runs/{id}/graph-v2", path_params=path).json()["nodes"])
    names = {node["label"] for node in nodes.values()}
    assert {"upload-batch-001 of river", "upload-batch-003 of river", "create campaign river"} <= names
    assert [node["label"] for node in nodes.values() if not node["parents"]] == ["register river"]


@pytest.fixture
def web(tmp_path):
    """The photographs behind an address of this machine."""
    handler = partial(SilentHandler, directory=str(tmp_path / "photos"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class SilentHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


def images_from_files(tmp_path, _web, _monkeypatch):
    return {"files": [str(path) for path in sorted((tmp_path / "photos").glob("*.jpg"))]}


def images_from_a_manifest(tmp_path, _web, _monkeypatch):
    rows = [f"photos/photo-{number:03}.jpg,renamed/{number}.jpg" for number in range(7)]
    (tmp_path / "list.csv").write_text("\n".join(["path,name", *rows]))
    return {"manifest": str(tmp_path / "list.csv")}


def images_from_urls(_tmp_path, web, _monkeypatch):
    urls = [f"{web}/photo-{number:03}.jpg" for number in range(7)]
    return {"urls": urls, "allow_private_addresses": True}


def images_from_a_container(tmp_path, _web, monkeypatch):
    body = {"title": "source", "metadata": {}}
    response = requests.post(f"{api()}/image_sets", json=body, headers=admin(), timeout=60)
    address, signature = response.json()["dropbox_url"].split("?")
    with ContainerClient.from_container_url(response.json()["dropbox_url"]) as container:
        for path in (tmp_path / "photos").glob("*.jpg"):
            container.upload_blob(f"camera/{path.name}", path.read_bytes())
    monkeypatch.setenv("LABELWRIGHT_CONTAINER_SAS", signature)
    forget_settings()
    return {"container": address, "prefix": "camera/"}


@pytest.mark.parametrize(
    "images", [images_from_files, images_from_a_manifest, images_from_urls, images_from_a_container]
)
def test_images_come_from_anywhere(images, service, tmp_path, web, monkeypatch):
    make_photos(tmp_path / "photos", 7)
    spec = make_spec("river", tmp_path, tmp_path / "datasets", images=images(tmp_path, web, monkeypatch))
    launch_campaign(spec)
    label()
    assert sweep_campaigns() == {"river": "exported"}
    table = read_labels_csv(tmp_path / "datasets" / "river_labels" / "v1" / "river_labels.csv")
    assert table["file_name"].nunique() == 7
    contact_sheet = (settings().campaign_folder("river") / "contact-sheet.png").stat()
    assert contact_sheet.st_size > 1000


def test_no_secret_is_anywhere_but_where_it_belongs(river, prefect_server, tmp_path, home):
    with temporary_settings({PREFECT_RESULTS_PERSIST_BY_DEFAULT: True}):  # results too are searched
        launch_campaign(river)
        label()
        sweep_campaigns()
    access = LabelerKeys(home).find("campaign_api", "partner@example.com")
    assert access is not None
    assert access.secret is not None
    secrets = {admin()["Authentication-Secret"], access.secret.value, "sp=rwdl"}
    flush_logs_and_events()
    prefect_home = prefect_server.log.parent.parent
    files = [
        path for folder in (home, tmp_path / "datasets", prefect_home) for path in folder.rglob("*") if path.is_file()
    ]
    allowed = {"admin.json", LabelerKeys(home).path("campaign_api", "partner@example.com").name}
    searched_files = [path for path in files if path.name not in allowed]
    assert any(path.name == "prefect.db" for path in searched_files)
    assert len([path for path in searched_files if path.parent.name == "storage"]) >= 3, "of runs; tasks keep none"
    assert any(path.name == "ledger.db" for path in searched_files)
    for path in searched_files:
        data = path.read_bytes()
        assert not [secret for secret in secrets if secret.encode() in data], path


def test_lineage_of_an_image_and_verification_of_datasets(river, tmp_path, capsys):
    launch_campaign(river)
    label()
    sweep_campaigns()
    digest = hashlib.sha256((tmp_path / "photos" / "photo-000.jpg").read_bytes()).hexdigest()

    lineage = json.loads(command(capsys, "datasets", "lineage", digest[:12], "--json"))
    (image,) = lineage["found"]
    assert (image["sha256"], image["name"], image["campaign"]) == (digest, "photo-000.jpg", "river")
    assert (image["platform"], image["labeler"], image["labels"]) == (
        "campaign_api",
        "partner@example.com",
        {"boat": 2},
    )
    assert image["platform_image_id"] == ledger().manifests.find("river", "photo-000.jpg").remote_id
    assert [row["name"] for row in image["datasets"]] == ["river_images", "river_labels"]

    datasets = json.loads(command(capsys, "datasets", "list", "--json"))
    assert [(row["name"], row["version"], row["store"]) for row in datasets] == [
        ("river_images", "1", "local"),
        ("river_labels", "1", "local"),
    ]
    details = json.loads(command(capsys, "datasets", "show", "river_labels", "--json"))
    assert details["receipt"]["content_hash"] == details["content_hash"]
    assert "photo-000.jpg" in command(capsys, "datasets", "lineage", digest)
    assert command(capsys, "datasets", "verify").count("as registered") == 2

    csv_file = tmp_path / "datasets" / "river_labels" / "v1" / "river_labels.csv"
    csv_file.chmod(0o644)
    csv_file.write_text("something else")
    assert "has 14 bytes and had" in command(capsys, "datasets", "verify", "river_labels", code=1)
    assert "see labelwright datasets list" in command(capsys, "datasets", "show", "lake_labels", code=2)
    assert "no campaign of this ledger" in command(capsys, "datasets", "lineage", "0" * 12, code=2)
    assert "at least 6" in command(capsys, "datasets", "lineage", "xyz", code=2)


def test_what_was_exported_last_is_the_newest_everywhere(river, tmp_path, capsys):
    def export(*formats: str) -> list[dict[str, str]]:
        target = {"folder": str(tmp_path / "datasets"), "formats": list(formats)}
        launch_campaign(make_spec("river", tmp_path / "photos", tmp_path / "datasets", export=target))
        return export_campaign("river")

    launch_campaign(river)
    label()
    sweep_campaigns()
    labels_dataset = ledger().campaigns.datasets("river")[1]
    home = tmp_path / "datasets" / "river_labels"
    assert [row["version"] for row in export("csv")] == ["1", "2"]
    assert (home / "latest").readlink() == Path("v2")
    # The first content again: no third version, and the first one is the newest.
    assert [row["version"] for row in export("csv", "coco", "jsonl", "mltable")] == ["1", "1"]
    assert (home / "latest").readlink() == Path("v1")
    assert json.loads((home / "latest.json").read_text())["content_hash"] == labels_dataset["content_hash"]
    labels = [row for row in ledger().campaigns.datasets("river") if row["name"] == "river_labels"]
    assert [(row["version"], row["newest"]) for row in labels] == [("1", True), ("2", False)]
    assert json.loads(command(capsys, "datasets", "show", "river_labels", "--json"))["version"] == "1"
    assert "no, that is 1" in command(capsys, "datasets", "show", "river_labels", "--version", "2")
    datasets = json.loads(command(capsys, "datasets", "list", "--json"))
    assert [(row["version"], row["newest"]) for row in datasets if row["name"] == "river_labels"] == [
        ("1", True),
        ("2", False),
    ]
    assert "river_labels, version 1 (the newest)" in command(capsys, "status", "river")
    assert command(capsys, "datasets", "verify").count("as registered") == 3
    datasets_before = ledger().campaigns.datasets("river")
    export_campaign("river")
    assert ledger().campaigns.datasets("river") == datasets_before, "an export without a change changes nothing"


def test_damage_in_the_store_is_found_and_the_next_export_repairs_it(river, tmp_path, capsys):
    launch_campaign(river)
    label()
    sweep_campaigns()
    version = tmp_path / "datasets" / "river_labels" / "v1"
    content = (version / "river_labels.csv").read_bytes()
    (version / "river_labels.csv").unlink()
    (version / "receipt.json").chmod(0o644)
    (version / "receipt.json").write_text("{}")
    output = " ".join(command(capsys, "datasets", "verify", "river_labels", code=1).split())
    assert "receipt.json is damaged" in output
    assert "to repair: labelwright export 'river'" in output
    assert "receipt.json is damaged" in command(capsys, "datasets", "show", "river_labels", code=1)
    assert command(capsys, "status", "river")
    export_campaign("river")
    assert (version / "river_labels.csv").read_bytes() == content
    assert json.loads((version / "receipt.json").read_text())["campaign"]["title"] == "river"
    output = " ".join(command(capsys, "datasets", "verify", "--deep").split())
    assert output.count("as registered") == 2
    assert "not compared" not in output, "the service sends its images back"
    # The images are the embedded service's: one whose bytes were replaced there is found by reading it.
    (image,) = [path for path in (tmp_path / "home" / "service").rglob("*") if _is_photo(path, tmp_path)][:1]
    image.chmod(0o644)
    image.write_bytes(image.read_bytes()[:-1] + b"x")
    assert "not compared: the images' bytes" in command(capsys, "datasets", "verify", "river_images")
    output = command(capsys, "datasets", "verify", "river_images", "--deep", code=1)
    assert "restore them there" in " ".join(output.split())


def _is_photo(path: Path, tmp_path: Path) -> bool:
    return path.is_file() and path.read_bytes() == (tmp_path / "photos" / "photo-000.jpg").read_bytes()


def command(capsys, *message: str, code: int = 0) -> str:
    """What `labelwright WORDS` prints, in this process."""
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["labelwright", *message])
        with pytest.raises(SystemExit) as caught:
            main()
    printed = capsys.readouterr()
    assert (caught.value.code or 0) == code, printed.err
    return printed.out + printed.err
