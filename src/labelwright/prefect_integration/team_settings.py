"""The settings that receiver, workers and ledger must have alike, recorded by each of them for `labelwright doctor`.

A record is a Prefect Variable: the one place that all parts reach (the receiver's database role sees only the inbox).
There is one for each part and each set of values, so that a thousand runs with the same settings write the same one. It
holds no secret: of credentials only whether they are set.
"""

from __future__ import annotations

import json
import time
from contextvars import copy_context
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from socket import gethostname
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from labelwright import __version__
from labelwright.network.deadlines import OutOfTime, run_within
from labelwright.settings import ConnectionSettings, Settings

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

WORKER, RECEIVER = "worker", "receiver"

LEDGER = "ledger"
DROP_CONTAINER = "LABELWRIGHT_RECEIVER__DROP_CONTAINER"
DROP_CREDENTIAL = "LABELWRIGHT_CONTAINER_SAS, _KEY or _IDENTITY"

_PREFIX = "labelwright_settings_"
_FRESH = timedelta(hours=1)
"""A record that is younger is not written again."""
_KEPT = timedelta(days=7)
_MACHINES = 20
"""Names of machines in one record."""
_DEADLINE = 10.0


@dataclass(frozen=True, slots=True)
class MachineSettings:
    """The settings that one machine reported last."""

    part: str
    """`worker` or `receiver`."""
    machine: str
    values: dict[str, str]
    at: datetime


def team_settings(settings: Settings, part: str, ledger: str) -> dict[str, str]:
    """The settings of this process that others of the team must have alike, by the name that a message shows.

    ledger: the identity of its database.
    """
    from prefect.settings import get_current_settings

    values = {
        "version": __version__,
        LEDGER: ledger,
        DROP_CONTAINER: (settings.receiver.drop_container if settings.receiver else None) or "",
    }
    if part == RECEIVER:
        return values
    credential = settings.container_sas or settings.container_key or settings.container_identity
    values |= {
        DROP_CREDENTIAL: "set" if credential else "",
        "LABELWRIGHT_FINISH_BY": settings.finish_by,
        "PREFECT_DEFAULT_RESULT_STORAGE_BLOCK": str(get_current_settings().results.default_storage_block or ""),
    }
    for name, connection in settings.connections.items():
        values[f"LABELWRIGHT_CONNECTIONS__{name.upper()}"] = _shown(name, connection)
    for name, workspace in settings.workspaces.items():
        values[f"LABELWRIGHT_WORKSPACES__{name.upper()}"] = workspace.account_url or "set"
    return values


def _shown(name: str, connection: ConnectionSettings) -> str:
    host = urlsplit(connection.url or "").hostname or "no URL"
    has = [part for part in ("key", "secret") if getattr(connection, part) is not None]
    return f"{connection.platform or name} at {host} with {' and '.join(has) or 'no key'}"


def record_settings(settings: Settings, part: str, ledger: str) -> bool:
    """Records the settings of this process with the configured Prefect server, at most once an hour.

    Returns whether it is recorded. Never fails: the record only helps the doctor.
    """
    from httpx import HTTPError

    values = team_settings(settings, part, ledger)
    try:
        run_within(_DEADLINE, copy_context().run, _record, values, part)
    except (HTTPError, RuntimeError, OutOfTime, ValueError):
        return False
    return True


def keep_recording(settings: Settings, part: str, ledger: str) -> None:
    """Records the settings now and every hour, in a thread that ends with the process."""

    def work() -> None:
        while True:
            time.sleep(_FRESH.total_seconds() if record_settings(settings, part, ledger) else 60)

    Thread(target=copy_context().run, args=(work,), name="settings", daemon=True).start()


def _record(values: dict[str, str], part: str) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import VariableCreate, VariableUpdate

    digest = sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]
    name, machine, now = f"{_PREFIX}{part}_{digest}", gethostname(), datetime.now(UTC)
    with get_client(sync_client=True) as client:
        variable = client.read_variable_by_name(name)
        reported = {} if variable is None else {item.machine: item.at for item in _read(name, variable.value)}
        if machine in reported and reported[machine] > now - _FRESH:
            return
        newest = sorted((reported | {machine: now}).items(), key=lambda item: item[1], reverse=True)[:_MACHINES]
        content = {"values": values, "machines": {name: at.isoformat() for name, at in newest}}
        if variable is None:
            client.create_variable(VariableCreate(name=name, value=content))
            _remove_old(client)
        else:
            client.update_variable(VariableUpdate(name=name, value=content))


def _remove_old(client: SyncPrefectClient) -> None:
    for name, value in _variables(client):
        reported = _read(name, value)
        if reported and max(item.at for item in reported) < datetime.now(UTC) - _KEPT:
            client.delete_variable_by_name(name)


def read_settings(client: SyncPrefectClient, since: timedelta) -> list[MachineSettings]:
    """What each machine reported last, of those that reported since then. Raises httpx.HTTPError."""
    newest: dict[tuple[str, str], MachineSettings] = {}
    for name, value in _variables(client):
        for item in _read(name, value):
            key = (item.part, item.machine)
            if item.at > datetime.now(UTC) - since and (key not in newest or item.at > newest[key].at):
                newest[key] = item
    return [newest[key] for key in sorted(newest)]


def _variables(client: SyncPrefectClient) -> list[tuple[str, Any]]:
    """Names and values of our variables. Raises httpx.HTTPError."""
    body = {"variables": {"name": {"like_": f"{_PREFIX}%"}}}
    response = client.request("POST", "/variables/filter", json=body)
    response.raise_for_status()
    return [(str(variable["name"]), variable["value"]) for variable in response.json()]


def _read(name: str, value: Any) -> list[MachineSettings]:
    """What a variable of ours reports; nothing for one that somebody edited."""
    part = name.removeprefix(_PREFIX).partition("_")[0]
    try:
        values = {str(key): str(item) for key, item in value["values"].items()}
        machines = {str(machine): datetime.fromisoformat(at) for machine, at in value["machines"].items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        return []
    return [MachineSettings(part, machine, values, at) for machine, at in machines.items() if at.tzinfo]
