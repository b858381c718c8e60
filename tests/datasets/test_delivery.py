"""What a delivery takes and what it lists are together the manifest, whatever the labels are like."""

from __future__ import annotations

import csv
import io
import pickle
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelwright.datasets import Delivery, ListedImage, Reason, Spool, StockedImage, ValidationFailed, check_delivery
from labelwright.datasets.delivery import images_drawn_wrong, read_delivery, write_rejected
from labelwright.datasets.validation import NotReady
from labelwright.domain import (
    Annotation,
    Box,
    ExcludedImage,
    Geometry,
    ImageState,
    Label,
    LabeledImage,
    LabelSchema,
    Polygon,
    ShapeNotice,
    Size,
    WholeImage,
)

SCHEMA = LabelSchema((Label("boat", Geometry.BOX), Label("river", Geometry.POLYGON)))
SIZE = Size(40, 30)
GOOD = (Annotation("boat", Box(1, 2, 11, 12)),)
TRIANGLE = Polygon(((1, 1), (9, 1), (5, 8)))

LABELED: dict[str, tuple[Size, tuple[Annotation, ...], Reason | None]] = {
    "labeled": (SIZE, GOOD, None),
    "empty": (SIZE, (), None),
    "outside": (SIZE, (*GOOD, Annotation("boat", Box(30, 2, 41, 12))), Reason.SHAPE_REFUSED),
    "unknown label": (SIZE, (Annotation("ship", Box(1, 2, 11, 12)),), Reason.SHAPE_REFUSED),
    "forbidden geometry": (SIZE, (Annotation("boat", TRIANGLE),), Reason.SHAPE_REFUSED),
    "forbidden tag": (SIZE, (Annotation("boat", WholeImage()),), Reason.SHAPE_REFUSED),
    "other size": (Size(30, 40), GOOD, Reason.WRONG_SIZE),
    "other size and outside": (Size(30, 40), (Annotation("boat", Box(30, 2, 41, 12)),), Reason.WRONG_SIZE),
}
"""Labels of an image, and the reason for which it is listed."""

EXCLUDED = {
    "skipped": (ImageState.SKIPPED, Reason.SKIPPED),
    "rejected": (ImageState.REJECTED, Reason.REJECTED),
    "gone": (ImageState.GONE, Reason.DELETED),
    "draft": (ImageState.DRAFT, Reason.DRAFT),
}
UNLABELED = {
    "not labeled": (ImageState.NOT_LABELED, Reason.NOT_LABELED),
    "failed": (ImageState.FAILED, Reason.FAILED),
    "cancelled": (ImageState.CANCELLED, Reason.FAILED),
    "begun": (ImageState.DRAFT, Reason.DRAFT),
    "sent back": (ImageState.REJECTED, Reason.REJECTED),
    "waits for its review": (ImageState.LABELED, Reason.IN_REVIEW),
}
"""What the platform says of images of which it has no labels."""
KINDS = [
    *LABELED,
    *EXCLUDED,
    *UNLABELED,
    "rejected by a review",
    "drawn wrong",
    "skipped after it was read",
    "read twice",
]


def make_spool(folder: Path, kinds: list[str]) -> tuple[Spool, list[StockedImage], dict[str, Reason | None]]:
    """A spool of two pages with an image of each kind; returns the manifest and the expected reasons too."""
    stock = [StockedImage(number, f"{number}.jpg", SIZE, f"{number:064x}") for number in range(1, len(kinds) + 1)]
    pages: tuple[list[LabeledImage], list[LabeledImage]] = ([], [])
    excluded, notices = [], []
    expected: dict[str, Reason | None] = {}
    for image, kind in zip(stock, kinds, strict=True):
        size, annotations, expected[image.name] = LABELED.get(kind, (SIZE, GOOD, None))
        if kind in EXCLUDED:
            state, expected[image.name] = EXCLUDED[kind]
            excluded.append(ExcludedImage(image.name, state, "the platform says so"))
        elif kind in UNLABELED:
            expected[image.name] = UNLABELED[kind][1]
        elif kind == "rejected by a review":
            labeled = LabeledImage(image.name, size, annotations, state=ImageState.REJECTED)
            pages[image.position % 2].append(labeled)
            expected[image.name] = Reason.REJECTED
        else:
            pages[image.position % 2].append(LabeledImage(image.name, size, annotations))
        if kind == "drawn wrong":
            notices.append(ShapeNotice("crosses itself", image.name, "polygon 7"))
            expected[image.name] = Reason.SHAPE_REFUSED
        elif kind == "skipped after it was read":
            excluded.append(ExcludedImage(image.name, ImageState.SKIPPED, "by ann"))
            expected[image.name] = Reason.SKIPPED
        elif kind == "read twice":
            pages[(image.position + 1) % 2].append(LabeledImage(image.name, size, annotations))
    spool = Spool(folder)
    spool.put_page(1, pages[0], excluded=excluded, left_out=notices)
    spool.put_page(2, pages[1])
    return spool, stock, expected


