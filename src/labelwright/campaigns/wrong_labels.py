"""Finds images with shapes that a dataset must not have, in the labels as they are on the platform now."""

from __future__ import annotations

from collections.abc import Iterator

from labelwright.domain import Annotation, LabelSchema, Size
from labelwright.platforms.protocol import LabelsPage, Platform


def wrong_images(platform: Platform, campaign: str, schema: LabelSchema) -> dict[str, str]:
    """Returns what is wrong with each such image, by the platform's id: its shapes of a label or geometry that the
    schema does not have, outside the image, or dropped because they cannot be kept. Raises PlatformError."""
    faults: dict[str, list[str]] = {}
    cursor: str | None = None
    while True:
        page = platform.read_labels(campaign, cursor)
        for image, fault in _faults(page, schema):
            faults.setdefault(image, []).append(fault)
        if page.next is None:
            return {image: "; ".join(dict.fromkeys(texts)) for image, texts in faults.items()}
        cursor = page.next


def _faults(page: LabelsPage, schema: LabelSchema) -> Iterator[tuple[str, str]]:
    ids = {image.name: image.remote_id for image in page.images}
    for image in page.images:
        for annotation in image.annotations:
            if fault := _fault(annotation, image.size, schema):
                yield image.remote_id, fault
    for notice in page.left_out:
        if notice.dropped and notice.image in ids:
            yield ids[notice.image], f"a shape cannot be used: {notice.reason}"


def _fault(annotation: Annotation, size: Size | None, schema: LabelSchema) -> str:
    label, shape = annotation.label, annotation.shape
    if label not in schema:
        return f"'{label}' is not one of the labels"
    if not schema[label].geometry.takes(shape):
        return f"'{label}' has to be drawn as: {schema[label].geometry.value}"
    return "" if size is None or shape.inside(size) else f"'{label}' lies outside the image"
