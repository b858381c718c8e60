"""The main job with `store: azure_ml`: the real SDKs in environments of their own, blobs in Azurite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from labelwright.flows.campaign_export import export_campaign
from labelwright.flows.campaign_launch import launch_campaign
from labelwright.flows.campaign_sweep import sweep_campaigns
from labelwright.labelers import LabelerKeys
from labelwright.settings import forget_settings, settings
from labelwright.tasks.workbench import the_ledger
from tests.stores.azure import Azure, azure_at_hand, python_of, workspace

from . import partner
from .conftest import make_photos, make_spec

pytestmark = [pytest.mark.azureml, pytest.mark.usefixtures("prefect_server")]

ENGINES = ["sdk_v2", "sdk_v1"]


@pytest.fixture(scope="module")
def around(tmp_path_factory) -> Iterator[Azure]:
    with azure_at_hand(tmp_path_factory.mktemp("azure")) as (azure, _):
        yield azure


@pytest.fixture
def azure(around, home, monkeypatch) -> Iterator[Azure]:
    around.ml.clear()
    for blob in around.names():
        around.container.delete_blob(blob)
    pythons = {"PYTHON_V1": python_of("v1"), "PYTHON_V2": python_of("v2")}
    for name, value in workspace(around, **pythons).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LABELWRIGHT_BATCH_SIZE", "3")
    forget_settings()
    yield around
    assert around.ml.violations == []


def river(tmp_path: Path, engine: str, **export: object):
    make_photos(tmp_path / "photos", 7)
    return make_spec(
        "river", tmp_path / "photos", tmp_path / "datasets", export={"store": "azure_ml", "engine": engine, **export}
    )


def label() -> None:
    access = LabelerKeys(settings().home).find("campaign_api", "partner@example.com")
    assert access is not None
    url = settings().connection("campaign_api").url or ""
    partner.label(url, the_ledger().campaigns.get("river").remote_id or "", access)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_folder_becomes_two_registered_datasets_and_a_second_run_registers_nothing(service, azure, tmp_path, engine):
    campaign = river(tmp_path, engine)
    launch_campaign(campaign)
    label()
    assert sweep_campaigns() == {"river": "exported"}
    first = the_ledger().campaigns.datasets("river")
    names = [one["name"] for one in first]
    assert names[:2] == ["river_images", "river_labels"]

    written, blobs = azure.ml.writes(), azure.names()
    launch_campaign(campaign)
    assert sweep_campaigns() == {}
    export_campaign("river")
    assert azure.ml.writes() == written
    assert azure.names() == blobs
    assert the_ledger().campaigns.datasets("river") == first
