"""Notes of labelers to whoever ordered the labels, about an image or one of its shapes, and the answers."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, Row, and_, func, insert, select, update

from .access import Identity
from .api.errors import Conflict, Unknown
from .api.pagination import Page
from .campaigns import find_campaign
from .database import Database, campaign_images, images, notes, now

MOST_NOTES = 100
"""Of one image in one campaign."""


class Notes:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, campaign: int, image: int, text: str, shape: dict[str, Any] | None, who: Identity) -> dict[str, Any]:
        """Adds a note and returns it. The same note again, before it is answered, is the one that is there.

        Raises Unknown; Conflict when the image has too many.
        """
        shape_text = None if shape is None else json.dumps(shape, ensure_ascii=False, sort_keys=True)
        of_image = and_(notes.c.campaign_id == campaign, notes.c.image_id == image)
        with self._database.write() as connection:
            find_campaign(connection, campaign, who)
            mine = and_(campaign_images.c.campaign_id == campaign, campaign_images.c.image_id == image)
            if connection.execute(select(campaign_images.c.position).where(mine)).one_or_none() is None:
                raise Unknown(f"there is no image {image} in campaign {campaign}")
            existing = connection.execute(_with_names().where(of_image)).all()
            for row in existing:
                if (row.text, row.shape, row.author, row.answer) == (text, shape_text, who.email, None):
                    return _note_json(row)
            if len(existing) >= MOST_NOTES:
                raise Conflict(f"image {image} has {len(existing)} notes: that is the most")
            values = {
                "campaign_id": campaign,
                "image_id": image,
                "shape": shape_text,
                "text": text,
                "author": who.email,
                "date_created": now(),
            }
            connection.execute(insert(notes).values(values))
            newest = connection.execute(_with_names().where(of_image).order_by(notes.c.id.desc()).limit(1)).one()
            return _note_json(newest)

    def list(self, campaign: int, page: Page, who: Identity, *, open_only: bool) -> dict[str, Any]:
        """Returns a page of the campaign's notes, the oldest first."""
        condition = notes.c.campaign_id == campaign
        if open_only:
            condition = and_(condition, notes.c.answer.is_(None))
        with self._database.read() as connection:
            find_campaign(connection, campaign, who)
            total = connection.execute(select(func.count()).select_from(notes).where(condition)).scalar_one()
            query = _with_names().where(condition).order_by(notes.c.id).offset(page.first).limit(page.size)
            rows = connection.execute(query).all()
        return {"notes": [_note_json(row) for row in rows], "pagination": page.as_json(total)}

    def answer(self, campaign: int, note: int, text: str, who: Identity) -> dict[str, Any]:
        """Answers a note and returns it. Another answer replaces the first."""
        mine = and_(notes.c.campaign_id == campaign, notes.c.id == note)
        with self._database.write() as connection:
            find_campaign(connection, campaign, who)
            row = connection.execute(_with_names().where(mine)).one_or_none()
            if row is None:
                raise Unknown(f"there is no note {note} in campaign {campaign}")
            if row.answer != text:
                values = {"answer": text, "answered_by": who.email, "date_answered": now()}
                connection.execute(update(notes).where(mine).values(values))
            return _note_json(connection.execute(_with_names().where(mine)).one())


def notes_of_image(connection: Connection, campaign: int, image: int) -> list[dict[str, Any]]:
    """Returns the notes about an image, the oldest first."""
    mine = and_(notes.c.campaign_id == campaign, notes.c.image_id == image)
    return [_note_json(row) for row in connection.execute(_with_names().where(mine).order_by(notes.c.id))]


def counted_notes(connection: Connection, campaign: int) -> dict[int, tuple[int, int]]:
    """Returns the number of notes and of answers, for each image that has notes."""
    query = (
        select(notes.c.image_id, func.count().label("all"), func.count(notes.c.answer).label("answered"))
        .where(notes.c.campaign_id == campaign)
        .group_by(notes.c.image_id)
    )
    return {row[0]: (row[1], row[2]) for row in connection.execute(query)}


def _with_names() -> Any:
    return select(notes, images.c.file_name).join(images, images.c.id == notes.c.image_id)


def _note_json(row: Row[Any]) -> dict[str, Any]:
    return {
        "note_id": row.id,
        "image_id": row.image_id,
        "file_name": row.file_name,
        "shape": None if row.shape is None else json.loads(row.shape),
        "text": row.text,
        "author": row.author,
        "date_created": row.date_created,
        "answer": row.answer,
        "answered_by": row.answered_by,
        "date_answered": row.date_answered,
    }
