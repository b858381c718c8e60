"""Prints a campaign's images that are not labeled: failed, cancelled, skipped, deleted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from labelwright.domain.commands import quoted

from .console import out, show_json, show_table

if TYPE_CHECKING:
    from labelwright.ledger import Ledger

_SHOWN = 20


def in_words(counts: Mapping[str, int]) -> str:
    """Returns counts by state, as "2 failed on the platform, 1 skipped"; empty without any."""
    return ", ".join(f"{count:,} {state}" for state, count in counts.items() if count)


def command_for(title: str, counts: Mapping[str, int]) -> str:
    """Returns the command to run when images failed or were cancelled; empty when none did."""
    from labelwright.ledger.image_states import CANCELLED, FAILED

    return f"labelwright failed {quoted(title)}" if counts.get(FAILED) or counts.get(CANCELLED) else ""


def states_as_json(ledger: Ledger, title: str) -> dict[str, Any]:
    """Returns the count, and name and reason of the first images, by state."""
    listed = ledger.image_states.images(title)
    return {
        state: {
            "count": count,
            "images": [{"image": name, "reason": reason} for name, reason in listed.get(state, [])],
        }
        for state, count in ledger.image_states.counts([title]).get(title, {}).items()
    }


def show_image_states(ledger: Ledger, title: str) -> None:
    """Prints a table of images that are not labeled, with the reasons, and the command to run next."""
    counts, listed = ledger.image_states.counts([title]).get(title, {}), ledger.image_states.images(title)
    for state, count in counts.items():
        if listed.get(state):
            show_images(state, listed[state], count)
        else:
            out.print(f"  {count:,} images {state}")
    command = command_for(title, counts)
    if command:
        out.print(f"  Send failed images again: {escape(command)} --resend, or continue without them: --leave-out")


def show_images(state: str, images: Sequence[tuple[str, str]], count: int) -> None:
    table = Table(state, "why", box=None, header_style="bold", padding=(0, 2, 0, 2))
    for name, reason in images[:_SHOWN]:
        table.add_row(escape(name), escape(reason))
    if count > len(images[:_SHOWN]):
        table.add_row(f"... and {count - len(images[:_SHOWN]):,} more", "")
    show_table(table)


def show_failed(title: str, rows: Sequence[Mapping[str, str]], done: str, as_json: bool) -> None:
    """Prints images that failed or were cancelled. `done` is what became of them; empty when they were only listed."""
    if as_json:
        show_json({"campaign": title, "failed": [dict(row) for row in rows], "done": done or None})
        return
    if not rows:
        out.print(f"No image of '{escape(title)}' has failed.")
        return
    show_images("failed", [(row["file"], row["reason"]) for row in rows], len(rows))
    if done:
        out.print(f"{len(rows):,} images were {done}.")
    else:
        command = f"labelwright failed {quoted(title)}"
        out.print(f"Send them again: {escape(command)} --resend. Continue without them: {escape(command)} --leave-out")
