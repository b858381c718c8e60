from __future__ import annotations

import csv
import pickle
import time
import tracemalloc
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pytest

from labelwright.domain import Image, Reject, Size
from labelwright.ingest import (
    Checked,
    FilesSource,
    FolderSource,
    InventoryItem,
    Limits,
    SourceFile,
    build_inventory,
    check_files,
)
from labelwright.ingest.checks.duplicates import FirstSeen
from labelwright.ingest.checks.listings import write_manifest, write_rejects
from labelwright.platforms.errors import AccessDenied, PlatformUnavailable
from tests.alone import alone

from .conftest import MakeImage, picture


def test_a_mixed_folder_comes_out_as_a_user_would_expect(make_image: MakeImage, images: Path) -> None:
    make_image("a.jpg", seed=1)
    make_image("b/a.jpg", seed=2)
    make_image("broken.jpg", picture(200, 200)[:-900])
    make_image("copy.jpg", seed=1)
    make_image("empty.jpg", b"")
    make_image("large.jpg", picture(400, 400, seed=9))
    make_image("notes.png", b"these are words, not pixels\n")
    make_image("phone.jpg", seed=3, orientation=6)
    make_image("Река и 🦊.jpg", seed=4)

    results = list(build_inventory(FolderSource(images), Limits(max_bytes=90_000)))

    assert [(result.image.name, result.image.size) for result in results if isinstance(result, InventoryItem)] == [
        ("a.jpg", Size(40, 30)),
        ("b/a.jpg", Size(40, 30)),
        ("phone.jpg", Size(30, 40)),
        ("Река и 🦊.jpg", Size(40, 30)),
    ]
    reasons = {result.name: result.reason for result in results if isinstance(result, Reject)}
    assert set(reasons) == {"broken.jpg", "copy.jpg", "empty.jpg", "large.jpg", "notes.png"}
    assert "truncated" in reasons["broken.jpg"]
    assert "same file as 'a.jpg'" in reasons["copy.jpg"]
    assert "empty" in reasons["empty.jpg"]
    assert "are allowed" in reasons["large.jpg"]
    assert "text file" in reasons["notes.png"]


def test_the_order_is_the_sources_whatever_finishes_first(make_image: MakeImage, images: Path) -> None:
    for number in range(60):
        make_image(f"{number:03}.png", kind="PNG", width=300 if number % 7 == 0 else 10, height=300)
    single = list(build_inventory(FolderSource(images), threads=1))
    many = list(build_inventory(FolderSource(images), threads=16))
    assert single == many
    assert [item.image.name for item in many if isinstance(item, InventoryItem)] == [f"{n:03}.png" for n in range(60)]


class Others:
    """Other machines, in this process: what they are handed goes there and comes back as bytes."""

    def __init__(self, source: FolderSource, limits: Limits, batch: int) -> None:
        self.batch, self.ahead = batch, 2
        self.handed: list[int] = []
        self._source, self._limits = source, limits

    def check(self, files: list[SourceFile]) -> Callable[[], list[Checked]]:
        self.handed.append(len(files))
        existing = pickle.loads(pickle.dumps(files))
        return lambda: pickle.loads(pickle.dumps(check_files(self._source, existing, self._limits)))


