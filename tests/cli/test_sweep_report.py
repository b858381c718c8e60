"""What `labelwright sweep` prints and its exit code: every campaign, with its state or why it could not be checked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from labelwright.campaigns.spec import validate_spec
from labelwright.cli.output import sweeps
from labelwright.domain import State
from labelwright.ledger import Ledger, open_ledger
from labelwright.settings import forget_settings, settings

LAUNCHED = (State.UPLOADING, State.CREATED, State.ACTIVE)


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path))
    forget_settings()
    yield open_ledger(settings().ledger_address())
    forget_settings()


def add(ledger: Ledger, title: str, *states: State, why: str | None = None) -> None:
    document = {"title": title, "platform": "cvat", "images": {"folder": "/x"}, "labels": ["a"], "labeler": "a@b.c"}
    ledger.campaigns.add(title, validate_spec(document, "test").model_dump(mode="json"))
    for state in states:
        ledger.campaigns.move(title, state, why)


def printed(report: sweeps.Report, ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> tuple[str, dict, int]:
    """The text, the JSON and the exit code."""
    rows = sweeps.rows_of(report, ledger)
    sweeps.show_rows(rows, False)
    text = " ".join(capsys.readouterr().out.split())
    sweeps.show_rows(rows, True)
    return text, json.loads(capsys.readouterr().out), sweeps.exit_code_of(rows)


def test_without_campaigns_none_is_open(ledger, capsys):
    add(ledger, "old", *LAUNCHED, State.COMPLETED, State.FINISHED, State.EXPORTED)
    assert printed(sweeps.Report({}, {}, ()), ledger, capsys) == ("No campaign is open.", {}, 0)


def test_state_and_images_that_are_not_labeled_are_shown(ledger, capsys):
    add(ledger, "river", *LAUNCHED)
    failed = {"failed on the platform": [("2.jpg", "403")], "skipped": [("3.jpg", "by ann")]}
    ledger.image_states.record("river", failed, only=failed)
    text, as_json, code = printed(sweeps.Report({"river": "active"}, {}, ()), ledger, capsys)
    assert text == "river: active (1 failed on the platform, 1 skipped: labelwright failed 'river')"
    assert as_json["river"] == {
        "state": "active",
        "images": {"failed on the platform": 1, "skipped": 1},
        "reason": None,
        "failure": None,
        "needs_person": False,
        "unanswered_notes": 0,
    }
    assert code == 0


def test_platform_that_is_away_ends_with_4(ledger, capsys):
    add(ledger, "river", *LAUNCHED)
    add(ledger, "lake", *LAUNCHED)
    report = sweeps.Report({"lake": "active"}, {"river": "cvat did not answer when asked to list tasks"}, ())
    text, as_json, code = printed(report, ledger, capsys)
    assert "lake: active" in text
    assert "river: active cvat did not answer" in text
    assert as_json["river"]["failure"] == "cvat did not answer when asked to list tasks"
    assert code == 4


def test_refused_credential_ends_with_1(ledger, capsys):
    add(ledger, "river", *LAUNCHED)
    _, as_json, code = printed(sweeps.Report({}, {"river": "cvat answered 401"}, ["river"]), ledger, capsys)
    assert as_json["river"]["needs_person"] is True
    assert code == 1


def test_needs_attention_outranks_an_outage(ledger, capsys):
    add(ledger, "river", *LAUNCHED, State.NEEDS_ATTENTION, why="the gate")
    add(ledger, "lake", *LAUNCHED)
    text, as_json, code = printed(sweeps.Report({}, {"lake": "it is away"}, ()), ledger, capsys)
    assert "river: needs attention why: the gate When that is fixed: labelwright resume 'river'" in text
    assert (as_json["river"]["reason"], as_json["lake"]["failure"], code) == ("the gate", "it is away", 1)


def test_paused_campaign_is_listed_and_is_no_failure(ledger, capsys):
    add(ledger, "river", State.UPLOADING, State.PAUSED, why="its run 'launch river' was cancelled in Prefect")
    text, _, code = printed(sweeps.Report({}, {}, ()), ledger, capsys)
    assert text.startswith("river: paused why: its run 'launch river' was cancelled in Prefect")
    assert code == 0


def test_campaign_that_waits_for_its_next_run_says_until_when(ledger, capsys):
    add(ledger, "river", *LAUNCHED, State.COMPLETED)
    ledger.waits.put("campaign river", datetime.now(UTC) + timedelta(hours=1), "429 from the platform")
    text, _, code = printed(sweeps.Report({"river": "completed"}, {}, ()), ledger, capsys)
    assert "goes on after" in text
    assert "429 from the platform" in text
    assert code == 4
