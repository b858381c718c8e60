"""Routes of the labeling page: a campaign's images with names and marks, and the skipping of an image."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header
from pydantic import BaseModel, Field
from sqlalchemy import Connection, select
from starlette.responses import JSONResponse, Response

from labelwright.service.access import Identity
from labelwright.service.campaigns import find_campaign
from labelwright.service.database import Database, campaign_images, images
from labelwright.service.notes import counted_notes
from labelwright.service.reopening import reopened_reasons
from labelwright.service.skipped_images import skipped_reasons
from labelwright.service.skipping import Skipping

from . import models
from .campaigns import Anyone, Id, Number, Parts, PerPage, _errors
from .errors import ServiceError
from .labeled_images import find_image, revision_of, stale
from .labeling import Submitted, _read_campaign
from .notes import Written
from .pagination import Page, page_of
from .renditions import tiles_json


class ListedImage(models.CampaignImage):
    name: str
    width: int
    height: int
    tiles: dict[str, int] | None = Field(description="Size and number of levels of its tiles; null: shown as a whole.")
    skipped: str = Field(default="", description="The labeler's reason; only in images that were skipped.")
    notes: int = Field(default=0, description="Absent without any.")
    answers: int = Field(default=0, description="Notes with an answer; absent without any note.")


class ListedImages(BaseModel):
    images: list[ListedImage]
    pagination: models.Pagination


class Skip(models._Body):
    reason: Written


def mount_labeling_list(router: APIRouter, parts: Parts, database: Database) -> None:
    skipping = Skipping(database)

    @router.get(
        "/labeling/campaigns/{campaign}/images",
        response_model=ListedImages,
        responses=_errors(404, 422),
        tags=["labeling"],
    )
    def list_labeling_images(campaign: Id, who: Anyone, number: Number = 1, per_page: PerPage = None) -> Response:
        """Lists the images of a campaign with what labelers look for: names, states, notes."""
        page = page_of(number, per_page, parts.config.limits)
        with database.read() as connection:
            return JSONResponse(_listed_images(connection, campaign, who, page))

    @router.put(
        "/labeling/campaigns/{campaign}/images/{image}/skip",
        response_model=Submitted,
        responses={
            **_errors(404, 409, 413, 422),
            412: {"model": models.Error, "description": "Other objects were stored since that revision."},
            428: {"model": models.Error, "description": "If-Match is missing."},
        },
        tags=["labeling"],
    )
    def skip_image(
        campaign: Id,
        image: Id,
        skip: Skip,
        who: Anyone,
        expected: Annotated[str | None, Header(alias="If-Match", max_length=200)] = None,
    ) -> Response:
        """Skips an image for a reason, in a campaign that allows it. What was stored for it is deleted."""
        if expected is None:
            raise ServiceError("send the revision that you have seen in If-Match", status=428)

        def check(connection: Connection) -> None:
            row = find_image(connection, campaign, image, who)
            if row.skipped != skip.reason and revision_of(row) != expected.strip('"'):
                raise stale(image, row)

        skipping.skip(campaign, image, skip.reason, who, check)
        with database.read() as connection:
            revision = revision_of(find_image(connection, campaign, image, who))
            return JSONResponse({"revision": revision, "campaign": _read_campaign(connection, campaign, who)})


def _listed_images(connection: Connection, campaign: int, who: Identity, page: Page) -> dict[str, Any]:
    row = find_campaign(connection, campaign, who)
    query = (
        select(campaign_images.c.image_id, campaign_images.c.done, images)
        .join(images, images.c.id == campaign_images.c.image_id)
        .where(
            campaign_images.c.campaign_id == campaign,
            campaign_images.c.position > page.first,
            campaign_images.c.position <= page.first + page.size,
        )
        .order_by(campaign_images.c.position)
    )
    rows = connection.execute(query).all()
    reopened = reopened_reasons(connection, campaign, [image.image_id for image in rows if not image.done])
    skipped = skipped_reasons(connection, row, [image.image_id for image in rows if image.done])
    counts = counted_notes(connection, campaign)
    listed = []
    for image in rows:
        number = image.image_id
        entry = {
            "done": bool(image.done),
            "image_id": number,
            "url": f"/images/{number}",
            "name": image.file_name,
            "width": image.width,
            "height": image.height,
            "tiles": tiles_json(image),
        }
        if number in reopened:
            entry["reopened"] = reopened[number]
        if number in skipped:
            entry["skipped"] = skipped[number]
        if number in counts:
            entry["notes"], entry["answers"] = counts[number]
        listed.append(entry)
    return {"images": listed, "pagination": page.as_json(row.total)}
