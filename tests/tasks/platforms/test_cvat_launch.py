"""A launch on CVAT without Prefect: image sizes that CVAT sees differently, and tasks that are gone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from labelwright.campaigns.interventions import retry_blocked
from labelwright.campaigns.spec import CampaignSpec, validate_spec
from labelwright.domain import Annotation, Box, State, Work
from labelwright.ledger import Ledger
from labelwright.platforms import PlatformRefused
from labelwright.platforms.http.logins import forget_logins
from labelwright.settings import forget_settings
from labelwright.tasks.campaign.batch_upload import list_missing_images, send_images, wait_for_batch
from labelwright.tasks.campaign.image_checks import FilesLeftOut, check_images, register_campaign
from labelwright.tasks.campaign.lifecycle import activate_campaign, create_campaign
from labelwright.tasks.campaign.lost_images import STEP
from labelwright.tasks.context import the_ledger
from labelwright.tasks.sweep.refresh import refresh_batch
from tests.platforms.cvat.fake_server.server import FakeCvat
from tests.platforms.cvat.harness import as_labeler, label_images

BOAT = Annotation("boat", Box(1, 2, 11, 12))
ROUNDS = 3


@pytest.fixture(params=["2.15", "requests"])
def cvat(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCvat]:
    with FakeCvat(request.param) as server:
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
    title = register_campaign.fn(spec)
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
def ledger(cvat: FakeCvat) -> Ledger:
    return the_ledger()


def state() -> State:
    return the_ledger().campaigns.get("river").state


def names() -> list[str]:
    return [entry.image.name for entry in the_ledger().manifests.entries("river")]


def images() -> list[str]:
    return [entry.remote_id or "" for entry in the_ledger().manifests.entries("river")]


def rejects() -> dict[str, str]:
    return {item.name: item.reason for item in the_ledger().manifests.rejects("river")}


def frames(cvat: FakeCvat) -> list[str]:
    return sorted(frame.name for task in cvat.state.tasks.values() for frame in task.frames)


# Image sizes


def test_a_turned_tiff_is_left_out_with_its_reason_and_the_rest_goes_on(cvat: FakeCvat, tmp_path: Path) -> None:
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


def test_an_image_of_any_other_size_is_noticed(cvat: FakeCvat, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    for number in range(3):
        photo(folder, f"photo-{number}.jpg")

    def shrink(request: Any) -> None:
        for task in cvat.state.tasks.values():
            for frame in task.frames:
                if frame.name == "photo-1.jpg":
                    frame.width, frame.height = 30, 20

    cvat.interfere = shrink
    launch(river(tmp_path))
    assert names() == frames(cvat) == ["photo-0.jpg", "photo-2.jpg"]
    assert "cvat sees 30 x 20 pixels, it has 60 x 40" in rejects()["photo-1.jpg"]
    assert "EXIF" not in rejects()["photo-1.jpg"]


def test_a_strict_campaign_stops_at_an_image_of_another_size(cvat: FakeCvat, tmp_path: Path) -> None:
    photo(tmp_path / "photos", "photo.jpg")
    photo(tmp_path / "photos", "turned.tif", orientation=6)
    with pytest.raises(FilesLeftOut, match=r"strict: turned\.tif: cvat sees 60 x 40"):
        launch(river(tmp_path, images={"strict": True}))
    assert all(job.assignee is None for job in cvat.state.jobs.values()), "nobody labels"


def test_a_campaign_of_which_no_image_is_left_says_so(cvat: FakeCvat, tmp_path: Path) -> None:
    photo(tmp_path / "photos", "turned.tif", orientation=6)
    with pytest.raises(FilesLeftOut, match=r"no image is left.*turned\.tif"):
        launch(river(tmp_path))


def test_started_task_is_not_deleted_for_an_image_of_another_size(cvat: FakeCvat, tmp_path: Path) -> None:
    photo(tmp_path / "photos", "photo.jpg")
    photo(tmp_path / "photos", "turned.tif", orientation=6)
    spec = river(tmp_path)
    title = register_campaign.fn(spec)
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


def test_earlier_campaign_keeps_its_images_with_a_warning(
    cvat: FakeCvat, tmp_path: Path, caplog: pytest.LogCaptureFixture
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


# Tasks that are gone


def launched(tmp_path: Path, count: int = 7, **more: Any) -> CampaignSpec:
    for number in range(count):
        photo(tmp_path / "photos", f"photo-{number}.jpg")
    spec = river(tmp_path, **more)
    launch(spec)
    return spec


def sweep() -> str:
    """What a sweep does with this campaign."""
    return refresh_batch(["river"]).states["river"]


def delete_task(cvat: FakeCvat, number: int) -> None:
    as_labeler(cvat, "DELETE", f"/api/tasks/{number}", None, "requester")


def repairs() -> list[str]:
    return [item.outcome or "" for item in the_ledger().effects.all("river") if item.step == STEP]


def assert_repaired(cvat: FakeCvat, done: int) -> None:
    assert frames(cvat) == names()
    assert {job.assignee for job in cvat.state.jobs.values()} == {cvat.labeler1.id}, "labelers see assigned jobs only"
    assert state() is State.ACTIVE
    assert sweep() == "active"
    record = the_ledger().campaigns.get("river")
    assert (record.done, record.total) == (done, 7)


@pytest.mark.parametrize("deleted", [1, 2])
def test_sweep_reports_deleted_task_and_retry_recreates_it(cvat: FakeCvat, tmp_path: Path, deleted: int) -> None:
    spec = launched(tmp_path)
    label_images(cvat, 1, {images()[0]: [BOAT], images()[1]: [BOAT], images()[4]: [], images()[5]: []})
    assert sweep() == "active"
    delete_task(cvat, deleted)
    assert sweep() == "needs attention"
    reason = the_ledger().campaigns.get("river").reason or ""
    gone = {1: 4, 2: 3}[deleted]
    assert f"{gone} of 7 images are gone from the campaign on cvat" in reason
    assert "lost; 4 images were labeled at the last check" in reason
    assert "labelwright resume 'river'" in reason
    _, due = retry_blocked("river")
    assert due is Work.LAUNCH
    launch(spec)
    assert_repaired(cvat, done=2)
    assert [item.partition(";")[0] for item in repairs()] == [f"{gone} of 7 images were gone"]
    assert sorted(task.name for task in cvat.state.tasks.values()) == ["river 001", "river 002"]


def test_launch_reports_deleted_task_and_assigns_resent_images(
    cvat: FakeCvat, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spec = launched(tmp_path)
    delete_task(cvat, 2)
    caplog.clear()
    launch(spec)
    assert_repaired(cvat, done=0)
    assert "3 images were on the platform and are gone: photo-4.jpg, photo-5.jpg, photo-6.jpg" in caplog.text
    assert "labels that were drawn on them there are lost" in caplog.text
    (note,) = repairs()
    assert note.startswith("3 of 7 images were gone; labels on them there are lost")
    caplog.clear()
    launch(spec)
    assert "gone" not in caplog.text
    assert len(repairs()) == 1


def test_a_campaign_all_of_whose_tasks_are_gone_is_made_again(cvat: FakeCvat, tmp_path: Path) -> None:
    spec = launched(tmp_path)
    assert sweep() == "active"
    for number in list(cvat.state.tasks):
        delete_task(cvat, number)
    assert sweep() == "needs attention"
    retry_blocked("river")
    launch(spec)
    assert_repaired(cvat, done=0)


def test_campaign_in_shared_project_without_tasks_is_recreated(cvat: FakeCvat, tmp_path: Path) -> None:
    spec = launched(tmp_path, options={"project": "rivers"})
    assert sweep() == "active"
    for number in list(cvat.state.tasks):
        delete_task(cvat, number)
    assert sweep() == "needs attention"
    assert "7 of 7 images are gone" in (the_ledger().campaigns.get("river").reason or "")
    retry_blocked("river")
    launch(spec)
    assert_repaired(cvat, done=0)


def test_an_interrupted_repair_still_assigns(cvat: FakeCvat, tmp_path: Path) -> None:
    spec = launched(tmp_path)
    delete_task(cvat, 2)
    for batch in list_missing_images.fn("river"):
        send_images.fn("river", batch)
        wait_for_batch.fn("river", batch)
    assert None in {job.assignee for job in cvat.state.jobs.values()}, "the run ends here"
    launch(spec)
    assert_repaired(cvat, done=0)


def test_jobs_that_nobody_has_any_more_are_assigned_by_the_next_launch(cvat: FakeCvat, tmp_path: Path) -> None:
    spec = launched(tmp_path)
    for job in cvat.state.jobs.values():
        job.assignee = None
    launch(spec)
    assert_repaired(cvat, done=0)


def test_exported_campaign_with_deleted_tasks_is_not_sent_again(cvat: FakeCvat, tmp_path: Path) -> None:
    spec = launched(tmp_path)
    for became in (State.COMPLETED, State.FINISHED, State.EXPORTED):
        the_ledger().campaigns.move("river", became)
    delete_task(cvat, 2)
    launch(spec)
    assert state() is State.EXPORTED
    assert len(frames(cvat)) == 4


def test_a_colleagues_task_changes_nothing_for_the_campaign_in_the_ledger(cvat: FakeCvat, tmp_path: Path) -> None:
    """Also on a server that keeps no mark, and for a campaign that an earlier version launched."""
    spec = launched(tmp_path)
    for task in cvat.state.tasks.values():
        task.bug_tracker = ""
    payload = {"name": "river 003", "project_id": 1}
    other = as_labeler(cvat, "POST", "/api/tasks", payload, "requester")["id"]
    cvat.state.tasks[other].frames = [replace(cvat.state.tasks[1].frames[0], name="pilot.jpg")]
    cvat.state.tasks[other].data = cvat.state.tasks[1].data
    cvat.state.jobs[99] = replace(cvat.state.jobs_of(1)[0], id=99, task=other, stop=0)
    cvat.state.tasks[1].name = "renamed"
    label_images(cvat, 1, {image: [] for image in images()})
    assert sweep() == "completed"
    record = the_ledger().campaigns.get("river")
    assert (record.done, record.total) == (7, 7)
    assert spec.title == "river"
