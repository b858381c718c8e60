"""Backup and restore on each API version, after failures, with every difference reported."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from labelwright.platforms.errors import PlatformRefused, PlatformUnavailable
from labelwright.platforms.geti.api_versions import GetiV2
from labelwright.platforms.geti.backup import restore as geti_restore
from labelwright.platforms.geti.backup import save as geti_backup
from labelwright.platforms.geti.backup import verify
from labelwright.platforms.geti.backup.archive import (
    ArchivedAnnotation,
    ArchivedLabel,
    ArchivedMedium,
    ArchivedScene,
    BackupRefused,
)
from labelwright.platforms.geti.backup.compare import Report, compare_scenes
from labelwright.platforms.geti.backup.folder import NativeBackup
from labelwright.platforms.geti.backup.journal import Journal
from labelwright.platforms.geti.backup.legacy_layout import open_backup
from labelwright.platforms.geti.client import GetiClient
from labelwright.platforms.geti.models import (
    CoordinateUnit,
    GetiAnnotation,
    GetiProject,
    GetiShape,
    GetiTask,
    whole_image,
)
from labelwright.platforms.geti.projects import NewLabel, NewTask
from labelwright.platforms.geti.session import GetiSession

from .harness import credential
from .server import SC, TOKEN, GetiServer, geti_server, reencoded_as_recorded

MODERN, OLDER = "2.12.1", "2.11.0"
VERSIONS = [SC, MODERN]


def client_of(server: GetiServer, page_size: int | None = 3) -> GetiClient:
    return GetiClient(GetiSession(server.url, *credential(server), patience=2), page_size=page_size)


def photo(number: int, size: tuple[int, int] = (60, 40)) -> bytes:
    chance = random.Random(number)
    image = Image.new("RGB", size, tuple(chance.randrange(256) for _ in range(3)))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG" if number % 2 else "PNG")
    return buffer.getvalue()


def box(client, label, x=6, y=4, width=12, height=8, size=(60, 40)):
    shape = GetiShape("RECTANGLE", {"x": x, "y": y, "width": width, "height": height})
    return GetiAnnotation(shape.to(client.unit, CoordinateUnit.PIXELS, *size), ((label.id, 1.0),))


def outline(client, label, size=(60, 40)):
    shape = GetiShape("POLYGON", points=((1.5, 1.25), (33.3, 1.0), (20.1, 38.7)))
    return GetiAnnotation(shape.to(client.unit, CoordinateUnit.PIXELS, *size), ((label.id, 0.75),))


def empty_scene(client, task, size=(60, 40)):
    return GetiAnnotation(whole_image(client.unit, *size), ((task.empty_label.id, 1.0),))


def chain_project(client, name="river & дно"):
    """Boxes, polygons, empty labels, names that collide, an unannotated image, a video with two frames."""
    tasks = [
        NewTask("detection", (NewLabel("dog", color="#102030"), NewLabel("cat", hotkey="c"))),
        NewTask("segmentation", (NewLabel("dog shape"), NewLabel("cat shape"))),
    ]
    project = client.create_project(name, tasks)
    client.wait_until_ready(project.id)
    client.set_auto_train(project, False)
    client.set_iterations(project, 700)
    detection, segmentation = project.trained
    dog, shape = detection.labels[0], segmentation.labels[0]
    media = [
        client.upload(project, file, lambda number=number: io.BytesIO(photo(number)))
        for number, file in enumerate(["a.png", "a.jpg", "ünter 2.png", "d.jpg", "e.png", "f.jpg", "g.png"])
    ]
    client.annotate(project, media[0], [box(client, dog), outline(client, shape)])
    client.annotate(project, media[1], [empty_scene(client, detection)])
    unshaped = GetiAnnotation(box(client, dog).shape, ((dog.id, 1.0), (segmentation.empty_label.id, 1.0)))
    client.annotate(project, media[2], [unshaped])
    client.annotate(project, media[3], [box(client, dog)])
    client.annotate(project, media[4], [box(client, dog), box(client, detection.labels[1], x=30)])
    client.annotate(project, media[5], [])
    video = client.upload(project, "swim.mp4", lambda: io.BytesIO(bytes(1000)), kind="video")
    for frame in (0, 7):
        client.annotate(project, video, [box(client, dog, size=(32, 32), width=5 + frame)], frame=frame)
    return project


def hierarchy_project(client, name="kinds of animals"):
    labels = (NewLabel("dog"), NewLabel("poodle", parent="dog", group="races"), NewLabel("cat"))
    project = client.create_project(name, [NewTask("classification", labels)])
    client.wait_until_ready(project.id)
    dog, poodle, _ = project.trained[0].labels[:3]
    medium = client.upload(project, "a.png", lambda: io.BytesIO(photo(1)))
    whole = whole_image(client.unit, 60, 40)
    client.annotate(project, medium, [GetiAnnotation(whole, ((dog.id, 1.0), (poodle.id, 0.5)))])
    return project


def save(client, project, folder):
    pages = 0
    for dataset, kind in geti_backup.begin(client, project.id, folder):
        cursor = ""
        while True:
            count, cursor = geti_backup.save_page(client, project.id, folder, dataset, kind, pages + 1, cursor, 3)
            pages += bool(count)
            if not cursor:
                break
    return geti_backup.end(folder, pages)


def differences_from_source(client, project, folder) -> Report:
    report = Report()
    for page in NativeBackup(folder).pages():
        report.merge(verify.compare_saved_page(client, project.id, folder, page))
    report.merge(verify.compare_saved_project(client, project.id, folder))
    return report


def restore_backup(client, folder, name, journal, auto_train=None, threads=3):
    backup = open_backup(folder)
    project = geti_restore.begin(client, backup, name, journal)
    for page in backup.pages():
        geti_restore.restore_page(client, backup, page, project, journal, threads)
    geti_restore.end(client, backup, project, auto_train)
    return project


def differences_from_backup(client, folder, project, journal, auto_train=None) -> Report:
    backup, report = open_backup(folder), Report()
    for page in backup.pages():
        report.merge(verify.compare_restored_page(client, backup, page, project, journal, 3))
    report.merge(verify.compare_restored_project(client, backup, project, journal, auto_train))
    return report


@pytest.fixture(params=VERSIONS)
def source(request):
    with geti_server(request.param) as server:
        yield server


@pytest.mark.parametrize("make", [chain_project, hierarchy_project])
@pytest.mark.parametrize("version", VERSIONS)
def test_restored_project_equals_the_source_on_each_api_version(source, version, make, tmp_path):
    client = client_of(source)
    project = make(client)
    folder, journal = tmp_path / "backup", Journal(tmp_path / "journal")
    counts = save(client, project, folder)
    assert differences_from_source(client, project, folder).differences == []
    if make is chain_project:
        assert (counts["images"], counts["videos"], counts["scenes"], counts["annotations"]) == (7, 1, 7, 9)
    with geti_server(version) as target:
        target_client = client_of(target)
        restored = restore_backup(target_client, folder, "restored", journal)
        report = differences_from_backup(target_client, folder, restored, journal)
        assert report.differences == []
        restored_project = target_client.project(restored)
        assert restored_project.name == "restored"
        assert restored_project.kind == project.kind
        assert media_states(target_client, restored_project) == media_states(client, project)
        assert target_client.iterations(restored_project) == client.iterations(project)
        assert target_client.auto_train(restored_project) is client.auto_train(project)
        assert colours(restored_project) == colours(project)


def media_states(client, project):
    return sorted((medium.name, *medium.states.values()) for medium in client.media(project))


def colours(project):
    labels = [label for task in project.trained for label in task.labels if not label.is_empty]
    return [(label.name, label.color, label.group) for label in labels]


def test_coordinates_are_exact_within_one_api_version(source, tmp_path):
    client = client_of(source)
    project = chain_project(client)
    save(client, project, tmp_path / "backup")
    journal = Journal(tmp_path / "journal")
    restored = client.project(restore_backup(client, tmp_path / "backup", "again", journal))
    targets = {medium: target for target, (_, medium) in journal.all_targets().items()}
    restored_media = {medium.id: medium for medium in client.media(restored)}
    for original in client.media(project):
        restored_medium = restored_media[targets[original.id]]
        scenes = [client.scene(owner, medium) for owner, medium in ((project, original), (restored, restored_medium))]
        shapes = [[annotation.shape for annotation in scene.annotations] if scene else [] for scene in scenes]
        assert shapes[0] == shapes[1]


def test_backup_keeps_bytes_and_downloads_nothing_twice(source, tmp_path):
    client = client_of(source)
    project = chain_project(client)
    save(client, project, tmp_path)
    media = [medium for page in NativeBackup(tmp_path).pages() for medium in NativeBackup(tmp_path).page(page)]
    for number, medium in enumerate(media[:7]):
        expected = photo(number) if source.modern else reencoded_as_recorded(photo(number))
        assert (tmp_path / medium.file).read_bytes() == expected
        assert medium.file.endswith(".jpg" if number % 2 else ".png")
    assert media[-1].file.startswith("videos/")
    source.requests.clear()
    save(client, project, tmp_path)
    assert not [path for _, path in source.requests if "/display/" in path]


def test_names_with_any_characters_and_length_are_kept(tmp_path):
    names = ["two\u2028lines", "next\x85line", "川" * 80, "😀" * 60, "a" * 200]
    with geti_server(MODERN, smallest=1) as server:
        client = client_of(server, page_size=None)
        project = client.create_project("names", [NewTask("detection", (NewLabel("dog\u2029"),))])
        client.wait_until_ready(project.id)
        for number, name in enumerate(names):
            medium = client.upload(project, f"{name}.png", lambda number=number: io.BytesIO(photo(2 * number)))
            client.annotate(project, medium, [box(client, project.trained[0].labels[0])])
        save(client, project, tmp_path / "saved")
        assert sorted(saved_medium.name for saved_medium in NativeBackup(tmp_path / "saved").media()) == sorted(names)
        journal = Journal(tmp_path / "journal")
        restored = restore_backup(client, tmp_path / "saved", "again", journal)
        assert differences_from_backup(client, tmp_path / "saved", restored, journal).differences == []


@pytest.mark.parametrize(
    ("kind", "numbers", "returned", "same"),
    [
        ("RECTANGLE", (0.4, 1.5, 7.5, 8), (0, 2, 8, 8), True),
        ("RECTANGLE", (0.4, 1.5, 7.5, 8), (1, 2, 8, 8), False),
        ("RECTANGLE", (0.4, 1.5, 7.5, 8), (0.3, 1.5, 7.5, 8), False),
        ("ROTATED_RECTANGLE", (5, 5, 3.33333, 2, 30), (5, 5, 3.3333, 2, 30), True),
        ("ROTATED_RECTANGLE", (5, 5, 3.33333, 2, 30), (5, 5, 3, 2, 30), False),
    ],
)
def test_rounded_coordinates_are_a_note_and_moved_ones_differ(kind, numbers, returned, same):
    def scene(values) -> ArchivedScene:
        shape = GetiShape(kind, dict(zip(("x", "y", "width", "height", "angle"), map(float, values), strict=False)))
        return ArchivedScene((ArchivedAnnotation(shape, ((ArchivedLabel(0, "dog", empty=False), 1.0),)),))

    medium = ArchivedMedium("m", "image", "m", "d", "m.png", "", 1, 20, 20, (scene(numbers),))
    report = compare_scenes(medium, CoordinateUnit.PIXELS, [scene(returned)], CoordinateUnit.PIXELS)
    assert (report.differences == [], len(report.notes)) == (same, int(same))
    assert compare_scenes(medium, CoordinateUnit.PIXELS, [scene(numbers)], CoordinateUnit.PIXELS) == Report()
    assert (
        compare_scenes(medium, CoordinateUnit.FRACTIONS, [scene(returned)], CoordinateUnit.FRACTIONS).differences != []
    )


def test_refused_annotations_do_not_stop_a_restore(tmp_path):
    tasks = [NewTask("detection", (NewLabel("dog"),)), NewTask("segmentation", (NewLabel("dog shape"),))]
    with geti_server(SC, smallest=1) as server:
        client = client_of(server)
        project = client.create_project("dogs", tasks)
        client.wait_until_ready(project.id)
        media = [client.upload(project, f"{n}.png", lambda n=n: io.BytesIO(photo(2 * n))) for n in range(2)]
        dog, empty = project.trained[0].labels[0], empty_scene(client, project.trained[1])
        client.annotate(project, media[0], [box(client, dog), empty])  # 2.x accepts it on the box only
        client.annotate(project, media[1], [box(client, dog)])
        save(client, project, tmp_path / "backup")
    with geti_server(MODERN, smallest=1) as server:
        client, journal = client_of(server), Journal(tmp_path / "journal")
        restored = restore_backup(client, tmp_path / "backup", "dogs", journal)
        differences = differences_from_backup(client, tmp_path / "backup", restored, journal).differences
        assert len(differences) == 3
        assert "image '0'" in differences[0]
        assert "its annotations were refused: a label for the preceding task is missing" in differences[0]
        assert all("image '0'" in difference and "lacks" in difference for difference in differences[1:])


def test_configuration_is_restored_by_task_in_any_order():
    class Server:
        """The calls that restoring configuration needs."""

        api_version = GetiV2("o", "w", (2, 12))

        def configuration(self, project: GetiProject) -> dict:
            return {"task_configs": [self.config("second", 1), self.config("first", 2)]}

        def config(self, task: str, value: int) -> dict:
            return {"task_id": task, "training": {"constraints": [{"key": "min", "value": value}]}}

        def patch_configuration(self, project: GetiProject, configuration: dict) -> None:
            self.patched = configuration

    server, tasks = Server(), (GetiTask("first", "A", "detection"), GetiTask("second", "B", "segmentation"))
    project = GetiProject("p", "p", tasks, (), (("d", "d"),))
    geti_restore.set_parameters(server, project, {"0/training/min": 7, "1/training/min": 9})
    assert server.patched == {"task_configs": [server.config("second", 9), server.config("first", 7)]}


def test_interrupted_backup_continues_and_cannot_be_restored(source, tmp_path):
    client = client_of(source)
    project = chain_project(client)
    for path in ("display/full", "annotations/latest"):
        source.break_next("GET", path, "503", times=1000)
        with pytest.raises(PlatformUnavailable):
            save(client, project, tmp_path)
        source.breaks.clear()
        with pytest.raises(BackupRefused, match="interrupted"):
            open_backup(tmp_path)
    save(client, project, tmp_path)
    assert differences_from_source(client, project, tmp_path).differences == []


def test_failed_page_continues_unless_it_is_old(source, tmp_path):
    client = client_of(source, page_size=None)
    project = chain_project(client)
    source.break_next("GET", f"{list(client.media(project))[-1].id}/annotations/latest", "503", times=1000)
    with pytest.raises(PlatformUnavailable):
        save(client, project, tmp_path)
    source.breaks.clear()
    partial_page = next((tmp_path / "media").glob(".*.begun"))
    saved_lines = partial_page.read_text()
    source.requests.clear()
    save(client, project, tmp_path)
    downloads = [path for _, path in source.requests if "images" in path and "annotations/latest" in path]
    assert len(downloads) == 7 - len(saved_lines.splitlines()) < 7
    assert differences_from_source(client, project, tmp_path).differences == []
    partial_page.write_text(saved_lines)
    os.utime(partial_page, (1, 1))
    source.requests.clear()
    save(client, project, tmp_path)
    downloads = [path for _, path in source.requests if "images" in path and "annotations/latest" in path]
    assert len(downloads) == 7
    assert not list((tmp_path / "media").glob(".*.begun"))


def test_backup_refuses_a_folder_with_other_content(source, tmp_path):
    client = client_of(source)
    (tmp_path / "thesis.txt").write_text("work of years")
    project = hierarchy_project(client)
    with pytest.raises(BackupRefused, match="other files"):
        save(client, project, tmp_path)
    save(client, project, tmp_path / "own")
    other = hierarchy_project(client, "another")
    with pytest.raises(BackupRefused, match="backup of project"):
        save(client, other, tmp_path / "own")


def test_changes_of_the_source_are_reported(source, tmp_path):
    client = client_of(source)
    project = chain_project(client)
    save(client, project, tmp_path)
    media = list(client.media(project))
    dog = project.trained[0].labels[0]
    client.annotate(project, media[6], [box(client, dog)])
    client.annotate(project, media[0], [box(client, dog, x=7)])
    client.upload(project, "late.png", lambda: io.BytesIO(photo(4)))
    client.set_auto_train(project, True)
    (tmp_path / NativeBackup(tmp_path).page("00001")[1].file).write_bytes(b"other bytes")
    differences = "\n".join(differences_from_source(client, project, tmp_path).differences)
    for part in ("'g'", "'a'", "was changed after it was saved", "'late'", "auto-train is True, not False"):
        assert part in differences


def test_restore_completes_after_a_failure_at_any_request(source, tmp_path, monkeypatch):
    monkeypatch.setattr("labelwright.platforms.batches.PAUSES", ())  # every fault ends a run
    client = client_of(source)
    project = chain_project(client)
    folder, journal = tmp_path / "backup", Journal(tmp_path / "journal")
    save(client, project, folder)
    with geti_server(MODERN) as target:
        target_client, broken = client_of(target), 0
        for method, path, effect in (
            ("POST", "projects$", "lost"),
            ("POST", "media/images$", "lost"),
            ("POST", "media/images$", "503"),
            ("POST", "annotations$", "lost"),
            ("POST", "media/images$", "lost"),
            ("POST", "media/videos$", "lost"),
            ("POST", "frames/7/annotations$", "503"),
            ("PATCH", "training_configuration", "lost"),
        ):
            target.break_next(method, path, effect)
            try:
                restore_backup(target_client, folder, "restored", journal, threads=1)
            except PlatformUnavailable:
                broken += 1
        assert broken >= 6
        target.breaks.clear()
        restored = restore_backup(target_client, folder, "restored", journal)
        assert differences_from_backup(target_client, folder, restored, journal).differences == []
        assert len(target.projects) == 1
        target.requests.clear()
        assert restore_backup(target_client, folder, "restored", journal) == restored
        assert not [path for method, path in target.requests if method == "POST" and "/media/" in path]


def test_restore_waits_for_a_video_instead_of_sending_it_again(tmp_path, monkeypatch):
    monkeypatch.setattr("labelwright.platforms.geti.backup.restore._VIDEO_SECONDS", 0.0)
    with geti_server(MODERN) as server:
        client = client_of(server)
        project = chain_project(client)
        save(client, project, tmp_path / "backup")
        media, hidden_listings = client.media, 2

        def late(project, kind="image", *more, **options):
            nonlocal hidden_listings
            if kind == "video" and hidden_listings:
                hidden_listings -= 1
                return iter(())
            return media(project, kind, *more, **options)

        monkeypatch.setattr(client, "media", late)
        server.requests.clear()
        journal = Journal(tmp_path / "journal")
        restored = restore_backup(client, tmp_path / "backup", "again", journal)
        assert hidden_listings == 0
        assert sum(path.endswith("media/videos") for method, path in server.requests if method == "POST") == 1
        assert differences_from_backup(client, tmp_path / "backup", restored, journal).differences == []


KILLED = """
import sys
from pathlib import Path
from labelwright.platforms.geti.backup import restore as geti_restore
from labelwright.platforms.geti.client import GetiClient
from labelwright.platforms.geti.backup.folder import NativeBackup
from labelwright.platforms.geti.backup.journal import Journal
from labelwright.platforms.geti.session import GetiSession
from labelwright.platforms.protocol import Secret

