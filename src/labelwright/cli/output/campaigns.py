"""What commands print of a campaign: what is planned, where it stands, and where its labeler works."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from labelwright.domain import OPEN, LeftOutCounts

from .console import err, out, show_json
from .images import in_words, show_image_states, states_as_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rich.console import Console

    from labelwright.campaigns.plan import Plan
    from labelwright.campaigns.spec import CampaignSpec
    from labelwright.ledger import CampaignRecord, Ledger
    from labelwright.settings import Settings


def show_plan(plan: Plan, as_json: bool) -> None:
    if as_json:
        show_json(plan.as_json())
        return
    out.print(f"[bold]{escape(plan.title)}[/bold] on {plan.platform}, labeled by {escape(plan.labeler)}")
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_row("would upload", f"{plan.images:,} images, {plan.bytes / 1e6:,.1f} MB, in {plan.batches:,} batches")
    table.add_row("would leave out", f"{len(plan.rejects):,} files")
    table.add_row("would create", "\n".join(map(escape, plan.create)))
    if plan.billing:
        table.add_row("would cost", escape(plan.billing))
    table.add_row("labels", escape(", ".join(plan.labels)))
    table.add_row("deadline", plan.deadline or "none")
    table.add_row("would export", "\n".join(map(escape, plan.export)))
    out.print(table)
    _show_rejects([(one["file"], one["reason"]) for one in plan.rejects])
    if plan.refusal:
        err.print(f"[red]Launching would be refused:[/red] {escape(plan.refusal)}")
    out.print("Nothing was sent and nothing was written.")


def show_campaigns(ledger: Ledger, as_json: bool) -> None:
    from labelwright.campaigns.outlook import outlook_of

    records = ledger.campaigns.all()
    histories = ledger.campaigns.histories([record.title for record in records])
    outlooks = {record.title: outlook_of(record, histories.get(record.title, [])) for record in records}
    left_out = ledger.left_out.of_many([record.title for record in records])
    image_states = ledger.image_states.counts()
    if as_json:
        show_json(
            [
                _campaign_as_json(record, left_out.get(record.title))
                | outlooks[record.title].as_facts()
                | {"image_states": image_states.get(record.title, {})}
                for record in records
            ]
        )
        return
    if not records:
        out.print("No campaign yet. Begin with: labelwright run FOLDER --labels a,b --labeler x@y.z")
        return
    columns = ("campaign", "state", "labeled", "expected end", "platform", "labeler", "looked at", "note")
    table = Table(*columns, box=None, header_style="bold")
    for record in records:
        outlook = outlooks[record.title]
        end = outlook.pace.expected_end if record.state in OPEN else None
        looked = f"{record.looked_at:%Y-%m-%d %H:%M} UTC" if record.looked_at else ""
        table.add_row(
            escape(record.title),
            record.state.value,
            f"{record.done:,} of {record.total or record.images or 0:,}",
            f"{end:%Y-%m-%d %H:%M} UTC" if end else "",
            record.spec["platform"],
            escape(record.spec["labeler"]),
            looked,
            escape(
                record.reason
                or ", ".join(filter(None, (outlook.trouble, in_words(image_states.get(record.title, {})))))
            ),
        )
    out.print(table)
    _print_left_out(left_out, out)


def show_campaign(ledger: Ledger, title: str, as_json: bool) -> None:
    from labelwright.campaigns.outlook import in_words as span_in_words
    from labelwright.campaigns.outlook import labelers_of, outlook_of
    from labelwright.ledger import campaign_lease

    record = ledger.campaigns.get(title)
    datasets, rejects = ledger.campaigns.datasets(title), ledger.manifests.rejects(title)
    left_out = ledger.left_out.find(title)
    if as_json:
        told = _campaign_as_json(record, left_out) | outlook_of(record, ledger.campaigns.progress(title)).as_facts()
        told["labelers"] = [
            {
                "labeler": one.name,
                "done": one.done,
                "total": one.total,
                "remaining_hours": round(one.remaining.total_seconds() / 3600, 2)
                if one.remaining is not None
                else None,
            }
            for one in labelers_of(ledger, record)
        ]
        told["effects"] = [
            {"step": e.step, "item": str(e.item), "intended_at": e.intended_at, "done_at": e.done_at, "outcome": e.outcome}
            for e in ledger.effects.all(title)
        ]
        told["moves"] = [
            {"was": m.was, "became": m.became, "at": m.at, "why": m.why} for m in ledger.campaigns.moves(title)
        ]
        told["rejects"] = [{"file": one.name, "reason": one.reason} for one in rejects]
        told["image_states"] = states_as_json(ledger, title)
        told["datasets"] = datasets
        show_json(told)
        return
    out.print(f"\n[bold]{escape(title)}[/bold] is {record.state.value}")
    if record.reason:
        out.print(f"  [bold]why:[/bold] {escape(record.reason)}")
        out.print(f"  When that is mended: labelwright resume '{escape(title)}'")
    lease = ledger.leases.find(campaign_lease(title))
    if lease is not None and ledger.leases.alive(lease):
        out.print(f"  {escape(lease.holder)} is at work on it since {lease.taken_at:%Y-%m-%d %H:%M:%S} UTC")
    outlook = outlook_of(record, ledger.campaigns.progress(title))
    if outlook.trouble:
        out.print(f"  [bold]{escape(outlook.trouble)}[/bold]")
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 2))
    table.add_row("images", f"{record.images or 0:,}, {len(rejects):,} files left out")
    table.add_row("labeled", f"{record.done:,} of {record.total or record.images or 0:,}")
    if record.state in OPEN:
        if outlook.pace.per_hour and outlook.pace.expected_end:
            table.add_row("pace", f"{outlook.pace.per_hour:.1f} images an hour")
            table.add_row("expected end", f"{outlook.pace.expected_end:%Y-%m-%d %H:%M} UTC")
        for labeler in labelers_of(ledger, record):
            left = f", {span_in_words(labeler.remaining)} left" if labeler.remaining else ""
            table.add_row(f"by {escape(labeler.name)}", f"{labeler.done:,} of {labeler.total:,}{left}")
    if outlook.deadline:
        table.add_row("deadline", f"{outlook.deadline:%Y-%m-%d %H:%M} UTC")
    for effect in ledger.effects.all(title):
        done = f"{effect.done_at:%Y-%m-%d %H:%M:%S} UTC" if effect.done_at else "interrupted: the next run looks"
        table.add_row(f"{effect.step} {effect.item}".strip(), done)
    out.print(table)
    _show_rejects([(one.name, one.reason) for one in rejects])
    _show_left_out(title, left_out)
    _show_labels([Path(one["location"]) for one in datasets if one["newest"]])
    several = len({one["name"] for one in datasets}) < len(datasets)
    show_image_states(ledger, title)
    for one in datasets:
        newest = " (the newest)" if several and one["newest"] else ""
        out.print(f"  {escape(one['name'])}, version {one['version']}{newest}:\n    {escape(one['location'])}")


def _show_labels(locations: list[Path]) -> None:
    """What the newest dataset holds, where its receipt can be read on this machine."""
    receipts = [location / "receipt.json" for location in locations if (location / "receipt.json").is_file()]
    try:
        labels = json.loads(receipts[-1].read_text(encoding="utf-8"))["labels"]
    except (IndexError, OSError, ValueError, KeyError):  # `datasets verify` says what is wrong with it
        return
    table = Table("label", "objects", "images", box=None, header_style="bold", padding=(0, 2, 0, 2))
    for name, counts in labels["labels"].items():
        table.add_row(escape(name), f"{counts['objects']:,}", f"{counts['images']:,}")
    table.add_row("nothing here", "", f"{labels['images_without_objects']:,}")
    out.print(table)


def _show_left_out(title: str, counts: LeftOutCounts) -> None:
    """Shapes that are dropped or changed, by reason, and where each of them is listed."""
    from labelwright.datasets.campaign_reports import LEFT_OUT_CSV
    from labelwright.datasets.names import file_stem
    from labelwright.settings import settings

    for sentence in counts.sentences():
        out.print(f"  {escape(sentence)}")
    details = settings().campaign_folder(file_stem(title)) / LEFT_OUT_CSV
    if counts.rows() and details.is_file():
        out.print(f"  each of them: {escape(str(details))}")


def show_left_out_of(ledger: Ledger, titles: Iterable[str], as_json: bool) -> None:
    """What is left out of several campaigns; beside JSON on standard error."""
    _print_left_out(ledger.left_out.of_many(list(titles)), err if as_json else out)


def _print_left_out(left_out: Mapping[str, LeftOutCounts], console: Console) -> None:
    for title, counts in left_out.items():
        for sentence in counts.sentences():
            console.print(f"{escape(title)}: {escape(sentence)}")


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
        "left_out": (left_out or LeftOutCounts()).to_dict(),
    }


def _show_rejects(rejects: list[tuple[str, str]]) -> None:
    if not rejects:
        return
    table = Table("left out", "why", box=None, header_style="bold", padding=(0, 2, 0, 2))
    for name, reason in rejects[:20]:
        table.add_row(escape(name), escape(reason))
    if len(rejects) > 20:
        table.add_row(f"... and {len(rejects) - 20:,} more", "")
    out.print(table)


# The labeler


def show_labeler_key(settings: Settings, spec: CampaignSpec, campaign: str | None, as_json: bool) -> None:
    from labelwright.campaigns.labeler_keys import LabelerKeys
    from labelwright.domain.errors import CannotRun

    found = LabelerKeys(settings.home).find(spec.connection_name, spec.labeler)
    if found is None:
        raise CannotRun(f"no key of {spec.labeler} is kept on this machine: launch the campaign first")
    told = {
        "labeler": found.email,
        "campaign_id": campaign,
        "key": found.key,
        "secret": found.secret.value if found.secret else None,
        "link": _link(settings, spec, campaign),
    }
    if as_json:
        show_json(told)
        return
    told["secret"] = told["secret"] or "known to the labeler from an earlier campaign"
    for name, value in told.items():
        if value:
            out.print(f"{name}: {escape(value)}")


def _link(settings: Settings, spec: CampaignSpec, campaign: str | None) -> str | None:
    """The labeling page with the labeler's key in it, when the embedded service is the platform."""
    from labelwright.campaigns.labeler_keys import LabelerKeys, labeling_link

    connection = spec.connection_name
    host = settings.labeling_page_host() if connection == "campaign_api" else None
    access = LabelerKeys(settings.home).find(connection, spec.labeler)
    link = labeling_link(host, access, campaign) if host and access else None
    return link.value if link else None


def show_where_to_label(settings: Settings, spec: CampaignSpec, campaign: str | None, as_json: bool) -> None:
    if as_json:
        return
    link = _link(settings, spec, campaign)
    if link and err.is_terminal:  # it holds the labeler's secret: for eyes, not for a log
        err.print(f"{escape(spec.labeler)} can label now:\n  {escape(link)}")
    else:
        err.print(f"{escape(spec.labeler)} can label now; key and link: labelwright labeler-key '{escape(spec.title)}'")
    err.print("Waiting for the labels. Ctrl+C stops the waiting, nothing is lost: run the same again to go on.")
