"""Image sizes that differ on the platform are noticed at launch on every platform, before anybody labels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from labelwright.campaigns.spec import CampaignSpec, validate_spec
from labelwright.domain import Size, State
from labelwright.platforms.campaign_api.adapter import CampaignApi
from labelwright.platforms.protocol import RemoteImage
from labelwright.platforms.registry import PLATFORMS
from labelwright.service import ServiceConfig
from labelwright.service.run import serving
from labelwright.settings import forget_settings
from labelwright.tasks.campaign import batch_upload, image_set_upload
from labelwright.tasks.campaign import lifecycle as campaigns
from labelwright.tasks.campaign.image_checks import check_images, register_campaign
from labelwright.tasks.campaign.image_sizes import SizesDiffer, resized_images
from labelwright.tasks.context import the_ledger
from tests.imaging.orientation_files import FILES
from tests.imaging.refused_files import REFUSED
from tests.imaging.test_damage import LOST
from tests.imaging.test_deep_pixels import FILES as DEEP
from tests.imaging.test_kinds import LONG, with_chunk
from tests.platforms.shelf import ENTRY, STORES, Shelf, Store


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path / "home"))
    forget_settings()
    yield tmp_path
    forget_settings()


def river(home: Path, platform: str) -> CampaignSpec:
    for number in range(3):
        (home / "photos").mkdir(exist_ok=True)
        Image.new("RGB", (60, 40), (number, 9, 9)).save(home / "photos" / f"photo-{number}.png")
    document = {
        "title": "river",
        "platform": platform,
        "images": {"folder": str(home / "photos")},
        "labels": ["boat"],
        "labeler": "a@example.com",
        "export": {"folder": str(home / "datasets")},
    }
    return validate_spec(document, "test")


def begin(spec: CampaignSpec) -> None:
    register_campaign.fn(spec)
    check_images.fn("river")


def names() -> list[str]:
    return [entry.image.name for entry in the_ledger().manifests.entries("river")]


def otherwise(image: RemoteImage) -> RemoteImage:
    return replace(image, width=40, height=60) if image.name == "photo-1.png" else image


def test_only_sizes_that_are_told_and_differ_are_misfits() -> None:
    sizes = {name: Size(60, 40) for name in ("same", "turned", "scaled", "untold")}
    images = [
        RemoteImage("1", "same", 60, 40),
        RemoteImage("2", "turned", 40, 60),
        RemoteImage("3", "scaled", 30, 20),
        RemoteImage("4", "untold", 0, 0),
        RemoteImage("5", "somebody else's", 1, 1),
    ]
    resized = resized_images("geti", images, sizes)
    assert [(image.id, image.name) for image in resized] == [("2", "turned"), ("3", "scaled")]
    assert resized[0].reason == (
        "geti sees 40 x 60 pixels, it has 60 x 40: it does not turn the image as its EXIF orientation says, "
        "and labels drawn there would not fit"
    )
    assert resized[1].reason == "geti sees 30 x 20 pixels, it has 60 x 40: so labels drawn there would not fit"


def test_a_platform_that_cannot_remove_images_stops_the_launch(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PLATFORMS, "shelf", ENTRY)
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__URL", f"memory:{home}")
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__KEY", "good")
    forget_settings()
    store = STORES.setdefault(f"memory:{home}", Store())
    real = Shelf.list_campaign_images
    monkeypatch.setattr(Shelf, "list_campaign_images", lambda self, campaign: map(otherwise, real(self, campaign)))
    begin(river(home, "shelf"))
    campaigns.create_campaign.fn("river")
    batch_upload.send_images.fn("river", 1)
    with pytest.raises(SizesDiffer, match=r"photo-1\.png: shelf sees 40 x 60.*under another title"):
        batch_upload.list_missing_images.fn("river")
    assert names() == ["photo-0.png", "photo-1.png", "photo-2.png"]
    assert [kept.state.value for kept in store.campaigns.values()] == ["created"], "nobody labels"


@pytest.fixture
def service(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with ExitStack() as stack:
        config = ServiceConfig(home / "service", admin_key="admin", admin_secret="secret of the admin")
        url = stack.enter_context(serving(config))
        variables = {"URL": f"{url}/api/v1", "KEY": "admin", "SECRET": "secret of the admin"}
        for name, value in variables.items():
            monkeypatch.setenv(f"LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__{name}", value)
        forget_settings()
        yield url


def make_set() -> None:
    image_set_upload.create_image_set.fn("river")
    for batch in image_set_upload.find_missing_images.fn("river"):
        image_set_upload.upload_batch.fn("river", batch)
    image_set_upload.seal_image_set.fn("river")
    image_set_upload.wait_for_image_set.fn("river")


def test_a_resized_image_in_a_set_is_kept_out_of_the_campaign(
    home: Path, service: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real: Any = CampaignApi.list_images
    monkeypatch.setattr(CampaignApi, "list_images", lambda self, image_set: map(otherwise, real(self, image_set)))
    begin(river(home, "campaign_api"))
    make_set()
    assert image_set_upload.match_images.fn("river") == 2
    assert names() == ["photo-0.png", "photo-2.png"]
    (reject,) = the_ledger().manifests.rejects("river")
    assert reject.name == "photo-1.png"
    assert "sees 40 x 60 pixels, it has 60 x 40" in reject.reason
    campaigns.create_campaign.fn("river")
    for first, last in campaigns.position_ranges("river"):
        campaigns.add_images.fn("river", first, last)
    campaigns.activate_campaign.fn("river")
    record = the_ledger().campaigns.get("river")
    assert (record.state, record.images) == (State.ACTIVE, 2)
    # Run again, a launch takes nothing out of a campaign whose labelers are at work.
    assert image_set_upload.match_images.fn("river") == 2


@pytest.mark.parametrize("on_damage", ["reject", "warn"])
def test_images_from_the_field_are_judged_alike_by_ingest_and_service(
    home: Path, service: str, on_damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    odd = {
        "as-long.jpg": FILES["jpeg exif long"](),
        "long-text.png": with_chunk(b"iTXt", b"prompt\0\1\0\0\0" + LONG),
        "lost.jpg": LOST["the lower half"],
        "raw.tif": REFUSED["DNG"][0],
        "thermal.tif": DEEP["thermal TIFF"],
        "turned.webp": FILES["webp exif"](),
    }
    spec = river(home, "campaign_api")
    for name, data in odd.items():
        (home / "photos" / name).write_bytes(data)
    images = {**spec.images.model_dump(), "on_damage": on_damage}
    begin(validate_spec({**spec.model_dump(mode="json"), "images": images}, "test"))
    taken = set(names())
    assert taken == set(odd) - {"raw.tif"} - ({"lost.jpg"} if on_damage == "reject" else set()) | {
        f"photo-{number}.png" for number in range(3)
    }
    assert "as-long.jpg, turned.webp (2 images): is read in different orientations" in caplog.text
    make_set()
    assert image_set_upload.match_images.fn("river") == len(taken), "the service has taken them, in the same sizes"
    assert set(names()) == taken


def test_resized_images_already_in_the_campaign_stop_the_launch(
    home: Path, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(river(home, "campaign_api"))
    make_set()
    image_set_upload.match_images.fn("river")
    campaigns.create_campaign.fn("river")
    for first, last in campaigns.position_ranges("river"):
        campaigns.add_images.fn("river", first, last)
    real: Any = CampaignApi.list_images
    monkeypatch.setattr(CampaignApi, "list_images", lambda self, image_set: map(otherwise, real(self, image_set)))
    with pytest.raises(SizesDiffer, match=r"photo-1\.png"):
        image_set_upload.match_images.fn("river")
    assert len(names()) == 3
