"""Restoring folders that geti-sdk wrote."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from labelwright.platforms.geti.backup.archive import BackupRefused
from labelwright.platforms.geti.backup.journal import Journal
from labelwright.platforms.geti.backup.legacy_layout import open_backup
from labelwright.platforms.geti.client import GetiClient
from labelwright.platforms.geti.models import CoordinateUnit, GetiProject

from .server import SC, geti_server
from .test_backup import (
    MODERN,
    OLDER,
    chain_project,
    client_of,
    colours,
    differences_from_backup,
    hierarchy_project,
    media_states,
    restore_backup,
    save,
)

SDK_FOLDERS = Path(__file__).parent / "sdk_folders"
"""Written by geti-sdk 2.13.1 from `chain_project` and `hierarchy_project` on the fake server."""


@pytest.mark.parametrize("version", [SC, OLDER, MODERN])
@pytest.mark.parametrize(("name", "make"), [("chain", chain_project), ("hier", hierarchy_project)])
def test_sdk_folder_is_restored(version, name, make, tmp_path):
    with geti_server(MODERN) as server:
        origin = client_of(server)
        project = make(origin)
        expected = media_states(origin, project), colours(project)
        scenes = sdk_scenes(origin, project)
    with geti_server(version) as server:
        client, journal = client_of(server), Journal(tmp_path / "journal")
        restored = client.project(restore_backup(client, SDK_FOLDERS / name, "again", journal))
        report = differences_from_backup(client, SDK_FOLDERS / name, restored.id, journal)
        assert report.differences == []
        assert any(
            "auto-train is not in the backup: folders of geti-sdk" in sentence for sentence in report.not_compared
        )
        assert (media_states(client, restored), colours(restored)) == expected
        assert sdk_scenes(client, restored) == scenes
        assert restored.kind == project.kind
        assert sum(1 for _ in client.media(restored, "video")) == (name == "chain")


def sdk_scenes(client: GetiClient, project: GetiProject) -> list[tuple[str, list[str]]]:
    """Labels and whole pixels of the annotations of each image."""
    scenes = []
    names = {label.id: "" if label.is_empty else label.name for task in project.trained for label in task.labels}
    for medium in client.media(project):
        scene = client.scene(project, medium)
        lines = []
        for annotation in scene.annotations if scene else ():
            shape = annotation.shape.to(CoordinateUnit.PIXELS, client.unit, medium.width, medium.height)
            numbers = [
                round(value) for value in (*shape.numbers.values(), *(v for point in shape.points for v in point))
            ]
            lines.append(f"{shape.type} {numbers} {[names[label] for label, _ in annotation.labels]}")
        scenes.append((medium.name, sorted(lines)))
    return sorted(scenes)


def test_fractions_in_an_early_sdk_folder_are_read(tmp_path):
    folder = shutil.copytree(SDK_FOLDERS / "hier", tmp_path / "folder")
    (path,) = (folder / "annotations").glob("*.json")
    scene = json.loads(path.read_text())
    scene["annotations"][0]["shape"] |= {"width": 1, "height": 1}
    path.write_text(json.dumps(scene))
    assert open_backup(folder).project().unit is CoordinateUnit.FRACTIONS
    assert open_backup(SDK_FOLDERS / "hier").project().unit is CoordinateUnit.PIXELS


def test_backup_into_an_sdk_folder_is_refused(tmp_path):
    folder = shutil.copytree(SDK_FOLDERS / "hier", tmp_path / "folder")
    with geti_server(MODERN) as server:
        client = client_of(server)
        with pytest.raises(BackupRefused, match="geti-sdk wrote this folder"):
            save(client, hierarchy_project(client), folder)


WOLF = '{"annotations": [{"labels": [{"name": "wolf"}], "shape": {"type": "KEYPOINT", "x": 1, "y": 1}}]}'


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        ("annotations/a.json", "no JSON", "annotations/a.json is not valid JSON"),
        (
            "annotations/a.json",
            '{"annotations": [{"labels": [{"name": "wolf"}], "shape": {}}]}',
            "label 'wolf' is not in",
        ),
        ("images/Dataset/a.jpg", "no image", "images/Dataset/a.jpg is no image"),
        ("project.json", '{"name": "x", "pipeline": {"tasks": []}}', "no task that could be trained"),
    ],
)
def test_damaged_sdk_folder_is_refused_with_the_file(file, text, reason, tmp_path):
    folder = shutil.copytree(SDK_FOLDERS / "hier", tmp_path / "folder")
    (folder / file).write_text(text)
    with pytest.raises(BackupRefused, match=reason):
        open_backup(folder).page("0")
