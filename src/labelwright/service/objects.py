"""Objects: labels with their boxes and polygons. Stored exactly as sent, digit for digit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeGuard

import orjson
from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, select, update

from labelwright.domain import Box, Polygon, Size

from .access import Identity
from .api.errors import Conflict, Invalid
from .api.pagination import Page
from .campaigns import enter_state, find_campaign
from .config import Limits
from .database import Database, campaign_images, campaigns, images, now
from .reopening import forget_reopened

_SIDES = ("xmin", "xmax", "ymin", "ymax")
_AGREE = 1.0
"""Pixels by which a polygon's bounds may differ from the box beside it."""


class Objects:
    def __init__(self, database: Database, limits: Limits) -> None:
        self._database = database
        self._limits = limits

    def put(
        self,
        campaign: int,
        body: bytes,
        who: Identity,
        check: Callable[[Connection], None] | None = None,
        pause: Callable[[], None] = lambda: None,
    ) -> None:
        """Replaces the objects of these images, all or none.

        `check` is called in the transaction that writes, before it does; what it raises undoes all. `pause` is called
        before each object is checked and before anything is written; what it raises ends the work.
        Raises Unknown, Conflict when the campaign is not active, Invalid naming image and object.
        """
        with self._database.read() as connection:
            row = find_campaign(connection, campaign, who)
            _check_active(row)
            objects_by_image = read_body(body, self._limits)
            sizes = _sizes(connection, campaign, list(objects_by_image))
        allowed = frozenset[str](orjson.loads(row.labels)) if row.labels is not None else None
        for image, objects in objects_by_image.items():
            if image not in sizes:
                raise Invalid(f"image {image} is not in campaign {campaign}", details={"image_id": image})
            for number, label_object in enumerate(objects):
                pause()
                try:
                    _check_object(label_object, sizes[image], allowed, self._limits)
                except ValueError as error:
                    raise _fault(image, number, str(error)) from None
        pause()
        if objects_by_image:
            self._store(campaign, objects_by_image, who, check)

    def _store(
        self,
        campaign: int,
        objects_by_image: Mapping[int, list[Any]],
        who: Identity,
        check: Callable[[Connection], None] | None,
    ) -> None:
        moment = now()
        texts = [
            {"in_campaign": campaign, "of_image": image, "text": orjson.dumps(objects).decode()}
            for image, objects in objects_by_image.items()
        ]
        change = (
            update(campaign_images)
            .where(
                campaign_images.c.campaign_id == bindparam("in_campaign"),
                campaign_images.c.image_id == bindparam("of_image"),
            )
            .values(objects=bindparam("text"), done=True, date_labeled=moment, labeled_by=who.email)
        )
        with self._database.write() as connection:
            row = find_campaign(connection, campaign, who)
            _check_active(row)
            if check:
                check(connection)
            done = row.done
            for batch in _some(list(objects_by_image)):
                fresh = and_(campaign_images.c.image_id.in_(batch), campaign_images.c.done.is_(False))
                query = select(campaign_images.c.image_id).where(campaign_images.c.campaign_id == campaign, fresh)
                done += len(connection.execute(query).all())
            connection.execute(change, texts)
            forget_reopened(connection, campaign, list(objects_by_image))
            grown = {"done": done, "revision": row.revision + 1}
            connection.execute(update(campaigns).where(campaigns.c.id == campaign).values(grown))
            if done == row.total:
                enter_state(connection, row, "completed")

    def list(self, campaign: int, page: Page) -> bytes:
        """Returns the objects of labeled images as JSON, in the order in which images were added."""
        with self._database.read() as connection:
            row = find_campaign(connection, campaign)
            rows = labeled(connection, campaign, _position_before(connection, row, page.first), page.size)
            listed = [
                {
                    "image_id": row.image_id,
                    "file_name": row.file_name,
                    "width": row.width,
                    "height": row.height,
                    "objects": orjson.Fragment(row.objects),
                    "date_labeled": row.date_labeled,
                    "labeled_by": row.labeled_by,
                }
                for row in rows
            ]
        return orjson.dumps({"images": listed, "pagination": page.as_json(row.done)})


def _position_before(connection: Connection, campaign: Row[Any], skip: int) -> int:
    """Returns the position of the `skip`-th labeled image; 0 for none, the campaign's last position beyond the end."""
    if not skip or campaign.done == campaign.total:  # positions have no gaps
        return skip
    # The way to it is in the index alone: it does not read what it skips.
    positions = select(campaign_images.c.position).where(_is_labeled(campaign.id)).order_by(campaign_images.c.position)
    last = connection.execute(positions.offset(skip - 1).limit(1)).scalar()
    return int(campaign.total if last is None else last)


def _is_labeled(campaign: int) -> ColumnElement[bool]:
    return and_(campaign_images.c.campaign_id == campaign, campaign_images.c.done.is_(True))


def labeled(connection: Connection, campaign: int, after: int, limit: int) -> Sequence[Row[Any]]:
    """Returns labeled images after a position, with their objects as JSON text."""
    query = (
        select(
            campaign_images.c.position,
            campaign_images.c.image_id,
            campaign_images.c.objects,
            campaign_images.c.date_labeled,
            campaign_images.c.labeled_by,
            images.c.file_name,
            images.c.width,
            images.c.height,
        )
        .join(images, images.c.id == campaign_images.c.image_id)
        .where(_is_labeled(campaign), campaign_images.c.position > after)
        .order_by(campaign_images.c.position)
        .limit(limit)
    )
    return connection.execute(query).all()


