"""Remo by the name of a connection: tasks are given the name alone, and what it stands for is resolved inside them."""

from __future__ import annotations

from labelwright.platforms import PlatformRefused
from labelwright.platforms.protocol import Secret
from labelwright.platforms.registry import PLATFORMS, Connection
from labelwright.platforms.remo import Remo
from labelwright.settings import settings


def remo_at(connection: str) -> Remo:
    """The adapter for `[connections.NAME]`. Raises SettingsError, PlatformRefused when the connection is no Remo's."""
    found = settings().connection(connection)
    if found.platform != Remo.name:
        told = f"connection '{connection}' is one of {found.platform}"
        raise PlatformRefused(Remo.name, "connect", words=told, advice="Name a connection whose platform is remo.")
    key, secret = (value.get_secret_value() if value else "" for value in (found.key, found.secret))
    platform = PLATFORMS[Remo.name].connect(
        Connection(found.url or "", key, Secret(secret), requests_per_second=found.requests_per_second)
    )
    assert isinstance(platform, Remo)  # noqa: S101 - for the type alone
    return platform
