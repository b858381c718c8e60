"""Who labeled objects, when and how, in columns: a row of numbers for each object, with names in a table.

A page has these rows only when something is known of one of its objects. What is not known is -1, the lowest integer or
NaN, by the column's type.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np

from labelwright.domain import UNKNOWN, Origin, Provenance

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROW = np.dtype([("labeler", "<i4"), ("origin", "<i4"), ("created", "<i8"), ("changed", "<i8"), ("seconds", "<f8")])
"""Of one object: indices into the tables of labelers and of ORIGINS, microseconds since 1970 in UTC, and a duration."""

ORIGINS = (Origin.PERSON, Origin.PREDICTION, Origin.CORRECTED)
"""Stored by position: a new one goes to the end."""

NO_NAME, NO_TIME = -1, int(np.iinfo(np.int64).min)
_UNKNOWN_ROW = (NO_NAME, NO_NAME, NO_TIME, NO_TIME, float("nan"))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(moment: datetime | None) -> int | None:
    """Microseconds since 1970."""
    return None if moment is None else (moment - _EPOCH) // _MICROSECOND


def moment_of(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else _EPOCH + timedelta(microseconds=microseconds)


def unknown_rows(count: int) -> NDArray[Any]:
    rows = np.empty(count, dtype=ROW)
    rows[:] = _UNKNOWN_ROW
    return rows


def to_row(provenance: Provenance, labelers: dict[str, int]) -> tuple[int, int, int, int, float]:
    """The row of an object. Adds its labeler to the table."""
    created, changed = microseconds(provenance.created_at), microseconds(provenance.changed_at)
    return (
        NO_NAME if provenance.labeler is None else labelers.setdefault(provenance.labeler, len(labelers)),
        NO_NAME if provenance.origin is None else ORIGINS.index(provenance.origin),
        NO_TIME if created is None else created,
        NO_TIME if changed is None else changed,
        float("nan") if provenance.seconds is None else provenance.seconds,
    )


def from_row(row: Sequence[Any], labelers: Sequence[str]) -> Provenance:
    """In `row`, None stands for an unknown duration too: JSON has no NaN."""
    labeler, origin, created, changed, seconds = row
    return Provenance(
        labeler=None if labeler < 0 else labelers[labeler],
        created_at=None if created == NO_TIME else moment_of(created),
        changed_at=None if changed == NO_TIME else moment_of(changed),
        seconds=None if seconds is None or isnan(seconds) else seconds,
        origin=None if origin < 0 else ORIGINS[origin],
    )


class ProvenanceRows:
    """Collects the rows of a page: only those of objects of which something is known."""

    def __init__(self, labelers: dict[str, int]) -> None:
        self._labelers = labelers
        self._rows: dict[int, tuple[int, int, int, int, float]] = {}
        self._of_image: tuple[Provenance, tuple[int, int, int, int, float]] | None = None

    def add(self, index: int, provenance: Provenance) -> None:
        """The provenance of the page's object number `index`, from 0."""
        if self._of_image is None or self._of_image[0] is not provenance:
            self._of_image = provenance, to_row(provenance, self._labelers)  # neighbours often share one
        self._rows[index] = self._of_image[1]

    def block(self, objects: int) -> bytes:
        """The bytes of the page's rows; empty when nothing is known."""
        if not self._rows:
            return b""
        rows = unknown_rows(objects)
        rows[list(self._rows)] = list(self._rows.values())
        return rows.tobytes()


class ProvenanceReader:
    """Makes provenances of rows; objects with equal rows share one."""

    def __init__(self, labelers: Sequence[str]) -> None:
        self._labelers = labelers
        self._made: dict[tuple[Any, ...], Provenance] = {}

    def read(self, data: bytes) -> list[Provenance]:
        return [self.of(row) for row in np.frombuffer(data, dtype=ROW).tolist()]

    def of(self, row: Iterable[Any]) -> Provenance:
        values = tuple(row)
        key = (*values[:4], None if values[4] is None or isnan(values[4]) else values[4])  # NaN equals nothing
        provenance = self._made.get(key)
        if provenance is None:
            provenance = from_row(key, self._labelers)
            self._made[key] = provenance = UNKNOWN if provenance == UNKNOWN else provenance
        return provenance


@dataclass(frozen=True)
class ProvenanceColumns:
    """Of the objects of a batch."""

    rows: NDArray[Any]
    """An array of ROW; its labelers are indices into `labelers`."""
    labelers: Sequence[str]
    """Of the whole delivery."""

    def select(self, mask: NDArray[np.bool_]) -> ProvenanceColumns:
        return ProvenanceColumns(self.rows[mask], self.labelers)

    @cached_property
    def labeled_at(self) -> NDArray[np.int64]:
        """Microseconds since 1970 of the last change, or else of the creation; NO_TIME where neither is known."""
        changed = self.rows["changed"]
        moments: NDArray[np.int64] = np.where(changed == NO_TIME, self.rows["created"], changed)
        return moments


def delivery_codes(labelers: Sequence[str], of_delivery: dict[str, int]) -> NDArray[np.int32]:
    """Translates a page's labelers into those of the delivery; its last element is for -1."""
    return np.array([of_delivery.setdefault(name, len(of_delivery)) for name in labelers] + [NO_NAME], dtype=np.int32)


def labelers_of(index: Mapping[str, Any]) -> list[str]:
    """The table of labelers of a page; pages of earlier versions have none."""
    labelers: list[str] = index.get("labelers", [])
    return labelers
