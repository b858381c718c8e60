"""The service on a real PostgreSQL: the same tests as on SQLite, and what only a database for many can get wrong."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.storage.blob import ContainerClient
from sqlalchemy import select, text

from labelwright.database import WRITES, DatabaseRefused, lock_number
from labelwright.service.app import create_app
from labelwright.service.database import Database, images, metadata

from .conftest import Serve, Service, Serving, config_of
from .postgres import ADVICE, Postgres
from .test_at_once import *  # noqa: F403
from .test_campaigns import *  # noqa: F403
from .test_migrations import differences, indexes
from .test_notebook import *  # noqa: F403
from .test_objects import *  # noqa: F403
from .test_sealing import *  # noqa: F403
from .test_sealing import test_sealing_goes_on_after_the_service_was_killed_half_way as _reads_the_sqlite_file

del globals()[_reads_the_sqlite_file.__name__]

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def service(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    config = config_of(tmp_path_factory.mktemp("service"), database_url=postgres.new_database())
    with Serving(config) as running:
        yield running


@pytest.fixture
def serve(postgres: Postgres, tmp_path: Path) -> Serve:
    databases: dict[Path, str] = {}

    def start(data_dir: Path = tmp_path / "data", **settings):
        url = databases.setdefault(data_dir, "") or postgres.new_database()
        databases[data_dir] = url
        return Serving(config_of(data_dir, database_url=url, **settings))

    return start


def test_nothing_of_the_service_is_in_an_sqlite_file(serve, make, tmp_path):
    with serve() as service:
        service.set_of({"a.png": make.picture(9, 9)})
    assert not list((tmp_path / "data").glob("*.sqlite3"))


def test_the_schema_is_that_of_the_code(postgres, tmp_path):
    database, plain = Database(tmp_path, postgres.new_database()), Database(tmp_path, postgres.new_database())
    with plain.write() as at_once:
        metadata.drop_all(at_once)
        metadata.create_all(at_once)
    with database.read() as migrated, plain.read() as at_once:
        assert differences(migrated) == []
        assert indexes(migrated) == indexes(at_once)
        sorted_by = "select table_name, column_name, collation_name from information_schema.columns order by 1, 2"
        ours = [row for row in at_once.execute(text(sorted_by)) if row[0] in metadata.tables]
        assert [row for row in migrated.execute(text(sorted_by)) if row[0] in metadata.tables] == ours
        assert ("blobs", "name", "C") in [tuple(row) for row in ours]
    plain.close()
    database.close()


def test_a_migration_is_undone_whole_when_it_fails(postgres, tmp_path, monkeypatch):
    from alembic import op

    url, create_table = postgres.new_database(), op.create_table
    with monkeypatch.context() as patch:
        patch.setattr(op, "create_table", lambda name, *rest: create_table(name, *rest) if name != "images" else 1 / 0)
        with pytest.raises(ZeroDivisionError):
            Database(tmp_path, url)
    Database(tmp_path, url).close()


def test_tables_of_others_are_left_alone(postgres, tmp_path):
    import psycopg

    url = postgres.new_database()
    with psycopg.connect(url) as connection:
        connection.execute("create table alembic_version (version_num text)")
        connection.execute("insert into alembic_version values ('of another program')")
    database = Database(tmp_path, url)
    with database.read() as connection:
        rows = connection.execute(text("select version_num from alembic_version")).scalars()
        assert list(rows) == ["of another program"]
    database.close()


def test_two_that_start_at_once_on_an_empty_database_both_start(postgres, tmp_path):
    url, faults = postgres.new_database(), []

    def start():
        try:
            Database(tmp_path, url).close()
        except Exception as error:  # noqa: BLE001
            faults.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


def test_a_database_that_is_not_utf8_is_refused(postgres, tmp_path):
    latin = postgres.new_database(
        "encoding 'LATIN1' locale_provider libc lc_collate 'C' lc_ctype 'C' template template0"
    )
    with pytest.raises(DatabaseRefused, match="encoded in LATIN1"):
        Database(tmp_path, latin)


@pytest.mark.parametrize("url", ["mysql://u:hunter2@h/n", "hunter2"])
def test_a_refused_url_does_not_show_its_password(tmp_path, url):
    with pytest.raises(DatabaseRefused) as refusal:
        Database(tmp_path, url)
    assert "hunter2" not in str(refusal.value)
    assert "hunter2" not in repr(config_of(tmp_path, database_url=url))


def test_names_are_sorted_by_code_point(service, make, postgres, tmp_path):
    database = Database(tmp_path, postgres.new_database())
    with database.read() as connection:
        assert connection.execute(text("select 'a' < 'B' and 'é' < 'z'")).scalar_one(), "this server sorts as English"
    database.close()
    names = ["a.png", "B.png", "é.png", "z.png", "Z.png", "_.png", "\U0001f98a.png", "\uff41.png"]
    image_set = service.set_of({name: make.picture(9, 9) for name in names})
    assert [image["file_name"] for image in service.images_of(image_set["imageset_id"])] == sorted(names)


def test_texts_and_numbers_that_postgres_lacks_get_sqlites_responses(service, make):
    assert service.get("/campaigns", params={"title": "a\0b"})["campaigns"] == []
    assert service.get("/image_sets", params={"title": "a\0b"})["image_sets"] == []
    order = {"title": make.fresh("nul"), "metadata": {"a": "\0"}, "labeler_email": "a@example.com"}
    assert service.ok("POST", "/campaigns", order)["metadata"] == {"a": "\0"}
    refused = service("POST", "/campaigns", {**order, "title": make.fresh("nul"), "instructions": "a\0"})
    assert refused.status_code == 422
    assert service("GET", f"/images/{2**63 - 1}").status_code == 404
    assert service("GET", f"/campaigns/{2**31}").status_code == 404
    for path in ("/images", "/campaigns", "/image_sets", "/campaigns/1/objects"):
        assert service("GET", path, params={"page": 10**9, "per_page": 10_000}).status_code == 200, path


def test_only_a_name_too_long_for_an_index_is_refused(service, make):
    import random

    image_set, dice = service.image_set("x" * 100), random.Random(1)
    longest = "".join(chr(dice.randrange(0x20000, 0x2A000)) for _ in range(620)) + ".png"
    with ContainerClient.from_container_url(image_set["dropbox_url"]) as dropbox:
        dropbox.upload_blob(longest, make.picture(9, 9))
        with pytest.raises(Exception, match="too long"):
            dropbox.upload_blob(longest[:-4] * 2, b"")
        assert [blob.name for blob in dropbox.list_blobs()] == [longest]
    assert service.seal(image_set["imageset_id"])["image_count"] == 1


def test_pages_of_images_are_whole_to_the_last(service, make):
    image_set = service.set_of({f"{number:02}.png": make.picture(9, 9) for number in range(25)})
    path, names, page = f"/image_sets/{image_set['imageset_id']}/images", [], 1
    while page:
        listed = service.get(path, params={"page": page, "per_page": 7})
        names += [image["file_name"] for image in listed["images"]]
        page = listed["pagination"]["next"]
    assert names == [f"{number:02}.png" for number in range(25)]


def test_writers_of_two_processes_go_one_after_the_other(postgres, tmp_path):
    url, entered = postgres.new_database(), threading.Event()
    first, second = Database(tmp_path, url), Database(tmp_path, url)

    def write():
        with second.write(durable=False):
            entered.set()

    other = threading.Thread(target=write)
    with first.write():
        other.start()
        assert not entered.wait(0.5)
        with second.read() as connection:
            assert connection.execute(select(images.c.id)).all() == [], "readers do not wait"
    assert entered.wait(120)
    other.join()
    first.close()
    second.close()


def test_only_one_process_seals(serve, make, postgres, tmp_path, monkeypatch):
    monkeypatch.setattr("labelwright.service.sealing.BUSY_SECONDS", 0.05)
    url = postgres.new_database()
    other = Database(tmp_path, url)
    with Serving(config_of(tmp_path / "data", database_url=url)) as service:
        image_set = service.image_set()
        with ContainerClient.from_container_url(image_set["dropbox_url"]) as dropbox:
            dropbox.upload_blob("a.png", make.picture(9, 9))
        with other.only_one("sealing") as alone:
            assert alone
            service.ok("PUT", f"/image_sets/{image_set['imageset_id']}", {"new_status": "finished"})
            time.sleep(0.5)
            assert service.get(f"/image_sets/{image_set['imageset_id']}")["status"] == "finishing"
            with other.only_one("sealing") as twice:
                assert not twice
        assert service.sealed(image_set["imageset_id"])["image_count"] == 1
    other.close()


def test_two_services_number_images_without_a_gap(postgres, make, tmp_path, monkeypatch):
    monkeypatch.setattr("labelwright.service.sealing.BUSY_SECONDS", 0.05)
    config = config_of(tmp_path / "data", database_url=postgres.new_database(), sealing_chunk=2)
    with Serving(config) as first, Serving(config) as second:
        faults: list[Exception] = []

        def fill(service):
            try:
                for number in range(4):
                    title = f"{service.url[-5:]}-{number}"
                    service.set_of({f"{n}.png": make.picture(9, 9) for n in range(7)}, title)
            except Exception as error:  # noqa: BLE001
                faults.append(error)

        threads = [threading.Thread(target=fill, args=(service,)) for service in (first, second)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert faults == []
        listed = second.get("/images")["images"]
        assert [image["image_id"] for image in listed] == list(range(1, 57))


SERVER = """
import sys
from pathlib import Path
from labelwright.service import ServiceConfig
from labelwright.service.run import serve
config = ServiceConfig(Path(sys.argv[1]), admin_key=sys.argv[2], admin_secret=sys.argv[3], database_url=sys.argv[4],
                       sealing_chunk=1, sealing_threads=1)
