"""Labeler, time and origin of objects as texts of a file, for the writers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import orjson

from labelwright.datasets.spool.batch import Batch
from labelwright.datasets.spool.provenance import NO_TIME, ORIGINS, moment_of
from labelwright.domain import UNKNOWN, Provenance

NAMES = ("labeler", "labeled_at", "origin")
"""Columns or keys, in this order. `labeled_at` is in UTC: 2026-11-29T12:00:00Z."""

Values = tuple[str, str, str]
"""A text for each of NAMES; empty where it is not known."""


class ProvenanceTexts:
    """Formats the provenance of objects. Each different one is formatted once."""

    def __init__(self, format_values: Callable[[Values], bytes]) -> None:
        self._format = format_values
        self._texts: dict[tuple[int, int, int], bytes] = {}

    def of_batch(self, batch: Batch) -> list[bytes] | None:
        """The text of every object; None when nothing is known of any of them."""
        columns = batch.provenance
        if columns is None:
            return None
        keys = zip(
            columns.rows["labeler"].tolist(), columns.labeled_at.tolist(), columns.rows["origin"].tolist(), strict=True
        )
        texts = self._texts
        formatted = []
        for key in keys:
            text = texts.get(key)
            if text is None:
                text = texts[key] = self._format(_values(*key, columns.labelers))
            formatted.append(text)
        return formatted

    def of(self, provenance: Provenance) -> bytes:
        """The text of one object or tag; empty values when nothing is known."""
        return self._format(
            (
                provenance.labeler or "",
                _time(provenance.labeled_at),
                provenance.origin.value if provenance.origin else "",
            )
        )


def _values(labeler: int, labeled_at: int, origin: int, labelers: Sequence[str]) -> Values:
    return (
        "" if labeler < 0 else labelers[labeler],
        "" if labeled_at == NO_TIME else _time(moment_of(labeled_at)),
        "" if origin < 0 else ORIGINS[origin].value,
    )


def _time(moment: datetime | None) -> str:
    return "" if moment is None else moment.isoformat().replace("+00:00", "Z")


def json_members(values: Values) -> bytes:
    """The members of a JSON object, each with a comma in front; those that are not known are left out."""
    return b"".join(
        b',"%b":%b' % (name.encode(), orjson.dumps(value)) for name, value in zip(NAMES, values, strict=True) if value
    )


def json_object(provenance: Provenance) -> dict[str, str]:
    """The same for one object or tag."""
    if provenance is UNKNOWN:
        return {}
    return dict(orjson.loads(b"{" + ProvenanceTexts(json_members).of(provenance)[1:] + b"}"))
