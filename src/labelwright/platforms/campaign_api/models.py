"""Reads the JSON of the campaign API: one function per kind of object."""

from __future__ import annotations

from functools import partial
from typing import TypeVar

from labelwright.domain import (
    UNKNOWN,
    Annotation,
    Box,
    InvalidShape,
    LabeledImage,
    MultiPolygon,
    Polygon,
    Provenance,
    Shape,
    Size,
    WholeImage,
)
from labelwright.domain.planar import distinct
from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.protocol import (
    LabelerAccess,
    RemoteCampaign,
    RemoteImage,
    RemoteImageSet,
    RemoteState,
    Secret,
    SetState,
)
from labelwright.platforms.shape_notices import ShapeNotices

from .schema import platform_labels_from

_State = TypeVar("_State", RemoteState, SetState)


def campaign_from(campaign: Fields, *, labeler: str = "") -> RemoteCampaign:
    progress = campaign.inner("progress")
    return RemoteCampaign(
        id=campaign.id("campaign_id"),
        title=campaign.text("title"),
        state=_state(RemoteState, campaign),
        done=progress.whole("done"),
        total=progress.whole("total"),
        access=access_from(campaign.inner("access_token"), labeler) if campaign.has("access_token") else None,
        labels=platform_labels_from(campaign),
    )


def access_from(access: Fields, email: str) -> LabelerAccess:
    secret = Secret(access.text("apisecret")) if access.has("apisecret") else None
    return LabelerAccess(email, access.text("apikey"), secret)


def image_set_from(image_set: Fields) -> RemoteImageSet:
    rejected = image_set.each("rejected") if image_set.has("rejected") else ()
    return RemoteImageSet(
        id=image_set.id("imageset_id"),
        title=image_set.text("title"),
        state=_state(SetState, image_set),
        rejected=tuple((file.text("name"), file.text("reason")) for file in rejected),
    )


def _state(states: type[_State], fields: Fields) -> _State:
    value = fields.text("status")
    if value not in set(states):
        fields.refuse("status", f"is '{value}', which is none of {', '.join(states)}")
    return states(value)


def image_from(image: Fields) -> RemoteImage:
    file = image.inner("file")
    dimensions = file.inner("dimensions")
    return RemoteImage(
        id=image.id("image_id"),
        name=_name_from(image),
        width=dimensions.whole("width"),
        height=dimensions.whole("height"),
        bytes=file.whole("filesize") if file.has("filesize") else None,
    )


def _name_from(image: Fields) -> str:
    """Returns the name under which it was uploaded. A server without `file_name` has it only in the storage path."""
    if image.has("file_name"):
        return image.text("file_name")
    path, title = image.text("blobstorage_path"), image.inner("imageset").text("title")
    _, separator, name = path.partition(f"uploads/{title}/")
    if not (separator and name):
        image.refuse("blobstorage_path", f"is '{path}' and holds no uploads/{title}/<name>")
    return name


def is_labeled(item: Fields) -> bool:
    """Returns whether a labeler is done with the image: before, `objects` is null; afterwards a list, maybe empty."""
    return item.has("objects") and item.json.get("done") is not False


def labeled_from(item: Fields, notices: ShapeNotices) -> LabeledImage:
    """Returns an image with its objects; objects that cannot be kept are left out and noted.

    The API reports who labeled the image and when, for all its objects together.
    """
    name = item.text("file_name")
    provenance = _provenance_from(item)
    try:
        size = Size(item.whole("width"), item.whole("height"))
    except InvalidShape as fault:
        item.refuse("width", f"(image '{name}'): {fault}")
    kept = (
        notices.keep(
            name, f"{annotation.where} of image '{name}'", size, partial(_annotation_from, annotation, name, provenance)
        )
        for annotation in item.each("objects")
    )
    annotations = tuple(annotation for annotation in kept if annotation is not None)
    return LabeledImage(name, size, annotations, remote_id=item.id("image_id"))


def _provenance_from(item: Fields) -> Provenance:
    labeler, labeled_at = item.json.get("labeled_by"), item.moment("date_labeled")
    known = isinstance(labeler, str) or labeled_at is not None
    return Provenance(labeler if isinstance(labeler, str) else None, changed_at=labeled_at) if known else UNKNOWN


def _annotation_from(item: Fields, image: str, provenance: Provenance) -> Annotation:
    """Raises InvalidShape, PlatformRefused."""
    try:
        shape, attributes = _shape_from(item), _attributes_from(item)
        return Annotation(item.text("label"), shape, item.number("confidence"), attributes, provenance)
    except InvalidShape:
        raise
    except ValueError as fault:
        return item.refuse("", f"of image '{image}' cannot be: {fault}")


def _attributes_from(item: Fields) -> dict[str, str]:
    if not item.has("attributes"):
        return {}
    attributes = item.inner("attributes")
    return {name: attributes.text(name) for name in attributes.json if attributes.has(name)}


def _shape_from(item: Fields) -> Shape:
    if item.json.get("whole_image") is True:
        return WholeImage()
    if item.has("polygon"):
        return _polygon_from(item, "polygon", item.list("polygon"))
    if item.has("polygons"):
        parts = tuple(
            _polygon_from(item, f"polygons[{number}]", part) for number, part in enumerate(item.list("polygons"))
        )
        return parts[0] if len(parts) == 1 else MultiPolygon(parts)
    return _box_from(item.inner("bounding_box"))


def _box_from(box: Fields) -> Box:
    return Box(box.number("xmin"), box.number("ymin"), box.number("xmax"), box.number("ymax"))


def _polygon_from(item: Fields, field: str, corners: object) -> Polygon:
    points = []
    if not isinstance(corners, list):
        item.refuse(field, "is not a list of corners")
    for number, point in enumerate(corners):
        if not isinstance(point, list) or len(point) != 2:
            item.refuse(f"{field}[{number}]", "is not a pair of numbers")
        x, y = (item.as_number(f"{field}[{number}]", value) for value in point)
        points.append((x, y))
    return Polygon(tuple(distinct(points)))
