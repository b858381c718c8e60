"""What of a campaign is in no dataset, counted by reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from .image_states import ExcludedImage, ShapeNotice

LEFT_OUT = {"shapes": "shapes left out", "changed": "shapes changed", "images": "images left out"}
"""What people read for each kind of count."""

_NOTHING: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class LeftOutCounts:
    """Shapes and images of a campaign that are not in its dataset, by reason: the most frequent reason first."""

    shapes: Mapping[str, int] = field(default_factory=lambda: _NOTHING)
    """Shapes on the platform that are dropped."""
    changed: Mapping[str, int] = field(default_factory=lambda: _NOTHING)
    """Shapes that are in the dataset in a changed form, such as cut to their image."""
    images: Mapping[str, int] = field(default_factory=lambda: _NOTHING)
    """Images on which work is over, by their state on the platform."""

    @classmethod
    def of(cls, notices: Iterable[ShapeNotice], excluded: Iterable[ExcludedImage]) -> LeftOutCounts:
        shapes, changed = Counter[str](), Counter[str]()
        for notice in notices:
            (shapes if notice.dropped else changed)[notice.reason] += 1
        return cls(_sorted(shapes), _sorted(changed), _sorted(Counter(image.state.value for image in excluded)))

    @classmethod
    def from_rows(cls, rows: Iterable[tuple[str, str, int]]) -> LeftOutCounts:
        """From rows of kind (`shapes`, `changed` or `images`), reason and count."""
        kinds: dict[str, dict[str, int]] = {"shapes": {}, "changed": {}, "images": {}}
        for kind, reason, count in rows:
            kinds.get(kind, {})[reason] = count
        return cls(**{kind: _sorted(counts) for kind, counts in kinds.items()})

    def rows(self) -> list[tuple[str, str, int]]:
        """Kind, reason and count of everything that was counted."""
        return [(kind, reason, count) for kind, counts in self.to_dict().items() for reason, count in counts.items()]

    def to_dict(self) -> dict[str, dict[str, int]]:
        """For receipts and JSON."""
        return {"shapes": dict(self.shapes), "changed": dict(self.changed), "images": dict(self.images)}

    def sentences(self) -> list[str]:
        """A line for each kind that has any: "150 shapes left out: 90 polyline, 60 crosses itself"."""
        return [
            line
            for line in (
                _line(self.shapes, "shape", "left out"),
                _line(self.changed, "shape", "changed"),
                _line(self.images, "image", "left out"),
            )
            if line
        ]

    def short(self) -> str:
        """For a cell of a table: "150 shapes, 2 images"; empty when nothing is left out."""
        counts = ((sum(self.shapes.values()), "shape"), (sum(self.images.values()), "image"))
        return ", ".join(_counted(count, noun) for count, noun in counts if count)


def _sorted(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _line(counts: Mapping[str, int], noun: str, what: str) -> str:
    if not counts:
        return ""
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in counts.items())
    return f"{_counted(sum(counts.values()), noun)} {what}: {reasons}"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
