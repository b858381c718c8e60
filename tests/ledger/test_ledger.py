"""The ledger: states, manifest, effects."""

import multiprocessing
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from labelwright.domain import IllegalMove, Image, Reject, Size, State
from labelwright.ledger import (
    AlreadyThere,
    DatasetVersion,
    EffectItem,
    Ledger,
    LedgerError,
    ManifestEntry,
    UnknownCampaign,
)


@pytest.fixture
def ledger(url):
    ledger = Ledger(url)
    yield ledger
    ledger.close()


@pytest.fixture
def river(ledger):
    ledger.campaigns.add("river", {"platform": "campaign_api"})
    return "river"


def entry(name: str, digest: str = "a") -> ManifestEntry:
    return ManifestEntry(Image(name, Size(10, 20), 5, digest * 64, digest * 32, "JPEG"), f"/photos/{name}", stamp="1/5")


def fill(ledger: Ledger, title: str, names: list[str]) -> None:
    mark = ledger.manifests.begin(title)
    ledger.manifests.add(title, mark, [entry(name) for name in names])
    ledger.manifests.complete(title, mark)


def test_parents_of_remote_ids_are_listed(ledger, river):
    names = [f"{number:03}.jpg" for number in range(30)]
    fill(ledger, river, [*names, "late.jpg"])
    ledger.campaigns.add("other", {})
    fill(ledger, "other", ["a.jpg"])
    ledger.manifests.record_remote_ids("other", [("a.jpg", "77/0")])
    assert ledger.manifests.remote_parents(river) == frozenset()
    ids = [(name, f"{(7, 70, 701)[number % 3]}/{number}") for number, name in enumerate(names)]
    ledger.manifests.record_remote_ids(river, ids)
    assert ledger.manifests.remote_parents(river) == {"7", "70", "701"}
    ledger.manifests.record_remote_ids(river, [("late.jpg", "plain")])
    assert ledger.manifests.remote_parents(river) == {"7", "70", "701"}


def test_a_campaign_is_found_by_the_platforms_id(ledger, river):
    ledger.campaigns.record_remote_campaign(river, "12")
    assert [record.title for record in ledger.campaigns.with_remote_id("12")] == [river]
    assert ledger.campaigns.with_remote_id("1") == []


# Campaigns


def test_adding_a_campaign_twice_keeps_the_first_spec(ledger):
    ledger.campaigns.add("river", {"a": 1})
    assert ledger.campaigns.add("river", {"a": 2}).spec == {"a": 1}
    assert [record.title for record in ledger.campaigns.all()] == ["river"]


def test_an_unknown_campaign_is_an_error_that_names_the_status_command(ledger):
    with pytest.raises(UnknownCampaign, match="labelwright status"):
        ledger.campaigns.get("sea")


def test_moves_are_recorded_with_reasons_and_illegal_ones_refused(ledger, river):
    ledger.campaigns.move(river, State.UPLOADING)
    ledger.campaigns.move(river, State.UPLOADING)  # staying leaves no trace
    with pytest.raises(IllegalMove):
        ledger.campaigns.move(river, State.FINISHED)
    ledger.campaigns.move(river, State.NEEDS_ATTENTION, "the disk is full")
    record = ledger.campaigns.get(river)
    assert (record.state, record.state_before, record.reason) == (
        State.NEEDS_ATTENTION,
        State.UPLOADING,
        "the disk is full",
    )
    ledger.campaigns.move(river, State.UPLOADING)
    assert ledger.campaigns.get(river).reason is None
    assert [(m.was, m.became, m.why) for m in ledger.campaigns.moves(river)] == [
        (State.PLANNED, State.UPLOADING, None),
        (State.UPLOADING, State.NEEDS_ATTENTION, "the disk is full"),
        (State.NEEDS_ATTENTION, State.UPLOADING, None),
    ]


def test_a_dataset_registered_twice_is_recorded_once(ledger, river):
    for _ in range(2):
        dataset = DatasetVersion("river_labels", "1", "/datasets/river_labels/v1", "c" * 64)
        ledger.campaigns.record_dataset(river, dataset)
    assert [dataset["version"] for dataset in ledger.campaigns.datasets(river)] == ["1"]


def newest(ledger, title) -> list[str]:
    return [dataset["version"] for dataset in ledger.campaigns.datasets(title) if dataset["newest"]]


def test_the_version_exported_last_is_the_newest(ledger, river):
    def export(version: str, serial: int, store: str = "local /datasets") -> None:
        location, digest = f"/datasets/river_labels/v{version}", version * 64
        dataset = DatasetVersion("river_labels", version, location, digest, store, serial, receipt_sha256=digest)
        ledger.campaigns.record_dataset(river, dataset)

    export("1", 10)
    export("2", 11)
    assert newest(ledger, river) == ["2"]
    export("1", 12)
    assert newest(ledger, river) == ["1"]
    first = ledger.campaigns.datasets(river)
    export("1", 12)
    assert ledger.campaigns.datasets(river) == first, "said twice it changes nothing"
    export("2", 11)
    assert newest(ledger, river) == ["1"], "an exporter that comes late with a lower number changes nothing"
    export("2", 3, store="local /elsewhere")
    assert newest(ledger, river) == ["2"], "numbers of different stores are not compared"
    assert [dataset["receipt_sha256"] for dataset in ledger.campaigns.datasets(river)] == ["1" * 64, "2" * 64]


