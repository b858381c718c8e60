"""The application, put together from its parts."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from starlette.responses import JSONResponse

from .access import Access, KeyPair
from .blob_api import BlobApi
from .blobs import Blobs
from .campaigns import Campaigns
from .config import API, ServiceConfig
from .database import Database
from .errors import answer_errors
from .gate import Gate
from .idempotency import Answers
from .image_sets import ImageSets
from .labeler_api import mount_labeler_api
from .labels_csv import Finishing
from .objects import Objects
from .pages import mount_pages
from .routes import Parts, health, routes
from .sas import Signer
from .sealing import Sealer

log = logging.getLogger("labelwright.service")


def prepare(config: ServiceConfig) -> KeyPair:
    """Make the data directory and the admin. The secret is told only by the call that made or was given it."""
    config.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = Database(config.data_dir, config.database_url)
    try:
        return Access(database).admin(config)
    finally:
        database.close()


def create_app(config: ServiceConfig) -> FastAPI:
    """The whole service. Sealing goes on in the background while the application's lifespan lasts."""
    prepare(config)
    database = Database(config.data_dir, config.database_url)
    blobs = Blobs(config.data_dir, database)
    with database.write() as connection:
        blobs.create_container(connection, config.main_container)
    signer = Signer.of(config.data_dir)
    access = Access(database)
    sets = ImageSets(config, database, blobs, signer)
    parts = Parts(
        config,
        access,
        sets,
        Campaigns(database, access),
        Objects(database, config.limits),
        Finishing(config, database, blobs),
        signer,
    )
    sealer = Sealer(config, database, blobs)
    sets.on_finishing = sealer.wake
    blob_api = BlobApi(blobs, signer, config.limits)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        sealer.start()
        threading.Thread(target=_sweep, args=(blobs,), name="sweeping", daemon=True).start()
        yield
        sealer.stop()
        blob_api.close()
        database.close()

    app = FastAPI(
        title="Labelwright campaigns",
        version=version("labelwright"),
        lifespan=lifespan,
        docs_url=None,  # its page would load scripts from another host
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
    )
    router = routes(parts)
    mount_labeler_api(router, parts, database, blobs)
    app.include_router(router, prefix=API)
    app.include_router(health())
    app.include_router(health(), prefix=API, include_in_schema=False)
    app.add_api_route(f"{API}/openapi.json", lambda: JSONResponse(app.openapi()), include_in_schema=False)
    mount_pages(app)
    answer_errors(app)
    app.add_middleware(Gate, blobs=blob_api, access=access, answers=Answers(database), limits=config.limits)
    return app


def _sweep(blobs: Blobs) -> None:
    try:
        blobs.sweep()
    except Exception:
        log.exception("sweeping files that nothing points to failed; the next start tries again")
