"""What a task needs to work on a campaign: its record, its specification, the ledger, its platform."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from labelwright.campaigns.image_source import open_source
from labelwright.campaigns.spec import CampaignSpec, stored_spec
from labelwright.datasets.names import file_stem
from labelwright.ingest import Source
from labelwright.ledger import CampaignRecord, Ledger, open_ledger
from labelwright.platforms import PlatformRefused
from labelwright.platforms.protocol import Platform
from labelwright.prefect_integration.connections import CONNECTIONS
from labelwright.security.private_files import private_folder
from labelwright.settings import Settings, settings

_Verb = TypeVar("_Verb")

platform_for, connect_platform, credentials_of = (
    CONNECTIONS.platform_for,
    CONNECTIONS.connect_platform,
    CONNECTIONS.credentials_of,
)


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
        return open_source(self.spec.images, CONNECTIONS.image_settings(self.settings, self.spec.images))

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


def the_spec(title: str) -> CampaignSpec:
    """What the ledger was told of a campaign."""
    return stored_spec(the_ledger().campaigns.get(title).spec)


def states_of(titles: Iterable[str]) -> dict[str, str]:
    """Where campaigns stand now."""
    return {record.title: record.state.value for record in the_ledger().campaigns.some(list(titles))}
