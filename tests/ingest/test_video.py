"""Frames of videos: which are taken, how they look, what is said of damaged files, and that they are extracted once."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import av
import pytest

from labelwright.domain import Reject, VideoFrame
from labelwright.ingest import CannotRead, InventoryItem, SourceError, SourceFile, build_inventory
from labelwright.ingest.video import decoding
from labelwright.ingest.video.decoding import FrameChoice
from labelwright.ingest.video.source import VideoSource

from .clips import HEIGHT, WIDTH, cut, make_clip, make_sound, number_in, red_corner, with_matrix

EACH_15TH = FrameChoice(every=15)
FAST_START = {"movflags": "+faststart"}


def source_of(folder: Path, choice: FrameChoice = EACH_15TH, **more) -> VideoSource:
    return VideoSource([str(folder / "clips")], choice, folder / "frames", **more)


def found(source: VideoSource) -> tuple[list[SourceFile], list[Reject]]:
    files = list(source.find())
    return [file for file in files if isinstance(file, SourceFile)], [
        file for file in files if isinstance(file, Reject)
    ]


def read(source: VideoSource, file: SourceFile) -> bytes:
    with source.open(file.location) as stream:
        return stream.read()


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


# Which frames


def test_every_15th_of_50_frames(tmp_path):
    make_clip(tmp_path / "clips" / "clip.mp4")
    source = source_of(tmp_path)
    files, rejects = found(source)
    assert rejects == []
    assert [file.name for file in files] == [f"clip/0000{n:02}.png" for n in (0, 15, 30, 45)]
    assert [file.frame for file in files] == [VideoFrame("clip.mp4", n, n / 10) for n in (0, 15, 30, 45)]
    assert [number_in(read(source, file)) for file in files] == [0, 15, 30, 45]
    assert {file.group for file in files} == {"clip"}
    assert [file.bytes for file in files] == [len(read(source, file)) for file in files]


def test_frames_a_second_go_by_time_and_not_by_number(tmp_path):
    times = [0, 33, 67, 100, 500, 533, 1000, 2000, 2033, 2067, 2100, 3000, 3480]
    make_clip(tmp_path / "clips" / "clip.mkv", milliseconds=times)
    source = source_of(tmp_path, FrameChoice(per_second=2))
    files, _ = found(source)
    places = [0, 4, 6, 7, 11]  # the first at or after 0, 0.5, 1, 1.5 (none before 2), 2.5 (3), 3.5 (none)
    assert [file.frame for file in files] == [VideoFrame("clip.mkv", n, times[n] / 1000) for n in places]
    assert [number_in(read(source, file)) for file in files] == places


def test_a_rate_that_is_the_videos_takes_every_frame_though_times_are_rounded(tmp_path):
    """Matroska has milliseconds: 24 frames a second are at 0, 42, 83 (before 2/24 of a second), 125."""
    make_clip(tmp_path / "clips" / "clip.mkv", rate=24, milliseconds=[round(n * 1000 / 24) for n in range(48)])
    files, _ = found(source_of(tmp_path, FrameChoice(per_second=24)))
    assert [file.frame.number for file in files] == list(range(48))


def test_times_begin_with_the_first_frame(tmp_path):
    """In an MPEG transport stream the first frame has another time than 0."""
    make_clip(tmp_path / "clips" / "clip.ts")
    files, rejects = found(source_of(tmp_path))
    assert ([file.frame.seconds for file in files], rejects) == ([0, 1.5, 3, 4.5], [])


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.avi", "clip.mov", "clip.webm"])
def test_usual_containers_are_read_whole(tmp_path, name):
    codec = {"clip.avi": "mpeg4", "clip.webm": "libvpx"}.get(name, "libx264")
    make_clip(tmp_path / "clips" / name, 20, codec=codec)
    files, rejects = found(source_of(tmp_path))
    assert ([(file.frame.number, file.frame.seconds) for file in files], rejects) == ([(0, 0), (15, 1.5)], [])


@pytest.mark.parametrize(
    ("matrix", "size", "corner"),
    [
        ((1, 0, 0, 1), (WIDTH, HEIGHT), ("top", "left")),
        ((0, 1, -1, 0), (HEIGHT, WIDTH), ("top", "right")),  # x' = -y, y' = x: a quarter turn clockwise
        ((-1, 0, 0, -1), (WIDTH, HEIGHT), ("bottom", "right")),
        ((0, -1, 1, 0), (HEIGHT, WIDTH), ("bottom", "left")),
        ((-1, 0, 0, 1), (WIDTH, HEIGHT), ("top", "right")),  # mirrored
        ((1, 0, 0, -1), (WIDTH, HEIGHT), ("bottom", "left")),
        ((0, 1, 1, 0), (HEIGHT, WIDTH), ("top", "left")),
    ],
)
def test_frames_are_turned_as_players_show_them(tmp_path, matrix, size, corner):
    with_matrix(make_clip(tmp_path / "clips" / "clip.mp4", 1), *matrix)
    (item,) = build_inventory(source := source_of(tmp_path))
    assert isinstance(item, InventoryItem)
    assert (item.image.size.width, item.image.size.height) == size
    with source.open(item.location) as stream:
        assert red_corner(stream.read()) == corner


# Files that are damaged, or no videos


def test_a_truncated_video_gives_its_readable_frames_and_a_reject(tmp_path):
    cut(make_clip(tmp_path / "clips" / "clip.mp4", options=FAST_START), 0.8)
    source = source_of(tmp_path, FrameChoice(every=5))
    files, (reject,) = found(source)
    numbers = [file.frame.number for file in files]
    assert 2 <= len(numbers) < 10
    assert numbers == list(range(0, 5 * len(numbers), 5))
    assert [number_in(read(source, file)) for file in files] == numbers
    assert reject.name == "clip.mp4"
    assert "cut off" in reject.reason
    assert f"{len(numbers)} are taken" in reject.reason


def test_a_truncated_matroska_file_is_noticed_by_its_length(tmp_path):
    cut(make_clip(tmp_path / "clips" / "clip.mkv"), 0.6)
    files, (reject,) = found(source_of(tmp_path, FrameChoice(every=5)))
    assert files
    assert "seconds are missing" in reject.reason


def test_frames_decoded_from_damaged_ones_are_left_out_until_the_next_key_frame(tmp_path):
    clip = make_clip(tmp_path / "clips" / "clip.mp4")
    with av.open(str(clip)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    order = [round(packet.pts * packet.time_base * 10) for packet in packets]
    damaged = next(place for place, packet in enumerate(packets) if place > 20 and not packet.is_keyframe)
    whole = next(place for place, packet in enumerate(packets) if place > damaged and packet.is_keyframe)
    content = bytearray(clip.read_bytes())
    start, size = packets[damaged].pos, packets[damaged].size
    content[start : start + size] = bytes(size)
    clip.write_bytes(content)

    source = source_of(tmp_path, FrameChoice(every=1))
    files, (reject,) = found(source)
    numbers = [file.frame.number for file in files]
    assert whole - damaged > 1
    assert numbers == [number for number in range(50) if number not in order[damaged:whole]]
    assert [number_in(read(source, file)) for file in files] == numbers, "the number counts frames that were lost"
    assert [file.frame.seconds for file in files] == [number / 10 for number in numbers]
    assert f"{len(numbers)} frames could be read, {whole - damaged} are lost" in reject.reason


def test_files_that_are_no_videos_are_left_out_with_their_reason(tmp_path):
    clips = tmp_path / "clips"
    cut(make_clip(clips / "cut.mp4"), 0.6)
    (clips / "noise.mp4").write_bytes(os.urandom(5000))
    (clips / "empty.mp4").touch()
    make_sound(clips / "sound.m4a")
    (clips / "notes.txt").write_text("of the first day\n" * 50)
    (clips / "list.m3u8").write_text(
        f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:9,\n{clips / 'clip.ts'}\n#EXT-X-ENDLIST\n"
    )
    make_clip(clips / "clip.ts", 1)
    codec = make_clip(clips / "codec.mp4", 1)
    codec.write_bytes(codec.read_bytes().replace(b"avc1", b"zzzz"))
    files, rejects = found(source_of(tmp_path))
    assert [file.name for file in files] == ["clip/000000.png"]
    reasons = {reject.name: reject.reason for reject in rejects}
    assert reasons == {
        "codec.mp4": "has a video track of a codec that PyAV cannot decode: convert it, such as to H.264",
        "cut.mp4": "is damaged or no video: no part of it can be read",
        "empty.mp4": "is damaged or no video: no part of it can be read",
        "list.m3u8": "is not a video of a known format",
        "noise.mp4": "is damaged or no video: no part of it can be read",
        "notes.txt": "is not a video of a known format",
        "sound.m4a": "has no video track",
    }


def test_frames_beyond_the_limit_of_pixels_are_refused_before_they_are_decoded(tmp_path):
    make_clip(tmp_path / "clips" / "clip.mp4", 1)
    files, (reject,) = found(source_of(tmp_path, max_pixels=1000))
    assert files == []
    assert reject.reason == "has frames of 64 x 48 pixels, and 1,000 pixels are allowed"


def test_pyav_is_asked_for_by_the_name_of_the_extra(tmp_path, monkeypatch):
    make_clip(tmp_path / "clips" / "clip.mp4", 1)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(SourceError, match=r"pip install 'labelwright\[video\]'"):
        list(source_of(tmp_path).find())


def test_a_folder_without_files_and_one_that_is_not_there_are_refused(tmp_path):
    with pytest.raises(SourceError, match="is empty"):
        list(VideoSource([], EACH_15TH, tmp_path).find())
    (tmp_path / "clips").mkdir()
    with pytest.raises(SourceError, match="holds no files"):
        list(source_of(tmp_path).find())


# Names


def test_videos_that_differ_in_their_ending_keep_it(tmp_path):
    clips = tmp_path / "clips"
    make_clip(clips / "day 1" / "clip.mp4", 1)
    make_clip(clips / "clip.mp4", 2)
    make_clip(clips / "clip.mkv", 3)
    make_clip(clips / "end..mp4", 4)
    files, rejects = found(source_of(tmp_path))
    assert rejects == []
    names = ["clip.mkv/000000.png", "clip.mp4/000000.png", "day 1/clip/000000.png", "end..mp4/000000.png"]
    assert [file.name for file in files] == names


def test_folders_and_single_files_may_be_mixed_and_patterns_choose(tmp_path):
    make_clip(tmp_path / "clips" / "a.mp4", 1)
    make_clip(tmp_path / "clips" / "b.mp4", 2)
    single = make_clip(tmp_path / "c.mp4", 3)
    again = make_clip(tmp_path / "elsewhere" / "a.mp4", 4)
    paths = [str(tmp_path / "clips"), str(single), str(again)]
    source = VideoSource(paths, EACH_15TH, tmp_path / "frames", exclude=["b.*"])
    files, (reject,) = found(source)
    assert [file.name for file in files] == ["a/000000.png", "c/000000.png"]
    assert reject.name == "a.mp4"
    assert "two files have this name" in reject.reason


# The cache


def test_the_second_pass_decodes_nothing(tmp_path, decoded):
    make_clip(tmp_path / "clips" / "a.mp4")
    cut(make_clip(tmp_path / "clips" / "b.mp4", options=FAST_START), 0.8)
    first = list(source_of(tmp_path).find())
    assert set(decoded) == {"a.mp4", "b.mp4"}
    decoded.clear()
    source = source_of(tmp_path)
    assert list(source.find()) == first, "with the reject of the truncated one"
    for file in first:
        if isinstance(file, SourceFile):
            read(source, file)
    assert decoded == []
    list(source_of(tmp_path, FrameChoice(every=10)).find())
    assert set(decoded) == {"a.mp4", "b.mp4"}, "another choice of frames"


def test_a_video_that_changed_has_frames_of_its_own(tmp_path):
    clip = make_clip(tmp_path / "clips" / "clip.mp4")
    before, _ = found(source_of(tmp_path))
    make_clip(clip, 20)
    after, _ = found(source := source_of(tmp_path))
    assert [file.name for file in after] == [file.name for file in before[:2]]
    assert {file.location for file in after}.isdisjoint(file.location for file in before)
    assert {file.version for file in after}.isdisjoint(file.version for file in before)
    assert read(source, before[3]), "the frames of the launch are still there"
    shutil.rmtree(tmp_path / "frames")
    with pytest.raises(CannotRead, match="its video has changed or is gone: put the original video back"):
        source_of(tmp_path).open(before[0].location)


def test_deleted_frames_are_extracted_again_with_the_same_bytes(tmp_path, decoded):
    make_clip(tmp_path / "clips" / "clip.mp4")
    make_clip(tmp_path / "clips" / "other.mp4", 30)
    files, _ = found(source := source_of(tmp_path))
    before = [hashlib.sha256(read(source, file)).hexdigest() for file in files]
    shutil.rmtree(tmp_path / "frames")
    decoded.clear()
    source = source_of(tmp_path)
    assert [hashlib.sha256(read(source, file)).hexdigest() for file in files] == before
    assert sorted(decoded) == ["clip.mp4", "other.mp4"], "each once, though every frame was missing"
    Path(files[1].location).unlink()
    assert hashlib.sha256(read(source, files[1])).hexdigest() == before[1]


def test_another_machine_extracts_into_its_own_cache(tmp_path):
    make_clip(tmp_path / "clips" / "clip.mp4")
    files, _ = found(here := source_of(tmp_path))
    there = VideoSource([str(tmp_path / "clips")], EACH_15TH, tmp_path / "there")
    assert read(there, files[1]) == read(here, files[1])
    assert list((tmp_path / "there").glob("*/000015.png"))


@pytest.mark.parametrize("location", ["/etc/passwd", "../000000.png", "x-every-15/000000.png"])
def test_only_frames_can_be_opened(tmp_path, location):
    with pytest.raises(CannotRead, match="no frame"):
        source_of(tmp_path).open(location)


@pytest.mark.parametrize(
    "damage", ["a frame is empty", "a frame is gone", "the record is gone", "the record is cut off"]
)
def test_a_damaged_folder_is_made_again(tmp_path, damage):
    make_clip(tmp_path / "clips" / "clip.mp4")
    files, _ = found(source := source_of(tmp_path))
    before = [read(source, file) for file in files]
    frame, record = Path(files[1].location), Path(files[1].location).with_name("frames.json")
    if damage == "a frame is empty":
        frame.write_bytes(b"")
    elif damage == "a frame is gone":
        frame.unlink()
    elif damage == "the record is gone":
        record.unlink()
    else:
        record.write_text(record.read_text()[:40])
    again, _ = found(source)
    assert (again, [read(source, file) for file in again]) == (files, before)


def test_a_killed_extraction_leaves_nothing_that_is_used(tmp_path):
    clip = make_clip(tmp_path / "clips" / "clip.mp4")
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from labelwright.ingest.video import cache, decoding, source\n"
        "save = cache._save\n"
        "def killed(frame, path):\n"
        "    save(frame, path)\n"
        "    if frame.number == 30: os.kill(os.getpid(), 9)\n"
        "cache._save = killed\n"
        "list(source.VideoSource([sys.argv[1]], decoding.FrameChoice(every=15), Path(sys.argv[2])).find())\n"
    )
    arguments = [sys.executable, "-c", program, str(clip), str(tmp_path / "frames")]
    assert subprocess.run(arguments).returncode == -signal.SIGKILL
    (left,) = (path for path in (tmp_path / "frames").iterdir() if path.name != ".locks")
    assert left.name.startswith(".")
    assert len(list(left.glob("*.png"))) == 3
    files, rejects = found(source_of(tmp_path))
    assert ([file.frame.number for file in files], rejects) == ([0, 15, 30, 45], [])
    assert not left.exists()


def test_several_that_extract_at_once_decode_once(tmp_path, decoded):
    make_clip(tmp_path / "clips" / "clip.mp4")
    results: list[list[SourceFile | Reject]] = []
    threads = [threading.Thread(target=lambda: results.append(list(source_of(tmp_path).find()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert all(result == results[0] for result in results)
    assert decoded == ["clip.mp4"]


def test_a_disk_without_space_is_told_with_the_folder(tmp_path, monkeypatch):
    make_clip(tmp_path / "clips" / "clip.mp4")

    def full(frame, path):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("labelwright.ingest.video.cache._save", full)
        with pytest.raises(SourceError, match=r"No space left on device.*Make space there"):
            list(source_of(tmp_path).find())
    assert [path.name for path in (tmp_path / "frames").iterdir()] == [".locks"], "nothing is left of it"


def test_a_video_that_is_still_being_copied_is_left_out(tmp_path, monkeypatch):
    clip = make_clip(tmp_path / "clips" / "clip.mp4")
    content = clip.read_bytes()
    original = decoding.Video._open

    def grows(video):
        clip.write_bytes(content + b"more")
        return original(video)

    monkeypatch.setattr(decoding.Video, "_open", grows)
    files, (reject,) = found(source_of(tmp_path))
    assert files == []
    assert "was written to while it was read" in reject.reason


def test_only_the_owner_can_read_the_frames(tmp_path):
    make_clip(tmp_path / "clips" / "clip.mp4", 1)
    found(source_of(tmp_path))
    assert (tmp_path / "frames").stat().st_mode & 0o777 == 0o700


def test_the_record_lists_frames_with_their_times(tmp_path):
    make_clip(tmp_path / "clips" / "clip.mp4")
    files, _ = found(source_of(tmp_path))
    record = json.loads(Path(files[0].location).with_name("frames.json").read_text())
    assert [(number, seconds) for number, seconds, _ in record["frames"]] == [(0, 0), (15, 1.5), (30, 3), (45, 4.5)]
