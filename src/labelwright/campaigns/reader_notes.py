"""Counts images of kinds that the reader of an export format does not open, for the plan of a campaign."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from labelwright.datasets.writers.automl_formats import FORMATS_FOR_AUTOML, READ_BY_AUTOML
from labelwright.datasets.writers.ultralytics import FORMATS_FOR_ULTRALYTICS, READ_BY_ULTRALYTICS
from labelwright.domain import Image

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class _Reader:
    name: str
    formats: frozenset[str]
    """Export formats, as campaign files name them."""
    kinds: frozenset[str]
    """Of images that it opens, by Pillow's names."""


_READERS = (
    _Reader("AutoML for Images", FORMATS_FOR_AUTOML, READ_BY_AUTOML),
    _Reader("Ultralytics", FORMATS_FOR_ULTRALYTICS, READ_BY_ULTRALYTICS),
)


class ReaderNotes:
    """Notes for every reader that the campaign exports for."""

    def __init__(self, formats: Collection[str]) -> None:
        self._notes = [_ReaderNote(reader, formats) for reader in _READERS if reader.formats.intersection(formats)]

    def add(self, image: Image) -> None:
        for note in self._notes:
            note.add(image)

    def sentences(self) -> list[str]:
        """For people: one for each reader that does not open all images."""
        return [sentence for note in self._notes if (sentence := note.sentence())]


class _ReaderNote:
    def __init__(self, reader: _Reader, formats: Collection[str]) -> None:
        self._reader = reader
        self._formats = [name for name in formats if name in reader.formats]
        self._count = 0
        self._first: list[str] = []

    def add(self, image: Image) -> None:
        if image.format in self._reader.kinds:
            return
        self._count += 1
        if len(self._first) < _SHOWN:
            self._first.append(f"{image.name} is {image.format}")

    def sentence(self) -> str:
        if not self._count:
            return ""
        more = f"; and {self._count - _SHOWN:,} more" if self._count > _SHOWN else ""
        kinds = ", ".join(sorted(self._reader.kinds))
        return (
            f"{self._reader.name} reads {kinds}, and {self._count:,} of the images are of another kind: "
            f"{'; '.join(self._first)}{more}. Convert them before you train on {' or '.join(self._formats)}, or take "
            "these out of export.formats"
        )
