"""`labelwright serve`: the embedded labeling service in the foreground."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from labelwright.service.access import Access
    from labelwright.service.config import AzureStorage, ServiceConfig
    from labelwright.settings import ServiceSettings


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)] = 8080,
    data_dir: Annotated[Path | None, typer.Option(help="[default: service in the home folder]")] = None,
) -> None:
    """Run the embedded labeling service."""
    serve_until_stopped(host, port, data_dir)


def serve_until_stopped(host: str, port: int, data_dir: Path | None) -> None:
    """Serves until Ctrl+C or SIGTERM.

    Raises CannotRun for a setting or address that cannot be used, NotStarted when the service's disk or database fails.
    """
    from sqlalchemy.exc import OperationalError, SQLAlchemyError

    from labelwright.database import DatabaseRefused, connection_advice
    from labelwright.domain.errors import AddressInUse, CannotRun
    from labelwright.local import interruptions
    from labelwright.local.servers import NotStarted
    from labelwright.security.private_files import private_folder
    from labelwright.service.api.errors import Busy
    from labelwright.service.migrations import SchemaRefused
    from labelwright.service.run import CannotListen, RefusesToListen
    from labelwright.service.run import serve as run_service
    from labelwright.service.storage.protocol import StorageRefused
    from labelwright.settings import settings

    from .listening import is_address_error
    from .output import console

    home, configured = settings().home, settings().service
    folder = (data_dir or home / "service").resolve()
    interruptions.hang_up_as_terminate()
    os.umask(0o077)  # only the owner can read what the service writes
    database = "its Postgres database" if configured.database_url else f"its database {folder / 'labelwright.sqlite3'}"
    try:
        if data_dir is None:
            private_folder(home)
        private_folder(folder)
        first_start = not (folder / "admin.json").exists()
        run_service(
            _service_config(configured, folder, host, port),
            lambda address: console.show_service(address, folder / "admin.json", first=first_start),
            lambda access: {"/operations": _operations(access, folder)},
        )
    except (CannotListen, RefusesToListen, DatabaseRefused, SchemaRefused, StorageRefused) as refusal:
        raise CannotRun.because_of(refusal) from None
    except (SQLAlchemyError, Busy) as error:
        if configured.database_url and isinstance(error, OperationalError):
            advice = connection_advice(error, "LABELWRIGHT_SERVICE__DATABASE_URL")
        else:
            advice = "Nothing is lost: fix it (is the disk full or read-only?), then start it again"
        message = f"the labeling service cannot use {database}: {getattr(error, 'orig', error)}. {advice}"
        raise NotStarted(message) from None
    except OSError as error:
        if is_address_error(error):
            raise AddressInUse(f"cannot listen on {host}:{port}: {error.strerror}. Give another --port") from None
        raise NotStarted(
            f"the labeling service cannot write {error.filename or folder}: {error.strerror or error}. Nothing is "
            "lost: fix it, then start it again, or give another --data-dir"
        ) from None
    except KeyboardInterrupt:
        console.note("the labeling service is stopped")


def _operations(access: Access, folder: Path) -> ASGIApp:
    """The operations page, for the service's admin. Raises OSError."""
    from labelwright.operations.access import Door
    from labelwright.operations.app import create_operations
    from labelwright.operations.sources import Sources
    from labelwright.prefect_integration.connections import CONNECTIONS
    from labelwright.prefect_integration.requested_runs import RequestedRuns
    from labelwright.settings import settings

    door = Door(access, settings().operations, folder / "operations.key")
    return create_operations(door, Sources(CONNECTIONS, RequestedRuns()))


def _service_config(configured: ServiceSettings, folder: Path, host: str, port: int) -> ServiceConfig:
    """Raises CannotRun."""
    from labelwright.service.config import ServiceConfig

    secret, database_url = configured.admin_secret, configured.database_url
    return ServiceConfig(
        data_dir=folder,
        host=host,
        port=port,
        admin_key=configured.admin_key,
        admin_secret=secret.get_secret_value() if secret else None,
        database_url=database_url.get_secret_value() if database_url else None,
        storage=_azure_storage(configured),
        dropbox_lifetime=timedelta(seconds=configured.dropbox_lifetime),
    )


def _azure_storage(configured: ServiceSettings) -> AzureStorage | None:
    """Returns None when files are kept in the data directory. Raises CannotRun."""
    from labelwright.domain.errors import CannotRun
    from labelwright.service.config import AzureStorage

    secret, url = configured.storage_connection_string, configured.storage_account_url
    if secret and url:
        raise CannotRun("LABELWRIGHT_SERVICE__STORAGE_...: set the connection string or the account's URL, not both")
    if secret is None and url is None:
        return None
    return AzureStorage(secret.get_secret_value() if secret else None, url)