url, token, folder, journal = sys.argv[1:]
client, backup = GetiClient(GetiSession(url, "", Secret(token))), NativeBackup(Path(folder))
into = Journal(Path(journal))
project = geti_restore.begin(client, backup, "restored", into)
for page in backup.pages():
    geti_restore.restore_page(client, backup, page, project, into, 2)
"""


@pytest.mark.parametrize("uploads", [1, 4])
def test_killed_restore_continues(uploads, tmp_path):
    with geti_server(SC) as source, geti_server(MODERN) as target:
        client, target_client = client_of(source), client_of(target)
        project = chain_project(client)
        folder, journal = tmp_path / "backup", Journal(tmp_path / "journal")
        save(client, project, folder)
        target.delay = 0.03
        command = [sys.executable, "-c", KILLED, target.url, TOKEN, str(folder), str(tmp_path / "journal")]
        process = subprocess.Popen(command)
        ends = time.monotonic() + 240
        while sum("media/images" in path for method, path in target.requests if method == "POST") < uploads:
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < ends
            time.sleep(0.005)
        process.kill()
        process.wait()
        target.delay = 0.0
        time.sleep(0.1)
        while target.busy:  # what was on its way arrives
            time.sleep(0.01)
        restored = restore_backup(target_client, folder, "restored", journal)
        assert differences_from_backup(target_client, folder, restored, journal).differences == []
        assert len(target.projects) == 1


def test_journal_with_a_cut_last_line_is_readable(tmp_path):
    journal = Journal(tmp_path)
    journal.write("page-1", medium="a", target="b")
    with (tmp_path / "page-1.jsonl").open("a") as file:
        file.write('{"medium": "c", "tar')
    journal.write("page-1", medium="d", target="e")
    assert journal.targets("1") == {"a": "b", "d": "e"}


def test_restore_refuses_an_existing_project_of_the_name(source, tmp_path):
    client = client_of(source)
    project = hierarchy_project(client)
    save(client, project, tmp_path / "backup")
    with pytest.raises(PlatformRefused, match="already"):
        restore_backup(client, tmp_path / "backup", "kinds of animals", Journal(tmp_path / "journal"))


def test_differences_of_the_restored_project_are_reported(source, tmp_path):
    client = client_of(source)
    project = chain_project(client)
    folder, journal = tmp_path / "backup", Journal(tmp_path / "journal")
    save(client, project, folder)
    restored = client.project(restore_backup(client, folder, "restored", journal))
    media = {medium.name: medium for medium in client.media(restored)}
    client.delete_medium(restored, media["d"])
    client.upload(restored, "more.png", lambda: io.BytesIO(photo(9)))
    client.annotate(restored, media["e"], [box(client, restored.trained[0].labels[1])])
    source.projects[restored.id].trained[0]["labels"][0]["color"] = "#ffffffff"
    differences = "\n".join(differences_from_backup(client, folder, restored.id, journal).differences)
    for part in ("'d'", "'more'", "'e'", "lacks RECTANGLE of dog 1 at (6, 4, 12, 8)", "the colour of label 'dog'"):
        assert part in differences


def test_datasets_are_restored_or_reported_as_merged(tmp_path):
    with geti_server(MODERN) as server:
        client = client_of(server)
        project = hierarchy_project(client)
        second = client.create_dataset(project, "testing")
        client.upload(project, "t.png", lambda: io.BytesIO(photo(3)), dataset=second)
        project = client.project(project.id)
        save(client, project, tmp_path / "backup")
        assert differences_from_source(client, project, tmp_path / "backup").differences == []
        journal = Journal(tmp_path / "journal")
        restored = client.project(restore_backup(client, tmp_path / "backup", "restored", journal))
        assert differences_from_backup(client, tmp_path / "backup", restored.id, journal).differences == []
        assert [name for _, name in restored.datasets] == ["Dataset", "testing"]
        assert [item.name for item in client.media(restored, "image", restored.datasets[1][0])] == ["t"]
    with geti_server(SC) as server:
        client, journal = client_of(server), Journal(tmp_path / "other")
        restored_id = restore_backup(client, tmp_path / "backup", "restored", journal)
        report = differences_from_backup(client, tmp_path / "backup", restored_id, journal)
        assert ["one dataset a project" in item for item in report.differences] == [True]


def test_anomaly_projects_are_restored_as_the_servers_kind(tmp_path):
    with geti_server(MODERN) as server:
        client = client_of(server)
        project = client.create_project("odd", [NewTask("anomaly")])
        client.wait_until_ready(project.id)
        medium = client.upload(project, "a.png", lambda: io.BytesIO(photo(1)))
        odd = next(label for label in project.trained[0].labels if label.is_anomalous)
        client.annotate(project, medium, [GetiAnnotation(whole_image(client.unit, 60, 40), ((odd.id, 1.0),))])
        save(client, project, tmp_path / "backup")
        journal = Journal(tmp_path / "journal")
        restored = restore_backup(client, tmp_path / "backup", "again", journal)
        assert differences_from_backup(client, tmp_path / "backup", restored, journal).differences == []


def test_paths_outside_the_backup_are_refused(tmp_path):
    with geti_server(SC) as server:
        client = client_of(server)
        save(client, hierarchy_project(client), tmp_path / "backup")
        page = tmp_path / "backup" / "media" / "00001.jsonl"
        line = json.loads(page.read_text())
        (tmp_path / "secret.png").write_bytes(photo(1))
        page.write_text(json.dumps({**line, "file": "../secret.png"}) + "\n")
        with pytest.raises(PlatformRefused, match="is not in the backup"):
            restore_backup(client, tmp_path / "backup", "stolen", Journal(tmp_path / "journal"))


# Folders of the older tool


@pytest.fixture
def legacy_folder(tmp_path) -> Path:
    """A detection -> segmentation project in the older tool's layout, with an empty label."""
    folder = tmp_path / "seed"
    for name in ("images", "annotations"):
        (folder / name).mkdir(parents=True)
    info = {
        "project_name": "old dogs",
        "project_type": "detection_to_segmentation",
        "label_names_task_one": ["dog", "No Object"],
        "label_names_task_two": ["dog shape", "Empty"],
    }
    (folder / "project_info.json").write_text(json.dumps(info))
    for number in range(3):
        Image.new("RGB", (60, 40), (number, 9, 9)).save(folder / "images" / f"photo {number}.jpg")

    def annotation(name, shape):
        return {"labels": [{"name": name, "probability": 1.0, "color": "#b9fcccff"}], "shape": shape}

    box_ = {"type": "RECTANGLE", "x": 0.25, "y": 0.5, "width": 0.125, "height": 0.25}
    polygon = {"type": "POLYGON", "points": [{"x": 0.25, "y": 0.5}, {"x": 0.5, "y": 0.5}, {"x": 0.3, "y": 0.75}]}
    whole = {"type": "RECTANGLE", "x": 0, "y": 0, "width": 1, "height": 1}
    scenes = [[annotation("dog", box_), annotation("dog shape", polygon)], [annotation("No Object", whole)]]
    for number, scene in enumerate(scenes):
        text = json.dumps({"annotations": scene, "kind": "annotation"})
        (folder / "annotations" / f"photo {number}.json").write_text(text)
    return folder


