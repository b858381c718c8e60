"""Images that a server re-encodes, and uploads whose response was lost."""

from __future__ import annotations

import io
import random
import threading
import time
from collections import Counter

import pytest
from PIL import ExifTags, Image, ImageDraw, ImageOps

from labelwright.platforms.errors import PlatformUnavailable
from labelwright.platforms.geti.backup.journal import Journal
from labelwright.platforms.geti.client import GetiClient
from labelwright.platforms.geti.models import CoordinateUnit, GetiProject
from labelwright.platforms.geti.projects import NewLabel, NewTask
from labelwright.platforms.geti.reencoding import pixel_difference, reencoded

from .server import SC, geti_server, reencoded_as_recorded
from .test_backup import (
    MODERN,
    VERSIONS,
    box,
    client_of,
    differences_from_backup,
    differences_from_source,
    hierarchy_project,
    photo,
    restore_backup,
    save,
)


def textured(number: int, size: tuple[int, int] = (96, 64)) -> bytes:
    """A JPEG with edges and noise, like a photograph."""
    grain = bytes(100 + byte // 5 for byte in random.Random(number).randbytes(size[0] * size[1]))
    image = Image.frombytes("L", size, grain).convert("RGB")
    draw = ImageDraw.Draw(image)
    draw.rectangle((10, 10, 50, 40), fill=(40 * number % 256, 200, 30))
    draw.ellipse((40, 20, 90, 60), fill=(250, 30 * number % 256, 60))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


@pytest.mark.parametrize("size", [(96, 64), (64, 64)])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_image_turned_by_its_exif_orientation_is_the_same(tmp_path, orientation, size):
    """Half of the EXIF orientations keep width and height; for a square image all do."""
    exif, buffer, path = Image.Exif(), io.BytesIO(), tmp_path / "a.jpg"
    exif[ExifTags.Base.Orientation] = orientation
    Image.open(io.BytesIO(textured(5, size))).save(buffer, "JPEG", quality=90, exif=exif)
    path.write_bytes(buffer.getvalue())
    with Image.open(path) as image:
        upright, stored = reencoded(ImageOps.exif_transpose(image)), reencoded(image)
        wrong = reencoded(ImageOps.mirror(ImageOps.exif_transpose(image)))
    for content in (upright, stored):
        difference = pixel_difference(path, content)
        assert difference is not None
        assert difference.is_reencoding
        assert difference.most < 60, "the difference is measured on the turned image"
    if orientation != 2:  # whose stored pixels are the mirrored ones
        assert not pixel_difference(path, wrong).is_reencoding


def jpegs(client: GetiClient, files: list[tuple[str, bytes]], name: str = "photos") -> GetiProject:
    """A project of these files, each with a different box."""
    project = client.create_project(name, [NewTask("detection", (NewLabel("dog"),))])
    client.wait_until_ready(project.id)
    for number, (file, data) in enumerate(files):
        medium = client.upload(project, file, lambda data=data: io.BytesIO(data))
        size = (medium.width, medium.height)
        client.annotate(project, medium, [box(client, project.trained[0].labels[0], x=number, size=size)])
    return project


def test_reencoded_jpegs_are_restored_and_reported(tmp_path):
    """From Geti, which returns the sent bytes, to Sonoma Creek, which returns other bytes and pixels."""
    with geti_server(MODERN) as server:
        client = client_of(server)
        project = jpegs(client, [(f"{number}.jpg", textured(number)) for number in range(4)])
        save(client, project, tmp_path / "backup")
    with geti_server(SC) as server:
        client, journal = client_of(server), Journal(tmp_path / "journal")
        restored = restore_backup(client, tmp_path / "backup", "photos", journal)
        report = differences_from_backup(client, tmp_path / "backup", restored, journal)
        assert report.differences == []
        assert len(report.reencoded) == 4
        assert all("re-encoded by the server, pixels differ by" in sentence for sentence in report.reencoded)
        # a backup of Sonoma Creek compares the server's own images
        restored_project = client.project(restored)
        save(client, restored_project, tmp_path / "second")
        report = differences_from_source(client, restored_project, tmp_path / "second")
        assert (report.differences, report.reencoded) == ([], [])
        assert any("JPEGs re-encoded by the server" in note for note in report.notes)


def test_verification_of_a_backup_accepts_reencoding(tmp_path):
    with geti_server(MODERN) as server:
        client = client_of(server)
        project = jpegs(client, [("a.jpg", textured(1)), ("b.jpg", textured(2))])
        save(client, project, tmp_path)
        server.reencodes = reencoded_as_recorded
        report = differences_from_source(client, project, tmp_path)
        assert report.differences == []
        assert len(report.reencoded) == 2


def changed_jpeg(data: bytes, change: str) -> bytes:
    with Image.open(io.BytesIO(data)) as image:
        picture = image.convert("RGB")
    if change == "brighter":
        picture = picture.point(lambda value: min(value + 9, 255))
    elif change == "a spot":
        ImageDraw.Draw(picture).rectangle((3, 3, 10, 10), fill=(255, 255, 255))
    elif change == "a pixel":
        picture.putpixel((5, 5), (0, 0, 0))
    elif change == "mirrored":
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    elif change == "half the size":
        picture = picture.resize((48, 32))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=100)
    return buffer.getvalue()


