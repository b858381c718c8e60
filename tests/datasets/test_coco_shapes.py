"""COCO segmentations far outside their image, and run lengths of another size."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from labelwright.datasets.readers.coco import run_lengths, segmented
from labelwright.domain import InvalidShape, Mask, Size

SIZE = Size(100, 60)
NEAR = [0, 0, 10, 0, 10, 10, 0, 10]


@pytest.mark.parametrize("far", [1e8, 1e9, 1e12])
def test_a_ring_far_outside_its_image_is_cut(far):
    code = (
        "from labelwright.datasets.readers.coco import segmented; from labelwright.domain import Size; "
        f"shape, cut = segmented([{NEAR}, [20, 20, {far}, 20, {far}, 30, 20, 30]], Size(100, 60)); "
        "print(shape.area, cut)"
    )
    # In a process of its own: pycocotools crashes it when it is given such a ring.
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["900", "True"]), done.stderr


@pytest.mark.parametrize(
    "rings",
    [
        [NEAR, [1e16, 20, 1e16, 30, 20, 30]],
        [[1e12, 20, 1e12, 30, 1e12 - 5, 30], [1e12, 0, 1e12, 9, 1e12 - 5, 9]],
        [NEAR, [0, 0, 90, 60] * 60_000],
    ],
)
def test_rings_that_cannot_be_drawn_are_refused(rings):
    with pytest.raises(InvalidShape):
        segmented(rings, SIZE)


def test_compressed_run_lengths_are_those_of_pycocotools():
    bits = np.random.default_rng(5).random((SIZE.height, SIZE.width)) < 0.3
    bits[:, 40:] = False
    encoded = coco_mask.encode(np.asfortranarray(bits, dtype=np.uint8))
    run_length_object = json.loads(json.dumps({"size": encoded["size"], "counts": encoded["counts"].decode()}))
    assert (run_lengths(run_length_object, SIZE) == bits).all()
    shape, cut = segmented(run_length_object, SIZE)
    assert isinstance(shape, Mask)
    assert (shape.area, cut) == (bits.sum(), False)


@pytest.mark.parametrize("counts", ["zzz", "1", "", "P", [5, 5], None, [7000]])
def test_run_lengths_that_do_not_make_up_the_image_are_refused(counts):
    with pytest.raises(InvalidShape, match="run lengths"):
        run_lengths({"size": [60, 100], "counts": counts}, SIZE)
