"""Collects everything that is wrong with one request, each fault with its place in the body."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .api.errors import Invalid

FAULTS_LISTED = 100
"""Of one request, in `details.faults`; `details.count` counts all."""

PLACES_LISTED = 10_000
"""In `details.places`, which names the place of every fault."""


class RequestFaults:
    """Faults in the order in which they are found: the first ones in full, the places of all, and their number."""

    def __init__(self) -> None:
        self._listed: list[dict[str, Any]] = []
        self._places: list[str] = []
        self._count = 0

    def add(self, where: str, problem: str, **known: Any) -> None:
        """where: the place in the body, such as `body[3].objects[0].label`. known: further members of the fault."""
        self._count += 1
        if len(self._listed) < FAULTS_LISTED:
            self._listed.append({**known, "where": where, "problem": problem})
        if len(self._places) < PLACES_LISTED:
            self._places.append(where)

    def __bool__(self) -> bool:
        return bool(self._count)

    @property
    def first(self) -> dict[str, Any]:
        return self._listed[0]

    def details(self) -> dict[str, Any]:
        return {"faults": self._listed, "count": self._count, "places": self._places}


def details_of(faults: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The details of an error response for pairs of place and problem."""
    collected = RequestFaults()
    for where, problem in faults:
        collected.add(where, problem)
    return collected.details()


def refuse(faults: Iterable[tuple[str, str]], message: str = "{problem}") -> None:
    """Raises Invalid with the first of pairs of place and problem, and all of them in its details."""
    listed = list(faults)
    if listed:
        raise Invalid(message.format(problem=listed[0][1]), details=details_of(listed))
