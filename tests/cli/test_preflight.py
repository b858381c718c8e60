"""What can be refused without Prefect is refused before Prefect is imported or started."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from labelwright.campaigns.spec import load_spec
from labelwright.cli import local_servers
from labelwright.cli.exit_codes import exit_code
from labelwright.cli.main import app
from labelwright.ledger import Ledger, LedgerError
from labelwright.prefect_integration import deployments, runtime
from labelwright.settings import forget_settings

CONNECTION = {
    "LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__URL": "http://127.0.0.1:9/api/v1",
    "LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__KEY": "key",
    "LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__SECRET": "secret",
}

Refused = Callable[..., str]


@pytest.fixture
def refused(tmp_path, monkeypatch) -> Iterator[Refused]:
    """Runs a command that has to be refused with exit code 2 before a server starts; returns its error message."""

    def start(*_arguments: object, **_options: object) -> None:
        raise AssertionError("Prefect or the labeling service was started")

    monkeypatch.setattr(runtime, "prefect_runtime", start)
    monkeypatch.setattr(deployments, "require_prefect_client", start)
    monkeypatch.setattr(local_servers, "begin_prefect", start)
    monkeypatch.setattr(local_servers, "begin_service", start)
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, connection: dict[str, str] = CONNECTION) -> str:
        with monkeypatch.context() as variables:
            for name, value in connection.items():
                variables.setenv(name, value)
            forget_settings()
            with pytest.raises((ValueError, LedgerError)) as refusal:
                app([str(argument) for argument in arguments], standalone_mode=False)
        assert exit_code(refusal.value) == 2
        assert "\n" not in str(refusal.value)
        return str(refusal.value)

    yield run
    forget_settings()


@pytest.fixture
def campaign(tmp_path) -> Path:
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (20, 10)).save(tmp_path / "photos" / "a.png")
    path = tmp_path / "campaign.yaml"
    path.write_text("title: river\nimages: {folder: photos}\nlabels: [boat]\nlabeler: a@b.c\n")
    return path


@pytest.fixture
def launched(campaign, tmp_path) -> Path:
    """The file of a campaign that the ledger holds, with its images checked."""
    (tmp_path / "home").mkdir()
    ledger = Ledger(f"sqlite:///{tmp_path / 'home' / 'ledger.db'}")
    spec = load_spec(campaign).with_paths_from(tmp_path / "home")
    ledger.campaigns.add("river", spec.model_dump(mode="json"))
    ledger.manifests.complete("river", ledger.manifests.begin("river"))
    ledger.effects.once("river", "create image set", lambda: "7", look=lambda: None)
    ledger.campaigns.record_image_set("river", "7")
    ledger.close()
    return campaign


@pytest.mark.parametrize("command", ["launch", "run"])
def test_a_campaign_file_with_an_unknown_key_is_refused(refused, campaign, command):
    campaign.write_text(campaign.read_text() + "labelers: x@y.z\n")
    assert "unknown key 'labelers'; did you mean 'labeler'?" in refused(command, campaign)


@pytest.mark.parametrize("command", ["launch", "run"])
def test_a_missing_image_folder_is_refused(refused, campaign, tmp_path, command):
    campaign.write_text(campaign.read_text().replace("photos", "nowhere"))
    assert f"images.folder: there is no folder {tmp_path / 'nowhere'}" in refused(command, campaign)


@pytest.mark.parametrize("command", ["launch", "run"])
def test_a_changed_campaign_is_refused(refused, launched, command):
    launched.write_text(launched.read_text().replace("boat", "boat, buoy"))
    message = refused(command, launched)
    assert "the title 'river' is in use: that campaign is planned" in message
    assert "this file differs: label 'buoy' added" in message
    assert "labelwright change 'river'" in message


def test_a_title_in_use_on_another_platform_is_refused(refused, launched):
    launched.write_text(launched.read_text() + "platform: cvat\nconnection: campaign_api\n")
    message = refused("launch", launched)
    assert "on campaign_api" in message
    assert "Choose another title" in message


@pytest.mark.parametrize("command", ["launch", "run"])
def test_an_empty_image_folder_is_refused(refused, campaign, tmp_path, command):
    (tmp_path / "photos" / "a.png").unlink()
    assert "holds no files" in refused(command, campaign)


def test_a_refused_file_changes_nothing_of_the_campaign_of_its_title(refused, launched, tmp_path):
    ledger = Ledger(f"sqlite:///{tmp_path / 'home' / 'ledger.db'}")
    before = (ledger.campaigns.get("river"), ledger.campaigns.moves("river"), ledger.effects.all("river"))
    launched.write_text(launched.read_text().replace("boat", "buoy").replace("photos", "elsewhere"))
    refused("launch", launched)
    assert (ledger.campaigns.get("river"), ledger.campaigns.moves("river"), ledger.effects.all("river")) == before
    ledger.close()


@pytest.mark.parametrize("command", ["finish", "export", "resume"])
def test_missing_credentials_of_a_launched_campaign_are_refused(refused, launched, command):
    assert "labelwright serve" in refused(command, "river", connection={})


def test_missing_credentials_are_refused_at_launch(refused, campaign):
    without_key = {name: value for name, value in CONNECTION.items() if not name.endswith("KEY")}
    assert "LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__URL, __KEY" in refused("launch", campaign, connection=without_key)


def test_a_setting_that_cannot_be_read_is_refused(refused, launched):
    broken = {"LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__SECRET_FILE": "/nowhere/secret"}
    for command in (["launch", launched], ["export", "river"], ["sweep"]):
        assert "LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__SECRET_FILE" in refused(*command, connection=broken)


def test_an_unknown_connection_is_refused(refused, campaign, tmp_path):
    campaign.write_text(campaign.read_text() + "connection: agency\n")
    assert "connection 'agency' is not complete" in refused("launch", campaign)
    assert "connection 'agency' is not complete" in refused("run", campaign)
    assert "connection 'geti' is not complete" in refused("backup", "project", tmp_path / "saved")
    assert "connection 'geti' is not complete" in refused("restore", tmp_path)


def test_options_that_the_platform_does_not_know_are_refused(refused, campaign):
    campaign.write_text(campaign.read_text() + "options: {speed: 3}\n")
    assert "cannot run on campaign_api: options.speed: Extra inputs are not permitted" in refused("launch", campaign)


def test_a_block_name_without_its_type_is_refused(refused):
    assert "give TYPE/NAME, such as slack-webhook/my-team" in refused("notify", "my-team")


def test_a_missing_deployment_file_is_refused(refused):
    assert "nothing.yaml: there is no such file" in refused("deploy", "--file", "nothing.yaml")


_PROGRAM = """
import contextlib, sys
from labelwright.cli.exit_codes import exit_code
from labelwright.cli.main import app
from labelwright.settings import forget_settings

for command in sys.argv[1:]:
    forget_settings()
    try:
        app(command.split(), standalone_mode=False)
    except Exception as error:
        print(command.split()[0], exit_code(error))
print("prefect" in sys.modules)
"""


def test_refusing_imports_no_prefect(launched, tmp_path):
    (tmp_path / "broken.yaml").write_text("title: river\nlabelers: x\n")
    missing_folder = launched.read_text().replace("river", "lake").replace("photos", "nowhere")
    (tmp_path / "missing_folder.yaml").write_text(missing_folder)
    (tmp_path / "changed.yaml").write_text(launched.read_text().replace("boat", "buoy"))
    (tmp_path / "unknown_connection.yaml").write_text(launched.read_text() + "connection: agency\n")
    files = ["broken.yaml", "missing_folder.yaml", "changed.yaml", "unknown_connection.yaml"]
    commands = [*(f"{command} {file}" for command in ("launch", "run") for file in files), "backup project saved"]
    environment = {**os.environ, "LABELWRIGHT_HOME": str(tmp_path / "home"), **CONNECTION}
    process = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *commands],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        check=True,
    )
    assert process.stdout.splitlines() == [*(f"{command.split()[0]} 2" for command in commands), "False"]
