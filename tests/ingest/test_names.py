"""Names as they come from the field are taken or refused alike by every source, and keep the source's own spelling."""

from __future__ import annotations

import csv
from pathlib import Path
from urllib.parse import quote

import pytest

from labelwright.domain import Reject
from labelwright.domain.file_names import escaped, name_among, name_note, visible
from labelwright.ingest import ContainerSource, FilesSource, FolderSource, ManifestSource, UrlSource
from labelwright.ingest.sources.local import Source, SourceFile

NFD, CJK, BACKSLASH, TURNED = "Ku\u0308ste.jpg", "\uf900.jpg", "a\\b.jpg", "photo\u202egpj.exe.jpg"
TAKEN = [NFD, CJK, TURNED, "what?.jpg", "NUL.jpg", "com1", "a:b.jpg", "x*y.jpg", "\u200egood.jpg"]
REFUSED = ["tab\t.jpg", "end. ", "dot./a.jpg", "escape\x1b[2J.jpg"]


class Blob:
    def __init__(self, name: str) -> None:
        self.name, self.size, self.etag, self.metadata = name, 1, "1", {}


class Container(ContainerSource):
    """A container whose listing is a list."""

    names: tuple[str, ...] = ()

    @property
    def _client(self):
        return self

    def list_blobs(self, **_):
        return map(Blob, self.names)


def sources(folder: Path, name: str) -> dict[str, Source]:
    (folder / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / "photos" / name).write_bytes(b"x")
    with (folder / "photos" / "list.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["path", "name"], [str(folder / "photos" / name), name.replace(" ", "")]])
    container = Container("https://a.blob.core.windows.net/c")
    container.names = (name,)
    return {
        "folder": FolderSource(folder / "photos", exclude=["list.csv"]),
        "list": FilesSource([folder / "photos" / name]),
        "manifest": ManifestSource(folder / "photos" / "list.csv"),
        "URLs": UrlSource([f"http://server/{quote(name)}"]),
        "container": container,
    }


@pytest.mark.parametrize("name", TAKEN, ids=ascii)
def test_every_source_takes_a_name_with_the_same_note(tmp_path: Path, name: str) -> None:
    for kind, source in sources(tmp_path, name).items():
        (file,) = source.find()
        assert isinstance(file, SourceFile), kind
        assert (file.source_name or file.name) == name, kind
    assert bool(name_note(name)) == (name not in (NFD, CJK))


@pytest.mark.parametrize("name", REFUSED[:1] + REFUSED[3:], ids=ascii)
def test_every_source_refuses_names_with_control_characters(tmp_path: Path, name: str) -> None:
    for kind, source in sources(tmp_path, name).items():
        (file,) = source.find()
        assert isinstance(file, Reject), kind
        assert "control characters" in file.reason, kind


def test_a_nul_character_in_a_list_is_a_reject_of_its_line(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes(b"path,name\na\0.jpg,a.jpg\n/a\0.jpg,b.jpg\n")
    for file in [*ManifestSource(tmp_path / "list.csv").find(), *FilesSource([Path("/x\0y.jpg")]).find()]:
        assert isinstance(file, Reject)
    (file,) = UrlSource(["http://server/a%00.jpg"]).find()
    assert isinstance(file, Reject)


def test_a_backslash_in_a_name_stays_in_the_sources_spelling(tmp_path: Path) -> None:
    found = {kind: next(iter(source.find())) for kind, source in sources(tmp_path, BACKSLASH).items()}
    for kind in ("folder", "list", "container"):
        assert isinstance(found[kind], SourceFile)
        assert (found[kind].name, found[kind].source_name) == ("a/b.jpg", BACKSLASH), kind
    (tmp_path / "photos" / "list.csv").write_text(f"path\n{BACKSLASH}\n")
    (file,) = ManifestSource(tmp_path / "photos" / "list.csv").find()
    assert isinstance(file, SourceFile)
    assert (file.name, file.source_name) == ("a/b.jpg", BACKSLASH)


@pytest.mark.parametrize("listed", ["K\u00fcste.jpg", NFD], ids=ascii)
def test_a_list_in_another_normal_form_than_the_files_is_read(tmp_path: Path, listed: str) -> None:
    (tmp_path / NFD).write_bytes(b"x")
    (tmp_path / "list.csv").write_text(f"path\n{listed}\n", encoding="utf-8")
    (file,) = ManifestSource(tmp_path / "list.csv").find()
    assert isinstance(file, SourceFile)
    assert (file.name, file.source_name) == ("K\u00fcste.jpg", NFD)


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("plain.jpg", ""),
        ("дно/река 1.jpg", ""),
        ("\U0001f469\u200d\U0001f52c.jpg", ""),
        ("null.jpg", ""),
        ("nul.tar.gz", "Windows reserves 'nul.tar.gz'"),
        ("a/COM¹/b.jpg", "Windows reserves 'COM¹'"),
        ("a?b:c?.jpg", "Windows has no ? : in file names"),
        (TURNED, "the invisible U+202E may show it as another name"),
        (BACKSLASH, "its backslash counts as a slash on the platform"),
    ],
    ids=ascii,
)
def test_the_note_says_what_is_unusual(name: str, note: str) -> None:
    assert name_note(name) == note


def test_names_that_look_alike_are_told_apart() -> None:
    assert (escaped(NFD), escaped("K\u00fcste.jpg")) == ("Ku\\u0308ste.jpg", "K\\u00fcste.jpg")
    assert (escaped(BACKSLASH), escaped("a/b.jpg")) == (BACKSLASH, "a/b.jpg")
    assert visible(TURNED) == "photo\\u202egpj.exe.jpg"
    assert visible("K\u00fcste.jpg") == "K\u00fcste.jpg"


def test_a_file_means_the_campaigns_name_in_any_spelling() -> None:
    names = {"K\u00fcste.jpg", "a/b.jpg"}
    assert [name_among(name, names) for name in (NFD, BACKSLASH, "other")] == ["K\u00fcste.jpg", "a/b.jpg", "other"]


@pytest.mark.parametrize("pattern", ["K\u00fcste.*", "Ku\u0308ste.*"], ids=ascii)
def test_patterns_match_names_in_any_normal_form(tmp_path: Path, pattern: str) -> None:
    for name in (NFD, "b.jpg"):
        (tmp_path / name).write_bytes(b"x")
    (taken,) = FolderSource(tmp_path, include=[pattern]).find()
    (left,) = FolderSource(tmp_path, exclude=[pattern]).find()
    assert isinstance(taken, SourceFile)
    assert (taken.source_name, left.name) == (NFD, "b.jpg")
