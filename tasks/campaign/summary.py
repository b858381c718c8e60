"""The campaign's summary page in the Prefect UI: state, progress, labelers, links and datasets."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from PIL import Image

from labelwright.campaigns.artifact_keys import artifact_key
from labelwright.campaigns.dataset_places import place_in_team
from labelwright.campaigns.next_steps import last_move, unanswered_notes, way_on
from labelwright.campaigns.outlook import LabelerOutlook, Outlook, in_words, labelers_of, outlook_of
from labelwright.domain import LEFT_OUT, OPEN, LeftOutCounts
from labelwright.domain.commands import quoted
from labelwright.ledger import CampaignRecord
from labelwright.ledger.image_states import CANCELLED, FAILED
from labelwright.platforms import PlatformRefused
from labelwright.platforms.protocol import Platform, ShowsCampaigns
from labelwright.settings import SettingsError
from labelwright.tasks.chaining import task
from labelwright.tasks.context import CampaignContext
from labelwright.tasks.reporting import create_page, publish, publishes
from labelwright.tasks.retries import UNCACHED

from .lost_images import repair_notes
from .near_duplicates import NEAR_DUPLICATES

CONTACT_SHEET, CHART = "contact-sheet.png", "label-chart.png"
"""Pictures in the campaign's folder that an export draws."""

_BLOCKS = 30
_WIDEST = 900


@task(task_run_name="show {title}", **UNCACHED)
def show_campaign(title: str) -> None:
    """Publish the campaign's summary page, with pictures of its labels after an export."""
    publish_summary(title)


def publish_summary(title: str, platform: Platform | None = None) -> bool:
    """Write the summary page, a markdown artifact. Its key is stable, so there is one page per campaign.

    Returns whether Prefect's API responded.
    """
    if not publishes():
        return True
    context = CampaignContext(title)
    record, moment = context.record, datetime.now(UTC)
    outlook = outlook_of(record, context.ledger.campaigns.progress(title), moment)
    pages = dict(_pages(context, record, platform))
    datasets = [
        (dataset["name"], dataset["version"], place_in_team(dataset, context.settings))
        for dataset in newest(context.ledger.campaigns.datasets(title))
    ]
    paths = (context.folder / name for name in (CONTACT_SHEET, CHART, NEAR_DUPLICATES))
    pictures = [_embedded(path) for path in paths if path.is_file()]
    states = context.ledger.image_states.counts([title]).get(title, {})
    labelers, notes = labelers_of(context.ledger, record, moment), list(repair_notes(title))
    if record.unanswered_notes:
        notes.append(unanswered_notes(title, record.unanswered_notes))
    left_out = context.ledger.left_out.find(title)
    since = last_move(context.ledger.campaigns.moves(title), with_cause=not record.reason)
    markdown = summary(
        record, outlook, labelers, pages, datasets, pictures, left_out, image_states=states, notes=notes, since=since
    )
    key, description = artifact_key(title, "summary"), f"{title}: {record.state.value}"
    return publish(create_page, markdown=markdown, key=key, description=description)


def _pages(context: CampaignContext, record: CampaignRecord, platform: Platform | None) -> Iterable[tuple[str, str]]:
    if platform is None:
        try:
            platform = context.platform
        except (SettingsError, PlatformRefused):
            return  # which is why the campaign needs attention: its page is published without links
    if record.remote_id is not None and isinstance(platform, ShowsCampaigns):
        yield "the campaign on its platform", platform.campaign_page(record.remote_id)
    elif context.spec.platform == "campaign_api" and (
        host := context.settings.labeling_page_host(context.spec.connection_name)
    ):
        yield "the labeling page, for labelers with their key", f"{host}/label"
        yield "the page of the service's admin", f"{host}/"


def page_heading(title: str) -> str:
    return f"# {_plain(title)}"


def newest(datasets: list[dict[str, str]]) -> list[dict[str, str]]:
    """The version of each dataset that was exported last."""
    return list({dataset["name"]: dataset for dataset in datasets if dataset.get("newest", True)}.values())


