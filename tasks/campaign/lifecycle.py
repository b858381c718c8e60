"""Creates, fills, activates and finishes a campaign on its platform."""

from __future__ import annotations

from labelwright.campaigns.kept_keys import KeptKeys
from labelwright.campaigns.order import order_of
from labelwright.campaigns.refusals import NotLabeledYet
from labelwright.domain import LABELED, OPEN, State
from labelwright.domain.commands import quoted
from labelwright.domain.errors import WrongState
from labelwright.ledger import EffectItem
from labelwright.platforms.protocol import (
    FinishesCampaigns,
    KeepsImageSets,
    LabelerAccess,
    RecoversAccess,
    RemoteState,
    RotatesLabelerKeys,
)
from labelwright.prefect_integration.connections import CONNECTIONS
from labelwright.tasks.chaining import task
from labelwright.tasks.context import CampaignContext, the_ledger
from labelwright.tasks.reporting import log
from labelwright.tasks.retries import RETRY_POLICY

from .image_sizes import is_launched

IMAGES_A_CALL = 10_000
"""Images per task run; the adapter cuts them into requests."""

BY_HAND = "finished on the platform, not by Labelwright"


@task(task_run_name="create campaign {title}", **RETRY_POLICY)
def create_campaign(title: str) -> str:
    """Create the campaign, or find it after an interruption. Returns its id on the platform.

    The labeler's key is kept in the ledger, encrypted with the team's key, or in a file that only its owner can read.
    """
    context = CampaignContext(title)
    platform, spec = context.platform, context.spec
    keys = KeptKeys(context.settings, context.ledger, CONNECTIONS)
    connection = spec.connection_name
    order = order_of(spec)

    def look() -> str | None:
        existing = platform.find_campaign(title)
        if existing is None:
            return None
        if isinstance(platform, RecoversAccess) and not keys.is_kept(connection, spec.labeler):
            keys.check_writable(connection, spec.labeler)
            keep(platform.recover_access(order))
        return existing.id

    def create() -> str:
        keys.check_writable(connection, spec.labeler)
        created = platform.create_campaign(order)
        keep(created.access)
        return created.id

    def keep(access: LabelerAccess | None) -> None:
        if access is not None:
            keys.keep(connection, access)
        elif isinstance(platform, RotatesLabelerKeys):
            log().warning(
                "the key of %s was not received; make a new one: labelwright labeler-key '%s' --rotate",
                spec.labeler,
                title,
            )

    fills_later = not isinstance(platform, KeepsImageSets)
    if fills_later and context.record.state is State.PLANNED:
        context.ledger.campaigns.move(title, State.UPLOADING)
    log().info("create campaign %s", title)
    remote = context.ledger.effects.once(title, "create campaign", create, look=look, what="the campaign")
    context.ledger.campaigns.record_remote_campaign(title, remote)
    if not fills_later and context.record.state is State.UPLOADING:
        context.ledger.campaigns.move(title, State.CREATED)
    return remote


@task(task_run_name="add images {first}-{last} to {title}", **RETRY_POLICY)
def add_images(title: str, first: int, last: int) -> None:
    """Put the images at positions first to last (both counted, from 1) into the campaign."""
    context = CampaignContext(title)

    def add() -> str:
        ids = context.ledger.manifests.remote_ids(title, first, last)
        context.require_capability(KeepsImageSets).add_images(context.remote_id, ids)
        return "added"

    log().info("add images %d to %d to %s", first, last, title)
    item = EffectItem(first_image=first, last_image=last)
    # Adding images twice is harmless on every platform, so there is nothing to look for.
    context.ledger.effects.once(title, "add images", add, look=lambda: None, item=item)


@task(task_run_name="activate {title}", **RETRY_POLICY)
def activate_campaign(title: str) -> None:
    """Activate the campaign, so that labelers can work on it."""
    context = CampaignContext(title)

    def activate() -> str:
        context.platform.activate_campaign(context.remote_id)
        return "active"

    if is_launched(context) and context.record.state in OPEN:
        remote = context.platform.read_campaign(context.remote_id)
        if remote.state is RemoteState.CREATED and remote.total:
            log().warning("%s: labelers cannot work on all of it any more; it is activated again", title)
            context.ledger.effects.forget(title, "activate")
    log().info("activate %s", title)
    # Not looked up first: activating twice is harmless, and a campaign that was never activated may look active, on
    # platforms where work begins with the first image.
    context.ledger.effects.once(title, "activate", activate, look=lambda: None)
    if context.record.state is State.CREATED:
        context.ledger.campaigns.move(title, State.ACTIVE)


@task(task_run_name="finish {title}", **RETRY_POLICY)
def close_campaign(title: str) -> None:
    """Close the campaign on its platform, if the platform supports that."""
    context = CampaignContext(title)
    platform, remote = context.platform, context.remote_id
    why = None
    if isinstance(platform, FinishesCampaigns):
        finisher = platform  # the type is lost in the nested function

        def look() -> str | None:
            return "finished" if context.platform.read_campaign(remote).state is RemoteState.FINISHED else None

        by_hand = context.ledger.effects.find(title, "finish") is None

        def finish() -> str:
            nonlocal by_hand
            by_hand = False
            finisher.finish_campaign(remote)
            return "finished"

        log().info("finish %s", title)
        context.ledger.effects.once(title, "finish", finish, look=look, adopt=True)
        if by_hand:
            why = BY_HAND
            log().warning("%s was %s", title, why)
    if context.record.state is State.COMPLETED:
        context.ledger.campaigns.move(title, State.FINISHED, why)


def position_ranges(title: str) -> list[tuple[int, int]]:
    """First and last positions of images, counted from 1, one pair per task run."""
    last = CampaignContext(title).ledger.manifests.last_position(title)
    return [(first, min(first + IMAGES_A_CALL - 1, last)) for first in range(1, last + 1, IMAGES_A_CALL)]


def refuse_unlabeled(title: str, state: State) -> None:
    """Raises NotLabeledYet while images are not labeled, CannotRun when the campaign was cancelled."""
    if state not in LABELED:
        record = the_ledger().campaigns.get(title)
        if record.state is State.NEEDS_ATTENTION:
            raise NotLabeledYet(f"'{title}' needs attention: {record.reason}")
        if record.state is State.CANCELLED:
            raise WrongState(
                f"'{title}' is cancelled: launch its images as a new campaign, under another title. To go on with it "
                f"after all: labelwright forget {quoted(title)}, then labelwright adopt {quoted(title)} --file "
                "CAMPAIGN.YAML"
            )
        if record.state is State.PAUSED:
            raise NotLabeledYet(f"'{title}' is paused: {record.reason}. Go on with: labelwright resume {quoted(title)}")
        raise NotLabeledYet(
            f"'{title}' is {record.state.value}: {record.done} of {record.total} images are labeled. "
            f"{record.reason or 'Finish it when all are'}"
        )


def is_completed(title: str) -> bool:
    """Whether the campaign is labeled, and neither closed nor exported."""
    return the_ledger().campaigns.get(title).state is State.COMPLETED


def mark_exported(title: str) -> None:
    """Move the campaign to "exported", after its datasets were registered."""
    the_ledger().campaigns.move(title, State.EXPORTED)
