"""What is left out of a campaign's dataset is counted wherever people look, without a Prefect server."""

from __future__ import annotations

import csv
import json

import pytest

from labelwright.campaigns.spec import validate_spec
from labelwright.cli.output import campaigns as printing_campaigns
from labelwright.cli.output import datasets as printing_datasets
from labelwright.domain import ExcludedImage, ImageState, LabeledImage, ShapeNotice, Size, State
from labelwright.ledger import Ledger
from labelwright.platforms.protocol import CampaignOrder, LabelsPage, RemoteState
from labelwright.platforms.registry import PLATFORMS
from labelwright.settings import forget_settings, settings
from labelwright.tasks.context import CampaignContext, the_ledger
from labelwright.tasks.export import labels
from labelwright.tasks.sweep import overview as sweeping
from tests.platforms.shelf import ENTRY, STORES, Kept, Shelf, Store
from tests.tasks.without_prefect import call_functions

NOTICES = [
    ShapeNotice("polyline", "1.jpg", '=shape 3 of task 1, frame 0 (1.jpg), label "shore": polyline'),
    ShapeNotice("polyline", "2.jpg", "shape 4"),
    ShapeNotice("crosses itself", "2.jpg", "shape 5"),
]
CUT = ShapeNotice("cut to its image", "1.jpg", "shape 6", dropped=False)
SKIPPED = ExcludedImage("3.jpg", ImageState.SKIPPED, "skipped by ann", "3")
COUNTS = {
    "shapes": {"polyline": 2, "crosses itself": 1},
    "changed": {"cut to its image": 1},
}


@pytest.fixture
def ledger(tmp_path, monkeypatch) -> Ledger:
    """A campaign whose platform delivers two pages of labels, each with something that is left out."""
    monkeypatch.setitem(PLATFORMS, "shelf", ENTRY)
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__URL", f"memory:{tmp_path}")
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__KEY", "good")
    forget_settings()
    store = STORES.setdefault(f"memory:{tmp_path}", Store())
    document = {"title": "river", "platform": "shelf", "images": {"folder": "/x"}, "labels": ["a"], "labeler": "a@b.c"}
    spec = validate_spec(document, "test")
    ledger = the_ledger()
    ledger.campaigns.add("river", spec.model_dump(mode="json"))
    for state in (State.UPLOADING, State.CREATED, State.ACTIVE):
        ledger.campaigns.move("river", state)
    store.campaigns["c"] = Kept(CampaignOrder("river", spec.schema_of_labels(), "a@b.c"), RemoteState.ACTIVE)
    ledger.campaigns.record_remote_campaign("river", "c")

    def read_labels(self, campaign, cursor=None):
        if cursor is None:
            return LabelsPage((LabeledImage("1.jpg", Size(9, 9)),), "2", tuple(NOTICES[:2]))
        return LabelsPage((LabeledImage("2.jpg", Size(9, 9)),), None, (NOTICES[2], CUT), (SKIPPED,))

    monkeypatch.setattr(Shelf, "read_labels", read_labels)
    yield ledger
    forget_settings()


def read() -> None:
    """As `read_all_labels` does, whose tasks need a Prefect server."""
    for number, cursor in ((1, None), (2, "2")):
        labels.read_labels_page.fn("river", number, cursor)
    labels.record_left_out.fn("river")


def test_reading_labels_records_counts_and_writes_details(ledger):
    for _ in range(2):
        read()
        assert ledger.left_out.find("river").to_dict() == COUNTS
    details = CampaignContext("river").folder / "left-out.csv"
    rows = list(csv.DictReader(details.open(newline="", encoding="utf-8")))
    assert [(row["image"], row["what"], row["reason"]) for row in rows] == [
        ("1.jpg", "shape left out", "polyline"),
        ("2.jpg", "shape left out", "polyline"),
        ("2.jpg", "shape left out", "crosses itself"),
        ("1.jpg", "shape changed", "cut to its image"),
    ]
    assert rows[0]["place"] == "'" + NOTICES[0].detail, "no formula in a spreadsheet"


def test_every_reading_of_all_labels_counts(ledger, monkeypatch):
    call_functions(monkeypatch)
    assert labels.read_all_labels("river") == 2
    assert ledger.left_out.find("river").to_dict() == COUNTS


