"""Reads the JSON of the campaign API: one function per kind of object."""

from __future__ import annotations

from functools import partial
from typing import Any, TypeVar

from labelwright.domain import (
    UNKNOWN,
    Annotation,
    Box,
    Boxes,
    ExcludedImage,
    ImageState,
    InvalidShape,
    LabeledImage,
    MultiPolygon,
    Origin,
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
        skipped=progress.whole("skipped") if progress.has("skipped") else 0,
        access=access_from(campaign.inner("access_token"), labeler) if campaign.has("access_token") else None,
        labels=platform_labels_from(campaign),
        unanswered_notes=campaign.whole("unanswered_notes") if campaign.has("unanswered_notes") else 0,
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


def skipped_from(item: Fields) -> ExcludedImage:
    """Returns an image that its labeler skipped, with the reason."""
    labeler = item.text("labeled_by") if item.has("labeled_by") else "its labeler"
    detail = f"skipped by {labeler}: {' '.join(item.text('skipped').split())}"
    return ExcludedImage(item.text("file_name"), ImageState.SKIPPED, detail, item.id("image_id"))


def labeled_from(item: Fields, notices: ShapeNotices) -> LabeledImage:
    """Returns an image with its objects; objects that cannot be kept are left out and noted.

    The API reports who labeled the image and when, for all its objects together.
    """
    name, objects = item.text("file_name"), item.list("objects")
    try:
        size = Size(item.whole("width"), item.whole("height"))
    except InvalidShape as fault:
        item.refuse("width", f"(image '{name}'): {fault}")
    boxes = _boxes_from(objects, size, item)
    if boxes is not None:
        notices.count_read(len(boxes))
        return LabeledImage(name, size, boxes, remote_id=item.id("image_id"))
    made: dict[Source, Provenance] = {}
    kept = (
        notices.keep(
            name,
            f"{annotation.where} of image '{name}'",
            size,
            partial(_annotation_from, annotation, name, item, made),
        )
        for annotation in item.each("objects")
    )
    annotations = tuple(annotation for annotation in kept if annotation is not None)
    return LabeledImage(name, size, annotations, remote_id=item.id("image_id"))


Source = tuple[Origin | None, str | None]
"""An origin as the server tells it and a model's version; or PERSON where it tells none and a labeler is sure."""


def _source_from(item: Fields, confidence: float) -> Source:
    """Servers without predictions, and persons, say nothing of the origin."""
    origin, model_version = item.json.get("origin"), item.json.get("model_version")
    if origin is None:  # a model says how sure it is, a person does not
        return Origin.PERSON if confidence == 1 else None, None
    if not isinstance(origin, str) or origin not in set(Origin):
        item.refuse("origin", f"is '{origin}', which is none of {', '.join(Origin)}")
    if model_version is None or origin == Origin.PERSON:
        return Origin(origin), None
    return Origin(origin), item.text("model_version")


def _provenance_from(image: Fields, source: Source) -> Provenance:
    """Returns the provenance of objects. Without a labeler it is not known whether a person made them."""
    labeler, labeled_at = image.json.get("labeled_by"), image.moment("date_labeled")
    origin, model_version = source
    known = labeler if isinstance(labeler, str) and labeler else None
    if known is None and origin is Origin.PERSON:
        origin = None
    provenance = Provenance(known, changed_at=labeled_at, origin=origin, model_version=model_version)
    return UNKNOWN if provenance == UNKNOWN else provenance


_NUMBERS = frozenset({int, float})
_OF_BOXES = frozenset({"label", "confidence", "bounding_box", "origin", "model_version"})


def _boxes_from(objects: list[Any], size: Size, image: Fields) -> Boxes | None:
    """Returns objects that are boxes in their image and of one origin, as nearly all are, in an eighth of the time.

    None when one of them is anything else: then all are read field by field, with the reason for what cannot be kept.
    """
    labels: list[str] = []
    numbers: list[float] = []
    sources: set[tuple[Any, Any]] = set()
    width, height = size.width, size.height
    try:
        for entry in objects:
            label, confidence, box = entry["label"], entry["confidence"], entry["bounding_box"]
            xmin, ymin, xmax, ymax = box["xmin"], box["ymin"], box["xmax"], box["ymax"]
            inside = 0 <= xmin < xmax <= width and 0 <= ymin < ymax <= height
            if not inside or not label or not 0 <= confidence <= 1 or not entry.keys() <= _OF_BOXES:
                return None
            sources.add((entry.get("origin"), entry.get("model_version")))
            labels.append(label)
            numbers += (confidence, xmin, ymin, xmax, ymax)
    except (TypeError, KeyError):
        return None
    if not (_NUMBERS.issuperset(map(type, numbers)) and {str}.issuperset(map(type, labels))):
        return None
    if not labels:
        return Boxes(labels, numbers)
    sure = numbers[::5].count(1)
    if len(sources) > 1 or ((None, None) in sources and 0 < sure < len(labels)):
        return None  # some by a model, some by a person
    source = _source_from(Fields(image.platform, image.operation, objects[0], f"{image.where}.objects[0]"), numbers[0])
    return Boxes(labels, numbers, _provenance_from(image, source))


def _annotation_from(item: Fields, name: str, image: Fields, made: dict[Source, Provenance]) -> Annotation:
    """`made`: the provenances of the image's objects, of which those of one origin share one.

    Raises InvalidShape, PlatformRefused.
    """
    try:
        shape, attributes, confidence = _shape_from(item), _attributes_from(item), item.number("confidence")
        source = _source_from(item, confidence)
        provenance = made.get(source)
        if provenance is None:
            provenance = made[source] = _provenance_from(image, source)
        return Annotation(item.text("label"), shape, confidence, attributes, provenance)
    except InvalidShape:
        raise
    except ValueError as fault:
        return item.refuse("", f"of image '{name}' cannot be: {fault}")


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
