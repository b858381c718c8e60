"""What a look at a machine and its surroundings showed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look showed."""

    area: str
    level: Level
    says: str
    do: str = ""
    """What to do about it; empty where nothing is to be done."""