def summary(
    record: CampaignRecord,
    outlook: Outlook,
    labelers: list[LabelerOutlook],
    pages: dict[str, str],
    datasets: list[tuple[str, str, str]],
    pictures: list[str],
    left_out: LeftOutCounts | None = None,
    *,
    image_states: Mapping[str, int] | None = None,
    notes: Iterable[str] = (),
    since: str = "",
) -> str:
    """The page as markdown.

    pages: URL by link text. datasets: name, version and location of each. pictures: data URLs.
    image_states: number of images that are not labeled, by state. notes: further sentences. since: when and why the
    campaign came into its state.
    """
    lines = [page_heading(record.title), "", f"**{record.state.value}**"]
    lines += ["", _plain(since)] if since else []
    lines += _reason_lines(record)
    if outlook.trouble:
        lines += ["", f"**{outlook.trouble}**"]
    lines += [line for note in notes for line in ("", f"> {_plain(note)}")]
    if record.total:
        lines += ["", f"`{_bar(record.done, record.total)}` {record.done:,} of {record.total:,} images labeled"]
    lines += _image_state_lines(image_states or {}, record.title)
    facts = []
    if record.state in OPEN:
        if outlook.pace.per_hour:
            facts.append(("pace", f"{outlook.pace.per_hour:.1f} images an hour"))
        if outlook.pace.expected_end:
            facts.append(("expected end", f"{outlook.pace.expected_end:%Y-%m-%d %H:%M} UTC"))
    if outlook.deadline:
        facts.append(("deadline", outlook.shown_deadline))
    facts.append(("platform", _plain(str(record.spec.get("connection") or record.spec.get("platform")))))
    lines += ["", *(f"- {name}: {value}" for name, value in facts)]
    if record.state in OPEN and labelers:
        lines += ["", "| labeler | labeled | left |", "|---|---|---|"]
        lines += [
            f"| {_plain(labeler.name)} | {labeler.done:,} of {labeler.total:,} | {in_words(labeler.remaining)} |"
            for labeler in labelers
        ]
    if left_out is not None and left_out.rows():
        lines += ["", "| not in the dataset, or changed | reason | number |", "|---|---|---|"]
        lines += [f"| {LEFT_OUT[kind]} | {_plain(reason)} | {number:,} |" for kind, reason, number in left_out.rows()]
    if pages:
        lines += ["", *(f"- [{_plain(name)}]({url})" for name, url in pages.items())]
    if datasets:
        lines += ["", "| dataset | version | where |", "|---|---|---|"]
        lines += [f"| {_plain(name)} | {version} | `{location}` |" for name, version, location in datasets]
    for picture in pictures:
        lines += ["", f"![]({picture})"]
    return "\n".join(lines) + "\n"


def _reason_lines(record: CampaignRecord) -> list[str]:
    """Why the campaign waits for a person, and the command that leads on, if the reason does not name one."""
    lines = ["", f"> {_plain(record.reason)}"] if record.reason else []
    if command := way_on(record.title, record.state, record.reason):
        lines += ["", command.replace(": ", ": `", 1) + "`"]
    return lines


def _image_state_lines(image_states: Mapping[str, int], title: str) -> list[str]:
    """A table of images that are not labeled, and the commands for those that failed."""
    if not image_states:
        return []
    lines = ["", "| images that are not labeled | |", "|---|---|"]
    lines += [f"| {_plain(state)} | {count:,} |" for state, count in image_states.items()]
    if image_states.get(FAILED) or image_states.get(CANCELLED):
        command = f"labelwright failed {quoted(title)}"
        lines += ["", f"Why: `{command}`. Send them again: `{command} --resend`, or leave them out: `--leave-out`"]
    return lines


def _bar(done: int, total: int) -> str:
    full = _BLOCKS * done // total
    return "█" * full + "░" * (_BLOCKS - full)


def _plain(text: str) -> str:
    """The text with markdown's special characters escaped."""
    return "".join(f"\\{letter}" if letter in r"\`*_{}[]<>#|!" else letter for letter in " ".join(text.split()))


def _embedded(picture: Path) -> str:
    """The picture as a data URL, small enough for the UI, so that no server has to serve it."""
    buffer = io.BytesIO()
    with Image.open(picture) as opened:
        fitted = opened.convert("RGB")
        fitted.thumbnail((_WIDEST, 20_000))
        fitted.save(buffer, "JPEG", quality=82)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
