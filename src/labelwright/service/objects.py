"""Objects: what labelers saw in images. Kept as they were put, digit for digit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeGuard

import orjson
from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, select, update

from labelwright.domain import Box, Polygon, Size

from .access import Identity
from .api.errors import Conflict, Invalid
from .api.pagination import Page
from .campaigns import enter_state, found
from .config import Limits
from .database import Database, campaign_images, campaigns, images, now

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
        """Overwrite what was there for these images: all of them or, when anything is wrong, none.

        `check` is called in the transaction that writes, before it does; what it raises undoes all. `pause` is called
        before each object is checked and before anything is written; what it raises ends the work.
        Raises Unknown, Conflict when the campaign is not active, Invalid naming image and object.
        """
        with self._database.read() as connection:
            row = found(connection, campaign, who)
            _check_active(row)
            given = read_body(body, self._limits)
            sizes = _sizes(connection, campaign, list(given))
        allowed = frozenset[str](orjson.loads(row.labels)) if row.labels is not None else None
        for image, seen in given.items():
            if image not in sizes:
                raise Invalid(f"image {image} is not in campaign {campaign}", details={"image_id": image})
            for number, one in enumerate(seen):
                pause()
                try:
                    _check_object(one, sizes[image], allowed, self._limits)
                except ValueError as error:
                    raise _fault(image, number, str(error)) from None
        pause()
        if given:
            self._store(campaign, given, who, check)

    def _store(
        self,
        campaign: int,
        given: Mapping[int, list[Any]],
        who: Identity,
        check: Callable[[Connection], None] | None,
    ) -> None:
        moment = now()
        texts = [
            {"in_campaign": campaign, "of_image": image, "text": orjson.dumps(seen).decode()}
            for image, seen in given.items()
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
            row = found(connection, campaign, who)
            _check_active(row)
            if check:
                check(connection)
            done = row.done
            for some in _some(list(given)):
                fresh = and_(campaign_images.c.image_id.in_(some), campaign_images.c.done.is_(False))
                wanted = select(campaign_images.c.image_id).where(campaign_images.c.campaign_id == campaign, fresh)
                done += len(connection.execute(wanted).all())
            connection.execute(change, texts)
            grown = {"done": done, "revision": row.revision + 1}
            connection.execute(update(campaigns).where(campaigns.c.id == campaign).values(grown))
            if done == row.total:
                enter_state(connection, row, "completed")

    def list(self, campaign: int, page: Page) -> bytes:
        """JSON. Only images that were looked at, in the order in which they were added to the campaign."""
        with self._database.read() as connection:
            row = found(connection, campaign)
            rows = labeled(connection, campaign, _passed(connection, row, page.first), page.size)
            listed = [
                {
                    "image_id": one.image_id,
                    "file_name": one.file_name,
                    "width": one.width,
                    "height": one.height,
                    "objects": orjson.Fragment(one.objects),
                    "date_labeled": one.date_labeled,
                    "labeled_by": one.labeled_by,
                }
                for one in rows
            ]
        return orjson.dumps({"images": listed, "pagination": page.told(row.done)})


def _passed(connection: Connection, campaign: Row[Any], skip: int) -> int:
    """The position of the last of so many images that were looked at; 0 for none, the campaign's end beyond it."""
    if not skip or campaign.done == campaign.total:  # positions have no gaps
        return skip
    # The way to it is in the index alone: it does not read what it skips.
    positions = select(campaign_images.c.position).where(_looked_at(campaign.id)).order_by(campaign_images.c.position)
    found = connection.execute(positions.offset(skip - 1).limit(1)).scalar()
    return int(campaign.total if found is None else found)


def _looked_at(campaign: int) -> ColumnElement[bool]:
    return and_(campaign_images.c.campaign_id == campaign, campaign_images.c.done.is_(True))


