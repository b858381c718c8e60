"""A format that is a folder: added with one module and one line, exported the way every other format is.

`BOXES` is such a module: `<title>_boxes/<part>/<image id>.txt`, a line for each object, and a list of its parts.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from labelwright.datasets import FORMATS, Batch, Export, FolderFormat, Spool, campaign_formats, output_names, write_many
from labelwright.datasets.splits import PARTS, Split
from labelwright.stores.local import LocalStore
from labelwright.stores.protocol import content_hash

from .samples import IMAGES, SCHEMA, STOCK, delivered


class BoxFiles:
    def __init__(self, export: Export, folder: Path) -> None:
        self._folder = folder
        self._parts = export.parts or ("all",)

    def add(self, part: str, batch: Batch) -> None:
        target = self._folder / (part or "all")
        target.mkdir(exist_ok=True)
        lines: list[list[str]] = [[] for _ in batch.images]
        for image, index in batch.owners():
            lines[image].append(f"{batch.label(index)} {batch.corners[index].tolist()}\n")
        for image, text in zip(batch.images, lines, strict=True):
            (target / f"{image.position}.txt").write_text("".join(text), encoding="utf-8")

    def finish(self) -> None:
        (self._folder / "parts.txt").write_text("".join(f"{part}\n" for part in self._parts), encoding="utf-8")


BOXES = FolderFormat("_boxes", BoxFiles, "boxes")


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(FORMATS, "boxes", BOXES)


def files_in(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_campaign_files_may_list_a_new_format():
    assert "boxes" in campaign_formats()
    assert output_names(["boxes"], SCHEMA) == ["boxes"]


def test_a_folder_has_a_file_for_each_image(tmp_path):
    written = write_many(["boxes", "csv"], delivered(tmp_path / "spool"), SCHEMA, title="a b", folder=tmp_path / "out")
    assert written["boxes"] == tmp_path / "out" / "a b_boxes"
    files = files_in(written["boxes"])
    assert files.keys() == {"parts.txt", *(f"all/{image.position}.txt" for image in STOCK)}
    assert files["all/2.txt"] == ""
    assert files["all/4.txt"] == "car [6.9999999999, 0.0, 7.0, 7.0]\n"


def test_a_folder_lays_out_the_parts_of_a_split_itself(tmp_path):
    split = Split(40, 30, 30)
    stock = [image._replace(sha256=f"{n * 2500:015x}") for n, image in enumerate(STOCK)]
    spool = Spool(tmp_path / "spool")
    spool.put_page(1, IMAGES)
    names = output_names(["boxes"], SCHEMA, split)
    assert names == ["boxes", "split"]
    written = write_many(names, spool.delivered(stock), SCHEMA, title="t", folder=tmp_path / "out", split=split)
    assert files_in(written["boxes"]).keys() == {
        "parts.txt", "train/1.txt", "train/2.txt", "validation/3.txt", "test/4.txt",
    }  # fmt: skip
    assert (written["boxes"] / "parts.txt").read_text().split() == list(PARTS)


def test_a_folder_that_fails_leaves_the_one_before_and_no_rest(tmp_path, monkeypatch):
    out = tmp_path / "out"
    (path,) = write_many(["boxes"], delivered(tmp_path / "spool"), SCHEMA, title="t", folder=out).values()
    before = files_in(path)
    with monkeypatch.context() as broken:
        broken.setattr(BoxFiles, "finish", lambda self: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            write_many(["boxes", "csv"], delivered(tmp_path / "spool"), SCHEMA, title="t", folder=out)
    assert [entry.name for entry in out.iterdir()] == ["t_boxes"]
    assert files_in(path) == before


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    out = tmp_path / "out"
    (path,) = write_many(["boxes"], delivered(tmp_path / "spool"), SCHEMA, title="t", folder=out).values()
    before = files_in(path)
    (path / "all" / "99.txt").write_text("an image that is not in the campaign any more")
    write_many(["boxes"], delivered(tmp_path / "spool"), SCHEMA, title="t", folder=out)
    assert [entry.name for entry in out.iterdir()] == ["t_boxes"]
    assert files_in(path) == before


def test_the_local_store_keeps_and_verifies_a_folder(tmp_path):
    out, store = tmp_path / "out", LocalStore(tmp_path / "datasets")
    write_many(["boxes", "csv"], delivered(tmp_path / "spool"), SCHEMA, title="t", folder=out)
    version = store.register("t_labels", out, content_hash=content_hash(out), receipt={})
    assert store.verify(version) == []
    names = {entry["name"] for entry in store.receipt(version)["files"]}
    assert names == {"t_labels.csv", "t_boxes/parts.txt", *(f"t_boxes/all/{image.position}.txt" for image in STOCK)}
    damaged = Path(version.location) / "t_boxes" / "all" / "1.txt"
    damaged.chmod(0o600)
    damaged.write_text("")
    assert any("t_boxes/all/1.txt" in problem for problem in store.verify(version))
    assert store.repair(version, out, {}) == ["t_boxes/all/1.txt"]
    assert store.verify(version) == []
    write_many(["boxes", "csv"], delivered(tmp_path / "spool"), SCHEMA, title="t", folder=out)
    assert not store.register("t_labels", out, content_hash=content_hash(out), receipt={}).created
