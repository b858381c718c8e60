"""Routes for reduced renditions of images: thumbnails, overviews and tiles."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path as FilePath
from typing import Annotated, Any

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Path
from sqlalchemy import Row
from starlette.responses import Response

from labelwright.service.access import Identity
from labelwright.service.database import Database
from labelwright.service.imaging.decoding import TooMuchMemory
from labelwright.service.imaging.tiles import TILE, Tiles, is_large, levels_of, media_type

from .campaigns import Anyone, Id, Parts, _errors
from .errors import Invalid, Unknown
from .labeled_images import find_image

_KEPT = {"Cache-Control": "private, max-age=86400", "Vary": "Authentication-Key"}
_Number = Annotated[int, Path(ge=0, lt=10_000)]


def tiles_json(row: Row[Any]) -> dict[str, int] | None:
    """Returns how an image is cut into tiles; None for one that is shown as a whole."""
    if not is_large(row.width, row.height, row.filesize):
        return None
    return {"size": TILE, "levels": levels_of(row.width, row.height)}


def mount_renditions(router: APIRouter, parts: Parts, database: Database) -> None:
    tiles = Tiles(parts.pictures)
    quick, slow = CapacityLimiter(4), CapacityLimiter(4)  # threads: those that wait for tiles leave room for overviews
    answers: dict[int | str, dict[str, Any]] = {
        200: {"description": "The rendition.", "content": {"image/jpeg": {}, "image/png": {}}},
        **_errors(404, 422),
    }

    def rendition(
        campaign: int, image: int, who: Identity, read: Callable[[Callable[[], Any]], bytes | None]
    ) -> Response:
        with database.read() as connection:
            row = find_image(connection, campaign, image, who)
        try:
            data = read(partial(parts.storage.kept, row.blob))
        except TooMuchMemory as error:
            raise Invalid(f"the image cannot be shown: {error}") from None
        if data is None:
            raise Unknown("the image has no such tile")
        return Response(data, media_type=media_type(data), headers=_KEPT)

    def file(make: Callable[..., FilePath], image: int) -> Callable[[Callable[[], Any]], bytes]:
        return lambda kept: make(image, kept).read_bytes()

    path = "/labeling/campaigns/{campaign}/images/{image}"

    @router.get(f"{path}/thumbnail", response_class=Response, responses=answers, tags=["labeling"])
    async def thumbnail(campaign: Id, image: Id, who: Anyone) -> Response:
        """Returns the image reduced to at most 160 pixels a side."""
        read = file(tiles.thumbnail, image)
        return await to_thread.run_sync(rendition, campaign, image, who, read, limiter=quick)

    @router.get(f"{path}/overview", response_class=Response, responses=answers, tags=["labeling"])
    async def overview(campaign: Id, image: Id, who: Anyone) -> Response:
        """Returns the image reduced to at most 2,048 pixels a side, upright and of 8 bits a channel."""
        read = file(tiles.overview, image)
        return await to_thread.run_sync(rendition, campaign, image, who, read, limiter=quick)

    @router.get(
        f"{path}/tiles/{{level}}/{{column}}/{{row}}", response_class=Response, responses=answers, tags=["labeling"]
    )
    async def tile(campaign: Id, image: Id, level: _Number, column: _Number, row: _Number, who: Anyone) -> Response:
        """Returns a tile of 512 pixels: of level n one pixel is 2^n pixels of the image wide."""

        def read(kept: Callable[[], Any]) -> bytes | None:
            return tiles.tile(image, level, column, row, kept)

        return await to_thread.run_sync(rendition, campaign, image, who, read, limiter=slow)
