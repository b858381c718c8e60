"""Counts of the shapes that are left out or changed, by campaign and reason, as the labels were last read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import delete, insert, select

from labelwright.domain import LeftOutCounts

from . import tables as t
from .database import Database


class LeftOut:
    """Counts by campaign. The details are in the campaign's folder, on the machine that read the labels."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, title: str, counts: LeftOutCounts) -> None:
        """Replaces what was recorded for the campaign. Idempotent."""
        rows = [
            {"campaign": title, "kind": kind, "reason": reason, "number": number}
            for kind, reason, number in counts.rows()
        ]
        with self._database.write() as connection:
            connection.execute(delete(t.left_out).where(t.left_out.c.campaign == title))
            if rows:
                connection.execute(insert(t.left_out), rows)

    def find(self, title: str) -> LeftOutCounts:
        """The campaign's counts; empty when nothing is left out, or no labels were read yet."""
        return self.of_many([title]).get(title, LeftOutCounts())

    def of_many(self, titles: Sequence[str]) -> dict[str, LeftOutCounts]:
        """The counts by title; campaigns without any are missing."""
        rows_by_title: dict[str, list[tuple[str, str, int]]] = defaultdict(list)
        with self._database.read() as connection:
            for first in range(0, len(titles), 500):
                query = select(t.left_out).where(t.left_out.c.campaign.in_(titles[first : first + 500]))
                for row in connection.execute(query):
                    rows_by_title[row.campaign].append((row.kind, row.reason, row.number))
        return {title: LeftOutCounts.from_rows(rows) for title, rows in rows_by_title.items()}
