"""Reads labels from the platform page by page, and keeps them on disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from prefect import task

from labelwright.campaigns.image_source import address_of
from labelwright.datasets.campaign_reports import LEFT_OUT_COLUMNS, LEFT_OUT_CSV, left_out_rows, write_left_out
from labelwright.datasets.spool.batch import StockedImage
from labelwright.datasets.spool.spool import Spool, SpooledLabels
from labelwright.domain import LeftOutCounts
from labelwright.platforms.protocol import ServesImages
from labelwright.tasks.campaign.batch_upload import with_manifest_names
from labelwright.tasks.campaign.excluded_images import delivery_of, delivery_path, keep_deleted_images, spool_in
from labelwright.tasks.context import CampaignContext
from labelwright.tasks.reporting import log, publish_table
from labelwright.tasks.retries import RETRY_POLICY

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
    """The labels that were read last, joined with the manifest: of those images that the delivery takes."""
    delivery = delivery_of(context)
    return spool_of(context).delivered(ManifestImages(context), without=delivery.names if delivery else frozenset())


@task(task_run_name="read-labels-page-{number:04d} of {title}", **RETRY_POLICY)
def read_labels_page(title: str, number: int, cursor: str | None) -> str | None:
    """Read a page (numbered from 1) and keep it on disk. Returns the next page's cursor, None at the end."""
    context = CampaignContext(title)
    page = context.platform.read_labels(context.remote_id, cursor)
    images, excluded = with_manifest_names(context, page.images), with_manifest_names(context, page.excluded)
    names = {before.name: image.name for before, image in zip(page.images, images, strict=True)}
    left_out = [replace(notice, image=names.get(notice.image, notice.image)) for notice in page.left_out]
    count = spool_of(context).put_page(number, images, left_out=left_out, excluded=excluded)
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
    delivery_path(CampaignContext(title)).unlink(missing_ok=True)
    number, cursor = 0, None
    while number == 0 or cursor is not None:
        number += 1
        cursor = read_labels_page(title, number, cursor)
    number += keep_deleted_images(title, number + 1)
    spool_of(CampaignContext(title)).keep_only(range(1, number + 1))
    record_left_out(title)
    return number
