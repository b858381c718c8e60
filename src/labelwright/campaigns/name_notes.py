"""Counts names of images that are taken as they are, but that some systems cannot hold or show as another name."""

from __future__ import annotations

from labelwright.domain.file_names import name_note, visible
from labelwright.ingest import InventoryItem

_SHOWN = 5


class NameNotes:
    """Notes on the names of a campaign's images, whatever source they come from."""

    def __init__(self) -> None:
        self._count = 0
        self._first: list[str] = []

    def add(self, item: InventoryItem) -> None:
        name = item.source_name or item.image.name
        note = name_note(name)
        self._count += bool(note)
        if note and len(self._first) < _SHOWN:
            self._first.append(f"'{visible(name)}' ({note})")

    def sentence(self) -> str:
        """For people; empty when no name needs a note."""
        if not self._count:
            return ""
        more = f" and {self._count - _SHOWN:,} more" if self._count > _SHOWN else ""
        names = "1 image is" if self._count == 1 else f"{self._count:,} images are"
        return f"{names} taken with an unusual name: {'; '.join(self._first)}{more}"
