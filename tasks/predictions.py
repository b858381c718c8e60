"""Predictions into a campaign, for labelers to correct."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prefect import task

from labelwright.domain import Annotation, Box, LabeledImage, Polygon
from labelwright.ledger import ManifestEntry, stretches
from labelwright.platforms.batches import for_each
from labelwright.platforms.protocol import TakesPredictions

from .reporting import log
from .retrying import RETRIED
from .workbench import Workbench

IMAGES_A_CALL = 200


class PredictionsUnusable(ValueError):
    """A file of predictions that cannot be read: says what and where."""


@task(task_run_name="put predictions into {title}", **RETRIED)
def put_predictions(title: str, coco: str) -> int:
    """Put the objects of a COCO file (`file_name` is our name of an image, `score` how sure the model is) onto the
    campaign's images, in place of earlier predictions. Answers how many images bear some.

    Raises PredictionsUnusable, PlatformRefused when the platform takes none or people have begun.
    """
    bench = Workbench(title)
    platform = bench.platform_that(TakesPredictions)
    predicted = _by_name(coco)

    def put(entries: list[ManifestEntry]) -> int:
        images = [
            LabeledImage(entry.image.name, entry.image.size, tuple(predicted[entry.image.name]), entry.remote_id or "")
            for entry in entries
            if entry.image.name in predicted
        ]
        if images:
            platform.put_predictions(bench.remote_id, images)
        return len(images)

    total = sum(for_each(put, stretches(bench.ledger.manifests.entries(title), IMAGES_A_CALL), 1))
    log().info("%d images of %s bear predictions", total, title)
    return total


def _by_name(coco: str) -> dict[str, list[Annotation]]:
    try:
        told = json.loads(Path(coco).read_text(encoding="utf-8"))
        names = {one["id"]: one["file_name"] for one in told["images"]}
        labels = {one["id"]: one["name"] for one in told["categories"]}
        found: dict[str, list[Annotation]] = defaultdict(list)
        for one in told["annotations"]:
            score = float(one.get("score", 1))
            found[names[one["image_id"]]] += [Annotation(labels[one["category_id"]], s, score) for s in _shapes(one)]
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise PredictionsUnusable(f"{coco} is no COCO file that can be used: {type(fault).__name__}: {fault}") from None
    return found


def _shapes(one: dict[str, Any]) -> Iterator[Box | Polygon]:
    """Polygons where there are any, else the box."""
    rings = one.get("segmentation")
    if isinstance(rings, list) and rings:
        for ring in rings:
            yield Polygon(tuple(zip(ring[::2], ring[1::2], strict=True)))
    else:
        yield Box.from_xywh(*one["bbox"])
