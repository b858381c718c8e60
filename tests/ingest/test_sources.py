from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest

from labelwright.domain import Reject
from labelwright.ingest.sources.local import CannotRead, FilesSource, FolderSource, SourceError, SourceFile
from labelwright.ingest.sources.manifest import ManifestSource


def names(source: FolderSource | FilesSource) -> list[str]:
    return [file.name for file in source.find() if isinstance(file, SourceFile)]


def rejects(source: FolderSource | FilesSource) -> dict[str, str]:
    return {file.name: file.reason for file in source.find() if isinstance(file, Reject)}


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_folder_is_searched_recursively_in_name_order(images: Path) -> None:
    touch(images, "b.jpg", "a/z.jpg", "a/b/c.jpg", "a.jpg", "a-1.jpg", "Z.jpg")

    file = names(FolderSource(images))

    assert file == ["Z.jpg", "a-1.jpg", "a.jpg", "a/b/c.jpg", "a/z.jpg", "b.jpg"]
    assert file == sorted(file)


def test_two_folders_may_hold_files_of_one_name(images: Path) -> None:
    touch(images, "monday/1.jpg", "tuesday/1.jpg")
    assert names(FolderSource(images)) == ["monday/1.jpg", "tuesday/1.jpg"]


def test_a_location_opens_the_file_again_in_another_source_object(images: Path) -> None:
    touch(images, "a.jpg")
    file = next(FolderSource(images).find())
    assert isinstance(file, SourceFile)
    with FolderSource(images).open(file.location) as stream:
        assert stream.read() == b"x"
    assert file.bytes == 1


def test_hidden_files_and_litter_are_passed_over_in_silence(images: Path) -> None:
    touch(images, "a.jpg", ".DS_Store", "Thumbs.db", "desktop.ini", ".git/x.jpg", "__MACOSX/._a.jpg", "@eaDir/a.jpg")
    source = FolderSource(images)
    assert (names(source), rejects(source)) == (["a.jpg"], {})


@pytest.mark.parametrize(
    ("include", "exclude", "taken"),
    [
        (("*.jpg",), (), ["a.jpg", "x/B.JPG", "x/y/c.jpg"]),
        (("x/*",), (), ["x/B.JPG", "x/d.png"]),
        (("x/**",), (), ["x/B.JPG", "x/d.png", "x/y/c.jpg"]),
        (("x/",), (), ["x/B.JPG", "x/d.png", "x/y/c.jpg"]),
        (("**/y/*.jpg",), (), ["x/y/c.jpg"]),
        (("**/*",), ("x/y/",), ["a.jpg", "x/B.JPG", "x/d.png"]),
        (("**/*",), ("y",), ["a.jpg", "x/B.JPG", "x/d.png"]),
        (("**/*",), ("*.jpg",), ["x/d.png"]),
        (("[ab].jpg",), (), ["a.jpg", "x/B.JPG"]),
        (("?.[!j]*",), (), ["x/d.png"]),
    ],
)
def test_patterns_choose_files(images: Path, include: tuple[str], exclude: tuple[str], taken: list[str]) -> None:
    touch(images, "a.jpg", "x/B.JPG", "x/d.png", "x/y/c.jpg")
    assert names(FolderSource(images, include, exclude)) == taken


def test_names_in_any_script_come_out_composed(images: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "Кай/ёлка-é.jpg")
    touch(images, decomposed, "река.jpg", "🦊.jpg")
    assert names(FolderSource(images)) == [unicodedata.normalize("NFC", decomposed), "река.jpg", "🦊.jpg"]


def test_undecodable_name_is_rejected_with_escaped_bytes(images: Path) -> None:
    os.close(os.open(os.fsencode(images) + b"/a\xff.jpg", os.O_CREAT | os.O_WRONLY))
    touch(images, "b.jpg")
    source = FolderSource(images)
    assert names(source) == ["b.jpg"]
    (name, reason) = rejects(source).popitem()
    assert name == "a\\udcff.jpg"
    reason.encode("utf-8")


def test_a_name_that_blob_stores_would_change_is_rejected(images: Path) -> None:
    touch(images, "a.jpg.", "b.jpg")
    assert "ends with a dot" in rejects(FolderSource(images))["a.jpg."]


def test_a_backslash_cannot_climb_out(images: Path) -> None:
    touch(images, "x\\..\\..\\etc.jpg", "b.jpg")
    assert "not a relative path" in rejects(FolderSource(images))["x\\..\\..\\etc.jpg"]


def test_links_that_leave_the_folder_are_refused(images: Path, tmp_path: Path) -> None:
    touch(tmp_path / "outside", "secret.jpg")
    touch(images, "a.jpg")
    (images / "file.jpg").symlink_to(tmp_path / "outside" / "secret.jpg")
    (images / "folder").symlink_to(tmp_path / "outside")
    (images / "near.jpg").symlink_to("a.jpg")
    source = FolderSource(images, include=("*.jpg",))
    assert names(source) == ["a.jpg", "near.jpg"]
    assert "leaves the folder" in rejects(source)["file.jpg"]
    assert "outside" in rejects(source)["folder"]


