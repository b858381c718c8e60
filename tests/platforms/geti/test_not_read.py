"""What a server refuses to tell is in the backup as such: not taken for unset, and reported wherever it matters."""

from __future__ import annotations

import pytest

from labelwright.platforms.geti.backup import save as geti_backup
from labelwright.platforms.geti.backup.folder import OwnBackup
from labelwright.platforms.geti.backup.journal import Journal
from labelwright.platforms.geti.backup.legacy_layout import open_backup
from labelwright.platforms.geti.client import GetiClient
from labelwright.platforms.geti.models import GetiProject
from labelwright.platforms.geti.parameters import archived_parameters

from .server import SC, geti_server
from .test_backup import (
    DIALECTS,
    MODERN,
    OLDER,
    bring_back,
    chain_project,
    client_of,
    differences_from_backup,
    differences_from_source,
    save,
)
from .test_pictures import jpegs, textured


@pytest.fixture(params=DIALECTS)
def source(request):
    with geti_server(request.param) as server:
        yield server


def configured(client: GetiClient) -> GetiProject:
    project = jpegs(client, [("a.jpg", textured(1))])
    client.set_iterations(project, 700)
    assert client.auto_train(project)
    return project


@pytest.mark.parametrize("version", [SC, OLDER, MODERN])
@pytest.mark.parametrize("number", range(3))
def test_one_configuration_read_that_is_refused_costs_nothing_else_and_is_reported(version, number, tmp_path):
    """The reads of the settings are refused one after the other."""
    with geti_server(version) as server:
        client = client_of(server)
        project = configured(client)
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
        saved = OwnBackup(tmp_path / "backup").project()
        (what,) = saved.not_read
        assert saved.not_read[what].startswith("could not be read: the server answered 404")
        # Everything else is there, and the unknown is not taken for off.
        kept = (saved.auto_train, dict(saved.iterations), dict(saved.parameters))
        lost = (None, {}, {})
        expected = (complete.auto_train, dict(complete.iterations), dict(complete.others))
        place = ["auto-train", "iterations", "configuration"].index(what.partition(" of ")[0])
        assert kept == tuple(lost[one] if one == place else expected[one] for one in range(3))
        report = differences_from_source(client, project, tmp_path / "backup")
        assert report.differences == []
        assert [what in one and "is not in the backup: could not be read" in one for one in report.not_compared] == [
            True
        ]
        journal = Journal(tmp_path / "journal")
        restored = bring_back(client, tmp_path / "backup", "again", journal)
        report = differences_from_backup(client, tmp_path / "backup", restored, journal)
        assert any(what in one for one in report.not_compared)


@pytest.mark.parametrize("version", [SC, OLDER, MODERN])
def test_a_configuration_without_auto_train_is_not_taken_for_auto_train_off(version, tmp_path):
    """The server answers 200, with an object in which nothing is."""
    with geti_server(version) as server:
        client = client_of(server)
        project = configured(client)
        server.break_next("GET", "onfiguration", "200", times=1)
        save(client, project, tmp_path / "backup")
        saved = OwnBackup(tmp_path / "backup").project()
        assert saved.auto_train is None
        assert [what for what in saved.not_read if what.startswith("auto-train")]
        report = differences_from_source(client, project, tmp_path / "backup")
        assert any("auto-train" in one for one in report.not_compared)


@pytest.mark.parametrize("version", [SC, MODERN])
def test_settings_that_the_target_does_not_tell_are_reported_and_end_nothing(version, tmp_path):
    with geti_server(SC) as server:
        client = client_of(server)
        project = configured(client)
        client.set_auto_train(project, False)
        save(client, project, tmp_path / "backup")
    with geti_server(version) as server:
        client, journal = client_of(server), Journal(tmp_path / "journal")
        server.break_next("GET", "onfiguration", "404", times=1000)
        restored = bring_back(client, tmp_path / "backup", "again", journal)
        report = differences_from_backup(client, tmp_path / "backup", restored, journal)
        assert report.differences == []
        assert len(report.not_compared) == 3
        assert all("of the server could not be read: the server answered 404" in one for one in report.not_compared)


@pytest.mark.parametrize("kind", ["images", "videos"])
def test_annotations_that_a_server_has_and_does_not_give_are_differences(source, kind, tmp_path):
    client = client_of(source, page_size=None)
    project = chain_project(client)
    source.break_next("GET", f"media/{kind}/[0-9a-f]+/annotations/latest", "404")
    save(client, project, tmp_path / "backup")
    (lost,) = [one for one in OwnBackup(tmp_path / "backup").media() if one.not_read]
    assert f"{lost.type}s" == kind
    report = differences_from_source(client, project, tmp_path / "backup")
    (told,) = report.differences
    assert told == f"the annotations of {lost.type} '{lost.name}' ({lost.id}) are not in the backup: {lost.not_read}"
    assert geti_backup.what_is_not_saved(open_backup(tmp_path / "backup")) == [told]
    journal = Journal(tmp_path / "journal")
    restored = bring_back(client, tmp_path / "backup", "again", journal)
    assert differences_from_backup(client, tmp_path / "backup", restored, journal).differences == [told]


def test_frames_of_a_video_that_stop_coming_are_not_taken_for_its_end(tmp_path):
    with geti_server(MODERN) as server:
        server.most_frames = 1
        client = client_of(server)
        project = chain_project(client)
        server.break_next("GET", "annotations/latest.start_frame", "404")
        save(client, project, tmp_path)
        (video,) = [one for one in OwnBackup(tmp_path).media() if one.type == "video"]
        assert video.scenes == ()
        assert "answered 404" in video.not_read


def test_a_server_without_videos_is_saved_and_they_are_reported_as_not_read(source, tmp_path):
    client = client_of(source)
    project = jpegs(client, [("a.jpg", textured(1))])
    if source.modern:
        source.refused_media = "video"
    else:
        source.break_next("GET", "media/videos", "404", times=1000)
    assert save(client, project, tmp_path / "backup")["images"] == 1
    report = differences_from_source(client, project, tmp_path / "backup")
    assert report.differences == []
    (told,) = report.not_compared
    assert told.startswith("videos of dataset")
    journal = Journal(tmp_path / "journal")
    restored = bring_back(client, tmp_path / "backup", "again", journal)
    assert differences_from_backup(client, tmp_path / "backup", restored, journal).differences == []
