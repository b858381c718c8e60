"""A dataset folder: versions are whole, immutable, and one for each content."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from labelwright.stores import (
    ContentMismatch,
    DatasetStore,
    LocalStore,
    RegisteredDataset,
    UnsafeDataset,
    content_hash,
    verify,
)


def files_in(folder: Path, text: str = "one") -> Path:
    (folder / "table").mkdir(parents=True, exist_ok=True)
    (folder / "a.csv").write_text(text)
    (folder / "table" / "MLTable").write_text("type: mltable")
    return folder


def register(store: DatasetStore, files: Path, name: str = "river_labels") -> RegisteredDataset:
    return store.register(
        name, files, content_hash=content_hash(files), receipt={"campaign": "river", "labels": {"a": 1}}
    )


def test_a_version_holds_its_files_and_a_receipt(tmp_path: Path) -> None:
    files = files_in(tmp_path / "new")
    dataset = register(LocalStore(tmp_path / "datasets"), files)
    assert (dataset.version, dataset.created, dataset.content_hash) == (1, True, content_hash(files))
    version = tmp_path / "datasets" / "river_labels" / "v1"
    assert dataset.location == str(version)
    assert (version / "table" / "MLTable").read_text() == "type: mltable"
    receipt = json.loads((version / "receipt.json").read_text())
    assert receipt["campaign"] == "river"
    assert [file["name"] for file in receipt["files"]] == ["a.csv", "table/MLTable"]
    assert receipt["content_hash"] == content_hash(files) == content_hash(version)
    assert "registered_at" in receipt
    assert {oct(path.stat().st_mode & 0o777) for path in version.rglob("*") if path.is_file()} == {"0o444"}
    assert verify(version) == []


def test_the_same_content_is_the_same_version(tmp_path: Path) -> None:
    store, files = LocalStore(tmp_path / "datasets"), files_in(tmp_path / "new")
    first = register(store, files)
    os.utime(files / "a.csv", (1, 1))
    second = store.register("river_labels", files, content_hash=content_hash(files), receipt={"other": "receipt"})
    assert (second.version, second.created, second.location) == (1, False, first.location)
    third = register(store, files_in(tmp_path / "new", "two"))
    assert (third.version, third.created) == (2, True)
    assert [version.version for version in store.versions("river_labels")] == [1, 2]
    assert store.find("river_labels", first.content_hash) == RegisteredDataset(
        "river_labels", 1, first.location, False, first.content_hash
    )
    assert store.find("river_labels", "0" * 64) is None
    assert store.versions("other") == []


def test_the_hash_depends_on_names_and_bytes_only(tmp_path: Path) -> None:
    first, second = files_in(tmp_path / "1"), files_in(tmp_path / "2")
    assert content_hash(first) == content_hash(second)
    (second / "receipt.json").write_text("{}")
    assert content_hash(first) == content_hash(second)
    (second / "a.csv").rename(second / "b.csv")
    assert content_hash(first) != content_hash(second)


def test_files_that_changed_since_they_were_hashed_are_refused(tmp_path: Path) -> None:
    files = files_in(tmp_path / "new")
    before = content_hash(files)
    (files / "a.csv").write_text("changed")
    store = LocalStore(tmp_path / "datasets")
    with pytest.raises(ContentMismatch):
        store.register("d", files, content_hash=before, receipt={})
    assert store.versions("d") == []
    assert [path.name for path in (tmp_path / "datasets" / "d").iterdir()] == [".lock"]


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a\\b", ".hidden", "/abs"])
def test_a_name_cannot_leave_the_store(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnsafeDataset):
        register(LocalStore(tmp_path / "datasets"), files_in(tmp_path / "new"), name)


def test_links_and_a_receipt_of_its_own_are_refused(tmp_path: Path) -> None:
    files = files_in(tmp_path / "new")
    (files / "receipt.json").write_text("{}")
    with pytest.raises(UnsafeDataset, match=r"receipt\.json"):
        register(LocalStore(tmp_path / "datasets"), files)
    (files / "receipt.json").unlink()
    (files / "link").symlink_to("/etc/hostname")
    with pytest.raises(UnsafeDataset, match="link"):
        register(LocalStore(tmp_path / "datasets"), files)


def test_verify_finds_a_changed_byte_a_lost_file_and_a_new_one(tmp_path: Path) -> None:
    files = files_in(tmp_path / "new")
    version = Path(register(LocalStore(tmp_path / "datasets"), files).location)
    (version / "a.csv").chmod(0o644)
    (version / "a.csv").write_text("onE")
    (version / "table" / "MLTable").unlink()
    (version / "extra").write_text("")
    assert verify(version) == [
        "table/MLTable is gone",
        "extra was added: delete it",
        "a.csv has other bytes than when it was registered",
    ]


REGISTER = """
import os, sys
from pathlib import Path
from labelwright.stores import LocalStore, content_hash
import labelwright.stores.local as local
step = sys.argv[3]
if step == "copy":
    local.hash_of_files = lambda files: os._exit(9)
