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

if TYPE_CHECKING:
    from labelwright.doctor.findings import Finding

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


def show_done(message: str, as_json: bool) -> None:
    if as_json:
        show_json({"done": message})
    else:
        out.print(escape(message))


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
    """A line for whoever watches; not part of what a command answers."""
    err.print(escape(message))


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


def show_finding(one: Finding) -> None:
    """A line as soon as it is known, and what to do under it."""
    out.print(f"{one.level.value:8} {escape(one.area)}: {escape(one.says)}")
    if one.do:
        out.print(f"         -> {escape(one.do)}")
    sys.stdout.flush()


def show_findings(found: list[Finding], as_json: bool) -> None:
    """At the doctor's end: all findings as JSON, or how many there were."""
    if as_json:
        from labelwright.doctor.report import as_json as told

        show_json(told(found))
        return
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
    for one in found.get("not_saved", []):
        out.print(f"warning: {escape(one)}")
    if "differences" in found:
        not_compared = found.get("not_compared", [])
        for one in not_compared:
            if one not in found.get("not_saved", []):
                out.print(f"not compared: {escape(one)}")
        out.print("compared: no difference" + (" in what could be compared" if not_compared else ""))
