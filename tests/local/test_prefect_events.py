"""How long the Prefect server of `labelwright up` keeps events."""

from __future__ import annotations

from datetime import timedelta

import pytest
from prefect.settings import Settings

from labelwright.local.prefect_events import RUN_EVENTS, event_retention


def test_prefect_reads_the_variables(monkeypatch):
    for name, value in event_retention(30).items():
        monkeypatch.setenv(name, value)
    server = Settings().server
    assert server.events.retention_period == timedelta(days=30)
    assert server.services.db_vacuum.enabled_vacuum_types == {"events"}
    assert (server.services.db_vacuum.loop_seconds, server.services.db_vacuum.batch_size) == (300, 1000)
    assert server.services.db_vacuum.event_retention_overrides == dict.fromkeys(RUN_EVENTS, timedelta(minutes=15))


@pytest.mark.parametrize("name", sorted(event_retention(30)))
def test_a_variable_of_the_environment_holds(name, monkeypatch):
    monkeypatch.setenv(name, "7")
    assert name not in event_retention(30)
    assert len(event_retention(30)) == 3


def test_without_days_prefects_own_retention_holds():
    assert "PREFECT_SERVER_EVENTS_RETENTION_PERIOD" not in event_retention(0)


def test_failures_and_events_of_campaigns_are_kept_as_long_as_runs():
    kept = ("prefect.flow-run.Crashed", "prefect.flow-run.Failed", "labelwright.campaign.completed")
    assert not set(kept) & set(RUN_EVENTS)
