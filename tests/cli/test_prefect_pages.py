"""The campaign's page in Prefect after every command that changes the campaign. Prefect is a stand-in on a socket."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import uuid4

import prefect
import pytest
import yaml
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from labelwright.campaigns.spec import validate_spec
from labelwright.cli import main as entry
from labelwright.domain import State
from labelwright.ledger import Ledger, opened_ledgers
from labelwright.platforms.protocol import CampaignOrder, RemoteState
from labelwright.platforms.registry import PLATFORMS
from labelwright.settings import forget_settings
from labelwright.tasks.context import the_ledger
from labelwright.tasks.leases import named_lock
from labelwright.tasks.reporting import publishing_outside_of_runs
from tests.platforms.shelf import ENTRY, STORES, Kept, Store

TITLE = "river"


class PrefectStandIn(ThreadingHTTPServer):
    """Prefect's API as far as artifacts and events need it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.artifacts: list[dict[str, str]] = []
        self.events: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/api"

    def page(self) -> dict[str, str]:
        """The campaign's page as the Prefect UI shows it: the newest one of its key."""
        return [artifact for artifact in self.artifacts if artifact["key"] == f"{TITLE}-summary"][-1]


class _Handler(BaseHTTPRequestHandler):
    server: PrefectStandIn

    def log_message(self, *_: object) -> None:
        pass

    def _respond(self, status: int, document: object = None) -> None:
        body = b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        if "/csrf-token" in self.path:
            return self._respond(422, {"detail": "CSRF protection is disabled."})
        return self._respond(200, prefect.__version__ if self.path.endswith("/version") else True)

    def do_POST(self) -> None:
        document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("/artifacts/"):
            self.server.artifacts.append(document)
            moment = datetime.now(UTC).isoformat()
            self._respond(201, document | {"id": str(uuid4()), "created": moment, "updated": moment})
        else:
            self.server.events += document
            self._respond(204)


@pytest.fixture
def prefect_api() -> Iterator[PrefectStandIn]:
    with PrefectStandIn() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        with temporary_settings({PREFECT_API_URL: server.url, PREFECT_CLIENT_MAX_RETRIES: 0}):
            yield server
        server.shutdown()


LAUNCHED = (State.UPLOADING, State.CREATED, State.ACTIVE)
DOCUMENT = {"title": TITLE, "platform": "shelf", "images": {"folder": "/x"}, "labels": ["a"], "labeler": "a@b.c"}


@pytest.fixture
def ledger(tmp_path, monkeypatch) -> Iterator[Ledger]:
    """A campaign that is active, in the ledger and on a platform. Its events were sent."""
    monkeypatch.setitem(PLATFORMS, "shelf", ENTRY)
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__URL", f"memory:{tmp_path}")
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__KEY", "good")
    forget_settings()
    store, ledger = STORES.setdefault(f"memory:{tmp_path}", Store()), the_ledger()
    spec = validate_spec(DOCUMENT, "test")
    ledger.campaigns.add(TITLE, spec.model_dump(mode="json"))
    for state in LAUNCHED:
        ledger.campaigns.move(TITLE, state)
    store.campaigns["c1"] = Kept(CampaignOrder(TITLE, spec.schema_of_labels(), "a@b.c"), RemoteState.ACTIVE)
    ledger.campaigns.record_remote_campaign(TITLE, "c1")
    ledger.outbox.mark_sent(event.id for event in ledger.outbox.waiting())
    for opened in opened_ledgers():  # a command writes the pages of all that this process changed, in other tests too
        opened.campaigns.moved.clear()
        opened.campaigns.forgotten.clear()
    yield ledger
    forget_settings()


def run(monkeypatch, *arguments: str) -> int:
    """The program's exit code, in this process."""
    monkeypatch.setattr(sys, "argv", ["labelwright", *arguments])
    with pytest.raises(SystemExit) as ended:
        entry.main()
    return int(ended.value.code or 0)


def changed_file(tmp_path: Path) -> str:
    path = tmp_path / "river.yaml"
    path.write_text(yaml.safe_dump(DOCUMENT | {"deadline": "2031-05-06"}))
    return str(path)


@pytest.mark.parametrize("command", ["cancel", "resume", "change", "forget"])
def test_the_page_agrees_after_every_command(ledger, prefect_api, monkeypatch, tmp_path, command):
    arguments, expected = [command, TITLE], "cancelled"
    if command == "resume":
        ledger.campaigns.move(TITLE, State.NEEDS_ATTENTION, "the labels changed")
        expected = "active"
    elif command == "change":
        arguments, expected = [command, TITLE, changed_file(tmp_path)], "2031-05-06"
    elif command == "forget":
        arguments, expected = [command, TITLE, "--force"], "record of this campaign was deleted"
    assert run(monkeypatch, *arguments) == 0
    assert expected in prefect_api.page()["data"]
    if command != "forget":
        state = ledger.campaigns.get(TITLE).state.value
        assert prefect_api.page()["description"] == f"{TITLE}: {state}"
        assert f"**{state}**" in prefect_api.page()["data"]
        assert ledger.outbox.waiting() == []


def test_a_command_that_changes_nothing_asks_prefect_nothing(ledger, prefect_api, monkeypatch):
    assert run(monkeypatch, "status", TITLE) == 0
    assert prefect_api.artifacts == []


@pytest.mark.parametrize("command", [["cancel", TITLE], ["forget", TITLE, "--force"]])
def test_a_command_succeeds_while_prefect_is_away(ledger, prefect_api, monkeypatch, capsys, command):
    prefect_api.server_close()
    assert run(monkeypatch, *command) == 0
    message = capsys.readouterr().err
    assert "Prefect was not reached" in message
    advice = "can be deleted by hand" if command[0] == "forget" else "the next sweep writes the campaign's page"
    assert advice in message


def test_the_next_sweep_writes_the_page_of_an_outage(ledger, prefect_api):
    ledger.campaigns.move(TITLE, State.CANCELLED, "while Prefect was away")
    with publishing_outside_of_runs(), named_lock("sweep"):
        pass
    assert prefect_api.page()["description"] == f"{TITLE}: cancelled"
    assert [event["event"] for event in prefect_api.events] == ["labelwright.campaign.cancelled"]
