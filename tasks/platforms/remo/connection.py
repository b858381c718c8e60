"""Remo by the name of a connection: tasks are given the name alone, and what it stands for is resolved inside them."""

from __future__ import annotations

from labelwright.platforms import PlatformRefused
from labelwright.platforms.remo.adapter import Remo
from labelwright.tasks.context import connect_platform


def remo_at(connection: str) -> Remo:
    """The adapter for a connection of the settings, or for a Prefect block. Raises SettingsError, PlatformRefused when
    the connection is no Remo's."""
    name, platform = connect_platform(connection)
    if not isinstance(platform, Remo):
        message = f"connection '{connection}' is one of {name}"
        raise PlatformRefused(Remo.name, "connect", message=message, advice="Name a connection whose platform is remo.")
    return platform
