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
    ImageState,
    Label,
    LabelSchema,
    MultiPolygon,
    Polygon,
    WholeImage,
)
from labelwright.platforms import NotFound, PlatformRefused
from labelwright.platforms.campaign_api.adapter import CampaignApi
from labelwright.platforms.protocol import CampaignOrder, PlatformLabels, RemoteState, Secret
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


def test_skipped_images_are_counted_and_excluded_with_their_reasons(harness: CampaignApiHarness) -> None:
    platform = CampaignApi(harness.proxy.url + "/api/v1", KEY, Secret(SECRET), allow_skip=True)
    campaign = platform.create_campaign(CampaignOrder(unique("campaign"), SCHEMA, f"{unique('labeler')}@example.com"))
    first, second, third = (image.id for image in fill(harness, platform, campaign.id, 3))
    platform.activate_campaign(campaign.id)
    assert campaign.access is not None
    harness.skip(campaign, campaign.access, first, "too  blurred\nto see")
    harness.label(campaign, campaign.access, {second: [Annotation("other", Box(1, 2, 3, 4))], third: []})
    read = platform.read_campaign(campaign.id)
    assert (read.state, read.done, read.total, read.skipped) == (RemoteState.COMPLETED, 3, 3, 1)
    page = platform.read_labels(campaign.id)
    assert [image.remote_id for image in page.images] == [second, third]
    (excluded,) = page.excluded
    assert (excluded.state, excluded.remote_id) == (ImageState.SKIPPED, first)
    assert excluded.detail == f"skipped by {campaign.access.email}: too blurred to see"


def test_without_the_option_no_image_is_skipped(harness: CampaignApiHarness) -> None:
    platform = harness.platform()
    campaign = platform.create_campaign(CampaignOrder(unique("campaign"), SCHEMA, f"{unique('labeler')}@example.com"))
    (image,) = fill(harness, platform, campaign.id, 1)
    platform.activate_campaign(campaign.id)
    with pytest.raises(AssertionError, match="may be skipped"):
        harness.skip(campaign, campaign.access, image.id, "too blurred")


def test_a_server_without_skips_is_told_before_anything_is_created(harness: CampaignApiHarness, monkeypatch) -> None:
    platform = CampaignApi(harness.proxy.url + "/api/v1", KEY, Secret(SECRET), allow_skip=True)
    monkeypatch.setattr(platform, "_health", lambda _operation: {"features": ["label_schema"]})
    title = unique("campaign")
    with pytest.raises(PlatformRefused, match=r"allow_skip.*no image can be skipped.*Nothing was created"):
        platform.create_campaign(CampaignOrder(title, SCHEMA, "labeler@example.com"))
    assert platform.find_campaign(title) is None


def test_notes_of_labelers_are_listed_and_answered(harness: CampaignApiHarness) -> None:
    platform = harness.platform(small_pages=True)
    campaign = platform.create_campaign(CampaignOrder(unique("campaign"), SCHEMA, f"{unique('labeler')}@example.com"))
    images = fill(harness, platform, campaign.id, 3)
    platform.activate_campaign(campaign.id)
    assert campaign.access is not None
    box = {"xmin": 1, "xmax": 2, "ymin": 1, "ymax": 2}
    for number, image in enumerate(images):
        shape = {"label": "boat", "bounding_box": box} if number == 1 else None
        harness.note(campaign, campaign.access, image.id, {"text": f"note {number}", "shape": shape})
    listed = list(platform.list_notes(campaign.id))
    assert [(note.text, note.label, note.answer) for note in listed] == [
        ("note 0", "", None),
        ("note 1", "boat", None),
        ("note 2", "", None),
    ]
    for _ in range(2):
        platform.answer_note(campaign.id, listed[1].id, "yes")
    assert [note.answer for note in platform.list_notes(campaign.id)] == [None, "yes", None]
    with pytest.raises(NotFound):
        platform.answer_note(campaign.id, "999999", "yes")
    with pytest.raises(NotFound):
        list(platform.list_notes("999999"))
