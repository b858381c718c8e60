"""Compares the settings that receiver, workers and ledger must have alike, and finds a local ledger beside workers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from labelwright.domain.errors import CannotRun
from labelwright.settings import Settings

from .findings import Finding, Level

_REPORTED_WITHIN = timedelta(days=1)
_SURE_WITHIN = timedelta(hours=2)
"""A machine that runs anything reports every hour; an older report may be of a machine that was changed since."""

_HERE = "this machine"


def check_team(settings: Settings) -> Iterator[Finding]:
    """Yields nothing where no Prefect server is configured or reached: that is another check's finding."""
    from httpx import HTTPError, HTTPStatusError

    from labelwright.prefect_integration.client import require_prefect_client
    from labelwright.prefect_integration.deployments import online_workers
    from labelwright.prefect_integration.team_settings import LEDGER, WORKER, read_settings, team_settings

    workers: list[str] = []
    try:
        with require_prefect_client() as client:
            reported = read_settings(client, _REPORTED_WITHIN)
            with suppress(HTTPStatusError):  # no work pool, which is another check's finding
                workers = online_workers(client)
    except (HTTPError, RuntimeError, CannotRun):
        return
    values, ages = defaultdict[str, dict[str, str]](dict), dict[str, timedelta]()
    for item in reported:
        machine = f"{item.part} {item.machine}"
        ages[machine] = datetime.now(UTC) - item.at
        for setting, value in item.values.items():
            values[setting][machine] = value
    ledger = _ledger_identity(settings)
    for setting, value in team_settings(settings, WORKER, ledger or "").items():
        if reported and (setting != LEDGER or ledger is not None):
            values[setting][_HERE] = value
    differing = [_difference(name, by_machine, ages) for name, by_machine in _compared(values)]
    found = [finding for finding in differing if finding is not None]
    yield from found
    if reported and not found:
        yield Finding("team", Level.OK, f"settings of {', '.join(sorted(ages))} and this machine agree")
    yield from _check_local_ledger(settings, workers, ages)


def _compared(values: dict[str, dict[str, str]]) -> Iterator[tuple[str, dict[str, str]]]:
    """Every setting with its value on each machine that needs it, whether or not it has it."""
    from labelwright.prefect_integration.team_settings import DROP_CONTAINER, DROP_CREDENTIAL, LEDGER

    machines = {machine for by_machine in values.values() for machine in by_machine}
    of_workers = {machine for machine in machines if not machine.startswith("receiver ")}
    of_all = {"version", LEDGER, DROP_CONTAINER}
    for setting, by_machine in sorted(values.items()):
        if setting == DROP_CREDENTIAL and not any(values[DROP_CONTAINER].values()):
            continue
        needing = by_machine.keys() if setting == LEDGER else machines if setting in of_all else of_workers
        yield setting, {machine: by_machine.get(machine, "") for machine in needing}


def _difference(setting: str, by_machine: dict[str, str], ages: dict[str, timedelta]) -> Finding | None:
    machines = defaultdict[str, list[str]](list)
    for machine, value in sorted(by_machine.items()):
        machines[value].append(machine)
    if len(machines) < 2:
        return None
    known = [machine for machine in by_machine if machine in ages and ages[machine] < _SURE_WITHIN]
    sure = len({by_machine[machine] for machine in known}) > 1
    parts = [f"{value or 'not set'} on {', '.join(_with_age(on, ages))}" for value, on in machines.items()]
    advice = "Set it alike on all of them, and restart their workers and receivers"
    if setting == "version":
        return Finding("team", Level.WARNING, f"versions differ: {'; '.join(parts)}", "Install one version everywhere")
    # One service may have several addresses: a connection that is missing somewhere is worse than one that differs.
    is_address = setting.startswith(("LABELWRIGHT_CONNECTIONS__", "LABELWRIGHT_WORKSPACES__")) and "" not in machines
    level = Level.ERROR if sure and not is_address else Level.WARNING
    return Finding("team", level, f"{setting} differs: {'; '.join(parts)}", advice)


def _with_age(machines: list[str], ages: dict[str, timedelta]) -> list[str]:
    """The machines; with the time of the report where it is old."""
    return [
        f"{machine} (as of {ages[machine].total_seconds() / 3600:.0f} hours ago)"
        if ages.get(machine, timedelta()) >= _SURE_WITHIN
        else machine
        for machine in machines
    ]


def _ledger_identity(settings: Settings) -> str | None:
    """None when its database is not there or cannot be used."""
    from sqlalchemy.exc import SQLAlchemyError

    from labelwright.ledger.database import identity_of, make_engine
    from labelwright.ledger.errors import LedgerError

    if settings.ledger_url is None and not (settings.home / "ledger.db").exists():
        return None
    try:
        engine = make_engine(settings.ledger_address())
        try:
            with engine.connect() as connection:
                return identity_of(connection)
        finally:
            engine.dispose()
    except (SQLAlchemyError, LedgerError):
        return None


def _check_local_ledger(settings: Settings, workers: list[str], ages: dict[str, timedelta]) -> Iterator[Finding]:
    from labelwright.database import DatabaseRefused, is_sqlite

    machines = {machine for machine in ages if machine.startswith("worker ")}
    try:
        local = is_sqlite(settings.ledger_address())
    except DatabaseRefused:
        return
    if local and (len(workers) > 1 or len(machines) > 1):
        names = ", ".join(sorted(workers) or sorted(machines))
        message = f"the ledger is an SQLite file of this machine, and there are several workers: {names}"
        advice = (
            "Put the ledger into PostgreSQL and set LABELWRIGHT_LEDGER_URL on every machine, see docs/operating.md: "
            "with files each machine has a ledger of its own"
        )
        yield Finding("team", Level.ERROR if len(machines) > 1 else Level.WARNING, message, advice)
