"""Routes for the predictions of a model, which labelers see as suggestions."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from . import models
from .campaigns import OK, Admin, Id, Number, Parts, PerPage, _changing, _errors, _list_body
from .pagination import page_of


def mount_predictions(router: APIRouter, parts: Parts) -> None:
    @router.put(
        "/campaigns/{campaign}/predictions",
        response_model=str,
        responses=_errors(403, 404, 409, 413, 422),
        dependencies=_changing,
        tags=["campaigns"],
        openapi_extra=_list_body(models.ImagePredictions),
    )
    async def put_predictions(campaign: Id, who: Admin, request: Request) -> Response:
        """Replaces the predictions of these images, all or none. No image is labeled by that."""
        content = await request.body()
        await parts.heavy.run(request, who, len(content), lambda pause: parts.predictions.put(campaign, content, pause))
        return JSONResponse(OK)

    @router.get(
        "/campaigns/{campaign}/predictions",
        response_model=models.CampaignPredictions,
        responses=_errors(403, 404, 422),
        tags=["campaigns"],
    )
    def list_predictions(campaign: Id, _who: Admin, number: Number = 1, per_page: PerPage = None) -> Response:
        """Lists the images that have predictions, with these."""
        listed = parts.predictions.list(campaign, page_of(number, per_page, parts.config.limits))
        return Response(listed, media_type="application/json")
