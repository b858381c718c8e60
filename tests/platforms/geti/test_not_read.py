"""Values that a server refuses are marked as unknown in the backup, and reported."""

from __future__ import annotations

import pytest

from labelwright.platforms.geti.backup import verify
from labelwright.platforms.geti.backup.folder import NativeBackup
from labelwright.platforms.geti.backup.journal import Journal
from labelwright.platforms.geti.backup.legacy_layout import open_backup
from labelwright.platforms.geti.backup.parameters import archived_parameters
from labelwright.platforms.geti.client import GetiClient
from labelwright.platforms.geti.models import GetiProject

from .server import SC, geti_server
from .test_backup import (
    MODERN,
    OLDER,
    VERSIONS,
    chain_project,
    client_of,
    differences_from_backup,
    differences_from_source,
    restore_backup,
    save,
)
from .test_reencoding import jpegs, textured


@pytest.fixture(params=VERSIONS)
def source(request):
    with geti_server(request.param) as server:
        yield server


def configured_project(client: GetiClient) -> GetiProject:
    project = jpegs(client, [("a.jpg", textured(1))])
    client.set_iterations(project, 700)
    assert client.auto_train(project)
    return project


@pytest.mark.parametrize("version", [SC, OLDER, MODERN])
@pytest.mark.parametrize("number", range(3))
def test_one_unreadable_setting_is_reported_and_costs_no_other(version, number, tmp_path):
    """Refuses the reads of settings one after the other."""
    with geti_server(version) as server:
        client = client_of(server)
        project = configured_project(client)
        server.requests.clear()
        complete = archived_parameters(client, project)
        assert complete.not_read == {}
        reads = [path for method, path in server.requests if method == "GET" and "onfiguration" in path]
        assert len(reads) == 3
        skipped = reads[:number].count(reads[number])
        answers = iter(["200"] * skipped + ["404"])
        normal = server.broken

        def broken(method: str, path: str) -> str:
            if method == "GET" and path == reads[number] and next(answers, "") == "404":
                return "404"
            return normal(method, path)

        server.broken = broken
        save(client, project, tmp_path / "backup")
        assert next(answers, None) is None, "the read was not made"
        server.broken = normal
        saved = NativeBackup(tmp_path / "backup").project()
        (setting,) = saved.not_read
        assert saved.not_read[setting].startswith("could not be read: the server answered 404")
        # All other settings are saved, and the unknown one does not pass for off.
        values = (saved.auto_train, dict(saved.iterations), dict(saved.parameters))
        missing_values = (None, {}, {})
        expected = (complete.auto_train, dict(complete.iterations), dict(complete.others))
        index = ["auto-train", "iterations", "configuration"].index(setting.partition(" of ")[0])
        assert values == tuple(missing_values[n] if n == index else expected[n] for n in range(3))
        report = differences_from_source(client, project, tmp_path / "backup")
        assert report.differences == []
        assert [
            setting in sentence and "is not in the backup: could not be read" in sentence
            for sentence in report.not_compared
        ] == [True]
        journal = Journal(tmp_path / "journal")
        restored = restore_backup(client, tmp_path / "backup", "again", journal)
        report = differences_from_backup(client, tmp_path / "backup", restored, journal)
        assert any(setting in sentence for sentence in report.not_compared)


@pytest.mark.parametrize("version", [SC, OLDER, MODERN])
def test_missing_auto_train_does_not_pass_for_off(version, tmp_path):
    """The server returns 200 with an empty object."""
    with geti_server(version) as server:
        client = client_of(server)
        project = configured_project(client)
        server.break_next("GET", "onfiguration", "200", times=1)
        save(client, project, tmp_path / "backup")
        saved = NativeBackup(tmp_path / "backup").project()
        assert saved.auto_train is None
        assert [setting for setting in saved.not_read if setting.startswith("auto-train")]
        report = differences_from_source(client, project, tmp_path / "backup")
        assert any("auto-train" in sentence for sentence in report.not_compared)


@pytest.mark.parametrize("version", [SC, MODERN])
def test_unreadable_settings_of_the_target_are_reported(version, tmp_path):
    with geti_server(SC) as server:
        client = client_of(server)
        project = configured_project(client)
        client.set_auto_train(project, False)
        save(client, project, tmp_path / "backup")
    with geti_server(version) as server:
        client, journal = client_of(server), Journal(tmp_path / "journal")
        server.break_next("GET", "onfiguration", "404", times=1000)
        restored = restore_backup(client, tmp_path / "backup", "again", journal)
        report = differences_from_backup(client, tmp_path / "backup", restored, journal)
        assert report.differences == []
        assert len(report.not_compared) == 3
        assert all(
            "of the server could not be read: the server answered 404" in sentence for sentence in report.not_compared
        )


@pytest.mark.parametrize("kind", ["images", "videos"])
def test_unreadable_annotations_are_differences(source, kind, tmp_path):
    client = client_of(source, page_size=None)
    project = chain_project(client)
    source.break_next("GET", f"media/{kind}/[0-9a-f]+/annotations/latest", "404")
    save(client, project, tmp_path / "backup")
    (unread_medium,) = [medium for medium in NativeBackup(tmp_path / "backup").media() if medium.not_read]
    assert f"{unread_medium.type}s" == kind
    report = differences_from_source(client, project, tmp_path / "backup")
    (difference,) = report.differences
    described = f"{unread_medium.type} '{unread_medium.name}' ({unread_medium.id})"
    assert difference == f"the annotations of {described} are not in the backup: {unread_medium.not_read}"
    assert verify.list_not_saved(open_backup(tmp_path / "backup")) == [difference]
    journal = Journal(tmp_path / "journal")
    restored = restore_backup(client, tmp_path / "backup", "again", journal)
    assert differences_from_backup(client, tmp_path / "backup", restored, journal).differences == [difference]


def test_missing_frames_do_not_pass_for_the_end_of_a_video(tmp_path):
    with geti_server(MODERN) as server:
        server.most_frames = 1
        client = client_of(server)
        project = chain_project(client)
        server.break_next("GET", "annotations/latest.start_frame", "404")
        save(client, project, tmp_path)
        (video,) = [medium for medium in NativeBackup(tmp_path).media() if medium.type == "video"]
        assert video.scenes == ()
        assert "answered 404" in video.not_read


def test_server_without_videos_is_saved_with_a_report(source, tmp_path):
    client = client_of(source)
    project = jpegs(client, [("a.jpg", textured(1))])
    if source.modern:
        source.refused_media = "video"
    else:
        source.break_next("GET", "media/videos", "404", times=1000)
    assert save(client, project, tmp_path / "backup")["images"] == 1
    report = differences_from_source(client, project, tmp_path / "backup")
    assert report.differences == []
    (sentence,) = report.not_compared
    assert sentence.startswith("videos of dataset")
    journal = Journal(tmp_path / "journal")
    restored = restore_backup(client, tmp_path / "backup", "again", journal)
    assert differences_from_backup(client, tmp_path / "backup", restored, journal).differences == []
