"""Predictions into a campaign, for labelers to correct."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from prefect import task

from labelwright.datasets.readers.coco import CocoFile, CocoRefused, CocoShape
from labelwright.domain import (
    Annotation,
    Geometry,
    InvalidShape,
    LabeledImage,
    LabelSchema,
    Shape,
    Size,
    WholeImage,
)
from labelwright.ledger import ManifestEntry, stretches
from labelwright.platforms.batches import for_each
from labelwright.platforms.protocol import TakesPredictions
from labelwright.tasks.context import CampaignContext
from labelwright.tasks.reporting import log, publish_table
from labelwright.tasks.retries import RETRY_POLICY

IMAGES_A_CALL = 200
_LISTED = 500


class PredictionsUnusable(ValueError):
    """A file of predictions that cannot be read: says what and where."""


@runtime_checkable
class DrawsSomeShapes(Protocol):
    """Platforms that cannot show every shape."""

    def cannot_be_drawn(self, shape: Shape) -> str:
        """Why the platform cannot show it; empty when it can."""


@dataclass
class Predictions:
    """What a file predicts for a campaign."""

    by_image: dict[str, list[Annotation]] = field(default_factory=lambda: defaultdict(list))
    left_out: list[tuple[str, str]] = field(default_factory=list)
    """Which annotation, and why it is not put onto its image."""
    changed: list[tuple[str, str]] = field(default_factory=list)
    """Which annotation is put otherwise than the file says, and how."""


@task(task_run_name="put predictions into {title}", **RETRY_POLICY)
def put_predictions(title: str, coco: str) -> int:
    """Put the objects of a COCO file (`file_name` is our name of an image, `score` how sure the model is) onto the
    campaign's images, in place of earlier predictions. Answers how many images bear some.

    What cannot be put is left out and listed with its reason, in the log and in a table.
    Raises PredictionsUnusable, PlatformRefused when the platform takes none or people have begun.
    """
    context = CampaignContext(title)
    platform = context.require_capability(TakesPredictions)
    sizes = {entry.image.name: entry.image.size for entry in context.ledger.manifests.entries(title)}
    predicted = read_predictions(Path(coco), context.spec.schema_of_labels(), sizes, platform)
    tell_of(title, predicted)

    def put(entries: list[ManifestEntry]) -> int:
        images = [
            LabeledImage(
                entry.image.name, entry.image.size, tuple(predicted.by_image[entry.image.name]), entry.remote_id or ""
            )
            for entry in entries
            if entry.image.name in predicted.by_image
        ]
        if images:
            platform.put_predictions(context.remote_id, images)
        return len(images)

    total = sum(for_each(put, stretches(context.ledger.manifests.entries(title), IMAGES_A_CALL), 1))
    log().info("%d images of %s bear predictions", total, title)
    return total


def read_predictions(
    coco: Path, schema: LabelSchema, sizes: Mapping[str, Size], platform: object = None
) -> Predictions:
    """The objects of a COCO file that can be put into a campaign; and those that cannot, each with its reason.

    `sizes`: of the campaign's images, by name. Raises PredictionsUnusable for a file that is none.
    """
    found = Predictions()
    try:
        file = CocoFile(coco)
        for one in file.strays():
            found.left_out.append((_named(one), "its image is not in the file"))
        for image in file.images():
            name = str(image["file_name"])
            annotations = file.annotations(image["id"])
            fault = _image_fault(image, sizes.get(name))
            if fault:
                found.left_out += [(f"{_named(one)} of {name}", fault) for one in annotations]
                continue
            for one in annotations:
                try:
                    made, change = _annotation(file, one, schema, sizes[name], platform)
                except InvalidShape as refusal:
                    found.left_out.append((f"{_named(one)} of {name}", str(refusal)))
                    continue
                found.by_image[name].append(made)
                if change:
                    found.changed.append((f"{_named(one)} of {name}", change))
    except CocoRefused as refused:
        raise PredictionsUnusable(str(refused)) from None
    except (KeyError, TypeError, ValueError) as fault_in_file:
        message = f"{coco} is no COCO file that can be used: {type(fault_in_file).__name__}: {fault_in_file}"
        raise PredictionsUnusable(message) from None
    return found


def _image_fault(image: Mapping[str, Any], size: Size | None) -> str:
    if size is None:
        return "its image is not in the campaign"
    said = (image.get("width"), image.get("height"))
    if None not in said and said != (size.width, size.height):
        return f"the file says {said[0]} x {said[1]} pixels, the image has {size.width} x {size.height}"
    return ""


def _annotation(
    file: CocoFile, one: Mapping[str, Any], schema: LabelSchema, size: Size, platform: object
) -> tuple[Annotation, str]:
    """The annotation, and what of it is put otherwise than the file says. Raises InvalidShape."""
    name = file.categories.get(one.get("category_id"))  # type: ignore[arg-type]
    if name is None:
        raise InvalidShape("its category is not in the file")
    if name not in schema:
        raise InvalidShape(f"the campaign has no label '{name}'")
    score = one.get("score", 1)
    if isinstance(score, bool) or not isinstance(score, int | float) or not isfinite(score) or not 0 <= score <= 1:
        raise InvalidShape(f"its score is {score}, and not a number from 0 to 1")
    said = file.shape_of(one, size)
    shape, change = _suited(said, schema[name].geometry, name)
    reason = platform.cannot_be_drawn(shape) if isinstance(platform, DrawsSomeShapes) else ""
    if reason:
        raise InvalidShape(reason)
    if said is not None and said.cut:
        change = "; ".join(filter(None, (change, "it reached beyond its image and was cut to it")))
    return Annotation(name, shape, float(score)), change


def _suited(said: CocoShape | None, geometry: Geometry, label: str) -> tuple[Shape, str]:
    """The shape as the campaign draws the label. Raises InvalidShape."""
    if said is None:
        if geometry is Geometry.IMAGE:
            return WholeImage(), ""
        raise InvalidShape("it has neither a segmentation nor a bbox")
    if geometry.takes(said.shape):
        return said.shape, ""
    if geometry is Geometry.BOX:
        return said.box, f"its box alone was put: the campaign draws '{label}' as boxes"
    drawn = {Geometry.POLYGON: "as polygons, and it has a box only", Geometry.IMAGE: "for whole images only"}
    raise InvalidShape(f"the campaign has '{label}' {drawn[geometry]}")


def _named(annotation: Mapping[str, Any]) -> str:
    return f"annotation {annotation.get('id')}"


def tell_of(title: str, predicted: Predictions) -> None:
    """Count what was left out or changed, by reason, in the log, and list it in a table."""
    for what, some in (("left out", predicted.left_out), ("put otherwise than the file says", predicted.changed)):
        for reason, count in Counter(reason for _, reason in some).most_common():
            log().warning("%d predictions for %s were %s: %s", count, title, what, reason)
    rows = list(_rows(predicted))
    if rows:
        told = f"{len(predicted.left_out)} predictions were left out, {len(predicted.changed)} changed"
        publish_table(title, "predictions-left-out", rows[:_LISTED], f"{told} ({title})")


def _rows(predicted: Predictions) -> Iterator[dict[str, Any]]:
    for name, reason in predicted.left_out:
        yield {"annotation": name, "what": "left out", "why": reason}
    for name, reason in predicted.changed:
        yield {"annotation": name, "what": "changed", "why": reason}
