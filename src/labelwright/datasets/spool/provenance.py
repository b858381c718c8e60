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
"""Of one object: indices into the tables of labelers and of origins, microseconds since 1970 in UTC, and a duration."""

ORIGINS = (Origin.PERSON, Origin.PREDICTION, Origin.CORRECTED)
"""How a table of origins begins; stored by position. Behind them are those of a known model."""

Source = tuple[Origin, str]
"""An origin and the version of the model, which is empty where there is none or none is known."""

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


class NameTables:
    """The tables that rows refer to: labelers, and origins with models' versions."""

    def __init__(self) -> None:
        self.labelers: dict[str, int] = {}
        self.sources: dict[Source, int] = {(origin, ""): number for number, origin in enumerate(ORIGINS)}

    @property
    def with_models(self) -> list[Source]:
        """Those behind ORIGINS, as they are stored."""
        return list(self.sources)[len(ORIGINS) :]

    def labeler(self, name: str | None) -> int:
        return NO_NAME if name is None else self.labelers.setdefault(name, len(self.labelers))

    def source(self, origin: Origin | None, model_version: str | None) -> int:
        if origin is None:
            return NO_NAME
        return self.sources.setdefault((origin, model_version or ""), len(self.sources))


def to_row(provenance: Provenance, tables: NameTables) -> tuple[int, int, int, int, float]:
    """The row of an object. Adds its labeler and its origin to the tables."""
    created, changed = microseconds(provenance.created_at), microseconds(provenance.changed_at)
    return (
        tables.labeler(provenance.labeler),
        tables.source(provenance.origin, provenance.model_version),
        NO_TIME if created is None else created,
        NO_TIME if changed is None else changed,
        float("nan") if provenance.seconds is None else provenance.seconds,
    )


def from_row(row: Sequence[Any], labelers: Sequence[str], sources: Sequence[Source]) -> Provenance:
    """In `row`, None stands for an unknown duration too: JSON has no NaN."""
    labeler, source, created, changed, seconds = row
    origin, model_version = (None, None) if source < 0 else sources[source]
    return Provenance(
        labeler=None if labeler < 0 else labelers[labeler],
        created_at=None if created == NO_TIME else moment_of(created),
        changed_at=None if changed == NO_TIME else moment_of(changed),
        seconds=None if seconds is None or isnan(seconds) else seconds,
        origin=origin,
        model_version=model_version or None,
    )


class ProvenanceRows:
    """Collects the rows of a page: only those of objects of which something is known."""

    def __init__(self, tables: NameTables) -> None:
        self._tables = tables
        self._runs: list[tuple[int, int, Provenance]] = []
        """Objects from one to before another that share a provenance, as neighbours often do."""

    def add(self, index: int, provenance: Provenance, objects: int = 1) -> None:
        """The provenance of so many of the page's objects from number `index` (from 0), in ascending order."""
        first, end = index, index + objects
        if self._runs and self._runs[-1][1] == index and self._runs[-1][2] is provenance:
            first = self._runs.pop()[0]
        self._runs.append((first, end, provenance))

    def block(self, objects: int) -> bytes:
        """The bytes of the page's rows; empty when nothing is known."""
        if not self._runs:
            return b""
        of_runs = np.empty(len(self._runs), dtype=ROW)
        columns = zip(*(to_row(provenance, self._tables) for _, _, provenance in self._runs), strict=True)
        for name, column in zip(ROW.names or (), columns, strict=True):
            of_runs[name] = column
        firsts, ends = np.array([run[:2] for run in self._runs]).T
        known = np.zeros(objects + 1, dtype=np.int8)
        known[firsts] += 1
        known[ends] -= 1
        rows = unknown_rows(objects)
        rows[np.cumsum(known[:-1]) > 0] = np.repeat(of_runs, ends - firsts)
        return rows.tobytes()


class ProvenanceReader:
    """Makes provenances of rows; objects with equal rows share one."""

    def __init__(self, labelers: Sequence[str], sources: Sequence[Source]) -> None:
        self._labelers = labelers
        self._sources = sources
        self._made: dict[tuple[Any, ...], Provenance] = {}

    def read(self, data: bytes) -> list[Provenance]:
        return [self.of(row) for row in np.frombuffer(data, dtype=ROW).tolist()]

    def of(self, row: Iterable[Any]) -> Provenance:
        values = tuple(row)
        key = (*values[:4], None if values[4] is None or isnan(values[4]) else values[4])  # NaN equals nothing
        provenance = self._made.get(key)
        if provenance is None:
            provenance = from_row(key, self._labelers, self._sources)
            self._made[key] = provenance = UNKNOWN if provenance == UNKNOWN else provenance
        return provenance


@dataclass(frozen=True)
class ProvenanceColumns:
    """Of the objects of a batch."""

    rows: NDArray[Any]
    """An array of ROW; its labelers are indices into `labelers`, its origins into `sources`."""
    labelers: Sequence[str]
    sources: Sequence[Source]
    """Of the whole delivery, as the labelers."""

    def select(self, mask: NDArray[np.bool_]) -> ProvenanceColumns:
        return ProvenanceColumns(self.rows[mask], self.labelers, self.sources)

    def reader(self) -> ProvenanceReader:
        """Makes provenances of the rows."""
        return ProvenanceReader(self.labelers, self.sources)

    @cached_property
    def labeled_at(self) -> NDArray[np.int64]:
        """Microseconds since 1970 of the last change, or else of the creation; NO_TIME where neither is known."""
        changed = self.rows["changed"]
        moments: NDArray[np.int64] = np.where(changed == NO_TIME, self.rows["created"], changed)
        return moments


def labeler_codes(labelers: Sequence[str], of_delivery: NameTables) -> NDArray[np.int32]:
    """Translates a page's labelers into those of the delivery; its last element is for -1."""
    return np.array([*map(of_delivery.labeler, labelers), NO_NAME], dtype=np.int32)


def source_codes(sources: Sequence[Source], of_delivery: NameTables) -> NDArray[np.int32]:
    """The same for the origins."""
    return np.array([*(of_delivery.source(*source) for source in sources), NO_NAME], dtype=np.int32)


def labelers_of(index: Mapping[str, Any]) -> list[str]:
    """The table of labelers of a page; pages of earlier versions have none."""
    labelers: list[str] = index.get("labelers", [])
    return labelers


def sources_of(index: Mapping[str, Any]) -> list[Source]:
    """The table of origins of a page."""
    return [(origin, "") for origin in ORIGINS] + [(Origin(origin), model) for origin, model in index.get("models", ())]
