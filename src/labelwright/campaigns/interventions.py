"""Commands of a person on a campaign: retry, pause, cancel, reopen, forget, new labeler's key, list failed images."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from labelwright.datasets.names import file_stem
from labelwright.domain import BLOCKED, OPEN, WORK, State, Work
from labelwright.domain.commands import quoted
from labelwright.domain.errors import PlatformLacks, WrongState
from labelwright.ledger import CampaignRecord, Ledger, campaign_lease, open_ledger
from labelwright.platforms.protocol import DeletesCampaigns, ResendsImages, RotatesLabelerKeys
from labelwright.settings import settings

from .connections import Connections
from .kept_keys import KeptKeys
from .platform_access import connection_named
from .refusals import check_cancel, check_pause, check_resume
from .reopening import WHOLE, Selection, launched_id, reopen_on_platform
from .spec import CampaignSpec, stored_spec


def retry_blocked(title: str) -> tuple[CampaignSpec, Work | None]:
    """Retries a campaign that needs attention or is paused, from the state before.

    Returns its specification, and the work that is due now (None while its labelers are at work). Raises
    UnknownCampaign, CampaignBusy, CannotRun; NothingDone for a campaign that its labelers have anyway.
    """
    with _locked_campaign(title) as (ledger, record):
        if record.state in OPEN:
            check_resume(record)
        if record.state in BLOCKED and record.state_before is not None:
            ledger.campaigns.move(title, record.state_before, "retried by a person")
        present = ledger.campaigns.get(title)
    if present.state not in OPEN:
        check_resume(present)
    return stored_spec(present.spec), WORK.get(present.state)


def pause(title: str) -> str:
    """Pauses a campaign whose next step is a run, so that no run is started. Returns what was done, as a sentence.

    Raises UnknownCampaign; CampaignBusy while a run works on it; NothingDone when there is nothing to pause.
    """
    with _locked_campaign(title) as (ledger, record):
        if record.state is not State.PAUSED:
            check_pause(record)
            ledger.campaigns.move(title, State.PAUSED, "paused by a person")
    return f"'{title}' is paused: no run is started until somebody resumes it: labelwright resume {quoted(title)}"


def cancel(title: str, connections: Connections, *, delete: bool = False) -> str:
    """Cancels the campaign. Returns a sentence on what remains on the platform.

    delete: also delete it on its platform. Raises UnknownCampaign, CampaignBusy, CannotRun,
    PlatformError.
    """
    with _locked_campaign(title) as (ledger, record):
        check_cancel(record, delete=delete)
        remainder = "nothing was created on the platform"
        if record.remote_id is not None:
            remainder = f"it still exists on the platform (id {record.remote_id})"
            if delete:
                platform = connections.platform_for(stored_spec(record.spec))
                if not isinstance(platform, DeletesCampaigns):
                    raise PlatformLacks(f"{platform.name} cannot delete campaigns: cancel it without --delete")
                with connection_named(stored_spec(record.spec)):
                    platform.delete_campaign(record.remote_id)
                remainder = "it was deleted on the platform"
        ledger.campaigns.move(title, State.CANCELLED, "by a person")
    return remainder


def reopen(title: str, connections: Connections, selection: Selection = WHOLE) -> str:
    """Gives a campaign, or some of its images, back to its labelers. Returns what was done, as a sentence.

    Raises UnknownCampaign, CampaignBusy, CannotRun, PlatformError; NothingDone when nothing was reopened.
    """
    with _locked_campaign(title) as (ledger, record):
        campaign_id, spec = launched_id(record), stored_spec(record.spec)
        with connection_named(spec):
            return reopen_on_platform(ledger, record, campaign_id, connections.platform_for(spec), selection)


def rotate_labeler_key(spec: CampaignSpec, keys: KeptKeys, connections: Connections) -> None:
    """Has the platform create a new key for the campaign's labeler, and stores it. Raises CannotRun, PlatformError."""
    platform = connections.platform_for(spec)
    if not isinstance(platform, RotatesLabelerKeys):
        raise PlatformLacks(f"{platform.name} makes no new keys: ask its operator")
    keys.check_writable(spec.connection_name, spec.labeler)  # before the platform makes a key that could not be stored
    with connection_named(spec):
        access = platform.rotate_labeler_key(spec.labeler)
    keys.keep(spec.connection_name, access)


def failed_images(title: str, connections: Connections) -> list[dict[str, str]]:
    """File and reason of each image that currently fails on the platform. Changes nothing.

    Raises UnknownCampaign, CannotRun, PlatformError.
    """
    record = open_ledger(settings().ledger_address()).campaigns.get(title)
    if record.remote_id is None:
        raise WrongState(f"'{title}' is {record.state.value}, and not on its platform yet: launch it first")
    spec = stored_spec(record.spec)
    platform = connections.platform_for(spec)
    if not isinstance(platform, ResendsImages):
        raise PlatformLacks(
            f"{platform.name} rejects images while they are sent: labelwright status {quoted(title)} lists them with "
            "their "
            "reasons under the files that were left out"
        )
    with connection_named(spec):
        return [{"file": image.name, "reason": image.reason} for image in platform.list_failed_images(record.remote_id)]


_FORGETTABLE = (State.PLANNED, State.EXPORTED, State.CANCELLED)


def forget(title: str, *, force: bool = False) -> None:
    """Deletes the campaign's ledger record and working files. Platform and datasets are not touched.

    Raises UnknownCampaign, CampaignBusy; CannotRun for a campaign in progress, unless forced.
    """
    with _locked_campaign(title) as (ledger, record):
        if record.state not in _FORGETTABLE and not force:
            raise WrongState(
                f"'{title}' is {record.state.value}, and its record would be lost: run labelwright cancel "
                f"'{title}' first, or use --force"
            )
        ledger.campaigns.forget(title)
        shutil.rmtree(settings().campaign_folder(file_stem(title)), ignore_errors=True)


@contextmanager
def _locked_campaign(title: str) -> Iterator[tuple[Ledger, CampaignRecord]]:
    ledger = open_ledger(settings().ledger_address())
    ledger.campaigns.get(title)
    with ledger.leases.held(campaign_lease(title), "somebody on the command line"):
        yield ledger, ledger.campaigns.get(title)
