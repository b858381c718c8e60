"""Labelers' keys and links on two machines of a team, with the embedded service on one of them."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from typer.testing import CliRunner

from labelwright.cli.main import app
from labelwright.cli.output import campaigns, console
from labelwright.flows.launch_campaign import launch_campaign
from labelwright.flows.sweep_campaigns import sweep_campaigns
from labelwright.platforms.protocol import LabelerAccess, Secret
from labelwright.settings import forget_settings, settings
from tests.flows import partner

from .conftest import make_photos, make_spec

pytestmark = pytest.mark.usefixtures("plain_flows")

PAGE = "https://labels.example"


@pytest.fixture
def on(service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Turns this process into a machine of the team: `alpha` has the service, `beta` only the connection to it."""
    admin = json.loads((settings().home / "service" / "admin.json").read_text())
    monkeypatch.setenv("LABELWRIGHT_LEDGER_URL", f"sqlite:///{tmp_path / 'ledger.db'}")
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__PAGE", PAGE)

    def become(name: str) -> None:
        monkeypatch.setattr(socket, "gethostname", lambda: name)
        if name == "beta":
            monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path / "beta"))
            monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__KEY", admin["key"])
            monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__SECRET", admin["secret"])
        else:
            monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path / "home"))
        forget_settings()

    yield become
    forget_settings()


def launch(tmp_path: Path) -> None:
    make_photos(tmp_path / "photos", 2)
    launch_campaign(make_spec("river", tmp_path / "photos", tmp_path / "datasets"))


def printed_key(*options: str) -> dict[str, str]:
    result = CliRunner().invoke(app, ["labeler-key", "river", "--json", *options])
    assert result.exit_code == 0, result.exception
    printed: dict[str, str] = json.loads(result.stdout)
    return printed


def test_with_a_team_key_every_machine_prints_the_link_and_rotates_the_key(on, service, tmp_path, monkeypatch):
    monkeypatch.setenv("LABELWRIGHT_TEAM_KEY", Fernet.generate_key().decode())
    on("alpha")
    launch(tmp_path)
    first = printed_key()
    on("beta")
    assert printed_key() == first
    assert first["link"].startswith(f"{PAGE}/label#key=")
    second = printed_key("--rotate")
    assert second["secret"] != first["secret"]
    on("alpha")
    assert printed_key() == second
    access = LabelerAccess(second["labeler"], second["key"], Secret(second["secret"]))
    assert partner.label(f"{service}/api/v1", second["campaign_id"], access) == 2
    assert sweep_campaigns() == {"river": "exported"}
    secrets = [first["secret"].encode(), second["secret"].encode()]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "ledger.db" for path in files)
    assert not [path for path in files if any(secret in path.read_bytes() for secret in secrets)]


def test_without_one_the_other_machine_names_the_first_and_a_rotation_is_noticed_there(on, tmp_path):
    on("alpha")
    launch(tmp_path)
    first = printed_key()
    on("beta")
    refused = CliRunner().invoke(app, ["labeler-key", "river"]).exception
    assert "is kept on the machine alpha" in str(refused)
    assert "Run labelwright labeler-key 'river' there" in str(refused)
    assert first["secret"] not in str(refused)
    second = printed_key("--rotate")
    assert second["link"].startswith(PAGE)
    on("alpha")
    replaced = CliRunner().invoke(app, ["labeler-key", "river"]).exception
    assert "was replaced: the present one is kept on the machine beta" in str(replaced)


def test_status_prints_the_link_on_a_terminal_and_elsewhere_the_command(on, tmp_path, monkeypatch):
    monkeypatch.setenv("LABELWRIGHT_TEAM_KEY", Fernet.generate_key().decode())
    on("alpha")
    launch(tmp_path)
    on("beta")
    key = printed_key()
    shown = CliRunner().invoke(app, ["status", "river"]).stdout
    assert "key and link: labelwright labeler-key 'river'" in shown
    assert key["secret"] not in shown + CliRunner().invoke(app, ["status", "river", "--json"]).stdout
    monkeypatch.setattr(campaigns, "out", console.Console(force_terminal=True, highlight=False, soft_wrap=True))
    assert key["link"] in CliRunner().invoke(app, ["status", "river"]).stdout
