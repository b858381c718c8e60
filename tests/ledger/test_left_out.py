"""Counts of what is left out of each campaign's dataset."""

from __future__ import annotations

from labelwright.domain import LeftOutCounts, ShapeNotice
from labelwright.ledger import Ledger

POLYLINE = ShapeNotice("polyline", "a.jpg", "shape 1 of a.jpg: polyline")
CROSSING = ShapeNotice("crosses itself", "b.jpg", "shape 2 of b.jpg")
CUT = ShapeNotice("cut to its image", "b.jpg", "shape 3 of b.jpg", dropped=False)


def test_counts_are_replaced_and_deleted_with_their_campaign(url) -> None:
    ledger = Ledger(url)
    for title in ("river", "lake"):
        ledger.campaigns.add(title, {"title": title})
    assert ledger.left_out.find("river") == LeftOutCounts()
    counts = LeftOutCounts.of([POLYLINE, CROSSING, POLYLINE, CUT])
    for _ in range(2):
        ledger.left_out.record("river", counts)
    assert ledger.left_out.find("river") == counts
    assert ledger.left_out.of_many(["lake", "river"]) == {"river": counts}
    ledger.left_out.record("river", LeftOutCounts.of([]))
    assert ledger.left_out.find("river") == LeftOutCounts()
    ledger.left_out.record("river", counts)
    ledger.campaigns.forget("river")
    ledger.campaigns.add("river", {"title": "river"})
    assert ledger.left_out.find("river") == LeftOutCounts()
    ledger.close()


def test_counts_are_listed_most_frequent_reason_first() -> None:
    counts = LeftOutCounts.of([CROSSING, POLYLINE, POLYLINE, CUT])
    assert counts.sentences() == [
        "3 shapes left out: 2 polyline, 1 crosses itself",
        "1 shape changed: 1 cut to its image",
    ]
    assert counts.short() == "3 shapes"
    assert counts.to_dict() == {
        "shapes": {"polyline": 2, "crosses itself": 1},
        "changed": {"cut to its image": 1},
    }
    assert (LeftOutCounts().short(), LeftOutCounts().sentences()) == ("", [])
