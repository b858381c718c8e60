"""Registered datasets in the ledger: which versions there are, and which of them was exported last."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.engine import Connection, Row

from . import tables as t
from .database import now, utc


def record(
    connection: Connection,
    title: str,
    name: str,
    version: str,
    location: str,
    content_hash: str,
    *,
    store: str = "",
    serial: int = 0,
    receipt_sha256: str = "",
) -> None:
    """Write down a registered version, and that it is the newest of its name now. Idempotent.

    `serial` is the number that the `store` gave the export: of two exporters that come late the higher number wins, as
    in the store. A version that is known by another place has moved there.
    """
    # Held to the end of the transaction: two exporters do not both see the same last row.
    connection.execute(select(t.campaigns.c.title).where(t.campaigns.c.title == title).with_for_update())
    version_of = (t.datasets.c.campaign == title) & (t.datasets.c.name == name) & (t.datasets.c.version == version)
    known = connection.execute(select(t.datasets).where(version_of)).one_or_none()
    if known is None:
        row = {"campaign": title, "name": name, "version": version, "registered_at": now()}
        connection.execute(insert(t.datasets).values(**row, location=location, content_hash=content_hash))
    elif (known.location, known.content_hash) != (location, content_hash):
        connection.execute(update(t.datasets).where(version_of).values(location=location, content_hash=content_hash))
    last = _last(connection, title, name)
    receipt = receipt_sha256 or None
    if last is not None and last.version == version:
        changed = {"store": store, "serial": serial, "receipt_sha256": receipt or last.receipt_sha256}
        if (last.store, last.serial, last.receipt_sha256) != tuple(changed.values()):
            connection.execute(update(t.exports).where(t.exports.c.id == last.id).values(**changed))
        return
    if last is not None and serial and last.store == store and last.serial > serial:
        return  # another exporter came later and was quicker to write it down
    row = {"campaign": title, "name": name, "version": version, "store": store, "serial": serial, "at": now()}
    connection.execute(insert(t.exports).values(**row, receipt_sha256=receipt))


def listed(connection: Connection, title: str) -> list[dict[str, Any]]:
    """The registered versions of a campaign, the oldest registration first.

    Each has name, version, location, content_hash, registered_at and exported_at (ISO 8601; when it last became the
    newest), newest (bool: its content was exported last), receipt_sha256 (empty where it is not known).
    """
    query = select(t.datasets).where(t.datasets.c.campaign == title)
    query = query.order_by(t.datasets.c.registered_at, t.datasets.c.name, t.datasets.c.version)
    rows = connection.execute(query).all()
    newest: dict[str, str] = {row.name: row.version for row in rows}  # ledgers of before know the order only
    exported: dict[tuple[str, str], Row[Any]] = {}
    exports = select(t.exports).where(t.exports.c.campaign == title).order_by(t.exports.c.id)
    receipts: dict[tuple[str, str], str] = {}
    for row in connection.execute(exports):
        newest[row.name] = row.version
        exported[row.name, row.version] = row
        if row.receipt_sha256:
            receipts[row.name, row.version] = row.receipt_sha256
    found = []
    for row in rows:
        at = exported[row.name, row.version].at if (row.name, row.version) in exported else row.registered_at
        found.append(
            dict(row._mapping)
            | {
                "registered_at": utc(row.registered_at).isoformat(),
                "exported_at": utc(at).isoformat(),
                "newest": newest[row.name] == row.version,
                "receipt_sha256": receipts.get((row.name, row.version), ""),
            }
        )
    return found


def _last(connection: Connection, title: str, name: str) -> Row[Any] | None:
    of_it = (t.exports.c.campaign == title) & (t.exports.c.name == name)
    last = select(func.max(t.exports.c.id)).where(of_it).scalar_subquery()
    return connection.execute(select(t.exports).where(t.exports.c.id == last)).one_or_none()