@settings(max_examples=150)
@given(kinds=st.lists(st.sampled_from(KINDS), max_size=30))
def test_delivered_and_listed_images_are_the_manifest(kinds: list[str]) -> None:
    with TemporaryDirectory() as folder:
        spool, stock, expected = make_spool(Path(folder), kinds)
        images = [(image.name, kind) for image, kind in zip(stock, kinds, strict=True) if kind in UNLABELED]
        unlabeled = {name: (UNLABELED[kind][0], "in job 7") for name, kind in images}
        done = sum(kind not in (*UNLABELED, "draft") for kind in kinds)
        settled = {"skipped", "rejected", "gone"}
        if kinds and settled.issuperset(kinds):
            return  # nothing is left to deliver, which is refused: see test_validation
        delivery = check_delivery(
            spool.delivered(stock),
            SCHEMA,
            accept_partial=True,
            expected_images=len(stock),
            expected_done=done,
            labeling_open=True,
            unlabeled=unlabeled,
            drawn_wrong=images_drawn_wrong(spool.left_out()),
        )
        reasons = {image.name: image.reason for image in delivery.listed}
        assert reasons == {name: reason for name, reason in expected.items() if reason is not None}
        assert [image.name for image in delivery.listed] == [image.name for image in stock if image.name in reasons]
        assert delivery.delivered + len(delivery.listed) == len(stock)
        assert all(image.place == "in job 7" for image in delivery.listed if image.name in unlabeled)
        assert delivery.complete == {
            "labeled",
            "empty",
            *settled,
            "skipped after it was read",
            "read twice",
        }.issuperset(kinds)
        assert delivery.delivered + sum(delivery.by_reason().values()) == len(stock)
        taken = spool.delivered(stock, without=delivery.names)
        batches = list(taken.batches())
        assert not any(batch.missing for batch in batches)
        names = [image.name for batch in batches for image in batch.images]
        assert names == [image.name for image in stock if image.name not in reasons]
        assert not list(taken.unknown())
        labels = {batch.label(index) for batch in batches for index in range(batch.objects)}
        assert labels <= {"boat"}
        assert {name for batch in batches for name in batch.names} <= {"boat"}, "no label of an image that is left out"
        empty = [name for name, kind in zip(expected, kinds, strict=True) if kind == "empty"]
        assert delivery.empty == len(empty)
        delivery.write(Path(folder) / "delivery.json")
        assert read_delivery(Path(folder) / "delivery.json") == delivery


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("labeled", "empty", "skipped", "rejected")])
def test_the_default_asks_for_all_images(tmp_path: Path, kind: str) -> None:
    """Skipped, rejected and deleted images are decided by people; shapes that an adapter dropped are counted only."""
    spool, stock, _ = make_spool(tmp_path, ["labeled", kind])
    if kind in ("gone", "drawn wrong"):
        assert check_delivery(spool.delivered(stock), SCHEMA).images == 2
        return
    with pytest.raises(ValidationFailed) as caught:
        check_delivery(spool.delivered(stock), SCHEMA)
    assert isinstance(caught.value, NotReady) == (kind not in ("skipped after it was read", "read twice"))


def test_a_refusal_keeps_its_counts_in_another_process(tmp_path: Path) -> None:
    """Prefect hands errors of task runs on in pickled form."""
    spool, stock, _ = make_spool(tmp_path, ["labeled", "outside"])
    with pytest.raises(NotReady) as caught:
        check_delivery(spool.delivered(stock), SCHEMA)
    error = NotReady(caught.value.findings, caught.value.delivery, " Go on with: ...")
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.delivery, len(copy.findings)) == (str(error), error.delivery, 1)
    plain = ValidationFailed(error.findings)
    assert str(pickle.loads(pickle.dumps(plain))) == str(plain)


def test_an_image_that_the_campaign_does_not_have_stops_a_partial_delivery(tmp_path: Path) -> None:
    spool, stock, _ = make_spool(tmp_path, ["labeled", "not labeled"])
    spool.put_page(3, [LabeledImage("x.jpg", SIZE)])
    with pytest.raises(ValidationFailed, match="the campaign does not have"):
        check_delivery(spool.delivered(stock), SCHEMA, accept_partial=True, labeling_open=True)


def test_a_manifest_of_another_length_stops_a_partial_delivery(tmp_path: Path) -> None:
    spool, stock, _ = make_spool(tmp_path, ["labeled", "not labeled"])
    with pytest.raises(ValidationFailed, match="2 images were checked, the campaign's manifest has 3"):
        check_delivery(spool.delivered(stock), SCHEMA, accept_partial=True, expected_images=3)


def test_the_sentence_counts_by_reason() -> None:
    listed = [ListedImage(f"{number}", Reason.NOT_LABELED) for number in range(35)]
    listed += [ListedImage(f"s{number}", Reason.SKIPPED) for number in range(3)]
    delivery = Delivery(100, (*listed, ListedImage("x", Reason.SHAPE_REFUSED), ListedImage("y", Reason.SHAPE_REFUSED)))
    sentence = "60 of 100 images are ready; the other 40: 35 not labeled, 3 skipped, 2 shape refused"
    assert delivery.sentence() == sentence
    assert not delivery.complete
    assert Delivery(2, (ListedImage("a", Reason.SKIPPED),)).complete


def test_rejected_csv_is_read_back_with_names_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "rejected.csv"
    listed = [ListedImage("=cmd,.jpeg", Reason.SKIPPED, 'said "no",\nthen left'), ListedImage("b.jpg", Reason.FAILED)]
    write_rejected(path, listed)
    assert path.read_bytes().startswith(b"image,reason,place\r\n")
    rows = list(csv.reader(io.StringIO(path.read_bytes().decode(), newline="")))
    assert rows[1:] == [["=cmd,.jpeg", "skipped", 'said "no",\nthen left'], ["b.jpg", "failed on the platform", ""]]
