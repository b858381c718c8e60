"""The commands of the README and the documents, carried out one after the other on the embedded service."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from labelwright.campaigns.labeler_keys import LabelerKeys
from labelwright.platforms.protocol import LabelerAccess
from labelwright.settings import settings
from labelwright.tasks.context import the_ledger
from tests.cli.test_deliver_and_reopen import run as run_command
from tests.cli.test_json_output import embedded_service  # noqa: F401 - a fixture
from tests.docs.test_commands import COMMANDS, ROOT, parse, without_brackets
from tests.flows import partner
from tests.flows.conftest import make_photos
from tests.tasks.without_prefect import run_as_functions

RUN_ELSEWHERE = {
    "--install-completion": "tests/cli/test_help.py",
    "--show-completion": "tests/cli/test_help.py",
    "--version": "tests/cli/test_cli.py",
    "backup": "tests/flows/test_project_backups.py",
    "blocks": "tests/flows/test_notifying.py",
    "demo": "tests/packaging/test_install.py",
    "deploy": "tests/flows/test_deployed.py",
    "notify": "tests/flows/test_notifying.py",
    "receive": "tests/flows/test_received.py",
    "restore": "tests/flows/test_project_backups.py",
    "run": "tests/flows/test_run_command.py",
    "serve": "docs/tutorial.md",  # every command of that page is run by tests/docs/test_tutorial.py
    "up": "tests/flows/test_up.py",
}
"""Commands that start servers, need one of Prefect or Geti, or change the user's shell; and which test runs them."""

FILLED_IN = {
    "/data/home/river.yaml": "river.yaml",
    "CAMPAIGN": "river",
    "COMMAND": "status",
    "DATASET": "river_labels",
    "FILE": "river.yaml",
    "TEXT": "look again",
    "TITLE": "river",
    "TITLE_labels": "river_labels",
    "first": "river",
    "first.yaml": "river.yaml",
    "first_labels": "river_labels",
    "river-2026": "river",
}
"""What the documents leave open, or call by the name of another example."""


def filled_in(arguments: list[str]) -> str:
    return shlex.join(FILLED_IN.get(argument, argument) for argument in without_brackets(arguments))


def documented() -> set[str]:
    """Every command of the pages that is complete, as it is run here."""
    return {
        filled_in(arguments)
        for arguments, is_whole in COMMANDS.values()
        if arguments[0] not in RUN_ELSEWHERE and (is_whole or parse(without_brackets(arguments)) is None)
    }


