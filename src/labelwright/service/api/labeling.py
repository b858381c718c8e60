"""Routes for the labeling page and the admin page, beyond the campaign API's contract, under /api/v1/labeling.

A labeler's key gives access to the labeler's own campaigns only: others are answered 404. An admin may read every
campaign. Nothing here changes a response of the contract.

A revision identifies what is stored for one image: not labeled yet, or exactly these objects. The page sends it back in
If-Match, and objects are written only if it is still current, so that two open pages do not overwrite each other.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import orjson
from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Header, Request
from PIL import Image as Pillow
from pydantic import BaseModel
from sqlalchemy import Connection, Row, select
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response

from labelwright.service.access import Identity
from labelwright.service.campaigns import campaign_json, find_campaign
from labelwright.service.database import Database, campaigns, users
from labelwright.service.imaging.decoding import TooMuchMemory
from labelwright.service.notes import notes_of_image
from labelwright.service.objects import Objects
from labelwright.service.predictions import predictions_of
from labelwright.service.reopening import reopened_reasons
from labelwright.service.request_faults import refuse

from . import models
from .campaigns import Anyone, Id, Number, Parts, PerPage, _errors
from .errors import Invalid, ServiceError
from .labeled_images import find_image, revision_of, stale
from .notes import Note
from .pagination import page_of

BROWSERS_SHOW = frozenset({"JPEG", "PNG", "GIF", "WEBP", "BMP"})
"""All other formats are shown as PNG."""

Pause = Callable[[], None]


class Self(BaseModel):
    email: str
    role: str


class LabelingCampaign(models.Campaign):
    labeler: str


class LabelingCampaigns(BaseModel):
    me: Self
    campaigns: list[LabelingCampaign]
    pagination: models.Pagination


class LabelingImage(BaseModel):
    image_id: int
    name: str
    width: int
    height: int
    done: bool
    objects: list[models.Object]
    revision: str
    reopened: str | None
    predictions: list[models.PredictedObject]
    skipped: str | None
    notes: list[Note]


class Submission(BaseModel):
    objects: list[models.Object]


class Submitted(BaseModel):
    revision: str
    campaign: LabelingCampaign


class ImageSubmission(models.ImageObjects):
    revision: str


class Submissions(BaseModel):
    images: list[ImageSubmission]


class AllSubmitted(BaseModel):
    revisions: dict[str, str]
    campaign: LabelingCampaign


_STALE: dict[int | str, dict[str, Any]] = {
    412: {"model": models.Error, "description": "Other objects were stored since that revision."}
}


Write = tuple[str, list[Any]]
"""What a labeler's page sends for one image: the revision that it has seen, and the objects to store."""


class LabelingImages:
    """Reads and writes the labels of a campaign's images for the labeling page."""

    def __init__(self, objects: Objects, database: Database) -> None:
        self._objects = objects
        self._database = database

    def read(self, campaign: int, image: int, who: Identity) -> tuple[bytes, str]:
        """Returns the image's JSON document and its revision."""
        with self._database.read() as connection:
            row = find_image(connection, campaign, image, who)
            reopened = reopened_reasons(connection, campaign, [image]).get(image)
            # Whoever submitted it has judged them: they are suggestions until then.
            predicted = predictions_of(connection, campaign, image) if row.objects is None else "[]"
            notes = notes_of_image(connection, campaign, image)
        revision = revision_of(row)
        document = {
            "image_id": image,
            "name": row.file_name,
            "width": row.width,
            "height": row.height,
            "done": bool(row.done),
            "objects": orjson.Fragment(row.objects or "[]"),
            "revision": revision,
            "reopened": reopened,
            "predictions": orjson.Fragment(predicted),
            "skipped": row.skipped,
            "notes": notes,
        }
        return orjson.dumps(document), revision

    def submit(
        self, campaign: int, image: int, who: Identity, body: bytes, expected: str | None, pause: Pause
    ) -> dict[str, Any]:
        """Stores the objects of one image if `expected`, the request's If-Match, is still its revision.

        Raises ServiceError with status 428 without it, Stale when other objects were stored meanwhile.
        """
        objects = _listed(body, "objects")
        with self._database.read() as connection:
            find_image(connection, campaign, image, who)
        if expected is None:
            raise ServiceError("send the revision that you have seen in If-Match", status=428)
        stored = self._store(campaign, {image: (expected.strip('"'), objects)}, who, pause, lambda _: "body")
        return {"revision": stored["revisions"][str(image)], "campaign": stored["campaign"]}

    def submit_all(self, campaign: int, who: Identity, body: bytes, pause: Pause) -> dict[str, Any]:
        """Stores the objects of several images, all or none."""
        with self._database.read() as connection:
            find_campaign(connection, campaign, who)
        return self._store(campaign, _read_submissions(body), who, pause, "body.images[{}]".format)

    def _store(
        self, campaign: int, writes: dict[int, Write], who: Identity, pause: Pause, place: Callable[[int], str]
    ) -> dict[str, Any]:
        body = orjson.dumps([{"image_id": image, "objects": objects} for image, (_, objects) in writes.items()])
        check = partial(_check_revisions, campaign=campaign, writes=writes, who=who)
        self._objects.put(campaign, body, who, check, pause, place)
        with self._database.read() as connection:
            return {
                "revisions": {
                    str(image): revision_of(find_image(connection, campaign, image, who)) for image in writes
                },
                "campaign": _read_campaign(connection, campaign, who),
            }