@pytest.mark.parametrize("change", ["brighter", "a spot", "a pixel", "mirrored", "half the size"])
def test_changes_beyond_reencoding_are_differences(change, tmp_path):
    with geti_server(SC) as server:
        client = client_of(server)
        project = jpegs(client, [("a.jpg", textured(1))])
        save(client, project, tmp_path / "backup")
        journal = Journal(tmp_path / "journal")
        restored = restore_backup(client, tmp_path / "backup", "again", journal)
        assert differences_from_backup(client, tmp_path / "backup", restored, journal).differences == []
        server.reencodes = lambda data: changed_jpeg(data, change)
        report = differences_from_backup(client, tmp_path / "backup", restored, journal)
        assert any("another hash" in sentence for sentence in report.differences)
        assert report.reencoded == []


def test_changed_pixels_of_a_lossless_file_are_a_difference(tmp_path):
    def shifted(data: bytes, by: int) -> bytes:
        with Image.open(io.BytesIO(data)) as image:
            buffer = io.BytesIO()
            image.convert("RGB").point(lambda value: min(value + by, 255)).save(buffer, "PNG")
            return buffer.getvalue()

    with geti_server(MODERN) as server:
        client = client_of(server)
        project = hierarchy_project(client)
        save(client, project, tmp_path / "backup")
        journal = Journal(tmp_path / "journal")
        restored = restore_backup(client, tmp_path / "backup", "restored", journal)
        server.reencodes = lambda data: shifted(data, 0)
        report = differences_from_backup(client, tmp_path / "backup", restored, journal)
        assert report.differences == []
        assert any("re-encoded by the server, pixels are the same" in sentence for sentence in report.reencoded)
        server.reencodes = lambda data: shifted(data, 2)
        report = differences_from_backup(client, tmp_path / "backup", restored, journal)
        assert any("another hash" in sentence for sentence in report.differences)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("pauses", [(0.01, 0.02), ()], ids=["in one run", "in several runs"])
