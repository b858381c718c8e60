"""Campaigns: their labeler, images, state and progress."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from .access import Access, Identity
from .api.errors import Conflict, Unknown
from .api.pagination import Page
from .database import Database, campaign_images, campaigns, images, is_text, notes, now
from .label_schema import LabelFields, name_faults, names_and_translations, translation_faults
from .reopening import reopened_reasons
from .request_faults import details_of, refuse

MOVES = {
    "created": frozenset({"active"}),
    "active": frozenset({"completed"}),
    "completed": frozenset({"finished", "active"}),
    "finished": frozenset[str](),
}
"""Allowed transitions; `completed -> active` reopens. Setting the current state again does nothing."""

_DATES = {"active": "date_started", "completed": "date_completed", "finished": "date_finished"}


@dataclass(frozen=True, slots=True)
class Order:
    """The values of a new campaign. `metadata` is JSON text."""

    title: str
    metadata: str | None
    labeler_email: str
    labels: Sequence[str] | None = None
    instructions: str | None = None
    label_translations: dict[str, dict[str, str]] | None = None
    label_schema: Sequence[LabelFields] | None = None
    allow_skip: bool = False


class Campaigns:
    def __init__(self, database: Database, access: Access) -> None:
        self._database = database
        self._access = access

    def create(self, order: Order, who: Identity) -> dict[str, Any]:
        if order.label_schema is not None:
            names, translations = names_and_translations(order.label_schema, order.labels)
            order = replace(order, labels=names, label_translations=order.label_translations or translations)
        _check_labels(order)
        with self._database.write() as connection:
            if connection.execute(select(campaigns.c.id).where(campaigns.c.title == order.title)).one_or_none():
                raise Conflict(f"there is a campaign '{order.title}' already", details={"title": order.title})
            labeler_id, pair = self._access.labeler(connection, order.labeler_email)
            values = {
                "title": order.title,
                "metadata": order.metadata,
                "status": "created",
                "labeler_id": labeler_id,
                "labels": _json(list(order.labels)) if order.labels is not None else None,
                "instructions": order.instructions,
                "label_translations": _json(order.label_translations) if order.label_translations else None,
                "label_schema": _json(order.label_schema) if order.label_schema is not None else None,
                "allow_skip": order.allow_skip,
                "created_by": who.email,
                "date_created": now(),
            }
            connection.execute(insert(campaigns).values(values))
            row = connection.execute(select(campaigns).where(campaigns.c.title == order.title)).one()
        return {"access_token": {"apikey": pair.key, "apisecret": pair.secret}, **campaign_json(row)}

    def list(self, title: str | None, page: Page) -> dict[str, Any]:
        condition = is_text(campaigns.c.title, title) if title is not None else campaigns.c.id > 0
        with self._database.read() as connection:
            total = connection.execute(select(func.count()).select_from(campaigns).where(condition)).scalar_one()
            query = select(campaigns).where(condition).order_by(campaigns.c.id)
            rows = connection.execute(query.offset(page.first).limit(page.size)).all()
        return {"campaigns": [campaign_json(row) for row in rows], "pagination": page.as_json(total)}

    def get(self, campaign: int) -> dict[str, Any]:
        with self._database.read() as connection:
            body = campaign_json(find_campaign(connection, campaign))
            if count := unanswered_notes(connection, campaign):
                body["unanswered_notes"] = count
        return body

    def add_images(self, campaign: int, ids: Sequence[int]) -> None:
        """Adds images; those that are in the campaign already are skipped.

        Raises Unknown, naming ids, and then adds nothing."""
        with self._database.write() as connection:
            row = find_campaign(connection, campaign)
            unknown = sorted(set(ids) - _known(connection, ids))
            if unknown:
                shown = ", ".join(map(str, unknown[:10])) + (", ..." if len(unknown) > 10 else "")
                missing = set(unknown)
                places = ((f"body[{n}].id", f"there is no image {id}") for n, id in enumerate(ids) if id in missing)
                details = {"unknown": unknown[:1000], **details_of(places)}
                raise Unknown(f"there is no image {shown}; nothing was added", details=details)
            inside = set[int]()
            for some_ids in _some(ids):
                mine = campaign_images.c.campaign_id == campaign
                query = select(campaign_images.c.image_id).where(mine, campaign_images.c.image_id.in_(some_ids))
                inside.update(connection.execute(query).scalars())
            fresh = [image for image in dict.fromkeys(ids) if image not in inside]
            if not fresh:
                return
            if row.status not in ("created", "active"):
                raise Conflict(
                    f"the campaign is {row.status}: images can be added while it is created or active",
                    details={"status": row.status},
                )
            values = [
                {"campaign_id": campaign, "position": row.total + number, "image_id": image, "done": False}
                for number, image in enumerate(fresh, 1)
            ]
            connection.execute(insert(campaign_images), values)
            grown = {"total": row.total + len(fresh), "revision": row.revision + 1}
            connection.execute(update(campaigns).where(campaigns.c.id == campaign).values(grown))

    def images(self, campaign: int, who: Identity, page: Page) -> dict[str, Any]:
        with self._database.read() as connection:
            total = find_campaign(connection, campaign, who).total
            query = (
                select(campaign_images.c.image_id, campaign_images.c.done)
                .where(
                    campaign_images.c.campaign_id == campaign,
                    campaign_images.c.position > page.first,
                    campaign_images.c.position <= page.first + page.size,
                )
                .order_by(campaign_images.c.position)
            )
            rows = connection.execute(query).all()
            reasons = reopened_reasons(connection, campaign, [image for image, done in rows if not done])
        listed = [
            {"done": bool(done), "image_id": image, "url": f"/images/{image}"}
            | ({"reopened": reasons[image]} if image in reasons else {})
            for image, done in rows
        ]
        return {"images": listed, "pagination": page.as_json(total)}

    def move(self, campaign: int, new_status: str) -> None:
        """Changes the state, except to finished, which writes a file: see `labels_csv`."""
        with self._database.write() as connection:
            row = find_campaign(connection, campaign)
            if check_move(row.status, new_status):
                enter_state(connection, row, new_status)


def check_move(current: str, new_status: str) -> bool:
    """Returns whether the state changes. Raises Conflict for a transition that is not allowed."""
    if new_status == current:
        return False
    if new_status not in MOVES[current]:
        raise Conflict(
            f"a campaign that is {current} cannot become {new_status}",
            details={"status": current, "new_status": new_status},
        )
    return True


def enter_state(connection: Connection, row: Row[Any], new_status: str) -> None:
    """Sets the state and its date; reopening clears the date of completion and keeps that of the first start."""
    values: dict[str, Any] = {"status": new_status, "revision": row.revision + 1}
    if new_status == "active" and row.date_started is not None:
        values["date_completed"] = None
    else:
        values[_DATES[new_status]] = now()
    connection.execute(update(campaigns).where(campaigns.c.id == row.id).values(values))


def find_campaign(connection: Connection, campaign: int, who: Identity | None = None) -> Row[Any]:
    """Returns the campaign's row. Raises Unknown, also for a labeler who is not the campaign's."""
    row = connection.execute(select(campaigns).where(campaigns.c.id == campaign)).one_or_none()
    if row is None or (who is not None and not who.admin and row.labeler_id != who.user_id):
        raise Unknown(f"there is no campaign {campaign}")
    return row


def unanswered_notes(connection: Connection, campaign: int) -> int:
    """Returns the number of notes of the campaign's labeler without an answer."""
    condition = (notes.c.campaign_id == campaign) & notes.c.answer.is_(None)
    return connection.execute(select(func.count()).select_from(notes).where(condition)).scalar_one()


