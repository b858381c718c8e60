"""Connects to Remo by the name of a connection. Tasks take only the name and resolve the credentials themselves."""

from __future__ import annotations

from labelwright.platforms import PlatformRefused
from labelwright.platforms.remo.adapter import Remo
from labelwright.tasks.context import connect_platform


def remo_at(connection: str) -> Remo:
    """Returns the adapter for a connection of the settings or a Prefect block.

    Raises SettingsError, and PlatformRefused for a connection of another platform.
    """
    name, platform = connect_platform(connection)
    if not isinstance(platform, Remo):
        message = f"connection '{connection}' is one of {name}"
        raise PlatformRefused(Remo.name, "connect", message=message, advice="Name a connection whose platform is remo.")
    return platform
