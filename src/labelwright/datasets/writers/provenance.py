"""Labeler, time and origin of objects as texts of a file, for the writers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import orjson

from labelwright.datasets.spool.batch import Batch
from labelwright.datasets.spool.columns import take
from labelwright.domain import UNKNOWN, Provenance

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAMES = LABELER, LABELED_AT, ORIGIN = "labeler", "labeled_at", "origin"
"""Columns or keys, in this order. `labeled_at` is in UTC: 2026-11-29T12:00:00Z."""
MODEL_VERSION = "model_version"
"""The one behind them, where it is known which model predicted an object."""
PLATFORM = "platform"
"""The last one: where the object was labeled."""


class ProvenanceTexts:
    """Formats the provenance of objects: for each of NAMES a text made by `format_value`, which gets an empty text for
    what is not known; then, unless `models` is False, for MODEL_VERSION; then, unless it is empty, for the platform."""

    def __init__(self, format_value: Callable[[str, str], bytes], platform: str = "", *, models: bool = True) -> None:
        self._format = format_value
        self._closing = format_value(PLATFORM, platform) if platform else b""
        self._models = models
        self._labelers: list[bytes] = []
        self._sources: list[bytes] = []

    def of_batch(self, batch: Batch) -> list[bytes] | None:
        """The text of every object; None when nothing is known of any of them."""
        columns = batch.provenance
        if columns is None:
            return [self.of(UNKNOWN)] * batch.objects if self._closing else None
        self._labelers += [self._format(LABELER, name) for name in columns.labelers[len(self._labelers) :]]
        # What is not known is -1: the last element.
        labelers = take([*self._labelers, self._format(LABELER, "")], columns.rows["labeler"])
        self._sources += [self._source(origin.value, model) for origin, model in columns.sources[len(self._sources) :]]
        origins = take([*self._sources, self._source("", "")], columns.rows["origin"])
        moments, numbers = np.unique(columns.labeled_at, return_inverse=True)
        times = take([self._format(LABELED_AT, text) for text in _times(moments)], numbers)
        return [labeler + time + origin for labeler, time, origin in zip(labelers, times, origins, strict=True)]

    def of(self, provenance: Provenance) -> bytes:
        """The text of one object or tag."""
        labeler, time = provenance.labeler or "", _time(provenance.labeled_at)
        origin = provenance.origin.value if provenance.origin else ""
        source = self._source(origin, provenance.model_version or "")
        return self._format(LABELER, labeler) + self._format(LABELED_AT, time) + source

    def _source(self, origin: str, model_version: str) -> bytes:
        model = self._format(MODEL_VERSION, model_version) if self._models else b""
        return self._format(ORIGIN, origin) + model + self._closing


def _times(moments: NDArray[np.int64]) -> list[str]:
    """Texts of microseconds since 1970, as `_time` writes them."""
    texts = np.datetime_as_string(moments.astype("datetime64[us]")).tolist()  # NO_TIME is NaT there
    return ["" if text == "NaT" else text.removesuffix(".000000") + "Z" for text in texts]


def _time(moment: datetime | None) -> str:
    return "" if moment is None else moment.isoformat().replace("+00:00", "Z")


def json_member(name: str, value: str) -> bytes:
    """A member of a JSON object with a comma in front; nothing for what is not known."""
    return b',"%b":%b' % (name.encode(), orjson.dumps(value)) if value else b""


def json_object(provenance: Provenance, platform: str = "") -> dict[str, str]:
    """The members of one object or tag."""
    if provenance is UNKNOWN:
        return {PLATFORM: platform} if platform else {}
    origin = provenance.origin.value if provenance.origin else ""
    values = (provenance.labeler or "", _time(provenance.labeled_at), origin, provenance.model_version or "", platform)
    return {name: value for name, value in zip((*NAMES, MODEL_VERSION, PLATFORM), values, strict=True) if value}
