"""A plan compares the images with what the platform accepts."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from labelwright.campaigns.plan import Plan, add_access, make_plan
from labelwright.campaigns.spec import CampaignSpec
from labelwright.platforms.image_limits import ImageLimits
from labelwright.prefect_integration.connections import CONNECTIONS
from labelwright.settings import forget_settings, settings


@pytest.fixture
def photos(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path / "home"))
    forget_settings()
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.new("RGB", (64, 48)).save(folder / "good.png")
    Image.new("RGB", (64, 20)).save(folder / "low.png")
    Image.new("RGB", (64, 64)).save(folder / "moving.gif")
    yield folder
    forget_settings()


def plan_for(platform: str, photos: Path, **fields: object) -> tuple[CampaignSpec, Plan]:
    document = {"title": "river", "platform": platform, "images": {"folder": str(photos)}, "labeler": "a@b.c"}
    spec = CampaignSpec.model_validate({**document, "labels": ["boat"], **fields})
    return spec, make_plan(spec, settings(), CONNECTIONS)


def test_images_that_stop_a_launch_are_a_reason_to_refuse(photos):
    _, plan = plan_for("geti", photos)
    assert plan.images == 3
    assert plan.refusal.startswith("Geti does not accept 2 of the images: low.png has 64 x 20 pixels; a side needs at")
    assert "moving.gif is GIF; accepted are BMP, JPEG" in plan.refusal
    assert plan.refusal.endswith("Leave them out (images.exclude), or convert them")


def test_images_that_the_platform_leaves_out_are_a_warning(photos):
    _, plan = plan_for("remo", photos)
    assert plan.refusal == ""
    assert plan.warnings == [
        "Remo does not accept 1 of the images: moving.gif is GIF; accepted are JPEG, PNG, TIFF. It leaves them out"
    ]


def test_a_platform_without_limits_accepts_everything(photos):
    _, plan = plan_for("cvat", photos)
    assert (plan.refusal, plan.warnings) == ("", [])


def test_the_tasks_of_the_platform_are_counted(photos, monkeypatch):
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__CVAT__URL", "http://127.0.0.1:9")
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__CVAT__KEY", "token")
    forget_settings()
    spec, plan = plan_for("cvat", photos, options={"images_per_task": 2})
    add_access(plan, spec, settings(), CONNECTIONS)
    assert plan.create[-1] == "2 tasks of at most 2 images"
    assert plan.warnings[0].startswith("cvat did not answer")


def test_incomplete_credentials_are_a_reason_to_refuse(photos):
    spec, plan = plan_for("cvat", photos)
    add_access(plan, spec, settings(), CONNECTIONS)
    assert plan.refusal.startswith("connection 'cvat' is not complete")


def test_credentials_of_a_block_are_left_to_the_launch(photos):
    spec, plan = plan_for("cvat", photos, connection="block:agency")
    add_access(plan, spec, settings(), CONNECTIONS)
    assert plan.warnings == ["the credentials of block:agency are checked when the campaign is launched"]


@pytest.mark.parametrize(
    ("limits", "fault"),
    [
        (ImageLimits(), ""),
        (ImageLimits(largest_side=64, smallest_side=48, most_pixels=64 * 48, formats=frozenset({"PNG"})), ""),
        (ImageLimits(largest_side=63), "has 64 x 48 pixels; a side may have 63"),
        (ImageLimits(most_pixels=64 * 48 - 1), "has 3,072 pixels; 3,071 are accepted"),
    ],
)
def test_an_image_beyond_a_limit_is_told_with_the_limit(limits, fault):
    from labelwright.domain import Image as DomainImage
    from labelwright.domain import Size

    assert limits.fault(DomainImage("a.png", Size(64, 48), 10, "0" * 64, "md5", "PNG")) == fault
