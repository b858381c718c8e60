"""A sweep's looks, without a Prefect server: what one campaign does to those that are looked at beside it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy.exc import OperationalError

from labelwright.campaigns.spec import validate_spec
from labelwright.domain import Image, ImageState, Size, State
from labelwright.ledger import Ledger, ManifestEntry, UnknownCampaign
from labelwright.platforms import AccessDenied, PlatformUnavailable
from labelwright.platforms.protocol import CampaignOrder, PlatformLabels, RemoteState
from labelwright.platforms.registry import PLATFORMS
from labelwright.settings import forget_settings
from labelwright.tasks.context import the_ledger
from labelwright.tasks.leases import campaign_lock
from labelwright.tasks.sweep import progress as looking
from labelwright.tasks.sweep.progress import look_at_some
from labelwright.tasks.sweep.restarts import due_work
from tests.platforms.shelf import ENTRY, STORES, Kept, Shelf, Store

TITLES = ["first", "second", "third"]


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setitem(PLATFORMS, "shelf", ENTRY)
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__URL", f"memory:{tmp_path}")
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__KEY", "good")
    forget_settings()
    yield STORES.setdefault(f"memory:{tmp_path}", Store())
    forget_settings()


@pytest.fixture(autouse=True)
def without_prefect(monkeypatch):
    """What is a task run of its own is called as a function."""
    monkeypatch.setattr(looking, "ask_for_attention", looking.ask_for_attention.fn)


@pytest.fixture
def ledger(store) -> Ledger:
    """Three campaigns of two images, with their labelers."""
    ledger = the_ledger()
    for number, title in enumerate(TITLES):
        document = {
            "title": title,
            "platform": "shelf",
            "images": {"folder": "/x"},
            "labels": ["a"],
            "labeler": "a@b.c",
        }
        spec = validate_spec(document, "test")
        ledger.campaigns.add(title, spec.model_dump(mode="json"))
        for state in (State.UPLOADING, State.CREATED, State.ACTIVE):
            ledger.campaigns.move(title, state)
        kept = Kept(CampaignOrder(title, spec.schema_of_labels(), "a@b.c"), RemoteState.ACTIVE)
        kept.images = {"1": ("1.jpg", None), "2": ("2.jpg", None)}
        store.campaigns[f"c{number}"] = kept
        ledger.campaigns.record_remote_campaign(title, f"c{number}")
    return ledger


def test_a_campaign_whose_look_ends_as_nobody_thought_delays_none_beside_it(ledger, monkeypatch):
    real = Shelf.read_campaign

    def read(self, campaign):
        if campaign == "c1":
            raise KeyError("status")
        return real(self, campaign)

    monkeypatch.setattr(Shelf, "read_campaign", read)
    seen = look_at_some.fn(TITLES)
    assert seen.states == {"first": "active", "third": "active"}
    assert seen.troubles == {"second": "the look ended with KeyError: see the log of the sweep"}


@pytest.mark.parametrize(("status", "states"), [(403, {"second": "active", "third": "active"}), (401, {}), (None, {})])
def test_a_campaign_that_is_closed_to_us_delays_none_beside_it_and_an_unknown_credential_all(
    ledger, monkeypatch, status, states
):
    real = Shelf.read_campaign

    def read(self, campaign):
        if campaign == "c0":
            raise AccessDenied("shelf", "read the campaign", status=status)
        return real(self, campaign)

    monkeypatch.setattr(Shelf, "read_campaign", read)
    seen = look_at_some.fn(TITLES)
    assert seen.states == states
    assert seen.denied, "either way a person has to know"
    assert seen.locked_out == (status != 403)


def test_a_platform_that_asks_to_wait_is_not_asked_again_before_that(ledger, monkeypatch):
    asked: list[str] = []

    def read(self, campaign):
        asked.append(campaign)
        raise PlatformUnavailable("shelf", "read the campaign", status=429, retry_after=3600)

    monkeypatch.setattr(Shelf, "read_campaign", read)
    seen = look_at_some.fn(TITLES)
    assert asked == ["c0"], "the others of this connection wait too"
    assert "The server asks to wait 3600 seconds" in seen.troubles["first"]
    assert seen.states == {}

    states, troubles, denied = looking.refresh_all()
    assert (asked, states, denied) == (["c0"], {}, False)
    assert set(troubles) == set(TITLES)
    assert all("not looked at before" in message for message in troubles.values())
    ledger.waits.forget("connection shelf")
    assert looking.connection_wait("shelf") == "connection shelf"


def test_a_campaign_whose_run_was_asked_to_wait_is_not_taken_up_before_that(ledger):
    for title in TITLES:
        ledger.campaigns.move(title, State.COMPLETED)
    refused = PlatformUnavailable("Azure ML", "register", status=429, retry_after=3600)
    with pytest.raises(PlatformUnavailable), campaign_lock("second", "export"):
        raise refused
    assert ledger.waits.find("campaign second").until == refused.not_before
    assert sorted(due.title for due in due_work()) == ["first", "third"]
    ledger.waits.forget("campaign second")
    assert sorted(due.title for due in due_work()) == sorted(TITLES)
    ledger.waits.put("connection shelf", refused.not_before, "it answered 429")
    assert due_work() == []


def test_a_campaign_that_is_forgotten_while_it_is_looked_at_delays_none_beside_it(ledger, monkeypatch):
    real = type(ledger.campaigns).record_look

    def record(self, title, *seen):
        if title == "first":
            raise UnknownCampaign(title)
        return real(self, title, *seen)

    monkeypatch.setattr(type(ledger.campaigns), "record_look", record)
    assert look_at_some.fn(TITLES).states == {"second": "active", "third": "active"}


def test_a_ledger_that_takes_nothing_ends_the_look(ledger, monkeypatch):
    def full(*_):
        raise OperationalError("UPDATE", {}, Exception("database or disk is full"))

    monkeypatch.setattr(type(ledger.campaigns), "record_look", full)
    with pytest.raises(OperationalError, match="full"):
        look_at_some.fn(TITLES)


def test_a_look_that_sees_nothing_new_writes_nothing_though_labelers_are_told_apart(ledger, store, monkeypatch):
    assert look_at_some.fn(TITLES).unchanged == []
    writes = []
    monkeypatch.setattr(type(ledger.campaigns), "record_look", lambda *seen: writes.append(seen[1]))
    assert look_at_some.fn(TITLES).unchanged == TITLES
    assert writes == []
    store.campaigns["c0"].labels["1"] = ()
    look_at_some.fn(TITLES)
    assert writes == ["first"]


def test_a_labeler_who_goes_on_while_the_whole_stands_still_is_something_new(ledger):
    campaigns = ledger.campaigns
    campaigns.record_look("first", 5, 10, [("ann", 3, 5), ("bob", 2, 5)])
    assert campaigns.has_progress("first", 5, 10, [("ann", 3, 5), ("bob", 2, 5)])
    assert not campaigns.has_progress("first", 5, 10, [("ann", 2, 5), ("bob", 3, 5)])
    assert not campaigns.has_progress("first", 5, 10, [("ann", 3, 5), ("bob", 2, 5), ("eve", 0, 5)])


@pytest.mark.parametrize(("campaigns", "tasks"), [(100, 100), (101, 26), (1000, 32)])
def test_so_many_task_runs_look_at_so_many_campaigns(campaigns, tasks):
    titles = [str(number) for number in range(campaigns)]
    shares = looking.shares_of(titles, campaigns)
    assert len(shares) == tasks
    assert [title for share in shares for title in share] == titles


# Images that are not labeled and will not be


def complete(ledger: Ledger, store: Store, *, images: int = 2) -> Kept:
    """The first campaign with its manifest of so many images; all that the platform has are labeled."""
    kept = store.campaigns["c0"]
    entries = [
        ManifestEntry(Image(f"{n}.jpg", Size(40, 30), 9, f"{n:064}", "0" * 32, "JPEG"), f"/x/{n}.jpg")
        for n in range(1, images + 1)
    ]
    mark = ledger.manifests.begin("first")
    ledger.manifests.add("first", mark, entries)
    ledger.manifests.complete("first", mark)
    ledger.manifests.record_remote_ids("first", [(f"{n}.jpg", str(n)) for n in range(1, images + 1)])
    kept.labels = dict.fromkeys(kept.images, ())
    return kept


GONE = ImageState.GONE.value


def states(ledger: Ledger) -> dict[str, int]:
    return ledger.image_states.counts().get("first", {})


def test_an_image_that_was_deleted_without_a_trace_completes_its_campaign_and_is_named(ledger, store):
    kept = complete(ledger, store, images=3)  # the third one was deleted
    seen = look_at_some.fn(["first"])
    assert seen.states == {"first": "completed"}
    record = ledger.campaigns.get("first")
    assert (record.done, record.total, record.images) == (3, 3, 3)
    assert ledger.image_states.images("first") == {"gone from the platform": [("3.jpg", "deleted from the shelf")]}
    assert kept.state is RemoteState.ACTIVE


def test_a_count_that_is_too_low_for_a_moment_completes_nothing(ledger, store, monkeypatch):
    complete(ledger, store, images=2)
    monkeypatch.setattr(Shelf, "read_campaign", lambda self, id: replace(real(self, id), done=1, total=1))
    assert look_at_some.fn(["first"]).states == {"first": "active"}
    assert states(ledger) == {}


real = Shelf.read_campaign


def test_failed_images_are_written_down_once_with_their_reasons_and_forgotten_when_they_are_mended(
    ledger, store, monkeypatch
):
    kept = complete(ledger, store)
    kept.labels = {}
    kept.failed = {"2": "403 from store.example/2.jpg"}
    lists = []
    listing = Shelf.list_failed_images
    monkeypatch.setattr(Shelf, "list_failed_images", lambda self, id: lists.append(id) or listing(self, id))
    for _ in range(3):
        assert look_at_some.fn(["first"]).states == {"first": "active"}
    assert lists == ["c0"], "they are listed when their number changes"
    assert states(ledger) == {"failed on the platform": 1}
    assert ledger.image_states.images("first") == {
        "failed on the platform": [("2.jpg", "403 from store.example/2.jpg")]
    }
    kept.failed = {}
    look_at_some.fn(["first"])
    assert states(ledger) == {}


def test_a_campaign_whose_other_images_all_failed_needs_attention_and_names_the_commands(ledger, store):
    kept = complete(ledger, store)
    kept.labels = {"1": ()}
    kept.failed = {"2": "403"}
    assert look_at_some.fn(["first"]).states == {"first": "needs attention"}
    reason = ledger.campaigns.get("first").reason
    assert "1 failed on the platform" in reason
    for option in ("--resend", "--leave-out"):
        assert f"labelwright failed 'first' {option}" in reason


def test_a_campaign_of_skipped_and_deleted_images_alone_needs_attention(ledger, store):
    kept = complete(ledger, store)
    kept.labels = {}
    kept.excluded = {"1": (ImageState.SKIPPED, ""), "2": (ImageState.GONE, "")}
    assert look_at_some.fn(["first"]).states == {"first": "needs attention"}
    reason = ledger.campaigns.get("first").reason
    assert "nothing is left to deliver: of its 2 images 1 gone from the platform, 1 skipped" in reason
    assert states(ledger) == {"gone from the platform": 1, "skipped": 1}


def test_an_exported_campaign_that_lost_an_image_since_is_exported_anew_once(ledger, store):
    kept = complete(ledger, store)
    kept.excluded = {"1": (ImageState.SKIPPED, "")}
    for state in (State.COMPLETED, State.FINISHED, State.EXPORTED):
        ledger.campaigns.move("first", state)
    ledger.image_states.record("first", {"skipped": [("1.jpg", "")]}, only=["skipped", "gone from the platform"])
    assert look_at_some.fn(["first"]).states == {"first": "exported"}
    del kept.images["2"], kept.labels["2"]
    assert look_at_some.fn(["first"]).states == {"first": "completed"}
    assert [move.became for move in ledger.campaigns.moves("first")[-2:]] == [State.REOPENED, State.COMPLETED]
    assert ledger.campaigns.moves("first")[-1].why == "since its export: 1 gone from the platform"
    for state in (State.FINISHED, State.EXPORTED):
        ledger.campaigns.move("first", state)
    # As the new export does, when it has read the labels.
    ledger.image_states.record("first", {GONE: [("2.jpg", "deleted")]}, only=[GONE])
    assert look_at_some.fn(["first"]).states == {"first": "exported"}


def test_a_look_that_breaks_off_does_not_hide_an_image_that_was_deleted_after_the_export(ledger, store, monkeypatch):
    kept = complete(ledger, store)
    for state in (State.COMPLETED, State.FINISHED, State.EXPORTED):
        ledger.campaigns.move("first", state)
    del kept.images["2"], kept.labels["2"]
    move, moved = type(ledger.campaigns).move, []

    def killed_once(self, *to):
        moved.append(to)
        if len(moved) == 1:
            raise KeyError("the process ends here")
        return move(self, *to)

    monkeypatch.setattr(type(ledger.campaigns), "move", killed_once)
    assert look_at_some.fn(["first"]).states == {}
    assert look_at_some.fn(["first"]).states == {"first": "completed"}


def test_a_label_that_is_gone_from_the_platform_is_told_while_labelers_are_at_work(ledger, store, monkeypatch):
    complete(ledger, store)
    gone = PlatformLabels(("b",))
    monkeypatch.setattr(Shelf, "read_campaign", lambda self, id: replace(real(self, id), labels=gone))
    assert look_at_some.fn(["first"]).states == {"first": "needs attention"}
    assert "label 'a'" in ledger.campaigns.get("first").reason
