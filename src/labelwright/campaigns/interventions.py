"""Commands of a person on a campaign: retry, cancel, reopen, forget, list failed images."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from labelwright.datasets.names import file_stem
from labelwright.domain import BLOCKED, WORK, IllegalMove, State, Work
from labelwright.domain.errors import CannotRun
from labelwright.ledger import CampaignRecord, Ledger, campaign_lease, open_ledger
from labelwright.platforms.protocol import DeletesCampaigns, ResendsImages
from labelwright.settings import settings

from .connections import Connections
from .reopening import WHOLE, Selection, launched_id, reopen_on_platform
from .spec import CampaignSpec, stored_spec


def retry_blocked(title: str) -> tuple[CampaignSpec, Work | None]:
    """Retries a campaign that needs attention or is paused, from the state before.

    Returns its specification, and the work that is due now (None while its labelers are at work). Raises
    UnknownCampaign, CampaignBusy, CannotRun.
    """
    with _locked_campaign(title) as (ledger, record):
        if record.state in BLOCKED and record.state_before is not None:
            ledger.campaigns.move(title, record.state_before, "retried by a person")
        state = ledger.campaigns.get(title).state
    if state in (State.CANCELLED, State.EXPORTED):
        raise CannotRun(f"'{title}' is {state.value}: there is nothing to retry")
    return stored_spec(record.spec), WORK.get(state)


def cancel(title: str, connections: Connections, *, delete: bool = False) -> str:
    """Cancels the campaign. Returns a sentence on what remains on the platform.

    delete: also delete it on its platform. Raises UnknownCampaign, CampaignBusy, CannotRun,
    PlatformError.
    """
    with _locked_campaign(title) as (ledger, record):
        remainder = "nothing was created on the platform"
        if record.remote_id is not None:
            remainder = f"it still exists on the platform (id {record.remote_id})"
            if delete:
                platform = connections.platform_for(stored_spec(record.spec))
                if not isinstance(platform, DeletesCampaigns):
                    raise CannotRun(f"{platform.name} cannot delete campaigns: cancel it without --delete")
                platform.delete_campaign(record.remote_id)
                remainder = "it was deleted on the platform"
        try:
            ledger.campaigns.move(title, State.CANCELLED, "by a person")
        except IllegalMove:
            raise CannotRun(f"'{title}' is {record.state.value}: it is too late to cancel it") from None
    return remainder


def reopen(title: str, connections: Connections, selection: Selection = WHOLE) -> str:
    """Gives a campaign, or some of its images, back to its labelers. Returns what was done, as a sentence.

    Raises UnknownCampaign, CampaignBusy, CannotRun, PlatformError; NothingDone when nothing was reopened.
    """
    with _locked_campaign(title) as (ledger, record):
        campaign_id = launched_id(record)
        return reopen_on_platform(
            ledger, record, campaign_id, connections.platform_for(stored_spec(record.spec)), selection
        )


def failed_images(title: str, connections: Connections) -> list[dict[str, str]]:
    """File and reason of each image that currently fails on the platform. Changes nothing.

    Raises UnknownCampaign, CannotRun, PlatformError.
    """
    record = open_ledger(settings().ledger_address()).campaigns.get(title)
    if record.remote_id is None:
        raise CannotRun(f"'{title}' is {record.state.value}, and not on its platform yet: launch it first")
    platform = connections.platform_for(stored_spec(record.spec))
    if not isinstance(platform, ResendsImages):
        raise CannotRun(
            f"{platform.name} rejects images while they are sent: labelwright status '{title}' lists them with their "
            "reasons under the files that were left out"
        )
    return [{"file": image.name, "reason": image.reason} for image in platform.list_failed_images(record.remote_id)]


_FORGETTABLE = (State.PLANNED, State.EXPORTED, State.CANCELLED)


def forget(title: str, *, force: bool = False) -> None:
    """Deletes the campaign's ledger record and working files. Platform and datasets are not touched.

    Raises UnknownCampaign, CampaignBusy; CannotRun for a campaign in progress, unless forced.
    """
    with _locked_campaign(title) as (ledger, record):
        if record.state not in _FORGETTABLE and not force:
            raise CannotRun(
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
