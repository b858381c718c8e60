"""Labels between the platform and the files: nothing changes, nothing is half there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from dataset_samples import IMAGES, STOCK, delivered
from hypothesis import given, settings
from hypothesis import strategies as st

from labelwright.datasets import Spool, SpoolDamaged, StockedImage
from labelwright.domain import (
    Annotation,
    Box,
    ExcludedImage,
    ImageState,
    LabeledImage,
    Mask,
    Polygon,
    ShapeNotice,
    Size,
    WholeImage,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
NUMBER = st.floats(-1e9, 1e9) | st.integers(-1000, 1000)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    xs = sorted(draw(st.lists(NUMBER, min_size=2, max_size=2, unique=True)))
    ys = sorted(draw(st.lists(NUMBER, min_size=2, max_size=2, unique=True)))
    return Box(xs[0], ys[0], xs[1], ys[1])


@st.composite
def triangles(draw: st.DrawFn) -> Polygon:
    x, y = draw(st.floats(0, 1e4)), draw(st.floats(0, 1e4))
    width, height = draw(st.floats(0.1, 1e3)), draw(st.floats(0.1, 1e3))
    return Polygon(((x, y), (x + width, y), (x, y + height)))


ANNOTATION = st.builds(
    Annotation,
    label=TEXT,
    shape=boxes() | triangles() | st.just(Mask(((1, 0, 2), (1, 4, 9), (3, 1, 2)))) | st.just(WholeImage()),
    confidence=st.floats(0, 1),
    attributes=st.dictionaries(TEXT, TEXT, max_size=2),
)
IMAGE = st.builds(
    LabeledImage,
    name=TEXT,
    size=st.none() | st.builds(Size, st.integers(1, 10**6), st.integers(1, 10**6)),
    annotations=st.lists(ANNOTATION, max_size=6).map(tuple),
    remote_id=TEXT,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(IMAGE, max_size=6))
def test_every_label_comes_out_of_the_spool_as_it_went_in(tmp_path_factory: pytest.TempPathFactory, images) -> None:
    spool = Spool(tmp_path_factory.mktemp("spool"))
    spool.put_page(1, images)
    assert list(spool.images()) == images


def test_images_come_in_the_order_of_the_manifest(tmp_path: Path) -> None:
    labels = delivered(tmp_path)
    for _ in range(2):  # it can be read again
        batches = list(labels.batches())
        assert [image.name for batch in batches for image in batch.images] == [image.name for image in STOCK]
        assert [size for batch in batches for size in batch.sizes] == [(i.size.width, i.size.height) for i in IMAGES]
        (batch,) = batches
        assert batch.counts == [2, 0, 3, 1]
        assert [batch.label(n) for n in range(batch.objects)] == [
            "car", "vehicle", "river, \"wide\"", "=SUM(A1)", "vehicle", "car",
        ]  # fmt: skip
        assert batch.corners[0].tolist() == [0.1 + 0.2, 1, 640, 480]


def test_many_pages_make_many_batches_and_lose_no_object(tmp_path: Path) -> None:
    spool, stock = Spool(tmp_path), []
    names = [f"{n}.png" for n in range(3000)]
    for page in range(100):
        of_page = names[page::100]  # neighbours in the manifest lie on different pages
        spool.put_page(
            page,
            [
                LabeledImage(name, Size(9000, 9), (Annotation(f"l{page}", Box(int(name[:-4]), 0, 9000, 9)),))
                for name in of_page
            ],
        )
    stock = [StockedImage(n, name, Size(9000, 9), "") for n, name in enumerate(names, 1)]
    batches = list(spool.delivered(stock).batches())
    assert len(batches) > 1
    assert [x for batch in batches for x in batch.corners[:, 0].tolist()] == list(range(3000))
    labels_read = [batch.label(n) for batch in batches for n in range(batch.objects)]
    assert labels_read == [f"l{n % 100}" for n in range(3000)]


def test_a_page_put_again_replaces_the_old_one(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.put_page(1, IMAGES[:2])
    before = (tmp_path / "page-000001.labels").read_bytes()
    spool.put_page(1, IMAGES[:2])
    assert (tmp_path / "page-000001.labels").read_bytes() == before
    spool.put_page(1, IMAGES[2:])
    assert spool.pages() == (1,)
    assert list(spool.images()) == IMAGES[2:]


def test_pages_that_the_platform_no_longer_has_are_dropped(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for number in (1, 2, 3):
        spool.put_page(number, [IMAGES[number]])
    (tmp_path / ".7-dead.part").write_bytes(b"left by a killed writer")
    spool.keep_only([1, 2])
    assert spool.pages() == (1, 2)
    assert len(list(tmp_path.iterdir())) == 2


def test_missing_unknown_and_repeated_images_are_told_apart(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.put_page(1, [IMAGES[0], LabeledImage("stranger.png", Size(1, 1))])
    spool.put_page(2, [IMAGES[0], IMAGES[1]])
    labels = spool.delivered(STOCK)
    assert [image.name for batch in labels.batches() for image in batch.missing] == [STOCK[2].name, STOCK[3].name]
    assert list(labels.unknown()) == ["stranger.png"]
    assert list(labels.repeated()) == [STOCK[0].name]


def test_an_empty_spool_and_an_empty_page_are_read_as_nothing(tmp_path: Path) -> None:
    assert Spool(tmp_path / "none").pages() == ()
    spool = Spool(tmp_path)
    spool.put_page(1, [])
    assert spool.pages() == (1,)
    assert list(spool.delivered([]).batches()) == []


def test_a_generator_is_refused_as_stock(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="more than once"):
        Spool(tmp_path).delivered(image for image in STOCK)


@pytest.mark.parametrize("cut", [1, 30, 200])
def test_a_damaged_page_is_named(tmp_path: Path, cut: int) -> None:
    spool = Spool(tmp_path)
    spool.put_page(4, IMAGES)
    page = tmp_path / "page-000004.labels"
    page.write_bytes(page.read_bytes()[:-cut])
    with pytest.raises(SpoolDamaged, match=r"page-000004\.labels"):
        spool.delivered(STOCK)


def test_a_failed_rename_leaves_the_old_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path)
    spool.put_page(1, IMAGES[:1])

    def refuse(self: Path, target: Path) -> Path:
        raise OSError("disk gone")

    with monkeypatch.context() as broken:
        broken.setattr(Path, "replace", refuse)
        with pytest.raises(OSError, match="disk gone"):
            spool.put_page(1, IMAGES[1:])
    assert list(spool.images()) == IMAGES[:1]
    assert len(list(tmp_path.iterdir())) == 1


def test_a_killed_writer_leaves_the_old_page(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.put_page(1, IMAGES[:1])
    program = (
        "import os, sys\nfrom pathlib import Path\n"
        "from labelwright.datasets import Spool\nfrom labelwright.domain import LabeledImage, Size\n"
        "Path.replace = lambda self, target: os._exit(9)\n"
        "Spool(Path(sys.argv[1])).put_page(1, [LabeledImage('other.png', Size(1, 1))])\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path)], env=dict(os.environ))
    assert ended.returncode == 9
    assert len(list(tmp_path.iterdir())) == 2  # the unfinished file is there, and is not taken for a page
    assert spool.pages() == (1,)
    assert list(spool.images()) == IMAGES[:1]


def test_notices_are_kept_in_their_page_and_dropped_with_it(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    notice = ShapeNotice("polyline", "a.jpg", "shape 3 of task 1, frame 0 (a.jpg): polyline")
    skipped = ExcludedImage("b.jpg", ImageState.SKIPPED, "skipped by ann", "17")
    spool.put_page(1, [], left_out=[notice], excluded=[skipped])
    spool.put_page(2, [], left_out=[ShapeNotice("cut", "c.jpg", "was cut", dropped=False)])
    assert [notice.reason for notice in spool.left_out()] == ["polyline", "cut"]
    assert list(spool.excluded()) == [skipped]
    spool.keep_only([1])
    assert list(spool.left_out()) == [notice]
