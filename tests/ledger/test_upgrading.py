"""A ledger of an earlier version is taken up by this one, on both databases, from a copy of every version there was.

The present version's copy is there too: it is what the next one will find, and it tells when tables change and their
version does not.
"""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, make_url, text
from sqlalchemy.engine import Engine

from labelwright.domain import LeftOutCounts, State
from labelwright.ledger import Ledger, LedgerError
from labelwright.ledger.tables import SCHEMA_VERSION, metadata
from labelwright.ledger.upgrading import UPGRADES

SCHEMAS = Path(__file__).parent / "schemas"
OLD = sorted(UPGRADES)
KEPT = [*OLD, SCHEMA_VERSION]


def plain(url: str) -> Engine:
    made = make_url(url)
    return create_engine(made.set(drivername="postgresql+psycopg") if made.drivername == "postgresql" else made)


def lay_down(url: str, version: str) -> Engine:
    """A database as that version left it."""
    engine = plain(url)
    script = (SCHEMAS / f"version_{version}.{engine.dialect.name}.sql").read_text()
    with engine.begin() as connection:
        for statement in script.split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)
    return engine


def shape(url: str) -> dict[str, object]:
    """Columns with their types and collations, keys, references, indexes."""
    engine = plain(url)
    told: dict[str, object] = {}
    for table in metadata.sorted_tables:
        seen = inspect(engine)
        columns = [
            (c["name"], str(c["type"]), getattr(c["type"], "collation", None), c["nullable"])
            for c in seen.get_columns(table.name)
        ]
        references = [
            (k["constrained_columns"], k["referred_table"], k["options"]) for k in seen.get_foreign_keys(table.name)
        ]
        indexes = sorted((i["name"], tuple(i["column_names"])) for i in seen.get_indexes(table.name))
        unique = sorted(tuple(u["column_names"]) for u in seen.get_unique_constraints(table.name))
        told[table.name] = (
            sorted(columns),
            seen.get_pk_constraint(table.name)["constrained_columns"],
            references,
            (indexes, unique),
        )
    engine.dispose()
    return told


@pytest.fixture
def fresh(request, tmp_path, url) -> str:
    """Another empty database of the same kind."""
    if url.startswith("sqlite"):
        return f"sqlite:///{tmp_path / 'fresh.db'}"
    return str(request.getfixturevalue("postgres").new_database())


def test_every_version_is_kept():
    assert [str(number) for number in range(1, int(SCHEMA_VERSION))] == OLD
    kept = {path.name for path in SCHEMAS.iterdir()}
    assert kept == {f"version_{version}.{kind}.sql" for version in KEPT for kind in ("sqlite", "postgresql")}


@pytest.mark.parametrize("version", KEPT)
def test_an_older_ledger_goes_on_with_all_that_it_held(url, version):
    lay_down(url, version).dispose()
    for _ in range(2):
        ledger = Ledger(url)
        record = ledger.campaigns.get("river")
        assert (record.state, record.remote_id, record.images) == (State.ACTIVE, "4", 2)
        assert [entry.image.name for entry in ledger.manifests.entries("river")] == ["B.jpg", "a.jpg"]
        assert len(ledger.campaigns.moves("river")) == len(ledger.manifests.rejects("river")) == 1
        assert [one["version"] for one in ledger.campaigns.datasets("river")] == ["1"]
        created, activated = (ledger.effects.find("river", step) for step in ("create campaign", "activate"))
        assert created.done_at.isoformat() == "2026-11-01T08:00:01+00:00"
        assert activated.done_at is None, "what nobody knew is still looked up"
        ledger.close()
    ledger = Ledger(url)
    before = [event.kind for event in ledger.outbox.waiting()]
    ledger.campaigns.record_look("river", 2, 2)
    ledger.campaigns.move("river", State.COMPLETED)
    with ledger.leases.held("campaign river", "test"):
        assert [event.kind for event in ledger.outbox.waiting()] == [*before, "progressed", "completed"]
    assert before == ([] if version == "1" else ["activated"])
    ledger.campaigns.forget("river")
    assert ledger.effects.all("river") == [], "what refers to a campaign still goes with it"
    ledger.close()


@pytest.mark.parametrize("version", KEPT)
def test_an_upgraded_ledger_has_the_tables_of_a_new_one(url, fresh, version):
    lay_down(url, version).dispose()
    Ledger(url).close()
    Ledger(fresh).close()
    upgraded, new = shape(url), shape(fresh)
    assert upgraded.keys() == new.keys()
    for table, made in new.items():
        assert upgraded[table] == made, table


def test_several_that_start_at_once_on_an_older_ledger_all_start(url):
    lay_down(url, "1").dispose()
    faults: list[Exception] = []

    def start() -> None:
        try:
            Ledger(url).close()
        except Exception as error:  # noqa: BLE001
            faults.append(error)

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


def test_an_upgrade_that_fails_changes_nothing(url, monkeypatch):
    engine = lay_down(url, "1")
    with monkeypatch.context() as patch:
        patch.setitem(UPGRADES, "2", ("3", lambda connection: 1 / 0))
        with pytest.raises(ZeroDivisionError):
            Ledger(url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT value FROM facts")).all() == [("1",)]
    assert not inspect(engine).has_table("leases")
    engine.dispose()
    Ledger(url).close()


def test_a_ledger_of_a_later_version_is_refused_and_left_alone(url):
    Ledger(url).close()
    engine = plain(url)
    with engine.begin() as later:
        later.execute(text("UPDATE facts SET value = '99'"))
        later.execute(text("DROP TABLE leases"))
    with pytest.raises(LedgerError, match="version 99"):
        Ledger(url)
    assert not inspect(engine).has_table("leases")
    engine.dispose()


@pytest.mark.parametrize("version", KEPT)
def test_counts_of_what_is_left_out_are_kept_from_version_4_on(url, version):
    lay_down(url, version).dispose()
    ledger = Ledger(url)
    assert ledger.left_out.find("river").shapes == ({"polyline": 3} if version >= "4" else {})
    ledger.left_out.record("river", LeftOutCounts({"cuboid": 1}))
    assert ledger.left_out.find("river").shapes == {"cuboid": 1}
    ledger.close()
