"""Commands on a launched campaign whose platform is away: they end at once, or say what they wait for and how long."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labelwright.campaigns.spec import validate_spec
from labelwright.cli.exit_codes import exit_code
from labelwright.cli.main import app
from labelwright.domain import State
from labelwright.ledger import Ledger
from labelwright.platforms import AccessDenied
from labelwright.platforms.registry import PLATFORMS
from labelwright.prefect_integration import runtime
from labelwright.settings import forget_settings, settings
from labelwright.tasks.context import the_ledger
from tests.platforms.shelf import ENTRY

COMMANDS = ["finish", "export", "deliver", "resume"]


class PrefectStarted(Exception):
    """The command got as far as its flow."""


@pytest.fixture
def launch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Ledger]]:
    """Records a labeled campaign on a platform; starting Prefect raises PrefectStarted."""
    for name in [name for name in os.environ if name.startswith("LABELWRIGHT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path))
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__URL", f"memory:{tmp_path}")
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__KEY", "wrong")
    monkeypatch.setitem(PLATFORMS, "shelf", ENTRY)

    def start(*_arguments: object, **_options: object) -> None:
        raise PrefectStarted

    monkeypatch.setattr(runtime, "prefect_runtime", start)

    def record(platform: str, *states: State) -> Ledger:
        forget_settings()
        document = {"title": "river", "platform": platform, "images": {"folder": "/x"}, "labels": ["a"]}
        spec = validate_spec(document | {"labeler": "a@b.c"}, "test")
        ledger = the_ledger()
        ledger.campaigns.add("river", spec.model_dump(mode="json"))
        for state in (State.UPLOADING, State.CREATED, State.ACTIVE, *states):
            ledger.campaigns.move("river", state, "by the test")
        ledger.campaigns.record_remote_campaign("river", "7")
        return ledger

    yield record
    forget_settings()


def stop_service(home: Path) -> None:
    """What a service that was stopped leaves behind: its data, and no address."""
    (home / "service").mkdir()
    (home / "service" / "admin.json").write_text(json.dumps({"key": "k", "secret": "s"}))
    (home / "service" / "service.db").touch()


def run(command: str) -> None:
    app([command, "river"], standalone_mode=False)


@pytest.mark.parametrize("command", COMMANDS)
def test_embedded_service_that_does_not_run_is_told_at_once(launch, tmp_path, command):
    stop_service(tmp_path)
    ledger = launch("campaign_api", State.COMPLETED, State.NEEDS_ATTENTION)
    with pytest.raises(Exception, match=r"labeling service of .* is not running") as refusal:
        run(command)
    assert exit_code(refusal.value) == 4
    assert ledger.campaigns.get("river").state is State.NEEDS_ATTENTION


@pytest.mark.parametrize("command", COMMANDS)
def test_server_that_refuses_connections_is_told_at_once(launch, monkeypatch, command):
    for name, value in {"URL": "http://127.0.0.1:9/api/v1", "KEY": "k", "SECRET": "s"}.items():
        monkeypatch.setenv(f"LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__{name}", value)
    launch("campaign_api", State.COMPLETED)
    with pytest.raises(Exception, match=r"127\.0\.0\.1:9") as refusal:
        run(command)
    assert exit_code(refusal.value) == 4


@pytest.mark.parametrize("command", COMMANDS)
def test_refused_key_is_told_at_once_and_names_its_connection(launch, command):
    ledger = launch("shelf", State.COMPLETED, State.NEEDS_ATTENTION)
    with pytest.raises(Exception, match="Check the key and secret of connection shelf") as refusal:
        run(command)
    assert exit_code(refusal.value) == 1
    assert ledger.campaigns.get("river").reason == "by the test"


@pytest.mark.parametrize("command", COMMANDS)
def test_key_that_is_refused_in_the_flow_names_its_connection(launch, monkeypatch, command):
    def start(*_arguments: object, **_options: object) -> None:
        raise AccessDenied("shelf", "read the labels", status=403)

    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__KEY", "good")
    monkeypatch.setattr(runtime, "prefect_runtime", start)
    launch("shelf", State.COMPLETED)
    with pytest.raises(AccessDenied, match=r"read the labels\. Check the key and secret of connection shelf"):
        run(command)


@pytest.mark.parametrize("command", COMMANDS)
def test_service_that_up_restarts_is_waited_for_and_the_wait_is_announced(launch, tmp_path, capsys, command):
    stop_service(tmp_path)
    launch("campaign_api", State.COMPLETED)
    (tmp_path / "up.lock").write_text(json.dumps({"process": 1, "labeling service": "http://127.0.0.1:9"}))
    with (tmp_path / "up.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(PrefectStarted):
            run(command)
    message = " ".join(capsys.readouterr().err.split())
    assert "Waiting until labelwright up has restarted it" in message
    assert f"tries again for {sum(settings().retry_delays):.0f} seconds" in message
    assert "labelwright serve" not in message


@pytest.mark.parametrize(
    ("states", "message"),
    [((), "nothing was resumed: 'river' is active"), ((State.CANCELLED,), "'river' is cancelled")],
)
def test_resume_without_anything_to_resume_says_so_while_the_platform_is_away(launch, tmp_path, states, message):
    stop_service(tmp_path)
    launch("campaign_api", *states)
    with pytest.raises(Exception, match=message):
        run("resume")
