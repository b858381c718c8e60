"""What the doctor says of a real Prefect server, before the deployments are registered and afterwards."""

from __future__ import annotations

import os

import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

from labelwright.doctor.findings import Finding, Level
from labelwright.doctor.report import examine
from labelwright.local.servers import free_port, start_prefect
from labelwright.prefect_integration.deployments import deploy


def of_prefect() -> list[Finding]:
    return [finding for finding in examine() if finding.area == "prefect"]


@pytest.mark.slow
def test_a_server_without_deployments_is_told_from_one_that_has_them(home, tmp_path, monkeypatch):
    server = start_prefect(tmp_path / "other", port=free_port(0))
    monkeypatch.setenv("PREFECT_API_URL", f"{server.url}/api")
    try:
        with temporary_settings({PREFECT_API_URL: os.environ["PREFECT_API_URL"], PREFECT_HOME: tmp_path / "client"}):
            version, clock, pool = of_prefect()
            assert (version.level, clock.level, pool.level) == (Level.OK, Level.OK, Level.ERROR)
            assert pool.advice == "labelwright deploy"
            names = deploy()
            _, _, workers, *deployments = of_prefect()
            assert workers.level is Level.ERROR
            assert "0 workers" in workers.message
            assert workers.advice == "prefect worker start --pool labelwright"
            assert [finding.message for finding in deployments] == [f"deployment {name}" for name in names]
            assert {finding.level for finding in deployments} == {Level.OK}
    finally:
        server.stop()
