"""deployments/prefect.yaml on a real Prefect server: what is registered, refused, and skipped."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
import yaml
from prefect.client.orchestration import get_client
from prefect.states import Cancelled, Pending, Running

from labelwright import __version__
from labelwright.domain.errors import CannotRun
from labelwright.prefect_integration.deployments import deploy, prefect_file, write_prefect_file
from labelwright.prefect_integration.events import send_to_prefect
from labelwright.settings import forget_settings
from labelwright.tasks.sweep.dead_runs import free_dead_runs
from tests.cli.schemas import output_in_schema

from .conftest import make_photos, make_spec
from .prefect_api import ask, get, post, runs_of

pytestmark = pytest.mark.usefixtures("prefect_server", "home")

ROOT = Path(__file__).resolve().parent.parent.parent
IN_THE_FILE = yaml.safe_load((ROOT / "deployments" / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]


def deployment(name: str) -> dict[str, Any]:
    return get(f"/deployments/name/{name}/{name}")


def start(name: str, parameters: dict[str, Any]) -> requests.Response:
    """As the UI does it: parameters as JSON."""
    return ask("POST", f"/deployments/{deployment(name)['id']}/create_flow_run", {"parameters": parameters})


def triggers() -> dict[str, dict[str, Any]]:
    automations = post("/automations/filter", {})
    names = [automation["name"] for automation in automations]
    assert len(names) == len(set(names)), "a trigger is there twice"
    return {automation["name"]: automation for automation in automations}


def test_deploying_is_idempotent_with_one_deployment_per_flow(deployed):
    first_deployments = {name: deployment(name.split("/")[0]) for name in deployed}
    assert {name.split("/")[1] for name in first_deployments} == {item["name"] for item in IN_THE_FILE}
    assert {"launch-campaign", "sweep-campaigns", "finish-campaign", "export-campaign", "run-campaign"} <= {
        name.split("/")[0] for name in first_deployments
    }
    for item in first_deployments.values():
        assert item["version"] == __version__
        assert item["work_pool_name"] == "labelwright"
        assert "labelwright" in item["tags"]
        assert item["description"].endswith(".")
        assert item["enforce_parameter_schema"]
        assert not item["pull_steps"]
    limits = {
        item["name"]: (item["global_concurrency_limit"] or {}).get("limit") for item in first_deployments.values()
    }
    assert limits["sweep-campaigns"] == 4
    assert deployment("sweep-campaigns")["concurrency_options"]["grace_period_seconds"] == 60
    assert limits["launch-campaign"] == limits["finish-campaign"] == 4
    assert get("/work_pools/labelwright/queues/launch-campaign")["concurrency_limit"] == 4
    assert get("/work_pools/labelwright/queues/default")["concurrency_limit"] is None
    assert first_deployments["sweep-campaigns/sweep-campaigns"]["parameters"] == {"go_on": "by runs"}
    before = triggers()
    assert deploy() == deployed
    assert {name: deployment(name.split("/")[0])["id"] for name in deployed} == {
        n: d["id"] for n, d in first_deployments.items()
    }
    assert before.keys() == triggers().keys()


def complete(title: str) -> None:
    """As a sweep tells it, and again, as after a crash."""
    event = {
        "id": str(uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "event": "labelwright.campaign.completed",
        "resource": {
            "prefect.resource.id": f"labelwright.campaign.{title.encode().hex()}",
            "prefect.resource.name": title,
        },
        "payload": {"title": title},
    }
    send_to_prefect([event])
    send_to_prefect([event])


def finishing(title: str) -> list[dict[str, Any]]:
    """The parameters of the finishing runs of a campaign."""
    return [parameters for parameters in parameters_of("finish-campaign") if parameters["title"] == title]


def parameters_of(name: str) -> list[dict[str, Any]]:
    """Of every run of a deployment."""
    return [run["parameters"] for run in runs_of(name)]


def wait_for(condition: Callable[[], bool], description: str) -> None:
    deadline = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < deadline, description
        time.sleep(0.2)


def test_where_the_sweep_finishes_the_event_starts_nothing(deployed):
    """Nobody can see that nothing comes: a run of another trigger of the same server comes after it."""
    complete("left to the sweep")
    before = len(parameters_of("launch-from-drop"))
    sign = {
        "id": str(uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "event": "labelwright.drop.arrived",
        "resource": {"prefect.resource.id": "labelwright.drop.x"},
        "payload": {"blob": "x/campaign.yaml", "etag": "1"},
    }
    send_to_prefect([sign])
    wait_for(lambda: len(parameters_of("launch-from-drop")) > before, "the other trigger")
    assert finishing("left to the sweep") == []


def test_the_schedule_makes_runs(deployed):
    """The server itself makes them, which it does not with every release of what it is built on."""

    def has_scheduled_run() -> bool:
        return any(run["auto_scheduled"] for run in runs_of("sweep-campaigns"))

    wait_for(has_scheduled_run, "a run by schedule")


def prefects_own_command() -> None:
    """As documented for a clone; it registers the same as `labelwright deploy`."""
    command = ["--no-prompt", "deploy", "--all", "--prefect-file", str(prefect_file())]
    subprocess.run([sys.executable, "-m", "prefect", *command], check=True, capture_output=True, timeout=300)


def test_the_settings_say_how_often_to_sweep_and_who_finishes(deployed, home, monkeypatch):
    try:
        schedules = deployment("sweep-campaigns")["schedules"]
        assert [(item["schedule"]["interval"], item["active"]) for item in schedules] == [(900, True)]
        assert not triggers()["finish what is completed"]["enabled"]
        monkeypatch.setenv("LABELWRIGHT_SWEEP_EVERY", "120")
        monkeypatch.setenv("LABELWRIGHT_FINISH_BY", "event")
        forget_settings()
        prefects_own_command()
        assert [item["schedule"]["interval"] for item in deployment("sweep-campaigns")["schedules"]] == [120]
        automation = triggers()["finish what is completed"]
        assert automation["enabled"]
        assert automation["trigger"]["expect"] == ["labelwright.campaign.completed"]
        assert automation["actions"][0]["deployment_id"] == deployment("finish-campaign")["id"]
        for title in ("2026", 'Ü "x" {{ y }}'):
            complete(title)
            wait_for(lambda: finishing(title) != [], f"the finishing run of {title}")  # noqa: B023
        for title in ("2026", 'Ü "x" {{ y }}'):
            assert finishing(title) == [{"title": title, "export": True}]
    finally:
        monkeypatch.undo()
        forget_settings()
        deploy()


def test_sweeps_give_the_places_of_dead_ones_to_the_next(deployed, monkeypatch):
    """A few may start at once; which of them looks, its lease in the ledger decides."""
    monkeypatch.setenv("LABELWRIGHT_DEAD_RUN_MINUTES", "0.001")
    forget_settings()
    *dead, late = (start("sweep-campaigns", {}).json()["id"] for _ in range(5))
    with get_client(sync_client=True) as client:
        for run in dead:
            for state in (Pending(), Running()):
                assert client.set_flow_run_state(run, state).status.value == "ACCEPT"
        client.set_flow_run_state(late, Pending())
        assert client.read_flow_run(late).state.type.value == "CANCELLED"
        time.sleep(0.1)
        assert set(dead) <= set(free_dead_runs.fn())
        following = start("sweep-campaigns", {}).json()["id"]
        assert client.set_flow_run_state(following, Pending()).status.value == "ACCEPT"
        client.set_flow_run_state(following, Cancelled(), force=True)


def spec_with(tmp_path: Path, **changes: object) -> dict[str, Any]:
    make_photos(tmp_path / "photos", 2)
    document = make_spec("form", tmp_path / "photos", tmp_path / "datasets").model_dump(mode="json")
    return {name: value for name, value in (document | changes).items() if value is not ...}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"platform": "campain_api"}, "'campain_api' is not one of ['campaign_api'"),
        ({"labeler": "nobody"}, "field 'campaign.labeler'"),
        ({"labels": ...}, "'labels' is a required property"),
        ({"tilte": "x"}, "'tilte' was unexpected"),
        (
            {"labels": [{"name": "boat", "geometry": "circle"}]},
            "'circle' is not one of ['box', 'polygon', 'image', 'any']",
        ),
        ({"labels": []}, "campaign.labels"),
    ],
)
def test_what_the_form_cannot_take_is_refused_before_a_run_is_made(deployed, tmp_path, changes, message):
    before = len(parameters_of("launch-campaign"))
    response = start("launch-campaign", {"campaign": spec_with(tmp_path, **changes)})
    assert response.status_code == 409
    assert message in response.json()["detail"]
    assert len(parameters_of("launch-campaign")) == before


def test_the_form_has_titles_descriptions_choices_groups_and_an_order(deployed):
    schema = deployment("launch-campaign")["parameter_openapi_schema"]
    groups = schema["definitions"]
    campaign = groups["CampaignSpec"]["properties"]
    order = sorted(campaign, key=lambda name: campaign[name]["position"])
    assert order[:6] == ["title", "platform", "connection", "images", "labels", "labeler"]
    for name in ("CampaignSpec", "ImagesFrom", "LabelSpec", "AttributeSpec", "ExportTo"):
        fields = groups[name]["properties"].values()
        assert all("title" in item or "$ref" in item for item in fields), name
        assert sorted(item["position"] for item in fields) == list(range(len(fields))), name
    assert groups["Geometry"]["enum"] == ["box", "polygon", "image", "any"]
    assert campaign["images"]["$ref"].endswith("ImagesFrom")
    assert all(campaign[name].get("description") for name in ("title", "platform", "connection", "labeler", "deadline"))


def test_a_file_of_ones_own_is_written_once_and_can_be_deployed(tmp_path):
    prefect_yaml = tmp_path / "prefect.yaml"
    write_prefect_file(prefect_yaml)
    prefect_yaml.write_text(
        prefect_yaml.read_text().replace("tags: [labelwright, sweep]", "tags: [labelwright, sweep, ours]")
    )
    with pytest.raises(CannotRun, match="not overwritten"):
        write_prefect_file(prefect_yaml)
    deploy(prefect_yaml)
    assert "ours" in deployment("sweep-campaigns")["tags"]


def test_a_file_that_prefect_skips_is_told(tmp_path):
    prefect_yaml = tmp_path / "prefect.yaml"
    write_prefect_file(prefect_yaml)
    prefect_yaml.write_text(prefect_yaml.read_text().replace("interval: 900", "interval: often"))
    with pytest.raises(CannotRun, match="schedules"):
        deploy(prefect_yaml)


def test_without_a_server_deploying_says_how_to_get_one(monkeypatch, tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT")}
    environment |= {"LABELWRIGHT_HOME": str(tmp_path), "PREFECT_HOME": str(tmp_path / "prefect")}
    command = [sys.executable, "-m", "labelwright", "deploy"]
    completed = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=180)
    assert completed.returncode == 2
    assert "labelwright up" in completed.stderr


def test_prefects_own_command_deploys_from_a_clone(prefect_server):
    command = [sys.executable, "-m", "prefect", "--no-prompt"]
    subprocess.run([*command, "work-pool", "create", "labelwright", "--type", "process", "--overwrite"], check=True)
    command += ["deploy", "--all", "--prefect-file", "deployments/prefect.yaml"]
    wide = {**os.environ, "COLUMNS": "200"}  # else longer names are broken into two lines
    completed = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120, env=wide)
    assert completed.returncode == 0, completed.stdout + completed.stderr
    output = " ".join(completed.stdout.replace("│", " ").split())  # it draws boxes, and breaks lines in them
    assert output.count("successfully created") == len(IN_THE_FILE)


@pytest.mark.slow
def test_an_installed_wheel_deploys_and_its_worker_runs_what_it_deployed(tmp_path, service):
    """No clone anywhere near: the wheel's own files, another working directory."""
    source, site = tmp_path / "source", tmp_path / "site"
    ignored = shutil.ignore_patterns(".venv", ".git", "build", "node_modules", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, source, ignore=ignored)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target"]
    subprocess.run([*pip, str(site), str(source)], check=True, timeout=300)
    shutil.rmtree(source)
    working_folder = tmp_path / "elsewhere"
    working_folder.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(site)}

    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", *arguments]
        output = subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=working_folder, timeout=180
        )
        assert output.returncode == 0, output.stdout + output.stderr
        return output.stdout

    print_paths = (
        "import labelwright.prefect_integration.deployments as d, labelwright;"
        "print(labelwright.__file__, d.prefect_file())"
    )
    completed = subprocess.run(
        [sys.executable, "-c", print_paths], capture_output=True, text=True, env=environment, cwd=working_folder
    )
    assert completed.stdout.count(str(site)) == 2, completed.stdout + completed.stderr
    assert "launch-campaign/launch-campaign" in output_in_schema("deploy", run("labelwright", "deploy", "--json"))
    run_id = start("launch-campaign", {"campaign": spec_with(tmp_path)}).json()["id"]
    run("prefect", "worker", "start", "--pool", "labelwright", "--type", "process", "--run-once")
    assert get(f"/flow_runs/{run_id}")["state_name"] == "Completed"
