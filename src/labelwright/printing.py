"""What commands print: tables for people, JSON for scripts, progress on standard error and only on a terminal."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from labelwright.domain import OPEN

if TYPE_CHECKING:
    from labelwright.findings import Finding
    from labelwright.ledger import CampaignRecord, Ledger
    from labelwright.plan import Plan
    from labelwright.settings import Settings
    from labelwright.spec import CampaignSpec

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

Bars = Callable[[str, str, int, int], None]


def show_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


# Progress


@contextlib.contextmanager
def waiting(what: str) -> Iterator[None]:
    """A spinner on a terminal, a line elsewhere."""
    if err.is_terminal:
        with err.status(f"{what} ..."):
            yield
    else:
        err.print(f"{what} ...")
        yield


@contextlib.contextmanager
def counting(what: str) -> Iterator[Callable[[int], None]]:
    """A running count of something whose end nobody knows."""
    if not err.is_terminal:
        yield lambda _: None
        return
    with _bars() as bars:
        task = bars.add_task(what, total=None)
        yield lambda count: bars.update(task, completed=count)


@contextlib.contextmanager
def progress() -> Iterator[Bars]:
    """Bars for what flows do in this process, one a kind of work; and what they announce."""
    from labelwright.tasks.reporting import listen, unlisten, unwatch, watch

    def say(text: str) -> None:
        err.print(escape(text))

    listen(say)
    try:
        with _following(watch, unwatch) as follow:
            yield follow
    finally:
        unlisten(say)


@contextlib.contextmanager
def _following(watch: Callable[[Bars], None], unwatch: Callable[[Bars], None]) -> Iterator[Bars]:
    if not err.is_terminal:
        yield lambda *_: None
        return
    with _bars() as bars:
        known: dict[tuple[str, str], Any] = {}

        def follow(title: str, doing: str, done: int, total: int) -> None:
            if (title, doing) not in known:
                known[title, doing] = bars.add_task(f"{title}: {doing}", total=total or None)
            bars.update(known[title, doing], completed=done, total=total or None)

        watch(follow)
        try:
            yield follow
        finally:
            unwatch(follow)


def _bars() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=err)


# Answers


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


def show_states(states: dict[str, str], as_json: bool) -> None:
    if as_json:
        show_json(states)
    elif not states:
        out.print("No campaign is open.")
    for title, state in () if as_json else states.items():
        out.print(f"{escape(title)}: {state}")


def show_done(words: str, as_json: bool) -> None:
    if as_json:
        show_json({"done": words})
    else:
        out.print(escape(words))


def show_campaigns(ledger: Ledger, as_json: bool) -> None:
    from labelwright.outlook import outlook_of

    records = ledger.campaigns.all()
    histories = ledger.campaigns.histories([record.title for record in records])
    outlooks = {record.title: outlook_of(record, histories.get(record.title, [])) for record in records}
    if as_json:
        show_json([_campaign_as_json(record) | outlooks[record.title].as_facts() for record in records])
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
            escape(record.reason or outlook.trouble),
        )
    out.print(table)


def show_campaign(ledger: Ledger, title: str, as_json: bool) -> None:
    from labelwright.ledger import campaign_lease
    from labelwright.outlook import in_words, labelers_of, outlook_of

    record = ledger.campaigns.get(title)
    datasets, rejects = ledger.campaigns.datasets(title), ledger.manifests.rejects(title)
    if as_json:
        told = _campaign_as_json(record) | outlook_of(record, ledger.campaigns.progress(title)).as_facts()
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
            {"step": e.step, "item": e.item, "intended_at": e.intended_at, "done_at": e.done_at, "outcome": e.outcome}
            for e in ledger.effects.all(title)
        ]
        told["moves"] = [
            {"was": m.was, "became": m.became, "at": m.at, "why": m.why} for m in ledger.campaigns.moves(title)
        ]
        told["rejects"] = [{"file": one.name, "reason": one.reason} for one in rejects]
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
            left = f", {in_words(labeler.remaining)} left" if labeler.remaining else ""
            table.add_row(f"by {escape(labeler.name)}", f"{labeler.done:,} of {labeler.total:,}{left}")
    if outlook.deadline:
        table.add_row("deadline", f"{outlook.deadline:%Y-%m-%d %H:%M} UTC")
    for effect in ledger.effects.all(title):
        done = f"{effect.done_at:%Y-%m-%d %H:%M:%S} UTC" if effect.done_at else "interrupted: the next run looks"
        table.add_row(f"{effect.step} {effect.item}".strip(), done)
    out.print(table)
    _show_rejects([(one.name, one.reason) for one in rejects])
    _show_labels([Path(one["location"]) for one in datasets])
    for one in datasets:
        out.print(f"  {escape(one['name'])}, version {one['version']}:\n    {escape(one['location'])}")


def _show_labels(locations: list[Path]) -> None:
    """What the newest dataset holds, where its receipt can be read on this machine."""
    receipts = [location / "receipt.json" for location in locations if (location / "receipt.json").is_file()]
    if not receipts:
        return
    labels = json.loads(receipts[-1].read_text(encoding="utf-8"))["labels"]
    table = Table("label", "objects", "images", box=None, header_style="bold", padding=(0, 2, 0, 2))
    for name, counts in labels["labels"].items():
        table.add_row(escape(name), f"{counts['objects']:,}", f"{counts['images']:,}")
    table.add_row("nothing here", "", f"{labels['images_without_objects']:,}")
    out.print(table)


def _campaign_as_json(record: CampaignRecord) -> dict[str, Any]:
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


def show_datasets(found: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        show_json(found)
        return
    if not found:
        out.print("No dataset is registered yet.")
        return
    table = Table("dataset", "version", "campaign", "store", "registered", box=None, header_style="bold")
    for one in found:
        when = str(one["registered_at"])[:16].replace("T", " ")
        table.add_row(escape(one["name"]), one["version"], escape(one["campaign"]), one["store"], when)
    out.print(table)


def show_receipt(dataset: dict[str, Any], receipt: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show_json({**dataset, "receipt": receipt})
        return
    out.print(f"[bold]{escape(dataset['name'])}[/bold], version {dataset['version']}")
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 2))
    images, labels = receipt.get("images", {}), receipt.get("labels", {})
    rows = {
        "location": dataset["location"],
        "campaign": dataset["campaign"],
        "platform": receipt.get("platform", ""),
        "images": f"{images.get('count', 0):,}",
        "objects": f"{labels.get('objects', 0):,}",
        "content hash": dataset["content_hash"],
        "registered": receipt.get("registered_at", ""),
        "code version": receipt.get("code_version", ""),
    }
    for name, value in rows.items():
        table.add_row(name, escape(str(value)))
    out.print(table)
    files = Table("file", "bytes", "SHA-256", box=None, header_style="bold", padding=(0, 2, 0, 2))
    for one in receipt.get("files", []):
        files.add_row(escape(one["name"]), f"{one['size']:,}", one["sha256"])
    out.print(files)


def show_verified(found: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        show_json([{key: one[key] for key in ("name", "version", "location", "wrong")} for one in found])
        return
    if not found:
        out.print("No dataset is registered yet.")
    for one in found:
        out.print(f"{escape(one['name'])}, version {one['version']}: {'NOT as' if one['wrong'] else 'as'} registered")
        for words in one["wrong"]:
            out.print(f"  {escape(words)}")


def show_lineage(told: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show_json(told)
        return
    for one in told["found"]:
        out.print(f"[bold]{escape(one['name'])}[/bold] of the campaign '{escape(one['campaign'])}', {one['state']}")
        table = Table(show_header=False, box=None, padding=(0, 2, 0, 2))
        labels = one["labels"]
        counts = ", ".join(f"{count} x {name}" for name, count in labels.items()) if labels else "nothing here"
        rows = {
            "SHA-256": one["sha256"],
            "size": one["size"],
            "file": one["location"],
            "platform": f"{one['platform']}, image {one['platform_image_id'] or '?'} of campaign "
            f"{one['platform_campaign_id'] or '?'}",
            "labeler": one["labeler"],
            "labels": "the delivery is not on this machine" if labels is None else counts,
        }
        for name, value in rows.items():
            table.add_row(name, escape(str(value)))
        for dataset in one["datasets"]:
            table.add_row("dataset", escape(f"{dataset['name']}, version {dataset['version']}: {dataset['location']}"))
        out.print(table)


def show_labeler_key(settings: Settings, spec: CampaignSpec, campaign: str | None, as_json: bool) -> None:
    from labelwright.failures import CannotRun
    from labelwright.labelers import LabelerKeys

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
    from labelwright.labelers import LabelerKeys, labeling_link

    connection = spec.connection_name
    host = settings.labeling_page_host() if connection == "campaign_api" else None
    access = LabelerKeys(settings.home).find(connection, spec.labeler)
    link = labeling_link(host, access, campaign) if host and access else None
    return link.value if link else None


# Running on this machine


def show_addresses(service: str | None, prefect: str | None, as_json: bool) -> None:
    if as_json:
        return
    if service:
        out.print(f"labeling service  {service}")
    if prefect:
        out.print(f"Prefect UI        {prefect}")


def show_receiver(address: str) -> None:
    out.print(f"receiver on {address} (Ctrl+C stops it)")


def note(words: str) -> None:
    """A line for whoever watches; not part of what a command answers."""
    err.print(escape(words))


def show_up(addresses: dict[str, str], home: Path, as_json: bool) -> None:
    """Where everything is that `labelwright up` keeps running."""
    if as_json:
        show_json(addresses)
        sys.stdout.flush()
        return
    for name, address in addresses.items():
        out.print(f"{name:<18}{escape(address)}")
    out.print(f"logs              {escape(str(home / 'logs'))}")
    out.print("Launch campaigns in the Prefect UI (Deployments, launch-campaign) or by: labelwright launch FILE")
    out.print("Ctrl+C stops everything.")


def show_deployed(names: list[str], as_json: bool) -> None:
    if as_json:
        show_json(names)
        return
    for name in names:
        out.print(escape(name))


def show_service(address: str, admin_file: Path, *, first: bool) -> None:
    """Where the service is; on its first start also the admin's key and secret, this once."""
    out.print(f"labeling service on {address} (Ctrl+C stops it)")
    if first and sys.stdout.isatty():
        told = json.loads(admin_file.read_text())
        out.print(f"admin key     {told['key']}\nadmin secret  {told['secret']}")
        out.print("They are not shown again.", end=" ")
    if first:
        out.print(f"Commands on this machine find them in {escape(str(admin_file))}")


