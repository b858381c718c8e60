"""Builds platforms from connection names, with credentials of the settings or of a Prefect block."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from labelwright.ledger import CampaignRecord, Ledger, open_ledger
from labelwright.platforms.errors import PlatformUnavailable
from labelwright.platforms.protocol import Platform, Secret
from labelwright.platforms.registry import PLATFORMS, Connection
from labelwright.security.masking import remember
from labelwright.security.team_key import NoTeamKey, TeamKey
from labelwright.settings import ConnectionSettings, EmbeddedServiceAway, Settings, SettingsError, settings

from .spec import BLOCK, CampaignSpec, ImagesFrom


class BlockReader(Protocol):
    """Reads credentials that are kept as Prefect blocks. Every method raises SettingsError."""

    def connection(self, name: str, platform: str | None) -> ConnectionSettings:
        """The credentials of `block:NAME`, for that platform or for the one whose block has this name."""
        ...

    def with_container_key(self, settings: Settings, images: ImagesFrom) -> Settings:
        """The settings, with the signature of the container that the campaign's block names."""
        ...

    def secret(self, name: str) -> str:
        """The value of `block:NAME`, a Secret block of Prefect."""
        ...


class Connections:
    """Builds platforms from connection names. Settings and ledger are those of the process."""

    def __init__(self, blocks: BlockReader) -> None:
        self._blocks = blocks

    def credentials_of(self, connection: str, platform: str | None = None) -> ConnectionSettings:
        """The named credentials, of the settings or of a Prefect block.

        Raises SettingsError; PlatformUnavailable while the embedded service is away.
        """
        if connection.startswith(BLOCK):
            return self._blocks.connection(connection, platform)
        try:
            return settings().connection(connection)
        except EmbeddedServiceAway as away:
            raise PlatformUnavailable("campaign_api", "say its address", message=str(away)) from None

    def connect_platform(
        self,
        connection: str,
        platform: str | None = None,
        options: Mapping[str, Any] | None = None,
        labels: Iterable[str] = (),
        labeler: str = "",
    ) -> tuple[str, Platform]:
        """Returns the platform's name and its adapter.

        Args:
            connection: name of the credentials.
            platform: the platform's name; by default the one that the credentials are for.
            options: the campaign's options for this platform.
            labels: the campaign's label names.
            labeler: the campaign's labeler.

        Raises SettingsError, PlatformRefused; PlatformUnavailable while the embedded service is away.
        """
        credentials = self.credentials_of(connection, platform)
        name = platform or credentials.platform or connection
        if name not in PLATFORMS:
            raise SettingsError(
                f"connection '{connection}' is for the platform '{name}', which does not exist; platforms: "
                + ", ".join(PLATFORMS)
            )
        adapter = PLATFORMS[name].connect(
            Connection(
                url=credentials.url or "",
                key=credentials.key.get_secret_value() if credentials.key else "",
                secret=Secret(credentials.secret.get_secret_value() if credentials.secret else ""),
                options=options or {},
                labels=tuple(labels),
                labeler=labeler,
                recorded=lambda campaign: recorded_parents(connection, name, campaign),
                identity=credentials.identity,
                requests_per_second=credentials.requests_per_second,
            ),
        )
        return name, adapter

    def platform_for(self, spec: CampaignSpec) -> Platform:
        """The campaign's platform with the credentials that it names. Raises SettingsError."""
        labels = spec.schema_of_labels().names
        return self.connect_platform(spec.connection_name, spec.platform, spec.options, labels, spec.labeler)[1]

    def image_settings(self, base: Settings, images: ImagesFrom) -> Settings:
        """The settings to open a campaign's images with: those of its container block, if it names one.

        Raises SettingsError.
        """
        return self._blocks.with_container_key(base, images) if images.credentials else base

    def team_key(self) -> TeamKey | None:
        """The key that encrypts labelers' keys in the ledger; None when none is set. Raises SettingsError."""
        configured = settings().team_key
        if configured is None:
            return None
        text, where = configured.get_secret_value(), "LABELWRIGHT_TEAM_KEY"
        if text.startswith(BLOCK):
            text, where = self._blocks.secret(text), f"the secret in {text}"
        for part in text.replace(",", " ").split():
            remember(part, keep=True)
        try:
            return TeamKey(text)
        except NoTeamKey as error:
            raise SettingsError(f"{where} cannot be used as the team's key: {error}") from None


_titles: dict[tuple[int, str, str, str], str] = {}
"""By ledger, connection, platform and the platform's id: a sweep over thousands need not look titles up."""


def _ledger() -> Ledger:
    return open_ledger(settings().ledger_address())


def _ledger_key() -> int:
    return hash(settings().ledger_address())  # which may hold a password


def remember_title(record: CampaignRecord) -> None:
    """Cache a campaign's title by its id on the platform."""
    if record.remote_id is not None:
        platform = str(record.spec.get("platform"))
        connection = str(record.spec.get("connection") or platform)
        _titles[_ledger_key(), connection, platform, record.remote_id] = record.title


def recorded_parents(connection: str, platform: str, campaign: str) -> frozenset[str]:
    """What the ledger has of a campaign by its id on the platform; see `Connection.recorded`."""
    ledger, key = _ledger(), (_ledger_key(), connection, platform, campaign)
    if key not in _titles:
        for record in ledger.campaigns.with_remote_id(campaign):
            remember_title(record)
    return ledger.manifests.remote_parents(_titles[key]) if key in _titles else frozenset()
