"""The registry of platforms, and what each adapter can do: its class line and the README's table agree."""

from __future__ import annotations

import dataclasses
import inspect
import re
import subprocess
import sys
import typing
from pathlib import Path

import pydantic
import pytest

from labelwright.platforms import protocol as protocol_module
from labelwright.platforms.campaign_api.adapter import CampaignApi
from labelwright.platforms.errors import PlatformRefused
from labelwright.platforms.label_support import LabelSupport
from labelwright.platforms.protocol import (
    PROTOCOLS,
    BillsTasks,
    ChangesCampaigns,
    DeletesCampaigns,
    FindsDeletedImages,
    FinishesCampaigns,
    KeepsImageSets,
    KeepsNotes,
    KeepsSnapshots,
    ListsLabels,
    ListsUnlabeledImages,
    OpensWebhooks,
    Platform,
    RecallsImages,
    RecoversAccess,
    ReopensCampaigns,
    ReopensImages,
    ResendsImages,
    RotatesLabelerKeys,
    Secret,
    ServesImages,
    ShowsCampaigns,
    TakesImages,
    TakesPredictions,
    TellsImageLimits,
    TellsReviews,
    WithdrawsImages,
    protocols_of,
)
from labelwright.platforms.registry import PLATFORMS, Connection, PlatformEntry

ABILITIES: dict[type, str] = {
    Platform: "campaigns, progress, labels",
    KeepsImageSets: "image sets shared by campaigns",
    TakesImages: "images sent into the campaign",
    DeletesCampaigns: "campaigns can be deleted",
    TakesPredictions: "predictions for labelers to correct",
    BillsTasks: "billed per image, with a limit",
    ResendsImages: "failed images can be sent again",
    FindsDeletedImages: "deleted images are noticed",
    ListsLabels: "deleted and renamed labels are noticed",
    ChangesCampaigns: "labels and instructions can be changed after the launch",
    ListsUnlabeledImages: "states of images that are not labeled yet",
    WithdrawsImages: "images can be taken out before labelers begin",
    RecallsImages: "single images come back after the end",
    TellsReviews: "results of the customer's review",
    OpensWebhooks: "webhooks with a signature or a secret",
    ShowsCampaigns: "a web page per campaign",
    FinishesCampaigns: "campaigns can be closed",
    KeepsSnapshots: "a snapshot of the labels, with its checksum in the receipt",
    ReopensCampaigns: "completed campaigns can be reopened",
    ReopensImages: "single images can be reopened",
    RotatesLabelerKeys: "labeler keys can be replaced",
    RecoversAccess: "a lost labeler key can be recovered",
    KeepsNotes: "notes of labelers, with answers",
    ServesImages: "image URLs for datasets",
    TellsImageLimits: "its server tells which images it takes",
}
LABELS: dict[str, str] = {
    "polygons": "labelers see: polygons",
    "whole_images": "labelers see: labels of whole images",
    "attribute_choices": "labelers see: attributes with choices",
    "attribute_texts": "labelers see: attributes with free text",
    "attribute_defaults": "labelers see: default values of attributes",
    "required_attributes": "labelers see: attributes that must be answered",
    "hierarchy": "labelers see: labels below other labels",
    "parents_drawn": "labelers see: parents that can be chosen, too",
    "mixed_hierarchy": "labelers see: labels below one of another geometry",
    "colors": "labelers see: colours of labels",
    "translations": "labelers see: translations of labels",
    "instructions": "labelers see: instructions",
}
"""The README's words for the fields of LabelSupport."""
TITLES = {
    "campaign_api": "embedded",
    "remo": "Remo",
    "cvat": "CVAT",
    "scale": "Scale AI",
    "geti": "Geti",
    "label_studio": "Label Studio",
}
CONNECTION = Connection("http://localhost:8080/api/v1", "KEY-CANARY", Secret("CANARY"))


ENTRIES = pytest.mark.parametrize("entry", PLATFORMS.values(), ids=lambda entry: entry.name)


def readme_table() -> dict[str, dict[str, bool]]:
    """The README's table of platforms: by row (what platforms can do) and column (title), whether it says "yes"."""
    readme = Path(__file__).resolve().parents[2] / "README.md"
    match = re.search(r"<!-- capabilities[^>]*-->\n(.*?)\n<!-- end -->", readme.read_text(encoding="utf-8"), re.DOTALL)
    assert match is not None
    header, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in match[1].splitlines()]
    return {
        ability: {title: mark == "yes" for title, mark in zip(header[1:], marks, strict=True)}
        for ability, *marks in rows
    }


def test_the_readme_table_has_every_protocol_and_platform() -> None:
    table = readme_table()
    assert set(table) == {*ABILITIES.values(), *LABELS.values()}
    assert set(LABELS) == {field.name for field in dataclasses.fields(LabelSupport)}
    assert all(set(row) == set(TITLES.values()) for row in table.values())
    assert set(TITLES) == set(PLATFORMS)


@ENTRIES
def test_an_adapter_implements_what_the_readme_says(entry: PlatformEntry) -> None:
    table, adapter = readme_table(), entry.adapter()
    expected = {protocol for protocol in PROTOCOLS if table[ABILITIES[protocol]][TITLES[entry.name]]}
    assert protocols_of(adapter) == expected
    assert not adapter.__abstractmethods__, "it lacks methods of the protocols in its class line"


@ENTRIES
def test_an_entry_declares_what_the_readme_says_of_labels(entry: PlatformEntry) -> None:
    table = readme_table()
    assert dataclasses.asdict(entry.labels) == {
        field: table[ability][TITLES[entry.name]] for field, ability in LABELS.items()
    }


@ENTRIES
def test_an_adapter_names_every_protocol_that_it_implements(entry: PlatformEntry) -> None:
    adapter = entry.adapter()
    unnamed = set(PROTOCOLS) - protocols_of(adapter)
    assert not [protocol.__name__ for protocol in unnamed if issubclass(adapter, protocol)]


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.__name__)
def test_an_adapter_without_a_protocols_method_cannot_be_created(protocol: type) -> None:
    methods = {name for name, member in vars(protocol).items() if inspect.isfunction(member) and name[0] != "_"}
    assert methods
    for missing in methods:
        adapter = type("Adapter", (protocol,), {name: lambda self: None for name in methods - {missing}})
        with pytest.raises(TypeError, match=missing):
            adapter()


def test_every_protocol_of_the_module_is_listed() -> None:
    classes = [value for value in vars(protocol_module).values() if inspect.isclass(value)]
    protocols = [value for value in classes if getattr(value, "_is_protocol", False) and value is not typing.Protocol]
    assert set(PROTOCOLS) == set(protocols)


@ENTRIES
def test_an_entry_has_the_name_of_its_adapter_and_an_options_model(entry: PlatformEntry) -> None:
    assert entry.adapter().name == entry.name
    assert issubclass(entry.options(), pydantic.BaseModel)


def test_an_adapter_is_created_without_a_request() -> None:
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


def test_the_registry_imports_no_adapter() -> None:
    code = "import sys, labelwright.platforms.registry; sys.exit('requests' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
