"""`labelwright change`: what is safe is changed on the platform and in the ledger, the rest is refused whole."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labelwright.campaigns import changing
from labelwright.campaigns.changing import change
from labelwright.campaigns.spec import CampaignSpec, validate_spec
from labelwright.domain import State
from labelwright.domain.errors import CannotRun
from labelwright.ledger import Ledger, open_ledger
from labelwright.platforms import AccessDenied, PlatformRefused, PlatformUnavailable
from labelwright.platforms.label_support import FULL
from labelwright.platforms.protocol import CampaignOrder, ChangesCampaigns, RemoteState
from labelwright.platforms.registry import PLATFORMS
from labelwright.prefect_integration.connections import CONNECTIONS
from labelwright.settings import forget_settings, settings
from tests.platforms import shelf
from tests.platforms.shelf import ENTRY, STORES, Kept, Shelf, Store

TITLE = "river"
SHELF = Shelf


class Changing(Shelf, ChangesCampaigns):
    """A shelf whose campaigns can be changed."""

    def change_campaign(self, campaign: str, order: CampaignOrder) -> None:
        self._kept(campaign).order = order


@pytest.fixture
def store(tmp_path, monkeypatch) -> Store:
    monkeypatch.setitem(PLATFORMS, "shelf", ENTRY)
    monkeypatch.setattr(shelf, "Shelf", Changing)
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__URL", f"memory:{tmp_path}")
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__KEY", "good")
    forget_settings()
    yield STORES.setdefault(f"memory:{tmp_path}", Store())
    forget_settings()


@pytest.fixture
def ledger(store) -> Ledger:
    """A campaign with its labelers."""
    ledger = open_ledger(settings().ledger_address())
    ledger.campaigns.add(TITLE, spec().model_dump(mode="json"))
    for state in (State.UPLOADING, State.CREATED, State.ACTIVE):
        ledger.campaigns.move(TITLE, state)
    store.campaigns["c1"] = Kept(CampaignOrder(TITLE, spec().schema_of_labels(), "a@b.c"), RemoteState.ACTIVE)
    ledger.campaigns.record_remote_campaign(TITLE, "c1")
    return ledger


def spec(labels: tuple[str, ...] = ("boat",), **fields: Any) -> CampaignSpec:
    document = {"title": TITLE, "platform": "shelf", "images": {"folder": "/x"}, "labels": list(labels)}
    export = {"folder": "/datasets"}
    return validate_spec({**document, "labeler": "a@b.c", "export": export, **fields}, "test")


def outcomes(ledger: Ledger) -> list[str | None]:
    return [effect.outcome for effect in ledger.effects.of_step(TITLE, changing.STEP)]


def test_a_safe_change_reaches_platform_and_ledger_once(ledger, store):
    after = spec(("boat", "buoy"), instructions="Buoys too.", deadline="2030-01-01")
    changed = change(TITLE, after, CONNECTIONS)
    assert changed.texts == ("label 'buoy' added", "instructions changed", "deadline changed")
    assert store.campaigns["c1"].order.labels.names == ("boat", "buoy")
    assert ledger.campaigns.get(TITLE).spec == after.model_dump(mode="json")
    assert outcomes(ledger) == ["; ".join(changed.texts)]
    assert change(TITLE, after, CONNECTIONS).texts == ()
    assert len(outcomes(ledger)) == 1


def test_a_change_that_is_not_safe_changes_nothing(ledger, store):
    before, order = ledger.campaigns.get(TITLE), store.campaigns["c1"].order
    with pytest.raises(CannotRun, match=r"label 'boat' is not in the file \(renamed to 'ship'\?\)"):
        change(TITLE, spec(("ship",), instructions="new"), CONNECTIONS)
    assert (ledger.campaigns.get(TITLE), store.campaigns["c1"].order, outcomes(ledger)) == (before, order, [])


def test_a_lost_response_is_repeated_under_the_same_intent(ledger, store, monkeypatch):
    real = Changing.change_campaign

    def lost(self: Changing, campaign: str, order: CampaignOrder) -> None:
        real(self, campaign, order)
        raise PlatformUnavailable("shelf", "change the campaign", message="the connection broke")

    after = spec(("boat", "buoy"))
    with monkeypatch.context() as patch:
        patch.setattr(Changing, "change_campaign", lost)
        with pytest.raises(PlatformUnavailable):
            change(TITLE, after, CONNECTIONS)
    assert [label["name"] for label in ledger.campaigns.get(TITLE).spec["labels"]] == ["boat"]
    assert change(TITLE, after, CONNECTIONS).texts == ("label 'buoy' added",)
    assert outcomes(ledger) == ["label 'buoy' added"]


def test_a_refusal_of_the_platform_leaves_the_ledger_as_it_was(ledger, monkeypatch):
    def refuse(self: Changing, campaign: str, order: CampaignOrder) -> None:
        raise PlatformRefused("shelf", "change the campaign", message="too many labels")

    monkeypatch.setattr(Changing, "change_campaign", refuse)
    with pytest.raises(PlatformRefused):
        change(TITLE, spec(("boat", "buoy")), CONNECTIONS)
    assert ledger.campaigns.get(TITLE).spec == spec().model_dump(mode="json")


def test_a_refused_key_names_its_connection(ledger, monkeypatch):
    def refuse(self: Changing, campaign: str, order: CampaignOrder) -> None:
        raise AccessDenied("shelf", "change the campaign", status=401)

    monkeypatch.setattr(Changing, "change_campaign", refuse)
    with pytest.raises(AccessDenied, match="Check the key and secret of connection shelf"):
        change(TITLE, spec(("boat", "buoy")), CONNECTIONS)


def test_a_platform_that_cannot_be_changed_is_changed_by_hand(ledger, store, monkeypatch):
    monkeypatch.setattr(shelf, "Shelf", SHELF)
    after = spec(("boat", "buoy"))
    with pytest.raises(CannotRun, match=r"label 'buoy' added.*again with --ledger-only"):
        change(TITLE, after, CONNECTIONS)
    with pytest.raises(CannotRun, match="shelf does not have 'buoy'"):
        change(TITLE, after, CONNECTIONS, ledger_only=True)
    store.campaigns["c1"].offered = ["boat", "buoy"]
    assert change(TITLE, after, CONNECTIONS, ledger_only=True).texts == ("label 'buoy' added",)
    assert [label["name"] for label in ledger.campaigns.get(TITLE).spec["labels"]] == ["boat", "buoy"]


def test_a_field_of_the_ledger_alone_needs_no_platform(ledger, monkeypatch):
    monkeypatch.setattr(shelf, "Shelf", None)  # cannot be connected
    assert change(TITLE, spec(deadline="2030-01-01"), CONNECTIONS).texts == ("deadline changed",)


def test_what_needs_attention_is_resumed_afterwards(ledger):
    ledger.campaigns.move(TITLE, State.NEEDS_ATTENTION, "a polygon of a label that is drawn as boxes")
    after = spec(labels=({"name": "boat", "geometry": "any"},))  # type: ignore[arg-type]
    assert change(TITLE, after, CONNECTIONS).next_command == "labelwright resume 'river'"


def test_a_cancelled_campaign_and_another_title_are_refused(ledger, tmp_path: Path):
    with pytest.raises(CannotRun, match="the file describes 'river', not 'lake'"):
        change("lake", spec(), CONNECTIONS)
    ledger.campaigns.move(TITLE, State.CANCELLED)
    with pytest.raises(CannotRun, match="is cancelled"):
        change(TITLE, spec(instructions="new"), CONNECTIONS)


def test_what_nobody_would_see_is_not_changed(ledger, store, monkeypatch):
    blind = replace(ENTRY, labels=replace(FULL, colors=False, instructions=False), title="Blind")
    monkeypatch.setitem(PLATFORMS, "shelf", blind)
    after = spec(({"name": "boat", "color": "#00ff00"},), instructions="Buoys too.")
    with pytest.raises(CannotRun) as caught:
        change(TITLE, after, CONNECTIONS)
    assert "label 'boat': Blind chooses the colours of labels itself" in str(caught.value)
    assert "instructions: Blind has no place for them" in str(caught.value)
    assert ledger.campaigns.get(TITLE).spec == spec().model_dump(mode="json")
    ignoring = after.model_copy(update={"on_unsupported": "ignore"})
    assert change(TITLE, ignoring, CONNECTIONS).texts


def test_another_labeler_is_only_recorded_where_nobody_is_assigned(ledger, store, monkeypatch):
    monkeypatch.setattr(shelf, "Shelf", SHELF)
    monkeypatch.setitem(PLATFORMS, "shelf", replace(ENTRY, assigns_labelers=False, unchangeable="Its tasks stay."))
    assert change(TITLE, spec(labeler="new@b.c"), CONNECTIONS).texts == ("labeler changed",)
    assert ledger.campaigns.get(TITLE).spec["labeler"] == "new@b.c"
    with pytest.raises(CannotRun, match=r"label 'buoy' added\). Its tasks stay."):
        change(TITLE, spec(("boat", "buoy"), labeler="new@b.c"), CONNECTIONS)


@pytest.mark.parametrize("name", [name for name, entry in PLATFORMS.items() if name != "shelf"])
def test_every_platform_can_be_changed_or_says_what_to_do(name):
    entry = PLATFORMS[name]
    if not issubclass(entry.adapter(), ChangesCampaigns):
        assert re.search(r"--ledger-only|under another title", entry.unchangeable), name
        assert entry.unchangeable != ENTRY.unchangeable, "why it cannot be changed"
