"""Checks connections and stores with the least request that needs the credential."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from labelwright.domain.errors import error_code_of
from labelwright.settings import ConnectionSettings, Settings, SettingsError, WorkspaceSettings

from .clocks import check_clock
from .findings import Finding, Level

Check = Callable[[], Iterator[Finding]]

_MISSING_NAME = "labelwright-doctor"
"""Name of a blob or dataset that does not exist: a server that reports it missing lets this identity read."""


# Platforms


def connection_checks(settings: Settings) -> Iterator[tuple[str, Check]]:
    """Yields a check for each connection, with its area."""
    from labelwright.platforms.registry import PLATFORMS

    platforms = {name: connection.platform or name for name, connection in settings.connections.items()}
    if settings.embedded_service() is not None:
        platforms.setdefault("campaign_api", "campaign_api")
    if not platforms:
        message = f"none is configured; known platforms: {', '.join(PLATFORMS)}"
        advice = "Start one with: labelwright serve. Or set LABELWRIGHT_CONNECTIONS__NAME__URL, __KEY and __SECRET"
        yield "connections", lambda: iter([Finding("connections", Level.WARNING, message, advice)])
    for name, platform in sorted(platforms.items()):
        area = f"connection {name}"
        yield area, partial(_check_connection, area, name, platform, settings)


def _check_connection(area: str, name: str, platform: str, settings: Settings) -> Iterator[Finding]:
    from labelwright.platforms.registry import PLATFORMS

    if platform not in PLATFORMS:
        advice = f"Set `platform` to one of: {', '.join(sorted(PLATFORMS))}"
        yield Finding(area, Level.ERROR, f"there is no platform '{platform}'", advice)
        return
    try:
        connection = settings.connection(name)
    except SettingsError as error:
        yield Finding(area, Level.ERROR, str(error), "", error_code_of(error))
        return
    yield _check_platform(area, name, platform, connection)
    if connection.url:
        yield from check_clock(area, connection.url)


def _check_platform(area: str, name: str, platform: str, connection: ConnectionSettings) -> Finding:
    from labelwright.platforms import AccessDenied, PlatformError, PlatformUnavailable
    from labelwright.platforms.protocol import Secret
    from labelwright.platforms.registry import PLATFORMS, Connection

    variable = f"LABELWRIGHT_CONNECTIONS__{name.upper()}"
    try:
        adapter = PLATFORMS[platform].connect(
            Connection(
                connection.url or "",
                connection.key.get_secret_value() if connection.key else "",
                Secret(connection.secret.get_secret_value()) if connection.secret else None,
                identity=connection.identity,
                requests_per_second=connection.requests_per_second,
            )
        )
        return Finding(area, Level.OK, f"{platform}: {adapter.check()}")
    except AccessDenied as error:
        advice = f"Check the key and secret of connection {name}: {variable}__KEY and __SECRET"
        return Finding(area, Level.ERROR, str(error), advice, error_code_of(error))
    except PlatformUnavailable as error:
        advice = f"See whether the server runs; its address is {variable}__URL"
        return Finding(area, Level.ERROR, str(error), advice, error_code_of(error))
    except PlatformError as error:
        advice = f"Check {variable}__URL, __KEY and __SECRET"
        return Finding(area, Level.ERROR, str(error), advice, error_code_of(error))


# Stores


def store_checks(settings: Settings) -> Iterator[tuple[str, Check]]:
    """Yields the checks of Azure ML workspaces, each with its area. Local folders are named by campaigns only."""
    message = "local folders need nothing; each campaign names its own"
    yield "stores", lambda: iter([Finding("stores", Level.OK, message)])
    for name, workspace in sorted(settings.workspaces.items()):
        area = f"workspace {name}"
        for request in _workspace_requests(workspace, settings):
            yield area, partial(_check_workspace, area, name, request)


def _workspace_requests(
    workspace: WorkspaceSettings, settings: Settings
) -> tuple[Callable[[], str], Callable[[], str]]:
    """Returns functions that read from the container and from the workspace; each returns what worked."""
    from labelwright.stores.azure_ml.blobs import account_of, open_blobs
    from labelwright.stores.azure_ml.store import AzureMlStore

    def read_container() -> str:
        open_blobs(account_of(workspace), threads=1, timeout=settings.request_timeout).look(_MISSING_NAME)
        return f"the container '{workspace.container}' can be read; writing was not tried"

    def list_versions() -> str:
        only_v1 = workspace.python_v1 is not None and workspace.python_v2 is None
        engine = "sdk_v1" if only_v1 else "sdk_v2"
        quick = workspace.model_copy(update={"deadline": min(workspace.deadline, 120)})
        AzureMlStore(quick, engine=engine, threads=1, timeout=settings.request_timeout).versions(_MISSING_NAME)
        return f"its datasets can be listed ({engine}); registering was not tried"

    return read_container, list_versions


def _check_workspace(area: str, name: str, request: Callable[[], str]) -> Iterator[Finding]:
    from labelwright.platforms import AccessDenied, PlatformError, PlatformUnavailable

    variable = f"LABELWRIGHT_WORKSPACES__{name.upper()}"
    try:
        yield Finding(area, Level.OK, request())
    except AccessDenied as error:
        advice = "Give the identity its roles, see docs/azure.md"
        yield Finding(area, Level.ERROR, str(error), advice, error_code_of(error))
    except PlatformUnavailable as error:
        advice = "Try again; does this machine reach Azure?"
        yield Finding(area, Level.ERROR, str(error), advice, error_code_of(error))
    except (SettingsError, PlatformError) as error:
        advice = f"Check {variable}__..."
        yield Finding(area, Level.ERROR, str(error), advice, error_code_of(error))
