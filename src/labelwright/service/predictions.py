"""Predictions: objects that a model found on images, which labelers see as suggestions.

They are kept apart from the labels: an image does not count as labeled by them, and they are in no answer about labels.
What a labeler accepts is submitted as an object that says where it came from. They stay when the image is submitted, so
that what a model is worth can be measured.
"""

from __future__ import annotations

from collections.abc import Callable

import orjson
from sqlalchemy import Connection, and_, delete, func, insert, select

from .api.errors import Conflict
from .api.pagination import Page
from .campaigns import find_campaign
from .config import Limits
from .database import Database, now, predictions
from .objects import ObjectsOfRequest

_BATCH = 900


class Predictions:
    def __init__(self, database: Database, limits: Limits) -> None:
        self._database = database
        self._limits = limits

    def put(self, campaign: int, body: bytes, pause: Callable[[], None] = lambda: None) -> None:
        """Replaces the predictions of these images, all or none; an empty list removes them.

        They are checked as objects are. `pause` is called before each object is checked; what it raises ends the work.
        Raises Unknown, Conflict when the campaign is over, Invalid that names image and object of every fault.
        """
        with self._database.read() as connection:
            row = find_campaign(connection, campaign)
            _check_open(row.status)
            request = ObjectsOfRequest(connection, row, body, self._limits)
        objects_by_image = request.checked(pause, predicted=True)
        pause()
        moment = now()
        rows = [
            {
                "campaign_id": campaign,
                "image_id": image,
                "date_predicted": moment,
                "objects": orjson.dumps(objects).decode(),
            }
            for image, objects in objects_by_image.items()
            if objects
        ]
        with self._database.write() as connection:
            _check_open(find_campaign(connection, campaign).status)
            ids = list(objects_by_image)
            for start in range(0, len(ids), _BATCH):
                mine = predictions.c.image_id.in_(ids[start : start + _BATCH])
                connection.execute(delete(predictions).where(predictions.c.campaign_id == campaign, mine))
            if rows:
                connection.execute(insert(predictions), rows)

    def list(self, campaign: int, page: Page) -> bytes:
        """Returns the images that have predictions, with these, as JSON; in the order of their ids."""
        mine = predictions.c.campaign_id == campaign
        with self._database.read() as connection:
            find_campaign(connection, campaign)
            total = connection.execute(select(func.count()).select_from(predictions).where(mine)).scalar_one()
            query = select(predictions).where(mine).order_by(predictions.c.image_id)
            rows = connection.execute(query.offset(page.first).limit(page.size)).all()
        listed = [
            {"image_id": row.image_id, "date_predicted": row.date_predicted, "objects": orjson.Fragment(row.objects)}
            for row in rows
        ]
        return orjson.dumps({"images": listed, "pagination": page.as_json(total)})


def predictions_of(connection: Connection, campaign: int, image: int) -> str:
    """Returns the predictions of an image as JSON text."""
    mine = and_(predictions.c.campaign_id == campaign, predictions.c.image_id == image)
    text: str | None = connection.execute(select(predictions.c.objects).where(mine)).scalar()
    return text or "[]"


def _check_open(status: str) -> None:
    if status not in ("created", "active"):
        raise Conflict(
            f"the campaign is {status}: it takes predictions while it is created or active", details={"status": status}
        )
