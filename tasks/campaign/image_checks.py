"""First steps of a launch: registers the campaign in the ledger and checks its images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

from labelwright.campaigns.accepted_images import AcceptedImages, limits_of_platform
from labelwright.campaigns.changes import nothing_made, refuse_changes
from labelwright.campaigns.differences import LOCAL
from labelwright.campaigns.image_notes import ImageNotes
from labelwright.campaigns.image_source import entry_of, limits_of, open_source, stamp_of
from labelwright.campaigns.name_notes import NameNotes
from labelwright.campaigns.shared_paths import refuse_unshared
from labelwright.campaigns.spec import CampaignSpec
from labelwright.campaigns.unsupported import refuse_unsupported
from labelwright.domain import BLOCKED, Image, Reject, State
from labelwright.ingest import (
    InventoryItem,
    NearDuplicateSearch,
    SourceError,
    SourceFile,
    build_inventory,
    write_rejects,
)
from labelwright.ingest.video.source import VideoSource
from labelwright.ledger import CampaignRecord, LedgerError, ManifestEntry, stretches
from labelwright.platforms import PlatformError
from labelwright.prefect_integration.client import may_be_submitted_elsewhere
from labelwright.prefect_integration.connections import CONNECTIONS
from labelwright.settings import settings
from labelwright.tasks.chaining import task
from labelwright.tasks.context import CampaignContext, the_ledger
from labelwright.tasks.reporting import log, publish_progress, publish_table, report_progress
from labelwright.tasks.retries import RETRY_POLICY, UNCACHED

from .dask_cluster import connected_cluster
from .near_duplicates import HashedBefore, show_near_duplicates

_PAGE = 500
"""Files that are looked up, and recorded, at a time."""


class FilesLeftOut(LedgerError):
    """Files were left out of a campaign that is strict, or no image is left."""

    error_code = "LW1310"


@task(task_run_name="register {campaign.title}", **UNCACHED)
def register_campaign(campaign: CampaignSpec) -> str:
    """Add the campaign to the ledger, or resume the one with this title. Returns the title.

    Relative paths start at the home folder: a worker's working directory is gone after the run.
    A file whose images cannot be found leaves no campaign behind. Of a campaign of which nothing was made on the
    platform, a corrected file takes the place. Raises SourceError; Unsupported for a new campaign whose labels its
    platform cannot show, NotShared for one whose paths other machines would not find; CampaignChanged when the title
    is in use.
    """
    as_written, campaign = campaign, campaign.with_paths_from(settings().home)
    ledger, title, document = the_ledger(), campaign.title, campaign.model_dump(mode="json")
    record = ledger.campaigns.find(title)
    if record is None or record.spec.get("export") != document["export"]:
        refuse_unshared(as_written, settings(), on_worker=may_be_submitted_elsewhere())
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
    ledger.runs.record_begun()  # from now on sweeps go on with the campaign
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
        files = source.videos() if isinstance(source, VideoSource) else source.find()
        first = next(iter(files), None)
    except PlatformError:
        return
    if first is None:
        raise SourceError("No images were found. Put them there, then launch the campaign.")


@task(task_run_name="check the images of {title}", **RETRY_POLICY)
def check_images(title: str) -> int:
    """Open, decode and hash every image, and write the manifest. Returns the number of images in it.

    After an interruption, files that were not modified since are not read again.
    Images that the platform does not accept are left out before anything is sent, as `plan` says.
    Raises FilesLeftOut (a strict campaign, no image is left, or some that stop a launch), SourceError.
    """
    context = CampaignContext(title)
    image_count = context.record.images
    if image_count is not None:
        return image_count
    ledger, images = context.ledger, context.spec.images
    mark = ledger.manifests.begin(title)

    accepted = AcceptedImages(context.spec, limits_of_platform(context.spec, lambda: context.platform), context.source)
    near = NearDuplicateSearch(skip=images.near_duplicates == "skip")
    hashed = None if images.near_duplicates == "plan" else HashedBefore(context.folder)
    source = CheckedBefore(context, accepted, hashed)
    entries: list[ManifestEntry] = []
    rejects: list[Reject] = []
    names, notes, checked_count = NameNotes(), ImageNotes(), 0

    def record(entries: list[ManifestEntry], rejects: list[Reject]) -> None:
        ledger.manifests.add(title, mark, entries, rejects)
        if hashed is not None:
            hashed.keep(entry.image for entry in entries)

    with connected_cluster(context) as cluster:
        found = build_inventory(source, limits_of(images), known=source.image, elsewhere=cluster)
        for item in near.check(accepted.check(found)):
            checked_count += 1
            if isinstance(item, InventoryItem):
                names.add(item)
                notes.add(item.image)
                entries.append(entry_of(item, source.stamps.pop(item.location, None)))
            else:
                rejects.append(item)
            if len(entries) + len(rejects) >= _PAGE:
                record(entries, rejects)
                entries, rejects = [], []
                report_progress(title, "checking images", checked_count, 0)
    record(entries, rejects)
    report_progress(title, "checking images", checked_count, checked_count)
    for note in filter(None, [names.sentence(), *notes.lines()]):
        log().warning("%s: %s", title, note)
    left_out = report_rejects(context)
    if hashed is not None:
        show_near_duplicates(context, near.groups())
    if accepted.faults:
        raise FilesLeftOut(accepted.refusal())
    if left_out and images.strict:
        raise FilesLeftOut(
            f"{left_out} files were left out and the campaign is strict: see {context.folder / 'rejects.csv'}"
        )
    count = ledger.manifests.complete(title, mark)
    if not count:
        ledger.manifests.reopen_empty(title)
        raise FilesLeftOut(f"no image is left, {left_out} files were left out: see {context.folder / 'rejects.csv'}")
    if hashed is not None:
        hashed.remove()
    log().info("%s has %d images, %d files were left out", title, count, left_out)
    publish_progress(title, "checking images", count, count)
    return count


class CheckedBefore:
    """The campaign's source of images, and what an interrupted pass over it has checked; looked up page by page."""

    def __init__(self, context: CampaignContext, accepted: AcceptedImages, hashed: HashedBefore | None = None) -> None:
        """`hashed`: where images need perceptual hashes, which the ledger does not keep."""
        self._title, self._manifests, self._source = context.title, context.ledger.manifests, context.source
        self._accepted, self._hashed = accepted, hashed
        self._entries: dict[str, ManifestEntry] = {}
        self.stamps: dict[str, str | None] = {}
        """By location, of files that are being checked."""

    def find(self) -> Iterator[SourceFile | Reject]:
        for page in stretches(self._source.find(), _PAGE):
            names = [file.name for file in page if isinstance(file, SourceFile)]
            self._entries = self._manifests.named(self._title, names)
            yield from page

    def open(self, location: str) -> BinaryIO:
        return self._source.open(location)

    def image(self, file: SourceFile) -> Image | None:
        """The image as it was checked before, of the page that `find` is at; None when it must be checked."""
        self.stamps[file.location] = stamp = stamp_of(file)
        entry = self._entries.get(file.name)
        unchanged = entry is not None and entry.stamp and entry.stamp == stamp
        if entry is None or not unchanged or self._accepted.must_open(entry.image):
            return None
        return entry.image if self._hashed is None else self._hashed.hashed(entry.image)


def report_rejects(context: CampaignContext) -> int:
    """Write rejects.csv and the table in the Prefect UI. Returns how many files were left out."""
    rejects = context.ledger.manifests.rejects(context.title)
    write_rejects(context.folder / "rejects.csv", rejects)
    if rejects:
        rows: list[dict[str, Any]] = [{"file": reject.name, "reason": reject.reason} for reject in rejects[:500]]
        publish_table(context.title, "rejects", rows, f"{len(rejects)} files were left out of {context.title}")
    return len(rejects)
