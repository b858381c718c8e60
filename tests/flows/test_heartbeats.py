"""Runs send heartbeats where somebody may listen, and save the wait for them where nobody does."""

from __future__ import annotations

import os

import pytest
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from labelwright.local.servers import Server
from labelwright.prefect_integration.runtime import prefect_runtime


@pytest.fixture
def frequency(prefect_server: Server, home, monkeypatch):
    """What holds within `prefect_at_hand`, where 180 seconds hold outside."""
    usual = {
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }
    for name, value in usual.items():
        monkeypatch.setenv(name, os.environ.get(name, value))  # what the command sets is not left to other tests

    def within(server: Server | None) -> int | None:
        with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: 180}), prefect_runtime(server):
            return PREFECT_FLOWS_HEARTBEAT_FREQUENCY.value()

    return within


def test_a_server_of_our_own_gets_none(frequency, prefect_server):
    assert frequency(prefect_server) is None


def test_a_server_that_is_configured_gets_them(frequency):
    assert frequency(None) == 180


def test_a_server_that_a_profile_of_prefects_names_gets_them(frequency, monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL")
    assert frequency(None) == 180


def test_a_frequency_that_the_environment_sets_holds(frequency, prefect_server, monkeypatch):
    monkeypatch.setenv("PREFECT_FLOWS_HEARTBEAT_FREQUENCY", "60")
    assert frequency(prefect_server) == 180
