"""From a campaign and the settings of this machine to its platform."""

from __future__ import annotations

from labelwright.platforms.protocol import Platform, Secret
from labelwright.platforms.registry import PLATFORMS, Connection
from labelwright.settings import Settings
from labelwright.spec import CampaignSpec


def reach(spec: CampaignSpec, settings: Settings) -> Platform:
    """The campaign's platform with the credentials that it names; nothing is asked of it yet.

    Raises SettingsError, PlatformRefused, pydantic.ValidationError for options that the platform refuses.
    """
    return reach_named(spec.platform, spec.connection_name, settings, spec.options)


def reach_named(
    platform: str, connection: str, settings: Settings, options: dict[str, object] | None = None
) -> Platform:
    """A platform by the name of its connection, without any campaign."""
    found = settings.connection(connection)
    return PLATFORMS[platform].connect(
        Connection(
            url=found.url or "",
            key=found.key.get_secret_value() if found.key else "",
            secret=Secret(found.secret.get_secret_value() if found.secret else ""),
            options=options or {},
            requests_per_second=found.requests_per_second,
        ),
    )
