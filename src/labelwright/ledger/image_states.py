"""Images that will not be labeled without somebody's action: failed, cancelled, skipped, deleted.

A row for each campaign and state, with the number of images and the first of them, as of the last time that progress or
labels were read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import delete, insert, select
from sqlalchemy.engine import Connection

from labelwright.domain import ImageState

from . import tables as t
from .database import Database

FAILED, CANCELLED = ImageState.FAILED.value, ImageState.CANCELLED.value
"""States of images that could not be labeled."""

LISTED = 1000
"""Images of a state that are kept by name."""

Images: TypeAlias = Sequence[tuple[str, str]]
"""Name and reason of each."""


class ImageStates:
    """Images of campaigns, by state."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, title: str, images: Mapping[str, Images], *, only: Iterable[str]) -> None:
        """Replaces the records of the states `only` by these images. Idempotent."""
        states = list(only)
        rows = [_row(title, state, len(images[state]), images[state]) for state in states if images.get(state)]
        with self._database.write() as connection:
            _replace(connection, title, states, rows)

    def record_counts(self, title: str, counts: Mapping[str, int]) -> bool:
        """Records the number of images in each state, where names are not known; 0 deletes the state.

        Recorded names stay while their number is right. Returns whether anything changed.
        """
        kept = self.counts([title]).get(title, {})
        changed = {state: count for state, count in counts.items() if kept.get(state, 0) != count}
        if changed:
            rows = [_row(title, state, count, ()) for state, count in changed.items() if count]
            with self._database.write() as connection:
                _replace(connection, title, list(changed), rows)
        return bool(changed)

    def counts(self, titles: Sequence[str] | None = None) -> dict[str, dict[str, int]]:
        """The number of images in each state, by campaign; None: of all campaigns. Those without any are missing."""
        columns = (t.image_states.c.campaign, t.image_states.c.state, t.image_states.c.images)
        counts: dict[str, dict[str, int]] = {}
        with self._database.read() as connection:
            for chunk in [None] if titles is None else [titles[at : at + 500] for at in range(0, len(titles), 500)]:
                query = select(*columns).order_by(t.image_states.c.campaign, t.image_states.c.state)
                query = query if chunk is None else query.where(t.image_states.c.campaign.in_(chunk))
                for row in connection.execute(query):
                    counts.setdefault(row.campaign, {})[row.state] = row.images
        return counts

    def images(self, title: str) -> dict[str, list[tuple[str, str]]]:
        """Name and reason of images by state, at most LISTED of each."""
        query = select(t.image_states).where(t.image_states.c.campaign == title).order_by(t.image_states.c.state)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return {row.state: [(name, reason) for name, reason in row.listed] for row in rows}


def _row(title: str, state: str, count: int, images: Images) -> dict[str, Any]:
    listed = [t.encodable_json([name, reason]) for name, reason in images[:LISTED]]
    return {"campaign": title, "state": state, "images": count, "listed": listed}


def _replace(connection: Connection, title: str, states: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
    # The campaign's row is locked: two transactions at once would both insert.
    connection.execute(select(t.campaigns.c.title).where(t.campaigns.c.title == title).with_for_update(key_share=True))
    connection.execute(
        delete(t.image_states).where(t.image_states.c.campaign == title, t.image_states.c.state.in_(states))
    )
    if rows:
        connection.execute(insert(t.image_states), list(rows))
