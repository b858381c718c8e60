"""Groups of near-duplicates: the demo photographs and their copies from every source, and the grouping by itself."""

from __future__ import annotations

import csv
import random
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import ThreadingHTTPServer
from itertools import combinations
from pathlib import Path

import pytest
from azure.storage.blob import ContainerClient
from hypothesis import given
from hypothesis import strategies as st

from labelwright.domain import Image, Reject, Size
from labelwright.ingest import (
    ContainerSource,
    FilesSource,
    FolderSource,
    InventoryItem,
    Limits,
    ManifestSource,
    NearDuplicateSearch,
    Source,
    UrlSource,
    build_inventory,
)
from labelwright.ingest.checks.near_duplicates import MOST_BITS, in_words
from tests.imaging.changed_copies import CHANGES, PHOTOGRAPHS, upright

from .stores import Service
from .test_inventory import Others
from .test_urls import Site

WITH_HASH = Limits(perceptual_hash=True)


def write_copies(folder: Path, seed: int) -> dict[str, set[str]]:
    """Writes each photograph, and three changed copies, under random names. Returns names by photograph."""
    chance, families = random.Random(seed), dict[str, set[str]]()
    for photograph, data in PHOTOGRAPHS.items():
        image = upright(data)
        files = [data, *(change(image) for change in CHANGES.values())]
        families[photograph] = set()
        for content in files:
            name = f"{chance.randrange(10**6):06}.jpg"
            (folder / name).write_bytes(content)
            families[photograph].add(name)
    return families


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, set[str]]]:
    folder = tmp_path_factory.mktemp("copies")
    return folder, write_copies(folder, 1)


def search(
    source: Source, *, skip: bool = False, elsewhere: Others | None = None
) -> tuple[list[object], list[set[str]]]:
    near = NearDuplicateSearch(skip=skip)
    items = list(near.check(build_inventory(source, WITH_HASH, elsewhere=elsewhere)))
    return items, [{group.first.name, *(image.name for image in group.others)} for group in near.groups()]


@pytest.mark.parametrize("seed", range(3))
def test_27_changed_copies_of_nine_photographs_are_nine_groups(tmp_path: Path, seed: int) -> None:
    families = write_copies(tmp_path, seed)
    items, groups = search(FolderSource(str(tmp_path)))
    assert len(items) == 36
    assert all(isinstance(item, InventoryItem) for item in items), "nothing is left out"
    assert len(groups) == 9
    assert sorted(map(sorted, groups)) == sorted(map(sorted, families.values()))


def test_the_first_of_each_group_is_kept_on_request(copies: tuple[Path, dict[str, set[str]]]) -> None:
    folder, families = copies
    items, groups = search(FolderSource(str(folder)), skip=True)
    kept = {item.image.name for item in items if isinstance(item, InventoryItem)}
    assert kept == {min(names) for names in families.values()}
    rejects = {item.name: item.reason for item in items if isinstance(item, Reject)}
    assert len(rejects) == 27
    for names in families.values():
        for name in names - kept:
            assert rejects[name].startswith(f"is a near-duplicate of '{min(names)}', which is taken: ")
    assert search(FolderSource(str(folder)), skip=True) == (items, groups), "a second run gives the same answer"


def test_exact_copies_are_told_apart(copies: tuple[Path, dict[str, set[str]]], tmp_path: Path) -> None:
    folder, families = copies
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
        (tmp_path / f"copy-of-{path.name}").write_bytes(path.read_bytes())
    for skip in (False, True):
        items, groups = search(FolderSource(str(tmp_path)), skip=skip)
        exact = [item for item in items if isinstance(item, Reject) and item.name.startswith("copy-of-")]
        assert {item.reason.partition(" '")[0] for item in exact} == {"is exactly the same file as"}
        assert len(exact) == 36
        assert sorted(map(sorted, groups)) == sorted(map(sorted, families.values()))


