"""Labeler, time and origin of objects as texts of a file, for the writers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import orjson

from labelwright.datasets.spool.batch import Batch
from labelwright.datasets.spool.columns import take
from labelwright.datasets.spool.provenance import ORIGINS
from labelwright.domain import UNKNOWN, Provenance

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAMES = LABELER, LABELED_AT, ORIGIN = "labeler", "labeled_at", "origin"
"""Columns or keys, in this order. `labeled_at` is in UTC: 2026-11-29T12:00:00Z."""


class ProvenanceTexts:
    """Formats the provenance of objects: for each of NAMES a text made by `format_value`, which gets an empty text for
    what is not known; then `closing`."""

    def __init__(self, format_value: Callable[[str, str], bytes], closing: bytes = b"") -> None:
        self._format = format_value
        self._closing = closing
        self._labelers: list[bytes] = []
        self._origins = [self._origin(origin.value) for origin in ORIGINS]

    def of_batch(self, batch: Batch) -> list[bytes] | None:
        """The text of every object; None when nothing is known of any of them."""
        columns = batch.provenance
        if columns is None:
            return None
        self._labelers += [self._format(LABELER, name) for name in columns.labelers[len(self._labelers) :]]
        # What is not known is -1: the last element.
        labelers = take([*self._labelers, self._format(LABELER, "")], columns.rows["labeler"])
        origins = take([*self._origins, self._origin("")], columns.rows["origin"])
        moments, numbers = np.unique(columns.labeled_at, return_inverse=True)
        times = take([self._format(LABELED_AT, text) for text in _times(moments)], numbers)
        return [labeler + time + origin for labeler, time, origin in zip(labelers, times, origins, strict=True)]

    def of(self, provenance: Provenance) -> bytes:
        """The text of one object or tag."""
        labeler, time = provenance.labeler or "", _time(provenance.labeled_at)
        origin = provenance.origin.value if provenance.origin else ""
        return self._format(LABELER, labeler) + self._format(LABELED_AT, time) + self._origin(origin)

    def _origin(self, origin: str) -> bytes:
        return self._format(ORIGIN, origin) + self._closing


def _times(moments: NDArray[np.int64]) -> list[str]:
    """Texts of microseconds since 1970, as `_time` writes them."""
    texts = np.datetime_as_string(moments.astype("datetime64[us]")).tolist()  # NO_TIME is NaT there
    return ["" if text == "NaT" else text.removesuffix(".000000") + "Z" for text in texts]


def _time(moment: datetime | None) -> str:
    return "" if moment is None else moment.isoformat().replace("+00:00", "Z")


def json_member(name: str, value: str) -> bytes:
    """A member of a JSON object with a comma in front; nothing for what is not known."""
    return b',"%b":%b' % (name.encode(), orjson.dumps(value)) if value else b""


def json_object(provenance: Provenance) -> dict[str, str]:
    """The members of one object or tag."""
    if provenance is UNKNOWN:
        return {}
    origin = provenance.origin.value if provenance.origin else ""
    values = zip(NAMES, (provenance.labeler or "", _time(provenance.labeled_at), origin), strict=True)
    return {name: value for name, value in values if value}
