from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from labelwright.domain import Reject
from labelwright.ingest.sources.local import SourceError, SourceFile
from labelwright.ingest.sources.manifest import ManifestSource


def read(path: Path, text: str | bytes) -> list[SourceFile | Reject]:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return list(ManifestSource(path).find())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    for name in ("a.jpg", "sub/река.jpg"):
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


@pytest.mark.parametrize("column", ["path", "file_name", "Path"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_the_csv_of_any_program_is_read(folder: Path, column: str, delimiter: str, bom: bytes) -> None:
    text = f"{column}{delimiter}name{delimiter}more\r\nsub/река.jpg{delimiter}one.jpg{delimiter}x\r\n\r\na.jpg\r\n"
    entries = read(folder / "list.csv", bom + text.encode())
    assert [(entry.name, Path(entry.location).name) for entry in entries if isinstance(entry, SourceFile)] == [
        ("one.jpg", "река.jpg"),
        ("a.jpg", "a.jpg"),
    ]


def test_excels_line_about_the_separator_is_understood(folder: Path) -> None:
    assert [entry.name for entry in read(folder / "list.csv", "sep=;\r\npath;x\r\na.jpg;1\r\n")] == ["a.jpg"]


def test_relative_paths_stay_inside_and_absolute_paths_are_free(folder: Path, tmp_path: Path) -> None:
    inner = folder / "sub"
    (inner / "link.jpg").symlink_to(folder / "a.jpg")
    entries = read(inner / "list.csv", f"path\n../a.jpg\n{folder / 'a.jpg'}\nlink.jpg\n./x/../река.jpg\n")
    assert isinstance(entries[0], Reject)
    assert "line 2" in entries[0].reason
    assert "is outside the manifest" in entries[0].reason
    assert isinstance(entries[1], SourceFile)
    assert isinstance(entries[2], Reject)
    assert "is outside the manifest" in entries[2].reason
    assert isinstance(entries[3], SourceFile)
    assert entries[3].name == "река.jpg"


def test_rows_that_cannot_be_taken_name_their_line(folder: Path) -> None:
    text = "path,url,name,sha256\ngone.jpg,,,\na.jpg,,../../x,\na.jpg,,,123\n,,n,\na.jpg,http://x/y,,\n,ftp://u:canary@x/y,,\n"
    reasons = [entry.reason for entry in read(folder / "list.csv", text) if isinstance(entry, Reject)]
    assert len(reasons) == 6
    for line, reason in enumerate(reasons, 2):
        assert reason.startswith(f"line {line} of list.csv: ")
    assert "canary" not in str(reasons)


def test_a_sha256_is_handed_on_to_be_verified(folder: Path) -> None:
    digest = hashlib.sha256(b"x").hexdigest()
    (entries,) = read(folder / "list.csv", f"path,sha256\na.jpg,{digest.upper()}\n")
    assert isinstance(entries, SourceFile)
    assert entries.sha256 == digest


def test_signed_urls_stay_out_of_names_and_locations(folder: Path) -> None:
    text = "url,name\nhttps://h.example/a.jpg?sig=canary,\nhttps://u:canary@h.example/a.jpg,\nhttps://h.example/a.jpg,b.jpg\n"
    entries = read(folder / "list.csv", text)
    assert [entry.name for entry in entries] == ["a.jpg", "a-2.jpg", "b.jpg"]
    assert [entry.location for entry in entries if isinstance(entry, SourceFile)] == [
        "https://h.example/a.jpg#1",
        "https://h.example/a.jpg#2",
        "https://h.example/a.jpg",
    ]
    assert "canary" not in repr(entries)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"image\na.jpg\n", "no column 'path', 'url' or 'file_name' in line 1"),
        (b"", "it has: nothing"),
        (b"path\n", "lists no images"),
        (b"path,path\na,b\n", "two columns 'path'"),
        ("path\nрека.jpg\n".encode("cp1251"), "not UTF-8"),
        (b'path\n"' + b"x" * 200_000, "line"),
    ],
)
def test_a_manifest_that_cannot_be_used_says_where_and_what_to_do(folder: Path, text: bytes, says: str) -> None:
    with pytest.raises(SourceError, match=says):
        read(folder / "list.csv", text)


def test_a_missing_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no manifest '.*list\.csv'"):
        ManifestSource(tmp_path / "list.csv").find()
