"""What a person decides of a campaign: taken up again, given up, given back to its labelers, forgotten."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from labelwright.datasets.names import file_stem
from labelwright.domain import LABELED, OPEN, WORK, IllegalMove, State, Work
from labelwright.domain.errors import CannotRun
from labelwright.ledger import CampaignRecord, Ledger, campaign_lease, open_ledger
from labelwright.platforms.protocol import DeletesCampaigns, ReopensCampaigns, ResendsImages
from labelwright.settings import settings

from .connections import Connections
from .spec import CampaignSpec, stored_spec


def take_up(title: str) -> tuple[CampaignSpec, Work | None]:
    """Back to where it stood before it needed attention. Answers what is to be done now, None when its
    labelers are at work. Raises UnknownCampaign,
    CampaignBusy, CannotRun."""
    with _holding(title) as (ledger, record):
        if record.state is State.NEEDS_ATTENTION and record.state_before is not None:
            ledger.campaigns.move(title, record.state_before, "taken up again by a person")
        state = ledger.campaigns.get(title).state
    if state in (State.CANCELLED, State.EXPORTED):
        raise CannotRun(f"'{title}' is {state.value}: there is nothing to take up")
    return stored_spec(record.spec), WORK.get(state)


def cancel(title: str, connections: Connections, *, delete: bool = False) -> str:
    """Give the campaign up. Answers what is left of it on the platform.

    delete: also take it off its platform, where that can be said. Raises UnknownCampaign, CampaignBusy, CannotRun,
    PlatformError.
    """
    with _holding(title) as (ledger, record):
        left = "nothing was made on the platform"
        if record.remote_id is not None:
            left = f"on the platform it is still there (id {record.remote_id})"
            if delete:
                platform = connections.platform_for(stored_spec(record.spec))
                if not isinstance(platform, DeletesCampaigns):
                    raise CannotRun(f"{platform.name} cannot delete campaigns: cancel it without --delete")
                platform.delete_campaign(record.remote_id)
                left = "it was taken off the platform"
        try:
            ledger.campaigns.move(title, State.CANCELLED, "by a person")
        except IllegalMove:
            raise CannotRun(f"'{title}' is {record.state.value}: it is too late to cancel it") from None
    return left


def reopen(title: str, connections: Connections) -> None:
    """Give a labeled campaign back to its labelers. Raises UnknownCampaign, CampaignBusy, CannotRun, PlatformError."""
    with _holding(title) as (ledger, record):
        if record.state in OPEN:
            return
        if record.state not in LABELED or record.remote_id is None:
            raise CannotRun(f"'{title}' is {record.state.value}: only a labeled campaign can be given back")
        platform = connections.platform_for(stored_spec(record.spec))
        if not isinstance(platform, ReopensCampaigns):
            raise CannotRun(f"{platform.name} cannot give campaigns back: ask its operator")
        platform.reopen_campaign(record.remote_id)
        ledger.effects.forget(title, "finish")
        ledger.campaigns.move(title, State.REOPENED, "given back by a person")


def failed_images(title: str, connections: Connections) -> list[dict[str, str]]:
    """File and reason of each image that the platform could not have labeled, as it is now. Changes nothing.

    Raises UnknownCampaign, CannotRun, PlatformError.
    """
    record = open_ledger(settings().ledger_address()).campaigns.get(title)
    if record.remote_id is None:
        raise CannotRun(f"'{title}' is {record.state.value}, and not on its platform yet: launch it first")
    platform = connections.platform_for(stored_spec(record.spec))
    if not isinstance(platform, ResendsImages):
        raise CannotRun(
            f"on {platform.name} images fail while they are sent: labelwright status '{title}' lists them with their "
            "reasons among the files that were left out"
        )
    return [{"file": one.name, "reason": one.reason} for one in platform.list_failed_images(record.remote_id)]


_FORGETTABLE = (State.PLANNED, State.EXPORTED, State.CANCELLED)


def forget(title: str, *, force: bool = False) -> None:
    """Take the campaign out of the ledger, with its files under way. Platform and datasets are left as they are.

    Raises UnknownCampaign, CampaignBusy, CannotRun for one that is under way, unless forced.
    """
    with _holding(title) as (ledger, record):
        if record.state not in _FORGETTABLE and not force:
            raise CannotRun(
                f"'{title}' is {record.state.value}, and what is known of it would be lost: labelwright cancel "
                f"'{title}' first, or say --force"
            )
        ledger.campaigns.forget(title)
        shutil.rmtree(settings().campaign_folder(file_stem(title)), ignore_errors=True)


@contextmanager
def _holding(title: str) -> Iterator[tuple[Ledger, CampaignRecord]]:
    ledger = open_ledger(settings().ledger_address())
    ledger.campaigns.get(title)
    with ledger.leases.held(campaign_lease(title), "somebody on the command line"):
        yield ledger, ledger.campaigns.get(title)
