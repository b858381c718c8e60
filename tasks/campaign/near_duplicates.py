"""Near-duplicates among the images of a launch: shown in Prefect, their hashes kept while images are checked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from labelwright.datasets.preview.contact_sheet import Entry, draw_contact_sheet
from labelwright.domain import Annotation, Geometry, Image, Label, LabelSchema, WholeImage
from labelwright.ingest import NearDuplicates
from labelwright.ingest.checks.near_duplicates import NearImage, in_words
from labelwright.tasks.context import CampaignContext, open_image_of
from labelwright.tasks.reporting import log, publish_table

NEAR_DUPLICATES = "near-duplicates.png"
"""A picture in the campaign's folder."""

_HASHES = "perceptual-hashes-1.txt"
"""In the campaign's folder. The number changes with the way in which hashes are computed."""
_LINE = re.compile(r"([0-9a-f]{64}) ([0-9a-f]{16}|-)")
_LISTED, _NAMED = 500, 20
_GROUPS_SHOWN, _OTHERS_SHOWN = 15, 3
_FIRST, _OTHER = "first of its group", "near-duplicate"


class HashedBefore:
    """Perceptual hashes of images that an interrupted check has opened, by SHA-256; the ledger does not keep them.

    They only save work: without the file, on another machine say, the images are opened again.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / _HASHES
        text = self._path.read_text(encoding="ascii", errors="replace") if self._path.is_file() else ""
        # The last line of a process that was killed is incomplete.
        matches = filter(None, map(_LINE.fullmatch, text.splitlines()))
        self._hashes = {match[1]: None if match[2] == "-" else int(match[2], 16) for match in matches}

    def hashed(self, image: Image) -> Image | None:
        """The image with its hash; None when it has to be opened for it."""
        if image.sha256 not in self._hashes:
            return None
        return replace(image, perceptual_hash=self._hashes[image.sha256])

    def keep(self, images: Iterable[Image]) -> None:
        new = [image for image in images if image.sha256 not in self._hashes]
        with self._path.open("a", encoding="ascii") as file:
            file.writelines(f"\n{image.sha256} {_written(image.perceptual_hash)}" for image in new)

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)


def _written(perceptual_hash: int | None) -> str:
    return "-" if perceptual_hash is None else f"{perceptual_hash:016x}"


def show_near_duplicates(context: CampaignContext, groups: Sequence[NearDuplicates]) -> None:
    """Log how many there are, publish a table of them, and draw the first ones for the campaign's page."""
    picture = context.folder / NEAR_DUPLICATES
    if not groups:
        picture.unlink(missing_ok=True)
        return
    skipped = context.spec.images.near_duplicates == "skip"
    sentence = f"{in_words(groups)}; {'these are left out' if skipped else 'all are taken'}"
    log().warning("%s: %s", context.title, sentence)
    rows = [
        {
            "first": group.first.name,
            "near-duplicates": len(group.others),
            "names": ", ".join(image.name for image in group.others[:_NAMED]),
        }
        for group in groups[:_LISTED]
    ]
    publish_table(context.title, "near-duplicates", rows, f"{context.title}: {sentence}")
    schema = LabelSchema(
        (Label(_FIRST, Geometry.IMAGE, color="#009E73"), Label(_OTHER, Geometry.IMAGE, color="#E69F00"))
    )
    shown = sum(min(_OTHERS_SHOWN, len(group.others)) + 1 for group in groups[:_GROUPS_SHOWN])
    draw_contact_sheet(_entries(context, groups), schema, picture, most=shown)


def _entries(context: CampaignContext, groups: Sequence[NearDuplicates]) -> Iterator[Entry]:
    """The first images of the first groups, and all others, which are only counted."""

    def entry(image: NearImage, label: str) -> Entry:
        return image.name, partial(open_image_of, context, image.location), [Annotation(label, WholeImage())]

    for group in groups[:_GROUPS_SHOWN]:
        yield entry(group.first, _FIRST)
        yield from (entry(image, _OTHER) for image in group.others[:_OTHERS_SHOWN])
    for number, group in enumerate(groups):
        hidden = group.others[_OTHERS_SHOWN:] if number < _GROUPS_SHOWN else [group.first, *group.others]
        yield from (entry(image, _OTHER) for image in hidden)
