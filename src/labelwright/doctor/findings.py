"""Findings of the checks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


CLOCK, LATE, UNFORESEEN = "LW9012", "LW9013", "LW9014"
"""Codes of findings that any area may have."""

_CODES = {
    "versions": "LW9001",
    "disk": "LW9002",
    "ledger": "LW9003",
    "prefect": "LW9004",
    "size": "LW9005",
    "team": "LW9006",
    "results": "LW9007",
    "dask": "LW9008",
    "shared folders": "LW9009",
    "labelers' keys": "LW9010",
    "connection": "LW9011",
}
"""By the beginning of the area's name."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    area: str
    level: Level
    message: str
    advice: str = ""
    """What to do about it; empty when nothing has to be done."""
    code: str = ""
    """Its entry in the reference of errors, where that is another one than its area's."""

    @property
    def error_code(self) -> str:
        """Its entry in the reference of errors; empty when nothing is wrong."""
        if self.level is Level.OK:
            return ""
        return self.code or next((code for area, code in _CODES.items() if self.area.startswith(area)), UNFORESEEN)

    def to_dict(self) -> dict[str, str]:
        """Returns it with the keys of `labelwright doctor --json`."""
        return {
            "area": self.area,
            "level": self.level,
            "says": self.message,
            "do": self.advice,
            "code": self.error_code,
        }
