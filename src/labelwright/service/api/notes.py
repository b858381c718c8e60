"""Routes for labelers' notes and their answers."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AfterValidator, BaseModel, Field
from starlette.responses import JSONResponse, Response

from labelwright.service.notes import Notes

from .campaigns import Admin, Anyone, Id, Number, Parts, PerPage, _errors
from .models import BoundingBox, Pagination, _Body
from .pagination import page_of


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("is blank")
    return text.strip()


Written = Annotated[str, Field(min_length=1, max_length=2_000, pattern=r"^[^\x00]*$"), AfterValidator(_not_blank)]


class NotedShape(_Body):
    """A shape as it was when the note was written: shapes have no names of their own."""

    label: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
    bounding_box: BoundingBox


class NewNote(_Body):
    text: Written
    shape: NotedShape | None = None


class Answer(_Body):
    answer: Written


class Note(BaseModel):
    note_id: int
    image_id: int
    file_name: str
    shape: NotedShape | None
    text: str
    author: str
    date_created: str
    answer: str | None
    answered_by: str | None
    date_answered: str | None


class NotesPage(BaseModel):
    notes: list[Note]
    pagination: Pagination


def mount_notes(router: APIRouter, parts: Parts, notes: Notes) -> None:
    @router.post(
        "/labeling/campaigns/{campaign}/images/{image}/notes",
        response_model=Note,
        responses=_errors(404, 409, 413, 422),
        tags=["labeling"],
    )
    def add_note(campaign: Id, image: Id, note: NewNote, who: Anyone) -> Response:
        """Adds a note about an image, or a shape on it. The same note again is added once, until it is answered."""
        shape = None if note.shape is None else note.shape.model_dump()
        return JSONResponse(notes.add(campaign, image, note.text, shape, who))

    @router.get("/campaigns/{campaign}/notes", response_model=NotesPage, responses=_errors(404, 422), tags=["labeling"])
    def list_notes(
        campaign: Id,
        who: Anyone,
        open_only: Annotated[bool, Query(alias="open", description="Only those without an answer.")] = False,
        number: Number = 1,
        per_page: PerPage = None,
    ) -> Response:
        """Lists the notes of a campaign's labeler, the oldest first."""
        return JSONResponse(
            notes.list(campaign, page_of(number, per_page, parts.config.limits), who, open_only=open_only)
        )

    @router.put(
        "/campaigns/{campaign}/notes/{note}",
        response_model=Note,
        responses=_errors(403, 404, 413, 422),
        tags=["campaigns"],
    )
    def answer_note(campaign: Id, note: Id, answer: Answer, who: Admin) -> Response:
        """Answers a note: the labeler sees it at the image. Another answer replaces it."""
        return JSONResponse(notes.answer(campaign, note, answer.answer, who))
