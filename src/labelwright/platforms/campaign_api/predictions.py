"""Puts predictions into a campaign: PUT /campaigns/{id}/predictions, which only newer servers have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from labelwright.domain import Annotation, LabeledImage, Mask, MultiPolygon, Polygon, Shape, WholeImage
from labelwright.platforms.errors import PlatformRefused
from labelwright.platforms.http.client import Http

from .optional_routes import optional_route

OBJECTS_A_REQUEST, CORNERS_A_REQUEST = 10_000, 100_000
"""Keeps a request far below the server's limits, and within seconds. An image with more is sent alone."""

_CORNERS_A_POLYGON = 10_000
"""That the server takes."""


def put_predictions(
    platform: str, http: Http, path: str, campaign: str, images: Sequence[LabeledImage], page_size: int
) -> None:
    """Replaces the predictions of images. See `TakesPredictions`. `path` is the campaign's.

    Each request replaces those of its images, so that one that is repeated changes nothing: it has no Idempotency-Key,
    by which another model's predictions in between would stay.
    """
    operation = f"put predictions into campaign {campaign}"
    bodies = list(_bodies(platform, operation, images, page_size))
    message = "this server has no PUT /campaigns/{id}/predictions: it takes no predictions"
    advice = "Update the platform, or let the labelers work without predictions."
    for body in bodies:
        with optional_route(platform, operation, lambda: http.call(operation, "GET", path), message, advice):
            http.call(operation, "PUT", f"{path}/predictions", json=body)


def cannot_be_drawn(shape: Shape) -> str:
    """Returns why labelers cannot be shown a shape, or an empty text."""
    if isinstance(shape, Mask):
        return "the campaign API has boxes and polygons, and no masks"
    if any(len(part.points) > _CORNERS_A_POLYGON for part in _polygons_of(shape)):
        return f"a polygon has more than {_CORNERS_A_POLYGON} corners"
    return ""


def _polygons_of(shape: Shape) -> Sequence[Polygon]:
    return shape.parts if isinstance(shape, MultiPolygon) else (shape,) if isinstance(shape, Polygon) else ()


def _bodies(
    platform: str, operation: str, images: Sequence[LabeledImage], page_size: int
) -> Iterator[list[dict[str, Any]]]:
    body: list[dict[str, Any]] = []
    objects = corners = 0
    for image in images:
        if not (image.remote_id.isascii() and image.remote_id.isdecimal()):
            raise PlatformRefused(platform, operation, message=f"the campaign has no image with id '{image.remote_id}'")
        polygons = [polygon for annotation in image.annotations for polygon in _polygons_of(annotation.shape)]
        of_image = sum(len(polygon.points) for polygon in polygons)
        full = objects + len(image.annotations) > OBJECTS_A_REQUEST or corners + of_image > CORNERS_A_REQUEST
        if body and (full or len(body) == page_size):
            yield body
            body, objects, corners = [], 0, 0
        predicted = [_object_json(platform, operation, image.name, annotation) for annotation in image.annotations]
        body.append({"image_id": int(image.remote_id), "objects": predicted})
        objects, corners = objects + len(predicted), corners + of_image
    if body:
        yield body


def _object_json(platform: str, operation: str, image: str, annotation: Annotation) -> dict[str, Any]:
    shape, model_version = annotation.shape, annotation.provenance.model_version
    record: dict[str, Any] = {"label": annotation.label, "confidence": annotation.confidence}
    if annotation.attributes:
        record["attributes"] = dict(annotation.attributes)
    if model_version is not None:
        record["model_version"] = model_version
    if isinstance(shape, WholeImage):
        return record | {"whole_image": True}
    if reason := cannot_be_drawn(shape):
        raise PlatformRefused(platform, operation, message=f"image '{image}': {reason}")
    xmin, ymin, xmax, ymax = shape.box.corners
    record["bounding_box"] = {"xmin": xmin, "xmax": xmax, "ymin": ymin, "ymax": ymax}
    if isinstance(shape, Polygon):
        record["polygon"] = shape.points
    elif isinstance(shape, MultiPolygon):
        record["polygons"] = [part.points for part in shape.parts]
    return record
