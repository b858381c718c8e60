"""Credentials as Prefect blocks: chosen by name, several side by side, and never told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from pydantic import SecretStr

from labelwright.domain import State
from labelwright.flows.launch_campaign import launch_campaign
from labelwright.local.servers import Server, free_port, start_service
from labelwright.platforms import AccessDenied
from labelwright.prefect_integration.blocks import (
    CampaignApiCredentials,
    CvatCredentials,
    ImageContainerCredentials,
    register_blocks,
)
from labelwright.prefect_integration.connections import CONNECTIONS
from labelwright.settings import SettingsError, forget_settings, settings
from labelwright.tasks.context import CampaignContext, connect_platform, credentials_of, the_ledger

from . import prefect_api
from .conftest import make_photos, make_spec

pytestmark = pytest.mark.usefixtures("prefect_server", "home")

CANARY = "canary-5d2f9b7c-of-the-block"


@pytest.fixture(scope="module")
def agencies(tmp_path_factory) -> Iterator[dict[str, Server]]:
    """Two labeling services, as two agencies have them, each with keys of its own."""
    servers = {name: start_service(tmp_path_factory.mktemp(name), free_port(0)) for name in ("north", "south")}
    yield servers
    for server in servers.values():
        server.stop()


def keys_of(server: Server) -> dict[str, Any]:
    import json

    return json.loads((server.log.parent.parent / "service" / "admin.json").read_text())


def save(name: str, server: Server, **changes: object) -> str:
    """Make the agency's block. Answers its id."""
    keys = keys_of(server)
    values = {"url": f"{server.url}/api/v1", "key": keys["key"], "secret": keys["secret"], **changes}
    return str(CampaignApiCredentials(**values).save(name, overwrite=True))


def campaigns_at(server: Server) -> list[str]:
    keys = keys_of(server)
    headers = {"Authentication-Key": keys["key"], "Authentication-Secret": keys["secret"]}
    response = requests.get(f"{server.url}/api/v1/campaigns", headers=headers, timeout=30)
    return [row["title"] for row in response.json()["campaigns"]]


@pytest.fixture
def photos(tmp_path) -> Path:
    make_photos(tmp_path / "photos", 2)
    return tmp_path / "photos"


def test_one_command_registers_a_block_a_platform_and_store():
    slugs = register_blocks()
    assert {"labelwright-campaign-api", "labelwright-image-container"} <= set(slugs)
    assert register_blocks() == slugs
    for slug in slugs:
        assert prefect_api.get(f"/block_types/slug/{slug}")["description"]
    schema = CampaignApiCredentials.model_json_schema()
    assert schema["required"] == ["url", "key", "secret"]
    assert schema["secret_fields"] == ["key", "secret"]


def test_the_teams_key_may_be_a_secret_block(monkeypatch):
    from cryptography.fernet import Fernet
    from prefect.blocks.system import Secret

    Secret(value=Fernet.generate_key().decode()).save("team-key", overwrite=True)  # type: ignore[call-arg]
    Secret(value="canary").save("no-key", overwrite=True)  # type: ignore[call-arg]
    monkeypatch.setenv("LABELWRIGHT_TEAM_KEY", "block:team-key")
    forget_settings()
    team_key = CONNECTIONS.team_key()
    assert team_key is not None
    assert team_key.decrypt(team_key.encrypt("text")) == "text"
    for name, message in (("no-key", "the secret in block:no-key cannot be used"), ("gone", "no Secret block 'gone'")):
        monkeypatch.setenv("LABELWRIGHT_TEAM_KEY", f"block:{name}")
        forget_settings()
        with pytest.raises(SettingsError, match=message) as refused:
            CONNECTIONS.team_key()
        assert "canary" not in str(refused.value)


def test_two_connections_of_one_platform_work_side_by_side(agencies, photos, tmp_path, monkeypatch):
    for name, server in agencies.items():
        save(name, server)
        launch_campaign(make_spec(f"{name} by block", photos, tmp_path / "d", connection=f"block:{name}"))
        keys = keys_of(server)
        for field, value in (("URL", f"{server.url}/api/v1"), ("KEY", keys["key"]), ("SECRET", keys["secret"])):
            monkeypatch.setenv(f"LABELWRIGHT_CONNECTIONS__{name.upper()}__{field}", value)
        forget_settings()
        launch_campaign(make_spec(f"{name} by settings", photos, tmp_path / "d", connection=name))
    for name, server in agencies.items():
        both_ways = [title for title in campaigns_at(server) if " by " in title]
        assert sorted(both_ways) == [f"{name} by block", f"{name} by settings"]


