"""`labelwright notes` lists what labelers wrote, and answers. The platform is a shelf that keeps notes."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from labelwright.ledger import open_ledger
from labelwright.platforms import NotFound, PlatformUnavailable
from labelwright.platforms.protocol import KeepsNotes, LabelerNote
from labelwright.prefect_integration.connections import CONNECTIONS
from labelwright.settings import settings
from tests.tasks.export.test_delivering import home, make_campaign  # noqa: F401 - a fixture

from .test_deliver_and_reopen import run

WRITTEN = "2026-11-30T08:00:00.000000Z"


class Noted(KeepsNotes):
    """Two notes of one campaign."""

    name = "shelf"

    def __init__(self) -> None:
        self.notes = {
            "1": LabelerNote("1", "a [b].jpg", "Is this a buoy?", "x@y.z", WRITTEN, "Plastic"),
            "2": LabelerNote("2", "c.jpg", "Upside\ndown", "x@y.z", WRITTEN, answer="Turn it."),
        }

    def list_notes(self, campaign: str) -> Iterator[LabelerNote]:
        yield from self.notes.values()

    def answer_note(self, campaign: str, note: str, text: str) -> None:
        if note not in self.notes:
            raise NotFound("shelf", f"answer note {note}", status=404)
        self.notes[note] = LabelerNote("1", "a [b].jpg", "Is this a buoy?", "x@y.z", WRITTEN, "Plastic", text)


@pytest.fixture
def noted(home, monkeypatch) -> Noted:  # noqa: F811
    make_campaign(home)
    platform = Noted()
    monkeypatch.setattr(type(CONNECTIONS), "platform_for", lambda *_: platform)
    return platform


def test_notes_are_listed_with_their_answers(noted, monkeypatch, capsys):
    assert run(monkeypatch, "notes", "river") == 0
    assert capsys.readouterr().out.splitlines() == [
        "1  a [b].jpg, Plastic, x@y.z, 2026-11-30 08:00 UTC",
        "    Is this a buoy?",
        "2  c.jpg, x@y.z, 2026-11-30 08:00 UTC",
        "    Upside",
        "    down",
        "  > Turn it.",
        "to answer: labelwright notes 'river' --answer NOTE --text TEXT",
    ]
    assert run(monkeypatch, "notes", "river", "--json") == 0
    assert [note["id"] for note in json.loads(capsys.readouterr().out)] == ["1", "2"]


def test_listing_and_answering_renew_the_count_of_notes_in_the_ledger(noted, home, monkeypatch, capsys):  # noqa: F811
    def count() -> int:
        ledger = open_ledger(settings().ledger_address())
        try:
            return ledger.campaigns.get("river").unanswered_notes
        finally:
            ledger.close()

    assert run(monkeypatch, "notes", "river") == 0
    assert count() == 1
    assert run(monkeypatch, "status") == 0
    assert "1 note without an answer" in " ".join(capsys.readouterr().out.split())
    assert run(monkeypatch, "status", "river") == 0
    assert "1 note of a labeler has no answer: labelwright notes 'river'" in " ".join(capsys.readouterr().out.split())
    assert run(monkeypatch, "notes", "river", "--answer", "1", "--text", "Yes.") == 0
    assert count() == 0
    assert run(monkeypatch, "status", "--json") == 0
    assert [row["unanswered_notes"] for row in json.loads(capsys.readouterr().out.split("\n", 1)[1])] == [0]


def test_an_answer_that_is_sent_is_one_though_the_platform_goes_away_after_it(noted, monkeypatch, capsys):
    def away(campaign: str) -> Iterator[LabelerNote]:
        raise PlatformUnavailable("shelf", "list the notes", message="away")

    monkeypatch.setattr(noted, "list_notes", away)
    assert run(monkeypatch, "notes", "river", "--answer", "1", "--text", "Yes.") == 0
    assert "note 1 of 'river' is answered" in capsys.readouterr().out


def test_a_note_is_answered(noted, monkeypatch, capsys):
    assert run(monkeypatch, "notes", "river", "--answer", "1", "--text", "Yes.") == 0
    assert "note 1 of 'river' is answered" in capsys.readouterr().out
    assert noted.notes["1"].answer == "Yes."


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--answer", "9", "--text", "Yes."], "'river' has no note 9"),
        (["--answer", "1"], "an answer has a note and a text"),
        (["--text", "Yes."], "an answer has a note and a text"),
        (["--answer", "1", "--text", " "], "the answer is blank"),
    ],
)
def test_a_wrong_answer_is_refused_in_a_sentence(noted, monkeypatch, capsys, arguments, message):
    assert run(monkeypatch, "notes", "river", *arguments) != 0
    assert message in capsys.readouterr().err
    assert noted.notes["1"].answer is None


def test_a_platform_without_notes_says_so(home, monkeypatch, capsys):  # noqa: F811
    make_campaign(home)
    assert run(monkeypatch, "notes", "river") != 0
    assert "labelers write no notes on shelf" in capsys.readouterr().err
