"""Reads labelers' notes of the campaign API, and writes the answers: routes that only newer servers have."""

from __future__ import annotations

from urllib.parse import quote

from labelwright.platforms.http.client import Http
from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.protocol import LabelerNote

WITHOUT_NOTES = "this server has no GET /campaigns/{id}/notes: its labelers write no notes"


def note_from(note: Fields) -> LabelerNote:
    return LabelerNote(
        id=note.id("note_id"),
        image=note.text("file_name"),
        text=note.text("text"),
        author=note.text("author"),
        written_at=note.text("date_created"),
        label=note.inner("shape").text("label") if note.has("shape") else "",
        answer=note.text("answer") if note.has("answer") else None,
    )


def answer_note(http: Http, path: str, note: str, text: str) -> None:
    """`path` is that of the campaign."""
    http.call(f"answer note {note}", "PUT", f"{path}/notes/{quote(note, safe='')}", json={"answer": text})
