"""Who made an annotation, when, in how many seconds, and whether a prediction was its beginning."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from math import isfinite


class Origin(StrEnum):
    """How an annotation came to be."""

    PERSON = "person"
    """Drawn by a person."""
    PREDICTION = "prediction"
    """Made by a model or a tool, and not changed by anybody since."""
    CORRECTED = "corrected"
    """A prediction that a person changed or confirmed object by object."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Who made an annotation, when and how. A field is None where the platform does not report it.

    Many annotations may share one: those of a job that has one labeler, for example. Times are kept in UTC.
    """

    labeler: str | None = None
    """E-mail address, or the platform's own name of the person."""
    created_at: datetime | None = None
    changed_at: datetime | None = None
    """When it was changed last."""
    seconds: float | None = None
    """Time that the labeler spent on it."""
    origin: Origin | None = None
    model_version: str | None = None
    """Of the model that predicted it; where the origin is PREDICTION or CORRECTED."""

    def __post_init__(self) -> None:
        if self.model_version is not None and self.origin not in (Origin.PREDICTION, Origin.CORRECTED):
            raise ValueError(f"a model's version is for predictions, and this is {self.origin or 'of no known origin'}")
        if self.model_version == "":
            object.__setattr__(self, "model_version", None)
        if self.labeler == "":
            object.__setattr__(self, "labeler", None)
        if self.created_at is not None:
            object.__setattr__(self, "created_at", in_utc(self.created_at))
        if self.changed_at is not None:
            object.__setattr__(self, "changed_at", in_utc(self.changed_at))
        if self.seconds is not None:
            object.__setattr__(self, "seconds", checked_seconds(self.seconds))

    @property
    def labeled_at(self) -> datetime | None:
        """When it was changed last, or else created."""
        return self.changed_at if self.changed_at is not None else self.created_at


def in_utc(moment: datetime | None) -> datetime | None:
    """The moment in UTC. Raises ValueError for one without a time zone."""
    if moment is None or moment.tzinfo is UTC:
        return moment
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone")
    return moment.astimezone(UTC)


def checked_seconds(seconds: float | None) -> float | None:
    """Raises ValueError for a duration that is negative, infinite or NaN."""
    if seconds is None:
        return None
    if not (isfinite(seconds) and seconds >= 0):
        raise ValueError(f"a duration is a number of seconds from 0, not {seconds}")
    return float(seconds)


UNKNOWN = Provenance()
"""Of an annotation of which the platform reports nothing."""
