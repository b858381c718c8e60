"""JPEGs that lost data, and those that are only unusual."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image as Pillow

from labelwright.domain import Image, Reject
from labelwright.imaging.jpeg_damage import check_jpeg
from labelwright.ingest.checks.decode import Limits, check_image
from labelwright.ingest.sources.local import SourceFile
from labelwright.service.images import NotAnImage, inspect_image
from labelwright.service.imaging.decoding import Memory
from labelwright.service.sealing import takes_damaged

PICTURE = Pillow.effect_noise((320, 240), 60).convert("RGB")
END = b"\xff\xd9"


def encoded(mode: str = "RGB", **options: object) -> bytes:
    file = io.BytesIO()
    PICTURE.convert(mode).save(file, "JPEG", quality=90, **options)  # type: ignore[arg-type]
    return file.getvalue()


PLAIN, PROGRESSIVE, RESTARTS = encoded(), encoded(progressive=True), encoded(restart_marker_rows=1)
HALF = PLAIN[: len(PLAIN) // 2]
SCAN = PLAIN.index(b"\xff\xda")


def in_front_of_the_scan(junk: bytes, data: bytes = PLAIN) -> bytes:
    return data[:SCAN] + junk + data[SCAN:]


def with_a_second_picture(data: bytes) -> bytes:
    file = io.BytesIO()
    PICTURE.resize((32, 24)).save(file, "JPEG")
    return data + file.getvalue()


def flipped(data: bytes) -> bytes:
    broken = bytearray(data)
    broken[len(data) // 3] ^= 1
    return bytes(broken)


def scans(data: bytes) -> list[int]:
    return [at for at in range(len(data)) if data[at : at + 2] == b"\xff\xda"]


WHOLE = {
    "plain": PLAIN,
    "gray": encoded("L"),
    "CMYK": encoded("CMYK"),
    "progressive": PROGRESSIVE,
    "restart markers": RESTARTS,
    "junk behind the end": PLAIN + b"junk",
    "a second picture": with_a_second_picture(PLAIN),
    "junk between segments": in_front_of_the_scan(b"abc"),
    "filled up with zeros": PLAIN[:-2] + bytes(300) + END,
    "filled up with zeros, and a second picture": with_a_second_picture(PLAIN[:-2] + bytes(300) + END),
    "filled up with ones": PLAIN[:-2] + b"\xff" * 300 + END,
}
LOST = {
    "the lower half": HALF + END,
    "the lower half, with junk in its head": in_front_of_the_scan(b"abc", HALF + END),
    "the lower half, with a second picture": with_a_second_picture(HALF + END),
    "the lower half is zeros": HALF + bytes(len(HALF)) + END,
    "a thousand bytes": PLAIN[: len(HALF)] + PLAIN[len(HALF) + 1000 :],
    "a bit": flipped(PLAIN),
    "half of a progressive one": PROGRESSIVE[: len(PROGRESSIVE) // 2] + END,
    "the last scan": PROGRESSIVE[: scans(PROGRESSIVE)[-1]] + END,
    "all but the first scan": PROGRESSIVE[: scans(PROGRESSIVE)[1]] + END,
    "a restart interval": RESTARTS[: RESTARTS.index(b"\xff\xd2")] + RESTARTS[RESTARTS.index(b"\xff\xd3") :],
    "half of one with restart markers": RESTARTS[: len(RESTARTS) // 2] + END,
}


def checked(data: bytes, *, take_damaged: bool = False) -> Image | Reject:
    return check_image(SourceFile("a.jpg", "there"), io.BytesIO(data), Limits(take_damaged=take_damaged))


@pytest.mark.parametrize("what", LOST)
def test_an_image_that_lost_data_is_rejected_or_taken_with_a_warning(tmp_path: Path, what: str):
    path, memory = tmp_path / "a.jpg", Memory(10**9)
    path.write_bytes(LOST[what])
    rejected, taken = checked(LOST[what]), checked(LOST[what], take_damaged=True)
    assert isinstance(rejected, Reject)
    assert "image data was lost" in rejected.reason
    assert "on_damage: warn" in rejected.reason
    assert isinstance(taken, Image)
    assert "image data was lost" in taken.notes[-1]
    with pytest.raises(NotAnImage, match="image data was lost"):
        inspect_image(path, 10**6, memory)
    assert inspect_image(path, 10**6, memory, True).width == 320


@pytest.mark.parametrize("what", WHOLE)
def test_an_image_that_lost_nothing_is_taken(tmp_path: Path, what: str):
    path = tmp_path / "a.jpg"
    path.write_bytes(WHOLE[what])
    image = checked(WHOLE[what])
    assert isinstance(image, Image)
    assert not any("lost" in note for note in image.notes)
    assert inspect_image(path, 10**6, Memory(10**9)).width == 320


def test_what_is_unusual_and_complete_is_noted():
    image = checked(WHOLE["junk between segments"])
    assert isinstance(image, Image)
    assert "unusual, and complete" in image.notes[0]


def test_a_file_that_readers_refuse_is_rejected_whatever_is_asked_for():
    cut = PLAIN[: len(PLAIN) // 2]
    rejected = checked(cut, take_damaged=True)
    assert isinstance(rejected, Reject)
    assert "truncated" in rejected.reason


def test_no_byte_of_a_jpeg_can_make_the_check_fail():
    small = io.BytesIO()
    PICTURE.resize((24, 16)).save(small, "JPEG", progressive=True)
    data = small.getvalue()
    for at in range(2, len(data), 5):
        broken = bytearray(data)
        broken[at] ^= 0xFF
        check_jpeg(bytes(broken), "RGB")
        check_jpeg(bytes(broken[:at]), "RGB")


def test_the_service_follows_the_campaign_on_damage():
    assert takes_damaged('{"on_damage": "warn", "season": 3}')
    assert not takes_damaged('{"season": 3}')
    assert not takes_damaged(None)
