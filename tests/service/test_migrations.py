"""The schema has a history, and the tables in the code are its newest state."""

from __future__ import annotations

import sqlite3

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Column, Integer, MetaData, Table, create_engine, insert, inspect, text

from labelwright.service import ServiceConfig
from labelwright.service.app import create_app
from labelwright.service.database import HISTORY, Database, metadata
from labelwright.service.migrations import BASELINE, SchemaRefused


def differences(connection):
    context = MigrationContext.configure(connection, opts={"version_table": HISTORY.version_table})
    return compare_metadata(context, metadata)


def indexes(connection):
    """What `compare_metadata` does not look at closely: keys, and what is unique."""
    inspector = inspect(connection)
    return {
        table: (
            inspector.get_pk_constraint(table)["constrained_columns"],
            sorted(tuple(key["column_names"]) for key in inspector.get_unique_constraints(table)),
            sorted(
                (index["name"], tuple(index["column_names"]), index["unique"]) for index in inspector.get_indexes(table)
            ),
            sorted(
                (tuple(key["constrained_columns"]), key["referred_table"]) for key in inspector.get_foreign_keys(table)
            ),
        )
        for table in metadata.tables
    }


def test_every_change_of_a_table_has_its_migration(tmp_path):
    database = Database(tmp_path)
    plain = create_engine("sqlite://")
    with database.read() as migrated, plain.begin() as made_at_once:
        metadata.create_all(made_at_once)
        assert differences(migrated) == []
        assert indexes(migrated) == indexes(made_at_once)
    database.close()


def test_a_column_without_a_migration_would_be_noticed(tmp_path):
    database = Database(tmp_path)
    grown = MetaData()
    for table in metadata.tables.values():
        table.to_metadata(grown)
    Table("users", grown, Column("surprise", Integer), extend_existing=True)
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": HISTORY.version_table})
        (difference,) = compare_metadata(context, grown)
    assert difference[0] == "add_column"
    database.close()


def test_a_database_from_before_migrations_keeps_what_is_in_it(tmp_path):
    old = create_engine(f"sqlite:///{tmp_path / 'labelwright.sqlite3'}")
    with old.begin() as connection:
        HISTORY.upgrade(connection, BASELINE)
        connection.execute(text(f"drop table {HISTORY.version_table}"))
        connection.execute(insert(metadata.tables["containers"]).values(name="kept", sealed=False))
    old.dispose()
    for _ in range(2):  # the second start finds it stamped
        database = Database(tmp_path)
        with database.read() as connection:
            assert connection.execute(text("select name from containers")).scalars().all() == ["kept"]
            assert connection.execute(text(f"select version_num from {HISTORY.version_table}")).scalar_one() >= BASELINE
        database.close()


def test_a_database_of_a_newer_version_is_refused_and_left_alone(tmp_path):
    create_app(ServiceConfig(tmp_path))
    rows = sqlite3.connect(tmp_path / "labelwright.sqlite3")
    with rows:
        rows.execute(f"update {HISTORY.version_table} set version_num = '9999'")
    with pytest.raises(SchemaRefused, match=r"at schema '9999'.*a newer version has used it. Install that version"):
        create_app(ServiceConfig(tmp_path))
    assert rows.execute(f"select version_num from {HISTORY.version_table}").fetchall() == [("9999",)]
    rows.close()


def test_a_database_of_something_else_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "other.sqlite3"
    rows = sqlite3.connect(path)
    with rows:
        rows.execute("create table users (id integer primary key, name text)")
    with pytest.raises(SchemaRefused, match="Give the service a database of its own"):
        Database(tmp_path, f"sqlite:///{path}")
    assert rows.execute("select name from sqlite_master").fetchall() == [("users",)]
    rows.close()


def test_a_migration_that_fails_leaves_the_database_as_it_was(tmp_path, monkeypatch):
    from alembic import op

    create_table = op.create_table

    def fail(name, *rest, **more):
        if name == "images":
            raise OSError("the disk is full")
        return create_table(name, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(op, "create_table", fail)
        with pytest.raises(OSError, match="disk is full"):
            Database(tmp_path)
    database = Database(tmp_path)
    with database.read() as connection:
        assert differences(connection) == []
    database.close()
