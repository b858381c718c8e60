"""Images that a platform could not take: listed with their reason, sent again, or left out, as somebody decides."""

from __future__ import annotations

from prefect import task

from labelwright.domain import OPEN, Reject, State
from labelwright.ledger import stretches
from labelwright.platforms.protocol import ResendsImages, TellsReviews
from labelwright.tasks.context import Workbench
from labelwright.tasks.reporting import log, publish_table
from labelwright.tasks.retries import RETRIED
from labelwright.tasks.sweep.progress import look

from .checking import report_rejects
from .images import to_send

_SHOWN = 500


@task(task_run_name="list failed images of {title}", **RETRIED)
def list_failed_images(title: str) -> list[dict[str, str]]:
    """File and reason of each image from which nothing more comes, though it is not labeled."""
    bench = Workbench(title)
    failed = bench.platform_that(ResendsImages).list_failed_images(bench.remote_id)
    rows = [{"file": one.name, "reason": one.reason} for one in failed]
    publish_table(title, "failed", rows[:_SHOWN], f"{len(rows)} images of {title} failed")
    for row in rows[:20]:
        log().warning("%s: %s failed: %s", title, row["file"], row["reason"])
    log().info("%s has %d failed images", title, len(rows))
    return rows


@task(task_run_name="send failed images of {title} again", **RETRIED)
def send_failed_again(title: str, names: list[str]) -> int:
    """New ones in place of failed images. Answers how many. Those that are at work or labeled stay as they are."""
    bench = Workbench(title)
    source = bench.source
    entries = [entry for name in names if (entry := bench.ledger.manifests.find(title, name)) is not None]
    log().info("send %d failed images of %s again", len(entries), title)
    images = [to_send(entry, source, bench.settings) for entry in entries]
    ids = bench.platform_that(ResendsImages).send_again(bench.remote_id, images)
    bench.ledger.manifests.record_remote_ids(title, ids)
    return len(ids)


@task(task_run_name="leave failed images of {title} out", **RETRIED)
def leave_failed_out(title: str) -> int:
    """Failed images leave the campaign and the manifest with their reason. Answers how many."""
    bench = Workbench(title)
    platform, count = bench.platform_that(ResendsImages), 0
    for some in stretches(platform.list_failed_images(bench.remote_id), _SHOWN):
        # The manifest first: after a kill in between they still count as failed, and are found again.
        for one in some:
            bench.ledger.manifests.drop(title, Reject(one.name, f"failed on the platform: {one.reason}"))
        platform.leave_out(bench.remote_id, [one.id for one in some])
        count += len(some)
    report_rejects(bench)
    log().info("%d failed images of %s were left out", count, title)
    return count


@task(task_run_name="take {title} up again", **RETRIED)
def take_up_again(title: str) -> str:
    """Failed images were sent again or left out: back to the labelers, if it needed attention, and look at once.

    Returns the campaign's state.
    """
    bench = Workbench(title)
    record = bench.record
    if record.state is State.NEEDS_ATTENTION and record.state_before in OPEN:
        bench.ledger.campaigns.move(title, record.state_before, "its failed images were dealt with")
    record = bench.record
    return (look(record, bench.platform)[0] if record.state in OPEN else record.state).value


@task(task_run_name="count reviews of {title}", **RETRIED)
def count_reviews(title: str) -> dict[str, int]:
    """How many images stand where in the customer's review."""
    bench = Workbench(title)
    counts = bench.platform_that(TellsReviews).count_reviews(bench.remote_id)
    rows = [{"review": review, "images": count} for review, count in counts.items()]
    publish_table(title, "reviews", rows, f"Reviews of {title}")
    return counts


def in_batches(title: str, rows: list[dict[str, str]]) -> list[list[str]]:
    """Names, as many to a task run as images are sent at once."""
    return list(stretches((row["file"] for row in rows), Workbench(title).settings.batch_size))