def test_a_version_registered_elsewhere_has_moved(ledger, river):
    for place in ("/old", "/new"):
        dataset = DatasetVersion("river_labels", "1", f"{place}/river_labels/v1", "c" * 64)
        ledger.campaigns.record_dataset(river, dataset)
    assert [row["location"] for row in ledger.campaigns.datasets(river)] == ["/new/river_labels/v1"]


def test_a_shorter_wait_does_not_end_a_longer_one(ledger):
    moment = datetime.now(UTC)
    ledger.waits.put("campaign river", moment + timedelta(hours=2), "it answered 429")
    ledger.waits.put("campaign river", moment + timedelta(hours=1), "it answered 503")
    ledger.waits.put("campaign sea", moment - timedelta(seconds=1), "it answered 429")
    wait = ledger.waits.find("campaign river")
    assert (wait.until, wait.reason) == (moment + timedelta(hours=2), "it answered 429")
    assert list(ledger.waits.all()) == ["campaign river"]
    ledger.waits.forget("campaign river")
    assert ledger.waits.find("campaign river") is None


# Manifest


def test_a_complete_manifest_is_numbered_by_name_and_does_not_change(ledger, river):
    fill(ledger, river, ["b.jpg", "a/z.jpg", "я.jpg", "a.jpg"])
    assert [(e.position, e.image.name) for e in ledger.manifests.entries(river)] == [
        (1, "a.jpg"),
        (2, "a/z.jpg"),
        (3, "b.jpg"),
        (4, "я.jpg"),
    ]
    assert ledger.campaigns.get(river).images == 4
    with pytest.raises(LedgerError, match="complete"):
        ledger.manifests.begin(river)


def test_the_next_pass_drops_images_that_are_gone(ledger, river):
    first = ledger.manifests.begin(river)
    ledger.manifests.add(river, first, [entry("kept.jpg"), entry("gone.jpg")], [Reject("bad.jpg", "is empty")])
    second = ledger.manifests.begin(river)
    assert ledger.manifests.find(river, "kept.jpg").stamp == "1/5"
    ledger.manifests.add(river, second, [entry("kept.jpg")])
    assert ledger.manifests.complete(river, second) == 1
    assert ledger.manifests.rejects(river) == []


def test_a_manifest_of_many_chunks_is_read_whole_and_in_order(ledger, river):
    names = [f"{number:05}.jpg" for number in range(4500)]
    fill(ledger, river, names)
    assert [e.image.name for e in ledger.manifests.entries(river)] == names
    assert ledger.manifests.last_position(river) == 4500


def test_stored_images_are_not_sent_again(ledger, river):
    fill(ledger, river, ["a.jpg", "b.jpg", "c.jpg"])
    ledger.manifests.mark_stored(river, ["b.jpg"])
    assert [e.image.name for e in ledger.manifests.not_stored(river, 1, 3)] == ["a.jpg", "c.jpg"]
    assert ledger.manifests.count_stored(river) == 1
    assert sorted(ledger.manifests.positions(river, ["c.jpg", "a.jpg"])) == [1, 3]


def test_remote_ids_are_listed_by_position(ledger, river):
    fill(ledger, river, ["a.jpg", "b.jpg", "c.jpg"])
    ledger.manifests.record_remote_ids(river, [("c.jpg", "30"), ("a.jpg", "10"), ("stranger.jpg", "99")])
    assert ledger.manifests.without_remote_id(river) == ["b.jpg"]
    ledger.manifests.record_remote_ids(river, [("b.jpg", "20")])
    assert ledger.manifests.remote_ids(river, 2, 3) == ["20", "30"]


def test_an_image_that_the_platform_left_out_moves_to_the_rejects_once(ledger, river):
    fill(ledger, river, ["a.jpg", "b.jpg"])
    for _ in range(2):
        ledger.manifests.drop(river, Reject("b.jpg", "left out by the platform"))
    assert ledger.campaigns.get(river).images == 1
    assert ledger.manifests.rejects(river) == [Reject("b.jpg", "left out by the platform")]


# Effects


def test_an_effect_happens_once(ledger, river):
    done = []

    def act() -> str:
        done.append(1)
        return "7"

    for _ in range(3):
        assert ledger.effects.once(river, "create campaign", act, look=lambda: None) == "7"
    assert done == [1]


