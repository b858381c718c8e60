"""Shapes on the platform that are not in a dataset as they were drawn, counted by reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from .image_states import ShapeNotice

LEFT_OUT = {"shapes": "shapes left out", "changed": "shapes changed"}
"""What people read for each kind of count."""

_NOTHING: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class LeftOutCounts:
    """Shapes of a campaign that are left out of its dataset or changed, by reason: the most frequent reason first."""

    shapes: Mapping[str, int] = field(default_factory=lambda: _NOTHING)
    """Shapes on the platform that are dropped."""
    changed: Mapping[str, int] = field(default_factory=lambda: _NOTHING)
    """Shapes that are in the dataset in a changed form, such as cut to their image."""

    @classmethod
    def of(cls, notices: Iterable[ShapeNotice]) -> LeftOutCounts:
        shapes, changed = Counter[str](), Counter[str]()
        for notice in notices:
            (shapes if notice.dropped else changed)[notice.reason] += 1
        return cls(_sorted(shapes), _sorted(changed))

    @classmethod
    def from_rows(cls, rows: Iterable[tuple[str, str, int]]) -> LeftOutCounts:
        """From rows of kind (`shapes` or `changed`), reason and count."""
        kinds: dict[str, dict[str, int]] = {"shapes": {}, "changed": {}}
        for kind, reason, count in rows:
            kinds.get(kind, {})[reason] = count
        return cls(**{kind: _sorted(counts) for kind, counts in kinds.items()})

    def rows(self) -> list[tuple[str, str, int]]:
        """Kind, reason and count of everything that was counted."""
        return [(kind, reason, count) for kind, counts in self.to_dict().items() for reason, count in counts.items()]

    def to_dict(self) -> dict[str, dict[str, int]]:
        """For receipts and JSON."""
        return {"shapes": dict(self.shapes), "changed": dict(self.changed)}

    def sentences(self) -> list[str]:
        """A line for each kind that has any: "150 shapes left out: 90 polyline, 60 crosses itself"."""
        return [
            line
            for line in (
                _line(self.shapes, "shape", "left out"),
                _line(self.changed, "shape", "changed"),
            )
            if line
        ]

    def short(self) -> str:
        """For a cell of a table: "150 shapes"; empty when nothing is left out."""
        count = sum(self.shapes.values())
        return _counted(count, "shape") if count else ""


def _sorted(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _line(counts: Mapping[str, int], noun: str, what: str) -> str:
    if not counts:
        return ""
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in counts.items())
    return f"{_counted(sum(counts.values()), noun)} {what}: {reasons}"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
