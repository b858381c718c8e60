"""Launches and changes on a ledger of a team whose datasets would be on one machine only."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from labelwright.campaigns import adoption, changing
from labelwright.campaigns.labeler_keys import LabelerKeys
from labelwright.campaigns.shared_paths import NotShared
from labelwright.cli.preflight import check_campaign
from labelwright.flows.launch_campaign import launch_campaign
from labelwright.flows.sweep_campaigns import sweep_campaigns
from labelwright.platforms.protocol import LabelerAccess
from labelwright.prefect_integration.connections import CONNECTIONS
from labelwright.settings import Settings, forget_settings, settings
from labelwright.tasks.context import the_ledger
from tests.flows import partner

from .conftest import make_photos, make_spec

pytestmark = pytest.mark.usefixtures("plain_flows", "service")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    make_photos(tmp_path / "photos", 2)
    return tmp_path / "photos"


def become_a_team(monkeypatch: pytest.MonkeyPatch, *shared: Path) -> None:
    monkeypatch.setattr(Settings, "has_ledger_of_team", lambda _settings: True)
    monkeypatch.setenv("LABELWRIGHT_SHARED_FOLDERS", json.dumps([str(folder) for folder in shared]))
    forget_settings()


def test_a_launch_is_refused_before_anything_is_recorded_or_sent(photos, tmp_path, monkeypatch):
    become_a_team(monkeypatch, tmp_path / "share")
    unshared, shared = make_spec("river", photos, tmp_path / "datasets"), make_spec("lake", photos, tmp_path / "share")
    for refused in (check_campaign, launch_campaign):
        with pytest.raises(NotShared, match=r"export\.folder"):
            refused(unshared)
    with pytest.raises(NotShared):
        adoption.adopt("river", unshared, CONNECTIONS, lambda _count: None)
    assert the_ledger().campaigns.all() == []
    check_campaign(shared)
    assert launch_campaign(shared) == "lake"


def test_a_campaign_from_before_goes_on_and_its_folder_can_only_be_changed_to_a_shared_one(
    photos, tmp_path, monkeypatch
):
    spec = make_spec("river", photos, tmp_path / "datasets")
    launch_campaign(spec)
    become_a_team(monkeypatch, tmp_path / "share")
    check_campaign(spec)
    launch_campaign(spec)
    with pytest.raises(NotShared):
        changing.change("river", make_spec("river", photos, tmp_path / "elsewhere"), CONNECTIONS)
    access = LabelerKeys(settings().home).find("campaign_api", "partner@example.com")
    assert isinstance(access, LabelerAccess)
    url = settings().connection("campaign_api").url
    partner.label(str(url), str(the_ledger().campaigns.get("river").remote_id), access)
    assert sweep_campaigns() == {"river": "exported"}
    (dataset, _) = the_ledger().campaigns.datasets("river")
    assert (dataset["host"], dataset["store_identity"]) == (socket.gethostname(), f"local {tmp_path / 'datasets'}")
    changed = changing.change("river", make_spec("river", photos, tmp_path / "share"), CONNECTIONS)
    assert changed.texts == ("export changed",)
