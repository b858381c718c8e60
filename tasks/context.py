"""What a task needs to work on a campaign: its record, its specification, the ledger, its platform."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, TypeVar

from labelwright.campaigns.image_source import open_source
from labelwright.campaigns.spec import CampaignSpec, stored_spec
from labelwright.datasets.names import file_stem
from labelwright.ingest import CannotRead, Source, SourceError
from labelwright.ledger import CampaignRecord, Ledger, open_ledger
from labelwright.network.guards import before_change
from labelwright.platforms import PlatformError, PlatformRefused
from labelwright.platforms.protocol import Platform
from labelwright.prefect_integration.connections import CONNECTIONS
from labelwright.security.private_files import private_folder
from labelwright.settings import Settings, settings

Capability = TypeVar("Capability")

platform_for, connect_platform, credentials_of = (
    CONNECTIONS.platform_for,
    CONNECTIONS.connect_platform,
    CONNECTIONS.credentials_of,
)


class CampaignContext:
    """One campaign and what is needed to work on it. Built by every task for itself, because it holds credentials.

    Task parameters are stored with the run, so tasks take the campaign's title and build the context from it.
    """

    def __init__(self, title: str) -> None:
        """Raises LeaseLost in a run whose campaign was taken over: it ends with the task that begins next."""
        before_change()
        self.title = title

    @cached_property
    def settings(self) -> Settings:
        return settings()

    @cached_property
    def ledger(self) -> Ledger:
        return the_ledger()

    @property
    def record(self) -> CampaignRecord:
        """The ledger's record, read anew each time. Raises UnknownCampaign."""
        return self.ledger.campaigns.get(self.title)

    @cached_property
    def spec(self) -> CampaignSpec:
        return stored_spec(self.record.spec)

    @cached_property
    def folder(self) -> Path:
        """The folder for the campaign's working files on this machine; created, readable by its owner only."""
        folder = self.settings.campaign_folder(file_stem(self.title))
        private_folder(self.settings.home)
        private_folder(folder)
        return folder

    @cached_property
    def image_settings(self) -> Settings:
        """The settings with the credentials for the campaign's images. Raises SettingsError."""
        return CONNECTIONS.image_settings(self.settings, self.spec.images)

    @cached_property
    def source(self) -> Source:
        """Where the images are. Raises SourceError, SettingsError."""
        return open_source(self.spec.images, self.image_settings)

    @cached_property
    def platform(self) -> Platform:
        """The campaign's platform. Raises SettingsError."""
        return platform_for(self.spec)

    def require_capability(self, protocol: type[Capability]) -> Capability:
        """The platform as an implementation of a protocol. Raises PlatformRefused when it does not implement it."""
        if not isinstance(self.platform, protocol):
            raise PlatformRefused(self.platform.name, protocol.__name__, message="this platform does not support it")
        return self.platform

    @property
    def image_set(self) -> str:
        """The platform's id of the campaign's image set."""
        image_set = self.record.image_set
        if image_set is None:
            raise RuntimeError(f"the image set of '{self.title}' was not created yet")
        return image_set

    @property
    def remote_id(self) -> str:
        """The platform's id of the campaign."""
        remote_id = self.record.remote_id
        if remote_id is None:
            raise RuntimeError(f"'{self.title}' was not created on its platform yet: launch it first")
        return remote_id


def open_image_of(context: CampaignContext, location: str) -> BinaryIO:
    """Opens an image for a picture. Raises OSError, also where the source has an error of its own."""
    try:
        return context.source.open(location)
    except (CannotRead, SourceError, PlatformError) as error:  # drawn as a tile that cannot be read
        raise OSError(str(error)) from None


def the_ledger() -> Ledger:
    """The ledger that the settings name."""
    current = settings()
    if not _addresses or _addresses[0][0] is not current:  # a sweep asks for it six times for each campaign
        _addresses[:] = [(current, current.ledger_address())]
    return open_ledger(_addresses[0][1])


_addresses: list[tuple[Settings, str]] = []
"""The settings of this process and the address of their ledger."""


def recorded_spec(title: str) -> CampaignSpec:
    """The campaign's specification in the ledger. Raises UnknownCampaign."""
    return stored_spec(the_ledger().campaigns.get(title).spec)


def campaign_states(titles: Iterable[str]) -> dict[str, str]:
    """The present state of campaigns, by title."""
    return {record.title: record.state.value for record in the_ledger().campaigns.by_titles(list(titles))}
