"""Checks the labels that were read, and decides which images a delivery takes."""

from __future__ import annotations

from collections.abc import Iterator

from labelwright.campaigns.refusals import NotLabeledYet
from labelwright.datasets.delivery import Delivery, Reason, images_drawn_wrong
from labelwright.datasets.validation import NotReady, Unlabeled, check_delivery
from labelwright.domain import OPEN, ImageState, State
from labelwright.domain.commands import quoted
from labelwright.ledger import stretches
from labelwright.platforms.protocol import ListsUnlabeledImages, RemoteCampaign, RemoteState, ResendsImages
from labelwright.tasks.attention import ask_for_attention
from labelwright.tasks.campaign.excluded_images import delivery_path, report_excluded
from labelwright.tasks.campaign.lost_images import begin_repair, count_lost_images, lost_images_reason
from labelwright.tasks.chaining import task
from labelwright.tasks.context import CampaignContext
from labelwright.tasks.reporting import log, publish_progress
from labelwright.tasks.retries import RETRY_POLICY, UNCACHED

from .labels import ManifestImages, spool_of

_BATCH_SIZE = 2000


@task(task_run_name="count labeled images of {title}", **RETRY_POLICY)
def count_labeled(title: str) -> int:
    """How many images the platform counts as done now: read before the labels, since labelers may be at work."""
    context = CampaignContext(title)
    return context.platform.read_campaign(context.remote_id).done


@task(task_run_name="check the labels of {title}", **UNCACHED)
def check_labels(title: str, accept_partial: bool = False, earlier_done: int | None = None) -> bool:
    """Check the labels that were read, and keep which images the delivery takes.

    accept_partial: leave out what is not labeled or not valid; so does a campaign file with `export.partial` or
    `export.when`. Otherwise every image has to be labeled and valid, or skipped, rejected or deleted on the platform.
    earlier_done: what `count_labeled` returned before the labels were read, when labelers may be at work.
    Returns whether no image that is left out can still be labeled or corrected.

    Raises NotReady with what is wrong, where, and the commands to choose from; ValidationFailed for faults of the
    whole; NotLabeledYet while labelers are at work, and when a task that held images was deleted on the platform.
    """
    context = CampaignContext(title)
    record = context.record
    remote = context.platform.read_campaign(context.remote_id)
    _refuse_lost_images(context, remote)
    accept_partial = accept_partial or context.spec.export.accepts_partial
    labels = spool_of(context).delivered(ManifestImages(context))
    report_excluded(context, labels.excluded())
    # The platform's counts lack images that were deleted there.
    gone = max(0, (record.images or 0) - remote.total)
    labeling_open = remote.state in (RemoteState.CREATED, RemoteState.ACTIVE)
    earlier = earlier_done if labeling_open else None
    try:
        delivery = check_delivery(
            labels,
            context.spec.schema_of_labels(),
            accept_partial=accept_partial,
            expected_images=record.images,
            expected_done=remote.done + gone,
            earlier_done=None if earlier is None else earlier + gone,
            labeling_open=labeling_open,
            unlabeled=_unlabeled_images(context, remote, len(labels)),
            drawn_wrong=images_drawn_wrong(spool_of(context).left_out()) if accept_partial else {},
        )
    except NotReady as error:
        raise _not_ready(context, error) from None
    if not delivery.delivered:
        raise _not_ready(context, NotReady((), delivery))
    delivery.write(delivery_path(context))
    log().info("%s: %s", title, delivery.sentence())
    publish_progress(title, "checking labels", remote.done, remote.total)
    return delivery.complete


def _refuse_lost_images(context: CampaignContext, remote: RemoteCampaign) -> None:
    """Raises NotLabeledYet, and has the images sent again: a dataset without them would look complete."""
    title = context.title
    lost = count_lost_images(context.record, remote)
    if lost:
        begin_repair(title, lost, context.record.images or 0)
        reason = lost_images_reason(context.record, context.platform.name, lost)
        ask_for_attention.fn(title, reason, "LW1402", State.UPLOADING)
        raise NotLabeledYet(f"'{title}' needs attention: {reason}")


def _unlabeled_images(context: CampaignContext, remote: RemoteCampaign, labeled: int) -> Unlabeled:
    """What the platform says of images that are not labeled, by the manifest's names: nothing when all are."""
    platform, unlabeled = context.platform, dict[str, tuple[ImageState, str]]()
    if isinstance(platform, ListsUnlabeledImages) and labeled < (context.record.images or 0):
        names = context.ledger.manifests.names_of
        for images in stretches(platform.list_unlabeled_images(context.remote_id), _BATCH_SIZE):
            named = names(context.title, [image.id for image in images])
            unlabeled |= {named.get(image.id, image.name): (image.state, image.detail) for image in images}
    if (remote.failed or remote.cancelled) and isinstance(platform, ResendsImages):
        failed = platform.list_failed_images(context.remote_id)
        unlabeled |= {image.name: (ImageState.FAILED, image.reason) for image in failed}
    return unlabeled


def _not_ready(context: CampaignContext, error: NotReady) -> NotReady | NotLabeledYet:
    """The error with the commands to choose from; NotLabeledYet while the campaign is with its labelers."""
    title, delivery, state = context.title, error.delivery, context.record.state
    advice = "\nGo on with:" + "".join(f"\n  {command}  ({effect})" for command, effect in _commands(title, delivery))
    if state in OPEN:
        return NotLabeledYet(f"'{title}' is {state.value}: {delivery.sentence()}.{advice}")
    return NotReady(error.findings, delivery, advice)


def _commands(title: str, delivery: Delivery) -> Iterator[tuple[str, str]]:
    """Commands that lead on, each with its effect."""
    reasons = {image.reason for image in delivery.listed}
    if Reason.SHAPE_REFUSED in reasons:
        yield f"labelwright reopen {quoted(title)} --wrong", "give the wrong images back to the labelers"
    if Reason.FAILED in reasons:
        yield f"labelwright failed {quoted(title)} --resend", "send the failed images again"
    if delivery.delivered:
        effect = f"deliver the {delivery.delivered:,} that are ready, and list the others"
        yield f"labelwright deliver {quoted(title)} --accept-partial", effect
    elif Reason.WRONG_SIZE in reasons:
        yield f"labelwright cancel {quoted(title)}", "then launch the images under another title, as they are now"
    yield f"labelwright status {quoted(title)}", "see the campaign"
