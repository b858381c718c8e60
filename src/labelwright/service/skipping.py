"""Images that labelers skip, each with a reason, in campaigns that allow it.

A skipped image is done and has no objects, and is told apart from an empty one everywhere. It is labeled, or empty,
when objects are submitted for it later.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, and_, delete, insert, select, update

from .access import Identity
from .api.errors import Conflict, Unknown
from .campaigns import enter_state, find_campaign
from .database import Database, campaign_images, campaigns, now, reopened_images, skipped_images
from .skipped_images import count_skipped, delete_skipped


class Skipping:
    def __init__(self, database: Database) -> None:
        self._database = database

    def skip(self, campaign: int, image: int, reason: str, who: Identity, check: Callable[[Connection], None]) -> None:
        """Skips an image. Idempotent; another reason replaces the first. The last image completes the campaign.

        `check` is called in the transaction that writes, before it does. Raises Unknown; Conflict when the campaign is
        not active, or does not allow it.
        """
        with self._database.write() as connection:
            row = find_campaign(connection, campaign, who)
            if not row.allow_skip:
                raise Conflict("no image of this campaign may be skipped: label it, or say that it is empty")
            if row.status != "active":
                raise Conflict(f"the campaign is {row.status}, not active", details={"status": row.status})
            mine = and_(campaign_images.c.campaign_id == campaign, campaign_images.c.image_id == image)
            entry = connection.execute(select(campaign_images.c.done).where(mine)).one_or_none()
            if entry is None:
                raise Unknown(f"there is no image {image} in campaign {campaign}")
            check(connection)
            values = {"done": True, "objects": "[]", "date_labeled": now(), "labeled_by": who.email}
            connection.execute(update(campaign_images).where(mine).values(values))
            delete_skipped(connection, campaign, [image])
            connection.execute(insert(skipped_images).values(campaign_id=campaign, image_id=image, reason=reason))
            reopened = and_(reopened_images.c.campaign_id == campaign, reopened_images.c.image_id == image)
            connection.execute(delete(reopened_images).where(reopened))
            done = row.done + (0 if entry.done else 1)
            grown = {"done": done, "skipped": count_skipped(connection, campaign), "revision": row.revision + 1}
            connection.execute(update(campaigns).where(campaigns.c.id == campaign).values(grown))
            if done == row.total:
                enter_state(connection, row, "completed")
