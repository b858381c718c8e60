"""From the receiver, a process of its own, over a real Prefect server's triggers to runs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests
from prefect.client.orchestration import get_client

from labelwright.local.servers import Server, start_receiver
from labelwright.prefect_integration.team_settings import DROP_CONTAINER, RECEIVER, read_settings
from labelwright.settings import forget_settings
from tests.receiver.conftest import DROP, SECRET
from tests.receiver.test_receiving import created

from . import prefect_api

pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.fixture
def receiver(deployed, home, monkeypatch, prefect_server) -> Iterator[Server]:
    monkeypatch.setenv("LABELWRIGHT_RECEIVER__EVENT_GRID_SECRET", SECRET)
    monkeypatch.setenv("LABELWRIGHT_RECEIVER__DROP_CONTAINER", DROP)
    forget_settings()
    server = start_receiver(home, prefect_server.url, "127.0.0.1", 0)
    yield server
    server.stop()


def runs(deployment: str) -> list[dict[str, Any]]:
    return [run for run in prefect_api.runs_of(deployment) if not run["auto_scheduled"]]


def until(condition: Any, description: str) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, description
        time.sleep(0.2)


def tell(receiver: Server, *events: object) -> None:
    response = requests.post(f"{receiver.url}/eventgrid?secret={SECRET}", json=events, timeout=30)
    assert response.status_code == 200, response.text


def waits(receiver: Server) -> bool:
    return requests.get(f"{receiver.url}/health", timeout=30).json()["waiting"] > 0


def recorded_drop_containers() -> list[str]:
    with get_client(sync_client=True) as client:
        reported = read_settings(client, timedelta(hours=1))
    return [item.values[DROP_CONTAINER] for item in reported if item.part == RECEIVER]


def test_a_campaign_file_starts_one_run_however_often_it_is_told(receiver, home, prefect_server):
    """Types survive: a folder that looks like a number stays a text."""
    name, event = "2026/campaign.yaml", created("2026/campaign.yaml", etag="0x8DE")
    before = len(runs("launch-from-drop"))
    tell(receiver, event, event)
    tell(receiver, event)
    until(lambda: len(runs("launch-from-drop")) > before, "no run was started")
    receiver.stop()
    second_receiver = start_receiver(home, prefect_server.url, "127.0.0.1", 0)
    try:
        tell(second_receiver, event, created("other/campaign.yaml"))
        until(lambda: len(runs("launch-from-drop")) > before + 1, "no run was started for the other one")
        parameters = [run["parameters"] for run in runs("launch-from-drop")]
        assert parameters.count({"blob": name, "etag": "0x8DE"}) == 1
        assert {"blob": "other/campaign.yaml", "etag": "0x1"} in parameters
        until(lambda: DROP in recorded_drop_containers(), "its settings were not recorded for the doctor")
    finally:
        second_receiver.stop()


def test_an_event_of_the_right_name_wakes_the_sweep(receiver):
    """The receiver's own event; tests/receiver shows that a webhook makes one."""
    from labelwright.prefect_integration.events import send_to_prefect

    before = len(runs("sweep-campaigns"))
    send_to_prefect(
        [
            {
                "id": "5e0b5a8e-3a53-4f7e-8f57-0d0b0a5c4f11",
                "occurred": "2026-11-22T07:00:00+00:00",
                "event": "labelwright.webhook.received",
                "resource": {"prefect.resource.id": "labelwright.connection.north", "prefect.resource.name": "north"},
                "payload": {"connection": "north", "kind": "task done"},
            }
        ]
    )
    until(lambda: len(runs("sweep-campaigns")) > before, "the sweep was not woken")


def test_a_receiver_without_a_prefect_server_says_what_it_needs(home):
    import subprocess
    import sys

    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT")}
    command = [sys.executable, "-m", "labelwright", "receive"]
    completed = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=180)
    assert (completed.returncode, "labelwright up" in completed.stderr) == (2, True)
