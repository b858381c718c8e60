"""Builds the ASGI application of the service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from starlette.responses import JSONResponse

from labelwright.security.private_files import private_folder

from .access import Access
from .admin_file import KeyPair
from .api.campaigns import Parts, health, identity, routes
from .api.errors import add_error_handlers
from .api.labeling import mount_labeling_api
from .api.pages import mount_pages
from .blobs.app import BlobApi
from .campaign_changes import CampaignChanges
from .campaigns import Campaigns
from .config import API, ServiceConfig
from .database import Database
from .heavy_work import HeavyWork
from .idempotency import StoredResponses
from .image_sets import ImageSets
from .imaging.decoding import Memory
from .imaging.pictures import Pictures
from .labels_csv import Finishing
from .middleware import RequestLimits
from .objects import Objects
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


def create_app(config: ServiceConfig) -> FastAPI:
    """Returns the application. Sealing runs in the background during the application's lifespan."""
    prepare(config)
    database = Database(config.data_dir, config.database_url, config.limits.lock_seconds)
    storage, blob_api = _storage(config, database)
    access = Access(database)
    sets = ImageSets(config, database, storage)
    memory = Memory(config.limits.decoding_bytes)
    parts = Parts(
        config,
        access,
        sets,
        Campaigns(database, access),
        CampaignChanges(database, access),
        Objects(database, config.limits),
        Reopening(database),
        Finishing(database, storage),
        storage,
        HeavyWork(),
        Pictures(config, memory),
    )
    sealer = Sealer(config, database, storage, memory)
    sets.on_finishing = sealer.wake

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        sealer.start()
        yield
        sealer.stop()
        if blob_api:
            blob_api.close()
        storage.close()
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
    mount_labeling_api(router, parts, database)
    app.include_router(router, prefix=API)
    app.include_router(health())
    app.include_router(identity(config))
    app.include_router(health(), prefix=API, include_in_schema=False)
    app.add_api_route(f"{API}/openapi.json", lambda: JSONResponse(app.openapi()), include_in_schema=False)
    mount_pages(app)
    add_error_handlers(app)
    app.add_middleware(
        RequestLimits, blobs=blob_api, access=access, answers=StoredResponses(database), limits=config.limits
    )
    return app


def _storage(config: ServiceConfig, database: Database) -> tuple[Storage, BlobApi | None]:
    """Returns the opened store, and the blob API in front of it when it is the local folder."""
    if config.storage is None:
        own = DataDirectory(config, database)
        own.open()
        return own, BlobApi(own.blobs, own.signer, config.limits)
    from .storage.azure import AzureStore  # two seconds of import

    azure = AzureStore(config, config.storage)
    azure.open()
    return azure, None
