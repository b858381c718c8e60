"""Findings of the checks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    area: str
    level: Level
    message: str
    advice: str = ""
    """What to do about it; empty when nothing has to be done."""

    def to_dict(self) -> dict[str, str]:
        """Returns it with the keys of `labelwright doctor --json`."""
        return {"area": self.area, "level": self.level, "says": self.message, "do": self.advice}
