"""Campaigns of videos from the file to the datasets, by the flows and the real embedded service."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from labelwright.campaigns.labeler_keys import LabelerKeys
from labelwright.campaigns.lineage import lineage
from labelwright.campaigns.plan import make_plan
from labelwright.campaigns.spec import CampaignSpec
from labelwright.cli.main import main
from labelwright.datasets import read_labels_csv
from labelwright.datasets.writers.errors import ImageChanged
from labelwright.domain import State, VideoFrame
from labelwright.flows.export_campaign import export_campaign
from labelwright.flows.launch_campaign import launch_campaign
from labelwright.flows.sweep_campaigns import sweep_campaigns
from labelwright.ingest.video import decoding
from labelwright.prefect_integration.connections import CONNECTIONS
from labelwright.settings import settings
from labelwright.tasks.context import the_ledger
from tests.ingest.clips import cut, make_clip, number_in

from . import partner
from .conftest import make_spec

pytestmark = pytest.mark.usefixtures("plain_flows")

NAMES = [f"{clip}/{number:06d}.png" for clip in ("long", "short") for number in (0, 15, 30, 45)][:6]
"""The long clip has 50 frames, the short one 20."""
FRAMES = {
    name: VideoFrame(f"{name.partition('/')[0]}.mp4", int(name[-10:-4]), int(name[-10:-4]) / 10) for name in NAMES
}


SHORT = 100
"""What the first frame of the short clip shows: equal pictures would be left out."""


@pytest.fixture
def clips(tmp_path) -> Path:
    make_clip(tmp_path / "clips" / "long.mp4")
    make_clip(tmp_path / "clips" / "short.mp4", 20, first=SHORT)
    return tmp_path / "clips"


def spec_of(clips: Path, tmp_path: Path, **export: object) -> CampaignSpec:
    images = {"video": str(clips), "every": 15}
    return make_spec(
        "river", clips, tmp_path / "datasets", images=images, export={"folder": str(tmp_path / "datasets")} | export
    )


@pytest.fixture
def decoded(monkeypatch) -> list[str]:
    """The videos that were opened to be decoded."""
    opened: list[str] = []
    original = decoding.Video._open

    def counted(video):
        opened.append(Path(video._path).name)
        return original(video)

    monkeypatch.setattr(decoding.Video, "_open", counted)
    return opened


def run(command: str, file: Path) -> int:
    """The exit code of a command."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["labelwright", command, str(file)])
        with pytest.raises(SystemExit) as exited:
            main()
    return int(exited.value.code or 0)


def label() -> int:
    access = LabelerKeys(settings().home).find("campaign_api", "partner@example.com")
    assert access is not None
    api = settings().connection("campaign_api").url or ""
    return partner.label(api, the_ledger().campaigns.get("river").remote_id or "", access)


def test_a_video_becomes_datasets_that_have_each_frames_number_and_time(service, clips, tmp_path, decoded):
    spec = spec_of(clips, tmp_path, formats=["csv", "coco", "jsonl", "mltable"])
    plan = make_plan(spec, settings(), CONNECTIONS)
    assert (plan.images, plan.rejects) == (6, [])
    assert plan.frames == f"of 2 videos; {plan.bytes / 1e6:,.1f} MB in {settings().home / 'frames'}"
    assert sorted(decoded) == ["long.mp4", "short.mp4"]
    decoded.clear()

    launch_campaign(spec)
    entries = list(the_ledger().manifests.entries("river"))
    assert {entry.image.name: entry.frame for entry in entries} == FRAMES
    assert label() == 6
    assert sweep_campaigns() == {"river": "exported"}
    assert decoded == [], "plan had extracted the frames"

    folder = tmp_path / "datasets" / "river_labels" / "v1"
    coco = json.loads((folder / "river_coco.json").read_text())
    shown = {
        image["file_name"]: VideoFrame(image["video"], image["frame"], image["time_seconds"])
        for image in coco["images"]
    }
    assert shown == FRAMES
    table = read_labels_csv(folder / "river_labels.csv")
    rows = table[["file_name", "video", "frame", "time_seconds"]].drop_duplicates().itertuples(index=False)
    assert {name: VideoFrame(video, frame, seconds) for name, video, frame, seconds in rows} == FRAMES
    lines = [json.loads(line) for line in (folder / "river_detection.jsonl").read_text().splitlines()]
    assert [VideoFrame(line["video"], line["frame"], line["time_seconds"]) for line in lines] == list(FRAMES.values())
    plain = [
        json.loads(line) for line in (folder / "river_detection_mltable" / "labels.jsonl").read_text().splitlines()
    ]
    assert [set(line) for line in plain] == [{"image_url", "image_details", "label"}] * 6
    with (tmp_path / "datasets" / "river_images" / "v1" / "river_images.csv").open(newline="") as file:
        images = list(csv.DictReader(file))
    assert [(image["video"], image["frame"], image["time_seconds"]) for image in images[:2]] == [
        ("long.mp4", "0", "0.0"),
        ("long.mp4", "15", "1.5"),
    ]
    for image in images:
        path = Path(image["url"].removeprefix("file://"))
        assert number_in(path.read_bytes()) == int(image["frame"]) + SHORT * (image["video"] == "short.mp4")
    (found,) = lineage(the_ledger(), settings(), images[1]["sha256"])["found"]
    assert (found["video"], found["frame"], found["time_seconds"]) == ("long.mp4", 15, 1.5)