serve(config, lambda url: print(url, flush=True))
"""


def test_sealing_goes_on_after_the_service_was_killed(postgres, make, tmp_path):
    url = postgres.new_database()
    command = [sys.executable, "-c", SERVER, str(tmp_path / "data"), make.key, make.secret, url]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    names = [f"{number:02}.png" for number in range(20)]
    try:
        caller = make.caller(process.stdout.readline().strip(), make.key, make.secret)
        image_set = caller.ok("POST", "/image_sets", {"title": "killed", "metadata": None})
        slow = make.picture(2500, 2500)
        with ContainerClient.from_container_url(image_set["dropbox_url"]) as dropbox:
            for name in names:
                dropbox.upload_blob(name, slow)
        caller.ok("PUT", f"/image_sets/{image_set['imageset_id']}", {"new_status": "finished"})
        while caller.get("/images")["pagination"]["total"] < 3:
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    database = Database(tmp_path, url)
    with database.read() as connection:
        entered = connection.execute(select(images.c.id)).scalars().all()
    database.close()
    assert 3 <= len(entered) < 20
    with Serving(config_of(tmp_path / "data", database_url=url)) as service:
        service.sealed(image_set["imageset_id"])
        listed = service.images_of(image_set["imageset_id"])
        assert [image["file_name"] for image in listed] == names
        assert [image["image_id"] for image in listed] == list(range(1, 21))


def test_a_lost_connection_is_reopened(postgres, serve, make):
    with serve() as service:
        image_set = service.set_of({"a.png": make.picture(9, 9)})
        import psycopg

        (number,) = service.images_of(image_set["imageset_id"])
        others = "pid != pg_backend_pid() and datname is not null"
        cut = f"select pg_terminate_backend(pid) from pg_stat_activity where {others}"
        url = postgres.new_database()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(cut)
        assert service("GET", f"/images/{number['image_id']}").status_code == 200


def test_advice_is_given_where_there_is_no_server(monkeypatch, tmp_path):
    monkeypatch.setenv("LABELWRIGHT_POSTGRES", str(tmp_path))
    with pytest.raises(RuntimeError, match="apt-get install postgresql") as fault:
        Postgres()
    assert str(fault.value) == ADVICE


def test_the_whole_application_starts_on_it_twice(postgres, tmp_path):
    config = config_of(tmp_path, database_url=postgres.new_database())
    create_app(config)
    create_app(config)


@pytest.mark.parametrize("lock", ["writing", "table"])
def test_a_locked_database_is_503_while_it_lasts(postgres, make, tmp_path, lock):
    from labelwright.service import Limits

    url = postgres.new_database()
    with Serving(config_of(tmp_path / "data", database_url=url, limits=Limits(lock_seconds=0.2))) as service:
        database = Database(tmp_path, url)
        with database._engines.durable.execution_options(**{WRITES: None}).begin() as connection:
            if lock == "writing":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({lock_number('labelwright service: writing')})"))
            else:
                connection.execute(text("LOCK TABLE image_sets IN ACCESS EXCLUSIVE MODE"))
                assert service("GET", "/image_sets").status_code == 503
            response = service("POST", "/image_sets", {"title": "locked", "metadata": None})
            assert (response.status_code, response.json()["error"]["code"]) == (503, "unavailable")
            assert response.headers["Retry-After"]
        assert service.ok("POST", "/image_sets", {"title": "locked", "metadata": None})["title"] == "locked"
        database.close()