def test_an_effect_found_after_a_lost_response_is_not_repeated(ledger, river):
    def lost() -> str:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        ledger.effects.once(river, "create campaign", lost, look=lambda: None)
    assert ledger.effects.find(river, "create campaign").done_at is None
    assert ledger.effects.once(river, "create campaign", lost, look=lambda: "7") == "7"


def test_a_call_that_never_arrived_is_repeated(ledger, river):
    ledger.effects.intend(river, "create campaign")
    assert ledger.effects.once(river, "create campaign", lambda: "8", look=lambda: None) == "8"


def test_something_that_exists_without_our_intent_is_not_adopted(ledger, river):
    with pytest.raises(AlreadyThere, match="another title"):
        ledger.effects.once(river, "create campaign", lambda: "8", look=lambda: "7")
    assert ledger.effects.once(river, "activate", lambda: "8", look=lambda: "by hand", adopt=True) == "by hand"


def test_a_forgotten_effect_happens_again(ledger, river):
    ledger.effects.once(river, "finish", lambda: "1", look=lambda: None)
    ledger.effects.forget(river, "finish")
    assert ledger.effects.once(river, "finish", lambda: "2", look=lambda: None) == "2"


# The database


def test_a_ledger_of_another_version_is_refused(url, ledger):
    with ledger._database.write() as connection:
        connection.execute(text("update facts set value = '99' where name = 'schema'"))
    with pytest.raises(LedgerError, match="version 99"):
        Ledger(url)


def test_a_file_that_is_not_a_database_is_a_clear_error(tmp_path):
    (tmp_path / "ledger.db").write_text("this is no database, it is a text of some length " * 50)
    with pytest.raises(LedgerError, match="cannot be opened"):
        Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")


@pytest.mark.parametrize(
    "url", ["postgres+nothing://me:canary-secret@localhost/db", "postgres://me:canary-secret@h:p/d"]
)
def test_a_wrong_url_does_not_show_its_password(url):
    with pytest.raises(LedgerError) as refused:
        Ledger(url)
    assert "canary-secret" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_errors_of_statements_do_not_show_their_parameters(ledger):
    with pytest.raises(DBAPIError) as refused, ledger._database.write() as connection:
        connection.execute(text("insert into no_such_table values (:value)"), {"value": "canary-value"})
    assert "no_such_table" in str(refused.value)
    assert "canary-value" not in str(refused.value)


def test_eight_threads_write_at_once_without_losing_anything(ledger, river):
    fill(ledger, river, [f"{number:03}.jpg" for number in range(80)])

    def work(worker: int) -> None:
        for number in range(worker * 10, worker * 10 + 10):
            ledger.manifests.mark_stored(river, [f"{number:03}.jpg"])
            ledger.effects.once(river, "upload", lambda: "ok", look=lambda: None, item=EffectItem(batch=number))

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.manifests.count_stored(river) == 80
    assert len(ledger.effects.all(river)) == 80


def test_opening_waits_for_a_writer_of_a_new_file(tmp_path):
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        end = threading.Timer(0.2, other.execute, ["COMMIT"])
        end.start()
        Ledger(f"sqlite:///{tmp_path / 'ledger.db'}").close()
        end.join()


def _open_and_add(url: str, title: str) -> None:
    Ledger(url).campaigns.add(title, {})


def test_several_processes_create_the_ledger_at_once(url):
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=_open_and_add, args=(url, f"campaign {n}")) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0, 0]
    assert len(Ledger(url).campaigns.all()) == 4


# Images that are not labeled


def test_images_by_state_are_deleted_with_their_campaign(ledger, river):
    states = ledger.image_states
    failed = [(f"{number}.jpg", "403") for number in range(1500)]
    states.record(river, {"failed": failed, "skipped": [("a.jpg", "by ann")]}, only=["failed", "cancelled", "skipped"])
    states.record(river, {"gone": [("b.jpg", "")]}, only=["gone"])
    assert states.counts() == {river: {"failed": 1500, "gone": 1, "skipped": 1}}
    assert states.counts(["sea"]) == {}
    assert len(states.images(river)["failed"]) == 1000
    assert states.images(river)["skipped"] == [("a.jpg", "by ann")]
    states.record(river, {}, only=["failed"])
    assert states.counts([river]) == {river: {"gone": 1, "skipped": 1}}
    ledger.campaigns.forget(river)
    assert states.counts() == {}


def test_counts_keep_recorded_names_while_the_number_is_right(ledger, river):
    states = ledger.image_states
    states.record(river, {"skipped": [("a.jpg", "by ann")]}, only=["skipped"])
    assert not states.record_counts(river, {"skipped": 1, "gone": 0})
    assert states.images(river) == {"skipped": [("a.jpg", "by ann")]}
    assert states.record_counts(river, {"skipped": 2, "gone": 3})
    assert (states.counts()[river], states.images(river)) == ({"gone": 3, "skipped": 2}, {"gone": [], "skipped": []})
    assert states.record_counts(river, {"skipped": 0, "gone": 0})
    assert states.counts() == {}
