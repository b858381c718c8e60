"""What a task needs to work on a campaign: its record, its specification, the ledger, its platform."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from labelwright.campaigns.image_source import open_source
from labelwright.campaigns.spec import BLOCK, CampaignSpec, stored_spec
from labelwright.datasets.names import file_stem
from labelwright.ingest import Source
from labelwright.ledger import CampaignRecord, Ledger, open_ledger
from labelwright.platforms import PlatformRefused
from labelwright.platforms.protocol import Platform, Secret
from labelwright.platforms.registry import PLATFORMS, Connection
from labelwright.prefect_integration.blocks import connection_in_block, with_signature
from labelwright.security.private_files import private_folder
from labelwright.settings import ConnectionSettings, Settings, SettingsError, settings

_Verb = TypeVar("_Verb")


class CampaignContext:
    """One campaign, and all that is needed to work on it. Made anew by every task: it holds credentials."""

    def __init__(self, title: str) -> None:
        self.title = title

    @cached_property
    def settings(self) -> Settings:
        return settings()

    @cached_property
    def ledger(self) -> Ledger:
        return the_ledger()

    @property
    def record(self) -> CampaignRecord:
        """As the ledger has it now. Raises UnknownCampaign."""
        return self.ledger.campaigns.get(self.title)

    @cached_property
    def spec(self) -> CampaignSpec:
        return stored_spec(self.record.spec)

    @cached_property
    def folder(self) -> Path:
        """Where this machine keeps the campaign's files under way."""
        folder = self.settings.campaign_folder(file_stem(self.title))
        private_folder(self.settings.home)
        private_folder(folder)
        return folder

    @cached_property
    def source(self) -> Source:
        """Where the images are. Raises SourceError, SettingsError."""
        return open_source(self.spec.images, with_signature(self.settings, self.spec.images))

    @cached_property
    def platform(self) -> Platform:
        return platform_for(self.spec)

    def require_capability(self, operation: type[_Verb]) -> _Verb:
        """The platform as one that has the verbs of a protocol. Raises PlatformRefused when it has not."""
        if not isinstance(self.platform, operation):
            raise PlatformRefused(self.platform.name, operation.__name__, message="this platform has no such verb")
        return self.platform

    @property
    def image_set(self) -> str:
        """The platform's id of the campaign's image set."""
        found = self.record.image_set
        if found is None:
            raise RuntimeError(f"the image set of '{self.title}' was not created yet")
        return found

    @property
    def remote_id(self) -> str:
        """The platform's id of the campaign."""
        found = self.record.remote_id
        if found is None:
            raise RuntimeError(f"'{self.title}' was not created on its platform yet: launch it first")
        return found


def the_ledger() -> Ledger:
    return open_ledger(settings().ledger_address())


def platform_for(spec: CampaignSpec) -> Platform:
    """Reach the campaign's platform with the credentials that it names. Raises SettingsError."""
    names = spec.schema_of_labels().names
    return connect_platform(spec.connection_name, spec.platform, spec.options, names, spec.labeler)[1]


def credentials_of(connection: str, platform: str | None = None) -> ConnectionSettings:
    """The named credentials, of the settings or of a Prefect block. Raises SettingsError."""
    if connection.startswith(BLOCK):
        return connection_in_block(connection, platform)
    return settings().connection(connection)


def connect_platform(
    connection: str,
    platform: str | None = None,
    options: Mapping[str, Any] | None = None,
    labels: Iterable[str] = (),
    labeler: str = "",
) -> tuple[str, Platform]:
    """A platform by its credentials' name: that of `platform`, else the one that the credentials are for. `labels` are
    a campaign's own names, `labeler` is its labeler.

    Answers the platform's name too. Raises SettingsError, PlatformRefused.
    """
    found = credentials_of(connection, platform)
    name = platform or found.platform or connection
    if name not in PLATFORMS:
        raise SettingsError(f"connection '{connection}' is for '{name}', which is no platform that is known")
    reached = PLATFORMS[name].connect(
        Connection(
            url=found.url or "",
            key=found.key.get_secret_value() if found.key else "",
            secret=Secret(found.secret.get_secret_value() if found.secret else ""),
            options=options or {},
            labels=tuple(labels),
            labeler=labeler,
            recorded=lambda campaign: recorded_parents(connection, name, campaign),
            identity=found.identity,
            requests_per_second=found.requests_per_second,
        ),
    )
    return name, reached


_titles: dict[tuple[int, str, str, str], str] = {}
"""Titles by ledger, connection, platform and the platform's id: a sweep over thousands has them at hand."""


def _ledger_key() -> int:
    return hash(settings().ledger_address())  # which may hold a password


def know(record: CampaignRecord) -> None:
    """Remember a campaign's title by the platform's id, so that it need not be looked up."""
    if record.remote_id is not None:
        platform = str(record.spec.get("platform"))
        connection = str(record.spec.get("connection") or platform)
        _titles[_ledger_key(), connection, platform, record.remote_id] = record.title


def recorded_parents(connection: str, platform: str, campaign: str) -> frozenset[str]:
    """What the ledger knows of a campaign by its id on the platform; see `Connection.recorded`."""
    ledger, key = the_ledger(), (_ledger_key(), connection, platform, campaign)
    if key not in _titles:
        for record in ledger.campaigns.with_remote_id(campaign):
            know(record)
    return ledger.manifests.remote_parents(_titles[key]) if key in _titles else frozenset()


def the_spec(title: str) -> CampaignSpec:
    """What the ledger was told of a campaign."""
    return stored_spec(the_ledger().campaigns.get(title).spec)


def states_of(titles: Iterable[str]) -> dict[str, str]:
    """Where campaigns stand now."""
    return {record.title: record.state.value for record in the_ledger().campaigns.by_titles(list(titles))}
