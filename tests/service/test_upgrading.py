"""A database of every released revision is taken up by this version, with all that it held, on both databases."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from labelwright.service.database import HISTORY, Database

from .conftest import Caller, Serve, thing
from .postgres import Postgres
from .test_migrations import differences, indexes

SCHEMAS = Path(__file__).parent / "schemas"
KEPT = sorted(path.name.split(".")[0].removeprefix("revision_") for path in SCHEMAS.glob("*.sqlite.sql"))


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    yield server
    server.stop()


@pytest.fixture(params=KEPT)
def revision(request) -> str:
    return str(request.param)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def kind(request) -> str:
    return str(request.param)


@pytest.fixture
def script(revision, kind) -> str:
    return (SCHEMAS / f"revision_{revision}.{kind}.sql").read_text(encoding="utf-8")


@pytest.fixture
def url(request, script, kind, tmp_path) -> str | None:
    """Of a database as that revision left it; None for the file in the data directory."""
    (tmp_path / "data").mkdir()
    if kind == "sqlite":
        with sqlite3.connect(tmp_path / "data" / "labelwright.sqlite3") as connection:
            connection.executescript(script)
        connection.close()
        return None
    import psycopg

    database_url = request.getfixturevalue("postgres").new_database()
    with psycopg.connect(database_url) as connection:
        connection.execute(script)
    return str(database_url)


def test_a_copy_of_every_revision_is_kept():
    assert HISTORY.revisions() == KEPT
    assert {path.name for path in SCHEMAS.iterdir()} == {
        f"revision_{revision}.{kind}.sql" for revision in KEPT for kind in ("sqlite", "postgresql")
    }


def test_an_upgraded_database_has_the_tables_of_a_new_one(url, tmp_path, request, kind):
    (tmp_path / "new").mkdir()
    old = Database(tmp_path / "data", url)
    new = Database(tmp_path / "new", url and request.getfixturevalue("postgres").new_database())
    with old.read() as upgraded, new.read() as fresh:
        assert differences(upgraded) == []
        assert indexes(upgraded) == indexes(fresh)
    old.close()
    new.close()


def test_campaigns_of_an_upgraded_database_go_on(url, script, serve: Serve, tmp_path):
    key, secret = script.splitlines()[1].split()[-2:]
    for _ in range(2):  # the second start finds it upgraded
        with serve(tmp_path / "data", database_url=url) as service:
            assert service.get("/campaigns/1")["progress"]["total"] == 3
    with serve(tmp_path / "data", database_url=url) as service:
        (campaign,) = service.get("/campaigns")["campaigns"]
        assert (campaign["title"], campaign["status"], campaign["progress"]["done"]) == ("river", "active", 1)
        labeler = Caller(service.url, key, secret)
        (labeled,) = [image for image in service.get("/campaigns/1/objects")["images"] if image["objects"]]
        assert [image["label"] for image in labeled["objects"]] == ["Plastic"]
        left = [image["image_id"] for image in labeler.get("/campaigns/1/images")["images"] if not image["done"]]
        labeler.ok("PUT", "/campaigns/1/objects", [{"image_id": image, "objects": [thing()]} for image in left])
        assert service.get("/campaigns/1")["status"] == "completed"
        # What is made now takes numbers that nothing of before has.
        created, _, _ = service.campaign(0, active=False, labeler_email="partner@example.com")
        assert created["campaign_id"] == 2
