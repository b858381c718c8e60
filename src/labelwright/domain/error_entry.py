"""An entry of the reference of error codes, and the headings of the reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ErrorEntry:
    """One error of the reference."""

    code: str
    patterns: tuple[str, ...]
    """Its messages, with capitals in place of what differs."""
    cause: str
    remedy: str

    @property
    def area(self) -> str:
        """The heading under which the reference has it."""
        return AREAS[self.code[:4]]


AREAS: Mapping[str, str] = {
    "LW10": "Command line and machine",
    "LW11": "Settings",
    "LW12": "Campaign file",
    "LW13": "Commands for a campaign",
    "LW14": "A campaign needs attention",
    "LW20": "Ledger",
    "LW30": "Images",
    "LW40": "Platforms",
    "LW50": "Labels and datasets",
    "LW60": "Prefect and servers",
    "LW70": "Operations page",
    "LW80": "REST API of the labeling service",
    "LW81": "Receiver of webhooks and events",
    "LW90": "Findings of doctor",
}
"""Headings of the reference by the first four characters of the codes."""
