"""A sweep's looks, without a Prefect server: what one campaign does to those that are looked at beside it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from sqlalchemy.exc import OperationalError

from labelwright.campaigns.spec import validate_spec
from labelwright.cli.output.sweeps import Report, rows_of, show_rows
from labelwright.domain import Image, ImageState, Size, State
from labelwright.ledger import Ledger, ManifestEntry, UnknownCampaign
from labelwright.platforms import AccessDenied, PlatformUnavailable
from labelwright.platforms.protocol import CampaignOrder, PlatformLabels, RemoteState
from labelwright.platforms.registry import PLATFORMS
from labelwright.settings import forget_settings
from labelwright.tasks import leases
from labelwright.tasks.attention import ask_for_attention
from labelwright.tasks.campaign import progress
from labelwright.tasks.context import the_ledger
from labelwright.tasks.leases import campaign_lock
from labelwright.tasks.sweep import overview, refresh
from labelwright.tasks.sweep.refresh import refresh_batch
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
    for module in (progress, refresh):
        monkeypatch.setattr(module, "ask_for_attention", ask_for_attention.fn)


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


def test_an_unexpected_error_does_not_stop_other_campaigns(ledger, monkeypatch):
    real = Shelf.read_campaign

    def read(self, campaign):
        if campaign == "c1":
            raise KeyError("status")
        return real(self, campaign)

    monkeypatch.setattr(Shelf, "read_campaign", read)
    result = refresh_batch(TITLES)
    assert result.states == {"first": "active", "third": "active"}
    assert result.failures == {"second": "the check ended with KeyError: see the log of the sweep"}


@pytest.mark.parametrize(("status", "states"), [(403, {"second": "active", "third": "active"}), (401, {}), (None, {})])
def test_403_skips_one_campaign_401_the_whole_connection(ledger, monkeypatch, status, states):
    real = Shelf.read_campaign

    def read(self, campaign):
        if campaign == "c0":
            raise AccessDenied("shelf", "read the campaign", status=status)
        return real(self, campaign)

    monkeypatch.setattr(Shelf, "read_campaign", read)
    result = refresh_batch(TITLES)
    assert result.states == states
    assert result.access_denied, "either way a person has to know"
    assert result.locked_out == (status != 403)


def test_no_campaign_is_checked_before_a_retry_after(ledger, monkeypatch):
    requested: list[str] = []

    def read(self, campaign):
        requested.append(campaign)
        raise PlatformUnavailable("shelf", "read the campaign", status=429, retry_after=3600)

    monkeypatch.setattr(Shelf, "read_campaign", read)
    result = refresh_batch(TITLES)
    assert requested == ["c0"], "the others of this connection wait too"
    assert "The server asks to wait 3600 seconds" in result.failures["first"]
    assert result.states == {}

    sweep = refresh.refresh_all()
    assert (requested, sweep.states, sweep.access_denied) == (["c0"], {}, False)
    assert set(sweep.failures) == set(TITLES)
    assert all("not checked before" in message for message in sweep.failures.values())
    ledger.waits.forget("connection shelf")


def test_a_campaign_is_not_restarted_before_its_retry_after(ledger, monkeypatch):
    monkeypatch.setattr(leases, "send_events", lambda: 0)
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


def test_a_campaign_deleted_during_a_refresh_does_not_stop_others(ledger, monkeypatch):
    real = type(ledger.campaigns).record_look

    def record(self, title, *progress):
        if title == "first":
            raise UnknownCampaign(title)
        return real(self, title, *progress)

    monkeypatch.setattr(type(ledger.campaigns), "record_look", record)
    assert refresh_batch(TITLES).states == {"second": "active", "third": "active"}


def test_a_ledger_that_cannot_be_written_ends_the_batch(ledger, monkeypatch):
    def full(*_):
        raise OperationalError("UPDATE", {}, Exception("database or disk is full"))

    monkeypatch.setattr(type(ledger.campaigns), "record_look", full)
    with pytest.raises(OperationalError, match="full"):
        refresh_batch(TITLES)


def test_unchanged_progress_per_labeler_is_not_written(ledger, store, monkeypatch):
    assert refresh_batch(TITLES).unrecorded == []
    writes = []
    monkeypatch.setattr(type(ledger.campaigns), "record_look", lambda *progress: writes.append(progress[1]))
    assert refresh_batch(TITLES).unrecorded == TITLES
    assert writes == []
    store.campaigns["c0"].labels["1"] = ()
    refresh_batch(TITLES)
    assert writes == ["first"]


def test_progress_of_one_labeler_counts_as_a_change(ledger):
    campaigns = ledger.campaigns
    campaigns.record_look("first", 5, 10, [("ann", 3, 5), ("bob", 2, 5)])
    assert campaigns.has_progress("first", 5, 10, [("ann", 3, 5), ("bob", 2, 5)])
    assert not campaigns.has_progress("first", 5, 10, [("ann", 2, 5), ("bob", 3, 5)])
    assert not campaigns.has_progress("first", 5, 10, [("ann", 3, 5), ("bob", 2, 5), ("eve", 0, 5)])


@pytest.mark.parametrize(("campaigns", "tasks"), [(100, 100), (101, 26), (1000, 32)])
def test_large_sweeps_share_batches(campaigns, tasks):
    titles = [str(number) for number in range(campaigns)]
    shares = refresh.batches_of(titles, campaigns)
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


def test_a_deleted_image_completes_its_campaign_and_is_listed(ledger, store):
    kept = complete(ledger, store, images=3)  # the third one was deleted
    result = refresh_batch(["first"])
    assert result.states == {"first": "completed"}
    record = ledger.campaigns.get("first")
    assert (record.done, record.total, record.images) == (3, 3, 3)
    assert ledger.image_states.images("first") == {"gone from the platform": [("3.jpg", "deleted from the shelf")]}
    assert kept.state is RemoteState.ACTIVE


def test_a_count_that_is_briefly_too_low_completes_nothing(ledger, store, monkeypatch):
    complete(ledger, store, images=2)
    monkeypatch.setattr(Shelf, "read_campaign", lambda self, id: replace(real(self, id), done=1, total=1))
    assert refresh_batch(["first"]).states == {"first": "active"}
    assert states(ledger) == {}


real = Shelf.read_campaign


def test_failed_images_are_recorded_until_they_no_longer_fail(ledger, store, monkeypatch):
    kept = complete(ledger, store)
    kept.labels = {}
    kept.failed = {"2": "403 from store.example/2.jpg"}
    lists = []
    listing = Shelf.list_failed_images
    monkeypatch.setattr(Shelf, "list_failed_images", lambda self, id: lists.append(id) or listing(self, id))
    for _ in range(3):
        assert refresh_batch(["first"]).states == {"first": "active"}
    assert lists == ["c0"], "they are listed when their number changes"
    assert states(ledger) == {"failed on the platform": 1}
    assert ledger.image_states.images("first") == {
        "failed on the platform": [("2.jpg", "403 from store.example/2.jpg")]
    }
    kept.failed = {}
    refresh_batch(["first"])
    assert states(ledger) == {}


def test_failed_images_that_block_completion_need_attention(ledger, store):
    kept = complete(ledger, store)
    kept.labels = {"1": ()}
    kept.failed = {"2": "403"}
    assert refresh_batch(["first"]).states == {"first": "needs attention"}
    reason = ledger.campaigns.get("first").reason
    assert "1 failed on the platform" in reason
    for option in ("--resend", "--leave-out"):
        assert f"labelwright failed 'first' {option}" in reason


def test_a_campaign_without_images_to_deliver_needs_attention(ledger, store):
    kept = complete(ledger, store)
    kept.labels = {}
    kept.excluded = {"1": (ImageState.SKIPPED, ""), "2": (ImageState.GONE, "")}
    assert refresh_batch(["first"]).states == {"first": "needs attention"}
    reason = ledger.campaigns.get("first").reason
    assert "nothing is left to deliver: of its 2 images 1 gone from the platform, 1 skipped" in reason
    assert states(ledger) == {"gone from the platform": 1, "skipped": 1}


def test_an_exported_campaign_that_lost_an_image_is_exported_again(ledger, store):
    kept = complete(ledger, store)
    kept.excluded = {"1": (ImageState.SKIPPED, "")}
    for state in (State.COMPLETED, State.FINISHED, State.EXPORTED):
        ledger.campaigns.move("first", state)
    ledger.image_states.record("first", {"skipped": [("1.jpg", "")]}, only=["skipped", "gone from the platform"])
    assert refresh_batch(["first"]).states == {"first": "exported"}
    del kept.images["2"], kept.labels["2"]
    assert refresh_batch(["first"]).states == {"first": "completed"}
    assert [move.became for move in ledger.campaigns.moves("first")[-2:]] == [State.REOPENED, State.COMPLETED]
    assert ledger.campaigns.moves("first")[-1].why == "since its export: 1 gone from the platform"
    for state in (State.FINISHED, State.EXPORTED):
        ledger.campaigns.move("first", state)
    # As the new export does, when it has read the labels.
    ledger.image_states.record("first", {GONE: [("2.jpg", "deleted")]}, only=[GONE])
    assert refresh_batch(["first"]).states == {"first": "exported"}


def test_an_interrupted_refresh_does_not_hide_a_deleted_image(ledger, store, monkeypatch):
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
    assert refresh_batch(["first"]).states == {}
    assert refresh_batch(["first"]).states == {"first": "completed"}


def test_a_label_deleted_on_the_platform_needs_attention(ledger, store, monkeypatch):
    complete(ledger, store)
    gone = PlatformLabels(("b",))
    monkeypatch.setattr(Shelf, "read_campaign", lambda self, id: replace(real(self, id), labels=gone))
    assert refresh_batch(["first"]).states == {"first": "needs attention"}
    assert "label 'a'" in ledger.campaigns.get("first").reason


# What others do on the platform


def test_a_campaign_completed_by_hand_with_images_missing_needs_attention(ledger, store):
    kept = complete(ledger, store)
    kept.labels, kept.state = {"1": ()}, RemoteState.COMPLETED
    assert refresh_batch(["first"]).states == {"first": "needs attention"}
    reason = ledger.campaigns.get("first").reason
    assert "completed on the platform, not by Labelwright, with 1 of 2 images done" in reason
    assert "labelwright reopen 'first'" in reason
    assert ledger.campaigns.get("first").state_before is State.ACTIVE


def test_a_campaign_finished_by_hand_is_completed_and_says_by_whom(ledger, store):
    kept = complete(ledger, store)
    kept.state = RemoteState.FINISHED
    assert refresh_batch(["first"]).states == {"first": "completed"}
    assert ledger.campaigns.moves("first")[-1].why == "finished on the platform, not by Labelwright"


def test_a_campaign_completed_by_its_labelers_names_nobody_else(ledger, store):
    complete(ledger, store)
    assert refresh_batch(["first"]).states == {"first": "completed"}
    assert ledger.campaigns.moves("first")[-1].why is None


@pytest.mark.parametrize("state", [State.COMPLETED, State.FINISHED])
@pytest.mark.parametrize("remote", [RemoteState.ACTIVE, RemoteState.CREATED])
def test_a_campaign_reopened_by_hand_is_followed(ledger, store, state, remote):
    kept = complete(ledger, store)
    for step in (State.COMPLETED, State.FINISHED):
        ledger.campaigns.move("first", step)
        if step is state:
            break
    ledger.effects.once("first", "finish", lambda: "finished", look=lambda: None)
    kept.labels, kept.state = {"1": ()}, remote
    assert refresh_batch(["first"]).states == {"first": "reopened"}
    why = "reopened on the platform, not by Labelwright: 1 of 2 images are done"
    assert ledger.campaigns.moves("first")[-1].why == why
    assert ledger.effects.find("first", "finish") is None
    assert [event.payload["why"] for event in ledger.outbox.waiting() if event.kind == "reopened"] == [why]


def test_a_campaign_deleted_on_the_platform_needs_attention(ledger, store):
    del store.campaigns["c1"]
    result = refresh_batch(TITLES)
    assert (result.states, list(result.failures)) == ({"first": "active", "third": "active"}, ["second"])
    record = ledger.campaigns.get("second")
    assert record.state is State.NEEDS_ATTENTION
    assert "deleted on the platform, not by Labelwright" in (record.reason or "")
    assert "labelwright cancel 'second'" in (record.reason or "")


def test_new_notes_of_labelers_are_recorded_with_the_progress(ledger, monkeypatch):
    real, counts, requested = Shelf.read_campaign, {"c0": 0, "c1": 2}, []

    def read(self, campaign):
        requested.append(campaign)
        return replace(real(self, campaign), unanswered_notes=counts.get(campaign, 0))

    monkeypatch.setattr(Shelf, "read_campaign", read)
    assert refresh_batch(TITLES).changed
    assert requested == ["c0", "c1", "c2"], "notes cost no request of their own"
    assert [ledger.campaigns.get(title).unanswered_notes for title in TITLES] == [0, 2, 0]
    (row,) = [row for row in rows_of(Report({}, {}, []), ledger) if row.unanswered_notes]
    assert (row.title, row.unanswered_notes, row.needs_person) == ("second", 2, False)

    quiet = refresh_batch(TITLES)
    assert (quiet.changed, quiet.unrecorded) == (False, TITLES)
    counts["c1"] = 0
    changed = refresh_batch(TITLES)
    assert (changed.changed, changed.unrecorded) == (True, ["first", "third"])
    assert ledger.campaigns.get("second").unanswered_notes == 0


def test_a_sweep_prints_which_campaigns_have_notes_to_answer(ledger, capsys):
    ledger.campaigns.record_unanswered_notes("second", 2)
    rows = rows_of(Report({}, {}, []), ledger)
    show_rows(rows, as_json=False)
    assert capsys.readouterr().out.count("notes of labelers have no answer: labelwright notes 'second'") == 1
    show_rows(rows, as_json=True)
    shown = json.loads(capsys.readouterr().out)
    assert {title: row["unanswered_notes"] for title, row in shown.items()} == {"first": 0, "second": 2, "third": 0}


def test_the_overview_in_prefect_has_a_column_of_notes_to_answer(ledger, monkeypatch):
    ledger.campaigns.record_unanswered_notes("second", 2)
    published: list[list[dict[str, str]]] = []
    monkeypatch.setattr(overview, "update_table", lambda _title, _name, rows, _description: published.append(rows))
    overview.publish_overview({})
    (rows,) = published
    assert {row["campaign"]: row["unanswered notes"] for row in rows} == {"first": "", "second": "2", "third": ""}
