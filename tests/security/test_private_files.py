"""The home folder and all databases are their owner's alone, whatever the umask, and older ones become so."""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from labelwright.ledger import Ledger
from labelwright.local import servers as local
from labelwright.security import private_files as private
from labelwright.security.private_files import private_database, private_folder
from labelwright.service import ServiceConfig
from labelwright.service.run import serving
from labelwright.settings import Settings


@pytest.fixture(autouse=True, params=[0o000, 0o022], ids=["umask 000", "umask 022"])
def umask(request) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, str]:
    paths = {".": folder} | {str(path.relative_to(folder)): path for path in folder.rglob("*")}
    return {name: oct(stat.S_IMODE(path.stat().st_mode))[2:] for name, path in paths.items()}


def test_ledger_and_home_are_private_from_the_start(tmp_path):
    home = tmp_path / "home"
    ledger = Ledger(Settings(home=home).ledger_address())
    with ledger.campaigns._database.write():
        modes_by_name = modes(home)
    ledger.close()
    assert modes_by_name["."] == "700"
    assert {"ledger.db", "ledger.db-wal", "ledger.db-shm"} <= modes_by_name.keys()
    assert {mode for name, mode in modes_by_name.items() if name != "."} == {"600"}


def test_an_existing_home_and_ledger_are_closed(tmp_path):
    home = tmp_path / "home"
    home.mkdir(mode=0o777)
    home.chmod(0o755)
    old = sqlite3.connect(home / "ledger.db")
    old.execute("PRAGMA journal_mode=WAL")
    old.execute("CREATE TABLE keeps_the_files (a)")
    for path in home.iterdir():
        path.chmod(0o644)
    private_folder(home)
    private_database(home / "ledger.db")
    assert modes(home) == {".": "700", "ledger.db": "600", "ledger.db-wal": "600", "ledger.db-shm": "600"}
    old.close()


def test_the_services_data_is_private(tmp_path):
    data = tmp_path / "data"
    data.mkdir(mode=0o777)
    with serving(ServiceConfig(data)):
        modes_by_name = modes(data)
    assert modes_by_name["."] == "700"
    for name in ("labelwright.sqlite3", "labelwright.sqlite3-wal", "admin.json", "identity.key", "signing.key"):
        assert modes_by_name[name] == "600", name


def test_a_home_that_cannot_be_closed_is_told_once_and_used(tmp_path, monkeypatch, caplog):
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o755)

    def chmod(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", chmod)
    private._warn.cache_clear()
    for _ in range(3):
        assert private_folder(home) == home
    (record,) = caplog.records
    assert str(home) in record.getMessage()
    assert "mode 755" in record.getMessage()
    assert "chmod" in record.getMessage()


def test_folders_above_that_were_missing_are_as_the_umask_says(tmp_path):
    """The demo's datasets are beside its home folder, and others may read them."""
    plain = tmp_path / "plain" / "folder"
    plain.mkdir(parents=True)
    private_folder(tmp_path / "a" / "b" / "c")
    modes_by_name = modes(tmp_path)
    assert modes_by_name["a/b/c"] == "700"
    assert {modes_by_name["a"], modes_by_name["a/b"]} == {modes_by_name["plain"], modes_by_name["plain/folder"]}


def test_a_mode_that_is_narrower_already_stays(tmp_path):
    path = tmp_path / "a.db"
    path.touch()
    path.chmod(0o400)
    private_database(path)
    assert modes(tmp_path)["a.db"] == "400"


@pytest.mark.parametrize("private_one", [True, False])
def test_what_a_server_of_ours_writes_is_private_and_so_is_its_log(tmp_path, private_one):
    """A worker's is not: its runs export datasets for others."""
    code = "import pathlib, time; pathlib.Path('made').mkdir(); pathlib.Path('made/file').touch(); time.sleep(60)"
    command = [sys.executable, "-c", f"import os; os.chdir({str(tmp_path)!r}); {code}"]

    def ready() -> str | None:
        return "here" if (tmp_path / "made" / "file").exists() else None

    log = tmp_path / "logs" / "it.log"
    server = local._begin("it", command, ready, log, {}, 60, keep=False, private=private_one).wait()
    server.stop()
    modes_by_name = modes(tmp_path)
    assert (modes_by_name["logs"], modes_by_name["logs/it.log"]) == ("700", "600")
    assert ((modes_by_name["made"], modes_by_name["made/file"]) == ("700", "600")) == private_one


def test_prefects_home_is_closed_before_its_server_starts(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(local, "_begin", lambda *arguments, **options: started.append((arguments, options)))
    (tmp_path / "prefect").mkdir(mode=0o755)
    (tmp_path / "prefect" / "prefect.db").touch(mode=0o644)
    local.begin_prefect(tmp_path)
    assert modes(tmp_path) == {".": "700", "prefect": "700", "prefect/prefect.db": "600"}
    assert started[0][1].get("private", True)
