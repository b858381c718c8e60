"""Campaigns: who labels which images, and where that stands."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from labelwright.domain import InvalidSchema, Label, LabelSchema

from .access import Access, Identity
from .api.errors import Conflict, Invalid, Unknown
from .api.pagination import Page
from .database import Database, campaign_images, campaigns, images, is_text, now

MOVES = {
    "created": frozenset({"active"}),
    "active": frozenset({"completed"}),
    "completed": frozenset({"finished", "active"}),
    "finished": frozenset[str](),
}
"""The contract's arrows; `completed -> active` reopens. Staying is no move, and does no harm."""

_DATES = {"active": "date_started", "completed": "date_completed", "finished": "date_finished"}


@dataclass(frozen=True, slots=True)
class Order:
    """What a campaign is made of. `metadata` is JSON text."""

    title: str
    metadata: str | None
    labeler_email: str
    labels: Sequence[str] | None = None
    instructions: str | None = None
    label_translations: dict[str, dict[str, str]] | None = None


class Campaigns:
    def __init__(self, database: Database, access: Access) -> None:
        self._database = database
        self._access = access

    def create(self, order: Order, who: Identity) -> dict[str, Any]:
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
                "created_by": who.email,
                "date_created": now(),
            }
            connection.execute(insert(campaigns).values(values))
            row = connection.execute(select(campaigns).where(campaigns.c.title == order.title)).one()
        return {"access_token": {"apikey": pair.key, "apisecret": pair.secret}, **told(row)}

    def list(self, title: str | None, page: Page) -> dict[str, Any]:
        condition = is_text(campaigns.c.title, title) if title is not None else campaigns.c.id > 0
        with self._database.read() as connection:
            total = connection.execute(select(func.count()).select_from(campaigns).where(condition)).scalar_one()
            wanted = select(campaigns).where(condition).order_by(campaigns.c.id)
            rows = connection.execute(wanted.offset(page.first).limit(page.size)).all()
        return {"campaigns": [told(row) for row in rows], "pagination": page.told(total)}

    def get(self, campaign: int) -> dict[str, Any]:
        with self._database.read() as connection:
            return told(found(connection, campaign))

    def add_images(self, campaign: int, ids: Sequence[int]) -> None:
        """Those that are in it already stay once. Raises Unknown, naming ids, and adds nothing then."""
        with self._database.write() as connection:
            row = found(connection, campaign)
            unknown = sorted(set(ids) - _known(connection, ids))
            if unknown:
                some = ", ".join(map(str, unknown[:10])) + (", ..." if len(unknown) > 10 else "")
                raise Unknown(f"there is no image {some}; nothing was added", details={"unknown": unknown[:1000]})
            inside = set[int]()
            for some_ids in _some(ids):
                mine = campaign_images.c.campaign_id == campaign
                wanted = select(campaign_images.c.image_id).where(mine, campaign_images.c.image_id.in_(some_ids))
                inside.update(connection.execute(wanted).scalars())
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
            total = found(connection, campaign, who).total
            wanted = (
                select(campaign_images.c.image_id, campaign_images.c.done)
                .where(
                    campaign_images.c.campaign_id == campaign,
                    campaign_images.c.position > page.first,
                    campaign_images.c.position <= page.first + page.size,
                )
                .order_by(campaign_images.c.position)
            )
            rows = connection.execute(wanted).all()
        listed = [{"done": bool(done), "image_id": image, "url": f"/images/{image}"} for image, done in rows]
        return {"images": listed, "pagination": page.told(total)}

    def move(self, campaign: int, wanted: str) -> None:
        """Any change but finishing, which writes a file: see `labels_csv`."""
        with self._database.write() as connection:
            row = found(connection, campaign)
            if check_move(row.status, wanted):
                enter_state(connection, row, wanted)


def check_move(current: str, wanted: str) -> bool:
    """Whether there is anything to do. Raises Conflict for a move that the table does not hold."""
    if wanted == current:
        return False
    if wanted not in MOVES[current]:
        raise Conflict(
            f"a campaign that is {current} cannot become {wanted}", details={"status": current, "new_status": wanted}
        )
    return True


def enter_state(connection: Connection, row: Row[Any], wanted: str) -> None:
    """Set the state and its date; reopening takes back the date of completion, and keeps that of the first start."""
    values: dict[str, Any] = {"status": wanted, "revision": row.revision + 1}
    if wanted == "active" and row.date_started is not None:
        values["date_completed"] = None
    else:
        values[_DATES[wanted]] = now()
    connection.execute(update(campaigns).where(campaigns.c.id == row.id).values(values))


def found(connection: Connection, campaign: int, who: Identity | None = None) -> Row[Any]:
    """The campaign. For a labeler another's does not exist."""
    row = connection.execute(select(campaigns).where(campaigns.c.id == campaign)).one_or_none()
    if row is None or (who is not None and not who.admin and row.labeler_id != who.user_id):
        raise Unknown(f"there is no campaign {campaign}")
    return row


def told(row: Row[Any]) -> dict[str, Any]:
    """As the notebook shows it; what it does not show is there only when it was given."""
    answer = {
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
        answer["labels"] = json.loads(row.labels)
    if row.instructions is not None:
        answer["instructions"] = row.instructions
    return answer


def _check_labels(order: Order) -> None:
    if order.labels is not None:
        try:
            LabelSchema(tuple(Label(name) for name in order.labels))
        except InvalidSchema as error:
            raise Invalid(f"labels: {error}") from None
        for label in order.label_translations or {}:
            if label not in order.labels:
                raise Invalid(f"label_translations: '{label}' is not one of the labels")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _some(ids: Sequence[int]) -> list[list[int]]:
    return [list(ids[start : start + 900]) for start in range(0, len(ids), 900)]


def _known(connection: Connection, ids: Sequence[int]) -> set[int]:
    known: set[int] = set()
    for some in _some(ids):
        known.update(connection.execute(select(images.c.id).where(images.c.id.in_(some))).scalars())
    return known
