"""Prints campaigns: the list of all, one in detail, and what is left out of their datasets."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from labelwright.domain import OPEN, WORK, LeftOutCounts, State

from .console import err, out, show_json, show_table
from .images import in_words, show_image_states, states_as_json
from .labelers import EMBEDDED, where_to_label
from .plans import show_rejects

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import Console

    from labelwright.campaigns.outlook import Outlook
    from labelwright.ledger import CampaignRecord, Ledger


# All campaigns


def show_campaigns(ledger: Ledger, as_json: bool) -> None:
    from labelwright.campaigns.outlook import outlook_of
    from labelwright.campaigns.queue import reasons_to_wait
    from labelwright.settings import settings

    records = ledger.campaigns.all()
    titles = [record.title for record in records]
    histories = ledger.campaigns.histories(titles)
    outlooks = {record.title: outlook_of(record, histories.get(record.title, [])) for record in records}
    left_out, image_states = ledger.left_out.of_many(titles), ledger.image_states.counts()
    waiting = reasons_to_wait(ledger, records, settings().restart_minutes)
    if as_json:
        show_json(
            [
                _campaign_as_json(record, left_out.get(record.title))
                | outlooks[record.title].as_facts()
                | {"image_states": image_states.get(record.title, {}), "waiting": waiting.get(record.title)}
                for record in records
            ]
        )
        return
    if not records:
        out.print("No campaign yet. Begin with: labelwright run FOLDER --labels a,b --labeler x@y.z")
        return
    columns = ("campaign", "state", "labeled", "expected end", "platform", "labeler", "checked at", "note")
    table = Table(*columns, box=None, header_style="bold")
    for record in records:
        outlook = outlooks[record.title]
        count = record.unanswered_notes
        unanswered = f"{count:,} {'note' if count == 1 else 'notes'} without an answer" if count else ""
        notes = (waiting.get(record.title), outlook.trouble, in_words(image_states.get(record.title, {})))
        note = record.reason or ", ".join(filter(None, notes))
        table.add_row(
            escape(record.title),
            record.state.value,
            _progress(record),
            _minute(outlook.pace.expected_end if record.state in OPEN else None),
            record.spec["platform"],
            escape(record.spec["labeler"]),
            _minute(record.looked_at),
            escape(", ".join(filter(None, (note, unanswered)))),
        )
    show_table(table)
    _show_left_out_counts(left_out, out)


# One campaign


def show_campaign(ledger: Ledger, title: str, as_json: bool) -> None:
    """Prints state, progress, steps, rejected files, image states and datasets of a campaign."""
    from labelwright.campaigns.outlook import outlook_of
    from labelwright.campaigns.queue import reasons_to_wait
    from labelwright.settings import settings

    record = ledger.campaigns.get(title)
    outlook = outlook_of(record, ledger.campaigns.progress(title))
    datasets, left_out = ledger.campaigns.datasets(title), ledger.left_out.find(title)
    waiting = reasons_to_wait(ledger, ledger.campaigns.all(WORK), settings().restart_minutes).get(title)
    if as_json:
        show_json(_details_as_json(ledger, record, outlook, left_out, datasets) | {"waiting": waiting})
        return
    _show_state(ledger, record, outlook, waiting)
    _show_progress(ledger, record, outlook)
    show_rejects([(reject.name, reject.reason) for reject in ledger.manifests.rejects(title)])
    _show_left_out(title, left_out)
    _show_label_counts([Path(dataset["location"]) for dataset in datasets if dataset["newest"]])
    show_image_states(ledger, title)
    _show_datasets(datasets)


def _details_as_json(
    ledger: Ledger,
    record: CampaignRecord,
    outlook: Outlook,
    left_out: LeftOutCounts,
    datasets: list[dict[str, Any]],
) -> dict[str, Any]:
    from labelwright.campaigns.outlook import labelers_of

    title = record.title
    return {
        **_campaign_as_json(record, left_out),
        **outlook.as_facts(),
        "labelers": [
            {
                "labeler": labeler.name,
                "done": labeler.done,
                "total": labeler.total,
                "remaining_hours": (
                    None if labeler.remaining is None else round(labeler.remaining.total_seconds() / 3600, 2)
                ),
            }
            for labeler in labelers_of(ledger, record)
        ],
        "effects": [
            {
                "step": effect.step,
                "item": str(effect.item),
                "intended_at": effect.intended_at,
                "done_at": effect.done_at,
                "outcome": effect.outcome,
            }
            for effect in ledger.effects.all(title)
        ],
        "moves": [
            {"was": move.was, "became": move.became, "at": move.at, "why": move.why}
            for move in ledger.campaigns.moves(title)
        ],
        "rejects": [{"file": reject.name, "reason": reject.reason} for reject in ledger.manifests.rejects(title)],
        "image_states": states_as_json(ledger, title),
        "datasets": datasets,
    }


def _show_state(ledger: Ledger, record: CampaignRecord, outlook: Outlook, waiting: str | None) -> None:
    """Prints the state and since when, why the campaign is blocked and how to go on, and who works on it now."""
    from labelwright.campaigns.next_steps import last_move, unanswered_notes, way_on
    from labelwright.ledger import campaign_lease

    title = escape(record.title)
    be = "" if record.state is State.NEEDS_ATTENTION else "is "
    out.print(f"\n[bold]{title}[/bold] {be}{record.state.value}")
    if since := last_move(ledger.campaigns.moves(record.title), with_cause=not record.reason):
        out.print(f"  {escape(since)}")
    if record.reason:
        out.print(f"  [bold]why:[/bold] {escape(record.reason)}")
    if command := way_on(record.title, record.state, record.reason):
        out.print(f"  {escape(command)}")
    lease = ledger.leases.find(campaign_lease(record.title))
    if lease is not None and ledger.leases.alive(lease):
        out.print(f"  {escape(lease.holder)} has been working on it since {lease.taken_at:%Y-%m-%d %H:%M:%S} UTC")
    if waiting:
        out.print(f"  {escape(waiting)}")
    if outlook.trouble:
        out.print(f"  [bold]{escape(outlook.trouble)}[/bold]")
    if record.unanswered_notes:
        out.print(f"  {escape(unanswered_notes(record.title, record.unanswered_notes))}")
    if record.state in OPEN and record.remote_id and record.spec["platform"] == EMBEDDED:
        out.print(f"  {where_to_label(record, on_terminal=out.is_terminal)}")


def _show_progress(ledger: Ledger, record: CampaignRecord, outlook: Outlook) -> None:
    """Prints counts, pace, deadline, and the steps that were done on the platform and in the store."""
    from labelwright.campaigns.outlook import in_words as span_in_words
    from labelwright.campaigns.outlook import labelers_of

    rejects = ledger.manifests.rejects(record.title)
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 2))
    table.add_row("images", f"{record.images or 0:,}, {len(rejects):,} files left out")
    table.add_row("labeled", _progress(record))
    if record.state in OPEN:
        if outlook.pace.per_hour and outlook.pace.expected_end:
            table.add_row("pace", f"{outlook.pace.per_hour:.1f} images an hour")
            table.add_row("expected end", _minute(outlook.pace.expected_end))
        for labeler in labelers_of(ledger, record):
            remaining = f", {span_in_words(labeler.remaining)} left" if labeler.remaining else ""
            table.add_row(f"by {escape(labeler.name)}", f"{labeler.done:,} of {labeler.total:,}{remaining}")
    if outlook.deadline:
        table.add_row("deadline", escape(outlook.shown_deadline))
    for effect in ledger.effects.all(record.title):
        done = f"{effect.done_at:%Y-%m-%d %H:%M:%S} UTC" if effect.done_at else "interrupted: the next run checks it"
        table.add_row(f"{effect.step} {effect.item}".strip(), done)
    show_table(table)


def _show_datasets(datasets: Sequence[Mapping[str, Any]]) -> None:
    from labelwright.campaigns.dataset_places import place_elsewhere
    from labelwright.settings import settings

    has_older_versions = len({dataset["name"] for dataset in datasets}) < len(datasets)
    for dataset in datasets:
        newest = " (the newest)" if has_older_versions and dataset["newest"] else ""
        out.print(f"  {escape(dataset['name'])}, version {dataset['version']}{newest}:")
        out.print(f"    {escape(place_elsewhere(dataset, settings()) or dataset['location'])}")


def _show_label_counts(locations: list[Path]) -> None:
    """Prints objects and images by label of the newest dataset, when this machine can read its receipt."""
    receipts = [location / "receipt.json" for location in locations if (location / "receipt.json").is_file()]
    try:
        labels = json.loads(receipts[-1].read_text(encoding="utf-8"))["labels"]
    except (IndexError, OSError, ValueError, KeyError):  # `datasets verify` reports what is wrong with it
        return
    table = Table("label", "objects", "images", box=None, header_style="bold", padding=(0, 2, 0, 2))
    for name, counts in labels["labels"].items():
        table.add_row(escape(name), f"{counts['objects']:,}", f"{counts['images']:,}")
    table.add_row("nothing here", "", f"{labels['images_without_objects']:,}")
    show_table(table)


# Shapes that are left out


def _show_left_out(title: str, counts: LeftOutCounts) -> None:
    """Prints how many shapes are dropped or changed, by reason, and the file that lists each."""
    from labelwright.datasets.campaign_reports import LEFT_OUT_CSV
    from labelwright.datasets.names import file_stem
    from labelwright.settings import settings

    for sentence in counts.sentences():
        out.print(f"  {escape(sentence)}")
    details = settings().campaign_folder(file_stem(title)) / LEFT_OUT_CSV
    if counts.rows() and details.is_file():
        out.print(f"  each of them: {escape(str(details))}")


def show_left_out_of(ledger: Ledger, titles: Iterable[str], as_json: bool) -> None:
    """Prints what is left out of several campaigns; on standard error when standard output is JSON."""
    _show_left_out_counts(ledger.left_out.of_many(list(titles)), err if as_json else out)


def _show_left_out_counts(left_out: Mapping[str, LeftOutCounts], console: Console) -> None:
    for title, counts in left_out.items():
        for sentence in counts.sentences():
            console.print(f"{escape(title)}: {escape(sentence)}")


# Parts


def _campaign_as_json(record: CampaignRecord, left_out: LeftOutCounts | None) -> dict[str, Any]:
    return {
        "title": record.title,
        "state": record.state.value,
        "reason": record.reason,
        "platform": record.spec["platform"],
        "labeler": record.spec["labeler"],
        "deadline": record.spec.get("deadline"),
        "images": record.images,
        "done": record.done,
        "total": record.total,
        "image_set": record.image_set,
        "remote_id": record.remote_id,
        "created_at": record.created_at.isoformat(),
        "looked_at": record.looked_at.isoformat() if record.looked_at else None,
        "unanswered_notes": record.unanswered_notes,
        "left_out": (left_out or LeftOutCounts()).to_dict(),
    }


def _progress(record: CampaignRecord) -> str:
    return f"{record.done:,} of {record.total or record.images or 0:,}"


def _minute(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else ""