@pytest.mark.parametrize("effect", ["lost", "late"])
def test_restored_images_are_sent_once_despite_lost_responses(version, pauses, effect, tmp_path, monkeypatch):
    """Eight images and two lost responses. Four images have one name, and three of these the same bytes."""
    same = textured(7)
    files = [("x.png", photo(8, (96, 64))), ("x.jpg", same), ("x.jpeg", same), ("x.jpg", same)]
    files += [(f"{number}.jpg", textured(number)) for number in range(4)]
    with geti_server(version) as server:
        client = client_of(server, page_size=None)
        project = jpegs(client, files)
        save(client, project, tmp_path / "backup")
        monkeypatch.setattr("labelwright.platforms.batches.PAUSES", pauses)
        journal = Journal(tmp_path / "journal")
        server.requests.clear()
        server.break_next("POST", "media/images$", effect, times=2 if pauses else 1)
        while True:
            try:
                # One after the other where a run ends at a fault: the first one is then met by `x`.
                restored = restore_backup(client, tmp_path / "backup", "again", journal, threads=3 if pauses else 1)
                break
            except PlatformUnavailable:
                assert not pauses
                if sum(fault.effect == effect for fault in server.breaks) < 2:
                    server.break_next("POST", "media/images$", effect)
        assert [fault.times for fault in server.breaks] == ([0] if pauses else [0, 0])
        if effect == "lost":  # found again, not sent again
            assert sum(path.endswith("media/images") for method, path in server.requests if method == "POST") == 8
        (dataset,) = server.projects[restored].media.values()
        assert len(dataset) == 8
        assert differences_from_backup(client, tmp_path / "backup", restored, journal).differences == []
        before, after = (annotated_images(client, client.project(identity)) for identity in (project.id, restored))
        assert before == after


def test_media_of_one_name_are_sent_one_after_the_other(tmp_path, monkeypatch):
    """Otherwise a lost response could not be assigned to one of them."""
    with geti_server(MODERN) as server:
        client = client_of(server, page_size=None)
        names = ["x.jpg", "y.jpg", "x.png", "x.jpg", "y.png", "z.png"]
        save(
            client, jpegs(client, [(name, textured(number)) for number, name in enumerate(names)]), tmp_path / "backup"
        )
        lock, under_way, together = threading.Lock(), Counter(), []
        upload = client.upload

        def counted(project, file_name, opener, **more):
            name = file_name.partition(".")[0]
            with lock:
                under_way[name] += 1
                together.append(max(under_way.values()))
            time.sleep(0.02)
            try:
                return upload(project, file_name, opener, **more)
            finally:
                with lock:
                    under_way[name] -= 1

        monkeypatch.setattr(client, "upload", counted)
        restore_backup(client, tmp_path / "backup", "again", Journal(tmp_path / "journal"), threads=6)
        assert together == [1] * 6


def annotated_images(client: GetiClient, project: GetiProject) -> list[tuple[str, str, float]]:
    """Each image's name, a value of its content, and the start of its box."""
    pictures = []
    for medium in client.media(project):
        into = io.BytesIO()
        client.download(project, medium, into)
        with Image.open(into) as image:
            scene = client.scene(project, medium)
            mark = "png" if image.format == "PNG" else str(image.convert("L").reduce(16).getpixel((1, 1)) // 8)
            shape = scene.annotations[0].shape.to(CoordinateUnit.PIXELS, client.unit, medium.width, medium.height)
            pictures.append((medium.name, mark, round(shape.numbers["x"])))
    return sorted(pictures)


def test_restore_begun_by_an_earlier_version_is_completed(tmp_path, monkeypatch):
    """Its journal has no intents: any missing medium may have been sent, and files of one name are compared."""
    with geti_server(SC) as server:
        client = client_of(server, page_size=None)
        files = [("x.jpg", textured(1)), ("x.jpeg", textured(5)), ("y.jpg", textured(2))]
        save(client, jpegs(client, files), tmp_path / "backup")
        journal = Journal(tmp_path / "journal")
        monkeypatch.setattr("labelwright.platforms.batches.PAUSES", ())
        for _ in range(2):  # x and y, then the other x
            server.break_next("POST", "media/images$", "lost", times=2)
            with pytest.raises(PlatformUnavailable):
                restore_backup(client, tmp_path / "backup", "again", journal, threads=1)
            server.breaks.clear()
        (path,) = journal.folder.glob("page-*.jsonl")
        old_lines = [line for line in path.read_text().splitlines() if "sending" not in line and "target" not in line]
        path.write_text("\n".join(old_lines) + "\n")
        server.requests.clear()
        restored = restore_backup(client, tmp_path / "backup", "again", journal)
        assert not [path for method, path in server.requests if method == "POST" and path.endswith("images")]
        assert differences_from_backup(client, tmp_path / "backup", restored, journal).differences == []
