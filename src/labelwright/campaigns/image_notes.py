"""What a person should know of images that are taken, gathered: one line for each note with the images it holds for."""

from __future__ import annotations

from labelwright.domain import Image

_SHOWN = 5


class ImageNotes:
    """Counts images by note and keeps the first names."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._names: dict[str, list[str]] = {}

    def add(self, image: Image) -> None:
        for note in image.notes:
            self._counts[note] = self._counts.get(note, 0) + 1
            names = self._names.setdefault(note, [])
            if len(names) < _SHOWN:
                names.append(image.name)

    def lines(self) -> list[str]:
        """The notes as sentences: `a.tif, b.tif and 3 more (5 images): has more than 8 bits ...`."""
        return [f"{self._listed(note)}: {note}" for note in self._counts]

    def _listed(self, note: str) -> str:
        names, count = ", ".join(self._names[note]), self._counts[note]
        if count == 1:
            return names
        more = f" and {count - _SHOWN:,} more" if count > _SHOWN else ""
        return f"{names}{more} ({count:,} images)"
