"""Prints the plan of a campaign, and tables of files that are left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from labelwright.campaigns.time_zones import show_moment
from labelwright.domain.file_names import visible

from .console import err, out, show_json, show_table

if TYPE_CHECKING:
    from labelwright.campaigns.plan import Plan

_MOST_SHOWN, _NAMES_SHOWN = 20, 5


def show_plan(plan: Plan, as_json: bool) -> None:
    if as_json:
        show_json(plan.as_json())
        return
    out.print(f"[bold]{escape(plan.title)}[/bold] on {plan.platform}, labeled by {escape(plan.labeler)}")
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_row("would upload", f"{plan.images:,} images, {plan.bytes / 1e6:,.1f} MB, in {plan.batches:,} batches")
    if plan.frames:
        table.add_row("frames", escape(plan.frames))
    table.add_row("would leave out", f"{len(plan.rejects):,} files")
    if plan.look_alike:
        table.add_row("look alike", escape(plan.look_alike))
    table.add_row("would create", "\n".join(map(escape, plan.create)))
    if plan.access:
        table.add_row("platform", escape(plan.access))
    if plan.billing:
        table.add_row("would cost", escape(plan.billing))
    table.add_row("labels", escape(", ".join(plan.labels)))
    deadline = show_moment(datetime.fromisoformat(plan.deadline), plan.timezone) if plan.deadline else "none"
    table.add_row("deadline", escape(deadline))
    table.add_row("would export", "\n".join(map(escape, plan.export)))
    if plan.parts:
        table.add_row("would split", "\n".join(map(escape, plan.parts)))
    show_table(table)
    show_rejects([(reject["file"], reject["reason"]) for reject in plan.rejects])
    _show_near_duplicates(plan.near_duplicates)
    for warning in plan.warnings:
        out.print(f"[yellow]warning:[/yellow] {escape(warning)}")
    for reason in plan.refusal.splitlines():
        err.print(f"[red]Launching would be refused:[/red] {escape(reason)}")
    written = "the frames are kept for the launch" if plan.frames else "nothing was written"
    out.print(f"No image was sent and {written}.")


def _show_near_duplicates(groups: Sequence[Mapping[str, Any]]) -> None:
    """Prints the first groups of images that look alike, and the first names of each."""
    if not groups:
        return
    table = Table("first of its group", "near-duplicates of it", box=None, header_style="bold", padding=(0, 2, 0, 2))
    for group in groups[:_MOST_SHOWN]:
        names, more = map(visible, group["others"][:_NAMES_SHOWN]), len(group["others"]) - _NAMES_SHOWN
        listed = ", ".join(names) + (f" and {more:,} more" if more > 0 else "")
        table.add_row(escape(visible(group["first"])), escape(listed))
    if len(groups) > _MOST_SHOWN:
        table.add_row(f"... and {len(groups) - _MOST_SHOWN:,} more groups", "")
    show_table(table)


def show_rejects(rejects: Sequence[tuple[str, str]]) -> None:
    """Prints name and reason of the first files that are left out."""
    if not rejects:
        return
    table = Table("left out", "why", box=None, header_style="bold", padding=(0, 2, 0, 2))
    for name, reason in rejects[:_MOST_SHOWN]:
        table.add_row(escape(visible(name)), escape(reason))
    if len(rejects) > _MOST_SHOWN:
        table.add_row(f"... and {len(rejects) - _MOST_SHOWN:,} more", "")
    show_table(table)
