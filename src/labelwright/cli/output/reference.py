"""Prints error codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape

from .console import out, show_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labelwright.domain.error_table import ErrorEntry


def show_errors(entries: Sequence[ErrorEntry], as_json: bool, *, in_full: bool) -> None:
    """Prints entries of the table of errors; a line for each, or also cause and remedy."""
    if as_json:
        show_json(
            [
                {
                    "code": entry.code,
                    "area": entry.area,
                    "messages": list(entry.patterns),
                    "cause": entry.cause,
                    "remedy": entry.remedy,
                }
                for entry in entries
            ]
        )
        return
    for entry in entries:
        if not in_full:
            out.print(escape(f"{entry.code}  {entry.patterns[0]}"))
            continue
        out.print(f"{entry.code} ({entry.area})")
        for pattern in entry.patterns:
            out.print(f"message  {escape(pattern)}")
        out.print(f"cause    {escape(entry.cause)}")
        out.print(f"remedy   {escape(entry.remedy)}")
