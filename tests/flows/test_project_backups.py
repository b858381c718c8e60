"""Backup and restore as flows and commands; a campaign from images to datasets on Geti."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from labelwright.domain import Annotation, Box, LabeledImage, Polygon, Size
from labelwright.flows.launch_campaign import launch_campaign
from labelwright.flows.platforms.geti_backup import backup_project
from labelwright.flows.platforms.geti_restore import restore_project
from labelwright.flows.run_campaign import run_campaign
from labelwright.ledger import open_ledger
from labelwright.settings import forget_settings, settings
from labelwright.tasks.platforms.geti import (
    annotate_geti_image,
    cancel_geti_job,
    check_geti,
    connect_client,
    create_geti_project,
    delete_geti_project,
    download_geti_images,
    find_geti_project,
    list_geti_projects,
    read_geti_annotations,
    set_geti_auto_train,
    set_geti_iterations,
    upload_geti_file,
)
from labelwright.tasks.platforms.geti_backup import BackupDiffers
from tests.cli.schemas import output_in_schema
from tests.platforms.contract import unique
from tests.platforms.geti.harness import GetiHarness
from tests.platforms.geti.server import PASSWORD, SC, TOKEN, USER, geti_server, reencoded_as_recorded
from tests.platforms.geti.test_backup import chain_project
from tests.platforms.geti.test_batches import flaky
from tests.platforms.proxy import FaultProxy

from .conftest import make_photos, make_spec


def connected(monkeypatch, name, server):
    monkeypatch.setenv(f"LABELWRIGHT_CONNECTIONS__{name}__URL", server.url)
    monkeypatch.setenv(f"LABELWRIGHT_CONNECTIONS__{name}__PLATFORM", "geti")
    monkeypatch.setenv(f"LABELWRIGHT_CONNECTIONS__{name}__KEY", TOKEN if server.modern else USER)
    if not server.modern:
        monkeypatch.setenv(f"LABELWRIGHT_CONNECTIONS__{name}__SECRET", PASSWORD)
    forget_settings()


@pytest.fixture
def servers(home, monkeypatch):
    """A Sonoma Creek under the name `geti`, a Geti under `newer`."""
    with geti_server(SC) as source_server, geti_server("2.12.1") as target_server:
        connected(monkeypatch, "GETI", source_server)
        connected(monkeypatch, "NEWER", target_server)
        yield source_server, target_server


def test_restore_on_geti_fails_when_the_project_differs(plain_flows, servers, tmp_path):
    chain_project(connect_client("geti"), "dogs")
    folder = str(tmp_path / "backup")
    backup = backup_project("dogs", folder)
    assert (backup["images"], backup["videos"], backup["differences"]) == (7, 1, [])
    restored_project = restore_project(folder, connection="newer")
    assert (restored_project["name"], restored_project["media"], restored_project["differences"]) == ("dogs", 8, [])
    assert restore_project(folder, connection="newer") == restored_project
    client = connect_client("newer")
    project = client.project(restored_project["project"])
    client.delete_medium(project, next(iter(client.media(project))))
    with pytest.raises(BackupDiffers, match="gone from the server"):
        restore_project(folder, connection="newer")


def test_backup_and_restore_commands(prefect_server, servers, tmp_path, home):
    chain_project(connect_client("geti"), "dogs")
    servers[0].break_next("GET", "/configuration$", "404")

    def run(*arguments):
        command = [sys.executable, "-m", "labelwright", "--home", str(home), *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=os.environ.copy())

    backup = run("backup", "dogs", str(tmp_path / "backup"), "--json")
    assert backup.returncode == 0, backup.stderr
    result = output_in_schema("backup", backup.stdout)
    (unread,) = result["not_saved"]
    assert unread.startswith("configuration is not in the backup: could not be read: the server answered 404")
    assert (result["images"], result["not_compared"]) == (7, [unread])
    restored = run("restore", str(tmp_path / "backup"), "--name", "again", "--connection", "newer", "--auto-train")
    assert restored.returncode == 0, restored.stderr
    printed = " ".join(restored.stdout.split())
    assert "warning: configuration is not in the backup: could not be read: the server answered 404" in printed
    assert "compared: no difference in what could be compared" in printed
    options = ("--name", "again", "--connection", "newer", "--auto-train")
    again = run("restore", str(tmp_path / "backup"), *options, "--json")
    assert output_in_schema("restore", again.stdout)["name"] == "again"
    client = connect_client("newer")
    restored_again = client.find_project("again")
    assert restored_again is not None
    assert client.auto_train(restored_again)


def test_campaign_runs_from_folder_to_datasets_on_geti(prefect_server, servers, tmp_path):
    server, _ = servers
    make_photos(tmp_path / "photos", 5)
    labels = [{"name": "boat", "geometry": "box"}, {"name": "hull", "geometry": "polygon"}]
    options = {"kind": "detection -> segmentation", "auto_train_at_finish": True}
    fields = {"platform": "geti", "labels": labels, "options": options}
    spec = make_spec(unique("campaign"), tmp_path / "photos", tmp_path / "datasets", **fields)
    launch_campaign(spec)
    with FaultProxy(("127.0.0.1", server.port)) as proxy:
        harness = GetiHarness(proxy, server)
        platform = harness.platform()
        campaign = platform.find_campaign(spec.title)
        boat = Annotation("boat", Box(10, 10, 30, 20))
        hull = Annotation("hull", Polygon(((12, 12), (20, 12), (16, 18))))
        images = list(platform.list_campaign_images(campaign.id))
        harness.label(campaign, None, {image.id: [boat, hull] for image in images[:4]} | {images[4].id: []})
    datasets = run_campaign(spec, wait_hours=0.01, look_every=0.2)
    assert [item["name"] for item in datasets] == [f"{spec.title}_images", f"{spec.title}_labels"]
    coco = json.loads(next((tmp_path / "datasets").rglob("*_coco.json")).read_text())
    assert (len(coco["images"]), len(coco["annotations"])) == (5, 8)
    assert {tuple(item["bbox"]) for item in coco["annotations"]} == {(10, 10, 20, 10), (12, 12, 8, 6)}
    assert open_ledger(settings().ledger_address()).campaigns.get(spec.title).state.value == "exported"
    assert connect_client("geti").auto_train(connect_client("geti").project(campaign.id))


def test_400_images_are_launched_over_a_flaky_network(prefect_server, servers, tmp_path, monkeypatch):
    """3 % of the requests are cut and 3 % answered 503."""
    _, server = servers
    make_photos(tmp_path / "photos", 400)
    with FaultProxy(("127.0.0.1", server.port)) as proxy:
        monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__NEWER__URL", proxy.url)
        forget_settings()
        flaky(proxy)
        fields = {"platform": "geti", "connection": "newer", "labels": [{"name": "boat", "geometry": "box"}]}
        spec = make_spec(unique("campaign"), tmp_path / "photos", tmp_path / "out", **fields)
        launch_campaign(spec)
        uploads = proxy.seen("POST", "media/images$")
        assert sum(item.fault is not None for item in uploads) >= 12
        assert sum(item.forwarded for item in uploads) == 400
    (project,) = [item for item in server.projects.values() if item.name == spec.title]
    (media,) = project.media.values()
    assert len(media) == 400
    assert open_ledger(settings().ledger_address()).campaigns.get(spec.title).state.value == "active"


def test_every_documented_call_is_a_task(servers, tmp_path):
    server, _ = servers
    make_photos(tmp_path, 1)
    assert check_geti.fn("geti").startswith("Sonoma Creek 1.1.0")
    project = create_geti_project.fn("geti", "dogs", "detection", [["dog"]])
    assert create_geti_project.fn("geti", "dogs", "detection", [["dog"]]) == project
    assert find_geti_project.fn("geti", "dogs") == project
    assert list_geti_projects.fn("geti") == [{"id": project, "name": "dogs", "kind": "detection"}]
    set_geti_auto_train.fn("geti", project, False)
    assert set_geti_iterations.fn("geti", project, 500) == {"Detection task": 500}
    image = upload_geti_file.fn("geti", project, str(tmp_path / "photo-000.jpg"))
    (file,) = download_geti_images.fn("geti", project, str(tmp_path / "down")).values()
    assert Path(file).read_bytes() == reencoded_as_recorded((tmp_path / "photo-000.jpg").read_bytes())
    for drawn in ((Annotation("dog", Box(6, 4, 12, 8)),), ()):
        annotate_geti_image.fn("geti", project, LabeledImage("photo-000", Size(60, 40), drawn, image))
        (read_image,) = read_geti_annotations.fn("geti", project).images
        assert (read_image.remote_id, read_image.annotations) == (image, drawn)
    server.jobs["j"] = {"state": "running"}
    cancel_geti_job.fn("geti", "j")
    delete_geti_project.fn("geti", project)
    assert find_geti_project.fn("geti", "dogs") is None
