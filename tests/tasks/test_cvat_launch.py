"""A launch on CVAT without Prefect: image sizes that CVAT sees differently, and tasks that are gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from labelwright.domain import Annotation, Box, State
from labelwright.ledger import Ledger
from labelwright.platforms import PlatformRefused
from labelwright.platforms.logins import forget_logins
from labelwright.settings import forget_settings
from labelwright.spec import CampaignSpec, validate_spec
from labelwright.tasks.campaign_images import list_missing_images, send_images, wait_for_batch
from labelwright.tasks.campaigns import activate_campaign, create_campaign
from labelwright.tasks.planning import FilesLeftOut, check_images, write_down_campaign
from labelwright.tasks.workbench import the_ledger
from tests.platforms.cvat_harness import as_labeler, label_images
from tests.platforms.cvat_standin import StandIn

BOAT = Annotation("boat", Box(1, 2, 11, 12))
ROUNDS = 3


@pytest.fixture(params=["2.15", "requests"])
def cvat(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    with StandIn(request.param) as server:
        monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path / "home"))
        for name, value in {"URL": server.url, "KEY": "requester", "SECRET": "requester-password"}.items():
            monkeypatch.setenv(f"LABELWRIGHT_CONNECTIONS__CVAT__{name}", value)
        forget_settings()
        forget_logins()
        yield server
    forget_settings()
    forget_logins()


def photo(folder: Path, name: str, size: tuple[int, int] = (60, 40), orientation: int = 1) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    picture = Image.new("RGB", size, (len(list(folder.iterdir())) * 20, 9, 9))
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(folder / name, exif=exif)


def river(tmp_path: Path, **more: Any) -> CampaignSpec:
    options = {"organization": "acme", "segment_size": 2, "images_per_task": 4} | more.pop("options", {})
    images = {"folder": str(tmp_path / "photos")} | more.pop("images", {})
    document = {
        "title": "river",
        "images": images,
        "labels": [{"name": "boat", "geometry": "any"}],
        "labeler": "labeler1@example.com",
        "platform": "cvat",
        "options": options,
        "export": {"folder": str(tmp_path / "datasets")},
        **more,
    }
    return validate_spec(document, "test")


def launch(spec: CampaignSpec) -> None:
    """What the flow launch-campaign does, as plain calls."""
    title = write_down_campaign.fn(spec)
    check_images.fn(title)
    create_campaign.fn(title)
    batches = list_missing_images.fn(title)
    for _ in range(ROUNDS):
        for batch in batches:
            send_images.fn(title, batch)
        for batch in batches:
            wait_for_batch.fn(title, batch)
        batches = list_missing_images.fn(title) if batches else []
    assert not batches
    activate_campaign.fn(title)


@pytest.fixture
def ledger(cvat: StandIn) -> Ledger:
    return the_ledger()


def state() -> State:
    return the_ledger().campaigns.get("river").state


def names() -> list[str]:
    return [entry.image.name for entry in the_ledger().manifests.entries("river")]


def images() -> list[str]:
    return [entry.remote_id or "" for entry in the_ledger().manifests.entries("river")]


def rejects() -> dict[str, str]:
    return {one.name: one.reason for one in the_ledger().manifests.rejects("river")}


def frames(cvat: StandIn) -> list[str]:
    return sorted(frame.name for task in cvat.state.tasks.values() for frame in task.frames)


# Image sizes


def test_a_turned_tiff_is_left_out_with_its_reason_and_the_rest_goes_on(cvat: StandIn, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    for number in range(5):
        photo(folder, f"photo-{number}.jpg")
    photo(folder, "portrait.jpg", orientation=6)
    photo(folder, "portrait.png", orientation=6)
    photo(folder, "turned.tif", orientation=6)
    launch(river(tmp_path))
    kept = [*(f"photo-{number}.jpg" for number in range(5)), "portrait.jpg", "portrait.png"]
    assert names() == kept
    assert frames(cvat) == kept, "nobody is shown an image whose labels would be lost"
    assert list(rejects()) == ["turned.tif"]
    assert "cvat sees 60 x 40 pixels, it has 40 x 60" in rejects()["turned.tif"]
    assert "EXIF" in rejects()["turned.tif"]
    assert "turned.tif" in (tmp_path / "home" / "campaigns" / "river" / "rejects.csv").read_text()
    assert state() is State.ACTIVE
    assert {job.assignee for job in cvat.state.jobs.values()} == {cvat.labeler1.id}
    assert the_ledger().campaigns.get("river").images == 7


def test_an_image_of_any_other_size_is_noticed(cvat: StandIn, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    for number in range(3):
        photo(folder, f"photo-{number}.jpg")

    def shrink(asked: Any) -> None:
        for task in cvat.state.tasks.values():
            for frame in task.frames:
                if frame.name == "photo-1.jpg":
                    frame.width, frame.height = 30, 20

    cvat.interfere = shrink
    launch(river(tmp_path))
    assert names() == frames(cvat) == ["photo-0.jpg", "photo-2.jpg"]
    assert "cvat sees 30 x 20 pixels, it has 60 x 40" in rejects()["photo-1.jpg"]
    assert "EXIF" not in rejects()["photo-1.jpg"]


def test_a_strict_campaign_stops_at_an_image_of_another_size(cvat: StandIn, tmp_path: Path) -> None:
    photo(tmp_path / "photos", "photo.jpg")
    photo(tmp_path / "photos", "turned.tif", orientation=6)
    with pytest.raises(FilesLeftOut, match=r"strict: turned\.tif: cvat sees 60 x 40"):
        launch(river(tmp_path, images={"strict": True}))
    assert all(job.assignee is None for job in cvat.state.jobs.values()), "nobody labels"


def test_a_campaign_of_which_no_image_is_left_says_so(cvat: StandIn, tmp_path: Path) -> None:
    photo(tmp_path / "photos", "turned.tif", orientation=6)
    with pytest.raises(FilesLeftOut, match=r"no image is left.*turned\.tif"):
        launch(river(tmp_path))


def test_a_task_in_which_somebody_has_begun_is_not_deleted_for_an_image_of_another_size(
    cvat: StandIn, tmp_path: Path
) -> None:
    photo(tmp_path / "photos", "photo.jpg")
    photo(tmp_path / "photos", "turned.tif", orientation=6)
    spec = river(tmp_path)
    title = write_down_campaign.fn(spec)
    check_images.fn(title)
    create_campaign.fn(title)
    send_images.fn(title, 1)
    wait_for_batch.fn(title, 1)
    (job,) = cvat.state.jobs.values()
    label = cvat.state.projects[1].labels[0].id
    shape = {"type": "rectangle", "frame": 0, "label_id": label, "points": [1, 2, 11, 12], "attributes": []}
    as_labeler(cvat, "PUT", f"/api/jobs/{job.id}/annotations", {"shapes": [shape]}, "requester")
    with pytest.raises(PlatformRefused, match=r"somebody has begun to label task \d+ 'river 001'"):
        list_missing_images.fn(title)
    assert frames(cvat) == ["photo.jpg", "turned.tif"]
    assert names() == ["photo.jpg", "turned.tif"]


def test_a_campaign_that_was_launched_before_keeps_its_images_and_is_warned_of(
    cvat: StandIn, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(2):
        photo(tmp_path / "photos", f"photo-{number}.jpg")
    spec = river(tmp_path)
    launch(spec)
    label_images(cvat, int(the_ledger().campaigns.get("river").remote_id or 0), {images()[0]: [BOAT]})
    (task,) = cvat.state.tasks.values()
    task.frames[1].width = 61
    launch(spec)
    assert frames(cvat) == names() == ["photo-0.jpg", "photo-1.jpg"]
    assert "photo-1.jpg: cvat sees 61 x 40 pixels" in caplog.text
