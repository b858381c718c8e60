"""A dataset folder: versions are whole, immutable, and one for each content."""

from __future__ import annotations

import json
import os
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
    found = register(LocalStore(tmp_path / "datasets"), files)
    assert (found.version, found.created, found.content_hash) == (1, True, content_hash(files))
    version = tmp_path / "datasets" / "river_labels" / "v1"
    assert found.location == str(version)
    assert (version / "table" / "MLTable").read_text() == "type: mltable"
    receipt = json.loads((version / "receipt.json").read_text())
    assert receipt["campaign"] == "river"
    assert [one["name"] for one in receipt["files"]] == ["a.csv", "table/MLTable"]
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
    assert [one.version for one in store.versions("river_labels")] == [1, 2]
    assert store.find("river_labels", first.content_hash) == RegisteredDataset(
        "river_labels", 1, first.location, False, first.content_hash
    )
    assert store.find("river_labels", "0" * 64) is None
    assert store.versions("other") == []


def test_the_hash_depends_on_names_and_bytes_only(tmp_path: Path) -> None:
    one, two = files_in(tmp_path / "1"), files_in(tmp_path / "2")
    assert content_hash(one) == content_hash(two)
    (two / "receipt.json").write_text("{}")
    assert content_hash(one) == content_hash(two)
    (two / "a.csv").rename(two / "b.csv")
    assert content_hash(one) != content_hash(two)


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
        "extra was added",
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
elif step == "after":
    whole, seen = local._sync, []
    def stop(folder):
        whole(folder)
        if folder.name == "river_labels":
            os._exit(9)
    local._sync = stop
files = Path(sys.argv[2])
done = LocalStore(Path(sys.argv[1])).register("river_labels", files, content_hash=content_hash(files), receipt={})
print(done.version, done.created)
"""


@pytest.mark.parametrize("step", ["copy", "receipt", "rename", "after"])
def test_a_kill_at_any_step_leaves_no_half_version(tmp_path: Path, step: str) -> None:
    root, files = tmp_path / "datasets", files_in(tmp_path / "new")
    ended = subprocess.run([sys.executable, "-c", REGISTER, str(root), str(files), step])
    assert ended.returncode == 9
    store = LocalStore(root)
    survived = store.versions("river_labels")
    assert len(survived) == (1 if step == "after" else 0)
    again = register(store, files)
    assert (again.version, again.created) == (1, step != "after")
    assert verify(Path(again.location)) == []
    assert sorted(path.name for path in (root / "river_labels").iterdir()) == [".lock", "latest", "latest.json", "v1"]


def test_processes_that_race_make_one_version(tmp_path: Path) -> None:
    root, files = tmp_path / "datasets", files_in(tmp_path / "new", "x" * 3_000_000)
    command = [sys.executable, "-c", REGISTER, str(root), str(files), "none"]
    racers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = sorted(racer.communicate()[0].strip() for racer in racers)
    assert said == ["1 False", "1 False", "1 False", "1 True"]
    assert sorted(path.name for path in (root / "river_labels").iterdir()) == [".lock", "latest", "latest.json", "v1"]
