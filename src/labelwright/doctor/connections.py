"""Platforms and stores as the doctor sees them: asked the least that needs the credential."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from labelwright.settings import ConnectionSettings, Settings, SettingsError, WorkspaceSettings

from .clocks import clock
from .findings import Finding, Level

Check = Callable[[], Iterator[Finding]]

_NOTHING = "labelwright-doctor"
"""The name of something that is nowhere: who may be told so may read."""


# Platforms


def connections(given: Settings) -> Iterator[tuple[str, Check]]:
    """A check for each connection, with its area."""
    from labelwright.platforms.registry import PLATFORMS

    named = {name: one.platform or name for name, one in given.connections.items()}
    if given.embedded_service() is not None:
        named.setdefault("campaign_api", "campaign_api")
    if not named:
        do = "Start one with: labelwright serve. Or set LABELWRIGHT_CONNECTIONS__NAME__URL, __KEY and __SECRET"
        says = f"none is configured; known platforms: {', '.join(PLATFORMS)}"
        yield "connections", lambda: iter([Finding("connections", Level.WARNING, says, do)])
    for name, platform in sorted(named.items()):
        area = f"connection {name}"
        yield area, partial(_connection, area, name, platform, given)


def _connection(area: str, name: str, platform: str, given: Settings) -> Iterator[Finding]:
    from labelwright.platforms.registry import PLATFORMS

    if platform not in PLATFORMS:
        do = f"Set `platform` to one of: {', '.join(sorted(PLATFORMS))}"
        yield Finding(area, Level.ERROR, f"there is no platform '{platform}'", do)
        return
    try:
        connection = given.connection(name)
    except SettingsError as error:
        yield Finding(area, Level.ERROR, str(error), "")
        return
    yield _asked(area, platform, connection)
    if connection.url:
        yield from clock(area, connection.url)


def _asked(area: str, platform: str, given: ConnectionSettings) -> Finding:
    from labelwright.platforms import AccessDenied, PlatformError, PlatformUnavailable
    from labelwright.platforms.protocol import Secret
    from labelwright.platforms.registry import PLATFORMS, Connection

    variable = f"LABELWRIGHT_CONNECTIONS__{area.removeprefix('connection ').upper()}"
    try:
        adapter = PLATFORMS[platform].connect(
            Connection(
                given.url or "",
                given.key.get_secret_value() if given.key else "",
                Secret(given.secret.get_secret_value()) if given.secret else None,
                identity=given.identity,
                requests_per_second=given.requests_per_second,
            )
        )
        return Finding(area, Level.OK, f"{platform}: {adapter.check()}")
    except AccessDenied as error:
        return Finding(
            area, Level.ERROR, str(error), f"Have a new credential made, and set {variable}__KEY and __SECRET"
        )
    except PlatformUnavailable as error:
        return Finding(area, Level.ERROR, str(error), f"See whether the server runs; its address is {variable}__URL")
    except PlatformError as error:
        return Finding(area, Level.ERROR, str(error), f"Mend {variable}__URL, __KEY and __SECRET")


# Stores


def stores(given: Settings) -> Iterator[tuple[str, Check]]:
    """Local folders are named by campaigns. A workspace and its container are asked for a thing that is not there."""
    says = "local folders need nothing; each campaign names its own"
    yield "stores", lambda: iter([Finding("stores", Level.OK, says)])
    for name, workspace in sorted(given.workspaces.items()):
        area = f"workspace {name}"
        for look in _looks_at(workspace, given):
            yield area, partial(_read, area, look)


def _looks_at(workspace: WorkspaceSettings, given: Settings) -> tuple[Callable[[], str], Callable[[], str]]:
    from labelwright.stores.azure_ml.blobs import account_of, open_blobs
    from labelwright.stores.azure_ml.store import AzureMlStore

    def container() -> str:
        open_blobs(account_of(workspace), threads=1, timeout=given.request_timeout).look(_NOTHING)
        return f"the container '{workspace.container}' can be read; writing was not tried"

    def versions() -> str:
        only_v1 = workspace.python_v1 is not None and workspace.python_v2 is None
        engine = "sdk_v1" if only_v1 else "sdk_v2"
        quick = workspace.model_copy(update={"deadline": min(workspace.deadline, 120)})
        AzureMlStore(quick, engine=engine, threads=1, timeout=given.request_timeout).versions(_NOTHING)
        return f"its datasets can be listed ({engine}); registering was not tried"

    return container, versions


def _read(area: str, look: Callable[[], str]) -> Iterator[Finding]:
    yield _found(area, look)


def _found(area: str, look: Callable[[], str]) -> Finding:
    from labelwright.platforms import AccessDenied, PlatformError, PlatformUnavailable

    variable = f"LABELWRIGHT_WORKSPACES__{area.removeprefix('workspace ').upper()}"
    try:
        return Finding(area, Level.OK, look())
    except SettingsError as error:
        return Finding(area, Level.ERROR, str(error), f"Mend {variable}__...")
    except AccessDenied as error:
        return Finding(area, Level.ERROR, str(error), "Give the identity its roles, see docs/azure.md")
    except PlatformUnavailable as error:
        return Finding(area, Level.ERROR, str(error), "Try again; does this machine reach Azure?")
    except PlatformError as error:
        return Finding(area, Level.ERROR, str(error), f"Mend {variable}__...")
