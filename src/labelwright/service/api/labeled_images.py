"""An image of a campaign with its labels as they are stored, and their revision."""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy import Connection, Row, and_, select

from labelwright.service.access import Identity
from labelwright.service.campaigns import find_campaign
from labelwright.service.database import campaign_images, images, skipped_images

from .errors import ServiceError, Unknown


class Stale(ServiceError):
    """The stored objects changed since the writer read them."""

    status = 412


def stale(image: int, row: Row[Any]) -> Stale:
    return Stale(
        "other objects were stored for this image since you opened it",
        details={"image_id": image, "revision": revision_of(row)},
    )


def revision_of(row: Row[Any]) -> str:
    """Returns the revision of an image's labels: a hash of its stored objects, "none" before it is labeled.

    Reopening an image does not change it.
    """
    if row.objects is None:
        return "none"
    if row.skipped is not None:
        return hashlib.sha256(f"skipped {row.skipped}".encode()).hexdigest()[:32]
    return hashlib.sha256((row.objects or "").encode()).hexdigest()[:32]


def find_image(connection: Connection, campaign: int, image: int, who: Identity) -> Row[Any]:
    """Returns an image of the campaign as it is stored. Raises Unknown, also for other labelers' campaigns."""
    find_campaign(connection, campaign, who)
    query = (
        select(
            campaign_images.c.done,
            campaign_images.c.objects,
            images.c.file_name,
            images.c.blob,
            images.c.filetype,
            images.c.width,
            images.c.height,
            skipped_images.c.reason.label("skipped"),
        )
        .join(images, images.c.id == campaign_images.c.image_id)
        .outerjoin(
            skipped_images,
            and_(
                skipped_images.c.campaign_id == campaign_images.c.campaign_id,
                skipped_images.c.image_id == campaign_images.c.image_id,
            ),
        )
        .where(and_(campaign_images.c.campaign_id == campaign, campaign_images.c.image_id == image))
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        raise Unknown(f"there is no image {image} in campaign {campaign}")
    return row
