"""Checks what the machines of a team have to share: folders of datasets, and labelers' keys. Changes nothing."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from labelwright.domain.errors import error_code_of
from labelwright.settings import Settings, SettingsError

from .findings import Finding, Level

if TYPE_CHECKING:
    from labelwright.security.team_key import TeamKey

FOLDERS, KEYS = "shared folders", "labelers' keys"
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class _Recorded:
    """What the ledger has that concerns the machines of a team; empty where it cannot be read."""

    specs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Of campaigns that datasets are still to be made of, by title."""
    labelers: frozenset[tuple[str, str]] = frozenset()
    """Connection and e-mail address, of all campaigns."""
    keys: Sequence[Any] = ()
    """Rows of the table of labelers' keys."""


def check_shared(settings: Settings) -> Iterator[Finding]:
    """Checks the shared folders, and the labelers' keys. The ledger is read once: it may be slow to respond."""
    recorded = _read(settings)
    yield from _check_folders(settings, recorded)
    yield from _check_keys(settings, recorded)


def _check_folders(settings: Settings, recorded: _Recorded) -> Iterator[Finding]:
    """Checks that shared folders are here, and that campaigns of a team write their datasets into one."""
    for folder in settings.shared_folders:
        if not folder.expanduser().is_dir():
            yield Finding(FOLDERS, Level.ERROR, f"{folder} is not on this machine", "Mount it, under the same path")
        elif not os.access(folder.expanduser(), os.W_OK):
            yield Finding(FOLDERS, Level.ERROR, f"{folder} cannot be written", "Give this user the right")
    if not settings.has_ledger_of_team():
        return  # the ledger is a file of this machine: nothing has to be shared
    advice = (
        "Put it on a share that every machine has, list it in LABELWRIGHT_SHARED_FOLDERS on each of them, and name it "
        "by labelwright change; or export to azure_ml"
    )
    unshared = [
        f"'{title}' ({spec['export']['folder']})"
        for title, spec in recorded.specs.items()
        if (spec.get("export") or {}).get("store") == "local" and not settings.is_shared(spec["export"]["folder"])
    ]
    if unshared:
        message = f"{len(unshared)} campaigns write datasets into a folder of whichever machine exports them"
        yield Finding(FOLDERS, Level.ERROR, f"{message}: {_listed(unshared)}", advice)
    elif not settings.shared_folders:
        message = "none is set, so campaigns with a local export.folder are refused"
        advice = "List one in LABELWRIGHT_SHARED_FOLDERS, unless every campaign exports to azure_ml"
        yield Finding(FOLDERS, Level.OK if settings.workspaces else Level.WARNING, message, advice)
    else:
        yield Finding(FOLDERS, Level.OK, _listed([str(folder) for folder in settings.shared_folders]))


def _check_keys(settings: Settings, recorded: _Recorded) -> Iterator[Finding]:
    """Checks that this machine can read the labelers' keys, and that the others can."""
    from labelwright.prefect_integration.connections import CONNECTIONS

    try:
        team_key = CONNECTIONS.team_key()
    except SettingsError as error:
        yield Finding(
            KEYS, Level.ERROR, str(error), "Give this machine the same team key as the others", error_code_of(error)
        )
        return
    sealed = [row for row in recorded.keys if row.sealed is not None]
    findings = [*_unreadable(sealed, team_key), *_only_on_one_machine(settings, recorded, team_key)]
    yield from findings
    if not findings and (team_key is not None or settings.has_ledger_of_team()):
        message = f"{len(sealed)} are in the ledger, encrypted with the team's key"
        if team_key is None:
            message = "without a team key they are in the home folder of the machine that received them"
        yield Finding(KEYS, Level.OK, message)


def _unreadable(sealed: Sequence[Any], team_key: TeamKey | None) -> Iterator[Finding]:
    from labelwright.security.team_key import OtherTeamKey

    if team_key is None:
        if sealed:
            message = f"{len(sealed)} are in the ledger, encrypted with a team key that this machine does not have"
            yield Finding(KEYS, Level.ERROR, message, "Set LABELWRIGHT_TEAM_KEY_FILE to a file with it")
        return
    other, earlier = [], []
    for row in sealed:
        try:
            team_key.decrypt(row.sealed)
        except OtherTeamKey:
            other.append(row.labeler)
        else:
            earlier += [] if team_key.is_under_newest(row.sealed) else [row.labeler]
    if other:
        advice = (
            "Give every machine the same key; a lost one cannot be replaced: labelwright labeler-key TITLE --rotate"
        )
        message = f"{len(other)} in the ledger were encrypted with another team key: {_listed(other)}"
        yield Finding(KEYS, Level.ERROR, message, advice)
    if earlier:
        advice = "labelwright labeler-key TITLE (any campaign) encrypts them with the new one; then remove the old one"
        message = f"{len(earlier)} are still encrypted with an earlier team key: {_listed(earlier)}"
        yield Finding(KEYS, Level.WARNING, message, advice)


def _only_on_one_machine(settings: Settings, recorded: _Recorded, team_key: TeamKey | None) -> Iterator[Finding]:
    from labelwright.campaigns.labeler_keys import LabelerKeys

    if team_key is None and (not settings.has_ledger_of_team() or settings.is_shared(settings.home)):
        return
    files, known = LabelerKeys(settings.home), {(row.connection, row.labeler) for row in recorded.keys}
    single = [f"{row.labeler} on {row.host}" for row in recorded.keys if row.sealed is None]
    for connection, labeler in sorted(recorded.labelers - known):
        copy = files.find(connection, labeler)
        if copy is not None and copy.secret is not None:
            single.append(f"{labeler} on {socket.gethostname()}")
    if single:
        advice = "On each of these machines, labelwright labeler-key TITLE (any campaign) puts its keys into the ledger"
        if team_key is None:
            advice = f"Set LABELWRIGHT_TEAM_KEY_FILE on every machine, to the same key. {advice}"
        yield Finding(KEYS, Level.WARNING, f"{len(single)} are on one machine only: {_listed(single)}", advice)


def _read(settings: Settings) -> _Recorded:
    """Reads the ledger as it is. What is wrong with it is a finding of its own check."""
    from sqlalchemy import select
    from sqlalchemy.exc import SQLAlchemyError

    from labelwright.domain import State
    from labelwright.ledger import tables as t
    from labelwright.ledger.database import make_engine
    from labelwright.ledger.errors import LedgerError
    from labelwright.ledger.upgrading import version_of

    if settings.ledger_url is None and not (settings.home / "ledger.db").exists():
        return _Recorded()
    over = (State.EXPORTED.value, State.CANCELLED.value)
    try:
        engine = make_engine(settings.ledger_address())
    except LedgerError:
        return _Recorded()
    try:
        with engine.connect() as connection:
            if version_of(connection) != t.SCHEMA_VERSION:
                return _Recorded()
            campaigns = connection.execute(select(t.campaigns.c.title, t.campaigns.c.state, t.campaigns.c.spec)).all()
            return _Recorded(
                {row.title: row.spec for row in campaigns if row.state not in over},
                frozenset(
                    (str(row.spec.get("connection") or row.spec.get("platform")), str(row.spec.get("labeler")))
                    for row in campaigns
                ),
                connection.execute(select(t.labeler_keys)).all(),
            )
    except SQLAlchemyError:
        return _Recorded()
    finally:
        engine.dispose()


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
