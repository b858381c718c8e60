"""The route that changes a campaign after its creation."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi import Path as PathParameter
from pydantic import Field
from starlette.responses import JSONResponse, Response

from labelwright.service.access import EMAIL, checked_email
from labelwright.service.campaign_changes import CampaignChanges, Change

from .models import AccessToken, Campaign, LabelFields, Metadata, Title, _Body


class CampaignDetails(_Body):
    """What may change while labelers work. A field that is absent stays as it is."""

    labels: Annotated[list[Title], Field(min_length=1, max_length=10_000)] | None = None
    instructions: Annotated[str, Field(max_length=100_000, pattern=r"^[^\x00]*$")] | None = None
    label_translations: dict[Title, dict[Title, Title]] | None = None
    labeler_email: Annotated[str, Field(max_length=254, pattern=EMAIL)] | None = None
    metadata: Metadata = None
    label_schema: Annotated[list[LabelFields], Field(min_length=1, max_length=10_000)] | None = None


class ChangedCampaign(Campaign):
    access_token: AccessToken | None = Field(default=None, description="Only when the campaign got another labeler.")


def change_routes(
    changes: CampaignChanges, admin: Callable[..., Any], responses: dict[int | str, dict[str, Any]]
) -> APIRouter:
    """admin: the dependency that admits admins. responses: the errors in the OpenAPI document."""
    router = APIRouter()

    @router.patch(
        "/campaigns/{campaign}",
        response_model=ChangedCampaign,
        responses=responses,
        dependencies=[Depends(admin)],
        tags=["campaigns"],
    )
    def change_details(campaign: Annotated[int, PathParameter(ge=1, lt=2**63)], details: CampaignDetails) -> Response:
        """Adds labels, widens geometries, and changes colours, instructions, translations, metadata and the labeler.

        Labels, attributes and their values are never removed.
        """
        email, metadata = details.labeler_email, details.metadata
        change = Change(
            details.labels,
            details.instructions,
            details.label_translations,
            None if email is None else checked_email(email),
            None if metadata is None else json.dumps(metadata, ensure_ascii=False),
            None if details.label_schema is None else [label.model_dump() for label in details.label_schema],
        )
        return JSONResponse(changes.apply(campaign, change))

    return router
