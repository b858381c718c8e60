"""Gives images back to their labeler: they are not done until they are submitted again, and keep their objects.

A completed or finished campaign is active afterwards. It completes when the last reopened image was submitted; all
other images stay done, with their objects as they were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, func, insert, select, update

from .api.errors import Conflict, Invalid, Unknown
from .database import Database, campaign_images, campaigns, now, reopened_images
from .request_faults import details_of
from .skipped_images import forget_skipped

_BATCH = 900


class Reopening:
    def __init__(self, database: Database) -> None:
        self._database = database

    def reopen(self, campaign: int, reasons: Mapping[int, str]) -> None:
        """Reopens these images, each with a reason for its labeler ("" for none); all or none.

        Without any image the campaign alone is active again, as by its change of state. Images that were never
        submitted stay as they are. Raises Unknown; Conflict when the campaign was never active; Invalid naming images
        that are not in it.
        """
        with self._database.write() as connection:
            row = connection.execute(select(campaigns).where(campaigns.c.id == campaign)).one_or_none()
            if row is None:
                raise Unknown(f"there is no campaign {campaign}")
            if row.status == "created":
                raise Conflict("the campaign is created: it has no labels yet", details={"status": row.status})
            submitted = _submitted(connection, campaign, list(reasons))
            for batch in _batches(list(reasons)):
                mine = and_(campaign_images.c.campaign_id == campaign, campaign_images.c.image_id.in_(batch))
                connection.execute(update(campaign_images).where(mine).values(done=False))
            forget_reopened(connection, campaign, list(submitted))
            skipped = forget_skipped(connection, row, list(reasons))
            rows = [
                {"campaign_id": campaign, "image_id": image, "reason": reasons[image]}
                for image in reasons
                if image in submitted
            ]
            if rows:
                connection.execute(insert(reopened_images), rows)
            _return_to_labelers(connection, row, skipped)


def reopened_reasons(connection: Connection, campaign: int, ids: Sequence[int]) -> dict[int, str]:
    """Returns the reasons of those of these images that are reopened and not submitted again yet."""
    reasons: dict[int, str] = {}
    for batch in _batches(ids):
        mine = and_(reopened_images.c.campaign_id == campaign, reopened_images.c.image_id.in_(batch))
        query = select(reopened_images.c.image_id, reopened_images.c.reason).where(mine)
        reasons.update((row.image_id, row.reason) for row in connection.execute(query))
    return reasons


def forget_reopened(connection: Connection, campaign: int, ids: Sequence[int]) -> None:
    """Deletes the marks of images that were submitted again."""
    for batch in _batches(ids):
        mine = and_(reopened_images.c.campaign_id == campaign, reopened_images.c.image_id.in_(batch))
        connection.execute(delete(reopened_images).where(mine))


def _return_to_labelers(connection: Connection, row: Row[Any], skipped: int) -> None:
    """Sets the campaign to active and counts anew what is done. The date of the first start stays."""
    is_done = and_(campaign_images.c.campaign_id == row.id, campaign_images.c.done.is_(True))
    done = connection.execute(select(func.count()).select_from(campaign_images).where(is_done)).scalar_one()
    values = {
        "status": "active",
        "done": done,
        "skipped": skipped,
        "date_started": row.date_started or now(),
        "date_completed": None,
        "date_finished": None,
        "revision": row.revision + 1,
    }
    if (row.status, row.done) != ("active", done):
        connection.execute(update(campaigns).where(campaigns.c.id == row.id).values(values))


def _submitted(connection: Connection, campaign: int, ids: Sequence[int]) -> set[int]:
    """Returns those of these images that were submitted at least once. Raises Invalid for images of no campaign."""
    inside: set[int] = set()
    submitted: set[int] = set()
    for batch in _batches(ids):
        mine = and_(campaign_images.c.campaign_id == campaign, campaign_images.c.image_id.in_(batch))
        query = select(campaign_images.c.image_id, campaign_images.c.date_labeled).where(mine)
        for row in connection.execute(query):
            inside.add(row.image_id)
            if row.date_labeled is not None:
                submitted.add(row.image_id)
    unknown = sorted(set(ids) - inside)
    if unknown:
        shown = ", ".join(map(str, unknown[:10])) + (", ..." if len(unknown) > 10 else "")
        places = (
            (f"body[{number}].image_id", f"campaign {campaign} has no image {image}")
            for number, image in enumerate(ids)
            if image not in inside
        )
        details = {"unknown": unknown[:1000], **details_of(places)}
        raise Invalid(f"campaign {campaign} has no image {shown}; nothing was reopened", details=details)
    return submitted


def _batches(ids: Sequence[int]) -> list[list[int]]:
    return [list(ids[start : start + _BATCH]) for start in range(0, len(ids), _BATCH)]
