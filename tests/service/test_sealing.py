"""From a dropbox full of files to a set of images."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time

import pytest
import requests
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.blob import ContainerClient, ContentSettings
from PIL import Image


def test_images_get_their_ids_in_the_order_of_their_names(service, make):
    names = [f"{letter}{number}.png" for letter in "abÄ" for number in range(30)]
    shuffled = random.Random(1).sample(names, len(names))
    sealed = service.set_of({name: make.picture(10, 10) for name in shuffled})
    images = service.images_of(sealed["imageset_id"])
    assert [image["file_name"] for image in images] == sorted(names)
    ids = [image["image_id"] for image in images]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    assert sealed["image_count"] == len(names)


def test_what_was_uploaded_is_what_is_fetched(service, make):
    files = {f"{size}.jpg": make.picture(size, size, "JPEG") for size in (5, 6, 7)}
    for image in service.images_of(service.set_of(files)["imageset_id"]):
        fetched = service("GET", f"/images/{image['image_id']}")
        assert fetched.content == files[image["file_name"]]
        assert fetched.headers["Content-Type"] == "image/jpeg"


def test_a_file_that_is_no_image_is_left_out_and_the_reason_is_told(service, make):
    whole = make.picture(300, 300, "JPEG", quality=95)
    broken_png = bytearray(make.picture(300, 300))
    broken_png[len(broken_png) // 2] ^= 0xFF
    bomb = make.picture(1, 1, "BMP")
    bomb = bomb[:18] + (60_000).to_bytes(4, "little") * 2 + bomb[26:]
    files = {
        "bomb.bmp": bomb,
        "broken.png": bytes(broken_png),
        "cut.jpg": whole[: len(whole) // 2],
        "empty.png": b"",
        "good.jpg": whole,
        "page.html": b"<script>alert(1)</script>",
        "picture.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "script.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    }
    sealed = service.set_of(files)
    assert [image["file_name"] for image in service.images_of(sealed["imageset_id"])] == ["good.jpg"]
    reasons = {entry["name"]: entry["reason"] for entry in sealed["rejected"]}
    assert sorted(reasons) == sorted(set(files) - {"good.jpg"})
    assert "bomb" in reasons["bomb.bmp"]
    assert "truncated" in reasons["cut.jpg"]
    assert "taken are JPEG, PNG" in reasons["page.html"]
    assert "blobs/" not in str(sealed), "no path of the server"


def test_an_image_with_more_pixels_than_allowed_is_left_out(serve, make):
    from labelwright.service import Limits

    with serve(limits=Limits(image_pixels=10_000)) as service:
        sealed = service.set_of({"a.png": make.picture(100, 100), "b.png": make.picture(101, 100)})
        assert [entry["name"] for entry in sealed["rejected"]] == ["b.png"]
        assert "101 x 100 pixels are more than the 10000 allowed" in sealed["rejected"][0]["reason"]


@pytest.mark.parametrize(("orientation", "size"), [(1, (40, 20)), (3, (40, 20)), (6, (20, 40)), (8, (20, 40))])
def test_dimensions_are_those_of_the_image_as_displayed(service, make, orientation, size):
    exif = Image.Exif()
    exif[0x0112] = orientation
    sealed = service.set_of({"a.jpg": make.picture(40, 20, "JPEG", exif=exif)})
    dimensions = service.images_of(sealed["imageset_id"])[0]["file"]["dimensions"]
    assert (dimensions["width"], dimensions["height"]) == size


def exif_of(camera, gps):
    exif = Image.Exif()
    exif.get_ifd(0x8769).update(camera)
    exif.get_ifd(0x8825).update(gps)
    return exif


def test_date_and_place_come_from_exif(service, make):
    here = {1: "S", 2: (52.0, 22.0, 12.0), 3: "W", 4: (4.0, 53.0, 42.0)}
    broken = {1: "N", 2: (91.0, 0.0, 0.0), 3: "E", 4: (1.0, 0.0, 0.0)}
    files = {
        "a.jpg": exif_of({0x9003: "2020:10:26 07:44:56", 0x9011: "+01:00"}, here),
        "b.jpg": exif_of({0x9003: "2020:10:26 07:44:56"}, broken),
        "c.jpg": exif_of({0x9003: "0000:00:00 00:00:00"}, {}),
        "d.jpg": exif_of({0x9003: "yesterday"}, {2: (1.0, 2.0)}),
    }
    sealed = service.set_of({name: make.picture(9, 9, "JPEG", exif=exif) for name, exif in files.items()})
    nowhere = {"description": None, "lat": None, "lon": None}
    assert [(image["date_taken"], image["location"]) for image in service.images_of(sealed["imageset_id"])] == [
        ("2020-10-26T07:44:56+01:00", {"description": None, "lat": -52.37, "lon": -4.895}),
        ("2020-10-26T07:44:56", nowhere),
        (None, nowhere),
        (None, nowhere),
    ]


def test_saying_it_twice_does_no_harm_and_the_dropbox_is_gone(service, make):
    sealed = service.set_of({"a.png": make.picture(9, 9)})
    again = service.seal(sealed["imageset_id"])
    assert again == sealed
    assert again["dropbox_url"] is None
    assert len(service.images_of(sealed["imageset_id"])) == 1


def test_an_empty_set_can_be_sealed(service):
    sealed = service.set_of({})
    assert (sealed["status"], sealed["image_count"], sealed["rejected"]) == ("finished", 0, [])


def test_second_name_with_the_same_unicode_normal_form_is_rejected(service, make):
    sealed = service.set_of({"\u00e9.png": make.picture(9, 9), "e\u0301.png": make.picture(8, 8)})
    assert len(service.images_of(sealed["imageset_id"])) == 1
    assert "normal form" in sealed["rejected"][0]["reason"]
    assert "\\u" in sealed["rejected"][0]["reason"], "both spellings are told apart"


def test_sets_and_files_whose_paths_look_alike_stay_apart(service, make):
    start = make.fresh("alike")
    first = service.set_of({"b/c.png": make.picture(9, 9)}, start)
    second = service.set_of({"c.png": make.picture(8, 8)}, f"{start}/b")
    third = service.set_of({"c.png": make.picture(7, 7)}, f"{start}%2Fb")
    paths = [service.images_of(image_set["imageset_id"])[0]["blobstorage_path"] for image_set in (first, second, third)]
    assert len(set(paths)) == 3
    assert paths[0] == f"extra-images/uploads/{start}/b/c.png"


TITLES = ["../../etc", "..", "Ümläut & Blank", "日本", "a--b", "UPPER", "x" * 200, "'; drop table images; --", "<b>"]


@pytest.mark.parametrize("title", TITLES)
def test_any_title_has_a_dropbox(service, make, title):
    image_set = service.image_set(title)
    assert image_set["title"] == title
    assert 3 <= len(image_set["blobstorage_path"]) <= 63
    with ContainerClient.from_container_url(image_set["dropbox_url"]) as dropbox:
        dropbox.upload_blob("a.png", make.picture(9, 9))
    service.seal(image_set["imageset_id"])
    (image,) = service.images_of(image_set["imageset_id"])
    assert service("GET", f"/images/{image['image_id']}").content == make.picture(9, 9)
    assert ".." not in image["blobstorage_path"].split("/")


def test_a_title_can_be_used_once_and_found_by(service):
    image_set = service.image_set()
    taken = service("POST", "/image_sets", {"title": image_set["title"], "metadata": None})
    assert (taken.status_code, taken.json()["error"]["code"]) == (409, "conflict")
    (match,) = service.get("/image_sets", params={"title": image_set["title"]})["image_sets"]
    assert match["imageset_id"] == image_set["imageset_id"]
    assert service.get("/image_sets", params={"title": "no such title"})["image_sets"] == []


def test_bytes_that_rotted_on_disk_are_noticed(serve, make, tmp_path):
    with serve() as service:
        image_set = service.image_set()
        with ContainerClient.from_container_url(image_set["dropbox_url"]) as dropbox:
            dropbox.upload_blob("a.bmp", make.picture(50, 50, "BMP"))
        (file,) = [path for path in (tmp_path / "data" / "blobs").rglob("*") if path.is_file()]
        data = bytearray(file.read_bytes())
        data[1000] ^= 1
        file.write_bytes(data)
        assert "not those that were uploaded" in service.seal(image_set["imageset_id"])["rejected"][0]["reason"]


def test_a_staged_upload_whose_sender_gave_a_wrong_md5_is_noticed(service, make):
    image_set = service.image_set()
    url = image_set["dropbox_url"]
    with ContainerClient.from_container_url(url, max_single_put_size=10, max_block_size=100) as dropbox:
        wrong = ContentSettings(content_md5=bytearray(16))
        dropbox.upload_blob("a.png", make.picture(50, 50), content_settings=wrong)
    assert len(service.seal(image_set["imageset_id"])["rejected"]) == 1


SERVER = """
import sys
from pathlib import Path
from labelwright.service import ServiceConfig
from labelwright.service.run import serve
config = ServiceConfig(Path(sys.argv[1]), admin_key=sys.argv[2], admin_secret=sys.argv[3],
                       sealing_chunk=1, sealing_threads=1)
