"""A plan compares the images with what the platform accepts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from labelwright.campaigns.image_notes import ImageNotes
from labelwright.campaigns.plan import Plan, add_access, make_plan
from labelwright.campaigns.spec import CampaignSpec
from labelwright.cli.output.plans import show_plan
from labelwright.domain import Image as DomainImage
from labelwright.domain import Size
from labelwright.platforms.image_limits import ImageLimits
from labelwright.prefect_integration.connections import CONNECTIONS
from labelwright.settings import forget_settings, settings
from tests.imaging.changed_copies import CHANGES, PHOTOGRAPHS, encoded, upright
from tests.imaging.orientation_files import FILES
from tests.imaging.test_damage import LOST
from tests.imaging.test_deep_pixels import FILES as DEEP


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


def plan_for(platform: str, photos: Path, **fields: Any) -> tuple[CampaignSpec, Plan]:
    document = {"title": "river", "platform": platform, "images": {"folder": str(photos)}, "labeler": "a@b.c"}
    export = {"formats": ["csv", "coco"], **fields.pop("export", {})}
    spec = CampaignSpec.model_validate({**document, "labels": ["boat"], "export": export, **fields})
    return spec, make_plan(spec, settings(), CONNECTIONS)


def test_images_that_stop_a_launch_are_a_reason_to_refuse(photos):
    _, plan = plan_for("geti", photos)
    assert plan.images == 3
    assert plan.refusal.startswith("Geti does not accept 2 of the images: low.png has 64 x 20 pixels; a side needs at")
    assert "moving.gif is GIF; accepted are BMP, JPEG" in plan.refusal
    assert plan.refusal.endswith("Leave them out (images.exclude), or convert them [LW1310]")


def test_images_that_the_platform_leaves_out_are_left_out_of_the_plan(photos):
    _, plan = plan_for("remo", photos)
    assert (plan.refusal, plan.warnings, plan.images) == ("", [], 2)
    reason = "Remo does not accept it: is GIF; accepted are JPEG, PNG, TIFF"
    assert plan.rejects == [{"file": "moving.gif", "reason": reason}]


def test_a_platform_without_limits_accepts_everything(photos):
    _, plan = plan_for("cvat", photos)
    assert (plan.refusal, plan.warnings) == ("", [])


def test_what_readers_take_differently_is_a_warning(photos):
    (photos / "turned.webp").write_bytes(FILES["webp exif"]())
    (photos / "thermal.tif").write_bytes(DEEP["thermal TIFF"])
    _, plan = plan_for("campaign_api", photos)
    assert plan.refusal == ""
    deep, turned = plan.warnings
    assert deep.startswith("thermal.tif: has more than 8 bits a channel")
    assert turned.startswith("turned.webp: is read in different orientations: browsers, and so labelers, show it as it")
    assert "exif_transpose gives it turned by orientation 6; OpenCV gives it turned by orientation 6" in turned


def test_many_images_with_one_note_are_one_line():
    notes = ImageNotes()
    for number in range(7):
        notes.add(DomainImage(f"{number}.gif", Size(1, 1), 1, "", "", "GIF", ("is animated",)))
    assert notes.lines() == ["0.gif, 1.gif, 2.gif, 3.gif, 4.gif and 2 more (7 images): is animated"]


def test_damage_is_rejected_unless_the_campaign_says_otherwise(photos):
    (photos / "lost.jpg").write_bytes(LOST["the lower half"])
    spec, plan = plan_for("campaign_api", photos)
    assert [reject["file"] for reject in plan.rejects] == ["lost.jpg"]
    assert "on_damage" not in spec.model_dump(mode="json")["images"], "campaigns of older ledgers compare equal"
    spec, plan = plan_for("campaign_api", photos, images={"folder": str(photos), "on_damage": "warn"})
    assert plan.rejects == []
    assert plan.warnings[0].startswith("lost.jpg: image data was lost")
    assert spec.model_dump(mode="json")["images"]["on_damage"] == "warn"


def test_groups_that_look_alike_are_told_and_nothing_is_dropped(photos, capsys):
    for number, (name, data) in enumerate(PHOTOGRAPHS.items()):
        (photos / f"{number}-{name}.jpg").write_bytes(data)
        for change in CHANGES:
            (photos / f"{number}-{name} {change.replace('%', 'percent')}.jpg").write_bytes(
                CHANGES[change](upright(data))
            )
    spec, plan = plan_for("cvat", photos)
    assert plan.images == 36 + 3
    assert plan.rejects == []
    groups = plan.as_json()["near_duplicates"]
    assert [len(group["others"]) for group in groups] == [3] * 9
    assert {group["first"].partition("-")[0] for group in groups} == set("012345678")
    for group in groups:
        assert {name.partition("-")[0] for name in group["others"]} == {group["first"][0]}
    assert "near_duplicates" not in spec.model_dump(mode="json")["images"], "campaigns of older ledgers compare equal"

    show_plan(plan, False)
    shown = " ".join(capsys.readouterr().out.split())
    assert "9 groups of near-duplicates: 27 images besides the first of each, all taken" in shown
    assert "images.near_duplicates: skip" in shown
    assert "first of its group" in shown

    spec, plan = plan_for("cvat", photos, images={"folder": str(photos), "near_duplicates": "skip"})
    assert plan.images == 9 + 3
    assert len(plan.rejects) == 27
    assert plan.as_json()["near_duplicates"] == groups
    assert spec.model_dump(mode="json")["images"]["near_duplicates"] == "skip"


def test_an_image_that_the_platform_refuses_is_not_the_first_of_a_group(photos):
    picture = upright(next(iter(PHOTOGRAPHS.values())))
    for name, kind in (("a.gif", "GIF"), ("b.png", "PNG"), ("c.jpg", "JPEG")):
        (photos / name).write_bytes(encoded(picture, kind))
    _, plan = plan_for("remo", photos, images={"folder": str(photos), "near_duplicates": "skip"})
    assert plan.near_duplicates == [{"first": "b.png", "others": ["c.jpg"]}]
    assert [reject["file"] for reject in plan.rejects] == ["a.gif", "c.jpg", "moving.gif"]


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
        (ImageLimits(most_pixels=9999, most_pixels_of={"PNG": 9}), "has 3,072 pixels; 9 are accepted in a PNG"),
        (ImageLimits(most_pixels=9999, most_pixels_of={"WEBP": 9}), ""),
        (ImageLimits(most_bytes=9), "has 10 bytes; 9 are accepted"),
        (ImageLimits(most_bytes_uploaded=9), "has 10 bytes; 9 are accepted"),
    ],
)
def test_an_image_beyond_a_limit_is_told_with_the_limit(limits, fault):
    from labelwright.domain import Image as DomainImage
    from labelwright.domain import Size

    assert limits.fault(DomainImage("a.png", Size(64, 48), 10, "0" * 64, "md5", "PNG")) == fault


def test_the_plan_tells_what_a_split_would_do(photos):
    for number in range(12):
        folder = photos / f"cam{number % 4}"
        folder.mkdir(exist_ok=True)
        Image.new("RGB", (64, 64), (number * 20, 0, 0)).save(folder / f"{number}.png")
    export = {"split": {"train": 60, "validation": 20, "test": 20, "by": "folder"}}
    _, plan = plan_for("cvat", photos, export=export)
    assert sum(part["images"] for part in plan.split.values()) == plan.images == 15
    assert sum(part["groups"] for part in plan.split.values()) == 5, "the top folder is one, too"
    assert plan.parts[0] == f"train: {plan.split['train']['images']} images of {plan.split['train']['groups']} folders"
    export["split"] |= {"by": "name-pattern", "pattern": "^(cam[0-9])/"}
    _, plan = plan_for("cvat", photos, export=export)
    alone = "3 images do not match export.split.pattern, and are assigned to a part of the split one by one: "
    assert plan.warnings[0] == f"{alone}good.png, low.png, moving.gif"


def test_a_part_of_the_split_without_images_is_a_warning(photos):
    export = {"split": {"train": 100, "validation": 0, "test": 0, "by": "folder"}}
    _, plan = plan_for("cvat", photos, export=export)
    assert plan.split == {"train": {"images": 3, "groups": 1}}
    export["split"] |= {"train": 50, "validation": 50}
    _, plan = plan_for("cvat", photos, export=export)
    assert "of the split: there are 1 folders, each whole" in plan.warnings[0]


def test_groups_of_a_manifest_are_planned(photos):
    (photos / "list.csv").write_text("path,group\ngood.png,river\nlow.png,river\nmoving.gif,\n")
    split = {"train": 100, "validation": 0, "test": 0, "by": "group"}
    _, plan = plan_for("cvat", photos, images={"manifest": str(photos / "list.csv")}, export={"split": split})
    assert plan.split == {"train": {"images": 3, "groups": 1}}
    alone = "1 images have no group, and are assigned to a part of the split one by one: moving.gif"
    assert alone in plan.warnings


@pytest.mark.parametrize(
    ("formats", "told"), [(["csv", "coco"], ""), (["mltable", "csv"], "mltable"), (["jsonl"], "jsonl")]
)
def test_kinds_that_automl_does_not_read_are_told_when_it_is_exported_for(photos, formats, told):
    (photos / "telephone").write_bytes((photos / "good.png").read_bytes() + b"0")  # a PNG, whatever its name
    _, plan = plan_for("cvat", photos, export={"formats": formats})
    sentence = (
        "AutoML for Images reads BMP, JPEG, PNG, TIFF, and 1 of the images are of another kind: moving.gif is GIF. "
        f"Convert them before you train on {told}, or take these out of export.formats"
    )
    assert plan.warnings == ([sentence] if told else [])
