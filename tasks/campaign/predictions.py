"""Puts a model's predictions into a campaign, for labelers to correct."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from labelwright.datasets.readers.coco import CocoFile, CocoRefused, CocoShape
from labelwright.domain import (
    Annotation,
    Geometry,
    InvalidShape,
    LabeledImage,
    LabelSchema,
    Origin,
    Provenance,
    Shape,
    Size,
    WholeImage,
)
from labelwright.domain.file_names import name_among
from labelwright.ledger import ManifestEntry, stretches
from labelwright.platforms.batches import for_each
from labelwright.platforms.protocol import TakesPredictions
from labelwright.tasks.chaining import task
from labelwright.tasks.context import CampaignContext
from labelwright.tasks.reporting import log, publish_table
from labelwright.tasks.retries import RETRY_POLICY

IMAGES_PER_CALL = 200
_LISTED = 500
_LONGEST_VERSION = 200


class PredictionsUnusable(ValueError):
    """A file of predictions cannot be read; the message says what is wrong and where."""

    error_code = "LW3005"


@runtime_checkable
class DrawsSomeShapes(Protocol):
    """Platforms that cannot show every shape."""

    def cannot_be_drawn(self, shape: Shape) -> str:
        """Why the platform cannot show the shape; empty when it can."""


@dataclass
class Predictions:
    """The predictions of a file, as far as they can be put into a campaign."""

    by_image: dict[str, list[Annotation]] = field(default_factory=lambda: defaultdict(list))
    left_out: list[tuple[str, str]] = field(default_factory=list)
    """Annotation and reason, for those that are left out."""
    changed: list[tuple[str, str]] = field(default_factory=list)
    """Annotation and change, for those that are changed to fit the campaign."""


@task(task_run_name="put predictions into {title}", **RETRY_POLICY)
def put_predictions(title: str, coco: str, model_version: str = "") -> int:
    """Put the objects of a COCO file into the campaign, in place of earlier predictions. Returns the number of images.

    coco: path of the file; its `file_name` is the image's name in the manifest, its `score` the model's confidence.
    model_version: of the model, for platforms that keep it with each object.
    Objects that cannot be used are left out and listed with the reason, in the log and in a table.
    Raises PredictionsUnusable, and PlatformRefused when the platform takes none or labeling has begun.
    """
    context = CampaignContext(title)
    platform = context.require_capability(TakesPredictions)
    sizes = {entry.image.name: entry.image.size for entry in context.ledger.manifests.entries(title)}
    if len(model_version) > _LONGEST_VERSION or not model_version.isprintable():
        raise PredictionsUnusable(f"model_version is a printable text of at most {_LONGEST_VERSION} characters")
    predictions = read_predictions(Path(coco), context.spec.schema_of_labels(), sizes, platform, model_version)
    report_omissions(title, predictions)

    def put(entries: list[ManifestEntry]) -> int:
        images = [
            LabeledImage(
                entry.image.name, entry.image.size, tuple(predictions.by_image[entry.image.name]), entry.remote_id or ""
            )
            for entry in entries
            if entry.image.name in predictions.by_image
        ]
        if images:
            platform.put_predictions(context.remote_id, images)
        return len(images)

    total = sum(for_each(put, stretches(context.ledger.manifests.entries(title), IMAGES_PER_CALL), 1))
    log().info("%d images of %s have predictions", total, title)
    return total


def read_predictions(
    coco: Path, schema: LabelSchema, sizes: Mapping[str, Size], platform: object = None, model_version: str = ""
) -> Predictions:
    """Read the objects of a COCO file, and sort out those that cannot be put into the campaign, with the reason.

    sizes: of the campaign's images, by name. Raises PredictionsUnusable for a file that is not COCO.
    """
    predictions = Predictions()
    provenance = Provenance(origin=Origin.PREDICTION, model_version=model_version or None)
    try:
        file = CocoFile(coco)
        for record in file.strays():
            predictions.left_out.append((_describe(record), "its image is not in the file"))
        for image in file.images():
            name = name_among(str(image["file_name"]), sizes)
            annotations = file.annotations(image["id"])
            reason = _image_fault(image, sizes.get(name))
            if reason:
                predictions.left_out += [(f"{_describe(record)} of {name}", reason) for record in annotations]
                continue
            for record in annotations:
                try:
                    annotation, change = _annotation(file, record, schema, sizes[name], platform, provenance)
                except InvalidShape as error:
                    predictions.left_out.append((f"{_describe(record)} of {name}", str(error)))
                    continue
                predictions.by_image[name].append(annotation)
                if change:
                    predictions.changed.append((f"{_describe(record)} of {name}", change))
    except CocoRefused as error:
        raise PredictionsUnusable(str(error)) from None
    except (KeyError, TypeError, ValueError) as error:
        message = f"{coco} is not a valid COCO file: {type(error).__name__}: {error}"
        raise PredictionsUnusable(message) from None
    return predictions


def _image_fault(image: Mapping[str, Any], size: Size | None) -> str:
    if size is None:
        return "its image is not in the campaign"
    declared = (image.get("width"), image.get("height"))
    if None not in declared and declared != (size.width, size.height):
        return f"the file says {declared[0]} x {declared[1]} pixels, the image has {size.width} x {size.height}"
    return ""


def _annotation(
    file: CocoFile,
    record: Mapping[str, Any],
    schema: LabelSchema,
    size: Size,
    platform: object,
    provenance: Provenance,
) -> tuple[Annotation, str]:
    """The annotation, and how it was changed to fit the campaign. Raises InvalidShape."""
    name = file.categories.get(record.get("category_id"))  # type: ignore[arg-type]
    if name is None:
        raise InvalidShape("its category is not in the file")
    if name not in schema:
        raise InvalidShape(f"the campaign has no label '{name}'")
    score = record.get("score", 1)
    if isinstance(score, bool) or not isinstance(score, int | float) or not isfinite(score) or not 0 <= score <= 1:
        raise InvalidShape(f"its score is {score}, not a number from 0 to 1")
    drawn = file.shape_of(record, size)
    shape, change = _fit_shape(drawn, schema[name].geometry, name)
    reason = platform.cannot_be_drawn(shape) if isinstance(platform, DrawsSomeShapes) else ""
    if reason:
        raise InvalidShape(reason)
    if drawn is not None and drawn.cut:
        change = "; ".join(filter(None, (change, "it reached beyond its image and was cut at the edge")))
    return Annotation(name, shape, float(score), provenance=provenance), change


def _fit_shape(drawn: CocoShape | None, geometry: Geometry, label: str) -> tuple[Shape, str]:
    """The shape in the geometry that the campaign uses for the label, and the change. Raises InvalidShape."""
    if drawn is None:
        if geometry is Geometry.IMAGE:
            return WholeImage(), ""
        raise InvalidShape("it has neither a segmentation nor a bbox")
    if geometry.takes(drawn.shape):
        return drawn.shape, ""
    if drawn.outline is not None and geometry is Geometry.POLYGON:
        return drawn.outline, ""
    if geometry is Geometry.BOX:
        return drawn.box, f"only its box was used: the campaign draws '{label}' as boxes"
    wording = {Geometry.POLYGON: "as polygons, and it has a box only", Geometry.IMAGE: "for whole images only"}
    raise InvalidShape(f"the campaign has '{label}' {wording[geometry]}")


def _describe(record: Mapping[str, Any]) -> str:
    return f"annotation {record.get('id')}"


def report_omissions(title: str, predictions: Predictions) -> None:
    """Log how many predictions were left out or changed, by reason, and list them in a table."""
    for outcome, items in (
        ("left out", predictions.left_out),
        ("changed", predictions.changed),
    ):
        for reason, count in Counter(reason for _, reason in items).most_common():
            log().warning("%d predictions for %s were %s: %s", count, title, outcome, reason)
    rows = list(_rows(predictions))
    if rows:
        totals = f"{len(predictions.left_out)} predictions were left out, {len(predictions.changed)} changed"
        publish_table(title, "predictions-left-out", rows[:_LISTED], f"{totals} ({title})")


def _rows(predictions: Predictions) -> Iterator[dict[str, Any]]:
    for name, reason in predictions.left_out:
        yield {"annotation": name, "what": "left out", "why": reason}
    for name, reason in predictions.changed:
        yield {"annotation": name, "what": "changed", "why": reason}
