"""Reads labels from the platform page by page, keeps them on disk, and checks them before they are used."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from prefect import task

from labelwright.campaigns.image_source import address_of
from labelwright.datasets.campaign_reports import LEFT_OUT_COLUMNS, LEFT_OUT_CSV, left_out_rows, write_left_out
from labelwright.datasets.spool.batch import StockedImage
from labelwright.datasets.spool.spool import Spool, SpooledLabels
from labelwright.datasets.validation import validate_labels
from labelwright.domain import LeftOutCounts, State
from labelwright.platforms.protocol import ServesImages
from labelwright.tasks.attention import ask_for_attention
from labelwright.tasks.campaign.batch_upload import with_manifest_names
from labelwright.tasks.campaign.excluded_images import keep_deleted_images, report_excluded, spool_in
from labelwright.tasks.campaign.lifecycle import NotLabeledYet
from labelwright.tasks.campaign.lost_images import begin_repair, count_lost_images, lost_images_reason
from labelwright.tasks.context import CampaignContext
from labelwright.tasks.reporting import log, publish_progress, publish_table
from labelwright.tasks.retries import RETRY_POLICY, UNCACHED

from .images import kept_url

SHOWN = 500
"""Rows of the table of what is left out."""


class ManifestImages:
    """The campaign's images as a dataset refers to them, in the manifest's order. Every iteration reads the ledger."""

    def __init__(self, context: CampaignContext) -> None:
        self._context = context

    def __iter__(self) -> Iterator[StockedImage]:
        context, platform, images = self._context, self._context.platform, self._context.spec.images
        serving, kept = platform if isinstance(platform, ServesImages) else None, kept_url(context)
        for position, entry in enumerate(context.ledger.manifests.entries(context.title), 1):
            remote = entry.remote_id or ""
            if kept is not None:
                url = kept(entry.image.name)
            elif serving is not None and remote:
                url = serving.image_url(remote)
            else:
                url = address_of(images, entry.location)
            yield StockedImage(position, entry.image.name, entry.image.size, entry.image.sha256, url, remote)


def spool_of(context: CampaignContext) -> Spool:
    return spool_in(context)


def delivered(context: CampaignContext) -> SpooledLabels:
    """The labels that were read last, joined with the manifest."""
    return spool_of(context).delivered(ManifestImages(context))


@task(task_run_name="read-labels-page-{number:04d} of {title}", **RETRY_POLICY)
def read_labels_page(title: str, number: int, cursor: str | None) -> str | None:
    """Read a page (numbered from 1) and keep it on disk. Returns the next page's cursor, None at the end."""
    context = CampaignContext(title)
    page = context.platform.read_labels(context.remote_id, cursor)
    images, excluded = with_manifest_names(context, page.images), with_manifest_names(context, page.excluded)
    count = spool_of(context).put_page(number, images, left_out=page.left_out, excluded=excluded)
    log().info("page %d of the labels of %s holds %d images, %d are excluded", number, title, count, len(excluded))
    return page.next


@task(task_run_name="count what is left out of {title}", **RETRY_POLICY)
def record_left_out(title: str) -> dict[str, dict[str, int]]:
    """Record in the ledger how many shapes of the labels were dropped or changed, by reason.

    The details are in `left-out.csv` in the campaign's folder, the first rows in a table in the Prefect UI. Returns the
    counts.
    """
    context = CampaignContext(title)
    spool = spool_of(context)
    counts = LeftOutCounts.of(spool.left_out())
    context.ledger.left_out.record(title, counts)
    path = context.folder / LEFT_OUT_CSV
    write_left_out(path, left_out_rows(spool.left_out()))
    for sentence in counts.sentences():
        log().warning("%s: %s. Details: %s", title, sentence, path)
    if counts.rows():
        first = islice(left_out_rows(spool.left_out()), SHOWN)
        rows: list[dict[str, Any]] = [dict(zip(LEFT_OUT_COLUMNS, row, strict=True)) for row in first]
        publish_table(title, "left-out", rows, f"{title}: {'; '.join(counts.sentences())}")
    return counts.to_dict()


def read_all_labels(title: str) -> int:
    """Read every page again, since labels may have changed. Returns the number of pages.

    Images that were deleted on the platform and are on no page are found by the manifest; they are the last page.
    """
    number, cursor = 0, None
    while number == 0 or cursor is not None:
        number += 1
        cursor = read_labels_page(title, number, cursor)
    number += keep_deleted_images(title, number + 1)
    spool_of(CampaignContext(title)).keep_only(range(1, number + 1))
    record_left_out(title)
    return number


@task(task_run_name="check the labels of {title}", **UNCACHED)
def check_labels(title: str) -> None:
    """Check the labels that were read: every image once or excluded with a reason, shapes inside their image, labels in
    the schema, and as many images as the platform counts.

    Raises ValidationFailed with what is wrong, where, and what to do; NotLabeledYet when a task that held images was
    deleted on the platform before the export.
    """
    context = CampaignContext(title)
    remote = context.platform.read_campaign(context.remote_id)
    lost = count_lost_images(context.record, remote)
    if lost:  # they are sent again: a dataset without them would look complete
        begin_repair(title, lost, context.record.images or 0)
        reason = lost_images_reason(context.record, context.platform.name, lost)
        ask_for_attention.fn(title, reason, State.UPLOADING)
        raise NotLabeledYet(f"'{title}' needs attention: {reason}")
    labels = delivered(context)
    report_excluded(context, labels.excluded())
    # The platform's counts lack images that were deleted there.
    gone = max(0, (context.record.images or 0) - remote.total)
    validate_labels(labels, context.spec.schema_of_labels(), expected_done=remote.done + gone)
    publish_progress(title, "checking labels", remote.done, remote.total)
