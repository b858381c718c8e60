"""Builds the ASGI application of the service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp

from labelwright.security.private_files import private_folder

from .access import Access
from .admin_file import KeyPair
from .api.campaigns import Parts, health, identity, routes
from .api.errors import add_error_handlers
from .api.labeling import mount_labeling_api
from .api.labeling_list import mount_labeling_list
from .api.notes import mount_notes
from .api.pages import mount_pages
from .api.predictions import mount_predictions
from .api.renditions import mount_renditions
from .blobs.app import BlobApi
from .campaign_changes import CampaignChanges
from .campaigns import Campaigns
from .config import API, ServiceConfig
from .database import Database
from .early_checks import EarlyChecks
from .heavy_work import HeavyWork
from .idempotency import StoredResponses
from .image_checks import ImageChecks
from .image_limits import allow_pixels
from .image_sets import ImageSets
from .imaging.decoding import Memory
from .imaging.pictures import Pictures
from .labels_csv import Finishing
from .middleware import RequestLimits
from .notes import Notes
from .objects import Objects
from .predictions import Predictions
from .reopening import Reopening
from .sealing import Sealer
from .storage.local import DataDirectory
from .storage.protocol import Storage


def prepare(config: ServiceConfig) -> KeyPair:
    """Creates the data directory and the admin's key pair.

    The secret is returned only by the call that created or got it."""
    private_folder(config.data_dir)
    database = Database(config.data_dir, config.database_url, config.limits.lock_seconds)
    try:
        return Access(database).admin(config)
    finally:
        database.close()


Mounts = Callable[[Access], Mapping[str, ASGIApp]]
"""Returns applications of other packages by the path below which they are served, such as `/operations`."""


def create_app(config: ServiceConfig, mounts: Mounts = lambda _access: {}) -> FastAPI:
    """Returns the application. Sealing runs in the background during the application's lifespan."""
    prepare(config)
    database = Database(config.data_dir, config.database_url, config.limits.lock_seconds)
    storage = _storage(config, database)
    memory = Memory(config.limits.decoding_bytes)
    checks = ImageChecks(config, storage, memory)
    early_checks, blob_api = None, None
    if isinstance(storage, DataDirectory):
        early_checks = EarlyChecks(checks, storage.blobs.path)
        blob_api = BlobApi(database, storage.blobs, storage.signer, config.limits, early_checks.add)
    access = Access(database)
    sets = ImageSets(config, database, storage)
    allow_pixels(config.limits.image_pixels)
    parts = Parts(
        config,
        access,
        sets,
        Campaigns(database, access),
        CampaignChanges(database, access),
        Objects(database, config.limits),
        Predictions(database, config.limits),
        Reopening(database),
        Finishing(database, storage),
        storage,
        HeavyWork(),
        Pictures(config, memory),
    )
    sealer = Sealer(config, database, storage, checks, early_checks)
    sets.on_finishing = sealer.wake

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        if early_checks:
            early_checks.start()
        sealer.start()
        yield
        sealer.stop()
        if blob_api:
            blob_api.close()
        if early_checks:
            early_checks.stop()
        checks.notes.close()
        storage.close()
        database.close()

    app = FastAPI(
        title="Labelwright campaigns",
        version=version("labelwright"),
        lifespan=lifespan,
        docs_url=None,  # its page would load scripts from another host; `mount_pages` has one that does not
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
    )
    router = routes(parts)
    mount_predictions(router, parts)
    mount_labeling_api(router, parts, database)
    mount_labeling_list(router, parts, database)
    mount_renditions(router, parts, database)
    mount_notes(router, parts, Notes(database))
    app.include_router(router, prefix=API)
    app.include_router(health(config.limits))
    app.include_router(identity(config))
    app.include_router(health(config.limits), prefix=API, include_in_schema=False)
    app.add_api_route(f"{API}/openapi.json", lambda: JSONResponse(app.openapi()), include_in_schema=False)
    mount_pages(app)
    for path, mounted in mounts(access).items():
        app.add_route(path, _to_folder, ["GET"], include_in_schema=False)
        app.mount(path, mounted)
    add_error_handlers(app)
    app.add_middleware(
        RequestLimits, blobs=blob_api, access=access, answers=StoredResponses(database), limits=config.limits
    )
    return app


async def _to_folder(request: Request) -> Response:
    """The address of a mounted application without the slash at its end."""
    return RedirectResponse(f"{request.url.path}/", 307)


def _storage(config: ServiceConfig, database: Database) -> Storage:
    """Returns the opened store."""
    if config.storage is None:
        own = DataDirectory(config, database)
        own.open()
        return own
    from .storage.azure import AzureStore  # two seconds of import

    azure = AzureStore(config, config.storage)
    azure.open()
    return azure
