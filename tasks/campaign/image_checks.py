"""First steps of a launch: registers the campaign in the ledger and checks its images."""

from __future__ import annotations

from typing import Any

from prefect import task

from labelwright.campaigns.changes import refuse_changes
from labelwright.campaigns.image_source import limits_of, stamp_of
from labelwright.campaigns.spec import CampaignSpec
from labelwright.domain import BLOCKED, Image, Reject
from labelwright.ingest import InventoryItem, SourceFile, build_inventory, write_rejects
from labelwright.ledger import LedgerError, ManifestEntry
from labelwright.settings import settings
from labelwright.tasks.context import CampaignContext, the_ledger
from labelwright.tasks.reporting import log, publish_progress, publish_table, report_progress
from labelwright.tasks.retries import RETRY_POLICY, UNCACHED

from .dask_cluster import connected_cluster


class FilesLeftOut(LedgerError):
    """Files were left out of a campaign that is strict, or no image is left."""


@task(task_run_name="register {campaign.title}", **UNCACHED)
def register_campaign(campaign: CampaignSpec) -> str:
    """Add the campaign to the ledger, or resume the one with this title. Returns the title.

    Relative paths start at the home folder: a worker's working directory is gone after the run.
    Raises CampaignChanged when more than deadline, export or connection differs from the campaign that was launched.
    """
    campaign = campaign.with_paths_from(settings().home)
    ledger, title, document = the_ledger(), campaign.title, campaign.model_dump(mode="json")
    record = ledger.campaigns.add(title, document)
    if record.spec != document:
        refuse_changes(record, campaign)
        ledger.campaigns.record_spec(title, document)
    if record.state in BLOCKED and record.state_before is not None:
        ledger.campaigns.move(title, record.state_before, "taken up again")
    log().info("campaign %s is %s", title, ledger.campaigns.get(title).state.value)
    return title


@task(task_run_name="check the images of {title}", **RETRY_POLICY)
def check_images(title: str) -> int:
    """Open, decode and hash every image, and write the manifest. Returns the number of images in it.

    After an interruption, files that were not modified since are not read again.
    Raises FilesLeftOut (a strict campaign, or no image is left), SourceError.
    """
    context = CampaignContext(title)
    image_count = context.record.images
    if image_count is not None:
        return image_count
    ledger, images = context.ledger, context.spec.images
    mark = ledger.manifests.begin(title)

    stamps: dict[str, str | None] = {}  # by location, of files that are being checked

    def checked_before(file: SourceFile) -> Image | None:
        stamps[file.location] = stamp = stamp_of(file)
        entry = ledger.manifests.find(title, file.name)
        return entry.image if entry and entry.stamp and entry.stamp == stamp else None

    entries: list[ManifestEntry] = []
    rejects: list[Reject] = []
    checked_count = 0
    with connected_cluster(context) as cluster:
        for item in build_inventory(context.source, limits_of(images), known=checked_before, elsewhere=cluster):
            checked_count += 1
            if isinstance(item, InventoryItem):
                entries.append(ManifestEntry(item.image, item.location, stamp=stamps.pop(item.location, None)))
            else:
                rejects.append(item)
            if len(entries) + len(rejects) >= 500:
                ledger.manifests.add(title, mark, entries, rejects)
                entries, rejects = [], []
                report_progress(title, "checking images", checked_count, 0)
    ledger.manifests.add(title, mark, entries, rejects)
    report_progress(title, "checking images", checked_count, checked_count)
    left_out = report_rejects(context)
    if left_out and images.strict:
        raise FilesLeftOut(
            f"{left_out} files were left out and the campaign is strict: see {context.folder / 'rejects.csv'}"
        )
    count = ledger.manifests.complete(title, mark)
    if not count:
        ledger.manifests.reopen_empty(title)
        raise FilesLeftOut(f"no image is left, {left_out} files were left out: see {context.folder / 'rejects.csv'}")
    log().info("%s has %d images, %d files were left out", title, count, left_out)
    publish_progress(title, "checking images", count, count)
    return count


def report_rejects(context: CampaignContext) -> int:
    """Write rejects.csv and the table in the Prefect UI. Returns how many files were left out."""
    rejects = context.ledger.manifests.rejects(context.title)
    write_rejects(context.folder / "rejects.csv", rejects)
    if rejects:
        rows: list[dict[str, Any]] = [{"file": reject.name, "reason": reject.reason} for reject in rejects[:500]]
        publish_table(context.title, "rejects", rows, f"{len(rejects)} files were left out of {context.title}")
    return len(rejects)
