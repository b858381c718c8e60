"""`labelwright doctor`: asks everything that a campaign will need whether it is there, and says what to do where not.

Nothing is changed anywhere: settings are read, the ledger's version is read, servers are asked the least that needs the
credential (a platform's own `check`). No secret is in a finding: servers' words come through the adapters' errors,
which hold none, and whatever the settings keep as a secret is struck out of every line besides.
"""

from __future__ import annotations

import os
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr

from labelwright import __version__
from labelwright.doctor_team import dask, results
from labelwright.findings import Finding, Level
from labelwright.settings import ConnectionSettings, Settings, SettingsError, WorkspaceSettings, settings

SKEW = 30.0
"""Seconds that two clocks may differ: a lease lives for 90."""

FREE_BYTES = 1 << 30
"""On the disk of the home folder: room for labels under way and for a ledger that grows."""

_TIMEOUT = 10.0

_NOTHING = "labelwright-doctor"
"""The name of something that is nowhere: who may be told so may read."""


def examine() -> list[Finding]:
    """Every finding, in the order in which they matter. A look that fails in an unforeseen way is a finding too."""
    found: list[Finding] = [*_versions()]
    try:
        given = settings()
    except SettingsError as error:
        return [*found, Finding("settings", Level.ERROR, str(error), "Mend it; nothing else was looked at")]
    found.append(Finding("settings", Level.OK, f"home folder {given.home}"))
    for look in (_disk, _ledger, _prefect, results, dask, _connections, _stores):
        area = look.__name__.strip("_")
        try:
            found.extend(look(given))
        except Exception as error:  # noqa: BLE001 - the doctor outlives every patient
            says = f"this could not be looked at: {type(error).__name__}: {error}"
            found.append(Finding(area, Level.ERROR, says, "Please report it"))
    secrets = sorted(_secrets_in(given), key=len, reverse=True)
    return [_without(secrets, one) for one in found]


def as_json(found: list[Finding]) -> dict[str, Any]:
    return {"version": __version__, "well": is_well(found), "findings": [asdict(one) for one in found]}


def is_well(found: list[Finding]) -> bool:
    return all(one.level is not Level.ERROR for one in found)


# Secrets


def _secrets_in(value: object) -> Iterator[str]:
    """Every secret that the settings hold, and the password of every URL among them."""
    if isinstance(value, SecretStr):
        text = value.get_secret_value()
        yield text
        if "://" in text:
            yield from _password_of(text)
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets_in(getattr(value, name))
    elif isinstance(value, dict):
        for one in value.values():
            yield from _secrets_in(one)


def _password_of(url: str) -> Iterator[str]:
    try:
        password = urlsplit(url).password
    except ValueError:
        return
    if password:
        yield password


def _without(secrets: list[str], one: Finding) -> Finding:
    says, do = one.says, one.do
    for secret in secrets:
        if len(secret) >= 4:
            says, do = says.replace(secret, "***"), do.replace(secret, "***")
    return Finding(one.area, one.level, says, do)


# Versions


def _versions() -> Iterator[Finding]:
    told = f"labelwright {__version__}, Python {sys.version.split()[0]}"
    try:
        from packaging.requirements import Requirement

        wanted = [Requirement(line) for line in requires("labelwright") or []]
    except PackageNotFoundError:
        yield Finding("versions", Level.WARNING, f"{told}; not installed as a package", "pip install labelwright")
        return
    bad = 0
    for one in wanted:
        if one.marker is not None and not one.marker.evaluate({"extra": ""}):
            continue
        try:
            present = version(one.name)
        except PackageNotFoundError:
            bad += 1
            yield Finding("versions", Level.ERROR, f"{one.name} is not installed", f"pip install '{one}'")
            continue
        if not one.specifier.contains(present, prereleases=True):
            bad += 1
            says = f"{one.name} is {present}, and this version of Labelwright needs {one.specifier}"
            yield Finding("versions", Level.ERROR, says, f"pip install '{one}'")
    if not bad:
        yield Finding("versions", Level.OK, f"{told}, prefect {version('prefect')}; every requirement is met")


# This machine


def _disk(given: Settings) -> Iterator[Finding]:
    place = next(one for one in (given.home, *given.home.parents) if one.exists())
    if not os.access(place, os.W_OK):
        yield Finding(
            "disk", Level.ERROR, f"{place} cannot be written", "Give its user the right, or set LABELWRIGHT_HOME"
        )
        return
    free = shutil.disk_usage(place).free
    says = f"{free / (1 << 30):.1f} GiB are free for {given.home}"
    if free < FREE_BYTES:
        yield Finding("disk", Level.WARNING, says, "Make room: campaigns under way keep their labels there")
    else:
        yield Finding("disk", Level.OK, says)


