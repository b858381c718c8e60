"""Ledgers of earlier versions are upgraded, on both databases, from a copy of every version that was released.

The present version's copy is kept too: the next version has to upgrade it, and a test that compares tables with it
fails when tables change and their version does not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, make_url, text
from sqlalchemy.engine import Connection, Engine

from labelwright.domain import LeftOutCounts, State, VideoFrame
from labelwright.ledger import DatasetVersion, EffectItem, Ledger, LedgerError, Process
from labelwright.ledger.migrations import HISTORY
from labelwright.ledger.tables import EARLIER_VERSIONS, SCHEMA_VERSION, metadata

SCHEMAS = Path(__file__).parent / "schemas"
KEPT = [*EARLIER_VERSIONS, SCHEMA_VERSION]


def plain_engine(url: str) -> Engine:
    parsed = make_url(url)
    return create_engine(parsed.set(drivername="postgresql+psycopg") if parsed.drivername == "postgresql" else parsed)


def create_ledger(url: str, version: str) -> Engine:
    """A database as that version left it."""
    engine = plain_engine(url)
    script = (SCHEMAS / f"version_{version}.{engine.dialect.name}.sql").read_text()
    with engine.begin() as connection:
        for statement in script.split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)
    return engine


def schema_of(url: str) -> dict[str, object]:
    """Columns with their types and collations, keys, references, indexes, by table."""
    engine = plain_engine(url)
    schema: dict[str, object] = {}
    for table in metadata.sorted_tables:
        inspector = inspect(engine)
        columns = [
            (column["name"], str(column["type"]), getattr(column["type"], "collation", None), column["nullable"])
            for column in inspector.get_columns(table.name)
        ]
        references = [
            (key["constrained_columns"], key["referred_table"], key["options"])
            for key in inspector.get_foreign_keys(table.name)
        ]
        indexes = sorted((index["name"], tuple(index["column_names"])) for index in inspector.get_indexes(table.name))
        unique = sorted(tuple(key["column_names"]) for key in inspector.get_unique_constraints(table.name))
        primary_key = inspector.get_pk_constraint(table.name)["constrained_columns"]
        defaults = [column["name"] for column in inspector.get_columns(table.name) if column["default"] is not None]
        sequences = [name for name in defaults if name in primary_key]
        schema[table.name] = (sorted(columns), primary_key, references, indexes, unique, defaults == sequences)
    engine.dispose()
    return schema


@pytest.fixture
def fresh(request, tmp_path, url) -> str:
    """Another empty database of the same kind."""
    if url.startswith("sqlite"):
        return f"sqlite:///{tmp_path / 'fresh.db'}"
    return str(request.getfixturevalue("postgres").new_database())


def test_a_copy_of_every_version_is_kept():
    assert HISTORY.revisions() == KEPT
    kept = {path.name for path in SCHEMAS.iterdir()}
    assert kept == {f"version_{version}.{kind}.sql" for version in KEPT for kind in ("sqlite", "postgresql")}


@pytest.mark.parametrize("version", KEPT)
def test_an_upgraded_ledger_keeps_its_data(url, version):
    create_ledger(url, version).dispose()
    for _ in range(2):
        ledger = Ledger(url)
        record = ledger.campaigns.get("river")
        assert (record.state, record.remote_id, record.images) == (State.ACTIVE, "4", 2)
        assert [entry.image.name for entry in ledger.manifests.entries("river")] == ["B.jpg", "a.jpg"]
        assert len(ledger.campaigns.moves("river")) == len(ledger.manifests.rejects("river")) == 1
        assert [dataset["version"] for dataset in ledger.campaigns.datasets("river")] == ["1"]
        created, activated = (ledger.effects.find("river", step) for step in ("create campaign", "activate"))
        assert created.done_at.isoformat() == "2026-11-01T08:00:01+00:00"
        assert activated.done_at is None, "an interrupted effect is still looked for"
        ledger.close()
    ledger = Ledger(url)
    before = [event.kind for event in ledger.outbox.waiting()]
    ledger.campaigns.record_look("river", 2, 2)
    ledger.campaigns.move("river", State.COMPLETED)
    with ledger.leases.held("campaign river", "test"):
        assert [event.kind for event in ledger.outbox.waiting()] == [*before, "progressed", "completed"]
    assert before == ([] if version == "1" else ["activated"])
    ledger.campaigns.forget("river")
    assert ledger.effects.all("river") == [], "what refers to a campaign is deleted with it"
    ledger.close()


@pytest.mark.parametrize("version", KEPT)
def test_an_upgraded_ledger_has_the_tables_of_a_new_one(url, fresh, version):
    create_ledger(url, version).dispose()
    Ledger(url).close()
    Ledger(fresh).close()
    upgraded, new = schema_of(url), schema_of(fresh)
    assert upgraded.keys() == new.keys()
    for table, schema in new.items():
        assert upgraded[table] == schema, table


def test_the_revisions_alone_make_the_tables_of_a_new_ledger(url, fresh):
    engine = plain_engine(url)
    with engine.begin() as connection:
        HISTORY.upgrade(connection)
    engine.dispose()
    Ledger(fresh).close()
    assert schema_of(url) == schema_of(fresh)


@pytest.mark.parametrize(("version", "host"), [("3", ""), ("7", ""), ("8", "worker-1"), ("10", "worker-1")])
def test_datasets_of_earlier_versions_have_their_store_and_no_machine(url, version, host):
    create_ledger(url, version).dispose()
    ledger = Ledger(url)
    (dataset,) = ledger.campaigns.datasets("river")
    assert (dataset["store_identity"], dataset["host"]) == ("" if version == "3" else "local /datasets", host)
    assert [record.host for record in ledger.labeler_keys.all()] == ([host] if host else [])
    again = DatasetVersion("river_labels", "1", dataset["location"], dataset["content_hash"], host="here", store="s")
    ledger.campaigns.record_dataset("river", again)
    (dataset,) = ledger.campaigns.datasets("river")
    assert (dataset["store_identity"], dataset["host"]) == ("s", "here")
    ledger.close()


@pytest.mark.parametrize("version", ["1", "8", "9", "10"])
def test_frames_of_videos_are_kept_from_version_9_on(url, version):
    create_ledger(url, version).dispose()
    ledger = Ledger(url)
    frame = VideoFrame("a.mp4", 150, 5.005) if int(version) >= 9 else None
    assert [entry.frame for entry in ledger.manifests.entries("river")] == [None, frame]
    row = list(ledger.manifests.image_rows("river"))[1]
    assert (row.video, row.frame, row.time_seconds) == (("a.mp4", 150, 5.005) if frame else (None, None, None))
    ledger.close()


@pytest.mark.parametrize(("version", "count"), [("1", 0), ("9", 0), ("10", 2)])
def test_unanswered_notes_are_kept_from_version_10_on(url, version, count):
    create_ledger(url, version).dispose()
    ledger = Ledger(url)
    assert ledger.campaigns.get("river").unanswered_notes == count
    ledger.campaigns.record_unanswered_notes("river", 5)
    assert ledger.campaigns.get("river").unanswered_notes == 5
    ledger.close()


# A launch and an export in the middle, in version 4

STORE = {"store": "azure_ml", "workspace": "team a"}
ITEMS: list[tuple[str, str, str | None, EffectItem]] = [
    ("create image set", "", "3", EffectItem()),
    ("send images", "1", "2 images", EffectItem(batch=1)),
    ("send images", "2", None, EffectItem(batch=2)),
    ("add images", "1-2000", "added", EffectItem(first_image=1, last_image=2000)),
    ("add images", "2001-2500", None, EffectItem(first_image=2001, last_image=2500)),
    ("start launch", "planned-0-1", "here", EffectItem(generation=0, attempt=1)),
    ("start launch", "uploading-1-1", "0d9e", EffectItem(generation=1, attempt=1)),
    ("start launch", "uploading-1-2", None, EffectItem(generation=1, attempt=2)),
    ("keep the images", "azure_ml team a", None, EffectItem(**STORE)),
    ("keep images", "azure_ml team a 0123456789ab 1-500", "done", EffectItem(**STORE, folder="0123456789ab", first_image=1, last_image=500)),  # noqa: E501
    ("repair the images", "local ", None, EffectItem(store="local")),
    ("keep images", "local  0123456789ab 1-2", None, EffectItem(store="local", folder="0123456789ab", first_image=1, last_image=2)),  # noqa: E501
    ("images gone from the platform", "2026-11-01 08:00:00", "2 of 9", EffectItem(attempt=1)),
    ("images gone from the platform", "2026-11-02 08:00:00", "3 of 9", EffectItem(attempt=2)),
    ("a step of long ago", "1-2-3", "ok", EffectItem(earlier_item="1-2-3")),
    ("start finish", "by hand", None, EffectItem(earlier_item="by hand")),
]  # fmt: skip
"""Step, item and outcome in version 4, and the item of now."""


def insert_effects(connection: Connection) -> None:
    for number, (step, item, outcome, _) in enumerate(ITEMS):
        moment = f"2026-11-01 09:00:{number:02}.000000"
        moment += "+00:00" if connection.dialect.name == "postgresql" else ""
        row = {"step": step, "item": item, "at": moment, "done": moment if outcome else None, "outcome": outcome}
        connection.execute(text("INSERT INTO effects VALUES ('river', :step, :item, :at, :done, :outcome)"), row)


@pytest.fixture
def interrupted(url) -> str:
    """A version 4 ledger, its processes killed between intents and outcomes."""
    engine = create_ledger(url, "4")
    with engine.begin() as connection:
        insert_effects(connection)
        lease = "'campaign river', 't', 'the launch', NULL, 'host pid:[1] 4711 99', :at, :at, 3"
        at = "2026-11-01 09:00:00+00:00" if engine.dialect.name == "postgresql" else "2026-11-01 09:00:00.000000"
        connection.execute(text(f"INSERT INTO leases VALUES ({lease})"), {"at": at})
        connection.execute(text(f"INSERT INTO leases VALUES ({lease.replace('river', 'lake')})"), {"at": at})
        connection.execute(text("UPDATE leases SET process = 'mac 12 ?' WHERE name = 'campaign lake'"))
    engine.dispose()
    return url


def test_items_become_columns_and_nothing_is_lost(interrupted):
    ledger = Ledger(interrupted)
    for number, (step, _, outcome, item) in enumerate(ITEMS):
        effect = ledger.effects.find("river", step, item)
        assert effect is not None, (step, item)
        assert (effect.outcome, effect.done_at is not None) == (outcome, outcome is not None)
        assert effect.intended_at.isoformat() == f"2026-11-01T09:00:{number:02}+00:00"
    assert len(ledger.effects.all("river")) == len(ITEMS) + 2, "and those of the copy"
    ledger.close()


def test_an_interrupted_launch_goes_on_and_does_nothing_twice(interrupted):
    ledger, acts = Ledger(interrupted), []

    def once(step: str, item: EffectItem, look: Callable[[], str | None]) -> str:
        return ledger.effects.once("river", step, lambda: acts.append((step, item)) or "now", look=look, item=item)

    for _ in range(2):
        for step, _, outcome, item in ITEMS:
            if outcome:
                assert once(step, item, lambda: pytest.fail("looked for what is done")) == outcome
            elif step == "send images":
                assert once(step, item, lambda: "found") == "found", "it had happened before the kill"
            else:
                assert once(step, item, lambda: None) == "now"
    assert acts == [(step, item) for step, _, outcome, item in ITEMS if not outcome and step != "send images"]
    ledger.close()


def test_attempts_batches_and_stores_are_found_by_value(interrupted):
    ledger = Ledger(interrupted)
    assert [effect.item.attempt for effect in ledger.effects.attempts("river", "start launch", 1)] == [1, 2]
    (kept,) = ledger.effects.in_store("river", "keep images", "azure_ml", "team a")
    assert (kept.item.first_image, kept.item.last_image) == (1, 500)
    assert [effect.item.batch for effect in ledger.effects.of_step("river", "send images")] == [1, 2]
    ledger.close()


def test_leases_of_processes_of_the_earlier_version_stay(interrupted):
    ledger = Ledger(interrupted)
    river, lake = (ledger.leases.find(f"campaign {title}") for title in ("river", "lake"))
    assert river.process == Process("host pid:[1]", 4711, "99")
    assert lake.process == Process("mac", 12, None)
    assert (river.token, river.holder, river.renewals) == ("t", "the launch", 3)
    ledger.close()


@pytest.mark.parametrize("statement", ["SELECT item FROM effects", "SELECT process FROM leases"])
def test_an_older_program_that_still_runs_fails_before_it_acts(interrupted, statement):
    Ledger(interrupted).close()
    engine = plain_engine(interrupted)
    with engine.connect() as connection, pytest.raises(Exception, match=r"no such column|does not exist"):
        connection.execute(text(statement))
    engine.dispose()


# Several at once, failures, later versions


@pytest.mark.parametrize("version", ["1", "4"])
def test_several_that_start_at_once_on_an_older_ledger_all_start(url, version):
    create_ledger(url, version).dispose()
    errors: list[Exception] = []

    def start() -> None:
        try:
            Ledger(url).close()
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


@pytest.mark.parametrize("version", ["1", "3", "4"])
def test_an_upgrade_that_fails_changes_nothing(url, monkeypatch, version):
    from alembic import op

    engine = create_ledger(url, version)
    before = inspect(engine).get_table_names()
    with monkeypatch.context() as patch:
        patch.setattr(op, "batch_alter_table", lambda table: 1 / 0)  # the last statement of the last revision
        with pytest.raises(ZeroDivisionError):
            Ledger(url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT value FROM facts")).all() == [(version,)]
        assert inspect(connection).get_table_names() == before
        assert "item" in [column["name"] for column in inspect(connection).get_columns("effects")]
    engine.dispose()
    Ledger(url).close()


def test_a_ledger_of_a_later_version_is_refused_and_left_alone(url):
    Ledger(url).close()
    engine = plain_engine(url)
    with engine.begin() as later:
        later.execute(text("UPDATE facts SET value = '99'"))
        later.execute(text("DROP TABLE leases"))
    with pytest.raises(LedgerError, match="version 99"):
        Ledger(url)
    assert not inspect(engine).has_table("leases")
    engine.dispose()


@pytest.mark.parametrize("version", KEPT)
def test_counts_of_what_is_left_out_are_kept_from_version_4_on(url, version):
    create_ledger(url, version).dispose()
    ledger = Ledger(url)
    assert ledger.left_out.find("river").shapes == ({"polyline": 3} if int(version) >= 4 else {})
    ledger.left_out.record("river", LeftOutCounts({"cuboid": 1}))
    assert ledger.left_out.find("river").shapes == {"cuboid": 1}
    ledger.close()
