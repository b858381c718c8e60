"""Checks that commands make before Prefect is imported, started or asked.

A campaign, folder, setting or connection that cannot be used is refused here with exit code 2 and one sentence, a
platform that does not respond with 4. What only a Prefect block can tell is checked by the flows.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from labelwright.campaigns.changes import may_be_replaced, refuse_changes
from labelwright.campaigns.spec import BLOCK, CampaignSpec, ImagesFrom, stored_spec
from labelwright.campaigns.unsupported import refuse_unsupported
from labelwright.domain.errors import CannotRun
from labelwright.settings import settings


def check_campaign(spec: CampaignSpec, *, service_follows: bool = False) -> None:
    """Refuses a campaign that cannot be launched here, before anything is sent.

    service_follows: the embedded service is about to be started, so its connection is not complete yet.

    Raises CannotRun, SettingsError, CampaignChanged, Unsupported, LedgerError, PlatformError.
    """
    from labelwright.ledger import open_ledger

    from .output import console

    spec = spec.with_paths_from(settings().home)
    if not service_follows:
        _check_platform(spec)
    _check_workspace(spec)
    ledger = open_ledger(settings().ledger_address())
    record = ledger.campaigns.find(spec.title)
    # Whether a launch that broke off made something is asked of its platform, by the flow.
    fresh = record is None or may_be_replaced(ledger, record)
    if record is not None and not fresh:
        refuse_changes(record, spec)
    refuse_unsupported(spec, None if fresh else record)
    if fresh:
        _check_images(spec.images)
    if spec.passed_deadline:
        console.note(f"warning: the deadline of '{spec.title}' has passed: {spec.passed_deadline}")
    if not service_follows:
        _check_access(spec)


def check_launched(title: str) -> CampaignSpec:
    """Returns the campaign of that title. Refuses one whose connection cannot be used.

    An embedded service that is away is no reason: the flow waits for one that is being restarted.
    Raises UnknownCampaign, CannotRun, SettingsError.
    """
    from labelwright.ledger import open_ledger
    from labelwright.platforms import PlatformUnavailable

    spec = stored_spec(open_ledger(settings().ledger_address()).campaigns.get(title).spec)
    with suppress(PlatformUnavailable):
        _check_platform(spec)
    return spec


def check_connection(connection: str, platform: str) -> None:
    """Refuses credentials of the settings that are unknown, incomplete or for another platform.

    Those of a Prefect block are checked when the flow reads the block. Raises CannotRun, SettingsError.
    """
    from labelwright.platforms import PlatformRefused
    from labelwright.prefect_integration.connections import CONNECTIONS

    if connection.startswith(BLOCK):
        return
    try:
        CONNECTIONS.connect_platform(connection, platform)
    except PlatformRefused as error:
        raise CannotRun(str(error)) from None


def _check_platform(spec: CampaignSpec) -> None:
    from labelwright.campaigns.platform_access import platform_of
    from labelwright.prefect_integration.connections import CONNECTIONS

    if not spec.connection_name.startswith(BLOCK):
        platform_of(spec, CONNECTIONS)


def _check_access(spec: CampaignSpec) -> None:
    """Asks the platform once. One that responds that it is busy is left to the retries of the tasks."""
    from labelwright.campaigns.platform_access import check_access
    from labelwright.platforms import PlatformUnavailable
    from labelwright.prefect_integration.connections import CONNECTIONS

    from .output import console

    if spec.connection_name.startswith(BLOCK):
        return
    try:
        check_access(spec, CONNECTIONS)
    except PlatformUnavailable as error:
        if error.status is None:
            raise
        console.note(f"{error}. Going on: each task tries again for {sum(settings().retry_delays):.0f} seconds")


def _check_workspace(spec: CampaignSpec) -> None:
    name = spec.export.workspace
    if spec.export.store == "azure_ml" and not name.startswith(BLOCK):
        settings().workspace(name)


def _check_images(images: ImagesFrom) -> None:
    from labelwright.campaigns.image_source import open_source
    from labelwright.ingest import SourceError

    if images.folder and not Path(images.folder).is_dir():
        raise CannotRun(f"images.folder: there is no folder {images.folder}")
    if images.manifest and not Path(images.manifest).is_file():
        raise CannotRun(f"images.manifest: there is no file {images.manifest}")
    if images.folder or images.files:
        try:
            next(iter(open_source(images, settings()).find()), None)
        except SourceError as error:
            raise CannotRun(f"images: {error}") from None