def _ledger(given: Settings) -> Iterator[Finding]:
    from sqlalchemy import text
    from sqlalchemy.exc import SQLAlchemyError

    from labelwright.ledger.engines import make_engine, refuse_other_encodings
    from labelwright.ledger.errors import LedgerError
    from labelwright.ledger.tables import SCHEMA_VERSION
    from labelwright.ledger.upgrading import UPGRADES, version_of

    if given.ledger_url is None and not (given.home / "ledger.db").exists():
        yield Finding("ledger", Level.OK, f"none yet; the first command makes {given.home / 'ledger.db'}")
        return
    engine, apart, rights = None, None, None
    try:
        engine = make_engine(given.ledger_address())
        with engine.connect() as connection:
            refuse_other_encodings(connection)
            found = version_of(connection)
            kind = engine.dialect.name
            if kind == "postgresql":
                apart = _apart_from(connection.scalar(text("select clock_timestamp()")))
                rights = found and connection.scalar(text(f"select {_MAY_WORK}"))
    except LedgerError as error:
        yield Finding("ledger", Level.ERROR, str(error), "Mend LABELWRIGHT_LEDGER_URL")
        return
    except SQLAlchemyError as error:
        says = f"its database does not answer: {str(getattr(error, 'orig', error)).strip()}"
        yield Finding("ledger", Level.ERROR, says, "Start the database, or mend LABELWRIGHT_LEDGER_URL")
        return
    finally:
        if engine is not None:
            engine.dispose()
    says = f"on {kind}, its tables are version {found}"
    if found is None:
        yield Finding("ledger", Level.OK, f"on {kind}, empty; the first command makes its tables")
    elif found == SCHEMA_VERSION:
        yield Finding("ledger", Level.OK, says)
    elif found in UPGRADES:
        do = f"Stop the workers of the older version; the next command brings it to version {SCHEMA_VERSION}"
        yield Finding("ledger", Level.WARNING, says, do)
    else:
        do = "Install the version of Labelwright that wrote it, or a newer one"
        yield Finding("ledger", Level.ERROR, f"{says}, and this one knows {SCHEMA_VERSION}", do)
    if rights is False:
        do = "Grant SELECT, INSERT, UPDATE, DELETE on its tables, see docs/operating.md"
        yield Finding("ledger", Level.ERROR, "this user may not write into its tables", do)
    if apart is not None and abs(apart) > SKEW:
        ahead = "behind" if apart > 0 else "ahead of"
        says = f"this machine's clock is {abs(apart):.0f} seconds {ahead} that of the ledger's server"
        yield Finding("ledger", Level.ERROR, says, "Set the clock (NTP): leases depend on it")


_MAY_WORK = " and ".join(
    f"has_table_privilege('{table}', '{verb}')"
    for table in ("campaigns", "effects", "leases", "images")
    for verb in ("select", "insert", "update", "delete")
)
"""In words of PostgreSQL: asked, not tried."""


def _apart_from(theirs: datetime) -> float:
    """Seconds by which another clock is before this machine's."""
    return (theirs - datetime.now(UTC)).total_seconds()


# Prefect


def _prefect(given: Settings) -> Iterator[Finding]:
    from labelwright.deploying import POOL, client_at_hand, prefect_file
    from labelwright.deploying import _deployments_in as deployments_in
    from labelwright.deploying import _full_name as full_name
    from labelwright.failures import CannotRun

    try:
        client = client_at_hand()
    except CannotRun as error:
        yield Finding("prefect", Level.WARNING, str(error), "Without one, runs use a server that ends with them")
        return
    from httpx import HTTPError
    from prefect.exceptions import ObjectNotFound

    address = str(client.api_url)
    try:
        with client:
            theirs = str(client.request("GET", "/admin/version").json())
            yield _compared(theirs, version("prefect"), address)
            yield from _clock("prefect", address)
            try:
                pool = client.read_work_pool(POOL)
            except ObjectNotFound:
                yield Finding("prefect", Level.ERROR, f"it has no work pool '{POOL}'", "labelwright deploy")
                return
            path = {"work_pool_name": POOL}
            said = client.request("POST", "/work_pools/{work_pool_name}/workers/filter", path_params=path, json={})
            online = sum(one["status"] == "ONLINE" for one in said.json())
            says = f"work pool '{POOL}' ({pool.type}): {online} workers are there"
            if pool.is_paused:
                yield Finding(
                    "prefect", Level.ERROR, f"work pool '{POOL}' is paused", f"prefect work-pool resume {POOL}"
                )
            elif not online:
                yield Finding("prefect", Level.ERROR, says, f"prefect worker start --pool {POOL}")
            else:
                yield Finding("prefect", Level.OK, says)
            for deployment in deployments_in(prefect_file()):
                name = full_name(deployment)
                try:
                    there = client.read_deployment_by_name(name)
                except ObjectNotFound:
                    yield Finding("prefect", Level.ERROR, f"deployment {name} is missing", "labelwright deploy")
                    continue
                if there.paused:
                    do = f"prefect deployment schedule resume {name} ID, or the switch in the UI"
                    yield Finding("prefect", Level.WARNING, f"deployment {name} is paused", do)
                elif there.version not in (None, __version__):
                    says = f"deployment {name} is of version {there.version}, this is {__version__}"
                    yield Finding("prefect", Level.WARNING, says, "labelwright deploy")
                else:
                    yield Finding("prefect", Level.OK, f"deployment {name}")
    except (HTTPError, RuntimeError) as error:
        says = f"{_plain(address)} does not answer: {type(error).__name__}"
        yield Finding("prefect", Level.ERROR, says, "Start it, or mend PREFECT_API_URL and PREFECT_API_AUTH_STRING")


