"""The platforms that campaigns can run on. Adding one: docs/contributing.md."""

from __future__ import annotations

from . import campaign_api, cvat, geti, label_studio, remo, scale
from .entry import Adapter, Connection, Credential, PlatformEntry

__all__ = ["PLATFORMS", "Adapter", "Connection", "Credential", "PlatformEntry"]

PLATFORMS: dict[str, PlatformEntry] = {
    entry.name: entry
    for entry in (campaign_api.ENTRY, remo.ENTRY, cvat.ENTRY, scale.ENTRY, geti.ENTRY, label_studio.ENTRY)
}
"""By the name that campaign files and connections use."""
