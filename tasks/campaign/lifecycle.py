"""A campaign on its platform: created, filled, activated, looked at, finished."""

from __future__ import annotations

from prefect import task

from labelwright.campaigns.labeler_keys import LabelerKeys
from labelwright.domain import LABELED, OPEN, State
from labelwright.ledger import EffectItem
from labelwright.platforms.protocol import (
    CampaignOrder,
    FinishesCampaigns,
    KeepsImageSets,
    LabelerAccess,
    RecoversAccess,
    RemoteState,
    RotatesLabelerKeys,
)
from labelwright.tasks.context import CampaignContext, the_ledger
from labelwright.tasks.reporting import log
from labelwright.tasks.retries import RETRY_POLICY

from .image_sizes import is_launched

IMAGES_A_CALL = 10_000
"""Ids a task run; the adapter cuts them into requests."""


class NotLabeledYet(Exception):
    """A campaign cannot be finished before every image is labeled."""


@task(task_run_name="create campaign {title}", **RETRY_POLICY)
def create_campaign(title: str) -> str:
    """Answers the platform's id of the campaign. The labeler's key goes into a file that only its owner can read."""
    context = CampaignContext(title)
    platform, spec, keys = context.platform, context.spec, LabelerKeys(context.settings.home)
    connection = spec.connection_name
    order = CampaignOrder(title, spec.schema_of_labels(), spec.labeler, spec.instructions, dict(spec.metadata))

    def look() -> str | None:
        found = platform.find_campaign(title)
        if found is None:
            return None
        if keys.find(connection, spec.labeler) is None and isinstance(platform, RecoversAccess):
            keep(platform.recover_access(order))
        return found.id

    def create() -> str:
        made = platform.create_campaign(order)
        keep(made.access)
        return made.id

    def keep(access: LabelerAccess | None) -> None:
        if access is not None:
            keys.keep(connection, access)
        elif isinstance(platform, RotatesLabelerKeys):
            log().warning("the key of %s is not known: labelwright labeler-key '%s' --rotate", spec.labeler, title)

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
    # Adding twice does no harm on any platform: there is nothing to look for.
    item = EffectItem(first_image=first, last_image=last)
    context.ledger.effects.once(title, "add images", add, look=lambda: None, item=item)


@task(task_run_name="activate {title}", **RETRY_POLICY)
def activate_campaign(title: str) -> None:
    """Let the labelers work."""
    context = CampaignContext(title)

    def activate() -> str:
        context.platform.activate_campaign(context.remote_id)
        return "active"

    if is_launched(context) and context.record.state in OPEN:
        found = context.platform.read_campaign(context.remote_id)
        if found.state is RemoteState.CREATED and found.total:
            log().warning("%s: labelers cannot work on all of it any more; it is activated again", title)
            context.ledger.effects.forget(title, "activate")
    log().info("activate %s", title)
    # Said to an active campaign it does nothing, while one may look active that was never said to be: where work
    # begins with the first image, or is done as soon as that is there.
    context.ledger.effects.once(title, "activate", activate, look=lambda: None)
    if context.record.state is State.CREATED:
        context.ledger.campaigns.move(title, State.ACTIVE)


@task(task_run_name="finish {title}", **RETRY_POLICY)
def close_campaign(title: str) -> None:
    """Close the campaign on its platform, where that can be said."""
    context = CampaignContext(title)
    platform, remote = context.platform, context.remote_id
    if isinstance(platform, FinishesCampaigns):
        closing = platform

        def look() -> str | None:
            return "finished" if context.platform.read_campaign(remote).state is RemoteState.FINISHED else None

        def finish() -> str:
            closing.finish_campaign(remote)
            return "finished"

        log().info("finish %s", title)
        context.ledger.effects.once(title, "finish", finish, look=look, adopt=True)
    if context.record.state is State.COMPLETED:
        context.ledger.campaigns.move(title, State.FINISHED)


def stretches_to_add(title: str) -> list[tuple[int, int]]:
    """Positions of images, first and last, one pair a call."""
    last = CampaignContext(title).ledger.manifests.last_position(title)
    return [(first, min(first + IMAGES_A_CALL - 1, last)) for first in range(1, last + 1, IMAGES_A_CALL)]


def refuse_unlabeled(title: str, state: State) -> None:
    """Raises NotLabeledYet while images wait for their labels."""
    if state not in LABELED:
        record = the_ledger().campaigns.get(title)
        if record.state is State.NEEDS_ATTENTION:
            raise NotLabeledYet(f"'{title}' needs attention: {record.reason}")
        raise NotLabeledYet(
            f"'{title}' is {record.state.value}: {record.done} of {record.total} images are labeled. "
            f"{record.reason or 'Finish it when all are'}"
        )


def mark_exported(title: str) -> None:
    """Its datasets are registered."""
    the_ledger().campaigns.move(title, State.EXPORTED)