@pytest.mark.parametrize("version", [SC, MODERN, OLDER])
def test_legacy_folder_is_restored_on_each_api_version(legacy_folder, version, tmp_path):
    with geti_server(version) as server:
        client, journal = client_of(server), Journal(tmp_path / "journal")
        restored = client.project(restore_backup(client, legacy_folder, "old dogs", journal))
        report = differences_from_backup(client, legacy_folder, restored.id, journal)
        assert report.differences == []
        assert restored.kind == "detection -> segmentation"
        media = {medium.name: medium for medium in client.media(restored)}
        assert sorted(media) == ["photo 0", "photo 1", "photo 2"]
        assert [media[f"photo {number}"].done(restored.trained) for number in range(3)] == [True, True, False]
        scene = client.scene(restored, media["photo 0"])
        shapes = [annotation.shape.to(CoordinateUnit.PIXELS, client.unit, 60, 40) for annotation in scene.annotations]
        assert shapes[0].numbers == {"x": 15.0, "y": 20.0, "width": 8 if server.modern else 7.5, "height": 10.0}
        assert shapes[1].points == ((15.0, 20.0), (30.0, 20.0), (18.0, 30.0))
        rounded = ["image 'photo 0' (photo 0.jpg): 1 annotations are rounded by the server, by up to 0.5 pixels"]
        assert [note for note in report.notes if "rounded" in note] == (rounded if server.modern else [])


