"""Which platforms there are and what each can do."""

from __future__ import annotations

import subprocess
import sys

import pydantic
import pytest

from labelwright.platforms import protocol
from labelwright.platforms.campaign_api.adapter import CampaignApi
from labelwright.platforms.errors import PlatformRefused
from labelwright.platforms.protocol import Platform, Secret
from labelwright.platforms.registry import PLATFORMS, Connection, abilities, capabilities, protocols

CONNECTION = Connection("http://localhost:8080/api/v1", "KEY-CANARY", Secret("CANARY"))


def test_the_table_of_capabilities() -> None:
    assert {name for name, able in capabilities()["campaign_api"].items() if able} == {
        "Platform",
        "KeepsImageSets",
        "FinishesCampaigns",
        "ReopensCampaigns",
        "RotatesLabelerKeys",
        "RecoversAccess",
        "ServesImages",
        "FindsDeletedImages",
        "ListsLabels",
    }


def test_every_protocol_is_in_the_table_with_its_verbs() -> None:
    assert set(protocols()) == {
        "Platform", "KeepsImageSets", "FinishesCampaigns", "ReopensCampaigns", "RotatesLabelerKeys",
        "RecoversAccess", "ServesImages", "TakesImages", "DeletesCampaigns", "TakesPredictions", "OpensWebhooks",
        "ShowsCampaigns", "BillsTasks", "ResendsImages", "RecallsImages", "TellsReviews",
        "FindsDeletedImages", "ListsLabels", "WithdrawsImages",
    }  # fmt: skip
    assert protocols()["FinishesCampaigns"] == ("finish_campaign",)
    assert "read_labels" in protocols()["Platform"]


def test_the_table_agrees_with_isinstance() -> None:
    adapter = PLATFORMS["campaign_api"].connect(CONNECTION)
    for name, able in abilities(adapter).items():
        assert isinstance(adapter, getattr(protocol, name)) is able
    assert not any(abilities(object).values())


def test_an_adapter_that_lacks_one_verb_lacks_the_capability() -> None:
    class Half:
        def find_image_set(self) -> None: ...

    assert not abilities(Half)["KeepsImageSets"]


@pytest.mark.parametrize("entry", PLATFORMS.values(), ids=lambda entry: entry.name)
def test_every_entry_leads_to_an_adapter_and_its_options(entry: object) -> None:
    assert abilities(entry.adapter())["Platform"]  # type: ignore[attr-defined]
    assert entry.adapter().name == entry.name  # type: ignore[attr-defined]
    assert issubclass(entry.options(), pydantic.BaseModel)  # type: ignore[attr-defined]


def test_a_connection_leads_to_a_platform_that_was_not_asked_anything_yet() -> None:
    adapter = PLATFORMS["campaign_api"].connect(CONNECTION)
    assert isinstance(adapter, CampaignApi)
    assert isinstance(adapter, Platform)


@pytest.mark.parametrize(
    ("connection", "missing"),
    [
        (Connection(""), "no url and no key and no secret"),
        (Connection("http://h", "k"), "no secret"),
        (Connection("http://h", "k", Secret("")), "no secret"),
    ],
)
def test_a_credential_that_is_missing_is_named(connection: Connection, missing: str) -> None:
    with pytest.raises(PlatformRefused, match=missing):
        PLATFORMS["campaign_api"].connect(connection)


def test_options_are_those_of_the_platform_and_no_others() -> None:
    entry = PLATFORMS["campaign_api"]
    entry.connect(Connection("http://h", "k", Secret("s"), {"timeout_seconds": 3, "page_size": 10}))
    with pytest.raises(pydantic.ValidationError, match="segment_size"):
        entry.connect(Connection("http://h", "k", Secret("s"), {"segment_size": 3}))


def test_a_connection_shows_no_credential() -> None:
    connection = Connection("http://u:CANARY@h/", "CANARY", Secret("CANARY"))
    assert "CANARY" not in repr(connection) + str(connection)


def test_the_registry_imports_no_adapter_by_itself() -> None:
    code = "import sys, labelwright.platforms.registry; sys.exit('requests' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
