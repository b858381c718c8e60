"""Tasks for CVAT's own functions: reviews, webhooks, exports, malformed shapes. One task per call."""

from __future__ import annotations

from pathlib import Path
from zipfile import is_zipfile

from labelwright.platforms import PlatformRefused, PlatformUnavailable
from labelwright.platforms.cvat.adapter import NAME, Cvat
from labelwright.platforms.cvat.exports import Exportable
from labelwright.tasks.chaining import task
from labelwright.tasks.context import CampaignContext
from labelwright.tasks.reporting import log, publish_table
from labelwright.tasks.retries import RETRY_POLICY

from .cvat import cvat_of


def _of(title: str) -> tuple[Cvat, str]:
    """Returns the adapter with the campaign's options, and the campaign's id on CVAT."""
    context = CampaignContext(title)
    if not isinstance(context.platform, Cvat):
        raise PlatformRefused(context.platform.name, "use functions of CVAT", message=f"'{title}' is not on CVAT")
    return context.platform, context.remote_id


@task(task_run_name="ask for reviews of {title}", **RETRY_POLICY)
def request_review(title: str) -> int:
    """Assigns jobs that labelers completed to the campaign's reviewers. Returns the number of jobs."""
    cvat, campaign = _of(title)
    went = cvat.request_review(campaign)
    log().info("%d jobs of %s go to review", went, title)
    return went


@task(task_run_name="settle reviews of {title}", **RETRY_POLICY)
def settle_review(title: str) -> tuple[int, int]:
    """Accepts jobs that reviewers completed and returns rejected ones to labelers. Returns the number of each."""
    cvat, campaign = _of(title)
    accepted, rejected = cvat.settle_review(campaign)
    log().info("%s: %d jobs accepted, %d given back", title, accepted, rejected)
    return accepted, rejected


@task(task_run_name="create webhook of {title}", **RETRY_POLICY)
def create_webhook(title: str, target: str) -> int:
    """Creates a webhook that sends changes of jobs to `target`. Returns its id. Idempotent."""
    cvat, campaign = _of(title)
    log().info("%s sends its changes to %s", title, target)
    return cvat.put_webhook(campaign, target)


@task(task_run_name="find malformed shapes of {title}", **RETRY_POLICY)
def find_malformed_shapes(title: str) -> list[str]:
    """Returns descriptions of malformed shapes, with their places. Each blocks CVAT's own exports of its task."""
    cvat, campaign = _of(title)
    shapes = [str(shape) for shape in cvat.malformed(campaign)]
    for shape in shapes:
        log().warning("%s", shape)
    if shapes:
        publish_table(title, "malformed", [{"shape": shape} for shape in shapes[:500]], f"Malformed shapes of {title}")
    return shapes


@task(task_run_name="remove malformed shapes of {title}", **RETRY_POLICY)
def remove_malformed_shapes(title: str) -> list[str]:
    """Deletes malformed shapes, so that CVAT can export again. Returns descriptions of the deleted shapes."""
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
    """Downloads CVAT's own export of a task, project or job as a zip file. Returns its path.

    form: one of the server's formats. An existing file is replaced once the download is complete.
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
            message = "the response is no complete zip file"
            raise PlatformUnavailable(NAME, f"export {what} {number}", message=message, advice="Try again.")
        under_way.replace(target)
    finally:
        under_way.unlink(missing_ok=True)
    return str(target)