def _compared(theirs: str, ours: str, address: str) -> Finding:
    says = f"{_plain(address)} is Prefect {theirs}"
    if theirs.split(".")[:2] == ours.split(".")[:2]:
        return Finding("prefect", Level.OK, says)
    newer = "the server's" if theirs > ours else "this machine's"
    do = "Bring server and workers to one version; the server may be the newer one"
    return Finding("prefect", Level.WARNING, f"{says}, here is {ours}: {newer} is newer", do)


# Platforms


def _connections(given: Settings) -> Iterator[Finding]:
    from labelwright.platforms.registry import PLATFORMS

    named = {name: one.platform or name for name, one in given.connections.items()}
    if given.embedded_service() is not None:
        named.setdefault("campaign_api", "campaign_api")
    if not named:
        do = "Start one with: labelwright serve. Or set LABELWRIGHT_CONNECTIONS__NAME__URL, __KEY and __SECRET"
        yield Finding("connections", Level.WARNING, f"none is configured; known platforms: {', '.join(PLATFORMS)}", do)
    for name, platform in sorted(named.items()):
        area = f"connection {name}"
        if platform not in PLATFORMS:
            do = f"Set `platform` to one of: {', '.join(sorted(PLATFORMS))}"
            yield Finding(area, Level.ERROR, f"there is no platform '{platform}'", do)
            continue
        try:
            connection = given.connection(name)
        except SettingsError as error:
            yield Finding(area, Level.ERROR, str(error), "")
            continue
        yield _asked(area, platform, connection)
        if connection.url:
            yield from _clock(area, connection.url)


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


def _stores(given: Settings) -> Iterator[Finding]:
    """Local folders are named by campaigns. A workspace and its container are asked for a thing that is not there."""
    yield Finding("stores", Level.OK, "local folders need nothing; each campaign names its own")
    for name, workspace in sorted(given.workspaces.items()):
        yield from _workspace(f"workspace {name}", workspace, given)


def _workspace(area: str, workspace: WorkspaceSettings, given: Settings) -> Iterator[Finding]:
    from labelwright.stores.azure_blobs import account_of, open_blobs
    from labelwright.stores.azure_ml import AzureMlStore

    def container() -> str:
        open_blobs(account_of(workspace), threads=1, timeout=given.request_timeout).look(_NOTHING)
        return f"the container '{workspace.container}' can be read; writing was not tried"

    def versions() -> str:
        only_v1 = workspace.python_v1 is not None and workspace.python_v2 is None
        engine = "sdk_v1" if only_v1 else "sdk_v2"
        quick = workspace.model_copy(update={"deadline": min(workspace.deadline, 120)})
        AzureMlStore(quick, engine=engine, threads=1, timeout=given.request_timeout).versions(_NOTHING)
        return f"its datasets can be listed ({engine}); registering was not tried"

    for look in (container, versions):
        yield _read(area, look)


def _read(area: str, look: Callable[[], str]) -> Finding:
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


# Clocks


def _clock(area: str, url: str) -> Iterator[Finding]:
    """This machine's clock beside a server's, which stands in the header Date of whatever it answers."""
    asked = datetime.now(UTC)
    stamp = _date_of(url)
    if stamp is None:
        return
    elapsed = (datetime.now(UTC) - asked).total_seconds()
    differs = (stamp - asked).total_seconds()
    # The header has whole seconds, and the answer was on its way.
    apart = max(0.0, -differs - 1.0, differs - elapsed)
    if apart > SKEW:
        ahead = "behind" if differs > 0 else "ahead of"
        says = f"this machine's clock is {apart:.0f} seconds {ahead} that of {_plain(url)}"
        yield Finding(area, Level.ERROR, says, "Set the clock (NTP): leases and signatures depend on it")
    else:
        yield Finding(area, Level.OK, "the clocks agree")


def _date_of(url: str) -> datetime | None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    request = urllib.request.Request(f"{_plain(url)}/", method="HEAD")  # noqa: S310 - the scheme was looked at
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310
            told = answer.headers.get("Date")
    except urllib.error.HTTPError as error:
        told = error.headers.get("Date")
        error.close()
    except (OSError, ValueError):
        return None
    try:
        moment = parsedate_to_datetime(told) if told else None
    except ValueError:
        return None
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)


def _plain(url: str) -> str:
    """Scheme, host and port: no user, no password, no query."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{parts.port}" if parts.port else f"{parts.scheme}://{host}"