def _read_submissions(body: bytes) -> dict[int, Write]:
    writes: dict[int, Write] = {}
    faults: list[tuple[str, str]] = []
    for number, entry in enumerate(_listed(body, "images")):
        where = f"images[{number}]"
        if not isinstance(entry, dict) or entry.keys() != {"image_id", "objects", "revision"}:
            faults.append((f"body.{where}", f"{where} is not {{image_id, objects, revision}}"))
            continue
        image, objects, revision = entry["image_id"], entry["objects"], entry["revision"]
        if type(image) is not int or image in writes or not isinstance(objects, list) or not isinstance(revision, str):
            problem = f"{where} is not {{image_id, objects, revision}} of an image not named before"
            faults.append((f"body.{where}", problem))
            continue
        writes[image] = (revision, objects)
    refuse(faults)
    return writes


def _check_revisions(connection: Connection, *, campaign: int, writes: dict[int, Write], who: Identity) -> None:
    for image, (expected, objects) in writes.items():
        row = find_image(connection, campaign, image, who)
        # A repeated request whose first response was lost is no conflict.
        repeated = row.done and row.skipped is None and row.objects == orjson.dumps(objects).decode()
        if expected != revision_of(row) and not repeated:
            raise stale(image, row)


def mount_labeling_api(router: APIRouter, parts: Parts, database: Database) -> None:
    _mount_campaigns(router, parts, database)
    _mount_images(router, parts, LabelingImages(parts.objects, database))
    _mount_pictures(router, parts, database)


def _mount_campaigns(router: APIRouter, parts: Parts, database: Database) -> None:
    @router.get("/labeling/campaigns", response_model=LabelingCampaigns, responses=_errors(422), tags=["labeling"])
    def my_campaigns(who: Anyone, number: Number = 1, per_page: PerPage = None) -> Response:
        """Lists a labeler's own campaigns, for an admin all of them, newest first."""
        page = page_of(number, per_page, parts.config.limits)
        mine = campaigns.c.id > 0 if who.admin else campaigns.c.labeler_id == who.user_id
        with database.read() as connection:
            total = len(connection.execute(select(campaigns.c.id).where(mine)).all())
            query = _with_labeler().where(mine).order_by(campaigns.c.id.desc())
            rows = connection.execute(query.offset(page.first).limit(page.size)).all()
        body = {"me": {"email": who.email, "role": who.role}, "campaigns": [_campaign(row) for row in rows]}
        return JSONResponse({**body, "pagination": page.as_json(total)})

    @router.get(
        "/labeling/campaigns/{campaign}",
        response_model=LabelingCampaign,
        responses=_errors(404, 422),
        tags=["labeling"],
    )
    def my_campaign(campaign: Id, who: Anyone) -> Response:
        with database.read() as connection:
            return JSONResponse(_read_campaign(connection, campaign, who))


