"""The platforms and export formats that a campaign can name: for the form, and for the validation."""

from __future__ import annotations

from typing import Any

from .spec_faults import nearest
from .spec_group import at


def platform_choices(schema: dict[str, Any]) -> None:
    """The form offers the existing platforms, and rejects others before a run is created."""
    from labelwright.platforms.registry import PLATFORMS

    schema.update(at(1), enum=list(PLATFORMS))


def format_choices(schema: dict[str, Any]) -> None:
    """The form offers the export formats that there are."""
    from labelwright.datasets.writers.registry import campaign_formats

    schema.update(enum=list(campaign_formats()))


def known_platform(name: str) -> str:
    from labelwright.platforms.registry import PLATFORMS

    if name not in PLATFORMS:
        raise ValueError(f"unknown platform '{name}'; known: {', '.join(PLATFORMS)}{nearest(name, PLATFORMS)}")
    return name


def known_format(name: str) -> str:
    from labelwright.datasets.writers.registry import campaign_formats

    if name not in campaign_formats():
        known = ", ".join(campaign_formats())
        raise ValueError(f"unknown format '{name}'; known: {known}{nearest(name, campaign_formats())}")
    return name