def test_a_block_chosen_in_the_form_is_remembered_by_its_name_alone(agencies, photos, tmp_path):
    """The form sends a reference; the run finds the block behind it."""
    document = save("chosen", agencies["north"], secret=keys_of(agencies["north"])["secret"])
    spec = make_spec("chosen in the form", photos, tmp_path / "d")
    launch_campaign(spec.model_dump(mode="json"), {"$ref": {"block_document_id": document}})
    record = the_ledger().campaigns.get("chosen in the form")
    assert record.state is State.ACTIVE
    assert record.spec["connection"] == "block:chosen"
    (launched,) = [run for run in prefect_api.every_run() if run["name"] == "launch chosen in the form"]
    of_the_run = {"flow_runs": {"id": {"any_": [launched["id"]]}}}
    stored = prefect_api.ask("POST", "/flow_runs/filter", of_the_run).text
    stored += prefect_api.ask("POST", "/task_runs/filter", of_the_run).text
    stored += prefect_api.ask("POST", "/logs/filter", {"logs": {"flow_run_id": {"any_": [launched["id"]]}}}).text
    assert "chosen in the form" in stored
    assert keys_of(agencies["north"])["secret"] not in stored


def test_secrets_instead_of_a_block_reference_are_refused(deployed, photos, tmp_path):
    deployment = prefect_api.get("/deployments/name/launch-campaign/launch-campaign")
    assert deployment["parameter_openapi_schema"]["definitions"]["CampaignApiCredentials"]["block_type_slug"]
    spec = make_spec("inline", photos, tmp_path / "d").model_dump(mode="json")
    inline = {"url": "http://127.0.0.1:1", "key": "key", "secret": CANARY}
    body = {"parameters": {"campaign": spec, "credentials": inline}}
    response = prefect_api.ask("POST", f"/deployments/{deployment['id']}/create_flow_run", body)
    assert response.status_code == 409
    assert CANARY not in json.dumps(prefect_api.every_run())
    by_reference = {"campaign": spec, "credentials": {"$ref": {"block_document_id": save_somewhere()}}}
    prefect_api.create(f"/deployments/{deployment['id']}/create_flow_run", {"parameters": by_reference})


def save_somewhere() -> str:
    kind = CampaignApiCredentials
    return str(kind(url="http://127.0.0.1:1/api/v1", key="key", secret=CANARY).save("somewhere", overwrite=True))


def test_what_is_wrong_with_credentials_is_told_without_them(photos, tmp_path):
    save_somewhere()
    with pytest.raises(SettingsError, match="there is no block 'nobody' of type labelwright-campaign-api"):
        connect_platform("block:nobody", "campaign_api")
    assert connect_platform("block:somewhere")[0] == "campaign_api", "as a webhook's address names it"
    with pytest.raises(SettingsError, match="there is no block 'nobody'"):
        connect_platform("block:nobody")
    credentials = credentials_of("block:somewhere")
    assert credentials.platform == "campaign_api"
    assert CANARY not in repr(credentials) + str(credentials)
    assert CANARY not in repr(CampaignApiCredentials.load("somewhere"))
    unsaved = CampaignApiCredentials(url="http://127.0.0.1:1", key="k", secret=CANARY)
    with pytest.raises(SettingsError, match="save them under a name"):
        launch_campaign(make_spec("unsaved", photos, tmp_path / "d"), unsaved)


def test_a_wrong_secret_is_refused_by_the_platform_and_not_repeated(agencies, photos, tmp_path):
    save("wrong", agencies["south"], secret=CANARY)
    with pytest.raises(AccessDenied) as refused:
        launch_campaign(make_spec("wrong", photos, tmp_path / "d", connection="block:wrong"))
    assert CANARY not in str(refused.value) + repr(refused.value)
    assert CANARY not in (the_ledger().campaigns.get("wrong").reason or "")


def test_a_container_has_a_signature_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("LABELWRIGHT_CONTAINER_KEY", "that of another account")
    forget_settings()
    ImageContainerCredentials(sas=SecretStr(CANARY)).save("their-photos", overwrite=True)
    spec = make_spec(
        "container",
        tmp_path,
        tmp_path / "d",
        images={"container": "https://photos.blob.core.windows.net/theirs", "credentials": "block:their-photos"},
    )
    the_ledger().campaigns.add("container", spec.model_dump(mode="json"))
    context = CampaignContext("container")
    assert context.source._sas == CANARY
    assert context.source._key is None, "the settings' key signs for another account"
    assert CANARY not in repr(context.source)
    assert settings().container_sas is None
    assert context.settings.container_sas is None
    ImageContainerCredentials(sas=SecretStr(CANARY), key=SecretStr("theirs")).save("their-photos", overwrite=True)
    assert CampaignContext("container").source._key == "theirs"


def test_secrets_that_a_platform_may_do_without_are_secrets_all_the_same():
    """Prefect shows what its schema does not call secret."""
    assert CvatCredentials.model_json_schema()["required"] == ["url"]
    assert CvatCredentials.model_json_schema()["secret_fields"] == ["key", "secret"]
    CvatCredentials(url="http://127.0.0.1:1", secret=CANARY).save("lean", overwrite=True)
    stored = prefect_api.ask("POST", "/block_documents/filter", {}).text
    assert "lean" in stored
    assert CANARY not in stored
    assert CvatCredentials.load("lean").connection().secret.get_secret_value() == CANARY
