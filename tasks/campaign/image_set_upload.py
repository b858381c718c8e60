"""Uploads images into an image set, on platforms that keep image sets."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Literal

from prefect.futures import PrefectFuture

from labelwright.domain import Image, Reject, State
from labelwright.ingest import Dropbox, DropboxExpired, Finding, InventoryItem, UploadReport, differences, open_dropbox
from labelwright.ledger import stretches
from labelwright.platforms import PlatformRefused, PlatformUnavailable
from labelwright.platforms.protocol import KeepsImageSets, SetState
from labelwright.settings import settings
from labelwright.tasks.chaining import task
from labelwright.tasks.context import CampaignContext
from labelwright.tasks.reporting import LongWait, log, publish_progress, report_progress
from labelwright.tasks.retries import RETRY_POLICY

from .image_checks import FilesLeftOut, report_rejects
from .image_sizes import ResizedImage, drop_resized, is_launched, refuse_resized, resized_images, warn_of_resized


class UploadFailed(PlatformRefused):
    """Files that could not be sent, each with its reason."""

    error_code = "LW3004"


@task(task_run_name="create image set of {title}", **RETRY_POLICY)
def create_image_set(title: str) -> str:
    """Create the set, or find it after an interruption. Returns its id on the platform."""
    context = CampaignContext(title)
    platform = context.require_capability(KeepsImageSets)
    if context.record.state is State.PLANNED:
        context.ledger.campaigns.move(title, State.UPLOADING)

    def look() -> str | None:
        image_set = platform.find_image_set(title)
        return None if image_set is None else image_set.id

    def create() -> str:
        # The embedded service checks images too, and has to come to the same verdict.
        damage = {"on_damage": "warn"} if context.spec.images.on_damage == "warn" else {}
        return platform.create_image_set(title, {**damage, **context.spec.metadata}).id

    log().info("create image set %s", title)
    image_set = context.ledger.effects.once(title, "create image set", create, look=look, what="the image set")
    context.ledger.campaigns.record_image_set(title, image_set)
    return image_set


@task(task_run_name="find missing images of {title}", **RETRY_POLICY)
def find_missing_images(title: str) -> list[int]:
    """Compare the files in the dropbox, by size and MD5, with the manifest. Returns the batches that lack images.

    Nothing is missing from a set that is sealed. Raises UploadFailed for files that are not the campaign's.
    """
    context = CampaignContext(title)
    platform = context.require_capability(KeepsImageSets)
    if platform.read_image_set(context.image_set).state is not SetState.CREATED:
        return []
    dropbox = _dropbox(context)
    manifests, size = context.ledger.manifests, context.settings.batch_size
    mismatches = differences(manifests.checksums(title), dropbox.read_back())
    missing, foreign = 0, []
    batches: set[int] = set()
    # While this compares, all images count as stored. If the process dies here, that is corrected by the next
    # comparison, with which every run begins.
    manifests.mark_all_stored(title)
    for batch in stretches(mismatches, 500):
        names = [mismatch.name for mismatch in batch if mismatch.finding is Finding.MISSING]
        missing += len(names)
        manifests.mark_stored(title, names, stored=False)
        batches.update((position - 1) // size + 1 for position in manifests.positions(title, names))
        foreign += [
            f"{mismatch.name} {mismatch.reason}" for mismatch in batch if mismatch.finding is not Finding.MISSING
        ]
    if foreign:
        raise UploadFailed(
            context.platform.name,
            "hold the images as they are",
            message=f"{len(foreign)} files in the dropbox are not ours: {'; '.join(foreign[:5])}",
            advice="Remove them from the dropbox and run again.",
        )
    log().info("%s lacks %d images, in %d batches", title, missing, len(batches))
    return sorted(batches)


@task(task_run_name="upload-batch-{batch:03d} of {title}", **RETRY_POLICY)
def upload_batch(title: str, batch: int) -> int:
    """Send the images of a batch (numbered from 1) that are not there yet. Returns how many it sent.

    Raises UploadFailed with the reason of each file.
    """
    context = CampaignContext(title)
    size, total = context.settings.batch_size, context.record.images or 0
    entries = context.ledger.manifests.not_stored(title, (batch - 1) * size + 1, batch * size)
    if not entries:
        return 0
    log().info("upload %d images of %s", len(entries), title)
    done: list[str] = []
    with counting(title, context.ledger.manifests.count_stored(title)) as count:

        def note(image: Image) -> None:
            done.append(image.name)
            report_progress(title, "uploading", count(), total)

        try:
            report = _send(context, [InventoryItem(entry.image, entry.location) for entry in entries], note)
        finally:
            context.ledger.manifests.mark_stored(title, list(done))
    if report.failed:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in report.failed[:5])
        raise UploadFailed("image store", "take images", message=f"{len(report.failed)} were not sent: {reasons}")
    publish_progress(title, "uploading", context.ledger.manifests.count_stored(title), total)
    return report.sent


_counts: dict[str, list[int]] = {}
"""By title, the batches that are being sent in this process and the images that are in the store."""
_counting = threading.Lock()


@contextmanager
def counting(title: str, stored: int) -> Iterator[Callable[[], int]]:
    """Gives a function that counts one more image of the campaign, and returns the count over all of its batches.

    stored: the images in the store before, where no other batch is being sent.
    """
    with _counting:
        counts = _counts.setdefault(title, [0, stored])
        counts[0] += 1

    def count() -> int:
        with _counting:
            counts[1] += 1
            return counts[1]

    try:
        yield count
    finally:
        with _counting:
            counts[0] -= 1
            if not counts[0]:
                del _counts[title]


def upload_batches(title: str, batches: Iterable[int]) -> None:
    """Send batches side by side, each as a task run. Raises what the first of them raises that fails.

    They share the threads: one batch waits for its last files while the next one is being sent.
    """
    running: deque[PrefectFuture[int]] = deque()
    for batch in batches:
        if len(running) == batches_at_once():
            running.popleft().result()
        running.append(upload_batch.submit(title, batch))
    for future in running:
        future.result()


def batches_at_once() -> int:
    return min(2, settings().upload_threads)


def _send(context: CampaignContext, items: list[InventoryItem], note: Callable[[Image], None]) -> UploadReport:
    def send() -> UploadReport:
        return _dropbox(context, context.settings.upload_engine).upload(items, context.source.open, note)

    try:
        return send()
    except DropboxExpired:  # the renewed signature was refused too: one more attempt from the start
        log().info("the dropbox of %s refused its new signature too; trying once more", context.title)
        return send()


def _dropbox(context: CampaignContext, engine: Literal["azure", "obstore"] = "azure") -> Dropbox:
    """The image set's dropbox. A signature that expires during the upload is renewed."""
    platform, image_set, title = context.require_capability(KeepsImageSets), context.image_set, context.title
    logger = log()  # of this task: uploads call from threads of their own

    def renew() -> str:
        logger.info("the signature of the dropbox of %s was refused; asking for a new one", title)
        return platform.dropbox(image_set).value

    url, threads = platform.dropbox(image_set).value, context.settings.upload_threads // batches_at_once()
    return open_dropbox(url, threads=threads, engine=engine, renew=renew)