serve(config, lambda url: print(url, flush=True))
"""


def test_sealing_goes_on_after_the_service_was_killed_half_way(serve, make, tmp_path):
    data = tmp_path / "data"
    command = [sys.executable, "-c", SERVER, str(data), make.key, make.secret]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    names = [f"{number:02}.png" for number in range(30)] + ["99.txt"]
    try:
        url = process.stdout.readline().strip()
        caller = make.caller(url, make.key, make.secret)
        image_set = caller.ok("POST", "/image_sets", {"title": "killed", "metadata": None})
        slow = make.picture(2500, 2500)
        with ContainerClient.from_container_url(image_set["dropbox_url"]) as dropbox:
            for name in names:
                dropbox.upload_blob(name, slow if name.endswith("png") else b"text")
            caller.ok("PUT", f"/image_sets/{image_set['imageset_id']}", {"new_status": "finished"})
            with pytest.raises(HttpResponseError) as refusal:
                dropbox.upload_blob("late.png", slow)
            assert refusal.value.error_code == "ContainerDisabled"
        while caller.get("/images")["pagination"]["total"] < 4:
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    rows = sqlite3.connect(data / "labelwright.sqlite3")
    (entered,) = rows.execute("select count(*) from images").fetchone()
    (dropped,) = rows.execute(
        "select count(*) from blobs join containers on containers.id = container_id where containers.name = ?",
        (image_set["blobstorage_path"],),
    ).fetchone()
    rows.close()
    assert 4 <= entered < 30
    assert dropped == 31, "nothing leaves the dropbox before all are in"

    with serve() as service:
        sealed = service.sealed(image_set["imageset_id"])
        images = service.images_of(image_set["imageset_id"])
        assert [image["file_name"] for image in images] == names[:-1]
        assert [image["image_id"] for image in images] == list(range(1, 31))
        assert [entry["name"] for entry in sealed["rejected"]] == ["99.txt"]
        assert service("GET", "/images/30").content == slow
        with (
            ContainerClient.from_container_url(image_set["dropbox_url"].replace(url, service.url)) as dropbox,
            pytest.raises(ResourceNotFoundError) as gone,
        ):
            list(dropbox.list_blobs())
        assert gone.value.error_code == "ContainerNotFound"
    kept = [path for path in (data / "blobs").rglob("*") if path.is_file()]
    assert len(kept) == 30, "the file that was rejected is gone, the images are kept once"


def test_bytes_that_a_killed_upload_left_behind_are_swept_at_a_later_start(serve, make, tmp_path):
    with serve() as service:
        service.set_of({"a.png": make.picture(9, 9)})
    folder = tmp_path / "data" / "blobs" / "ab"
    orphan, young = folder / "ab01", folder / "ab02"
    for path in (orphan, young):
        path.write_bytes(b"x")
    os.utime(orphan, (1, 1))
    with serve() as service:
        deadline = time.monotonic() + 240
        while orphan.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert requests.get(f"{service.url}/health").ok
    assert not orphan.exists()
    assert young.exists()