def test_a_link_swapped_in_after_finding_is_refused_when_opened(images: Path, tmp_path: Path) -> None:
    touch(tmp_path, "secret.jpg")
    touch(images, "a.jpg")
    source = FolderSource(images)
    file = next(source.find())
    assert isinstance(file, SourceFile)
    (images / "a.jpg").unlink()
    (images / "a.jpg").symlink_to(tmp_path / "secret.jpg")
    with pytest.raises(CannotRead):
        source.open(file.location)


def test_links_in_a_circle_end(images: Path) -> None:
    touch(images, "x/a.jpg")
    (images / "x" / "loop").symlink_to(images)
    (images / "self.jpg").symlink_to("self.jpg")
    source = FolderSource(images)
    assert names(source) == ["x/a.jpg"]
    assert set(rejects(source)) == {"x/loop", "self.jpg"}


def test_a_link_to_the_source_folder_itself_is_fine(images: Path, tmp_path: Path) -> None:
    touch(images, "a.jpg")
    (tmp_path / "link").symlink_to(images)
    source = FolderSource(tmp_path / "link")
    file = next(source.find())
    assert isinstance(file, SourceFile)
    source.open(file.location).close()


def test_a_pipe_is_not_waited_for(images: Path) -> None:
    os.mkfifo(images / "pipe.jpg")
    assert rejects(FolderSource(images)) == {"pipe.jpg": "is not an ordinary file"}


def test_an_unreadable_subfolder_is_named(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(images, "a.jpg", "closed/b.jpg")
    scandir = os.scandir  # replaced, since root may read everything

    def refusing(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    source = FolderSource(images)
    assert rejects(source) == {"closed": "the folder cannot be read (Permission denied)"}
    assert names(source) == ["a.jpg"]


@pytest.mark.parametrize("name", ["nowhere", "file", "empty", "unmatched"])
def test_a_folder_that_gives_nothing_says_what_to_do(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    touch(tmp_path, "file", "unmatched/a.txt")
    says = {"nowhere": "no folder", "file": "is a file", "empty": "holds no files", "unmatched": "None of the 1 files"}
    with pytest.raises(SourceError, match=says[name]) as caught:
        list(FolderSource(tmp_path / name, include=("*.jpg",)).find())
    assert str(tmp_path / name) in str(caught.value)


def test_files_come_under_their_own_names_and_once(tmp_path: Path) -> None:
    touch(tmp_path, "x/b.jpg", "y/a.jpg")
    source = FilesSource([tmp_path / "x/b.jpg", tmp_path / "y/a.jpg", tmp_path / "x" / ".." / "x" / "b.jpg"])
    assert (names(source), rejects(source)) == (["a.jpg", "b.jpg"], {})


def test_two_files_of_one_name_are_both_named(tmp_path: Path) -> None:
    touch(tmp_path, "x/a.jpg", "y/a.jpg")
    source = FilesSource([tmp_path / "y/a.jpg", tmp_path / "x/a.jpg"])
    assert names(source) == ["a.jpg"]
    reason = rejects(source)["a.jpg"]
    assert str(tmp_path / "x/a.jpg") in reason
    assert str(tmp_path / "y/a.jpg") in reason


def test_files_that_cannot_be_taken_are_named(tmp_path: Path) -> None:
    source = FilesSource([tmp_path / "gone.jpg", tmp_path])
    assert "there is no file" in rejects(source)["gone.jpg"]
    assert "is a folder" in rejects(source)[tmp_path.name]
    with pytest.raises(SourceError, match="empty"):
        FilesSource([]).find()


UNUSABLE = {
    "long": ("x" * 5000, "no folder|no manifest"),
    "deep": ("a/" * 2500 + "b.csv", "no folder|no manifest"),
    "NUL": ("a\0b", "NUL character"),
    "surrogate": ("\ud800/b", "broken Unicode"),
    "nobody's home": ("~nobody-is-called-so/b", "no folder|no manifest"),
}


@pytest.mark.parametrize(("path", "says"), UNUSABLE.values(), ids=UNUSABLE)
@pytest.mark.parametrize("kind", [FolderSource, ManifestSource])
def test_paths_that_cannot_exist_are_clear_errors(kind: type[FolderSource], path: str, says: str) -> None:
    with pytest.raises(SourceError, match=says) as refused:
        next(kind(path).find())
    str(refused.value).encode()


@pytest.mark.parametrize("path", [path for path, _ in UNUSABLE.values()], ids=UNUSABLE)
def test_paths_of_files_that_cannot_exist_are_rejects(images: Path, path: str) -> None:
    for each in (path, f"{path}/a.jpg"):
        (rejected,) = FilesSource([each]).find()
        assert isinstance(rejected, Reject)
        f"{rejected.name}{rejected.reason}".encode()
    manifest, row = images / "list.csv", path.encode("utf-8", "replace").decode()
    for columns, cells in (("path", row), ("file_name", row), ("url", f"http://[{row}"), ("path,name", f"a.jpg,{row}")):
        manifest.write_text(f"{columns}\n{cells}\n")
        (rejected,) = ManifestSource(manifest).find()
        assert isinstance(rejected, Reject)
