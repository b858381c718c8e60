"""Images that are in no dataset because they were skipped, rejected or deleted on the platform."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from labelwright.datasets.campaign_reports import EXCLUDED_CSV, write_excluded
from labelwright.datasets.delivery import Delivery, read_delivery
from labelwright.datasets.spool.spool import Spool
from labelwright.domain import ExcludedImage, ImageState
from labelwright.ledger import CampaignRecord, stretches
from labelwright.platforms.protocol import FindsDeletedImages, Platform
from labelwright.tasks.chaining import task
from labelwright.tasks.context import CampaignContext, the_ledger
from labelwright.tasks.reporting import log, publish_table
from labelwright.tasks.retries import RETRY_POLICY

_BATCH_SIZE = 2000
_SHOWN = 500
_LOGGED = 20


def find_deleted_images(
    record: CampaignRecord, platform: Platform, delivered: Collection[str] = ()
) -> list[ExcludedImage]:
    """Images of the manifest that were deleted on the platform.

    delivered: names of images whose labels were read. The platform is asked about every other image, so labels that
    are merely incomplete do not count as deleted images.
    """
    if not isinstance(platform, FindsDeletedImages) or record.remote_id is None:
        return []
    entries = the_ledger().manifests.entries(record.title)
    missing = (entry for entry in entries if entry.image.name not in delivered)
    gone: list[ExcludedImage] = []
    for batch in stretches((entry for entry in missing if entry.remote_id), _BATCH_SIZE):
        details = platform.deleted_images(record.remote_id, [entry.remote_id or "" for entry in batch])
        for entry in batch:
            detail = details.get(entry.remote_id or "")
            if detail is not None:
                gone.append(ExcludedImage(entry.image.name, ImageState.GONE, detail, entry.remote_id or ""))
    return gone


@task(task_run_name="find deleted images of {title}", **RETRY_POLICY)
def keep_deleted_images(title: str, number: int) -> bool:
    """Compare the pages of labels with the manifest, and store deleted images as the page with this number.

    Returns whether there is such a page.
    """
    context = CampaignContext(title)
    spool = spool_in(context)
    delivered = {name for page in range(1, number) for name in spool.names(page)}
    gone = find_deleted_images(context.record, context.platform, delivered)
    if gone:
        spool.put_page(number, (), excluded=gone)
    return bool(gone)


def spool_in(context: CampaignContext) -> Spool:
    """The campaign's pages of labels on this machine."""
    return Spool(context.folder / "labels")


def delivery_path(context: CampaignContext) -> Path:
    """The file that keeps what the delivery under way takes, for the tasks that write and register it."""
    return context.folder / "delivery.json"


def delivery_of(context: CampaignContext) -> Delivery | None:
    """What the delivery takes, as it was decided when the labels were checked last; None before that."""
    return read_delivery(delivery_path(context))


def excluded_names(context: CampaignContext) -> frozenset[str]:
    """Names of the images that are not in the dataset, as of the last time that the labels were read."""
    delivery = delivery_of(context)
    listed = delivery.names if delivery is not None else frozenset()
    return listed | {image.name for image in spool_in(context).excluded()}


def report_excluded(context: CampaignContext, excluded: Mapping[str, ExcludedImage]) -> None:
    """Report which images are in no dataset and why: in the log, in `excluded.csv` in the campaign's folder, as a table
    in Prefect, and in the ledger."""
    title, images = context.title, list(excluded.values())
    source_names = context.ledger.manifests.source_names(title)
    named = (replace(image, name=source_names.get(image.name, image.name)) for image in images)
    write_excluded(context.folder / EXCLUDED_CSV, named)
    context.ledger.image_states.record(title, states_of_images(images), only=EXCLUDED)
    if not images:
        return
    counts = Counter(image.state.value for image in images)
    totals = ", ".join(f"{count:,} {state}" for state, count in sorted(counts.items()))
    log().warning("%s: in no dataset are %s; %s lists them", title, totals, context.folder / EXCLUDED_CSV)
    for image in images[:_LOGGED]:
        log().warning(
            "%s: %s is %s: %s", title, image.name, image.state.value, image.detail or "the platform says no more"
        )
    rows = [{"image": image.name, "state": image.state.value, "reason": image.detail} for image in images[:_SHOWN]]
    publish_table(title, "excluded", rows, f"{len(images):,} images of {title} are in no dataset: {totals}")


EXCLUDED = (ImageState.SKIPPED.value, ImageState.REJECTED.value, ImageState.GONE.value)
"""States in the ledger that come from reading labels."""


def states_of_images(images: Iterable[ExcludedImage]) -> dict[str, list[tuple[str, str]]]:
    """Name and reason of each image, by its state."""
    by_state: dict[str, list[tuple[str, str]]] = {}
    for image in images:
        by_state.setdefault(image.state.value, []).append((image.name, image.detail))
    return by_state
