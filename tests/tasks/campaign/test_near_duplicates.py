"""Near-duplicates at a launch: taken by default, shown by `report`, left out by `skip`, also when repeated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from labelwright.campaigns.plan import make_plan
from labelwright.campaigns.spec import CampaignSpec, validate_spec
from labelwright.ingest import FolderSource
from labelwright.prefect_integration.connections import CONNECTIONS
from labelwright.settings import forget_settings, settings
from labelwright.tasks.campaign import image_checks, near_duplicates
from labelwright.tasks.campaign.image_checks import FilesLeftOut, check_images, register_campaign
from labelwright.tasks.campaign.near_duplicates import NEAR_DUPLICATES, HashedBefore
from labelwright.tasks.campaign.summary import publish_summary
from labelwright.tasks.context import CampaignContext, the_ledger
from tests.imaging.changed_copies import CHANGES, PHOTOGRAPHS, encoded, upright

NAMES = list(PHOTOGRAPHS)[:3]


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Three photographs with three changed copies each, one exact copy, and three pictures that look like no other."""
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path / "home"))
    forget_settings()
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in NAMES:
        image = upright(PHOTOGRAPHS[name])
        (folder / f"{name}-0.jpg").write_bytes(PHOTOGRAPHS[name])
        for number, change in enumerate(CHANGES.values(), 1):
            (folder / f"{name}-{number}.jpg").write_bytes(change(image))
    (folder / f"{NAMES[0]}-exact.jpg").write_bytes(PHOTOGRAPHS[NAMES[0]])
    (folder / "other.jpg").write_bytes(PHOTOGRAPHS[list(PHOTOGRAPHS)[3]])
    for name, color in (("black", "black"), ("blacker", "#000001")):
        (folder / f"{name}.png").write_bytes(encoded(Image.new("RGB", (64, 64), color), "PNG"))
    yield folder
    forget_settings()


ALONE = {"other.jpg", "black.png", "blacker.png"}
FIRSTS = {f"{name}-0.jpg" for name in NAMES}
OTHERS = {f"{name}-{number}.jpg" for name in NAMES for number in (1, 2, 3)}
EXACT = f"{NAMES[0]}-exact.jpg"


def campaign(photos: Path, near: str | None = None, **images: Any) -> CampaignSpec:
    images |= {"folder": str(photos)} | ({} if near is None else {"near_duplicates": near})
    document = {"title": "river", "platform": "campaign_api", "labels": ["boat"], "labeler": "a@example.com"}
    return validate_spec({**document, "images": images}, "test")


def launch(spec: CampaignSpec) -> tuple[set[str], dict[str, str]]:
    """Registers the campaign, checks its images, and returns those that are taken, and the reasons of the others."""
    register_campaign.fn(spec)
    check_images.fn("river")
    return taken(), reasons()


def taken() -> set[str]:
    return {entry.image.name for entry in the_ledger().manifests.entries("river")}


def reasons() -> dict[str, str]:
    return {reject.name: reject.reason for reject in the_ledger().manifests.rejects("river")}


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[list[dict[str, Any]], str]]:
    published: dict[str, tuple[list[dict[str, Any]], str]] = {}

    def publish(title: str, name: str, rows: list[dict[str, Any]], description: str) -> None:
        published[name] = rows, description

    monkeypatch.setattr(near_duplicates, "publish_table", publish)
    return published


def test_a_launch_takes_near_duplicates_by_default(photos: Path, tables: dict[str, Any]) -> None:
    images, rejects = launch(campaign(photos))
    assert images == ALONE | FIRSTS | OTHERS
    assert set(rejects) == {EXACT}
    assert tables == {}
    assert not (CampaignContext("river").folder / NEAR_DUPLICATES).exists()


