"""Output of commands: tables for people, JSON for scripts, progress on standard error and only on a terminal."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from labelwright.domain.errors import with_code

if TYPE_CHECKING:
    from labelwright.doctor.findings import Finding

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

_WIDEST = 1_000_000
"""Columns of a table that is not shortened."""

Bars = Callable[[str, str, int, int], None]


def show_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


# Progress


@contextlib.contextmanager
def waiting(activity: str) -> Iterator[None]:
    """Shows a spinner on a terminal, prints a line elsewhere."""
    if err.is_terminal:
        with err.status(f"{activity} ..."):
            yield
    else:
        err.print(f"{activity} ...")
        yield


@contextlib.contextmanager
def counting(activity: str) -> Iterator[Callable[[int], None]]:
    """Shows a running count whose total is not known."""
    if not err.is_terminal:
        yield lambda _: None
        return
    with _bars() as bars:
        task = bars.add_task(activity, total=None)
        yield lambda count: bars.update(task, completed=count)


@contextlib.contextmanager
def progress() -> Iterator[Bars]:
    """Shows a progress bar for each kind of work that flows do in this process, and prints their announcements."""
    from labelwright.tasks.reporting import listen, unlisten, unwatch, watch

    listen(note)
    try:
        with _following(watch, unwatch) as follow:
            yield follow
    finally:
        unlisten(note)


@contextlib.contextmanager
def _following(watch: Callable[[Bars], None], unwatch: Callable[[Bars], None]) -> Iterator[Bars]:
    if not err.is_terminal:
        yield lambda *_: None
        return
    with _bars() as bars:
        tasks: dict[tuple[str, str], TaskID] = {}

        def follow(title: str, activity: str, done: int, total: int) -> None:
            if (title, activity) not in tasks:
                tasks[title, activity] = bars.add_task(f"{title}: {activity}", total=total or None)
            bars.update(tasks[title, activity], completed=done, total=total or None)

        watch(follow)
        try:
            yield follow
        finally:
            unwatch(follow)


class _RateColumn(ProgressColumn):
    """How many a second; empty until two updates have come."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if not speed else f"{speed:,.0f}/s" if speed >= 10 else f"{speed:,.1f}/s")


def _bars() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=err)


# Results


def show_done(message: str, as_json: bool) -> None:
    if as_json:
        show_json({"done": message})
    else:
        out.print(escape(message))


def show_table(table: Table) -> None:
    """Prints a table with all values in full.

    Piped, every row is one line, however long; on a terminal that is too narrow, every field is.
    """
    width = Measurement.get(out, out.options.update(max_width=_WIDEST), table).maximum
    if width <= out.width:
        out.print(table)
    elif out.is_terminal:
        _print_fields(table)
    else:
        Console(file=out.file, width=width, highlight=False).print(table)


def _print_fields(table: Table) -> None:
    """Prints a line for each field, as "name: value"; the terminal wraps it."""
    columns = [list(column.cells) for column in table.columns]
    for number, cells in enumerate(zip(*columns, strict=True)):
        if table.show_header:
            if number:
                out.print()
            fields = list(zip((column.header for column in table.columns), cells, strict=True))
        else:
            fields = [(cells[0], cells[-1])]
        for name, value in fields:
            if value:
                out.print(f"{name}: {value}" if name else f"{value}")


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


def note(message: str) -> None:
    """Prints a line on standard error; it is not part of the command's result."""
    err.print(escape(message))


def show_up(addresses: dict[str, str], home: Path, as_json: bool) -> None:
    """Prints the addresses of everything that `labelwright up` keeps running."""
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
    """Prints the service's address; on its first start, and on a terminal, also the admin's key and secret."""
    out.print(f"labeling service on {address} (Ctrl+C stops it)")
    if first and sys.stdout.isatty():
        admin = json.loads(admin_file.read_text())
        out.print(f"admin key     {admin['key']}\nadmin secret  {admin['secret']}")
        out.print("They are not shown again.", end=" ")
    if first:
        out.print(f"Commands on this machine find them in {escape(str(admin_file))}")


def show_kept(service: str | None, prefect: str | None, as_json: bool) -> None:
    if not as_json:
        running = " and ".join(address for address in (service, prefect) if address)
        out.print(f"Still running, as asked: {running or 'nothing that this command started'}")


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


def show_finding(finding: Finding) -> None:
    """Prints a finding, with its advice in a line of its own, as soon as it is there."""
    message = with_code(finding.message, finding.error_code)
    out.print(f"{finding.level.value:8} {escape(finding.area)}: {escape(message)}")
    if finding.advice:
        out.print(f"         -> {escape(finding.advice)}")
    sys.stdout.flush()


def show_findings(findings: list[Finding], as_json: bool) -> None:
    """Prints all findings as JSON, or how many there were."""
    if as_json:
        from labelwright.doctor.report import as_json as findings_as_json

        show_json(findings_as_json(findings))
        return
    errors = sum(finding.level == "error" for finding in findings)
    warnings = sum(finding.level == "warning" for finding in findings)
    out.print(f"{errors} errors, {warnings} warnings")


def show_project_copy(report: dict[str, Any], as_json: bool) -> None:
    """Prints counts, notes and differences of a backup or a restore."""
    if as_json:
        show_json(report)
        return
    names = ("project", "name", "folder", "images", "videos", "media", "annotations", "bytes")
    out.print(", ".join(f"{name} {escape(str(report[name]))}" for name in names if name in report))
    for message in report.get("notes", [])[:50]:
        out.print(f"note: {escape(message)}")
    not_saved = report.get("not_saved", [])
    for message in not_saved:
        out.print(f"warning: {escape(message)}")
    if "differences" in report:
        not_compared = report.get("not_compared", [])
        for message in not_compared:
            if message not in not_saved:
                out.print(f"not compared: {escape(message)}")
        out.print("compared: no difference" + (" in what could be compared" if not_compared else ""))
