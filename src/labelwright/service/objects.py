"""Objects: labels with their shapes and attributes. Stored exactly as sent, digit for digit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, select, update

from labelwright.domain import Size

from .access import Identity
from .api.errors import Conflict, Invalid
from .api.pagination import Page
from .campaigns import enter_state, find_campaign
from .config import Limits
from .database import Database, campaign_images, campaigns, images, now
from .label_schema import LabelRules
from .object_checks import ObjectFaults, count_corners, object_faults, repeated_whole_images
from .reopening import forget_reopened
from .skipped_images import forget_skipped, skipped_reasons


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
        place: Callable[[int], str] = "body[{}]".format,
    ) -> None:
        """Replaces the objects of these images, all or none.

        `check` is called in the transaction that writes, before it does; what it raises undoes all. `pause` is called
        before each object is checked and before anything is written; what it raises ends the work. `place` names an
        entry of the request by its number.
        Raises Unknown, Conflict when the campaign is not active, Invalid that names image and object of every fault.
        """
        with self._database.read() as connection:
            row = find_campaign(connection, campaign, who)
            _check_active(row)
            request = ObjectsOfRequest(connection, row, body, self._limits, place)
        objects_by_image = request.checked(pause)
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
            skipped = forget_skipped(connection, row, list(objects_by_image))
            grown = {"done": done, "skipped": skipped, "revision": row.revision + 1}
            connection.execute(update(campaigns).where(campaigns.c.id == campaign).values(grown))
            if done == row.total:
                enter_state(connection, row, "completed")

    def list(self, campaign: int, page: Page) -> bytes:
        """Returns the objects of labeled images as JSON, in the order in which images were added."""
        with self._database.read() as connection:
            row = find_campaign(connection, campaign)
            done = row.done
            rows = labeled(connection, campaign, _position_before(connection, row, page.first), page.size)
            reasons = skipped_reasons(connection, row, [image.image_id for image in rows])
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
                | ({"skipped": reasons[row.image_id]} if row.image_id in reasons else {})
                for row in rows
            ]
        return orjson.dumps({"images": listed, "pagination": page.as_json(done)})


class ObjectsOfRequest:
    """The objects of a request by image, and what they are checked against."""

    def __init__(
        self,
        connection: Connection,
        campaign: Row[Any],
        body: bytes,
        limits: Limits,
        place: Callable[[int], str] = "body[{}]".format,
    ) -> None:
        """Reads the request. `place` names an entry of it by its number. Raises Invalid for a body that is no list."""
        self._faults = ObjectFaults()
        self._entries = read_body(body, limits, self._faults, place)
        self._sizes = _sizes(connection, campaign.id, list(self._entries))
        self._campaign, self._limits, self._place = campaign, limits, place

    def checked(self, pause: Callable[[], None], *, predicted: bool = False) -> dict[int, list[Any]]:
        """Returns the objects by image id.

        `predicted`: whether they are a model's. `pause` is called before each object is checked. Raises Invalid that
        names image and object of every fault.
        """
        rules = LabelRules.of(self._campaign)
        for image, (entry, objects) in self._entries.items():
            place = self._place(entry)
            if image not in self._sizes:
                self._faults.add_entry(f"{place}.image_id", f"is not in campaign {self._campaign.id}", image)
                continue
            size = self._sizes[image]
            for number, label_object in enumerate(objects):
                pause()
                for field, problem in object_faults(label_object, size, rules, self._limits, predicted=predicted):
                    where = f"{place}.objects[{number}]" + (f".{field}" if field else "")
                    self._faults.add_object(where, problem, image, number)
            for number, problem in repeated_whole_images(objects):
                self._faults.add_object(f"{place}.objects[{number}].whole_image", problem, image, number)
        self._faults.refuse()
        return {image: objects for image, (_, objects) in self._entries.items()}


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


def read_body(
    body: bytes, limits: Limits, faults: ObjectFaults, place: Callable[[int], str]
) -> dict[int, tuple[int, list[Any]]]:
    """Parses objects by image id, each with the number of its entry; the objects themselves are not checked yet.

    Adds entries that are malformed to the faults. Raises Invalid for a body that is no list, or too large.
    """
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Invalid(f"the body is not JSON: {error}") from None
    if not isinstance(data, list):
        raise Invalid("the body is a list of {image_id, objects}")
    if len(data) > limits.images_per_request:
        raise Invalid(f"one request takes at most {limits.images_per_request} images, not {len(data)}")
    objects_by_image: dict[int, tuple[int, list[Any]]] = {}
    count = corners = 0
    for number, entry in enumerate(data):
        if not isinstance(entry, dict) or entry.keys() != {"image_id", "objects"}:
            faults.add_entry(place(number), "is not {image_id, objects}")
            continue
        image, objects = entry["image_id"], entry["objects"]
        if type(image) is not int or not 0 < image < 2**63:
            faults.add_entry(f"{place(number)}.image_id", "is not the id of an image")
            continue
        if image in objects_by_image:
            faults.add_entry(f"{place(number)}.image_id", "stands in the body twice", image)
            continue
        if not isinstance(objects, list):
            faults.add_entry(f"{place(number)}.objects", "objects is not a list", image)
            continue
        objects_by_image[image] = (number, objects)
        count += len(objects)
        corners += sum(map(count_corners, objects))
    if corners > limits.corners_per_request:
        raise Invalid(f"one request takes at most {limits.corners_per_request} corners of polygons, not {corners}")
    if count > limits.objects_per_request:
        raise Invalid(f"one request takes at most {limits.objects_per_request} objects, not {count}")
    return objects_by_image


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
