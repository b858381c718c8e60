"""The JSON of the campaign API and what it becomes: one function a shape."""

from __future__ import annotations

from functools import partial
from typing import TypeVar

from labelwright.domain import Annotation, Box, InvalidShape, LabeledImage, Polygon, Size
from labelwright.domain.planar import distinct
from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.protocol import (
    LabelerAccess,
    PlatformLabels,
    RemoteCampaign,
    RemoteImage,
    RemoteImageSet,
    RemoteState,
    Secret,
    SetState,
)
from labelwright.platforms.shape_notices import ShapeNotices

_State = TypeVar("_State", RemoteState, SetState)


def campaign_from(answer: Fields, *, labeler: str = "") -> RemoteCampaign:
    progress = answer.inner("progress")
    return RemoteCampaign(
        id=answer.id("campaign_id"),
        title=answer.text("title"),
        state=_state(RemoteState, answer),
        done=progress.whole("done"),
        total=progress.whole("total"),
        access=access_from(answer.inner("access_token"), labeler) if answer.has("access_token") else None,
        labels=PlatformLabels(_texts(answer, "labels")) if answer.has("labels") else None,
    )


def _texts(answer: Fields, name: str) -> tuple[str, ...]:
    return tuple(one for one in answer.list(name) if isinstance(one, str))


def access_from(answer: Fields, email: str) -> LabelerAccess:
    secret = Secret(answer.text("apisecret")) if answer.has("apisecret") else None
    return LabelerAccess(email, answer.text("apikey"), secret)


def image_set_from(answer: Fields) -> RemoteImageSet:
    rejected = answer.each("rejected") if answer.has("rejected") else ()
    return RemoteImageSet(
        id=answer.id("imageset_id"),
        title=answer.text("title"),
        state=_state(SetState, answer),
        rejected=tuple((one.text("name"), one.text("reason")) for one in rejected),
    )


def _state(states: type[_State], answer: Fields) -> _State:
    value = answer.text("status")
    if value not in set(states):
        answer.refuse("status", f"is '{value}', which is none of {', '.join(states)}")
    return states(value)


def image_from(answer: Fields) -> RemoteImage:
    file = answer.inner("file")
    dimensions = file.inner("dimensions")
    return RemoteImage(
        id=answer.id("image_id"),
        name=_name_from(answer),
        width=dimensions.whole("width"),
        height=dimensions.whole("height"),
        bytes=file.whole("filesize") if file.has("filesize") else None,
    )


def _name_from(answer: Fields) -> str:
    """The name under which it was uploaded. A server that knows only the notebook tells it in the path alone."""
    if answer.has("file_name"):
        return answer.text("file_name")
    path, title = answer.text("blobstorage_path"), answer.inner("imageset").text("title")
    _, found, name = path.partition(f"uploads/{title}/")
    if not (found and name):
        answer.refuse("blobstorage_path", f"is '{path}' and holds no uploads/{title}/<name>")
    return name


def looked_at(item: Fields) -> bool:
    """Images without objects are listed with an empty list once somebody looked, with null before."""
    return item.has("objects") and item.json.get("done") is not False


def labeled_from(item: Fields, notices: ShapeNotices) -> LabeledImage:
    """An image and its objects; objects that cannot be kept are left out and noted."""
    name = item.text("file_name")
    try:
        size = Size(item.whole("width"), item.whole("height"))
    except InvalidShape as fault:
        item.refuse("width", f"(image '{name}'): {fault}")
    kept = (
        notices.keep(name, f"{one.where} of image '{name}'", size, partial(_annotation_from, one, name))
        for one in item.each("objects")
    )
    annotations = tuple(annotation for annotation in kept if annotation is not None)
    return LabeledImage(name, size, annotations, remote_id=item.id("image_id"))


def _annotation_from(item: Fields, image: str) -> Annotation:
    """Raises InvalidShape, PlatformRefused."""
    try:
        shape = _polygon_from(item) if item.has("polygon") else _box_from(item.inner("bounding_box"))
        return Annotation(item.text("label"), shape, item.number("confidence"))
    except InvalidShape:
        raise
    except ValueError as fault:
        return item.refuse("", f"of image '{image}' cannot be: {fault}")


def _box_from(box: Fields) -> Box:
    return Box(box.number("xmin"), box.number("ymin"), box.number("xmax"), box.number("ymax"))


def _polygon_from(item: Fields) -> Polygon:
    points = []
    for number, point in enumerate(item.list("polygon")):
        if not isinstance(point, list) or len(point) != 2:
            item.refuse(f"polygon[{number}]", "is not a pair of numbers")
        x, y = (item.as_number(f"polygon[{number}]", value) for value in point)
        points.append((x, y))
    return Polygon(tuple(distinct(points)))
