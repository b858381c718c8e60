"""The adapter of the campaign API keeps the contract, against the embedded service and with the network between them
breaking in every way that the proxy knows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from labelwright.domain import (
    Annotation,
    Attribute,
    Box,
    Geometry,
    Label,
    LabelSchema,
    MultiPolygon,
    Polygon,
    WholeImage,
)
from labelwright.platforms import NotFound
from labelwright.platforms.campaign_api.adapter import CampaignApi
from labelwright.platforms.protocol import CampaignOrder, PlatformLabels
from labelwright.service import ServiceConfig
from labelwright.service.run import serving
from tests.platforms.contract import all_labels, contract_of, fill, unique
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


SCHEMA = LabelSchema(
    (
        Label("boat", Geometry.BOX, attributes=(Attribute("state", ("whole", "torn"), "whole", required=True),)),
        Label("sail", Geometry.POLYGON, parent="boat", color="#e69f00", translations={"nl": "zeil"}),
        Label("fog", Geometry.IMAGE, attributes=(Attribute("remark"),)),
        Label("other", Geometry.ANY),
    )
)


def test_the_whole_schema_reaches_the_server_and_its_labels_come_back(harness: CampaignApiHarness) -> None:
    platform = harness.platform()
    campaign = platform.create_campaign(CampaignOrder(unique("campaign"), SCHEMA, f"{unique('labeler')}@example.com"))
    (image,) = fill(harness, platform, campaign.id, 1)
    platform.activate_campaign(campaign.id)
    parts = MultiPolygon((Polygon(((1, 1), (9, 1), (5, 8))), Polygon(((20, 10), (30, 10), (30.5, 20)))))
    annotations = (
        Annotation("boat", Box(1, 2.5, 11, 12), 0.5, {"state": "torn"}),
        Annotation("sail", parts),
        Annotation("fog", WholeImage(), 1.0, {"remark": "über dem Fluss"}),
        Annotation("other", Polygon(((1, 1), (9, 1), (5, 8)))),
    )
    harness.label(campaign, campaign.access, {image.id: annotations})
    (labeled,) = all_labels(platform, campaign.id)
    assert labeled.annotations == annotations
    assert platform.list_labels(campaign.id) == PlatformLabels(
        SCHEMA.names,
        {"boat": frozenset({"state"}), "sail": frozenset(), "fog": frozenset({"remark"}), "other": frozenset()},
        geometries={label.name: label.geometry for label in SCHEMA},
    )
