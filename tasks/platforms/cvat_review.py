"""What CVAT alone can do with a campaign: reviews, webhooks, its own exports, malformed shapes. Each call a task."""

from __future__ import annotations

from pathlib import Path
from zipfile import is_zipfile

from prefect import task

from labelwright.platforms import PlatformRefused, PlatformUnavailable
from labelwright.platforms.cvat.adapter import NAME, Cvat
from labelwright.platforms.cvat.exports import Exportable
from labelwright.tasks.context import CampaignContext
from labelwright.tasks.reporting import log, publish_table
from labelwright.tasks.retries import RETRY_POLICY

from .cvat import cvat_of


def _of(title: str) -> tuple[Cvat, str]:
    """The adapter with the campaign's options, and its id there."""
    context = CampaignContext(title)
    if not isinstance(context.platform, Cvat):
        raise PlatformRefused(context.platform.name, "do what CVAT does", message=f"'{title}' is not on CVAT")
    return context.platform, context.remote_id


@task(task_run_name="ask for reviews of {title}", **RETRY_POLICY)
def request_review(title: str) -> int:
    """Jobs that labelers completed go to the campaign's reviewers. Returns how many went."""
    cvat, campaign = _of(title)
    went = cvat.request_review(campaign)
    log().info("%d jobs of %s go to review", went, title)
    return went


@task(task_run_name="settle reviews of {title}", **RETRY_POLICY)
def settle_review(title: str) -> tuple[int, int]:
    """Jobs that reviewers completed are accepted, rejected ones go back to labelers. Returns how many of each."""
    cvat, campaign = _of(title)
    accepted, rejected = cvat.settle_review(campaign)
    log().info("%s: %d jobs accepted, %d given back", title, accepted, rejected)
    return accepted, rejected


@task(task_run_name="create webhook of {title}", **RETRY_POLICY)
def create_webhook(title: str, target: str) -> int:
    """Have CVAT tell `target` when jobs change. Returns the webhook's id: the same when it was there already."""
    cvat, campaign = _of(title)
    log().info("%s tells %s of its changes", title, target)
    return cvat.put_webhook(campaign, target)


@task(task_run_name="find malformed shapes of {title}", **RETRY_POLICY)
def find_malformed_shapes(title: str) -> list[str]:
    """Shapes that can be none: each blocks CVAT's own exports of its task. Returns them in words, with their places."""
    cvat, campaign = _of(title)
    shapes = [str(shape) for shape in cvat.malformed(campaign)]
    for shape in shapes:
        log().warning("%s", shape)
    if shapes:
        publish_table(title, "malformed", [{"shape": shape} for shape in shapes[:500]], f"Malformed shapes of {title}")
    return shapes


@task(task_run_name="remove malformed shapes of {title}", **RETRY_POLICY)
def remove_malformed_shapes(title: str) -> list[str]:
    """Take them out of CVAT, so that it can export again. Returns what was removed, in words."""
    cvat, campaign = _of(title)
    return cvat.remove_malformed(campaign)


@task(task_run_name="export {what} {number} from CVAT", **RETRY_POLICY)
def export_from_server(
    what: Exportable,
    number: int,
    file: str,
    form: str = "COCO 1.0",
    images: bool = False,
    seconds: float = 3600,
    connection: str = NAME,
    organization: str = "",
) -> str:
    """CVAT's own export of tasks, projects or jobs, as a zip. Returns the file.

    form: one of the server's formats. The file is there when it is whole; one that was there is replaced.
    """
    target = Path(file)
    target.parent.mkdir(parents=True, exist_ok=True)
    under_way = target.with_name(f"{target.name}.part")
    cvat = cvat_of(connection, organization=organization)
    log().info("export %s %d as %s", what, number, form)
    try:
        with under_way.open("wb") as part:
            cvat.export(what, number, form, part, images=images, deadline=seconds)
        if not is_zipfile(under_way):
            message = "what came is no zip: it broke off, or is another one's answer"
            raise PlatformUnavailable(NAME, f"export {what} {number}", message=message, advice="Try again.")
        under_way.replace(target)
    finally:
        under_way.unlink(missing_ok=True)
    return str(target)
