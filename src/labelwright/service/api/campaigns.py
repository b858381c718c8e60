"""Routes of the labeling-campaign API."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi import Path as PathParameter
from fastapi.security import APIKeyHeader
from pydantic import BaseModel
from starlette.responses import JSONResponse, RedirectResponse, Response

from labelwright.security.identity import PATH, code_of, is_nonce, make_key
from labelwright.service.access import EMAIL, Access, Identity, checked_email
from labelwright.service.admin_file import AdminFile
from labelwright.service.campaign_changes import CampaignChanges
from labelwright.service.campaigns import Campaigns, Order
from labelwright.service.config import Limits, ServiceConfig
from labelwright.service.heavy_work import HeavyWork
from labelwright.service.idempotency import KEY
from labelwright.service.image_limits import image_limits
from labelwright.service.image_sets import ImageSets
from labelwright.service.imaging.pictures import Pictures
from labelwright.service.labels_csv import Finishing, csv_name
from labelwright.service.objects import Objects
from labelwright.service.predictions import Predictions
from labelwright.service.reopening import Reopening
from labelwright.service.storage.protocol import Storage

from . import models
from .campaign_changes import change_routes
from .errors import Busy, Invalid, ServiceError
from .pagination import Page, page_of

log = logging.getLogger("labelwright.service")

_HOST = re.compile(r"[A-Za-z0-9._-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")

_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": models.Error, "description": text}
    for status, text in {
        401: "No key, or a wrong one.",
        403: "The key is a labeler's.",
        404: "There is none, or not for this key.",
        409: "The state of things forbids it.",
        413: "The body is too large.",
        422: "The request contradicts the contract.",
        503: "Too much is under way, or the database is locked: try again after Retry-After seconds.",
    }.items()
}


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: _ERRORS[status] for status in (401, *statuses, 503)}


@dataclass(frozen=True, slots=True)
class Parts:
    """The objects that the routes call."""

    config: ServiceConfig
    access: Access
    sets: ImageSets
    campaigns: Campaigns
    changes: CampaignChanges
    objects: Objects
    predictions: Predictions
    reopening: Reopening
    finishing: Finishing
    storage: Storage
    heavy: HeavyWork
    pictures: Pictures

    def base_url(self, request: Request) -> str:
        """Returns the service's base URL for this client: as configured, or from its Host header."""
        if self.config.public_url:
            return self.config.public_url.rstrip("/")
        host = request.headers.get("host", "")
        if not _HOST.fullmatch(host):
            raise ServiceError("the Host header names no host", status=400)
        return f"{request.url.scheme}://{host}"


_key = APIKeyHeader(name="Authentication-Key", scheme_name="key", auto_error=False)
_secret = APIKeyHeader(name="Authentication-Secret", scheme_name="secret", auto_error=False)


def _anyone(request: Request, _k: Annotated[Any, Depends(_key)], _s: Annotated[Any, Depends(_secret)]) -> Identity:
    identity: Identity = request.state.identity  # set by the middleware
    return identity


def _admin(identity: Annotated[Identity, Depends(_anyone)]) -> Identity:
    if not identity.admin:
        raise ServiceError("this needs an admin's key", status=403)
    return identity


def _idempotent(
    _key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            pattern=KEY,
            description="The same call within a day is answered as the first time.",
        ),
    ] = None,
) -> None:
    """Adds the Idempotency-Key header to the OpenAPI document; the middleware implements it."""


Anyone = Annotated[Identity, Depends(_anyone)]
Admin = Annotated[Identity, Depends(_admin)]
Id = Annotated[int, PathParameter(ge=1, lt=2**63)]
Number = Annotated[int, Query(alias="page", ge=1, le=10**9)]
PerPage = Annotated[int | None, Query(ge=1, le=10_000)]
Title = Annotated[str | None, Query(max_length=200, description="Only the one of exactly this title.")]
_changing = [Depends(_idempotent)]
OK = "ok"

FEATURES = ["label_schema", "allow_skip", "notes", "predictions"]
"""Optional parts of the API, in GET /health."""


def routes(parts: Parts) -> APIRouter:
    router = APIRouter()
    _image_sets(router, parts)
    _images(router, parts)
    _campaigns(router, parts)
    router.include_router(change_routes(parts.changes, _admin, _errors(403, 404, 409, 413, 422)))
    _users(router, parts)
    return router


def health(limits: Limits) -> APIRouter:
    router = APIRouter()

    @router.get("/health", response_model=models.Health, tags=["health"])
    async def health() -> Response:  # needs no thread: all of them may be busy
        """Returns the service's status and version, and which images it takes. Needs no key."""
        known = {"status": "ok", "version": version("labelwright"), "features": FEATURES}
        return JSONResponse({**known, "limits": image_limits(limits)})

    return router


