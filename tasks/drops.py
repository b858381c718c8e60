"""Campaigns that were dropped into a container, with their images beside them."""

from __future__ import annotations

from prefect import task

from labelwright.drops import LARGEST, dropped_spec
from labelwright.ingest.opening import open_container
from labelwright.settings import SettingsError, settings
from labelwright.spec import CampaignSpec, SpecError

from .reporting import log
from .retrying import RETRIED
from .workbench import the_ledger


@task(task_run_name="read {blob}", **RETRIED)
def read_dropped_campaign(blob: str) -> CampaignSpec:
    """Read the campaign file from the drop container. Raises SpecError, SettingsError, CannotRead."""
    found = settings()
    container = found.receiver.drop_container if found.receiver else None
    if not container:
        raise SettingsError("no drop container is known. Set LABELWRIGHT_RECEIVER__DROP_CONTAINER to its URL")
    source = open_container(container, found, threads=1, max_bytes=LARGEST)
    with source.open(blob) as file:
        content = file.read()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SpecError(f"{blob} is not text in UTF-8") from None
    log().info("read %s", blob)
    return dropped_spec(text, blob, container)


@task(task_run_name="note {campaign} as launched from {blob}")
def note_launched(blob: str, etag: str, campaign: str) -> None:
    """From now on this version of the file launches nothing any more."""
    the_ledger().inbox.record_launch(blob, etag, campaign)


def launched_before(blob: str, etag: str) -> str | None:
    """The campaign that this version of the file was launched as."""
    title = the_ledger().inbox.launched_from(blob, etag)
    if title is not None:
        log().info("%s was launched before, as %s", blob, title)
    return title
