"""Boxes kept as numbers are the annotations that they stand for."""

from __future__ import annotations

from pathlib import Path

from labelwright.datasets import Spool
from labelwright.domain import UNKNOWN, Annotation, Box, Boxes, LabeledImage, Origin, Provenance, Size

BY_ANN = Provenance("ann@example.com", origin=Origin.PERSON)
BOXES = Boxes(["boat", "buoy"], [1.0, 1, 2, 30, 40, 0.5, 0.25, 0, 9, 9.75], BY_ANN)
ANNOTATIONS = (
    Annotation("boat", Box(1, 2, 30, 40), 1.0, {}, BY_ANN),
    Annotation("buoy", Box(0.25, 0, 9, 9.75), 0.5, {}, BY_ANN),
)


def test_boxes_equal_a_tuple_of_their_annotations() -> None:
    assert BOXES == ANNOTATIONS
    assert ANNOTATIONS == BOXES
    assert [annotation.provenance for annotation in BOXES] == [BY_ANN, BY_ANN]
    assert (BOXES[1], BOXES[-2:], len(BOXES)) == (ANNOTATIONS[1], ANNOTATIONS, 2)
    assert LabeledImage("a.png", Size(50, 50), BOXES) == LabeledImage("a.png", Size(50, 50), ANNOTATIONS)
    assert ANNOTATIONS[:1] != BOXES
    assert [*ANNOTATIONS] != BOXES


def test_a_page_of_the_spool_is_the_same_for_boxes_and_their_annotations(tmp_path: Path) -> None:
    unknown = Boxes(["boat"], [1, 1, 1, 2, 2])
    assert unknown.provenance is UNKNOWN
    pages = []
    for kind in (lambda boxes: boxes, tuple):
        images = [
            LabeledImage(name, Size(50, 50), kind(boxes))
            for name, boxes in (("a", BOXES), ("b", unknown), ("c", Boxes([], [])), ("d", BOXES), ("e", BOXES))
        ]
        spool = Spool(tmp_path / str(len(pages)))
        spool.put_page(1, images)
        assert list(spool.images()) == images
        read = [[annotation.provenance for annotation in image.annotations] for image in spool.images()]
        assert read == [[BY_ANN, BY_ANN], [UNKNOWN], [], [BY_ANN, BY_ANN], [BY_ANN, BY_ANN]]
        (path,) = spool.folder.iterdir()
        pages.append(path.read_bytes())
    assert pages[0] == pages[1]
