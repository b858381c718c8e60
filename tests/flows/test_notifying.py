"""People are told once, through a block of theirs: tried with a webhook on a socket of our own."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import pytest
from prefect import flow, tags
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import get_client
from prefect.states import Failed

from labelwright.domain.errors import CannotRun
from labelwright.prefect_integration.automations import register_notifications, write_notifications
from labelwright.prefect_integration.events import send_to_prefect
from tests.cli.schemas import output_in_schema
from tests.cli.test_deliver_and_reopen import run

from . import prefect_api

pytestmark = pytest.mark.usefixtures("prefect_server", "home")

NAMES = [
    "Labelwright: a campaign stalls",
    "Labelwright: a campaign is overdue",
    "Labelwright: a campaign failed",
    "Labelwright: a campaign is finished",
    "Labelwright: a run failed",
]


@pytest.fixture
def mailbox() -> Iterator[list[dict[str, Any]]]:
    """What was told, and a block that tells it."""
    messages: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Silence."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        CustomWebhookNotificationBlock(
            name="our mailbox",
            url=f"http://127.0.0.1:{server.server_address[1]}/",
            json_data={"subject": "{{subject}}", "body": "{{body}}"},
        ).save("mailbox", overwrite=True)
        yield messages
        server.shutdown()


def automations() -> list[dict[str, Any]]:
    return [
        automation
        for automation in prefect_api.post("/automations/filter", {})
        if automation["name"].startswith("Labelwright: ")
    ]


def no_automations() -> bool:
    """Deletes them; a server that is busy is asked again."""
    for automation in automations():
        prefect_api.ask("DELETE", f"/automations/{automation['id']}")
    return automations() == []


def tell(kind: str, title: str, times: int = 1, **payload: object) -> None:
    """As a sweep tells it; told more than once it is the same event."""
    event = {
        "id": str(uuid4()),
        "occurred": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "event": f"labelwright.campaign.{kind}",
        "resource": {"prefect.resource.id": f"labelwright.campaign.{title}", "prefect.resource.name": title},
        "payload": payload,
    }
    for _ in range(times):
        send_to_prefect([event])


def until(condition: Callable[[], bool], description: str) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, description
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (("notify", "custom-webhook/mailbox"), NAMES),
        (("blocks",), ["labelwright-campaign-api"]),
    ],
)
def test_commands_for_prefect_print_what_their_schemas_say(mailbox, monkeypatch, capsys, command, named):
    code = run(monkeypatch, *command, "--json")
    printed = capsys.readouterr()
    assert not code, printed.err
    assert {*named} <= {*output_in_schema(command[0], printed.out)}


def test_each_is_told_once(mailbox):
    assert register_notifications("custom-webhook/mailbox") == NAMES
    tell("stalled", "river", times=3, since="2026-11-20", done=3, total=9)
    tell("overdue", "river", done=3, total=9)
    tell("needs-attention", "river", why="the platform answered 403")
    tell("stalled", "lake", since="2026-11-21", done=0, total=9)
    tell("progressed", "river", done=4, total=9)
    tell("finished", "river", done=9, total=9)
    until(lambda: len(mailbox) >= 5, "five notifications")
    subjects = sorted(message["subject"] for message in mailbox)
    assert subjects == [
        "Finished: river",
        "Needs attention: river",
        "Overdue: river",
        "Stalled: lake",
        "Stalled: river",
    ]
    bodies = {message["subject"]: message["body"] for message in mailbox}
    assert bodies["Needs attention: river"] == "the platform answered 403"
    assert "since 2026-11-20: 3 of 9" in bodies["Stalled: river"]


def test_a_run_without_a_deployment_tells_nobody_of_its_failure(mailbox):
    """Only runs that nobody watches do: those of deployments."""
    register_notifications("custom-webhook/mailbox")

    @flow
    def by_hand() -> None:
        raise ValueError("seen by whoever runs it")

    with tags("labelwright"), pytest.raises(ValueError, match="seen"):
        by_hand()
    tell("finished", "after", done=1, total=1)
    until(lambda: "Finished: after" in [message["subject"] for message in mailbox], "the event that came after")
    assert [message["subject"] for message in mailbox if "after" not in message["subject"]] == []


def test_a_deployments_run_that_fails_again_and_again_is_told_once(deployed, mailbox):
    register_notifications("custom-webhook/mailbox")
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name("export-campaign/export-campaign")
        for _ in range(2):
            run = client.create_flow_run_from_deployment(
                deployment.id, parameters={"title": "lost"}, name="export lost"
            )
            client.set_flow_run_state(run.id, Failed(message="the store is full"), force=True)
    until(lambda: mailbox != [], "the failure")
    tell("finished", "later", done=1, total=1)
    until(lambda: "Finished: later" in [message["subject"] for message in mailbox], "the event that came after")
    failures = [message for message in mailbox if message["subject"] == "Failed: export lost"]
    assert len(failures) == 1
    assert "the store is full" in failures[0]["body"]


def test_registering_again_updates_what_is_there(mailbox):
    register_notifications("custom-webhook/mailbox")
    ids_by_name = {automation["name"]: automation["id"] for automation in automations()}
    assert sorted(ids_by_name) == sorted(NAMES)
    register_notifications("custom-webhook/mailbox")
    assert {automation["name"]: automation["id"] for automation in automations()} == ids_by_name
    assert len(automations()) == len(NAMES)


def test_one_that_a_busy_server_took_twice_is_there_once_after_registering(mailbox):
    register_notifications("custom-webhook/mailbox")
    first = automations()[0]
    body = {key: first[key] for key in ("name", "description", "enabled", "trigger", "actions")}
    prefect_api.create("/automations/", body)
    register_notifications("custom-webhook/mailbox")
    assert len(automations()) == len(NAMES)
    assert first["id"] in [automation["id"] for automation in automations()]


def test_prefects_own_command_takes_what_is_written(mailbox, tmp_path):
    until(no_automations, "the automations of other tests are gone")
    target = tmp_path / "mine.yaml"
    write_notifications("custom-webhook/mailbox", target)
    command = [sys.executable, "-m", "prefect", "automation", "create", "--from-file", str(target)]
    completed = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert completed.returncode == 0, completed.stdout + completed.stderr
    # A busy server may take one twice from Prefect's command, which says again what was answered by 503.
    assert sorted({automation["name"] for automation in automations()}) == sorted(NAMES)
    with pytest.raises(CannotRun, match="not overwritten"):
        write_notifications("custom-webhook/mailbox", target)


@pytest.mark.parametrize(
    ("block", "message"), [("mailbox", "TYPE/NAME"), ("slack-webhook/nobody", "there is no block")]
)
def test_a_block_that_is_not_there_is_told(block, message):
    with pytest.raises(CannotRun, match=message):
        register_notifications(block)
