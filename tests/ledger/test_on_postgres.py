"""What only a database for many can get wrong. All other tests of the ledger run on Postgres too: see conftest.py."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from labelwright.doctor import ledger as doctor_ledger
from labelwright.doctor.findings import Finding, Level
from labelwright.domain import Image, Reject, Size, State
from labelwright.ledger import DatasetVersion, EffectItem, Ledger, LedgerError, ManifestEntry
from labelwright.settings import forget_settings, settings

pytestmark = pytest.mark.postgres


@pytest.fixture
def address(postgres) -> str:
    return str(postgres.new_database())


@pytest.fixture
def ledger(address) -> Iterator[Ledger]:
    ledger = Ledger(address)
    ledger.campaigns.add("river", {"title": "river"})
    yield ledger
    ledger.close()


def cut_connections(address: str) -> None:
    """End every connection to the database but the one that says it."""
    with psycopg.connect(address, autocommit=True) as connection:
        ours = "datname = current_database() and pid != pg_backend_pid()"
        connection.execute(f"select pg_terminate_backend(pid) from pg_stat_activity where {ours}")


def cut_before_the_next(ledger: Ledger, address: str, operation: str) -> None:
    """Cut every connection in the middle of the next transaction, before its first statement of that kind."""
    engine, struck = ledger._database._writing, []

    def strike(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.startswith(operation) and not struck:
            struck.append(operation)
            cut_connections(address)

    event.listen(engine, "before_cursor_execute", strike)


def entry(name: str) -> ManifestEntry:
    return ManifestEntry(Image(name, Size(10, 20), 5, "a" * 64, "a" * 32, "JPEG"), f"/photos/{name}")


def at_once(*works: Any) -> list[Any]:
    """Run them at the same moment; what each raised, or None."""
    ends: list[Any] = [None] * len(works)
    gate = threading.Barrier(len(works))

    def run(number: int) -> None:
        gate.wait()
        try:
            works[number]()
        except Exception as error:  # noqa: BLE001
            ends[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ends


# A connection that is lost


def test_a_connection_lost_between_two_effects_is_reopened(ledger, address):
    acts = []
    for number in range(3):
        batch = EffectItem(batch=number)
        ledger.effects.once("river", "upload", lambda: acts.append(1) or "ok", look=lambda: None, item=batch)
        cut_connections(address)
    assert len(acts) == 3
    assert all(effect.done_at for effect in ledger.effects.all("river"))


def test_a_connection_lost_before_the_intent_leaves_nothing_done(ledger, address):
    cut_before_the_next(ledger, address, "INSERT INTO effects")
    with pytest.raises(OperationalError):
        ledger.effects.once("river", "create campaign", lambda: pytest.fail("acted"), look=lambda: None)
    assert ledger.effects.all("river") == []
    assert ledger.effects.once("river", "create campaign", lambda: "4", look=lambda: None) == "4"


def test_a_connection_lost_before_the_outcome_repeats_nothing(ledger, address):
    platform: list[str] = []

    def create() -> str:
        platform.append("4")
        cut_before_the_next(ledger, address, "UPDATE effects")
        return "4"

    def again() -> str:
        return ledger.effects.once(
            "river", "create campaign", create, look=lambda: platform[0] if platform else None, what="the campaign"
        )

    with pytest.raises(OperationalError):
        again()
    assert ledger.effects.find("river", "create campaign").done_at is None
    assert again() == "4"
    assert platform == ["4"]


def test_a_move_and_its_event_are_one_transaction(ledger, address):
    ledger.campaigns.move("river", State.UPLOADING)
    cut_before_the_next(ledger, address, "INSERT INTO events")
    with pytest.raises(OperationalError):
        ledger.campaigns.move("river", State.CREATED)
    assert ledger.campaigns.get("river").state is State.UPLOADING
    ledger.campaigns.move("river", State.CREATED)
    assert [event.kind for event in ledger.outbox.of("river")] == ["uploading", "created"]
    assert len(ledger.campaigns.moves("river")) == 2


def test_a_lease_outlives_its_holders_connection(ledger, address):
    troubles: list[str] = []
    with ledger.leases.held("campaign river", "launch", on_trouble=troubles.append) as lease:
        cut_connections(address)
        ledger.leases.renew(lease)
        ledger.effects.once("river", "activate", lambda: "active", look=lambda: None)
    assert ledger.leases.all() == []
    assert troubles == []


def test_a_lease_is_released_over_a_new_connection(ledger, address):
    troubles: list[str] = []
    with ledger.leases.held("campaign river", "launch", on_trouble=troubles.append):
        cut_before_the_next(ledger, address, "DELETE FROM leases")
    assert (troubles, ledger.leases.all()) == ([], [])


def test_a_lease_that_cannot_be_released_is_only_reported(ledger, address, monkeypatch):
    monkeypatch.setattr("labelwright.ledger.leases._RELEASE_RETRY_SECONDS", ())
    troubles: list[str] = []
    with ledger.leases.held("campaign river", "launch", on_trouble=troubles.append):
        cut_before_the_next(ledger, address, "DELETE FROM leases")
    assert "could not be released (OperationalError)" in troubles[0]


# Several at once


def test_of_two_moves_at_once_one_is_recorded(ledger, address):
    other = Ledger(address)
    ledger.campaigns.move("river", State.UPLOADING)
    for state in (State.CREATED, State.ACTIVE, State.COMPLETED):
        ends = at_once(
            *[lambda to=state, ledger_=ledger_: ledger_.campaigns.move("river", to) for ledger_ in (ledger, other) * 3]
        )
        assert ends == [None] * 6
    assert [move.became for move in ledger.campaigns.moves("river")] == [
        State.UPLOADING,
        State.CREATED,
        State.ACTIVE,
        State.COMPLETED,
    ]
    assert [event.kind for event in ledger.outbox.of("river")] == ["uploading", "created", "activated", "completed"]
    other.close()


def test_progress_read_twice_at_once_is_recorded_once(ledger, address):
    other = Ledger(address)
    ledger.campaigns.record_look("river", 0, 7)
    at_once(*[lambda one=one: one.campaigns.record_look("river", 3, 7) for one in (ledger, other) * 4])
    assert [progress.done for progress in ledger.campaigns.progress("river")] == [0, 3]
    assert [event.kind for event in ledger.outbox.of("river")] == ["progressed"]
    other.close()


def test_records_inserted_at_once_exist_once(ledger):
    mark = ledger.manifests.begin("river")
    ledger.manifests.add("river", mark, [entry("a.jpg"), entry("b.jpg")])
    ledger.manifests.complete("river", mark)
    letter = ("webhook", "key", "labelwright.webhook.received", {}, {})
    works = (
        lambda: ledger.campaigns.add("lake", {}),
        lambda: ledger.inbox.put(*letter),
        lambda: ledger.campaigns.record_dataset("river", DatasetVersion("labels", "1", "/d", "c" * 64)),
        lambda: ledger.manifests.drop("river", Reject("a.jpg", "the platform left it out")),
        lambda: ledger.outbox.put("river", "stalled", "monday", {}),
        lambda: ledger.effects.intend("river", "create campaign"),
    )
    assert at_once(*works * 4) == [None] * 24
    assert len(ledger.inbox.waiting()) == len(ledger.campaigns.datasets("river")) == 1
    assert len(ledger.manifests.rejects("river")) == len(ledger.effects.all("river")) == 1
    assert ledger.campaigns.get("river").images == 1
    assert len(ledger.campaigns.all()) == 2


def test_two_inventories_at_once_end_with_one_whole_manifest(ledger, address):
    other = Ledger(address)
    names = [f"{number:04}.jpg" for number in range(1200)]

    def build_inventory(opened: Ledger) -> None:
        mark = opened.manifests.begin("river")
        for first in range(0, len(names), 300):
            opened.manifests.add("river", mark, [entry(name) for name in names[first : first + 300]])
        opened.manifests.complete("river", mark)

    ends = at_once(lambda: build_inventory(ledger), lambda: build_inventory(other))
    assert [end for end in ends if end is not None and not isinstance(end, LedgerError)] == []
    assert ends != [None, None]
    # The one that came first dropped what only the other's mark had seen: nothing is numbered twice, nothing has a gap.
    positions = [entry.position for entry in ledger.manifests.entries("river")]
    assert positions == list(range(1, len(positions) + 1))
    assert ledger.campaigns.get("river").images == len(positions)
    other.close()


# What Postgres does not take, and what it says


def test_long_texts_and_nul_are_stored_as_on_sqlite(ledger):
    ledger.campaigns.record_remote_campaign("river", "x" * 5000)
    assert ledger.campaigns.get("river").remote_id == "x" * 5000
    ledger.campaigns.move("river", State.NEEDS_ATTENTION, "it said \0 and " + "no " * 1000)
    assert ledger.campaigns.get("river").reason.startswith("it said \ufffd and no")
    ledger.inbox.put("webhook", "k", "e", {}, {"message": "\0"})
    assert ledger.inbox.waiting()[0].payload == {"message": "\0"}


def test_times_are_utc_whatever_the_servers_time_zone(postgres):
    address = postgres.new_database()
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"alter database {connection.info.dbname} set timezone to 'Asia/Tokyo'")
    ledger = Ledger(address)
    record = ledger.campaigns.add("river", {})
    assert record.created_at.utcoffset().total_seconds() == 0
    lease = ledger.leases.take("campaign river", "launch")
    assert f"{ledger.leases.find(lease.name).expires_at:%H:%M}" == f"{lease.expires_at:%H:%M}"
    ledger.close()


def test_names_are_in_the_order_of_their_code_points(ledger):
    names = ["a.jpg", "B.jpg", "é.jpg", "z.jpg", "Z.jpg", "_.jpg", "\U0001f98a.jpg", "\uff41.jpg"]
    mark = ledger.manifests.begin("river")
    ledger.manifests.add("river", mark, [entry(name) for name in names])
    ledger.manifests.complete("river", mark)
    assert [entry.image.name for entry in ledger.manifests.entries("river")] == sorted(names)


def test_an_open_ledger_needs_no_right_to_make_tables(ledger, address):
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("revoke create on schema public from public")
        connection.execute("create role worker login")
        connection.execute("grant select, insert, update, delete on all tables in schema public to worker")
        connection.execute("grant usage on all sequences in schema public to worker")
    worker = Ledger(address.replace("postgres@", "worker@"))
    worker.campaigns.move("river", State.UPLOADING)
    worker.close()
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("drop owned by worker")
        connection.execute("drop role worker")


def ledgers_findings(address: str, monkeypatch, tmp_path) -> list[Finding]:
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path))
    monkeypatch.setenv("LABELWRIGHT_LEDGER_URL", address)
    forget_settings()
    findings = list(doctor_ledger.check_ledger(settings()))
    forget_settings()
    return findings


def test_the_doctor_reports_missing_rights(ledger, address, monkeypatch, tmp_path):
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("create role reader login")
        connection.execute("grant select on all tables in schema public to reader")
    (ours,) = ledgers_findings(address, monkeypatch, tmp_path)
    version, rights = ledgers_findings(address.replace("postgres@", "reader@"), monkeypatch, tmp_path)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("drop owned by reader")
        connection.execute("drop role reader")
    assert ours.level is version.level is Level.OK
    assert rights.level is Level.ERROR
    assert "Grant" in rights.advice


@pytest.mark.parametrize(("seconds", "message"), [(600, "behind"), (-600, "ahead of"), (2, None)])
def test_the_doctor_compares_its_clock_with_the_servers(ledger, address, monkeypatch, tmp_path, seconds, message):
    real = doctor_ledger._clock_ahead
    monkeypatch.setattr(doctor_ledger, "_clock_ahead", lambda server: real(server + timedelta(seconds=seconds)))
    _, *clocks = ledgers_findings(address, monkeypatch, tmp_path)
    assert [message in finding.message and finding.level is Level.ERROR for finding in clocks] == (
        [True] if message else []
    )


def test_a_database_that_is_not_utf8_is_refused(postgres):
    latin = postgres.new_database(
        "encoding 'LATIN1' locale_provider libc lc_collate 'C' lc_ctype 'C' template template0"
    )
    with pytest.raises(LedgerError, match="encoded in LATIN1"):
        Ledger(latin)


@pytest.mark.parametrize(
    "url", ["mysql://u:hunter2@h/n", "hunter2", "postgresql://u:hunter2@127.0.0.1:1/n?connect_timeout=2"]
)
def test_a_refused_url_does_not_show_its_password(url):
    with pytest.raises(LedgerError) as refusal:
        Ledger(url)
    assert "hunter2" not in str(refusal.value)
