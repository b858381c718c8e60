"""`plan` and `launch` leave out the same images before anything is sent: those beyond what the service itself tells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from PIL import Image

from labelwright.campaigns.accepted_images import AcceptedImages, documented_limits
from labelwright.campaigns.image_source import limits_of
from labelwright.campaigns.plan import Plan, make_plan
from labelwright.campaigns.spec import CampaignSpec, ImagesFrom, validate_spec
from labelwright.domain import Image as ImageFile
from labelwright.domain import Size
from labelwright.domain.errors import text_with_code
from labelwright.domain.image_limits import MOST_BYTES, MOST_PIXELS
from labelwright.ingest import InventoryItem
from labelwright.ingest import Limits as IngestLimits
from labelwright.ingest.sources.local import FilesSource
from labelwright.ingest.sources.urls import UrlSource
from labelwright.platforms.registry import PLATFORMS
from labelwright.prefect_integration.connections import CONNECTIONS
from labelwright.service import Limits, ServiceConfig
from labelwright.service.run import serving
from labelwright.settings import forget_settings, settings
from labelwright.tasks.campaign import image_set_upload
from labelwright.tasks.campaign.image_checks import FilesLeftOut, check_images, register_campaign
from labelwright.tasks.context import the_ledger

StartService = Callable[[Limits], str]


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path / "home"))
    forget_settings()
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.new("RGB", (60, 40)).save(folder / "good.png")
    yield folder
    forget_settings()


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StartService]:
    with ExitStack() as stack:

        def start(limits: Limits) -> str:
            config = ServiceConfig(tmp_path / "service", admin_key="admin", admin_secret="of the admin", limits=limits)
            url = stack.enter_context(serving(config))
            for name, value in {"URL": f"{url}/api/v1", "KEY": "admin", "SECRET": "of the admin"}.items():
                monkeypatch.setenv(f"LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__{name}", value)
            forget_settings()
            return url

        yield start


def river(photos: Path, platform: str = "campaign_api", **images: object) -> CampaignSpec:
    document = {"title": "river", "platform": platform, "labels": ["boat"], "labeler": "a@example.com"}
    return validate_spec({**document, "images": {"folder": str(photos), **images}}, "test")


def planned(spec: CampaignSpec) -> Plan:
    return make_plan(spec, settings(), CONNECTIONS)


def rejects() -> list[dict[str, str]]:
    return [{"file": reject.name, "reason": reject.reason} for reject in the_ledger().manifests.rejects("river")]


def test_one_limit_holds_for_campaigns_ingest_and_service(photos: Path) -> None:
    campaign = limits_of(ImagesFrom(folder=str(photos)))
    assert campaign == IngestLimits() == IngestLimits(MOST_BYTES, MOST_PIXELS)
    assert Limits().image_pixels == PLATFORMS["campaign_api"].images.most_pixels == MOST_PIXELS
    assert Limits().upload_bytes >= MOST_BYTES


def test_a_mosaic_within_the_limit_is_planned_and_launched(photos: Path, start: StartService) -> None:
    Image.new("1", (14_000, 13_000)).save(photos / "mosaic.png")  # 182 megapixels: more than Pillow opens by itself
    start(Limits())
    spec = river(photos)
    assert (planned(spec).images, planned(spec).rejects) == (2, [])
    register_campaign.fn(spec)
    assert check_images.fn("river") == 2
    image_set_upload.create_image_set.fn("river")
    for batch in image_set_upload.find_missing_images.fn("river"):
        image_set_upload.upload_batch.fn("river", batch)
    image_set_upload.seal_image_set.fn("river")
    image_set_upload.wait_for_image_set.fn("river")
    assert image_set_upload.match_images.fn("river") == 2
    assert rejects() == []


def test_what_the_service_does_not_take_is_left_out_before_the_upload(photos: Path, start: StartService) -> None:
    Image.new("RGB", (61, 40)).save(photos / "many.png")
    Image.new("RGB", (40, 40)).save(photos / "heavy.webp")
    Image.effect_noise((40, 39), 90).save(photos / "noise.bmp")
    url = start(Limits(image_pixels=2400, decoding_bytes=16 * 1599, upload_bytes=1500))
    spec = river(photos)
    plan = planned(spec)
    assert plan.images == 1
    assert {reject["file"]: reject["reason"] for reject in plan.rejects} == {
        "heavy.webp": "the campaign API does not accept it: has 1,600 pixels; 1,599 are accepted in a WEBP",
        "many.png": "the campaign API does not accept it: has 2,440 pixels; 2,400 are accepted",
        "noise.bmp": "the campaign API does not accept it: has 2,638 bytes; 1,500 are accepted",
    }
    register_campaign.fn(spec)
    assert check_images.fn("river") == 1
    assert rejects() == plan.rejects
    assert requests.get(f"{url}/health", timeout=60).json()["limits"]["image_pixels"] == 2400


def test_a_strict_campaign_stops_before_the_upload(photos: Path, start: StartService) -> None:
    start(Limits(image_pixels=2399))
    register_campaign.fn(river(photos, strict=True))
    with pytest.raises(FilesLeftOut, match="1 files were left out and the campaign is strict"):
        check_images.fn("river")


def test_images_that_stop_a_launch_stop_it_before_anything_is_sent(photos: Path) -> None:
    Image.new("RGB", (60, 20)).save(photos / "low.png")
    spec = river(photos, "geti")
    register_campaign.fn(spec)
    with pytest.raises(FilesLeftOut) as refused:
        check_images.fn("river")
    assert text_with_code(refused.value) == planned(spec).refusal
    assert str(refused.value).startswith("Geti does not accept 1 of the images: low.png has 60 x 20 pixels")
    (photos / "low.png").unlink()
    assert check_images.fn("river") == 1


@pytest.mark.parametrize(
    ("options", "source", "faults"),
    [
        ({}, "urls", []),
        ({"attachments": "url"}, "urls", []),
        ({"attachments": "upload"}, "urls", ["a.png has 80,000,001 bytes; 80,000,000 are accepted"]),
        ({}, "files", ["a.png has 80,000,001 bytes; 80,000,000 are accepted"]),
        ({"attachments": "upload"}, "files", ["a.png has 80,000,001 bytes; 80,000,000 are accepted"]),
        ({"attachments": "url"}, "files", ["a.png has no URL that the platform can read, and the campaign's options"]),
    ],
)
def test_the_way_to_scale_decides_on_the_limit(options: dict[str, str], source: str, faults: list[str]) -> None:
    url = "https://h.example.com/a.png"
    spec = river(Path(), "scale").model_copy(update={"options": options})
    images = UrlSource([url]) if source == "urls" else FilesSource(["a.png"])
    accepted = AcceptedImages(spec, documented_limits(spec), images)
    image = ImageFile("a.png", Size(9, 9), 80_000_001, "0" * 64, "0" * 32, "PNG")
    assert list(accepted.check([InventoryItem(image, url)]))
    assert len(accepted.faults) == len(faults)
    assert all(found.startswith(fault) for found, fault in zip(accepted.faults, faults, strict=True))


def test_an_unreachable_service_is_planned_with_the_common_limit(photos: Path, monkeypatch) -> None:
    for name, value in {"URL": "http://127.0.0.1:9/api/v1", "KEY": "admin", "SECRET": "of the admin"}.items():
        monkeypatch.setenv(f"LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__{name}", value)
    entry = replace(PLATFORMS["campaign_api"], images=replace(PLATFORMS["campaign_api"].images, most_pixels=2399))
    monkeypatch.setitem(PLATFORMS, "campaign_api", entry)
    forget_settings()
    assert [reject["file"] for reject in planned(river(photos)).rejects] == ["good.png"]
