"""The ledger's database: how it is opened, and how its transactions begin."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy import Engine
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from .engines import make_engine, refuse_other_encodings
from .errors import LedgerError
from .upgrading import bring_up_to_date


class Database:
    """Opens the ledger at an SQLAlchemy URL, makes its tables when it is new, and takes older ones up."""

    def __init__(self, url: str) -> None:
        self.engine = make_engine(url)
        self._writing = self.engine.execution_options(labelwright_writes=True)
        try:
            _open(self._writing)
        except BaseException:
            self.engine.dispose()
            raise

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction: all of it or nothing."""
        with self._writing.begin() as connection:
            yield connection

    def close(self) -> None:
        self.engine.dispose()


def now() -> datetime:
    return datetime.now(UTC)


def utc(moment: datetime) -> datetime:
    """SQLite forgets the zone, Postgres answers in its own; everything that leaves the ledger is UTC."""
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _open(engine: Engine) -> None:
    try:
        with engine.connect() as connection:
            refuse_other_encodings(connection)
        bring_up_to_date(engine)
    except SQLAlchemyError as error:
        raise LedgerError(
            f"the ledger cannot be opened: {getattr(error, 'orig', None) or type(error).__name__}. "
            "See ledger_url and home in the settings"
        ) from None
