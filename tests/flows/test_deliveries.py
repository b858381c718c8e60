"""Deliveries of what is ready, by a person and by sweeps, in real flow runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from labelwright.campaigns.refusals import NotLabeledYet
from labelwright.domain import Annotation, Box, ImageState, State
from labelwright.flows.deliver_campaign import deliver_campaign
from labelwright.flows.launch_campaign import launch_campaign
from labelwright.flows.sweep_campaigns import sweep_campaigns
from labelwright.platforms.protocol import RemoteState
from labelwright.platforms.registry import PLATFORMS
from labelwright.settings import forget_settings
from labelwright.tasks.context import the_ledger
from tests.platforms.shelf import ENTRY, STORES, Kept, Store

from .conftest import make_photos, make_spec

pytestmark = pytest.mark.usefixtures("plain_flows")
BOAT = Annotation("boat", Box(1, 2, 11, 12))


@pytest.fixture
def launch(home, monkeypatch, tmp_path):
    """Launches a campaign of ten images on the shelf, with these settings of its export."""
    monkeypatch.setitem(PLATFORMS, "shelf", ENTRY)
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__URL", f"memory:{home}")
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__KEY", "good")
    forget_settings()
    store = STORES.setdefault(f"memory:{home}", Store())
    make_photos(tmp_path / "photos", 10, (40, 30))

    def start(**export: Any) -> Kept:
        document = {"folder": str(tmp_path / "datasets"), **export}
        spec = make_spec("river", tmp_path / "photos", tmp_path / "datasets", platform="shelf", export=document)
        launch_campaign(spec)
        (campaign,) = store.campaigns.values()
        return campaign

    return start


def label(campaign: Kept, first: int, last: int, *annotations: Annotation) -> None:
    campaign.labels |= dict.fromkeys(list(campaign.images)[first:last], annotations)


def delivery_in(folder: Path, version: int) -> dict[str, Any]:
    return json.loads((folder / "datasets" / "river_labels" / f"v{version}" / "receipt.json").read_text())["delivery"]


def test_a_partial_delivery_by_a_person_leaves_the_campaign_with_its_labelers(launch, tmp_path):
    campaign = launch()
    label(campaign, 0, 5, BOAT)
    label(campaign, 5, 6)
    campaign.excluded[list(campaign.images)[6]] = (ImageState.SKIPPED, "skipped by ann")
    with pytest.raises(NotLabeledYet, match="6 of 10 images are ready; the other 4: 3 not labeled, 1 skipped"):
        deliver_campaign("river")
    assert the_ledger().campaigns.get("river").state is State.ACTIVE
    assert {row["version"] for row in deliver_campaign("river", accept_partial=True)} == {"1"}
    assert (the_ledger().campaigns.get("river").state, campaign.state) == (State.ACTIVE, RemoteState.ACTIVE)
    first = delivery_in(tmp_path, 1)
    assert (first["delivered"], first["empty"], first["by_reason"]) == (6, 1, {"not labeled": 3, "skipped": 1})
    label(campaign, 7, 10, BOAT)
    assert sweep_campaigns() == {"river": "exported"}
    assert delivery_in(tmp_path, 2)["by_reason"] == {"skipped": 1}
    assert campaign.state is RemoteState.FINISHED


@pytest.mark.usefixtures("prefect_server")
def test_a_sweep_delivers_once_at_a_share_of_labels_and_again_at_the_end(launch, tmp_path):
    campaign = launch(when="50 %")
    label(campaign, 0, 4, BOAT)
    assert sweep_campaigns() == {"river": "active"}
    assert not (tmp_path / "datasets").exists()
    label(campaign, 4, 5, BOAT)
    assert sweep_campaigns() == {"river": "active"}
    assert delivery_in(tmp_path, 1)["delivered"] == 5
    label(campaign, 5, 9, BOAT)
    assert sweep_campaigns() == {"river": "active"}
    assert not (tmp_path / "datasets" / "river_labels" / "v2").exists()
    label(campaign, 9, 10, Annotation("boat", Box(30, 2, 50, 12)))
    assert sweep_campaigns() == {"river": "exported"}
    last = delivery_in(tmp_path, 2)
    assert (last["delivered"], last["by_reason"]) == (9, {"shape refused": 1})
    assert campaign.state is RemoteState.ACTIVE, "not closed: the refused shape can still be corrected"
