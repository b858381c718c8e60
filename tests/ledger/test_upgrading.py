"""A ledger of an earlier version is taken up by this one."""

from __future__ import annotations

import sqlite3

import pytest

from labelwright.domain import State
from labelwright.ledger import Ledger, LedgerError

VERSION_1 = """
CREATE TABLE campaigns (title VARCHAR(200) PRIMARY KEY, state VARCHAR(30) NOT NULL, state_before VARCHAR(30),
  reason TEXT, spec JSON NOT NULL, image_set VARCHAR(200), remote_id VARCHAR(200), images INTEGER,
  done INTEGER NOT NULL, total INTEGER NOT NULL, created_at DATETIME NOT NULL, looked_at DATETIME);
CREATE TABLE facts (name VARCHAR(80) PRIMARY KEY, value VARCHAR(200) NOT NULL);
CREATE TABLE images (campaign VARCHAR(200) NOT NULL REFERENCES campaigns (title) ON DELETE CASCADE,
  name VARCHAR(1024) NOT NULL, position INTEGER, location TEXT NOT NULL, stamp VARCHAR(80), sha256 VARCHAR(64) NOT NULL,
  md5 VARCHAR(32) NOT NULL, bytes BIGINT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,
  format VARCHAR(20) NOT NULL, pass VARCHAR(32) NOT NULL, stored INTEGER NOT NULL, remote_id VARCHAR(200),
  PRIMARY KEY (campaign, name));
CREATE INDEX images_in_order ON images (campaign, position);
CREATE TABLE rejects (id INTEGER PRIMARY KEY, campaign VARCHAR(200) NOT NULL REFERENCES campaigns (title)
  ON DELETE CASCADE, name TEXT NOT NULL, reason TEXT NOT NULL);
CREATE TABLE effects (campaign VARCHAR(200) NOT NULL REFERENCES campaigns (title) ON DELETE CASCADE,
  step VARCHAR(80) NOT NULL, item VARCHAR(200) NOT NULL, intended_at DATETIME NOT NULL, done_at DATETIME, outcome TEXT,
  PRIMARY KEY (campaign, step, item));
CREATE TABLE moves (id INTEGER PRIMARY KEY, campaign VARCHAR(200) NOT NULL REFERENCES campaigns (title)
  ON DELETE CASCADE, was VARCHAR(30) NOT NULL, became VARCHAR(30) NOT NULL, at DATETIME NOT NULL, why TEXT);
CREATE TABLE datasets (campaign VARCHAR(200) NOT NULL REFERENCES campaigns (title) ON DELETE CASCADE,
  name VARCHAR(300) NOT NULL, version VARCHAR(50) NOT NULL, location TEXT NOT NULL, content_hash VARCHAR(64) NOT NULL,
  registered_at DATETIME NOT NULL, PRIMARY KEY (campaign, name, version));
INSERT INTO facts VALUES ('schema', '1');
INSERT INTO campaigns VALUES ('river', 'active', NULL, NULL, '{"title": "river"}', '3', '4', 7, 2, 7,
  '2026-11-01 08:00:00.000000', '2026-11-02 08:00:00.000000');
INSERT INTO moves VALUES (1, 'river', 'created', 'active', '2026-11-01 08:01:00.000000', NULL);
"""


def test_a_ledger_of_the_first_version_goes_on_with_all_that_it_held(tmp_path):
    path = tmp_path / "ledger.db"
    with sqlite3.connect(path) as old:
        old.executescript(VERSION_1)
    old.close()
    for _ in range(2):
        ledger = Ledger(f"sqlite:///{path}")
        record = ledger.campaigns.get("river")
        assert (record.state, record.remote_id, record.images) == (State.ACTIVE, "4", 7)
        assert len(ledger.campaigns.moves("river")) == 1
        ledger.close()
    ledger = Ledger(f"sqlite:///{path}")
    ledger.campaigns.record_look("river", 3, 7)
    ledger.campaigns.move("river", State.COMPLETED)
    with ledger.leases.held("campaign river", "test"):
        assert [event.kind for event in ledger.outbox.waiting()] == ["progressed", "completed"]
    with sqlite3.connect(path) as now:
        assert now.execute("SELECT value FROM facts").fetchall() == [("2",)]
        assert ("images_by_remote_id",) in now.execute("SELECT name FROM sqlite_master WHERE type = 'index'").fetchall()


def test_a_ledger_of_a_later_version_is_refused(tmp_path):
    path = tmp_path / "ledger.db"
    Ledger(f"sqlite:///{path}").close()
    with sqlite3.connect(path) as later:
        later.execute("UPDATE facts SET value = '99'")
    with pytest.raises(LedgerError, match="version 99"):
        Ledger(f"sqlite:///{path}")
