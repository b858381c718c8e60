"""Prints labelers' notes."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.markup import escape

from labelwright.domain.commands import quoted

from .console import out, show_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labelwright.platforms.protocol import LabelerNote


def show_notes(title: str, notes: Sequence[LabelerNote], as_json: bool) -> None:
    if as_json:
        show_json([asdict(note) for note in notes])
        return
    if not notes:
        out.print(f"no notes in '{escape(title)}'")
        return
    for note in notes:
        about = f"{note.image}, {note.label}" if note.label else note.image
        out.print(escape(f"{note.id}  {about}, {note.author}, {note.written_at[:16].replace('T', ' ')} UTC"))
        for line in note.text.splitlines():
            out.print(escape(f"    {line}"))
        for line in (note.answer or "").splitlines():
            out.print(escape(f"  > {line}"))
    if any(note.answer is None for note in notes):
        out.print(escape(f"to answer: labelwright notes {quoted(title)} --answer NOTE --text TEXT"))
