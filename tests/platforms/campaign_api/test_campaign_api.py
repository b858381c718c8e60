"""The adapter of the campaign API keeps the contract, against the embedded service and with the network between them
breaking in every way that the proxy knows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from labelwright.platforms import NotFound
from labelwright.platforms.campaign_api.adapter import CampaignApi
from labelwright.service import ServiceConfig
from labelwright.service.run import serving
from tests.platforms.contract import contract_of
from tests.platforms.contract_faults import FaultContract
from tests.platforms.proxy import FaultProxy

from .harness import CampaignApiHarness, _picture

KEY, SECRET = "the-admins-key-of-this-test", "the-admins-secret-of-this-test"


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CampaignApiHarness]:
    config = ServiceConfig(data_dir=tmp_path_factory.mktemp("service"), admin_key=KEY, admin_secret=SECRET)
    with serving(config) as address, FaultProxy(("127.0.0.1", urlsplit(address).port or 0)) as proxy:
        yield CampaignApiHarness(proxy, address, KEY, SECRET)


class TestContract(contract_of(CampaignApi)):
    """On a good network."""


class TestFaults(FaultContract):
    """On one that breaks."""

    adapter = CampaignApi


def test_an_image_is_read_back_byte_by_byte(harness: CampaignApiHarness) -> None:
    """The service answers with a signed address, which is asked without the credential."""
    platform, image = harness.platform(), harness.stock()[0]
    assert platform.read_image(image.id) == hashlib.sha256(_picture(image.name)).hexdigest()
    with pytest.raises(NotFound):
        platform.read_image("999999")
