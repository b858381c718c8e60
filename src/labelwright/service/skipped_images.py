"""The marks of skipped images: see `skipping`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select

from .database import skipped_images

_BATCH = 900


def skipped_reasons(connection: Connection, campaign: Row[Any], ids: Sequence[int]) -> dict[int, str]:
    """Returns the reasons of those of these images that are skipped."""
    reasons: dict[int, str] = {}
    if not campaign.skipped:
        return reasons
    for start in range(0, len(ids), _BATCH):
        batch = skipped_images.c.image_id.in_(ids[start : start + _BATCH])
        query = select(skipped_images.c.image_id, skipped_images.c.reason)
        rows = connection.execute(query.where(skipped_images.c.campaign_id == campaign.id, batch))
        reasons.update((row.image_id, row.reason) for row in rows)
    return reasons


def forget_skipped(connection: Connection, campaign: Row[Any], ids: Sequence[int]) -> int:
    """Deletes the marks of images that are not skipped any more. Returns how many are left in the campaign."""
    if not campaign.skipped:
        return 0
    delete_skipped(connection, campaign.id, ids)
    return count_skipped(connection, campaign.id)


def delete_skipped(connection: Connection, campaign: int, ids: Sequence[int]) -> None:
    for start in range(0, len(ids), _BATCH):
        batch = skipped_images.c.image_id.in_(ids[start : start + _BATCH])
        connection.execute(delete(skipped_images).where(skipped_images.c.campaign_id == campaign, batch))


def count_skipped(connection: Connection, campaign: int) -> int:
    query = select(func.count()).select_from(skipped_images).where(skipped_images.c.campaign_id == campaign)
    return int(connection.execute(query).scalar_one())
