"""Checks that commands make before Prefect is imported, started or asked.

A campaign, folder, setting or connection that cannot be used is refused here with exit code 2 and one sentence, a
platform that does not respond with 4. What only a Prefect block can tell is checked by the flows.
"""

from __future__ import annotations

from contextlib import suppress

from labelwright.campaigns.changes import may_be_replaced, refuse_changes
from labelwright.campaigns.shared_paths import note_on_images, refuse_unshared
from labelwright.campaigns.spec import BLOCK, CampaignSpec, ImagesFrom, stored_spec
from labelwright.campaigns.unsupported import refuse_unsupported
from labelwright.domain import OPEN, State
from labelwright.domain.errors import CannotRun, PathUnusable
from labelwright.settings import settings


def check_campaign(spec: CampaignSpec, *, service_follows: bool = False) -> None:
    """Refuses a campaign that cannot be launched here, before anything is sent.

    service_follows: the embedded service is about to be started, so its connection is not complete yet.

    Raises CannotRun, SettingsError (NotShared for a folder that only this machine has), CampaignChanged, Unsupported,
    LedgerError, PlatformError.
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
    if record is None or record.spec.get("export") != spec.export.model_dump(mode="json"):
        refuse_unshared(spec, settings())
    if fresh:
        _check_images(spec.images)
        if note := note_on_images(spec, settings()):
            console.note(f"warning: {note}")
    if spec.passed_deadline:
        console.note(f"warning: the deadline of '{spec.title}' has passed: {spec.passed_deadline}")
    if not service_follows:
        _check_access(spec)


NOTHING_TO_DO = frozenset({State.CANCELLED})
"""States in which no command has anything to do on the platform; what they refuse, they refuse by the ledger."""
NOTHING_TO_RESUME = NOTHING_TO_DO | OPEN | {State.EXPORTED}


def check_launched(title: str, without_request: frozenset[State] = NOTHING_TO_DO) -> CampaignSpec:
    """Returns the campaign of that title. Refuses one whose platform cannot be used, before anything is waited for.

    An embedded service that a running `labelwright up` restarts is no reason: the flow waits for it, and the wait is
    announced. without_request: states in which the platform is not asked.
    Raises UnknownCampaign, CannotRun, SettingsError, PlatformError.
    """
    from labelwright.ledger import open_ledger
    from labelwright.local.servers import is_service_kept_by_up
    from labelwright.platforms import PlatformUnavailable

    from .output import console

    record = open_ledger(settings().ledger_address()).campaigns.get(title)
    spec = stored_spec(record.spec)
    if record.state in without_request:
        with suppress(PlatformUnavailable):
            _check_platform(spec)
        return spec
    try:
        _check_platform(spec)
        _check_access(spec)
    except PlatformUnavailable as error:
        if spec.platform != "campaign_api" or not is_service_kept_by_up(settings().home):
            raise
        console.note(f"{error}. Waiting until labelwright up has restarted it: {_retries()}")
    return spec


def _retries() -> str:
    return f"each task tries again for {sum(settings().retry_delays):.0f} seconds"


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
        raise CannotRun.because_of(error) from None


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
        console.note(f"{error}. Going on: {_retries()}")


def _check_workspace(spec: CampaignSpec) -> None:
    name = spec.export.workspace
    if spec.export.store == "azure_ml" and not name.startswith(BLOCK):
        settings().workspace(name)


def _check_images(images: ImagesFrom) -> None:
    from labelwright.campaigns.image_source import open_source
    from labelwright.domain.paths import is_file, is_folder, shown_path
    from labelwright.ingest import SourceError
    from labelwright.ingest.video.source import VideoSource

    if images.folder and not is_folder(images.folder):
        raise PathUnusable(f"images.folder: there is no folder {shown_path(images.folder)}")
    if images.manifest and not is_file(images.manifest):
        raise PathUnusable(f"images.manifest: there is no file {shown_path(images.manifest)}")
    for path in images.video:
        if not is_folder(path) and not is_file(path):
            raise PathUnusable(f"images.video: there is no file or folder {shown_path(path)}")
    if images.folder or images.files or images.video:
        try:
            source = open_source(images, settings())
            next(iter(source.videos() if isinstance(source, VideoSource) else source.find()), None)
        except SourceError as error:
            raise CannotRun(f"images: {error}") from None
