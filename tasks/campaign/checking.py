"""Before anything is sent: the campaign is written down, and its images are checked."""

from __future__ import annotations

from typing import Any

from prefect import task

from labelwright.campaigns.changes import refuse_changes
from labelwright.campaigns.image_source import limits_of, stamp_of
from labelwright.campaigns.spec import CampaignSpec
from labelwright.domain import Image, Reject, State
from labelwright.ingest import Found, InventoryItem, build_inventory, write_rejects
from labelwright.ledger import LedgerError, ManifestEntry
from labelwright.settings import settings
from labelwright.tasks.context import CampaignContext, the_ledger
from labelwright.tasks.reporting import log, publish_progress, publish_table, report_progress
from labelwright.tasks.retries import RETRY_POLICY, UNCACHED

from .dask import the_cluster


class FilesLeftOut(LedgerError):
    """Strict, and not every file could be taken."""


@task(task_run_name="write down {campaign.title}", **UNCACHED)
def write_down_campaign(campaign: CampaignSpec) -> str:
    """Put the campaign into the ledger, or take up the one that is there. Answers its title.

    Relative paths are taken from the home folder: a worker's working directory is gone after the run.
    Raises CampaignChanged when what was launched differs in more than deadline, export or connection.
    """
    campaign = campaign.with_paths_from(settings().home)
    ledger, title, wanted = the_ledger(), campaign.title, campaign.model_dump(mode="json")
    record = ledger.campaigns.add(title, wanted)
    if record.spec != wanted:
        refuse_changes(record, campaign)
        ledger.campaigns.record_spec(title, wanted)
    if record.state is State.NEEDS_ATTENTION and record.state_before is not None:
        ledger.campaigns.move(title, record.state_before, "taken up again")
    log().info("campaign %s is %s", title, ledger.campaigns.get(title).state.value)
    return title


@task(task_run_name="check the images of {title}", **RETRY_POLICY)
def check_images(title: str) -> int:
    """Open, decode and hash every image, and write the manifest. Answers how many images it holds.

    A pass that was interrupted is taken up again: files that were not touched since are not read a second time.
    Raises FilesLeftOut (strict), SourceError.
    """
    context = CampaignContext(title)
    known = context.record.images
    if known is not None:
        return known
    ledger, images = context.ledger, context.spec.images
    mark = ledger.manifests.begin(title)

    stamps: dict[str, str | None] = {}  # of files on their way through the checks

    def checked_before(found: Found) -> Image | None:
        stamps[found.location] = stamp = stamp_of(found)
        entry = ledger.manifests.find(title, found.name)
        return entry.image if entry and entry.stamp and entry.stamp == stamp else None

    entries: list[ManifestEntry] = []
    rejects: list[Reject] = []
    seen = 0
    with the_cluster(context) as cluster:
        for item in build_inventory(context.source, limits_of(images), known=checked_before, elsewhere=cluster):
            seen += 1
            if isinstance(item, InventoryItem):
                entries.append(ManifestEntry(item.image, item.location, stamp=stamps.pop(item.location, None)))
            else:
                rejects.append(item)
            if len(entries) + len(rejects) >= 500:
                ledger.manifests.add(title, mark, entries, rejects)
                entries, rejects = [], []
                report_progress(title, "checking images", seen, 0)
    ledger.manifests.add(title, mark, entries, rejects)
    report_progress(title, "checking images", seen, seen)
    left_out = report_rejects(context)
    if left_out and images.strict:
        raise FilesLeftOut(
            f"{left_out} files cannot be taken and the campaign is strict: see {context.folder / 'rejects.csv'}"
        )
    count = ledger.manifests.complete(title, mark)
    if not count:
        ledger.manifests.reopen_empty(title)
        raise FilesLeftOut(
            f"no image could be taken, {left_out} files were left out: see {context.folder / 'rejects.csv'}"
        )
    log().info("%s has %d images, %d files were left out", title, count, left_out)
    publish_progress(title, "checking images", count, count)
    return count


def report_rejects(context: CampaignContext) -> int:
    """Write rejects.csv and the table in the Prefect UI. Answers how many files were left out."""
    rejects = context.ledger.manifests.rejects(context.title)
    write_rejects(context.folder / "rejects.csv", rejects)
    if rejects:
        rows: list[dict[str, Any]] = [{"file": one.name, "reason": one.reason} for one in rejects[:500]]
        publish_table(context.title, "rejects", rows, f"{len(rejects)} files were left out of {context.title}")
    return len(rejects)
