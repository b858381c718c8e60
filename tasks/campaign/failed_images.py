"""Failed images of a campaign: lists them with their reasons, sends them again, or leaves them out."""

from __future__ import annotations

from labelwright.domain import OPEN, Reject, State
from labelwright.ledger import stretches
from labelwright.platforms.protocol import ResendsImages, TellsReviews
from labelwright.tasks.chaining import task
from labelwright.tasks.context import CampaignContext
from labelwright.tasks.reporting import log, publish_table
from labelwright.tasks.retries import RETRY_POLICY

from .batch_upload import image_to_send
from .image_checks import report_rejects
from .progress import refresh_progress

_SHOWN = 500


@task(task_run_name="list failed images of {title}", **RETRY_POLICY)
def list_failed_images(title: str) -> list[dict[str, str]]:
    """File and reason of each image that failed on the platform, so that it will not be labeled."""
    context = CampaignContext(title)
    failed = context.require_capability(ResendsImages).list_failed_images(context.remote_id)
    rows = [{"file": image.name, "reason": image.reason} for image in failed]
    publish_table(title, "failed", rows[:_SHOWN], f"{len(rows)} images of {title} failed")
    for row in rows[:20]:
        log().warning("%s: %s failed: %s", title, row["file"], row["reason"])
    log().info("%s has %d failed images", title, len(rows))
    return rows


@task(task_run_name="send failed images of {title} again", **RETRY_POLICY)
def resend_failed_images(title: str, names: list[str]) -> int:
    """Replace failed images by new ones. Returns how many. Images that are labeled or being labeled stay."""
    context = CampaignContext(title)
    source = context.source
    entries = [entry for name in names if (entry := context.ledger.manifests.find(title, name)) is not None]
    log().info("send %d failed images of %s again", len(entries), title)
    images = [image_to_send(entry, source, context.settings) for entry in entries]
    ids = context.require_capability(ResendsImages).send_again(context.remote_id, images)
    context.ledger.manifests.record_remote_ids(title, ids)
    return len(ids)


@task(task_run_name="leave failed images of {title} out", **RETRY_POLICY)
def drop_failed_images(title: str) -> int:
    """Remove failed images from the campaign, and record them as rejects with their reason. Returns how many."""
    context = CampaignContext(title)
    platform, count = context.require_capability(ResendsImages), 0
    for images in stretches(platform.list_failed_images(context.remote_id), _SHOWN):
        # The manifest first: if the process dies in between, they still count as failed and are found again.
        for image in images:
            context.ledger.manifests.drop(title, Reject(image.name, f"failed on the platform: {image.reason}"))
        platform.leave_out(context.remote_id, [image.id for image in images])
        count += len(images)
    report_rejects(context)
    log().info("%d failed images of %s were left out", count, title)
    return count


@task(task_run_name="resume {title}", **RETRY_POLICY)
def resume_campaign(title: str) -> str:
    """Return the campaign to its labelers, if it needed attention, and refresh its progress.

    Returns the campaign's state.
    """
    context = CampaignContext(title)
    record = context.record
    if record.state is State.NEEDS_ATTENTION and record.state_before in OPEN:
        context.ledger.campaigns.move(title, record.state_before, "its failed images were sent again or left out")
    record = context.record
    state = refresh_progress(record, context.platform).state if record.state in OPEN else record.state
    return state.value


@task(task_run_name="count reviews of {title}", **RETRY_POLICY)
def count_reviews(title: str) -> dict[str, int]:
    """How many images are in each state of the customer's review, by state."""
    context = CampaignContext(title)
    counts = context.require_capability(TellsReviews).count_reviews(context.remote_id)
    rows = [{"review": review, "images": count} for review, count in counts.items()]
    publish_table(title, "reviews", rows, f"Reviews of {title}")
    return counts


def in_batches(title: str, rows: list[dict[str, str]]) -> list[list[str]]:
    """The names of failed images, cut into batches of one task run each."""
    return list(stretches((row["file"] for row in rows), CampaignContext(title).settings.batch_size))
