"""What commands print with --json is what their JSON Schemas say, with no field beside those of the schema."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer.main

from labelwright.campaigns.labeler_keys import LabelerKeys
from labelwright.cli import main as entry
from labelwright.cli.output.json_schemas import SCHEMAS, schema_of
from labelwright.doctor import report
from labelwright.doctor.findings import Finding, Level
from labelwright.domain import Annotation, Box, State
from labelwright.security.private_files import private_folder
from labelwright.service import ServiceConfig
from labelwright.service.run import serving
from labelwright.settings import forget_settings, settings
from labelwright.tasks.attention import ask_for_attention
from labelwright.tasks.context import the_ledger
from tests.cli.schemas import closed, output_in_schema
from tests.flows import partner
from tests.flows.conftest import make_photos
from tests.tasks.export.test_delivering import home, label_sixty, make_campaign  # noqa: F401 - a fixture
from tests.tasks.without_prefect import run_as_functions

ROOT_COMMAND = typer.main.get_command(entry.app)
COMMANDS = {
    **{name: command for name, command in ROOT_COMMAND.commands.items() if name != "datasets"},
    **{f"datasets {name}": command for name, command in ROOT_COMMAND.commands["datasets"].commands.items()},
}

Run = Callable[..., Any]


@pytest.fixture
def run(monkeypatch, capsys) -> Run:
    """Runs a command with --json, compares its output with its schema and returns it."""

    def run(command: str, *arguments: str, code: int = 0) -> Any:
        monkeypatch.setattr(sys, "argv", ["labelwright", *command.split(), *arguments, "--json"])
        with pytest.raises(SystemExit) as ended:
            entry.main()
        printed = capsys.readouterr()
        assert int(ended.value.code or 0) == code, printed.err
        return output_in_schema(command, printed.out)

    return run


def test_every_command_with_json_has_a_schema_and_no_other():
    with_json = {
        name for name, command in COMMANDS.items() if any("--json" in parameter.opts for parameter in command.params)
    }
    assert with_json == set(SCHEMAS)


def test_every_command_that_reports_something_has_json():
    without = {
        name
        for name, command in COMMANDS.items()
        if not any("--json" in parameter.opts for parameter in command.params)
    }
    assert without == {"serve", "receive", "schema"}  # two run until they are stopped; one prints JSON always


@pytest.mark.parametrize("command", SCHEMAS)
def test_every_schema_is_one_and_refuses_something_else(command):
    schema = schema_of(command)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["title"] == f"labelwright {command} --json"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(3, schema)


def test_a_field_without_a_schema_is_noticed():
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"done": "it", "more": 1}, closed(schema_of("pause")))


def test_campaign_commands_print_what_their_schemas_say(home, run, monkeypatch):  # noqa: F811
    run_as_functions(monkeypatch)
    assert run("status") == []
    assert run("prepare-ledger")["done"]
    label_sixty(make_campaign(home))
    delivered = run("deliver", "river", "--accept-partial")
    assert len(delivered["datasets"]) == 2
    assert run("status")[0]["image_states"]
    assert run("status", "river")["image_states"]["skipped"]["count"] == 3
    assert run("sweep", "--no-finish").keys() == {"river"}
    assert run("failed", "river")["failed"] == []
    the_ledger().campaigns.move("river", State.COMPLETED)
    assert run("pause", "river")["done"]
    assert run("forget", "river", "--force")["done"]


def test_a_campaign_that_needs_a_person_prints_what_the_schemas_say(home, run, monkeypatch):  # noqa: F811
    run_as_functions(monkeypatch)
    make_campaign(home)
    ask_for_attention.fn("river", "somebody has to look", "LW1401")
    assert run("status", "river")["reason"].endswith(" [LW1401]")
    assert run("sweep", "--no-finish", code=1)["river"]["needs_person"]
    assert run("resume", "river")["state"] == "active"
    assert run("cancel", "river")["done"]
    assert run("status", "river")["state"] == "cancelled"


def test_dataset_commands_print_what_their_schemas_say(home, tmp_path, run, monkeypatch):  # noqa: F811
    run_as_functions(monkeypatch)
    kept = make_campaign(home)
    label_sixty(kept)
    (version,) = {dataset["version"] for dataset in run("deliver", "river", "--accept-partial")["datasets"]}
    kept.labels[next(iter(kept.images))] = (Annotation("boat", Box(2, 3, 12, 13)),)
    newest = run("deliver", "river", "--accept-partial")["datasets"][-1]["version"]
    assert newest != version
    listed = run("datasets list")
    assert {dataset["name"] for dataset in listed} == {"river_images", "river_labels"}
    assert run("datasets show", "river_labels")["receipt"]
    verified = run("datasets verify", "river_labels", code=1)  # its images are nowhere
    assert "000.jpg is gone" in verified[0]["wrong"][0]
    assert run("datasets statistics", "river_labels")["images"] > 0
    assert run("datasets lineage", f"{3:064x}"[-64:])["found"][0]["name"] == "003.jpg"
    assert run("datasets lineage", f"river_labels:{newest}", "--object", "1")["object"]
    assert run("datasets diff", "river_labels")["differs"]
    (folder,) = {dataset["location"] for dataset in listed if dataset["name"] == "river_labels" and dataset["newest"]}
    file = min(Path(folder).rglob("*.csv"))
    assert run("datasets spreadsheet", str(file), "--output", str(tmp_path / "copy.csv"))["rows"] > 0


@pytest.fixture
def embedded_service(tmp_path, monkeypatch) -> Iterator[str]:
    """The labeling service in a thread, with a home folder of its own. Its address for the campaign API."""
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path / "home"))
    with serving(ServiceConfig(data_dir=private_folder(tmp_path / "home") / "service")) as url:
        monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__URL", f"{url}/api/v1")
        forget_settings()
        yield f"{url}/api/v1"
    forget_settings()


def test_a_launch_prints_what_its_schemas_say(tmp_path, run, monkeypatch, embedded_service):
    run_as_functions(monkeypatch)
    monkeypatch.chdir(tmp_path)
    make_photos(tmp_path / "photos", 3)
    text = "title: lake\nimages: {folder: photos}\nlabeler: partner@example.com\n"
    text += "labels: [{name: boat, geometry: any}, buoy]\n"
    (tmp_path / "lake.yaml").write_text(text)
    assert run("plan", "lake.yaml")["images"] == 3
    campaign = run("launch", "lake.yaml")["remote_id"]
    key = run("labeler-key", "lake")
    assert run("labeler-key", "lake", "--rotate")["key"] != key["key"]
    assert run("notes", "lake") == []
    (tmp_path / "lake.yaml").write_text(f"{text}instructions: Label the boats.\n")
    assert run("change", "lake", "lake.yaml")["done"]
    assert run("forget", "lake", "--force")["done"]
    assert run("adopt", "lake", "--file", "lake.yaml")["done"]
    access = LabelerKeys(settings().home).find("campaign_api", "partner@example.com")
    partner.label(embedded_service, campaign, access)
    assert run("sweep", "--no-finish")["lake"]["state"] == "completed"
    assert run("finish", "lake")["state"] == "finished"
    assert len(run("export", "lake")["datasets"]) == 2
    assert run("reopen", "lake")["done"]


def test_the_doctor_prints_what_its_schema_says(home, run, monkeypatch):  # noqa: F811
    well = Finding("ledger", Level.OK, "it can be used")
    unset = Finding("prefect", Level.WARNING, "no server is configured", "labelwright up")
    monkeypatch.setattr(report, "examine", lambda *_: [well, unset])
    assert [finding["level"] for finding in run("doctor")["findings"]] == ["ok", "warning"]


def test_commands_for_files_and_errors_print_what_their_schemas_say(tmp_path, run, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answers = ("--title", "river", "--images", "photos", "--labels", "boat", "--labeler", "me@example.com")
    assert run("init", *answers) == {"file": "campaign.yaml"}
    assert run("validate", "campaign.yaml")[0]["valid"]
    (tmp_path / "bad.yaml").write_text("title: 3\nfoo: 1\n")
    assert not run("validate", "bad.yaml", code=2)[0]["valid"]
    assert run("explain", "LW2002")[0]["code"] == "LW2002"
    assert len(run("explain")) > 50
