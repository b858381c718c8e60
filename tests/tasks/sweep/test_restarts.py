"""Restarts of interrupted launches, counted on in a ledger that an earlier version began."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from labelwright.campaigns.spec import validate_spec
from labelwright.domain import Work
from labelwright.ledger import EffectItem
from labelwright.settings import forget_settings
from labelwright.tasks.context import the_ledger
from labelwright.tasks.sweep.restarts import DueWork, due_work, record_start

VERSION_4 = Path(__file__).parents[2] / "ledger" / "schemas" / "version_4.sqlite.sql"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A version 4 ledger: the launch of 'lake' was started once while it uploaded, and its process was killed."""
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path))
    forget_settings()
    document = {"title": "lake", "platform": "cvat", "images": {"folder": "/x"}, "labels": ["a"], "labeler": "a@b.c"}
    spec = json.dumps(validate_spec(document, "test").model_dump(mode="json"))
    moment = "2026-11-01 08:00:00.000000"
    rows = sqlite3.connect(tmp_path / "ledger.db")
    with rows:
        rows.executescript(VERSION_4.read_text())
        columns = "title, state, spec, done, total, created_at"
        rows.execute(f"INSERT INTO campaigns ({columns}) VALUES ('lake', 'uploading', ?, 0, 0, ?)", (spec, moment))
        move = "INSERT INTO moves (campaign, was, became, at) VALUES ('lake', 'planned', 'uploading', ?)"
        rows.execute(move, (moment,))
        begun = "INSERT INTO effects VALUES ('lake', 'start launch', ?, ?, ?, 'here')"
        rows.execute(begun, ("planned-0-1", moment, moment))
        rows.execute(begun, ("uploading-1-1", moment, moment))
    rows.close()
    yield tmp_path
    forget_settings()


def test_attempts_of_an_earlier_version_are_counted(home):
    assert due_work() == [DueWork("lake", Work.LAUNCH, generation=1, attempt=2)]


def test_a_begun_attempt_waits_before_the_next_one(home):
    (due,) = due_work()
    record_start(due)
    assert due_work() == []
    begun = the_ledger().effects.attempts("lake", "start launch", 1)
    assert [effect.item for effect in begun] == [EffectItem(generation=1, attempt=number) for number in (1, 2)]