def test_a_report_shows_the_groups_and_leaves_nothing_out(
    photos: Path, tables: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    images, rejects = launch(campaign(photos, "report"))
    assert images == ALONE | FIRSTS | OTHERS
    assert set(rejects) == {EXACT}
    rows, description = tables["near-duplicates"]
    assert [row["first"] for row in rows] == sorted(FIRSTS)
    assert {name for row in rows for name in row["names"].split(", ")} == OTHERS
    assert description == ("river: 3 groups of near-duplicates: 9 images besides the first of each; all are taken")
    with Image.open(CampaignContext("river").folder / NEAR_DUPLICATES) as picture:
        assert picture.width > 4 * 360
        assert 3 * 360 < picture.height < 4 * 420, "three groups of four in rows"
    pages: list[str] = []
    monkeypatch.setattr("labelwright.tasks.campaign.summary.publishes", lambda: True)
    monkeypatch.setattr(
        "labelwright.tasks.campaign.summary.publish",
        lambda create, **page: bool(pages.append(page["markdown"])) or True,
    )
    publish_summary("river")
    assert pages[0].count("](data:image/jpeg;base64,") == 1


def test_all_but_the_first_are_left_out_on_request_as_the_plan_says(photos: Path, tables: dict[str, Any]) -> None:
    spec = campaign(photos, "skip")
    plan = make_plan(spec, settings(), CONNECTIONS)
    images, rejects = launch(spec)
    assert images == ALONE | FIRSTS
    assert set(rejects) == OTHERS | {EXACT}
    for name in OTHERS:
        assert rejects[name].startswith(f"is a near-duplicate of '{name[:-5]}0.jpg', which is taken: ")
    assert rejects[EXACT].startswith("is exactly the same file as")
    assert {reject["file"]: reject["reason"] for reject in plan.rejects} == rejects
    assert tables["near-duplicates"][1].endswith("9 images besides the first of each; these are left out")
    assert (CampaignContext("river").folder / "rejects.csv").read_text("utf-8-sig").count("is a near-duplicate of") == 9


@pytest.mark.parametrize("near", ["report", "skip"])
@pytest.mark.parametrize("page", [1, 4, 500])
def test_a_launch_that_was_killed_ends_as_one_that_was_not(
    photos: Path, near: str, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_checks, "_PAGE", page)
    opened: list[str] = []
    original = FolderSource.open

    def noting(self: FolderSource, location: str) -> object:
        opened.append(Path(location).name)
        return original(self, location)

    monkeypatch.setattr(FolderSource, "open", noting)
    monkeypatch.setattr(near_duplicates, "draw_contact_sheet", lambda *_, **__: None)
    register_campaign.fn(campaign(photos, near))
    with monkeypatch.context() as patch:
        patch.setattr(type(the_ledger().manifests), "complete", interrupt)
        with pytest.raises(KeyboardInterrupt):
            check_images.fn("river")
    before = sorted(taken()), sorted(reasons().items())
    opened.clear()
    check_images.fn("river")
    assert (sorted(taken()), sorted(reasons().items())) == before
    assert taken() == ALONE | FIRSTS | (OTHERS if near == "report" else set())
    assert set(opened) == {EXACT} | (OTHERS if near == "skip" else set()), "taken images are not opened again"
    assert not list(CampaignContext("river").folder.glob("perceptual-hashes*")), "the hashes are not needed any more"


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_without_the_hashes_of_the_interrupted_launch_images_are_opened_again(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_campaign.fn(campaign(photos, "skip"))
    with monkeypatch.context() as patch:
        patch.setattr(type(the_ledger().manifests), "complete", interrupt)
        with pytest.raises(KeyboardInterrupt):
            check_images.fn("river")
    (hashes,) = CampaignContext("river").folder.glob("perceptual-hashes*")
    lines = hashes.read_bytes().splitlines()
    hashes.write_bytes(b"\n".join(lines[:3]) + b"\n" + lines[4][:70] + b"\nnoise \xff\n" + lines[5][:-1])
    check_images.fn("river")
    assert taken() == ALONE | FIRSTS
    assert set(reasons()) == OTHERS | {EXACT}


def test_hashes_are_kept_by_content(tmp_path: Path, photos: Path) -> None:
    register_campaign.fn(campaign(photos))
    check_images.fn("river")
    first, second, *_ = (entry.image for entry in the_ledger().manifests.entries("river"))
    HashedBefore(tmp_path).keep([replace(first, perceptual_hash=2**64 - 1)])
    HashedBefore(tmp_path).keep([replace(first, perceptual_hash=5)])
    kept = HashedBefore(tmp_path)
    hashed = kept.hashed(first)
    assert hashed is not None
    assert hashed.perceptual_hash == 2**64 - 1
    assert kept.hashed(second) is None


def test_a_strict_campaign_stops_at_near_duplicates_that_it_is_to_skip(photos: Path) -> None:
    (photos / EXACT).unlink()
    register_campaign.fn(campaign(photos, "skip", strict=True))
    with pytest.raises(FilesLeftOut, match="9 files were left out and the campaign is strict"):
        check_images.fn("river")


def test_a_picture_whose_image_cannot_be_opened_does_not_stop_the_launch(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = near_duplicates.show_near_duplicates

    def without_images(context: CampaignContext, groups: Any) -> None:
        for name in FIRSTS:
            (photos / name).unlink()
        real(context, groups)

    monkeypatch.setattr(image_checks, "show_near_duplicates", without_images)
    images, _ = launch(campaign(photos, "report"))
    assert images >= FIRSTS
    assert (CampaignContext("river").folder / NEAR_DUPLICATES).is_file()
