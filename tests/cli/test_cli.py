"""The command line: sentences, exit codes, and no traceback for a user's mistake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from labelwright.ledger import Ledger
from tests.network.fault_server import fault_server, refuse, response


@pytest.fixture
def labelwright(tmp_path):
    """Run the program with a home of its own, not on a terminal."""

    def run(*arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
        environment = {**kept, "LABELWRIGHT_HOME": str(tmp_path / "home"), **more}
        command = [sys.executable, "-m", "labelwright", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=120)

    return run


@pytest.fixture
def campaign(tmp_path) -> Path:
    (tmp_path / "photos").mkdir()
    for number in range(3):
        Image.new("RGB", (20, 10), (number, 0, 0)).save(tmp_path / "photos" / f"{number}.png")
    (tmp_path / "photos" / "text.png").write_text("no picture")
    path = tmp_path / "campaign.yaml"
    path.write_text("title: river\nimages: {folder: photos}\nlabels: [boat]\nlabeler: a@b.c\n")
    return path


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["plan", "nothing.yaml"], 2, "file not found"),
        (["plan"], 2, "Missing argument"),
        (["launch", "."], 2, "is a folder; give the campaign's YAML file"),
        (["run", "."], 2, "say what to label and who does it"),
        (["run", ".", "--labels", "a", "--labeler", "nobody"], 2, "is not an e-mail address"),
        (["run", "nowhere", "--labels", "a", "--labeler", "a@b.c"], 2, "file not found"),
        (["status", "nothing"], 1, "knows no campaign 'nothing'"),
        (["failed", "nothing"], 1, "knows no campaign 'nothing'"),
        (["failed", "nothing", "--resend", "--leave-out"], 2, "not both"),
        (["labeler-key", "nothing"], 1, "knows no campaign 'nothing'"),
        (["serve", "--host", "0.0.0.0"], 2, "does not listen on 0.0.0.0"),
        (["deploy"], 2, "labelwright up"),
        (["deploy", "--write", "."], 2, ". exists and is not overwritten"),
        (["blocks"], 2, "labelwright up"),
        (["notify", "slack-webhook/us"], 2, "labelwright up"),
        (["receive"], 2, "labelwright up"),
        (["frobnicate"], 2, "No such command"),
    ],
)
def test_a_mistake_is_reported_in_one_sentence(labelwright, arguments, code, message):
    process = labelwright(*arguments)
    assert (process.returncode, message in process.stderr) == (code, True), process.stderr
    assert "Traceback" not in process.stderr
    assert process.stdout == ""


def test_deploying_to_an_unreachable_server_is_refused(labelwright):
    for command in (["deploy"], ["blocks"], ["notify", "slack-webhook/us"]):
        process = labelwright(*command, PREFECT_API_URL="http://127.0.0.1:9/api")
        assert (process.returncode, "did not answer" in process.stderr) == (4, True), process.stderr


def test_a_plan_prints_everything_and_writes_nothing(labelwright, campaign, tmp_path):
    process = labelwright("plan", campaign)
    assert process.returncode == 0
    assert "3 images" in process.stdout
    assert "text.png" in process.stdout
    result = json.loads(labelwright("plan", campaign, "--json").stdout)
    assert (result["images"], result["batches"], len(result["rejects"])) == (3, 1, 1)
    assert result["export"] == [f"{tmp_path}/datasets/river_images", f"{tmp_path}/datasets/river_labels"]
    assert not (tmp_path / "home").exists()
    assert not (tmp_path / "datasets").exists()


def test_a_plan_for_azure_ml_names_workspace_and_datasets(labelwright, campaign):
    campaign.write_text(campaign.read_text() + "export: {store: azure_ml, workspace: team, engine: sdk_v1}\n")
    result = json.loads(labelwright("plan", campaign, "--json").stdout)
    assert result["export"] == [
        "Azure ML workspace 'team' by sdk_v1: river_images",
        "Azure ML workspace 'team' by sdk_v1: river_labels",
    ]


def test_a_plan_refuses_what_the_platform_cannot_show(labelwright, campaign):
    labels = "[{name: boat, translations: {nl: boot}}]"
    campaign.write_text(campaign.read_text().replace("[boat]", labels) + "platform: cvat\n")
    connection = {"LABELWRIGHT_CONNECTIONS__CVAT__URL": "http://127.0.0.1:9", "LABELWRIGHT_CONNECTIONS__CVAT__KEY": "k"}
    for command in ("plan", "launch"):
        process = labelwright(command, campaign, **connection)
        assert process.returncode == {"plan": 1, "launch": 2}[command]
        assert "label 'boat': CVAT shows one name of a label. Remove its translations" in process.stderr
    campaign.write_text(campaign.read_text() + "on_unsupported: ignore\n")
    process = labelwright("plan", campaign, **connection)
    assert "refused" not in process.stderr
    assert "warning: ignored: label 'boat': CVAT shows one name of a label" in process.stdout


def test_a_strict_plan_with_rejects_exits_with_1(labelwright, campaign):
    assert labelwright("plan", campaign, "--strict").returncode == 1


def test_no_progress_is_printed_without_a_terminal(labelwright, campaign):
    assert labelwright("plan", campaign).stderr == ""


def test_a_bad_setting_is_reported_in_one_sentence(labelwright, campaign, tmp_path):
    (tmp_path / "home").mkdir(exist_ok=True)
    (tmp_path / "home" / "settings.toml").write_text("batch_size = 'many'\n")
    process = labelwright("plan", campaign)
    assert (process.returncode, "batch_size" in process.stderr) == (2, True), process.stderr


def test_status_is_json_for_scripts(labelwright, tmp_path):
    assert json.loads(labelwright("status", "--json").stdout) == []
    (tmp_path / "home").mkdir(exist_ok=True)
    ledger = Ledger(f"sqlite:///{tmp_path / 'home' / 'ledger.db'}")
    spec = {"platform": "campaign_api", "labeler": "a@b.c", "deadline": "2026-12-18T23:59:59Z"}
    ledger.campaigns.add("river", spec)
    ledger.campaigns.record_look("river", 0, 4)
    ledger.close()
    result = json.loads(labelwright("status", "--json").stdout)
    assert [(campaign["title"], campaign["state"]) for campaign in result] == [("river", "planned")]
    result = json.loads(labelwright("status", "river", "--json").stdout)
    assert result["effects"] == []
    assert result["labelers"] == [{"labeler": "a@b.c", "done": 0, "total": 4, "remaining_hours": None}]
    shown = labelwright("status", "river").stdout
    assert "river is planned" in shown
    assert "2026-12-18 23:59 UTC" in shown


def test_piped_output_shows_every_value_in_full(labelwright, campaign, tmp_path):
    title = "river-" + "with-a-long-name-" * 5 + "2026"
    campaign.write_text(campaign.read_text().replace("river", title).replace("a@b.c", f"{title}@example.com"))
    plan = labelwright("plan", campaign, COLUMNS="30").stdout
    assert f"image set '{title}'" in plan
    assert f"{tmp_path}/datasets/{title}_labels" in plan
    (tmp_path / "home").mkdir(exist_ok=True)
    ledger = Ledger(f"sqlite:///{tmp_path / 'home' / 'ledger.db'}")
    ledger.campaigns.add(title, {"platform": "campaign_api", "labeler": f"{title}@example.com"})
    ledger.close()
    lines = labelwright("status", COLUMNS="30").stdout.splitlines()
    assert lines[1].split()[0] == title
    assert f"{title}@example.com" in lines[1]
    assert "…" not in plan + "".join(lines)


def test_the_version_is_printed(labelwright):
    assert labelwright("--version").stdout.startswith("labelwright 0.")


def connection(url: str) -> dict[str, str]:
    name = "LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__"
    return {f"{name}URL": url, f"{name}KEY": "an-admins-key", f"{name}SECRET": "an-admins-word"}


def empty_responses(request, connection):
    connection.sendall(response(200, b"{}", "Content-Type: application/json"))


@pytest.fixture
def stopped_service(tmp_path) -> str:
    """The address of a labeling service of this home that has ended."""
    folder = tmp_path / "home" / "service"
    folder.mkdir(parents=True)
    with fault_server(empty_responses) as server:
        address = server.url
    (folder / "admin.json").write_text(json.dumps({"key": "key", "secret": "secret"}))
    (folder / "service.json").write_text(json.dumps({"url": address}))
    return address


def test_an_unreachable_prefect_api_stops_a_launch_early(labelwright, campaign):
    nowhere = "http://127.0.0.1:9/api"
    with fault_server(empty_responses) as server:
        process = labelwright("launch", campaign, PREFECT_API_URL=nowhere, **connection(server.url))
    assert process.returncode == 4
    assert f"Prefect's API at {nowhere} does not answer" in process.stderr
    assert "Traceback" not in process.stderr


def test_a_launch_says_at_once_that_the_service_does_not_run(labelwright, campaign, stopped_service):
    process = labelwright("launch", campaign)
    assert process.returncode == 4
    assert (
        f"the labeling service at {stopped_service} is not running. Start it with: labelwright serve" in process.stderr
    )
    assert process.stderr.count("\n") == 1


def test_a_launch_says_at_once_that_nothing_is_at_the_platforms_address(labelwright, campaign):
    process = labelwright("launch", campaign, **connection("http://127.0.0.1:9/api/v1"))
    assert process.returncode == 4
    assert "campaign_api did not answer when asked to check the connection" in process.stderr


def test_refused_credentials_are_reported_before_anything_is_started(labelwright, campaign):
    with fault_server(refuse(401)) as server:
        process = labelwright("launch", campaign, **connection(server.url))
        assert process.returncode == 1
        assert "Check the key and secret of connection campaign_api" in process.stderr
        plan = labelwright("plan", campaign, **connection(server.url))
        assert plan.returncode == 1
        assert "Launching would be refused: campaign_api answered 401" in plan.stderr


def test_a_busy_platform_does_not_stop_a_launch(labelwright, campaign):
    nowhere = "http://127.0.0.1:9/api"
    with fault_server(refuse(503)) as server:
        process = labelwright("launch", campaign, PREFECT_API_URL=nowhere, **connection(server.url))
    assert "answered 503" in process.stderr
    assert "Going on: each task tries again for" in process.stderr
    assert f"Prefect's API at {nowhere} does not answer" in process.stderr


def test_a_launch_after_its_deadline_says_so(labelwright, campaign):
    campaign.write_text(campaign.read_text() + "deadline: 2020-12-18\ntimezone: Europe/Amsterdam\n")
    process = labelwright("launch", campaign, **connection("http://127.0.0.1:9/api/v1"))
    assert "the deadline of 'river' has passed: 2020-12-18 23:59 Europe/Amsterdam (UTC+01:00)" in process.stderr
    plan = labelwright("plan", campaign, **connection("http://127.0.0.1:9/api/v1"))
    assert plan.returncode == 0
    assert "warning: the deadline has passed: 2020-12-18 23:59 Europe/Amsterdam (UTC+01:00)" in plan.stdout
    assert "warning: campaign_api did not answer" in plan.stdout


def test_a_plan_says_what_responded(labelwright, campaign):
    with fault_server(empty_responses) as server:
        process = labelwright("plan", campaign, **connection(server.url))
        assert (process.returncode, process.stderr) == (0, "")
        assert f"a campaign API at {server.url}" in process.stdout
        methods = {request.method for request in server.requests}
    assert methods == {"GET"}


def test_a_plan_without_a_service_names_the_commands(labelwright, campaign):
    process = labelwright("plan", campaign)
    assert process.returncode == 0
    assert "warning: no labeling service is configured" in process.stdout
    assert "`labelwright run` starts the embedded one itself" in process.stdout


def test_an_unknown_workspace_is_refused_before_anything_is_sent(labelwright, campaign):
    campaign.write_text(campaign.read_text() + "export: {store: azure_ml, workspace: team}\n")
    with fault_server(empty_responses) as server:
        process = labelwright("launch", campaign, **connection(server.url))
        assert process.returncode == 2
        assert "the Azure ML workspace 'team' is not configured" in process.stderr
        assert server.requests == []
        plan = labelwright("plan", campaign, **connection(server.url))
        assert plan.returncode == 1
        assert "Launching would be refused: the Azure ML workspace 'team' is not configured" in plan.stderr


@pytest.mark.parametrize("command", ["resume", "cancel", "reopen", "forget"])
def test_decisions_need_a_launched_campaign(labelwright, command):
    process = labelwright(command, "nothing")
    assert (process.returncode, "knows no campaign 'nothing'" in process.stderr) == (1, True)


def test_a_campaign_is_cancelled_and_its_record_deleted(labelwright, tmp_path):
    (tmp_path / "home").mkdir(exist_ok=True)
    ledger = Ledger(f"sqlite:///{tmp_path / 'home' / 'ledger.db'}")
    spec = {"platform": "campaign_api", "labeler": "a@b.c", "deadline": "2026-12-18T23:59:59Z"}
    ledger.campaigns.add("river", spec)
    ledger.campaigns.record_look("river", 0, 4)
    ledger.close()
    assert "nothing was created on the platform" in labelwright("cancel", "river").stdout
    assert "cancelled" in labelwright("status").stdout
    assert json.loads(labelwright("forget", "river", "--json").stdout)["done"]
    assert labelwright("status", "river").returncode == 1


def test_a_failing_ledger_is_reported_in_one_sentence(capsys):
    from sqlalchemy.exc import OperationalError

    from labelwright.cli.exit_codes import print_error

    assert print_error(OperationalError("INSERT", {}, Exception("database or disk is full"))) == 4
    printed = capsys.readouterr().err
    assert "database or disk is full" in printed
    assert "run the same again" in printed
    assert "INSERT" not in printed