elif step == "receipt":
    local._write_receipt = lambda *all, **more: os._exit(9)
elif step == "rename":
    Path.rename = lambda self, target: os._exit(9)
elif step == "latest":
    local.latest.point_to = lambda *all: os._exit(9)
elif step == "after":
    whole, seen = local.flush_to_disk, []
    def stop(folder):
        whole(folder)
        if folder.name == "river_labels":
            os._exit(9)
    local.flush_to_disk = stop
files = Path(sys.argv[2])
done = LocalStore(Path(sys.argv[1])).register("river_labels", files, content_hash=content_hash(files), receipt={})
print(done.version, done.created)
"""


@pytest.mark.parametrize("step", ["copy", "receipt", "rename", "after", "latest"])
def test_a_kill_at_any_step_leaves_no_half_version(tmp_path: Path, step: str) -> None:
    root, files = tmp_path / "datasets", files_in(tmp_path / "new")
    ended = subprocess.run([sys.executable, "-c", REGISTER, str(root), str(files), step])
    assert ended.returncode == 9
    store = LocalStore(root)
    survived = store.versions("river_labels")
    is_complete = step in ("after", "latest")
    assert len(survived) == (1 if is_complete else 0)
    assert store.newest("river_labels") is None
    again = register(store, files)
    assert (again.version, again.created) == (1, not is_complete)
    assert store.newest("river_labels").version == 1
    assert verify(Path(again.location)) == []
    assert sorted(path.name for path in (root / "river_labels").iterdir()) == [".lock", "latest", "latest.json", "v1"]


def test_processes_that_race_make_one_version(tmp_path: Path) -> None:
    root, files = tmp_path / "datasets", files_in(tmp_path / "new", "x" * 3_000_000)
    command = [sys.executable, "-c", REGISTER, str(root), str(files), "none"]
    racers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    output = sorted(racer.communicate()[0].strip() for racer in racers)
    assert output == ["1 False", "1 False", "1 False", "1 True"]
    assert sorted(path.name for path in (root / "river_labels").iterdir()) == [".lock", "latest", "latest.json", "v1"]


def points_to(root: Path, name: str = "river_labels") -> tuple[int, str]:
    record = json.loads((root / name / "latest.json").read_text())
    return record["version"], str((root / name / "latest").readlink())


def test_a_content_that_is_exported_again_is_the_newest_version(tmp_path: Path) -> None:
    root = tmp_path / "datasets"
    store = LocalStore(root)
    first = register(store, files_in(tmp_path / "a", "A"))
    assert points_to(root) == (1, "v1")
    second = register(store, files_in(tmp_path / "b", "B"))
    assert points_to(root) == (2, "v2")
    again = register(store, tmp_path / "a")
    assert (again.version, again.created) == (1, False)
    assert points_to(root) == (1, "v1")
    assert (root / "river_labels" / "latest" / "a.csv").read_text() == "A"
    assert first.serial < second.serial < again.serial
    newest = store.newest("river_labels")
    assert (newest.version, newest.content_hash, newest.serial) == (1, first.content_hash, again.serial)
    before = {path.name: path.lstat().st_mtime_ns for path in (root / "river_labels").iterdir()}
    assert register(store, tmp_path / "a").serial == again.serial
    assert {path.name: path.lstat().st_mtime_ns for path in (root / "river_labels").iterdir()} == before


def test_lost_latest_record_gets_a_higher_serial(tmp_path: Path) -> None:
    root = tmp_path / "datasets"
    store = LocalStore(root)
    first = register(store, files_in(tmp_path / "a"))
    (root / "river_labels" / "latest.json").write_text("{ damaged")
    (root / "river_labels" / "latest").unlink()
    assert store.newest("river_labels") is None
    again = register(store, tmp_path / "a")
    assert again.serial >= first.serial
    assert points_to(root) == (1, "v1")


def test_concurrent_exports_leave_one_newest_version(tmp_path: Path) -> None:
    root = tmp_path / "datasets"
    folders = [files_in(tmp_path / name, name * 500_000) for name in "ab"]
    commands = [
        [sys.executable, "-c", REGISTER, str(root), str(folder), "none"] for folder in folders for _ in range(2)
    ]
    for racer in [subprocess.Popen(command, stdout=subprocess.PIPE) for command in commands]:
        racer.communicate()
        assert racer.returncode == 0
    version, link = points_to(root)
    assert link == f"v{version}"
    assert LocalStore(root).newest("river_labels").content_hash in {content_hash(folder) for folder in folders}
    assert [version.version for version in LocalStore(root).versions("river_labels")] == [1, 2]


def spoil_file(version: Path) -> None:
    (version / "a.csv").chmod(0o644)
    (version / "a.csv").write_text("two")


def spoil_receipt(version: Path, text: str | None) -> None:
    (version / "receipt.json").unlink()
    if text is not None:
        (version / "receipt.json").write_text(text)


def tamper(version: Path) -> None:
    receipt = json.loads((version / "receipt.json").read_text())
    spoil_receipt(version, json.dumps(receipt | {"labels": {"a": 1000}}))


DAMAGE = {
    "a.csv has other bytes than when it was registered": spoil_file,
    "a.csv is gone": lambda version: (version / "a.csv").unlink(),
    "receipt.json is gone": lambda version: spoil_receipt(version, None),
    "receipt.json is damaged: it cannot be read as a receipt": lambda version: spoil_receipt(version, '{"files": [{}'),
    "receipt.json has other bytes than when it was registered": tamper,
}


@pytest.mark.parametrize("message", DAMAGE)
def test_damage_is_repaired_from_files_of_the_same_content(tmp_path: Path, message: str) -> None:
    store, files = LocalStore(tmp_path / "datasets"), files_in(tmp_path / "new")
    dataset = register(store, files)
    version = Path(dataset.location)
    DAMAGE[message](version)
    assert store.verify(dataset) == [message]
    receipt = {"campaign": "river", "labels": {"a": 1}}
    assert store.repair(dataset, files_in(tmp_path / "other", "other"), receipt) == []
    assert store.verify(dataset) == [message], "files of another content repair nothing"
    assert len(store.repair(dataset, files, receipt)) == 1
    repaired = register(store, files)
    assert (repaired.version, repaired.created) == (1, False)
    assert store.verify(repaired) == []
    assert (version / "a.csv").read_text() == "one"
    assert json.loads((version / "receipt.json").read_text())["labels"] == {"a": 1}
    assert oct((version / "a.csv").stat().st_mode & 0o777) == "0o444"


def test_version_with_damaged_receipt_is_found_by_its_files(tmp_path: Path) -> None:
    store, files = LocalStore(tmp_path / "datasets"), files_in(tmp_path / "new")
    spoil_receipt(Path(register(store, files).location), "no JSON")
    assert store.find("river_labels", content_hash(files)).version == 1
    assert not register(store, files).created


def test_a_lost_version_comes_back_under_its_number(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "datasets")
    first = register(store, files_in(tmp_path / "a", "A"))
    register(store, files_in(tmp_path / "b", "B"))
    for path in (*Path(first.location).rglob("*"), Path(first.location)):
        path.chmod(0o755)
    shutil.rmtree(first.location)
    assert store.verify(first) == [f"{first.location} is gone"]
    assert store.repair(first, tmp_path / "a", {}) == [f"the folder {first.location}"]
    again = register(store, tmp_path / "a")
    assert (again.version, again.created, store.verify(again)) == (1, False, [])


def test_moved_datasets_folder_is_found_by_content(tmp_path: Path) -> None:
    files = files_in(tmp_path / "new")
    first = register(LocalStore(tmp_path / "datasets"), files)
    (tmp_path / "datasets").rename(tmp_path / "moved")
    store = LocalStore(tmp_path / "moved")
    moved = tmp_path / "moved" / "river_labels" / "v1"
    assert store.verify(first) == [f"{first.location} is gone: it is at {moved} now"]
    again = register(store, files)
    assert (again.version, again.location, again.created) == (1, str(moved), False)
