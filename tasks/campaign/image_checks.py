"""First steps of a launch: registers the campaign in the ledger and checks its images."""

from __future__ import annotations

from typing import Any

from prefect import task

from labelwright.campaigns.changes import nothing_made, refuse_changes
from labelwright.campaigns.differences import LOCAL
from labelwright.campaigns.image_source import limits_of, open_source, stamp_of
from labelwright.campaigns.spec import CampaignSpec
from labelwright.campaigns.unsupported import refuse_unsupported
from labelwright.domain import BLOCKED, Image, Reject, State
from labelwright.ingest import InventoryItem, SourceError, SourceFile, build_inventory, write_rejects
from labelwright.ledger import CampaignRecord, LedgerError, ManifestEntry
from labelwright.platforms import PlatformError
from labelwright.prefect_integration.connections import CONNECTIONS
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
    A file whose images cannot be found leaves no campaign behind. Of a campaign of which nothing was made on the
    platform, a corrected file takes the place. Raises SourceError; Unsupported for a new campaign whose labels its
    platform cannot show; CampaignChanged when the title is in use.
    """
    campaign = campaign.with_paths_from(settings().home)
    ledger, title, document = the_ledger(), campaign.title, campaign.model_dump(mode="json")
    record = ledger.campaigns.find(title)
    if record is None:
        refuse_unsupported(campaign)
        refuse_empty_source(campaign)
        record = ledger.campaigns.add(title, document)
    if _is_replaced(record, campaign):
        refuse_unsupported(campaign)
        refuse_empty_source(campaign)
        log().info("campaign %s: nothing was made of it yet; this file takes the place of the one before", title)
        ledger.campaigns.begin_again(title, document, keep_images=record.spec.get("images") == document["images"])
    elif record.spec != document or record.state is State.CANCELLED:
        refuse_changes(record, campaign)
        ledger.campaigns.record_spec(title, document)
    record = ledger.campaigns.get(title)
    if record.state in BLOCKED and record.state_before is not None:
        ledger.campaigns.move(title, record.state_before, "taken up again")
    log().info("campaign %s is %s", title, ledger.campaigns.get(title).state.value)
    return title


def _is_replaced(record: CampaignRecord, campaign: CampaignSpec) -> bool:
    """Whether the file takes the place of a campaign that was cancelled or failed before anything was made of it."""
    document = campaign.model_dump(mode="json")
    changed = {field for field in document if record.spec.get(field) != document[field]}
    if changed <= LOCAL and record.state is not State.CANCELLED:
        return False
    return nothing_made(the_ledger(), record, lambda: CampaignContext(record.title).platform)


def refuse_empty_source(campaign: CampaignSpec) -> None:
    """Raises SourceError when there are no images. A source that does not answer now is read when they are checked."""
    try:
        source = open_source(campaign.images, CONNECTIONS.image_settings(settings(), campaign.images))
        first = next(iter(source.find()), None)
    except PlatformError:
        return
    if first is None:
        raise SourceError("No images were found. Put them there, then launch the campaign.")


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