class Day:
    """Runs commands, and labels in between."""

    def __init__(self, api: str, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self._api, self._capsys, self._monkeypatch = api, capsys, monkeypatch
        self.ran = set[str]()

    def run(self, command: str, code: int = 0, **values: str) -> str:
        """Carries a command out as the documents have it. values: what stands for words of the command here."""
        self.ran.add(command)
        words = [word for part in shlex.split(command) for word in self._words(values.get(part, part))]
        ended = run_command(self._monkeypatch, *words)
        printed = self._capsys.readouterr()
        assert ended == code, (command, printed.out, printed.err)
        if code:
            assert "[LW" in printed.out + printed.err or "--check" in command, (command, printed.out, printed.err)
        assert "Traceback" not in printed.err, printed.err
        return str(printed.out + printed.err)

    @staticmethod
    def _words(word: str) -> list[str]:
        """As a shell does it."""
        return sorted(str(path) for path in Path().glob(word)) if "*" in word else [word]

    def headers(self) -> dict[str, str]:
        access = LabelerKeys(settings().home).find("campaign_api", "me@example.com")
        assert isinstance(access, LabelerAccess)
        return partner.headers(access)

    def images(self, campaign: str) -> list[dict[str, Any]]:
        return partner.images_of(self._api, campaign, self.headers())

    def label(self, campaign: str, count: int, left: int = 2) -> None:
        """Draws three boxes on each of the first images; `left` is the left edge of the first."""
        boxes = [
            {"label": "boat", "confidence": 1, "bounding_box": {"xmin": x, "ymin": 3, "xmax": x + 9, "ymax": 14}}
            for x in (left, 20, 40)
        ]
        body = [{"image_id": image["image_id"], "objects": boxes} for image in self.images(campaign)[:count]]
        requests.put(
            f"{self._api}/campaigns/{campaign}/objects", json=body, headers=self.headers(), timeout=60
        ).raise_for_status()

    def ask(self, campaign: str) -> str:
        """A labeler's question about the first image. Returns the note's number."""
        (image, *_) = self.images(campaign)
        url = f"{self._api}/labeling/campaigns/{campaign}/images/{image['image_id']}/notes"
        response = requests.post(url, json={"text": "Is this a boat?"}, headers=self.headers(), timeout=60)
        response.raise_for_status()
        return str(response.json()["note_id"])


@pytest.fixture
def day(tmp_path, monkeypatch, capsys, embedded_service) -> Day:  # noqa: F811
    run_as_functions(monkeypatch)
    monkeypatch.chdir(tmp_path)
    make_photos(tmp_path / "photos", 8)
    return Day(embedded_service, capsys, monkeypatch)


def test_every_command_of_the_documents_does_what_it_is_written_for(day):
    """One campaign from the file to its end, and a second one to compare with."""
    run = day.run
    begin(run)
    campaign = launch(day)
    deliver(day, campaign)
    read_datasets(day)
    go_back(day, campaign)
    missing = documented() - day.ran
    assert not missing, missing


@pytest.mark.parametrize("command", sorted(RUN_ELSEWHERE))
def test_the_other_commands_are_run_by_the_test_that_is_named(command):
    place = RUN_ELSEWHERE[command]
    written = f"labelwright {command}" if place.endswith(".md") else f'"{command}"'
    assert written in (ROOT / place).read_text()


def begin(run: Callable[..., str]) -> None:
    run("init", code=2)  # without a terminal it cannot ask
    run("init river.yaml --title river --images photos --labels boat,buoy --labeler me@example.com")
    run("validate '*.yaml'")
    run("validate river.yaml")
    run("plan river.yaml")
    run("doctor")
    run("schema")
    run("schema status")
    run("schema datasets list")
    assert "LW2002" in run("explain LW2002")


def launch(day: Day) -> str:
    run = day.run
    run("launch river.yaml")
    assert "river" in run("status")
    run("status river")
    campaign = str(the_ledger().campaigns.get("river").remote_id)
    run("labeler-key river")
    run("labeler-key river --json")
    run("labeler-key river --rotate")
    number = day.ask(campaign)
    assert "Is this a boat?" in run("notes river")
    run("notes river --answer NOTE --text ...", NOTE=number)
    run("pause river", code=1)  # no run works on it
    run("resume river", code=1)  # nor was it paused
    run("change river river.yaml")
    return campaign


def deliver(day: Day, campaign: str) -> None:
    run = day.run
    day.label(campaign, 4)
    run("deliver river", code=3)  # 4 of 8 images have no labels
    run("deliver river --accept-partial")
    day.label(campaign, 4, left=4)
    run("deliver river --accept-partial")
    day.label(campaign, 6, left=6)
    run("deliver river --accept-partial")
    run("failed river", code=2)  # this platform refuses images when they are sent
    run("failed river --leave-out", code=2)
    run("failed river --resend", code=2)
    day.label(campaign, 8)
    run("sweep")
    run("export river")


def read_datasets(day: Day) -> None:
    run = day.run
    Path("lake.yaml").write_text(Path("river.yaml").read_text().replace("title: river", "title: lake"))
    run("launch lake.yaml")
    lake = str(the_ledger().campaigns.get("lake").remote_id)
    day.label(lake, 8, left=1)
    run("sweep")
    run("datasets list")
    run("datasets diff river_labels", code=0)
    run("datasets diff river_labels:1 river_labels:3 --tolerance 2")
    run("datasets diff river_labels lake_labels --check --pictures changes.png --json", code=1)
    assert Path("changes.png").stat().st_size > 1000
    run("datasets statistics river_labels")
    run("datasets statistics river_labels --page river.html")
    assert "nothing to draw" in run("datasets statistics river_labels --pictures look.png")
    assert "nothing to draw" in run("datasets diff river_labels:1 river_labels:1 --pictures none.png")
    assert not list(Path().glob("*o*.png"))
    assert Path("river.html").exists()
    run("datasets lineage river_labels --object 17")
    run("datasets verify")
    run("datasets verify river_labels")
    run("datasets verify --deep river_labels")
    shutil.copy(min(Path("datasets").rglob("river_labels.csv")), "river_labels.csv")
    run("datasets spreadsheet river_labels.csv")


def go_back(day: Day, campaign: str) -> None:
    """What a person takes back, up to a campaign that the ledger forgot and takes over again."""
    run = day.run
    Path("wrong.txt").write_text("photo-000.jpg\n")
    run("reopen river --images wrong.txt --reason 'the masts are missing'")
    run("reopen river --wrong", code=1)  # every shape is as it may be
    run("reopen river --wrong --reason 'look again'", code=1)
    day.label(campaign, 8)
    run("sweep")
    run("reopen river")
    run("forget river", code=2)  # it would lose the record
    run("cancel river")
    run("cancel river --delete", code=2)  # this platform cannot delete campaigns
    run("forget river")
    run("adopt river --file river.yaml")
    run("prepare-ledger")