def refuse_missing(title: str) -> None:
    """Raises UploadFailed: images are still missing after several rounds of sending."""
    raise UploadFailed(
        "image store",
        "keep every image",
        message=f"images of '{title}' are still missing after they were sent",
        advice="Check the store's log, then run again.",
    )


@task(task_run_name="seal image set of {title}", **RETRY_POLICY)
def seal_image_set(title: str) -> None:
    """Have the platform process the images, after the last one was sent."""
    context = CampaignContext(title)
    platform, image_set = context.require_capability(KeepsImageSets), context.image_set

    def look() -> str | None:
        return None if platform.read_image_set(image_set).state is SetState.CREATED else "sealed"

    def seal() -> str:
        platform.seal_image_set(image_set)
        return "sealed"

    log().info("seal image set %s", title)
    context.ledger.effects.once(title, "seal image set", seal, look=look, adopt=True)


@task(task_run_name="wait for image set of {title}", **RETRY_POLICY)
def wait_for_image_set(title: str) -> None:
    """Wait until the platform has processed every image. Raises PlatformUnavailable at the deadline."""
    context = CampaignContext(title)
    platform = context.require_capability(KeepsImageSets)
    end = time.monotonic() + context.settings.sealing_deadline
    wait = LongWait(f"{context.platform.name} has processed the images of {title}", context.settings.sealing_deadline)
    while True:
        wait.check()
        image_set = platform.read_image_set(context.image_set)
        if image_set.state is SetState.FINISHED:
            return
        if image_set.state is not SetState.FINISHING:
            raise PlatformRefused(
                context.platform.name,
                "take in the image set",
                message=f"it says that the set is {image_set.state.value}",
            )
        if time.monotonic() > end:
            raise PlatformUnavailable(
                context.platform.name,
                "take in the image set",
                message="it is still processing them",
                advice="Run again to wait on.",
            )
        wait.sleep(at_least=0.05)


@task(task_run_name="match images of {title}", **RETRY_POLICY)
def match_images(title: str) -> int:
    """Record the platform's id of each image, and which ones it left out. Returns how many images the campaign has.

    Raises FilesLeftOut (strict), PlatformRefused when an image is neither there nor left out with a reason.
    """
    context = CampaignContext(title)
    platform, manifests = context.require_capability(KeepsImageSets), context.ledger.manifests

    resized: list[ResizedImage] = []
    for images in stretches(platform.list_images(context.image_set), 2000):
        manifests.record_remote_ids(title, ((image.name, image.id) for image in images))
        resized += resized_images(
            context.platform.name, images, manifests.sizes_of(title, [image.name for image in images])
        )
    if resized:
        _drop_resized(context, resized)
    rejected = platform.read_image_set(context.image_set).rejected
    for name, reason in rejected:
        manifests.drop(title, Reject(name, f"left out by the platform: {reason}"))
    if rejected and report_rejects(context) and context.spec.images.strict:
        raise FilesLeftOut(f"the platform left out {len(rejected)} images and the campaign is strict")
    lost = manifests.without_remote_id(title)
    if lost:
        raise PlatformRefused(
            context.platform.name,
            "take in every image",
            message=f"these are not in the image set: {', '.join(lost[:5])}",
            advice="Ask the platform's operator; the images are still where they came from.",
        )
    return context.record.images or 0


def _drop_resized(context: CampaignContext, resized: list[ResizedImage]) -> None:
    """Keep images of another size out of the campaign; they stay in the set. Raises SizesDiffer, FilesLeftOut."""
    if is_launched(context):
        warn_of_resized(context, resized)
    elif context.ledger.effects.of_step(context.title, "add images"):
        refuse_resized(context, resized)
    else:
        drop_resized(context, resized)
