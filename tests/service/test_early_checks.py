"""Images that are checked as they arrive, and not decoded again when their set is sealed."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import requests
from azure.core.exceptions import AzureError
from azure.storage.blob import ContainerClient

from labelwright.service import early_checks, image_checks
from labelwright.service.decoding_notes import DecodingNotes

GUARD = 60


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, bool]]]:
    """The files that were decoded, and whether they passed."""
    calls = list[tuple[str, bool]]()
    real = image_checks.inspect_image

    def look(path, *more):
        try:
            facts = real(path, *more)
        except Exception:
            calls.append((path.name, False))
            raise
        calls.append((path.name, True))
        return facts

    monkeypatch.setattr(image_checks, "inspect_image", look)
    return calls


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files whose early check is over."""
    over = list[str]()
    real = early_checks.EarlyChecks._check

    def check(self, dropbox, blob):
        try:
            return real(self, dropbox, blob)
        finally:
            over.append(blob.name)

    monkeypatch.setattr(early_checks.EarlyChecks, "_check", check)
    return over


def upload(image_set, files):
    with ContainerClient.from_container_url(image_set["dropbox_url"], retry_total=0) as dropbox:
        for name, data in files.items():
            dropbox.upload_blob(name, data, overwrite=True)


def wait_for(values, count):
    end = time.monotonic() + GUARD
    while len(values) < count and time.monotonic() < end:
        time.sleep(0.01)
    assert len(values) == count


def test_each_image_is_decoded_once_before_its_set_is_sealed(serve, make, checked, passed):
    with serve() as service:
        image_set = service.image_set()
        upload(image_set, {f"{number}.png": make.picture(9, 10 + number) for number in range(5)})
        wait_for(passed, 5)
        sealed = service.seal(image_set["imageset_id"])
        heights = [image["file"]["dimensions"]["height"] for image in service.images_of(image_set["imageset_id"])]
    assert (sealed["image_count"], heights) == (5, [10, 11, 12, 13, 14])
    assert len(checked) == 5


def test_what_fails_on_arrival_is_judged_by_sealing(serve, make, checked, passed):
    with serve() as service:
        image_set = service.image_set()
        upload(image_set, {"a.png": make.picture(9, 9), "b.png": b"text"})
        wait_for(passed, 2)
        sealed = service.seal(image_set["imageset_id"])
    assert [entry["name"] for entry in sealed["rejected"]] == ["b.png"]
    assert sorted(whole for _, whole in checked) == [False, False, True]


def test_a_replaced_image_is_checked_anew(serve, make, passed):
    with serve() as service:
        image_set = service.image_set()
        upload(image_set, {"a.png": make.picture(9, 9)})
        wait_for(passed, 1)
        upload(image_set, {"a.png": make.picture(8, 8)})
        service.seal(image_set["imageset_id"])
        (image,) = service.images_of(image_set["imageset_id"])
        assert image["file"]["dimensions"] == {"height": 8, "width": 8}
        assert service("GET", f"/images/{image['image_id']}").content == make.picture(8, 8)


@pytest.mark.parametrize("damage", ["changed", "deleted"])
def test_a_file_that_was_touched_after_its_early_check_is_noticed(serve, make, tmp_path, passed, damage):
    with serve() as service:
        image_set = service.image_set()
        upload(image_set, {"a.bmp": make.picture(50, 50, "BMP")})
        wait_for(passed, 1)
        (file,) = [path for path in (tmp_path / "data" / "blobs").rglob("*") if path.is_file()]
        if damage == "deleted":
            file.unlink()
        else:
            data = bytearray(file.read_bytes())
            data[1000] ^= 1
            file.write_bytes(data)
        (rejected,) = service.seal(image_set["imageset_id"])["rejected"]
    assert ("were lost" if damage == "deleted" else "not those that were uploaded") in rejected["reason"]


def test_no_more_is_remembered_than_fits(serve, make, checked, passed, monkeypatch):
    monkeypatch.setattr(early_checks, "_MOST_REMEMBERED", 2)
    with serve() as service:
        image_set = service.image_set()
        upload(image_set, {f"{number}.png": make.picture(9, 9) for number in range(5)})
        wait_for(passed, 5)
        assert service.seal(image_set["imageset_id"])["image_count"] == 5
    assert len(checked) == 8, "three were forgotten"


_DEADLY = """
import os, sys
from pathlib import Path
from labelwright.service import ServiceConfig, image_checks
from labelwright.service.run import serve
real = image_checks.inspect_image
def look(path, *more):
    if b"deadly" in path.read_bytes():
        os._exit(9)
    return real(path, *more)
image_checks.inspect_image = look
config = ServiceConfig(Path(sys.argv[1]), admin_key=sys.argv[2], admin_secret=sys.argv[3])
serve(config, lambda url: print(url, flush=True))
"""


def test_an_image_that_kills_the_process_on_arrival_is_decoded_once_more_and_left_out(make, tmp_path):
    folder, deaths, number = tmp_path / "data", 0, None
    command = [sys.executable, "-c", _DEADLY, str(folder), make.key, make.secret]
    while deaths < 5:
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            caller = make.caller(process.stdout.readline().strip(), make.key, make.secret)
            try:
                if number is None:
                    image_set = caller.ok("POST", "/image_sets", {"title": "deadly", "metadata": None})
                    number = image_set["imageset_id"]
                    upload(image_set, {"a.png": make.picture(9, 9), "b.png": make.picture(9, 9) + b"deadly"})
                    assert process.wait(GUARD) == 9, "it dies without being asked to seal"
                    deaths += 1
                    continue
                caller("PUT", f"/image_sets/{number}", {"new_status": "finished"})
                while (image_set := caller.get(f"/image_sets/{number}"))["status"] != "finished":
                    time.sleep(0.05)
            except (requests.RequestException, AzureError):
                assert process.wait(GUARD) == 9
                deaths += 1
                continue
            process.terminate()
            break
    assert deaths == 2
    assert [entry["name"] for entry in image_set["rejected"]] == ["b.png"]
    assert "the service ended 2 times" in image_set["rejected"][0]["reason"]
    assert not list((folder / "decoding").iterdir())


def test_notes_of_decoding_outlive_their_process_and_are_forgotten(tmp_path):
    code = """
import os, sys
from pathlib import Path
from labelwright.service.decoding_notes import DecodingNotes
notes = DecodingNotes(Path(sys.argv[1]))
with notes.file("box", "a rather long name.png", 0):
    pass
with notes.file("box", "é.png", int(sys.argv[2])):
    with notes.file("box", "done.png", 0):
        pass
    os._exit(9)
"""
    for deaths in ("0", "1"):
        assert subprocess.run([sys.executable, "-c", code, str(tmp_path), deaths]).returncode == 9
    notes = DecodingNotes(tmp_path)
    assert [notes.deaths("box", name) for name in ("é.png", "done.png", "a rather long name.png")] == [2, 0, 0]
    assert notes.deaths("other box", "é.png") == 0
    notes.forget("box", ["é.png"])
    assert not list(tmp_path.iterdir())