def identity(config: ServiceConfig) -> APIRouter:
    """Route that proves the service's identity to local programs: see `labelwright.security.identity`."""
    router, key = APIRouter(), make_key(config.data_dir)

    @router.get(PATH, include_in_schema=False)
    async def identity(request: Request) -> Response:
        nonce, server, client = request.query_params.get("nonce", ""), request.scope.get("server"), request.client
        # What was forwarded comes over another connection than the one that its client has.
        if any(name in request.headers for name in ("forwarded", "x-forwarded-for", "via")):
            raise ServiceError("a forwarded request gets no proof", status=400)
        if not is_nonce(nonce) or not server or not client or server[1] is None:
            raise ServiceError("nonce is 64 hexadecimal digits", status=400)
        return JSONResponse({"code": code_of(key, nonce, (server[0], server[1]), (client.host, client.port))})

    return router


def _image_sets(router: APIRouter, parts: Parts) -> None:
    sets = parts.sets

    def page(number: int, per_page: int | None) -> Page:
        return page_of(number, per_page, parts.config.limits)

    @router.post(
        "/image_sets",
        response_model=models.ImageSet,
        responses=_errors(403, 409, 413, 422),
        dependencies=_changing,
        tags=["image sets"],
    )
    def create_image_set(order: models.ImageSetOrder, who: Admin, request: Request) -> Response:
        return JSONResponse(sets.create(order.title, _text(order.metadata), who, parts.base_url(request)))

    @router.get("/image_sets", response_model=models.ImageSets, responses=_errors(403, 422), tags=["image sets"])
    def list_image_sets(
        _who: Admin, request: Request, title: Title = None, number: Number = 1, per_page: PerPage = None
    ) -> Response:
        return JSONResponse(sets.list(title, page(number, per_page), parts.base_url(request)))

    @router.get(
        "/image_sets/{image_set}",
        response_model=models.ImageSetDetails,
        responses=_errors(403, 404, 422),
        tags=["image sets"],
    )
    def read_image_set(image_set: Id, _who: Admin, request: Request) -> Response:
        return JSONResponse(sets.get(image_set, parts.base_url(request)))

    @router.put(
        "/image_sets/{image_set}",
        response_model=str,
        responses=_errors(403, 404, 413, 422),
        dependencies=_changing,
        tags=["image sets"],
    )
    def seal_image_set(image_set: Id, _change: models.ImageSetChange, _who: Admin) -> Response:
        sets.seal(image_set)
        return JSONResponse(OK)

    @router.post(
        "/image_sets/{image_set}/dropbox",
        response_model=models.Dropbox,
        responses=_errors(403, 404, 409, 413, 422),
        dependencies=_changing,
        tags=["image sets"],
    )
    def renew_dropbox(image_set: Id, _who: Admin, request: Request) -> Response:
        return JSONResponse(sets.dropbox(image_set, parts.base_url(request)))

    @router.get(
        "/image_sets/{image_set}/images",
        response_model=models.ImagesOfSet,
        responses=_errors(403, 404, 422),
        tags=["image sets"],
    )
    def list_images_of_set(image_set: Id, _who: Admin, number: Number = 1, per_page: PerPage = None) -> Response:
        return JSONResponse(sets.images(page(number, per_page), image_set))


def _images(router: APIRouter, parts: Parts) -> None:
    sets, config = parts.sets, parts.config

    @router.get("/images", response_model=models.Images, responses=_errors(403, 422), tags=["images"])
    def list_images(_who: Admin, number: Number = 1, per_page: PerPage = None) -> Response:
        return JSONResponse(sets.images(page_of(number, per_page, config.limits)))

    @router.get(
        "/images/{image}",
        status_code=302,
        response_class=Response,
        responses={302: {"description": "The image, at a signed URL."}, **_errors(404, 422)},
        tags=["images"],
    )
    def fetch_image(image: Id, who: Anyone, request: Request) -> Response:
        return RedirectResponse(_signed(parts, request, sets.image_blob(image, who)), 302)


