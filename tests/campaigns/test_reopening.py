"""Campaigns and single images are given back to their labelers, or the command says that it did nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

from labelwright.campaigns import interventions
from labelwright.campaigns.reopening import STEP, Selection
from labelwright.campaigns.spec import validate_spec
from labelwright.cli.exit_codes import FAILED, MISUSED, exit_code
from labelwright.cli.output import campaigns as printing_campaigns
from labelwright.domain import Annotation, Box, Image, ImageState, Polygon, Size, State
from labelwright.domain.errors import CannotRun, NothingDone
from labelwright.ledger import Ledger, ManifestEntry, open_ledger
from labelwright.platforms import NotFound, PlatformRefused, PlatformUnavailable
from labelwright.platforms.protocol import (
    CampaignOrder,
    ListsUnlabeledImages,
    RemoteState,
    ReopensCampaigns,
    ReopensImages,
    UnlabeledImage,
)
from labelwright.platforms.registry import PLATFORMS
from labelwright.prefect_integration.connections import CONNECTIONS
from labelwright.settings import forget_settings, settings
from tests.platforms import shelf
from tests.platforms.shelf import ENTRY, STORES, Kept, Shelf, Store

TITLE = "river"
LAUNCHED = (State.UPLOADING, State.CREATED, State.ACTIVE)
COMPLETED = (*LAUNCHED, State.COMPLETED)
BOX = Annotation("boat", Box(1, 1, 9, 9))
NAMES = ("a.jpg", "b.jpg", "sub/c\u00e9.jpg")


class Reopening(Shelf, ReopensCampaigns, ReopensImages):
    """A shelf that gives campaigns and images back."""

    def reopen_campaign(self, campaign: str) -> None:
        self._kept(campaign).state = RemoteState.ACTIVE
        CALLS.append(({}, "the whole campaign"))

    def reopen_images(self, campaign: str, reasons: Mapping[str, str], call_id: str) -> str:
        kept = self._kept(campaign)
        kept.state = RemoteState.ACTIVE
        for image in reasons:
            kept.labels.pop(image, None)
        CALLS.append((dict(reasons), call_id))
        return ""


CALLS: list[tuple[dict[str, str], str]] = []


@pytest.fixture
def store(tmp_path, monkeypatch) -> Store:
    CALLS.clear()
    monkeypatch.setattr(shelf, "Shelf", Reopening)
    monkeypatch.setitem(PLATFORMS, "shelf", ENTRY)
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__URL", f"memory:{tmp_path}")
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__KEY", "good")
    forget_settings()
    yield STORES.setdefault(f"memory:{tmp_path}", Store())
    forget_settings()


@pytest.fixture
def ledger(store) -> Ledger:
    return open_ledger(settings().ledger_address())


def campaign(ledger: Ledger, store: Store, *states: State, done: int = 3) -> Kept:
    """One of three images that came into these states in the ledger; so many are labeled on the shelf."""
    labels = ["boat", {"name": "sail", "geometry": "polygon"}]
    document = {"title": TITLE, "platform": "shelf", "images": {"folder": "/x"}, "labels": labels, "labeler": "a@b.c"}
    spec = validate_spec(document, "test")
    ledger.campaigns.add(TITLE, spec.model_dump(mode="json"))
    images = [Image(name, Size(40, 30), 9, str(number) * 64, "x", "JPEG") for number, name in enumerate(NAMES)]
    mark = ledger.manifests.begin(TITLE)
    ledger.manifests.add(TITLE, mark, [ManifestEntry(image, image.name) for image in images])
    ledger.manifests.complete(TITLE, mark)
    ledger.manifests.record_remote_ids(TITLE, [(name, f"i{number}") for number, name in enumerate(NAMES)])
    for state in states:
        ledger.campaigns.move(TITLE, state, "the reason" if state is State.NEEDS_ATTENTION else None)
    kept = Kept(CampaignOrder(TITLE, spec.schema_of_labels(), "a@b.c"), RemoteState.ACTIVE)
    kept.images = {f"i{number}": (name, None) for number, name in enumerate(NAMES)}
    kept.labels = {f"i{number}": (BOX,) for number in range(done)}
    store.campaigns["c1"] = kept
    ledger.campaigns.record_remote_campaign(TITLE, "c1")
    return kept


@pytest.mark.parametrize(
    "states",
    [
        LAUNCHED,
        COMPLETED,
        (*COMPLETED, State.REOPENED),
        (*COMPLETED, State.FINISHED),
        (*COMPLETED, State.FINISHED, State.EXPORTED),
        (*LAUNCHED, State.NEEDS_ATTENTION),
        (*COMPLETED, State.NEEDS_ATTENTION),
        (*COMPLETED, State.FINISHED, State.NEEDS_ATTENTION),
    ],
    ids=lambda states: " ".join(states[2:]),
)
@pytest.mark.parametrize("selection", [Selection(), Selection(("a.jpg",), reason="mast")], ids=["whole", "image"])
def test_a_complete_campaign_is_reopened_whatever_the_ledger_says(ledger, store, states, selection):
    kept = campaign(ledger, store, *states)
    ledger.effects.once(TITLE, "finish", lambda: "finished", look=lambda: None)
    interventions.reopen(TITLE, CONNECTIONS, selection)
    assert set(kept.labels) == (set() if selection.names is None else {"i1", "i2"})
    assert ledger.campaigns.get(TITLE).state is State.REOPENED
    assert ledger.effects.find(TITLE, "finish") is None, "it is finished once more"


@pytest.mark.parametrize("states", [(), LAUNCHED[:1], LAUNCHED[:2], (*LAUNCHED[:1], State.NEEDS_ATTENTION)])
def test_an_incomplete_launch_is_not_reopened_but_resumed(ledger, store, states):
    campaign(ledger, store, *states, done=0)
    with pytest.raises(NothingDone, match=r"nothing was reopened: .* labelwright resume 'river'") as refusal:
        interventions.reopen(TITLE, CONNECTIONS)
    assert exit_code(refusal.value) == FAILED
    assert (ledger.campaigns.get(TITLE).state, CALLS) == ([State.PLANNED, *states][-1], [])


def test_a_cancelled_campaign_is_not_reopened(ledger, store):
    campaign(ledger, store, *LAUNCHED, State.CANCELLED)
    with pytest.raises(NothingDone, match="under another title"):
        interventions.reopen(TITLE, CONNECTIONS)


class Listing(Reopening, ListsUnlabeledImages):
    """A shelf that also lists what is not labeled."""

    def list_unlabeled_images(self, campaign: str) -> Iterator[UnlabeledImage]:
        kept = self._kept(campaign)
        for image, (name, _) in kept.images.items():
            if image not in kept.labels:
                yield UnlabeledImage(image, name, ImageState.NOT_LABELED)


def test_images_that_were_never_labeled_are_not_reopened(ledger, store, monkeypatch):
    monkeypatch.setattr(shelf, "Shelf", Listing)
    kept = campaign(ledger, store, *LAUNCHED, done=2)
    with pytest.raises(NothingDone, match="have 1 image to label anyway") as refusal:
        interventions.reopen(TITLE, CONNECTIONS, Selection((NAMES[2],)))
    assert (exit_code(refusal.value), CALLS, ledger.campaigns.get(TITLE).state) == (FAILED, [], State.ACTIVE)
    interventions.reopen(TITLE, CONNECTIONS, Selection(NAMES[1:]))
    assert set(kept.labels) == {"i0"}
    kept.state = RemoteState.COMPLETED
    interventions.reopen(TITLE, CONNECTIONS, Selection((NAMES[2],)))
    assert kept.state is RemoteState.ACTIVE, "it was completed by hand, and labelers did not have the image any more"


def test_nothing_is_done_while_labelers_have_all_of_it(ledger, store):
    campaign(ledger, store, *LAUNCHED, done=2)
    with pytest.raises(NothingDone, match=r"2 of 3 images are done.*--images FILE") as refusal:
        interventions.reopen(TITLE, CONNECTIONS)
    assert (exit_code(refusal.value), CALLS) == (FAILED, [])
    assert ledger.campaigns.get(TITLE).state is State.ACTIVE
    interventions.reopen(TITLE, CONNECTIONS, Selection(("b.jpg",)))
    assert CALLS[0][0] == {"i1": ""}, "single ones can be given back"


def test_the_ledger_follows_what_was_reopened_by_hand(ledger, store):
    campaign(ledger, store, *COMPLETED, done=1)
    assert "not by Labelwright" in interventions.reopen(TITLE, CONNECTIONS)
    assert (ledger.campaigns.get(TITLE).state, CALLS) == (State.REOPENED, [])


def test_status_says_who_reopened_it(ledger, store, capsys):
    campaign(ledger, store, *COMPLETED, done=1)
    interventions.reopen(TITLE, CONNECTIONS)
    printing_campaigns.show_campaign(ledger, TITLE, False)
    assert "reopened on the platform, not by Labelwright" in capsys.readouterr().out


def test_a_deleted_campaign_is_reported_as_such(ledger, store):
    campaign(ledger, store, *COMPLETED)
    store.campaigns.clear()
    with pytest.raises(NotFound):
        interventions.reopen(TITLE, CONNECTIONS)
    assert ledger.campaigns.get(TITLE).state is State.COMPLETED


def test_a_platform_that_stays_complete_is_an_error(ledger, store, monkeypatch):
    campaign(ledger, store, *COMPLETED)
    monkeypatch.setattr(Reopening, "reopen_images", lambda self, campaign, reasons, call_id: "")
    with pytest.raises(PlatformRefused, match="is completed after it was reopened"):
        interventions.reopen(TITLE, CONNECTIONS)
    assert ledger.campaigns.get(TITLE).state is State.COMPLETED
    assert ledger.effects.find(TITLE, STEP) is None


def test_names_are_matched_in_any_normal_form_and_unknown_ones_refused_at_once(ledger, store):
    campaign(ledger, store, *COMPLETED)
    with pytest.raises(CannotRun, match=r"2 of 3 names are no images of 'river': x.jpg, y.jpg") as refusal:
        interventions.reopen(TITLE, CONNECTIONS, Selection(("x.jpg", "a.jpg", "y.jpg")))
    assert (exit_code(refusal.value), CALLS) == (MISUSED, [])
    message = interventions.reopen(TITLE, CONNECTIONS, Selection(("sub/ce\u0301.jpg", "b.jpg"), reason="look again"))
    assert CALLS[0][0] == {"i2": "look again", "i1": "look again"}
    assert message.startswith("2 images of 'river' reopened")


def test_wrong_images_are_found_in_the_labels_and_say_why(ledger, store):
    kept = campaign(ledger, store, *COMPLETED)
    outside, sail = Annotation("boat", Box(1, 1, 41, 9)), Annotation("sail", Box(1, 1, 9, 9))
    drawn = Annotation("sail", Polygon(((1, 1), (9, 1), (5, 8))))
    kept.labels = {"i0": (BOX, outside), "i1": (sail, sail, Annotation("kayak", Box(1, 1, 9, 9))), "i2": (drawn,)}
    interventions.reopen(TITLE, CONNECTIONS, Selection(wrong=True, reason="please"))
    assert CALLS[0][0] == {
        "i0": "please: 'boat' lies outside the image",
        "i1": "please: 'sail' has to be drawn as: polygon; 'kayak' is not one of the labels",
    }


def test_without_wrong_images_nothing_is_reopened(ledger, store):
    campaign(ledger, store, *COMPLETED)
    with pytest.raises(NothingDone, match="every shape of 'river' is as its labels allow"):
        interventions.reopen(TITLE, CONNECTIONS, Selection(wrong=True))
    assert (ledger.campaigns.get(TITLE).state, CALLS) == (State.COMPLETED, [])


@pytest.mark.parametrize("selection", [Selection(), Selection(("a.jpg",))], ids=["whole", "image"])
def test_a_killed_command_is_repeated_as_the_same_call(ledger, store, monkeypatch, selection):
    kept = campaign(ledger, store, *LAUNCHED)
    real = Reopening.read_campaign
    answers = iter([real, None])  # it dies after the platform has reopened it

    def read(self, campaign):
        answer = next(answers)
        if answer is None:
            raise PlatformUnavailable("shelf", "read", message="the connection broke")
        return answer(self, campaign)

    monkeypatch.setattr(Reopening, "read_campaign", read)
    with pytest.raises(PlatformUnavailable):
        interventions.reopen(TITLE, CONNECTIONS, selection)
    assert kept.state is RemoteState.ACTIVE
    monkeypatch.setattr(Reopening, "read_campaign", real)
    interventions.reopen(TITLE, CONNECTIONS, selection)
    assert ledger.campaigns.get(TITLE).state is State.REOPENED
    assert CALLS[0] == CALLS[1]
    interventions.reopen(TITLE, CONNECTIONS, Selection(("a.jpg",)))
    assert CALLS[2][1] != CALLS[1][1], "another command is another call"


class ImagesOnly(Shelf, ReopensImages):
    reopen_images = Reopening.reopen_images


class CampaignsOnly(Shelf, ReopensCampaigns):
    reopen_campaign = Reopening.reopen_campaign


def test_what_was_closed_early_is_given_back_as_it_is(ledger, store):
    kept = campaign(ledger, store, *LAUNCHED, State.NEEDS_ATTENTION, done=1)
    kept.state = RemoteState.COMPLETED
    interventions.reopen(TITLE, CONNECTIONS)
    assert (list(kept.labels), kept.state) == (["i0"], RemoteState.ACTIVE)
    assert ledger.campaigns.get(TITLE).state is State.REOPENED


def test_a_server_without_single_images_reopens_the_campaign(ledger, store, monkeypatch):
    def refuse(self, campaign, reasons, call_id):
        raise PlatformRefused("shelf", "reopen images", status=404, message="it cannot reopen single images")

    def reopen(self, campaign):
        self._kept(campaign).labels.clear()  # else the shelf, which computes its state, stays completed

    monkeypatch.setattr(Reopening, "reopen_images", refuse)
    monkeypatch.setattr(Reopening, "reopen_campaign", reopen)
    kept = campaign(ledger, store, *COMPLETED)
    with pytest.raises(PlatformRefused, match="cannot reopen single images"):
        interventions.reopen(TITLE, CONNECTIONS, Selection(("a.jpg",)))
    assert ledger.campaigns.get(TITLE).state is State.COMPLETED
    interventions.reopen(TITLE, CONNECTIONS)
    assert (kept.labels, ledger.campaigns.get(TITLE).state) == ({}, State.REOPENED)


def test_a_platform_without_whole_reopening_reopens_every_image(ledger, store, monkeypatch):
    monkeypatch.setattr(shelf, "Shelf", ImagesOnly)
    kept = campaign(ledger, store, *COMPLETED)
    interventions.reopen(TITLE, CONNECTIONS)
    assert (kept.labels, ledger.campaigns.get(TITLE).state) == ({}, State.REOPENED)


@pytest.mark.parametrize(
    ("adapter", "selection", "command"),
    [
        (Shelf, Selection(), "cannot reopen campaigns.*labelwright export 'river'"),
        (Shelf, Selection(("a.jpg",)), "cannot reopen single images.*labelwright export 'river'"),
        (CampaignsOnly, Selection(("a.jpg",)), "cannot reopen single images.*labelwright reopen 'river'"),
    ],
)
def test_what_a_platform_cannot_reopen_is_refused_with_a_way_on(
    ledger, store, monkeypatch, adapter, selection, command
):
    monkeypatch.setattr(shelf, "Shelf", adapter)
    kept = campaign(ledger, store, *COMPLETED)
    before = replace(kept)
    with pytest.raises(NothingDone, match=command):
        interventions.reopen(TITLE, CONNECTIONS, selection)
    assert (kept, ledger.campaigns.get(TITLE).state) == (before, State.COMPLETED)