@pytest.fixture
def site(copies: tuple[Path, dict[str, set[str]]]) -> Iterator[str]:
    folder, _ = copies

    class Copies(Site):
        def do_GET(self) -> None:
            self._answer(200, (folder / self.path[1:]).read_bytes())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Copies)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_every_source_takes_part(copies: tuple[Path, dict[str, set[str]]], site: str, tmp_path: Path) -> None:
    folder, families = copies
    names, urls = [path.name for path in sorted(folder.iterdir())], tmp_path / "urls.csv"
    with urls.open("w", newline="") as file:
        csv.writer(file).writerows([("url", "name"), *((f"{site}/{name}", name) for name in names)])
    with (folder.parent / "paths.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "name"), *((folder / name, name) for name in names)])
    sources: list[Source] = [
        FilesSource([str(folder / name) for name in names]),
        ManifestSource(str(folder.parent / "paths.csv")),
        ManifestSource(str(urls), allow_private=True),
        UrlSource([f"{site}/{name}" for name in names], allow_private=True),
    ]
    with ExitStack() as stack:
        store = Service(tmp_path / "service")
        stack.callback(store.stop)
        url = store.new_container()
        with ContainerClient.from_container_url(url) as client:
            for name in names:
                client.upload_blob(name, (folder / name).read_bytes())
        sources.append(ContainerSource(url))
        check_sources(sources, sorted(map(sorted, families.values())))
    folder_source = FolderSource(str(folder))
    _, groups = search(folder_source, elsewhere=Others(folder_source, WITH_HASH, 7))
    assert sorted(map(sorted, groups)) == sorted(map(sorted, families.values())), "images checked by other machines"


def check_sources(sources: list[Source], expected: list[list[str]]) -> None:
    for source in sources:
        _, groups = search(source)
        assert sorted(sorted(name.rpartition("/")[2] for name in group) for group in groups) == expected


def item(number: int, perceptual_hash: int | None) -> InventoryItem:
    name = f"{number:06}.jpg"
    image = Image(name, Size(9, 9), 1, f"{number:064x}", "0" * 32, "JPEG", perceptual_hash=perceptual_hash)
    return InventoryItem(image, name)


def grouped(hashes: list[int | None]) -> list[list[int]]:
    near = NearDuplicateSearch()
    assert len(list(near.check(item(number, value) for number, value in enumerate(hashes)))) == len(hashes)
    return [[int(image.name[:6]) for image in (group.first, *group.others)] for group in near.groups()]


def by_all_pairs(hashes: list[int | None]) -> list[list[int]]:
    """Each image joins the nearest of the first ones before it, as the definition says, without any array."""
    groups = dict[int, list[int]]()
    for number, value in enumerate(hashes):
        if value is None:
            continue
        distances = {first: ((hashes[first] or 0) ^ value).bit_count() for first in groups}
        nearest = min(distances, key=lambda first: (distances[first], first), default=None)
        if nearest is not None and distances[nearest] <= MOST_BITS:
            groups[nearest].append(number)
        else:
            groups[number] = [number]
    return [group for group in groups.values() if len(group) > 1]


@st.composite
def hashes_near_each_other(draw: st.DrawFn) -> list[int | None]:
    centers = draw(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=4))
    flips = st.sets(st.integers(0, 63), max_size=14)
    hashes: list[int | None] = []
    for center, flipped in draw(st.lists(st.tuples(st.sampled_from([None, *centers]), flips), max_size=40)):
        hashes.append(None if center is None else center ^ sum(1 << bit for bit in flipped))
    return hashes


@given(hashes_near_each_other())
def test_groups_are_those_that_all_pairs_give(hashes: list[int | None]) -> None:
    groups = grouped(hashes)
    assert groups == by_all_pairs(hashes)
    firsts = {group[0] for group in groups}
    others = {number for group in groups for number in group[1:]}
    kept = [value for number, value in enumerate(hashes) if value is not None and number not in others]
    assert all((one ^ other).bit_count() > MOST_BITS for one, other in combinations(kept, 2))
    assert not firsts & others


def test_the_distance_of_ten_bits_is_the_last_that_is_near() -> None:
    assert grouped([0, 2**10 - 1]) == [[0, 1]]
    assert grouped([0, 2**11 - 1]) == []


def test_a_slow_change_does_not_end_in_one_group() -> None:
    """Frames of a moving camera, each two bits from the one before: none is grouped with one it does not look like."""
    frames = [2**bits - 1 for bits in range(0, 65, 2)]
    groups = grouped([*frames])
    assert [len(group) for group in groups] == [6, 6, 6, 6, 6, 3]


def test_pictures_without_a_hash_are_in_no_group() -> None:
    assert grouped([None] * 5) == []


def test_more_images_than_there_is_room_for_at_first() -> None:
    hashes = [random.Random(number).getrandbits(64) for number in range(1500)]
    assert grouped([*hashes, *hashes]) == [[number, number + 1500] for number in range(1500)]


def test_the_count_of_groups_in_words() -> None:
    near = NearDuplicateSearch()
    list(near.check(item(number, 0) for number in range(2)))
    assert in_words(near.groups()) == "1 group of near-duplicates: 1 image besides the first of each"
