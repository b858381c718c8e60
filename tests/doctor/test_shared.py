"""What the doctor says about folders and keys that the machines of a team share."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from labelwright.campaigns.kept_keys import KeptKeys
from labelwright.campaigns.labeler_keys import LabelerKeys
from labelwright.doctor.findings import Finding, Level
from labelwright.doctor.shared import FOLDERS, KEYS, check_shared
from labelwright.domain import State
from labelwright.ledger import Ledger
from labelwright.platforms.protocol import LabelerAccess, Secret
from labelwright.prefect_integration.connections import CONNECTIONS
from labelwright.settings import Settings, forget_settings, settings

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()
ANN = LabelerAccess("ann@example.com", "key", Secret("canary"))


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """A ledger that counts as a team's, with a campaign of Ann's."""
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path))
    monkeypatch.setattr(Settings, "has_ledger_of_team", lambda _settings: True)
    monkeypatch.setattr(socket, "gethostname", lambda: "alpha")
    forget_settings()
    opened = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    export = {"store": "local", "folder": str(tmp_path / "datasets")}
    opened.campaigns.add("river", {"platform": "campaign_api", "labeler": ANN.email, "export": export})
    yield opened
    opened.close()
    forget_settings()


def folders(monkeypatch: pytest.MonkeyPatch, *shared: Path) -> list[Finding]:
    monkeypatch.setenv("LABELWRIGHT_SHARED_FOLDERS", json.dumps([str(folder) for folder in shared]))
    forget_settings()
    return [finding for finding in check_shared(settings()) if finding.area == FOLDERS]


def keys(monkeypatch: pytest.MonkeyPatch, *team_keys: str) -> list[Finding]:
    set_team_key(monkeypatch, *team_keys)
    return [finding for finding in check_shared(settings()) if finding.area == KEYS]


def set_team_key(monkeypatch: pytest.MonkeyPatch, *team_keys: str) -> None:
    if team_keys:
        monkeypatch.setenv("LABELWRIGHT_TEAM_KEY", " ".join(team_keys))
    else:
        monkeypatch.delenv("LABELWRIGHT_TEAM_KEY", raising=False)
    forget_settings()


def test_campaigns_that_write_into_a_folder_of_one_machine_are_named(ledger, monkeypatch, tmp_path):
    (finding,) = folders(monkeypatch)
    assert (finding.level, f"'river' ({tmp_path / 'datasets'})" in finding.message) == (Level.ERROR, True)
    (tmp_path / "datasets").mkdir()
    assert [finding.level for finding in folders(monkeypatch, tmp_path / "datasets")] == [Level.OK]
    ledger.campaigns.move("river", State.CANCELLED)
    (finding,) = folders(monkeypatch)
    assert (finding.level, "local export.folder are refused" in finding.message) == (Level.WARNING, True)


def test_a_shared_folder_has_to_be_here(ledger, monkeypatch, tmp_path):
    finding, *_ = folders(monkeypatch, tmp_path / "share")
    assert (finding.level, finding.message) == (Level.ERROR, f"{tmp_path / 'share'} is not on this machine")


def test_one_machine_shares_nothing(ledger, monkeypatch):
    monkeypatch.setattr(Settings, "has_ledger_of_team", lambda _settings: False)
    KeptKeys(settings(), ledger, CONNECTIONS).keep("campaign_api", ANN)
    assert [*folders(monkeypatch), *keys(monkeypatch)] == []


def test_keys_of_one_machine_are_counted_until_they_are_shared(ledger, monkeypatch, tmp_path):
    LabelerKeys(tmp_path).keep("campaign_api", ANN)
    for team_key in ([], [NEW]):
        (finding,) = keys(monkeypatch, *team_key)
        assert (finding.level, "ann@example.com on alpha" in finding.message) == (Level.WARNING, True)
        assert ("LABELWRIGHT_TEAM_KEY_FILE" in finding.advice) is (not team_key)
    KeptKeys(settings(), ledger, CONNECTIONS).share([("campaign_api", ANN.email)])
    (finding,) = keys(monkeypatch, NEW)
    assert (finding.level, finding.message[:19]) == (Level.OK, "1 are in the ledger")


def test_a_home_folder_that_all_share_holds_everybodys_keys(ledger, monkeypatch, tmp_path):
    KeptKeys(settings(), ledger, CONNECTIONS).keep("campaign_api", ANN)
    assert folders(monkeypatch, tmp_path)[-1].level is keys(monkeypatch)[0].level is Level.OK


@pytest.mark.parametrize(
    ("team_keys", "level", "message"),
    [
        ([OLD], Level.OK, "encrypted with the team's key"),
        ([NEW, OLD], Level.WARNING, "still encrypted with an earlier team key: ann@example.com"),
        ([NEW], Level.ERROR, "encrypted with another team key: ann@example.com"),
        ([], Level.ERROR, "a team key that this machine does not have"),
        (["no key"], Level.ERROR, "LABELWRIGHT_TEAM_KEY cannot be used"),
    ],
)
def test_a_team_key_is_compared_with_the_ledger(ledger, monkeypatch, team_keys, level, message):
    set_team_key(monkeypatch, OLD)
    KeptKeys(settings(), ledger, CONNECTIONS).keep("campaign_api", ANN)
    (finding,) = keys(monkeypatch, *team_keys)
    assert (finding.level, message in finding.message) == (level, True), finding
    assert "canary" not in str(finding)


def test_a_ledger_of_an_earlier_version_is_left_alone(ledger, monkeypatch, tmp_path):
    with ledger._database.write() as connection:
        connection.exec_driver_sql("UPDATE facts SET value = '6' WHERE name = 'schema'")
        connection.exec_driver_sql("DROP TABLE labeler_keys")
    assert [finding.level for finding in keys(monkeypatch)] == [Level.OK]
    assert folders(monkeypatch)[-1].level is Level.WARNING