def test_legacy_folder_with_one_task_is_restored(legacy_folder, tmp_path):
    info = {"project_name": "boxes", "project_type": "detection", "label_names_task_one": ["dog"]}
    (legacy_folder / "project_info.json").write_text(json.dumps({**info, "label_names_task_two": []}))
    shutil.rmtree(legacy_folder / "annotations")
    with geti_server(SC) as server:
        client, journal = client_of(server), Journal(tmp_path / "journal")
        restored = restore_backup(client, legacy_folder, "boxes", journal, auto_train=True)
        assert differences_from_backup(client, legacy_folder, restored, journal, auto_train=True).differences == []
        assert client.auto_train(client.project(restored))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("no JSON", "not valid JSON"),
        ('{"project_name": "x", "project_type": "cooking"}', "no project is of the kind"),
        ('{"project_name": "x", "project_type": "detection to segmentation", "label_names_task_one": ["a"]}', "second"),
    ],
)
def test_malformed_legacy_folder_is_refused(tmp_path, text, reason):
    (tmp_path / "project_info.json").write_text(text)
    with pytest.raises(BackupRefused, match=reason):
        open_backup(tmp_path)
    with pytest.raises(BackupRefused, match="no such folder"):
        open_backup(tmp_path / "nowhere")


def test_unknown_label_in_a_legacy_folder_is_refused(legacy_folder):
    path = legacy_folder / "annotations" / "photo 0.json"
    path.write_text(path.read_text().replace('"dog"', '"wolf"'))
    with pytest.raises(BackupRefused, match="label 'wolf' is not in"):
        open_backup(legacy_folder).page("0")
