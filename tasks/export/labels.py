"""Reads labels from the platform page by page, and keeps them on disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from typing import Any

from prefect.futures import PrefectFuture

from labelwright.campaigns.image_source import dataset_addresses
from labelwright.datasets.campaign_reports import LEFT_OUT_COLUMNS, LEFT_OUT_CSV, left_out_rows, write_left_out
from labelwright.datasets.spool.batch import StockedImage
from labelwright.datasets.spool.spool import Spool, SpooledLabels
from labelwright.domain import LeftOutCounts, Size, VideoFrame
from labelwright.ledger import ImageRow
from labelwright.network.guards import before_change
from labelwright.platforms.protocol import ServesImages
from labelwright.tasks.campaign.batch_upload import with_manifest_names
from labelwright.tasks.campaign.excluded_images import delivery_of, delivery_path, keep_deleted_images, spool_in
from labelwright.tasks.chaining import task
from labelwright.tasks.context import CampaignContext
from labelwright.tasks.reporting import log, publish_table
from labelwright.tasks.retries import RETRY_POLICY

from .images import kept_url, listed_path

SHOWN = 500
"""Rows of the table of what is left out."""


_PAGES_AT_ONCE = 4
"""While one is parsed the server makes others; each holds some megabytes."""


class ManifestImages:
    """The campaign's images as a dataset refers to them, in the manifest's order. Every iteration reads the ledger.

    Their addresses are those of the store where it keeps the images, else those of the source, or those of the platform
    if the campaign file says so: addresses that depend on where a local service listens make a new version of the same
    labels, and do not open when it is stopped.
    """

    def __init__(self, context: CampaignContext) -> None:
        self._context = context

    def __iter__(self) -> Iterator[StockedImage]:
        context, address, path_of = self._context, self._address(), listed_path(self._context)
        size_of = lru_cache(maxsize=1024)(Size)
        for position, row in enumerate(context.ledger.manifests.image_rows(context.title), 1):
            name, location, width, height, sha256, kind, remote_id, source_name, group = row[:9]
            video, frame, seconds = row[9:]
            size, url, path = size_of(width, height), address(row), path_of(name)
            shown = None if video is None else VideoFrame(video, frame or 0, seconds or 0.0)
            yield StockedImage(
                position, name, size, sha256, url, remote_id or "", source_name, kind, path, group, location, shown
            )

    def _address(self) -> Callable[[ImageRow], str]:
        """A function from an image to its address in a dataset."""
        context, images, kept = self._context, self._context.spec.images, kept_url(self._context)
        if kept is not None:
            return lambda row: kept(row.name)

        address_in_source = dataset_addresses(images, lambda: context.source)

        def of_source(row: ImageRow) -> str:
            return address_in_source(row.location)

        platform = context.platform if context.spec.export.image_addresses == "platform" else None
        if not isinstance(platform, ServesImages):
            return of_source
        return lambda row: platform.image_url(row.remote_id) if row.remote_id else of_source(row)


def spool_of(context: CampaignContext) -> Spool:
    return spool_in(context)


def delivered(context: CampaignContext) -> SpooledLabels:
    """The labels that were read last, joined with the manifest: of those images that the delivery takes."""
    delivery = delivery_of(context)
    return spool_of(context).delivered(ManifestImages(context), without=delivery.names if delivery else frozenset())


@task(task_run_name="read-labels-page-{number:04d} of {title}", **RETRY_POLICY)
def read_labels_page(title: str, number: int, cursor: str | None) -> list[str]:
    """Read a page (numbered from 1) and keep it on disk.

    Returns the cursors of the pages after it as far as they are known; none at the end.
    """
    context = CampaignContext(title)
    page = context.platform.read_labels(context.remote_id, cursor)
    images, excluded = with_manifest_names(context, page.images), with_manifest_names(context, page.excluded)
    names = {before.name: image.name for before, image in zip(page.images, images, strict=True)}
    left_out = [replace(notice, image=names.get(notice.image, notice.image)) for notice in page.left_out]
    before_change()
    count = spool_of(context).put_page(number, images, left_out=left_out, excluded=excluded)
    log().info("page %d of the labels of %s holds %d images, %d are excluded", number, title, count, len(excluded))
    return list(page.following) or ([page.next] if page.next is not None else [])


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
    source_names = context.ledger.manifests.source_names(title)
    named = (replace(notice, image=source_names.get(notice.image, notice.image)) for notice in spool.left_out())
    write_left_out(path, left_out_rows(named))
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
    number, following = 1, read_labels_page(title, 1, None)
    while following:
        number, following = _read_side_by_side(title, number, following)
    number += keep_deleted_images(title, number + 1)
    spool_of(CampaignContext(title)).keep_only(range(1, number + 1))
    record_left_out(title)
    return number


def _read_side_by_side(title: str, last: int, cursors: list[str]) -> tuple[int, list[str]]:
    """Read the pages after page number `last`. Returns the number of the last one, and the cursors that follow it."""
    running: deque[PrefectFuture[list[str]]] = deque()
    following: list[str] = []
    for number, cursor in enumerate(cursors, last + 1):
        if len(running) == _PAGES_AT_ONCE:
            following = running.popleft().result()
        running.append(read_labels_page.submit(title, number, cursor))
    while running:
        following = running.popleft().result()
    return last + len(cursors), following
