"""Registered dataset versions, and which of them was exported last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, insert, select, update
from sqlalchemy.engine import Connection, Row

from . import tables as t
from .database import now, utc


@dataclass(frozen=True, slots=True)
class DatasetVersion:
    """A registered version of a dataset, as an export reports it."""

    name: str
    version: str
    location: str
    content_hash: str
    store: str = ""
    """Which store counted the export."""
    serial: int = 0
    """The store's number of the export; 0: it has none."""
    receipt_sha256: str = ""
    """Of the receipt's file; empty when it is not known."""
    host: str = ""
    """The machine that registered it; empty when it is not known."""


@dataclass(frozen=True, slots=True)
class NewDataset:
    """A version of a campaign's dataset, and when its content was exported last."""

    campaign: str
    name: str
    version: str
    location: str
    exported_at: datetime


def record(connection: Connection, title: str, dataset: DatasetVersion) -> None:
    """Records a registered version, and that it is the newest of its name now. Idempotent.

    Of two exporters of one store that come late the higher serial wins, as in the store. A version that is recorded
    with another location has moved there.
    """
    # Held to the end of the transaction: two exporters do not both see the same last row.
    connection.execute(select(t.campaigns.c.title).where(t.campaigns.c.title == title).with_for_update())
    _record_version(connection, title, dataset)
    last = _last(connection, title, dataset.name)
    receipt = dataset.receipt_sha256 or None
    if last is not None and last.version == dataset.version:
        changed = {
            "store": dataset.store,
            "serial": dataset.serial,
            "receipt_sha256": receipt or last.receipt_sha256,
        }
        if (last.store, last.serial, last.receipt_sha256) != tuple(changed.values()):
            connection.execute(update(t.exports).where(t.exports.c.id == last.id).values(**changed))
        return
    if last is not None and dataset.serial and last.store == dataset.store and last.serial > dataset.serial:
        return  # another exporter came later and was quicker to record it
    row = {"campaign": title, "name": dataset.name, "version": dataset.version, "at": now()}
    row |= {"store": dataset.store, "serial": dataset.serial, "receipt_sha256": receipt}
    connection.execute(insert(t.exports).values(**row))


def _record_version(connection: Connection, title: str, dataset: DatasetVersion) -> None:
    key = {"campaign": title, "name": dataset.name, "version": dataset.version}
    content = {"location": dataset.location, "content_hash": dataset.content_hash}
    content |= {name: value for name, value in (("host", dataset.host), ("store", dataset.store)) if value}
    same = and_(*(t.datasets.c[column] == value for column, value in key.items()))
    recorded = connection.execute(select(t.datasets).where(same)).one_or_none()
    if recorded is None:
        connection.execute(insert(t.datasets).values(**key, **content, registered_at=now()))
    elif any(recorded._mapping[name] != value for name, value in content.items()):
        connection.execute(update(t.datasets).where(same).values(**content))


def listed(connection: Connection, title: str) -> list[dict[str, Any]]:
    """The registered versions of a campaign, the oldest registration first.

    Each has name, version, location, content_hash, registered_at and exported_at (ISO 8601; when it last became the
    newest), newest (bool: its content was exported last), receipt_sha256, host and
    store_identity (empty where they are not known).
    """
    query = select(t.datasets).where(t.datasets.c.campaign == title)
    query = query.order_by(t.datasets.c.registered_at, t.datasets.c.name, t.datasets.c.version)
    rows = connection.execute(query).all()
    newest: dict[str, str] = {row.name: row.version for row in rows}  # older ledgers have no exports
    exported: dict[tuple[str, str], Row[Any]] = {}
    exports = select(t.exports).where(t.exports.c.campaign == title).order_by(t.exports.c.id)
    receipts: dict[tuple[str, str], str] = {}
    for row in connection.execute(exports):
        newest[row.name] = row.version
        exported[row.name, row.version] = row
        if row.receipt_sha256:
            receipts[row.name, row.version] = row.receipt_sha256
    versions = []
    for row in rows:
        at = exported[row.name, row.version].at if (row.name, row.version) in exported else row.registered_at
        versions.append(
            {key: value for key, value in row._mapping.items() if key != "store"}
            | {
                "registered_at": utc(row.registered_at).isoformat(),
                "exported_at": utc(at).isoformat(),
                "newest": newest[row.name] == row.version,
                "receipt_sha256": receipts.get((row.name, row.version), ""),
                "host": row.host or "",
                "store_identity": row.store or "",
            }
        )
    return versions


def newest(connection: Connection, limit: int) -> list[NewDataset]:
    """The versions that were exported last, whatever their campaign, the newest first."""
    same = and_(*(t.exports.c[column] == t.datasets.c[column] for column in ("campaign", "name", "version")))
    query = select(t.datasets, t.exports.c.at).join(t.exports, same).order_by(t.exports.c.id.desc()).limit(limit)
    return [
        NewDataset(row.campaign, row.name, row.version, row.location, utc(row.at)) for row in connection.execute(query)
    ]


def _last(connection: Connection, title: str, name: str) -> Row[Any] | None:
    of_it = (t.exports.c.campaign == title) & (t.exports.c.name == name)
    last = select(func.max(t.exports.c.id)).where(of_it).scalar_subquery()
    return connection.execute(select(t.exports).where(t.exports.c.id == last)).one_or_none()
