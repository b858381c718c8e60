"""Pagination by page number, as in the user's notebook: `next` and `prev` are page numbers, or null at the ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from labelwright.service.config import Limits

from .errors import Invalid

_FAR = 2**31 - 1
"""More than there is of anything; Postgres skips no more rows than that at a time."""


@dataclass(frozen=True, slots=True)
class Page:
    number: int
    size: int

    @property
    def first(self) -> int:
        """Number of items before this page."""
        return min((self.number - 1) * self.size, _FAR)

    def as_json(self, total: int) -> dict[str, Any]:
        """Returns the `pagination` of a response. A page beyond the last is empty; its `prev` is the last."""
        pages = -(-total // self.size)
        return {
            "next": self.number + 1 if self.number < pages else None,
            "page": self.number,
            "pages": pages,
            "per_page": self.size,
            "prev": min(self.number - 1, pages) or None,
            "total": total,
        }


def page_of(number: int, size: int | None, limits: Limits) -> Page:
    per_page = limits.per_page_default if size is None else size
    if per_page > limits.per_page:
        raise Invalid(f"per_page is at most {limits.per_page}, not {per_page}")
    return Page(number, per_page)
