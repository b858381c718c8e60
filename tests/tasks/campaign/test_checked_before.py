"""A launch that is taken up again does not read files that an interrupted one has checked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from labelwright.campaigns.spec import validate_spec
from labelwright.ingest import FolderSource
from labelwright.settings import forget_settings
from labelwright.tasks.campaign import image_checks
from labelwright.tasks.campaign.image_checks import check_images, register_campaign
from labelwright.tasks.context import the_ledger

COUNT = 7


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path / "home"))
    forget_settings()
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(COUNT):
        Image.new("RGB", (60, 40), (number, 0, 0)).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []
    original = FolderSource.open

    def noting(self: FolderSource, location: str) -> object:
        names.append(Path(location).name)
        return original(self, location)

    monkeypatch.setattr(FolderSource, "open", noting)
    return names


@pytest.mark.parametrize("page", [1, 3, 500])
def test_only_new_and_changed_files_are_read_again(photos, opened, monkeypatch, page):
    monkeypatch.setattr(image_checks, "_PAGE", page)
    document = {"title": "river", "platform": "campaign_api", "labels": ["boat"], "labeler": "a@example.com"}
    register_campaign.fn(validate_spec({**document, "images": {"folder": str(photos)}}, "test"))
    with monkeypatch.context() as patch:
        patch.setattr(type(the_ledger().manifests), "complete", interrupt)
        with pytest.raises(KeyboardInterrupt):
            check_images.fn("river")
    assert sorted(opened) == [f"{number}.png" for number in range(COUNT)]

    opened.clear()
    Image.new("RGB", (61, 40), (200, 0, 0)).save(photos / "3.png")
    Image.new("RGB", (60, 40), (201, 0, 0)).save(photos / "9.png")
    (photos / "5.png").unlink()
    status = (photos / "1.png").stat()
    os.utime(photos / "1.png", ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000))
    assert check_images.fn("river") == COUNT
    assert sorted(opened) == ["1.png", "3.png", "9.png"]
    sizes = the_ledger().manifests.sizes_of("river", ["3.png", "5.png", "9.png"])
    assert {name: size.width for name, size in sizes.items()} == {"3.png": 61, "9.png": 60}


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt
