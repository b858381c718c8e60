"""`labelwright serve` where its disk or its database does not take what it writes."""

from __future__ import annotations

import errno
import os
import socket
import sqlite3
from collections.abc import Iterator

import pytest
from sqlalchemy.exc import OperationalError

from labelwright.cli.exit_codes import exit_code
from labelwright.cli.serve import serve_until_stopped
from labelwright.domain.errors import CannotRun
from labelwright.local.servers import NotStarted
from labelwright.service import run
from labelwright.settings import forget_settings


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Iterator:
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path / "home"))
    forget_settings()
    before = os.umask(0o022)
    yield tmp_path / "home"
    os.umask(before)
    forget_settings()


@pytest.mark.parametrize(
    "message", ["database or disk is full", "attempt to write a readonly database", "disk I/O error"]
)
def test_a_full_or_read_only_disk_names_the_service_database(home, monkeypatch, message):
    def create_app(_config, _mounts):
        raise OperationalError("PRAGMA journal_mode=WAL", {}, sqlite3.OperationalError(message))

    monkeypatch.setattr(run, "create_app", create_app)
    with pytest.raises(NotStarted) as refused:
        serve_until_stopped("127.0.0.1", 0, None)
    assert f"its database {home / 'service' / 'labelwright.sqlite3'}: {message}" in str(refused.value)
    assert "ledger" not in str(refused.value)
    assert exit_code(refused.value) == 4


def test_a_database_that_cannot_be_opened_is_named(home):
    (home / "service" / "labelwright.sqlite3").mkdir(parents=True)
    with pytest.raises(NotStarted, match=r"labelwright\.sqlite3"):
        serve_until_stopped("127.0.0.1", 0, None)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_a_folder_that_cannot_be_made_is_named(home, monkeypatch, code):
    def mkdir(self, *_arguments, **_options):
        raise OSError(code, os.strerror(code), str(self))

    monkeypatch.setattr("pathlib.Path.mkdir", mkdir)
    with pytest.raises(NotStarted, match=f"cannot write .*: {os.strerror(code)}"):
        serve_until_stopped("127.0.0.1", 0, None)


def test_a_taken_port_is_refused():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(CannotRun, match=f"cannot listen on 127.0.0.1:{port}: .*Give another --port"):
            serve_until_stopped("127.0.0.1", port, None)
