from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

from labelwright.domain import Image, Size
from labelwright.ingest import Differences, StoredFile, compare
from tests.alone import alone


def image(name: str, size: int = 5, md5: str = "a" * 32) -> Image:
    return Image(name, Size(1, 1), size, "f" * 64, md5, "JPEG")


def test_a_store_that_holds_the_manifest_differs_in_nothing() -> None:
    names = ["a", "B", "é", "\uff21", "🦊"]
    stored = [StoredFile(name, 5, "a" * 32) for name in reversed(names)]
    differences = compare(map(image, names), stored)
    assert differences == Differences()
    assert not differences


def test_differences_do_not_depend_on_the_order_of_the_sides() -> None:
    manifest = [image("z"), image("missing"), image("short"), image("other"), image("unsure"), image("🦊 missing")]
    stored = [
        StoredFile("surplus", 1, None),
        StoredFile("unsure", 5, None),
        StoredFile("other", 5, "b" * 32),
        StoredFile("short", 4, "a" * 32),
        StoredFile("z", 5, "a" * 32),
    ]
    differences = compare(manifest, stored)
    assert differences.missing == ("missing", "🦊 missing")
    assert [name for name, _ in differences.wrong] == ["other", "short", "unsure"]
    reasons = dict(differences.wrong)
    assert "another file of the same size" in reasons["other"]
    assert "4 bytes" in reasons["short"]
    assert "no checksum" in reasons["unsure"]
    assert differences.surplus == ("surplus",)
    assert differences


def peak_of_comparing(count: int) -> int:
    def images(count: int) -> Iterator[Image]:
        return (image(f"{number:07}.jpg") for number in range(count))

    def peak(count: int) -> int:
        tracemalloc.start()
        try:
            assert not compare(
                images(count), (StoredFile(image.name, image.bytes, image.md5) for image in images(count))
            )
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(10)  # imports and caches
    return peak(count)


def test_comparing_takes_no_more_memory_for_more_files() -> None:
    few, many = (alone(peak_of_comparing, count) for count in (200, 20_000))
    assert many < few + 100_000, (few, many)