def labeled(connection: Connection, campaign: int, after: int, limit: int) -> Sequence[Row[Any]]:
    """The images that were looked at, from behind a position on, with their objects as JSON text."""
    wanted = (
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
        .where(_looked_at(campaign), campaign_images.c.position > after)
        .order_by(campaign_images.c.position)
        .limit(limit)
    )
    return connection.execute(wanted).all()


def read_body(body: bytes, limits: Limits) -> dict[int, list[Any]]:
    """Objects by image id, their shape not yet checked. Raises Invalid."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Invalid(f"the body is not JSON: {error}") from None
    if not isinstance(data, list):
        raise Invalid("the body is a list of {image_id, objects}")
    if len(data) > limits.images_per_request:
        raise Invalid(f"one request takes at most {limits.images_per_request} images, not {len(data)}")
    given: dict[int, list[Any]] = {}
    count = corners = 0
    for number, entry in enumerate(data):
        if not isinstance(entry, dict) or entry.keys() != {"image_id", "objects"}:
            raise Invalid(f"body[{number}] is not {{image_id, objects}}")
        image, seen = entry["image_id"], entry["objects"]
        if type(image) is not int or not 0 < image < 2**63:
            raise Invalid(f"body[{number}].image_id is not the id of an image")
        if image in given:
            raise Invalid(f"image {image} stands in the body twice", details={"image_id": image})
        if not isinstance(seen, list):
            raise Invalid(f"image {image}: objects is not a list", details={"image_id": image})
        given[image] = seen
        count += len(seen)
        corners += sum(map(_corners, seen))
    if corners > limits.corners_per_request:
        raise Invalid(f"one request takes at most {limits.corners_per_request} corners of polygons, not {corners}")
    if count > limits.objects_per_request:
        raise Invalid(f"one request takes at most {limits.objects_per_request} objects, not {count}")
    return given


def _corners(one: Any) -> int:
    corners = one.get("polygon") if isinstance(one, dict) else None
    return len(corners) if isinstance(corners, list) else 0


def _check_object(one: Any, size: Size, allowed: frozenset[str] | None, limits: Limits) -> None:
    """Raises ValueError with the fault."""
    if not isinstance(one, dict):
        raise ValueError("is not {label, confidence, bounding_box}")  # noqa: TRY004
    if extra := one.keys() - {"label", "confidence", "bounding_box", "polygon"}:
        raise ValueError(f"has unknown fields, which would be lost: {', '.join(sorted(extra))}")
    label = one.get("label")
    if not isinstance(label, str) or not 0 < len(label) <= 200 or not label.isprintable():
        raise ValueError("label is not a name of 1 to 200 printable characters")
    if allowed is not None and label not in allowed:
        raise ValueError(f"label '{label}' is not one of the campaign's: {', '.join(sorted(allowed)[:50])}")
    confidence = one.get("confidence")
    if not _is_number(confidence) or not 0 <= confidence <= 1:
        raise ValueError(f"confidence is a number from 0 to 1, not {confidence!r}"[:200])
    sides = one.get("bounding_box")
    if not isinstance(sides, dict) or sides.keys() != set(_SIDES) or not all(map(_is_number, sides.values())):
        raise ValueError("bounding_box is not {xmin, xmax, ymin, ymax} of numbers")
    box = Box(sides["xmin"], sides["ymin"], sides["xmax"], sides["ymax"])
    if not box.inside(size):
        raise ValueError(f"box {box.corners} is not inside the image of {size.width} x {size.height} pixels")
    if one.get("polygon") is None:
        one.pop("polygon", None)
    else:
        _check_polygon(one["polygon"], box, size, limits)


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
    for some in _some(ids):
        wanted = (
            select(images.c.id, images.c.width, images.c.height)
            .join(campaign_images, campaign_images.c.image_id == images.c.id)
            .where(campaign_images.c.campaign_id == campaign, campaign_images.c.image_id.in_(some))
        )
        sizes.update({row.id: Size(row.width, row.height) for row in connection.execute(wanted)})
    return sizes


def _some(ids: Sequence[int]) -> list[list[int]]:
    return [list(ids[start : start + 900]) for start in range(0, len(ids), 900)]
