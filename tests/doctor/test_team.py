"""Settings of receiver, workers and ledger that differ, a ledger in a file beside several workers, dead workers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import Worker, WorkerStatus

from labelwright.doctor import team
from labelwright.doctor.findings import Finding, Level
from labelwright.doctor.workers import check_workers
from labelwright.ledger import Ledger
from labelwright.prefect_integration import client, deployments, team_settings
from labelwright.prefect_integration.team_settings import (
    DROP_CONTAINER,
    LEDGER,
    RECEIVER,
    WORKER,
    MachineSettings,
)
from labelwright.settings import forget_settings, settings

DROP = "https://photos.blob.core.windows.net/drop"
SECRET = "canary-4711-secret"


class NoServer:
    def __enter__(self) -> NoServer:
        return self

    def __exit__(self, *_: object) -> None: ...


@pytest.fixture
def reports(tmp_path, monkeypatch) -> Iterator[list[MachineSettings]]:
    """What machines reported; this one has a drop container, and the ledger of its home folder."""
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path))
    monkeypatch.setenv("LABELWRIGHT_RECEIVER__DROP_CONTAINER", DROP)
    monkeypatch.setenv("LABELWRIGHT_CONTAINER_SAS", SECRET)
    forget_settings()
    reported: list[MachineSettings] = []
    monkeypatch.setattr(client, "require_prefect_client", NoServer)
    monkeypatch.setattr(team_settings, "read_settings", lambda _client, _since: reported)
    monkeypatch.setattr(deployments, "online_workers", lambda _client: ["one"])
    yield reported
    forget_settings()


def report(part: str, machine: str, hours_ago: float = 0, **values: str) -> MachineSettings:
    at = datetime.now(UTC) - timedelta(hours=hours_ago)
    ledger = Ledger(settings().ledger_address())
    common = team_settings.team_settings(settings(), part, ledger.identity())
    ledger.close()
    return MachineSettings(part, machine, common | values, at)


LOCAL = "the ledger is an SQLite file of this machine"


def findings() -> list[Finding]:
    """Of settings that are compared."""
    return [finding for finding in team.check_team(settings()) if not finding.message.startswith(LOCAL)]


def of_local_ledger() -> list[Finding]:
    return [finding for finding in team.check_team(settings()) if finding.message.startswith(LOCAL)]


def test_settings_that_agree_are_said_to(reports):
    reports += [report(WORKER, "alpha"), report(RECEIVER, "beta")]
    (finding,) = findings()
    assert finding.level is Level.OK
    assert "worker alpha" in finding.message
    assert "receiver beta" in finding.message


def test_a_worker_without_the_receivers_drop_container_is_found(reports):
    reports += [report(WORKER, "alpha", **{DROP_CONTAINER: ""}), report(RECEIVER, "beta")]
    (finding,) = findings()
    assert finding.level is Level.ERROR
    assert finding.message.startswith(f"{DROP_CONTAINER} differs: ")
    assert "not set on worker alpha" in finding.message
    assert f"{DROP} on receiver beta, this machine" in finding.message


def test_a_worker_without_the_containers_credential_is_found_and_the_receiver_needs_none(reports):
    reports += [report(WORKER, "alpha", **{team_settings.DROP_CREDENTIAL: ""}), report(RECEIVER, "beta")]
    (finding,) = findings()
    assert "LABELWRIGHT_CONTAINER_SAS" in finding.message
    assert "receiver" not in finding.message


def test_another_ledger_and_a_connection_that_is_missing_are_found(reports):
    reports += [
        report(WORKER, "alpha"),
        report(WORKER, "gamma", **{LEDGER: "database x", "LABELWRIGHT_CONNECTIONS__CVAT": "cvat at c with key"}),
    ]
    connection, ledger = findings()
    assert "not set on this machine, worker alpha" in connection.message
    assert ledger.message.startswith("ledger differs: ")
    assert "database x on worker gamma" in ledger.message


def test_two_addresses_of_a_platform_are_a_warning(reports, monkeypatch):
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__CVAT__URL", "https://c")
    forget_settings()
    for machine, address in (("alpha", "inside"), ("gamma", "outside")):
        reports.append(report(WORKER, machine, LABELWRIGHT_CONNECTIONS__CVAT=f"cvat at {address} with key"))
    (finding,) = findings()
    assert (finding.level, "cvat at outside" in finding.message) == (Level.WARNING, True)


def test_an_old_report_is_a_warning_with_its_age(reports):
    reports += [report(WORKER, "alpha", 5, LABELWRIGHT_FINISH_BY="event"), report(WORKER, "gamma")]
    (finding,) = findings()
    assert finding.level is Level.WARNING
    assert "event on worker alpha (as of 5 hours ago)" in finding.message


def test_a_file_as_ledger_beside_several_workers_is_found(reports, monkeypatch):
    monkeypatch.setattr(deployments, "online_workers", lambda _client: ["one", "two"])
    (finding,) = of_local_ledger()
    assert (finding.level, "one, two" in finding.message) == (Level.WARNING, True)
    reports += [report(WORKER, "alpha"), report(WORKER, "gamma", **{LEDGER: "SQLite file /x on gamma"})]
    assert [finding.level for finding in (*of_local_ledger(), *findings())] == [Level.ERROR, Level.ERROR]
    monkeypatch.setenv("LABELWRIGHT_LEDGER_URL", "postgresql://a:b@127.0.0.1:1/ledger")
    forget_settings()
    assert of_local_ledger() == []


def test_records_hold_no_secret(reports, monkeypatch):
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__AGENCY__PLATFORM", "cvat")
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__AGENCY__URL", f"https://me:{SECRET}@cvat.example.com/?key={SECRET}")
    for name in ("KEY", "SECRET"):
        monkeypatch.setenv(f"LABELWRIGHT_CONNECTIONS__AGENCY__{name}", SECRET)
    monkeypatch.setenv("LABELWRIGHT_WORKSPACES__OURS__SAS", SECRET)
    forget_settings()
    values = team_settings.team_settings(settings(), WORKER, "x")
    assert values["LABELWRIGHT_CONNECTIONS__AGENCY"] == "cvat at cvat.example.com with key and secret"
    assert SECRET not in str(values)


def test_a_variable_that_somebody_edited_is_no_report():
    for value in (None, "text", {"values": {}}, {"values": {}, "machines": {"a": "yesterday"}}, {"machines": []}):
        assert team_settings._read("labelwright_settings_worker_1", value) == []


# Workers


def worker(name: str, seconds: float, status: WorkerStatus = WorkerStatus.ONLINE) -> Worker:
    last = datetime.now(UTC) - timedelta(seconds=seconds)
    pool = uuid4()
    return Worker(name=name, work_pool_id=pool, last_heartbeat_time=last, heartbeat_interval_seconds=30, status=status)


class Pool:
    def __init__(self, *workers: Worker) -> None:
        self._workers = workers

    def read_workers_for_work_pool(self, _pool: str) -> tuple[Worker, ...]:
        return self._workers


def of_workers(*workers: Worker) -> list[Finding]:
    server: Any = Pool(*workers)
    return list(check_workers(server, "labelwright", "process"))


def test_a_worker_that_was_just_killed_is_told_from_one_that_works():
    online, killed, gone = of_workers(
        worker("works", 25),
        worker("killed", 60),
        worker("gone", 600, WorkerStatus.OFFLINE),
        worker("of-yesterday", 90_000, WorkerStatus.OFFLINE),
    )
    assert (online.level, "1 workers are online" in online.message) == (Level.OK, True)
    assert (killed.level, killed.message.startswith("worker killed reported last 60 seconds ago")) == (
        Level.WARNING,
        True,
    )
    assert "worker gone is gone: it reported last 10 minutes ago" in gone.message
    assert "prefect worker start --pool labelwright" in killed.advice


def test_when_the_only_worker_was_killed_none_is_online():
    online, killed = of_workers(worker("killed", 70))
    assert (online.level, killed.level) == (Level.ERROR, Level.WARNING)
    assert "0 workers" in online.message