def show_where_to_label(settings: Settings, spec: CampaignSpec, campaign: str | None, as_json: bool) -> None:
    if as_json:
        return
    link = _link(settings, spec, campaign)
    if link and err.is_terminal:  # it holds the labeler's secret: for eyes, not for a log
        err.print(f"{escape(spec.labeler)} can label now:\n  {escape(link)}")
    else:
        err.print(f"{escape(spec.labeler)} can label now; key and link: labelwright labeler-key '{escape(spec.title)}'")
    err.print("Waiting for the labels. Ctrl+C stops the waiting, nothing is lost: run the same again to go on.")


def show_kept(service: str | None, prefect: str | None, as_json: bool) -> None:
    if not as_json:
        running = " and ".join(one for one in (service, prefect) if one)
        out.print(f"Still running, as asked: {running or 'nothing of ours'}")


def show_demo_end(folder: Path, service: str | None, prefect: str | None, keep: bool, as_json: bool) -> None:
    if as_json:
        return
    sheet = folder / "home" / "campaigns" / "demo-photographs" / "contact-sheet.png"
    out.print(f"\n  contact sheet   {escape(str(sheet))}")
    out.print(f"  everything      {escape(str(folder))}")
    if keep:
        show_kept(service, prefect, as_json)
    else:
        out.print("  Service and Prefect are stopped. To look around in the Prefect UI: labelwright demo --keep")


def show_findings(found: list[Finding], as_json: bool) -> None:
    """What the doctor saw: a line each, and what to do under those that need it."""
    if as_json:
        from labelwright.doctor import as_json as told

        show_json(told(found))
        return
    for one in found:
        out.print(f"{one.level.value:8} {escape(one.area)}: {escape(one.says)}")
        if one.do:
            out.print(f"         -> {escape(one.do)}")
    errors = sum(one.level == "error" for one in found)
    warnings = sum(one.level == "warning" for one in found)
    out.print(f"{errors} errors, {warnings} warnings")


def show_project_copy(found: dict[str, Any], as_json: bool) -> None:
    """What a backup or a restore holds, and what its comparison found worth knowing."""
    if as_json:
        show_json(found)
        return
    names = ("project", "name", "folder", "images", "videos", "media", "annotations", "bytes")
    out.print(", ".join(f"{name} {escape(str(found[name]))}" for name in names if name in found))
    for note in found.get("notes", [])[:50]:
        out.print(f"note: {escape(note)}")
    if "differences" in found:
        out.print("compared: no difference")
