"""A folder in an Azure container becomes a campaign: against Azurite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from azure.storage.blob import ContainerClient

from labelwright.campaigns.yaml_loader import SpecError
from labelwright.domain import State
from labelwright.flows.launch_from_drop import launch_from_drop
from labelwright.settings import forget_settings
from labelwright.tasks.context import the_ledger
from tests.ingest.conftest import picture
from tests.ingest.stores import Azurite

pytestmark = [pytest.mark.azurite, pytest.mark.usefixtures("prefect_server", "service")]

CAMPAIGN = "title: dropped\nlabels: [boat]\nlabeler: partner@example.com\n"


@pytest.fixture(scope="module")
def azurite(tmp_path_factory) -> Iterator[Azurite]:
    store = Azurite(tmp_path_factory.mktemp("azurite"))
    yield store
    store.stop()


@pytest.fixture
def container(azurite, service, monkeypatch) -> ContainerClient:
    signed = azurite.new_container()
    url, _, sas = signed.partition("?")
    monkeypatch.setenv("LABELWRIGHT_RECEIVER__DROP_CONTAINER", url)
    monkeypatch.setenv("LABELWRIGHT_CONTAINER_SAS", sas)
    forget_settings()
    return ContainerClient.from_container_url(signed)


def put(container: ContainerClient, name: str, content: bytes | str) -> str:
    """Answers the etag."""
    return str(container.get_blob_client(name).upload_blob(content, overwrite=True)["etag"])


def test_a_folder_with_a_campaign_file_is_launched_once(container):
    for number in range(4):
        put(container, f"2026/river/photo-{number}.jpg", picture(seed=number))
    put(container, "2026/elsewhere.jpg", picture(seed=9))
    etag = put(container, "2026/river/campaign.yaml", CAMPAIGN)
    assert launch_from_drop("2026/river/campaign.yaml", etag) == "dropped"
    record = the_ledger().campaigns.get("dropped")
    assert (record.state, record.images) == (State.ACTIVE, 4)
    effects = the_ledger().effects.all("dropped")

    container.delete_blob("2026/river/campaign.yaml")  # told once more, it is not even read
    assert launch_from_drop("2026/river/campaign.yaml", etag) == "dropped"
    assert the_ledger().effects.all("dropped") == effects


def test_a_new_version_of_a_dropped_file_may_change_few_fields(container):
    put(container, "river/a.jpg", picture())
    first_etag = put(container, "river/campaign.yaml", CAMPAIGN)
    launch_from_drop("river/campaign.yaml", first_etag)
    second_etag = put(container, "river/campaign.yaml", CAMPAIGN + "deadline: 2026-12-24\n")
    assert first_etag != second_etag
    assert launch_from_drop("river/campaign.yaml", second_etag) == "dropped"
    assert len(the_ledger().campaigns.all()) == 1


def test_a_file_with_a_fault_launches_nothing_and_can_be_mended(container):
    put(container, "river/a.jpg", picture())
    wrong = put(container, "river/campaign.yaml", CAMPAIGN.replace("labeler", "labeller"))
    with pytest.raises(SpecError, match="did you mean 'labeler'"):
        launch_from_drop("river/campaign.yaml", wrong)
    assert the_ledger().campaigns.all() == []
    assert launch_from_drop("river/campaign.yaml", put(container, "river/campaign.yaml", CAMPAIGN)) == "dropped"