@pytest.mark.parametrize("batch", [3, 7, 60, 1000])
@pytest.mark.parametrize("already_checked", ["none", "some", "nearly all"])
def test_whoever_checks_the_stock_is_the_same(
    make_image: MakeImage, images: Path, batch: int, already_checked: str
) -> None:
    for number in range(50):
        make_image(f"{number:03}.png", kind="PNG", seed=number // 2 if number < 10 else number)
    for number in range(50, 60):
        make_image(f"{number:03}.png", b"words" if number % 2 else b"")
    (images / "gone.png").symlink_to(images / "nowhere.png")
    source, limits = FolderSource(images), Limits()
    expected = list(build_inventory(source, limits))
    images_by_name = {item.image.name: item.image for item in expected if isinstance(item, InventoryItem)}
    remembered = {
        "none": {},
        "some": dict(list(images_by_name.items())[::3]),
        "nearly all": dict(list(images_by_name.items())[1:]),
    }[already_checked]
    others = Others(source, limits, batch)

    assert (
        list(build_inventory(source, limits, known=lambda result: remembered.get(result.name), elsewhere=others))
        == expected
    )

    left = len(list(source.find())) - len(remembered)
    assert sum(others.handed) <= left
    assert max(others.handed, default=0) <= batch
    if batch > 60:
        assert others.handed == [], "less than a batch stays here"
    if (batch, already_checked) == (3, "none"):
        assert others.handed == [3] * (60 // 3)


def test_what_may_be_readable_later_is_told_by_others_too(make_image: MakeImage, images: Path) -> None:
    for number in range(6):
        make_image(f"{number}.png", kind="PNG", seed=number)

    class Failing(FolderSource):
        def open(self, location: str) -> BinaryIO:
            if location.endswith("4.png"):
                raise PlatformUnavailable("web", "give an image", status=503, message="busy")
            return super().open(location)

    source = Failing(images)
    calls: list[InventoryItem | Reject] = []
    with pytest.raises(PlatformUnavailable, match="1 files could not be fetched, the first: busy"):
        calls.extend(build_inventory(source, elsewhere=Others(source, Limits(), 2)))
    assert len(calls) == 5


def test_composed_and_decomposed_names_are_one_name(make_image: MakeImage, images: Path) -> None:
    make_image("\u00e9.jpg")
    make_image("e\u0301.jpg")
    first, second = build_inventory(FolderSource(images))
    assert isinstance(first, InventoryItem)
    assert isinstance(second, Reject)
    assert "two files have this name" in second.reason
    assert "e\\u0301.jpg' is taken" in second.reason
    assert "\\u00e9.jpg' is left out" in second.reason


def test_names_that_differ_in_case_are_two_names(make_image: MakeImage, images: Path) -> None:
    make_image("a.jpg")
    make_image("A.jpg")
    assert all(isinstance(image, InventoryItem) for image in build_inventory(FolderSource(images)))


def test_a_broken_file_does_not_keep_its_name_from_a_good_one(make_image: MakeImage) -> None:
    results = list(build_inventory(FilesSource([make_image("x/a.jpg", b""), make_image("b.jpg")])))
    assert [type(result) for result in results] == [Reject, InventoryItem]


def test_what_is_known_is_not_opened_again(make_image: MakeImage, images: Path) -> None:
    make_image("a.jpg")
    make_image("b.jpg")
    (a, b) = build_inventory(FolderSource(images))
    assert isinstance(a, InventoryItem)

    class Watched(FolderSource):
        opened: list[str] = []  # noqa: RUF012

        def open(self, location: str) -> BinaryIO:
            self.opened.append(Path(location).name)
            return super().open(location)

    again = list(build_inventory(Watched(images), known=lambda result: a.image if result.name == "a.jpg" else None))
    assert again == [a, b]
    assert Watched.opened == ["b.jpg"]


def test_an_unreadable_file_is_a_reject_and_the_rest_goes_on(make_image: MakeImage, images: Path) -> None:
    make_image("a.jpg")
    make_image("b.jpg")

    class Refusing(FolderSource):
        def open(self, location: str) -> BinaryIO:
            if location.endswith("a.jpg"):
                raise PermissionError(13, "Permission denied")
            return super().open(location)

    first, second = build_inventory(Refusing(images))
    assert isinstance(first, Reject)
    assert "permission denied" in first.reason
    assert isinstance(second, InventoryItem)


class Remote:
    """Three files, one of which fails in a given way."""

    def __init__(self, failure: Exception) -> None:
        self.failure = failure

    def find(self) -> Iterator[SourceFile]:
        yield from (SourceFile(name, name) for name in ("a.jpg", "b.jpg", "c.jpg"))

    def open(self, location: str) -> BinaryIO:
        if location == "b.jpg":
            raise self.failure
        return BytesIO(picture(seed=ord(location[0])))


def test_a_server_that_may_answer_later_is_told_after_the_rest() -> None:
    failure = PlatformUnavailable("image source", "send an image", status=503, message="b", retry_after=7)
    with pytest.raises(PlatformUnavailable, match="1 files could not be fetched") as caught:
        list(build_inventory(Remote(failure)))
    assert caught.value.retry_after == 7


def test_unavailable_file_fails_at_the_end_or_is_rejected() -> None:
    failure = PlatformUnavailable("image source", "send an image", status=503, message="b")
    came: list[InventoryItem | Reject] = []
    with pytest.raises(PlatformUnavailable):
        came.extend(build_inventory(Remote(failure)))
    assert [item.image.name for item in came if isinstance(item, InventoryItem)] == ["a.jpg", "c.jpg"]
    last = list(build_inventory(Remote(failure), give_up=True))
    assert [type(item) for item in last] == [InventoryItem, Reject, InventoryItem]


def test_a_refused_credential_stops_at_once() -> None:
    with pytest.raises(AccessDenied):
        list(build_inventory(Remote(AccessDenied("image container", "send an image", status=403))))


def test_stopping_early_leaves_no_threads(make_image: MakeImage, images: Path) -> None:
    for number in range(30):
        make_image(f"{number}.jpg")
    import threading

    stock = build_inventory(FolderSource(images), threads=3)
    next(stock)
    stock.close()  # type: ignore[attr-defined]
    deadline = time.monotonic() + 240
    while any(thread.name.startswith("check") for thread in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("check")]


class Many:
    def __init__(self, count: int) -> None:
        self.count = count

    def find(self) -> Iterator[SourceFile]:
        yield from (SourceFile(f"{'long-name-' * 10}{number:06}.bmp", str(number)) for number in range(self.count))

    def open(self, location: str) -> BinaryIO:
        return BytesIO(picture(4, 4, kind="BMP", seed=int(location)))


def peak_of_taking_stock(count: int) -> int:
    def peak(count: int) -> int:
        tracemalloc.start()
        try:
            assert sum(isinstance(item, InventoryItem) for item in build_inventory(Many(count), threads=4)) == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(50)  # imports and caches
    return peak(count)


def test_memory_does_not_grow_with_the_number_of_images() -> None:
    few, many = (alone(peak_of_taking_stock, count) for count in (200, 2000))
    assert many < few + 300_000, (few, many)


def test_rejects_are_written_so_that_no_spreadsheet_runs_them(tmp_path: Path) -> None:
    path = tmp_path / "out" / "rejects.csv"
    rejects = [Reject("=cmd()|' /C calc'!A0.jpg", "the file is empty"), Reject("река,1.jpg", "is a text file")]
    assert write_rejects(path, iter(rejects)) == 2
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    with path.open(encoding="utf-8-sig", newline="") as file:
        assert list(csv.reader(file)) == [
            ["name", "reason"],
            ["'=cmd()|' /C calc'!A0.jpg", "the file is empty"],
            ["река,1.jpg", "is a text file"],
        ]
    assert [entry.name for entry in path.parent.iterdir()] == ["rejects.csv"]


def test_a_manifest_lists_what_was_taken(tmp_path: Path) -> None:
    image = Image("a.jpg", Size(3, 2), 5, "s" * 64, "m" * 32, "PNG")
    assert write_manifest(tmp_path / "manifest.csv", [InventoryItem(image, "/there/a.jpg")]) == 1
    assert (tmp_path / "manifest.csv").read_text("utf-8-sig").splitlines() == [
        "name,location,bytes,width,height,format,sha256,md5",
        f"a.jpg,/there/a.jpg,5,3,2,PNG,{'s' * 64},{'m' * 32}",
    ]


def test_numbered_name_that_exists_is_skipped() -> None:
    with FirstSeen() as observed:
        arguments = ["a.jpg", "a-2.jpg", "a.jpg", "a.jpg", "b", "b", ".x", ".x"]
        came = [observed.unique(name) for name in arguments]
        assert came == ["a.jpg", "a-2.jpg", "a-3.jpg", "a-4.jpg", "b", "b-2", ".x", ".x-2"]