def campaign_json(row: Row[Any]) -> dict[str, Any]:
    """Returns a campaign as the user's notebook shows it; optional fields only where they were set."""
    body: dict[str, Any] = {
        "campaign_id": row.id,
        "created_by": row.created_by,
        "date_completed": row.date_completed,
        "date_created": row.date_created,
        "date_finished": row.date_finished,
        "date_started": row.date_started,
        "label_translations": json.loads(row.label_translations) if row.label_translations else None,
        "metadata": json.loads(row.metadata) if row.metadata else None,
        "progress": {"done": row.done, "total": row.total},
        "status": row.status,
        "title": row.title,
    }
    if row.labels is not None:
        body["labels"] = json.loads(row.labels)
    if row.instructions is not None:
        body["instructions"] = row.instructions
    if row.allow_skip:
        body["allow_skip"] = True
        body["progress"]["skipped"] = row.skipped
    if row.label_schema is not None:
        body["label_schema"] = json.loads(row.label_schema)
    return body


def _check_labels(order: Order) -> None:
    if order.labels is not None:
        refuse(name_faults(order.labels), "labels: {problem}")
        refuse(translation_faults(order.labels, order.label_translations or {}), "label_translations: {problem}")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _some(ids: Sequence[int]) -> list[list[int]]:
    return [list(ids[start : start + 900]) for start in range(0, len(ids), 900)]


def _known(connection: Connection, ids: Sequence[int]) -> set[int]:
    existing: set[int] = set()
    for batch in _some(ids):
        existing.update(connection.execute(select(images.c.id).where(images.c.id.in_(batch))).scalars())
    return existing