def read_body(body: bytes, limits: Limits) -> dict[int, list[Any]]:
    """Parses objects by image id; the objects themselves are not checked yet. Raises Invalid."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Invalid(f"the body is not JSON: {error}") from None
    if not isinstance(data, list):
        raise Invalid("the body is a list of {image_id, objects}")
    if len(data) > limits.images_per_request:
        raise Invalid(f"one request takes at most {limits.images_per_request} images, not {len(data)}")
    objects_by_image: dict[int, list[Any]] = {}
    count = corners = 0
    for number, entry in enumerate(data):
        if not isinstance(entry, dict) or entry.keys() != {"image_id", "objects"}:
            raise Invalid(f"body[{number}] is not {{image_id, objects}}")
        image, objects = entry["image_id"], entry["objects"]
        if type(image) is not int or not 0 < image < 2**63:
            raise Invalid(f"body[{number}].image_id is not the id of an image")
        if image in objects_by_image:
            raise Invalid(f"image {image} stands in the body twice", details={"image_id": image})
        if not isinstance(objects, list):
            raise Invalid(f"image {image}: objects is not a list", details={"image_id": image})
        objects_by_image[image] = objects
        count += len(objects)
        corners += sum(map(_corners, objects))
    if corners > limits.corners_per_request:
        raise Invalid(f"one request takes at most {limits.corners_per_request} corners of polygons, not {corners}")
    if count > limits.objects_per_request:
        raise Invalid(f"one request takes at most {limits.objects_per_request} objects, not {count}")
    return objects_by_image


def _corners(label_object: Any) -> int:
    corners = label_object.get("polygon") if isinstance(label_object, dict) else None
    return len(corners) if isinstance(corners, list) else 0


def _check_object(label_object: Any, size: Size, allowed: frozenset[str] | None, limits: Limits) -> None:
    """Checks label, box and polygon of an object. Raises ValueError."""
    if not isinstance(label_object, dict):
        raise ValueError("is not {label, confidence, bounding_box}")  # noqa: TRY004
    if extra := label_object.keys() - {"label", "confidence", "bounding_box", "polygon"}:
        raise ValueError(f"has unknown fields, which would be lost: {', '.join(sorted(extra))}")
    label = label_object.get("label")
    if not isinstance(label, str) or not 0 < len(label) <= 200 or not label.isprintable():
        raise ValueError("label is not a name of 1 to 200 printable characters")
    if allowed is not None and label not in allowed:
        raise ValueError(f"label '{label}' is not one of the campaign's: {', '.join(sorted(allowed)[:50])}")
    confidence = label_object.get("confidence")
    if not _is_number(confidence) or not 0 <= confidence <= 1:
        raise ValueError(f"confidence is a number from 0 to 1, not {confidence!r}"[:200])
    sides = label_object.get("bounding_box")
    if not isinstance(sides, dict) or sides.keys() != set(_SIDES) or not all(map(_is_number, sides.values())):
        raise ValueError("bounding_box is not {xmin, xmax, ymin, ymax} of numbers")
    box = Box(sides["xmin"], sides["ymin"], sides["xmax"], sides["ymax"])
    if not box.inside(size):
        raise ValueError(f"box {box.corners} is not inside the image of {size.width} x {size.height} pixels")
    if label_object.get("polygon") is None:
        label_object.pop("polygon", None)
    else:
        _check_polygon(label_object["polygon"], box, size, limits)


def _check_polygon(corners: Any, box: Box, size: Size, limits: Limits) -> None:
    if not isinstance(corners, list) or not all(
        isinstance(corner, list) and len(corner) == 2 and _is_number(corner[0]) and _is_number(corner[1])
        for corner in corners
    ):
        raise ValueError("polygon is not a list of [x, y]")
    if len(corners) > limits.corners_per_polygon:
        raise ValueError(f"polygon has {len(corners)} corners; at most {limits.corners_per_polygon} are taken")
    # Where it lies comes first: the search for crossings is only for polygons that are otherwise right.
    if not all(0 <= x <= size.width and 0 <= y <= size.height for x, y in corners):
        raise ValueError(f"polygon is not inside the image of {size.width} x {size.height} pixels")
    around = Polygon(tuple((x, y) for x, y in corners)).box
    if any(abs(a - b) > _AGREE for a, b in zip(around.corners, box.corners, strict=True)):
        raise ValueError(f"the polygon's bounds {around.corners} are not the bounding_box {box.corners}")


def _is_number(value: Any) -> TypeGuard[int | float]:
    return type(value) in (int, float)


def _fault(image: int, number: int, problem: str) -> Invalid:
    return Invalid(
        f"image {image}, object {number}: {problem}",
        details={"image_id": image, "object": number, "problem": problem},
    )


def _check_active(row: Row[Any]) -> None:
    if row.status != "active":
        raise Conflict(f"the campaign is {row.status}, not active: it takes no labels", details={"status": row.status})


def _sizes(connection: Connection, campaign: int, ids: Sequence[int]) -> dict[int, Size]:
    sizes: dict[int, Size] = {}
    for batch in _some(ids):
        query = (
            select(images.c.id, images.c.width, images.c.height)
            .join(campaign_images, campaign_images.c.image_id == images.c.id)
            .where(campaign_images.c.campaign_id == campaign, campaign_images.c.image_id.in_(batch))
        )
        sizes.update({row.id: Size(row.width, row.height) for row in connection.execute(query)})
    return sizes


def _some(ids: Sequence[int]) -> list[list[int]]:
    return [list(ids[start : start + 900]) for start in range(0, len(ids), 900)]