def test_all_pages_that_the_platform_tells_are_read_and_those_that_come_meanwhile(ledger, monkeypatch):
    asked = []

    def read_labels(self, campaign, cursor=None):
        asked.append(cursor)
        number = int(cursor or 1)
        following = tuple(map(str, range(number + 1, 7))) if number < 6 else ("7",) if number == 6 else ()
        image = LabeledImage(f"{number}.jpg", Size(9, 9))
        return LabelsPage((image,), following[0] if following else None, following=following)

    monkeypatch.setattr(Shelf, "read_labels", read_labels)
    call_functions(monkeypatch)
    assert labels.read_all_labels("river") == 7
    assert asked == [None, "2", "3", "4", "5", "6", "7"]
    spool = labels.spool_of(CampaignContext("river"))
    assert [image.name for image in spool.images()] == [f"{number}.jpg" for number in range(1, 8)]


def test_status_tells_the_counts_to_people_and_to_scripts(ledger, capsys):
    read()
    details = CampaignContext("river").folder / "left-out.csv"
    printing_campaigns.show_campaign(ledger, "river", as_json=False)
    shown = capsys.readouterr().out
    assert "3 shapes left out: 2 polyline, 1 crosses itself" in shown
    assert "1 shape changed: 1 cut to its image" in shown
    assert str(details) in shown
    printing_campaigns.show_campaign(ledger, "river", as_json=True)
    assert json.loads(capsys.readouterr().out)["left_out"] == COUNTS
    printing_campaigns.show_campaigns(ledger, as_json=True)
    assert json.loads(capsys.readouterr().out)[0]["left_out"] == COUNTS
    printing_campaigns.show_campaigns(ledger, as_json=False)
    assert "river: 3 shapes left out: 2 polyline, 1 crosses itself" in capsys.readouterr().out
    details.unlink()  # the labels were read by another worker
    printing_campaigns.show_campaign(ledger, "river", as_json=False)
    shown = capsys.readouterr().out
    assert "2 polyline" in shown
    assert "left-out.csv" not in shown


def test_a_campaign_without_anything_left_out_shows_nothing_of_it(ledger, capsys):
    printing_campaigns.show_campaigns(ledger, as_json=False)
    printing_campaigns.show_campaign(ledger, "river", as_json=False)
    printing_campaigns.show_left_out_of(ledger, ["river"], as_json=False)
    assert "shape" not in capsys.readouterr().out


def test_a_sweep_tells_the_counts_beside_the_states(ledger, capsys):
    read()
    printing_campaigns.show_left_out_of(ledger, {"river": "exported"}, as_json=False)
    assert "river: 3 shapes left out: 2 polyline, 1 crosses itself" in capsys.readouterr().out
    printing_campaigns.show_left_out_of(ledger, {"river": "exported"}, as_json=True)
    output = capsys.readouterr()
    assert (output.out, "2 polyline" in output.err) == ("", True)


def test_the_overview_in_prefect_has_a_column(ledger, monkeypatch):
    read()
    tables = []
    monkeypatch.setattr(sweeping, "update_table", lambda title, name, rows, description: tables.append(rows))
    ledger.image_states.record("river", {"skipped": [("3.jpg", "skipped by ann")]}, only=["skipped"])
    sweeping.publish_overview({})
    assert tables[0][0]["left out"] == "3 shapes"
    assert tables[0][0]["images not labeled"] == "1 skipped"


def test_a_dataset_is_shown_with_what_its_receipt_counts(capsys):
    dataset = dict.fromkeys(
        ("name", "version", "location", "campaign", "content_hash", "newest_version", "store", "host"), "x"
    )
    excluded = {"count": 3, "by_state": {"gone from the platform": 1, "skipped": 2}, "images": []}
    receipt = {"left_out": {"shapes": {"polyline": 2}, "changed": {}}, "excluded": excluded}
    printing_datasets.show_receipt(dataset | {"newest": True}, receipt, as_json=False)
    shown = " ".join(capsys.readouterr().out.split())
    assert "shapes left out 2 polyline" in shown
    assert "images in no dataset 1 gone from the platform, 2 skipped" in shown


def test_the_folder_of_the_details_is_the_campaigns(ledger):
    assert CampaignContext("river").folder == settings().campaign_folder("river")
