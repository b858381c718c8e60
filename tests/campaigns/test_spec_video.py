"""Videos in a campaign file, and in the ledger's documents of campaigns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from labelwright.campaigns.drops import dropped_spec
from labelwright.campaigns.shared_paths import NotShared, note_on_images, refuse_unshared
from labelwright.campaigns.spec import CampaignSpec, parse_spec, stored_spec
from labelwright.campaigns.yaml_loader import SpecError
from labelwright.settings import Settings

REST = "labels: [boat]\nlabeler: a@b.example\ntitle: river\n"


def spec_with(images: str, more: str = "") -> CampaignSpec:
    return parse_spec(f"images: {{{images}}}\n{more}{REST}")


def test_one_path_is_a_list_of_one_and_paths_become_absolute():
    spec = spec_with("video: clips, every: 15").with_paths_from(Path("/data"))
    assert spec.images.video == ["/data/clips"]
    assert spec_with("video: [a.mp4, /b.mp4], per_second: 0.5").with_paths_from(Path("/data")).images.video == [
        "/data/a.mp4",
        "/b.mp4",
    ]
    assert stored_spec(spec.model_dump(mode="json")) == spec


def test_documents_of_other_campaigns_have_no_fields_of_videos():
    document = spec_with("folder: photos").model_dump(mode="json")
    assert {"video", "every", "per_second"}.isdisjoint(document["images"])


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ("video: clips", "given: none of them"),
        ("video: clips, every: 1, per_second: 1", "given: every and per_second"),
        ("folder: photos, per_second: 1", "per_second belongs to video"),
        ("folder: photos, every: 1, per_second: 1", "every and per_second belongs to video"),
        ("video: clips, folder: photos, every: 1", "given: folder and video"),
        ("video: clips, every: 0", "greater than 0"),
        ("video: clips, every: 1.5", "every"),
        ("video: {a: b}, every: 1", "images.video"),
        ('video: "a\\0b", every: 1', "NUL"),
    ],
)
def test_a_wrong_choice_is_a_fault_of_the_file(images, message):
    with pytest.raises(SpecError, match=message):
        spec_with(images)


@pytest.mark.parametrize(
    ("by", "kept"),
    [
        ("", "group"),
        (", by: image", "group"),
        (", by: group", "group"),
        (", by: folder", "folder"),
        (", by: name-pattern, pattern: '^cam.'", "name-pattern"),
    ],
)
def test_a_split_keeps_each_video_whole(by, kept):
    split = f"export: {{split: {{train: 80, validation: 10, test: 10{by}}}}}\n"
    spec = spec_with("video: clips, every: 15", split)
    assert spec.export.split.by == kept
    assert stored_spec(spec.model_dump(mode="json")) == spec


def test_a_split_of_images_stays_one_by_image():
    split = "export: {split: {train: 80, validation: 10, test: 10}}\n"
    assert spec_with("folder: photos", split).export.split.by == "image"


@pytest.mark.parametrize("field", ["video: /etc", "every: 1", "per_second: 1"])
def test_a_dropped_file_names_no_videos_of_the_machine(field):
    with pytest.raises(SpecError, match="beside its file"):
        dropped_spec(f"images: {{{field}}}\n{REST}", "a/campaign.yaml", "https://a.blob.core.windows.net/c")


def test_videos_obey_the_rules_of_shared_paths(tmp_path):
    shared: dict[str, Any] = {"ledger_url": "postgresql://db.example/l", "shared_folders": [tmp_path / "share"]}
    settings = Settings(home=tmp_path / "home", **shared)
    export = f"export: {{folder: {tmp_path / 'share' / 'datasets'}}}\n"
    with pytest.raises(NotShared, match=r"images.video: clips is a relative path"):
        refuse_unshared(spec_with("video: clips, every: 1", export), settings, on_worker=True)
    assert "not in a shared folder" in note_on_images(spec_with(f"video: {tmp_path / 'own'}, every: 1"), settings)
    assert note_on_images(spec_with(f"video: {tmp_path / 'share' / 'clips'}, every: 1"), settings) == ""
