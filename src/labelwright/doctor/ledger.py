"""The ledger as the doctor sees it: its database, its version, its rights, its clock. It changes nothing there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from labelwright.settings import Settings

from .clocks import SKEW
from .findings import Finding, Level


def ledger(given: Settings) -> Iterator[Finding]:
    from sqlalchemy import text
    from sqlalchemy.exc import SQLAlchemyError

    from labelwright.ledger.database import make_engine, refuse_other_encodings
    from labelwright.ledger.errors import LedgerError
    from labelwright.ledger.tables import EARLIER_VERSIONS, SCHEMA_VERSION
    from labelwright.ledger.upgrading import version_of

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
    elif found in EARLIER_VERSIONS:
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
    f"has_table_privilege('{table}', '{operation}')"
    for table in ("campaigns", "effects", "leases", "images")
    for operation in ("select", "insert", "update", "delete")
)
"""In words of PostgreSQL: asked, not tried."""


def _apart_from(theirs: datetime) -> float:
    """Seconds by which another clock is before this machine's."""
    return (theirs - datetime.now(UTC)).total_seconds()