def test_frames_are_extracted_again_for_formats_that_hold_the_images(service, clips, tmp_path, decoded):
    formats = ["csv", "yolo", "webdataset", "huggingface"]
    launch_campaign(spec_of(clips, tmp_path, formats=formats))
    label()
    shutil.rmtree(settings().home / "frames")
    decoded.clear()
    assert sweep_campaigns() == {"river": "exported"}
    assert sorted(decoded) == ["long.mp4", "short.mp4"]
    folder = tmp_path / "datasets" / "river_labels" / "v1"
    numbers = sorted(number_in(path.read_bytes()) for path in (folder / "river_yolo").rglob("*.png"))
    assert numbers == [0, 15, 30, 45, SHORT, SHORT + 15]
    import pyarrow.parquet

    rows = pyarrow.parquet.read_table(next((folder / "river_huggingface" / "data").glob("*.parquet"))).to_pylist()
    assert {row["file_name"]: VideoFrame(row["video"], row["frame"], row["time_seconds"]) for row in rows} == FRAMES
    assert [number_in(row["image"]["bytes"]) for row in rows] == [0, 15, 30, 45, SHORT, SHORT + 15]
    export_campaign("river")
    assert len(the_ledger().campaigns.datasets("river")) == 2, "the same bytes, so no new version"


@pytest.mark.parametrize("image_files", ["link", "list"])
def test_lists_and_links_do_not_depend_on_whether_frames_are_there(service, clips, tmp_path, image_files):
    launch_campaign(spec_of(clips, tmp_path, formats=["csv", "yolo"], image_files=image_files))
    label()
    assert sweep_campaigns() == {"river": "exported"}
    shutil.rmtree(settings().home / "frames")
    export_campaign("river")
    assert len(the_ledger().campaigns.datasets("river")) == 2


def test_a_video_that_changed_after_the_launch_stops_an_export_that_needs_it(service, clips, tmp_path):
    launch_campaign(spec_of(clips, tmp_path, formats=["csv", "webdataset"]))
    label()
    shutil.rmtree(settings().home / "frames")
    original = (clips / "long.mp4").read_bytes()
    make_clip(clips / "long.mp4", 31)
    with pytest.raises(ImageChanged, match="its video has changed or is gone: put the original video back"):
        export_campaign("river")
    (clips / "long.mp4").write_bytes(original)
    export_campaign("river")
    assert the_ledger().campaigns.get("river").state is State.EXPORTED


def test_frames_of_a_clip_are_in_one_part_of_a_split(service, tmp_path):
    clips = tmp_path / "clips"
    for number in range(8):
        make_clip(clips / f"{number}.mp4", 31, first=4 * number)
    split = {"train": 50, "validation": 25, "test": 25}
    spec = spec_of(clips, tmp_path, formats=["csv", "coco"], split=split)
    plan = make_plan(spec, settings(), CONNECTIONS)
    assert sum(part["groups"] for part in plan.split.values()) == 8
    launch_campaign(spec)
    label()
    assert sweep_campaigns() == {"river": "exported"}
    folder = tmp_path / "datasets" / "river_labels" / "v1"
    parts: dict[str, set[str]] = {}
    for part in split:
        images = json.loads((folder / f"river_coco_{part}.json").read_text())["images"]
        parts[part] = {image["video"] for image in images}
        assert len(images) == 3 * len(parts[part])
    assert sum(map(len, parts.values())) == len(set.union(*parts.values())) == 8
    assert len([part for part in parts.values() if part]) > 1


def test_a_truncated_video_is_listed_and_the_rest_goes_on(service, clips, tmp_path, capsys):
    cut(make_clip(clips / "torn.mp4", first=60, options={"movflags": "+faststart"}), 0.8)
    launch_campaign(spec_of(clips, tmp_path))
    (reject,) = the_ledger().manifests.rejects("river")
    assert reject.name == "torn.mp4"
    assert "cut off" in reject.reason
    assert len([entry for entry in the_ledger().manifests.entries("river") if entry.frame.video == "torn.mp4"]) == 2


def test_the_plan_of_a_file_tells_frames_space_and_what_is_left_out(service, clips, tmp_path, capsys):
    (clips / "notes.txt").write_text("of the first day\n" * 50)
    text = "title: river\nimages: {video: clips, per_second: 2}\nlabels: [boat]\nlabeler: a@b.example\n"
    (tmp_path / "river.yaml").write_text(text)
    assert run("plan", tmp_path / "river.yaml") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "would upload 14 images" in shown
    assert "frames of 2 videos;" in shown
    assert "notes.txt is not a video of a known format" in shown
    assert "No image was sent and the frames are kept for the launch." in shown


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ("video: clips", "videos need exactly one of every and per_second"),
        ("video: clips, every: 15, per_second: 2", "given: every and per_second"),
        ("video: clips, every: 0", "images.every"),
        ("video: clips, per_second: -1", "images.per_second"),
        ("folder: clips, every: 15", "every belongs to video"),
        ("folder: clips, video: clips, every: 15", "given: folder and video"),
        ("video: nowhere.mp4, every: 15", "images.video: there is no file or folder"),
    ],
)
def test_a_file_that_cannot_be_launched_is_refused_with_its_reason(service, clips, tmp_path, capsys, images, message):
    text = f"title: river\nimages: {{{images}}}\nlabels: [boat]\nlabeler: a@b.example\n"
    (tmp_path / "river.yaml").write_text(text)
    assert run("launch", tmp_path / "river.yaml") == 2
    assert message in " ".join(capsys.readouterr().err.split())