def _mount_images(router: APIRouter, parts: Parts, labeling: LabelingImages) -> None:
    @router.get(
        "/labeling/campaigns/{campaign}/images/{image}",
        response_model=LabelingImage,
        responses=_errors(404, 422),
        tags=["labeling"],
    )
    def read_labeled_image(campaign: Id, image: Id, who: Anyone) -> Response:
        """Returns an image of the campaign with its stored objects and their revision."""
        body, revision = labeling.read(campaign, image, who)
        return Response(body, media_type="application/json", headers={"ETag": f'"{revision}"'})

    @router.put(
        "/labeling/campaigns/{campaign}/images/{image}",
        response_model=Submitted,
        responses={
            **_errors(404, 409, 413, 422),
            **_STALE,
            428: {"model": models.Error, "description": "If-Match is missing."},
        },
        tags=["labeling"],
        openapi_extra=_body(Submission),
    )
    async def submit_image(
        campaign: Id,
        image: Id,
        who: Anyone,
        request: Request,
        expected: Annotated[str | None, Header(alias="If-Match", max_length=200)] = None,
    ) -> Response:
        """Stores the objects of one image if the revision in If-Match is still current."""
        body = await request.body()

        def work(pause: Pause) -> dict[str, Any]:
            return labeling.submit(campaign, image, who, body, expected, pause)

        return JSONResponse(await parts.heavy.run(request, who, len(body), work))

    @router.put(
        "/labeling/campaigns/{campaign}/images",
        response_model=AllSubmitted,
        responses={**_errors(404, 409, 413, 422), **_STALE},
        tags=["labeling"],
        openapi_extra=_body(Submissions),
    )
    async def submit_images(campaign: Id, who: Anyone, request: Request) -> Response:
        """Stores the objects of several images, all or none."""
        body = await request.body()
        work = partial(labeling.submit_all, campaign, who, body)
        return JSONResponse(await parts.heavy.run(request, who, len(body), work))


def _mount_pictures(router: APIRouter, parts: Parts, database: Database) -> None:
    showing = CapacityLimiter(8)  # threads that may wait for a picture to be made; all others are for other requests

    @router.get(
        "/labeling/campaigns/{campaign}/images/{image}/picture",
        response_class=Response,
        responses={
            200: {"description": "The picture as PNG.", "content": {"image/png": {}}},
            302: {"description": "The image, at a signed URL of this service."},
            **_errors(404, 422),
        },
        tags=["labeling"],
    )
    async def picture(campaign: Id, image: Id, who: Anyone) -> Response:
        """Returns the image as labelers are to see it, from the page's own host: upright, the first frame, 8 bits."""
        return await to_thread.run_sync(show, campaign, image, who, limiter=showing)

    def show(campaign: int, image: int, who: Identity) -> Response:
        with database.read() as connection:
            row = find_image(connection, campaign, image, who)
        kept: Callable[[], AbstractContextManager[Path]] = partial(parts.storage.kept, row.blob)
        url = parts.storage.url(row.blob, "")
        in_browsers, original = row.filetype in BROWSERS_SHOW, None
        if in_browsers and not url.startswith("/"):
            # The store is another host, which the page may not ask, and which must not see the labeler's key.
            original = parts.pictures.original(image, kept)
            kept = partial(_at, original)
        if not in_browsers or parts.pictures.needs_png(image, kept):
            try:
                return FileResponse(parts.pictures.png(image, kept), media_type="image/png")
            except TooMuchMemory as error:
                if not in_browsers:
                    raise Invalid(f"the image cannot be shown: {error}") from None
        if original is None:
            return RedirectResponse(url, 302)
        return FileResponse(original, media_type=Pillow.MIME[row.filetype])


def _at(path: Path) -> AbstractContextManager[Path]:
    return nullcontext(path)


def _with_labeler() -> Any:
    return select(campaigns, users.c.email.label("labeler")).join(users, users.c.id == campaigns.c.labeler_id)


def _campaign(row: Row[Any]) -> dict[str, Any]:
    return {**campaign_json(row), "labeler": row.labeler}


def _read_campaign(connection: Connection, campaign: int, who: Identity) -> dict[str, Any]:
    find_campaign(connection, campaign, who)
    return _campaign(connection.execute(_with_labeler().where(campaigns.c.id == campaign)).one())


def _listed(body: bytes, name: str) -> list[Any]:
    """Returns the list in a body of {name: [...]}. Its items are checked where they are stored."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Invalid(f"the body is not JSON: {error}") from None
    if not isinstance(data, dict) or data.keys() != {name} or not isinstance(data[name], list):
        raise Invalid(f"the body is {{{name}: [...]}}")
    listed: list[Any] = data[name]
    return listed


def _body(model: type[BaseModel]) -> dict[str, Any]:
    """Returns the OpenAPI schema of a body that is parsed without pydantic, to keep numbers exactly as sent."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    nested = schema.pop("$defs")
    if "ImageSubmission" in nested:  # known nowhere else
        schema["properties"]["images"]["items"] = nested["ImageSubmission"]
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