def _campaigns(router: APIRouter, parts: Parts) -> None:
    campaigns, limits = parts.campaigns, parts.config.limits

    @router.post(
        "/campaigns",
        response_model=models.NewCampaign,
        responses=_errors(403, 409, 413, 422),
        dependencies=_changing,
        tags=["campaigns"],
    )
    def create_campaign(order: models.CampaignOrder, who: Admin) -> Response:
        order_values = Order(
            order.title,
            _text(order.metadata),
            checked_email(order.labeler_email),
            order.labels,
            order.instructions,
            order.label_translations,
            [label.model_dump() for label in order.label_schema] if order.label_schema is not None else None,
            order.allow_skip,
        )
        return JSONResponse(campaigns.create(order_values, who))

    @router.get("/campaigns", response_model=models.Campaigns, responses=_errors(403, 422), tags=["campaigns"])
    def list_campaigns(_who: Admin, title: Title = None, number: Number = 1, per_page: PerPage = None) -> Response:
        return JSONResponse(campaigns.list(title, page_of(number, per_page, limits)))

    @router.get(
        "/campaigns/{campaign}",
        response_model=models.Campaign,
        responses=_errors(403, 404, 422),
        tags=["campaigns"],
    )
    def read_campaign(campaign: Id, _who: Admin, request: Request) -> Response:
        body = campaigns.get(campaign)
        if body["status"] == "finished":
            body["labels_csv_url"] = _signed(parts, request, csv_name(body["title"]))
        return JSONResponse(body)

    @router.put(
        "/campaigns/{campaign}",
        response_model=str,
        responses=_errors(403, 404, 409, 413, 422),
        dependencies=_changing,
        tags=["campaigns"],
    )
    def change_campaign(campaign: Id, change: models.CampaignChange, _who: Admin) -> Response:
        if change.new_status == "finished":
            parts.finishing.finish(campaign)
        else:
            campaigns.move(campaign, change.new_status)
        return JSONResponse(OK)

    @router.post(
        "/campaigns/{campaign}/images",
        response_model=str,
        responses=_errors(403, 404, 409, 413, 422),
        dependencies=_changing,
        tags=["campaigns"],
    )
    def add_images(campaign: Id, references: list[models.ImageReference], _who: Admin) -> Response:
        if len(references) > limits.images_per_request:
            raise Invalid(f"one request takes at most {limits.images_per_request} images, not {len(references)}")
        campaigns.add_images(campaign, [reference.id for reference in references])
        return JSONResponse(OK)

    @router.post(
        "/campaigns/{campaign}/images/reopen",
        response_model=str,
        responses=_errors(403, 404, 409, 413, 422),
        dependencies=_changing,
        tags=["campaigns"],
    )
    def reopen_images(campaign: Id, reopened: list[models.ReopenedImage], _who: Admin) -> Response:
        """Gives these images back to their labeler, all or none. They are done when they are submitted again.

        A completed or finished campaign is active afterwards; all other images stay as they are."""
        if len(reopened) > limits.images_per_request:
            raise Invalid(f"one request takes at most {limits.images_per_request} images, not {len(reopened)}")
        parts.reopening.reopen(campaign, {image.image_id: image.reason for image in reopened})
        return JSONResponse(OK)

    @router.get(
        "/campaigns/{campaign}/images",
        response_model=models.CampaignImages,
        responses=_errors(404, 422),
        tags=["labeling"],
    )
    def list_images_of_campaign(campaign: Id, who: Anyone, number: Number = 1, per_page: PerPage = None) -> Response:
        return JSONResponse(campaigns.images(campaign, who, page_of(number, per_page, limits)))

    @router.put(
        "/campaigns/{campaign}/objects",
        response_model=str,
        responses=_errors(404, 409, 413, 422),
        dependencies=_changing,
        tags=["labeling"],
        openapi_extra=_list_body(models.ImageObjects),
    )
    async def put_objects(campaign: Id, who: Anyone, request: Request) -> Response:
        """Replaces the objects of these images, all or none. The last image completes the campaign."""
        body = await request.body()
        await parts.heavy.run(
            request, who, len(body), lambda pause: parts.objects.put(campaign, body, who, pause=pause)
        )
        return JSONResponse(OK)

    @router.get(
        "/campaigns/{campaign}/objects",
        response_model=models.CampaignObjects,
        responses=_errors(403, 404, 422),
        tags=["campaigns"],
    )
    def list_objects(campaign: Id, _who: Admin, number: Number = 1, per_page: PerPage = None) -> Response:
        """Lists the objects of labeled images only."""
        listed = parts.objects.list(campaign, page_of(number, per_page, limits))
        return Response(listed, media_type="application/json")


def _list_body(model: type[BaseModel]) -> dict[str, Any]:
    """Returns the OpenAPI schema of a body that is a list, parsed without pydantic to keep numbers exactly as sent."""
    items = model.model_json_schema(ref_template="#/components/schemas/{model}")
    items.pop("$defs")
    schema = {"type": "array", "items": items}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _users(router: APIRouter, parts: Parts) -> None:
    @router.post(
        "/users/{email}/keys",
        response_model=models.AccessToken,
        responses=_errors(403, 404, 413, 422),
        dependencies=_changing,
        tags=["users"],
    )
    def rotate_key(email: Annotated[str, PathParameter(max_length=254, pattern=EMAIL)], _who: Admin) -> Response:
        """Replaces the user's key pair; the old one stops working at once."""
        try:
            pair = parts.access.rotate(checked_email(email), AdminFile(parts.config.data_dir))
        except OSError as error:
            log.warning("a new key of %s cannot be written down: %s", email, error.strerror)
            raise Busy(
                "the service cannot write the new key down (is its disk full?): the old one still holds"
            ) from None
        return JSONResponse({"apikey": pair.key, "apisecret": pair.secret})


def _signed(parts: Parts, request: Request, blob: str) -> str:
    return parts.storage.url(blob, parts.base_url(request))


def _text(metadata: dict[str, Any] | None) -> str | None:
    return None if metadata is None else json.dumps(metadata, ensure_ascii=False)
