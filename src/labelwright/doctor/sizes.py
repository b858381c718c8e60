"""Tells how large the databases and working files are, and what to do about those that grew."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from labelwright.network.proxies import is_loopback
from labelwright.settings import Settings

from .connections import Check
from .findings import Finding, Level

LARGE = 1 << 30
"""Bytes from which a database or folder deserves a look."""

_MANUAL = "docs/operating.md, Growth"


@dataclass(frozen=True, slots=True)
class Size:
    """Size of a database or folder."""

    place: str
    used: int
    """Bytes, also those that are free within an SQLite file."""
    free: int = 0
    """Bytes within an SQLite file that its next rows take."""


def size_checks(current: Settings) -> Iterator[tuple[str, Check]]:
    """Yields a check for each of Prefect's database, the ledger, the service's data and the working files.

    Each has its own area, since one of the databases may hang.
    """
    forget = "Delete those of campaigns that nobody needs any more: labelwright forget TITLE"
    events = (
        "Set LABELWRIGHT_RETENTION_DAYS to fewer days, and let Prefect's server remove events of runs after minutes: "
        f"see {_MANUAL}"
    )
    ledger = current.ledger_url.get_secret_value() if current.ledger_url else current.home / "ledger.db"
    yield "size of prefect", partial(_check_prefect, events, current)
    yield "size of ledger", partial(_check_database, "size of ledger", "the ledger", ledger, forget)
    if current.service.database_url is not None:
        url = current.service.database_url.get_secret_value()
        advice = "Give its server a larger disk"
        yield "size of service", partial(_check_database, "size of service", "the service's database", url, advice)
    data = current.home / "service"
    yield (
        "size of service",
        partial(_check_folder, "size of service", "the service's data", data, "Move its folder to a larger disk"),
    )
    files = current.home / "campaigns"
    yield "size of files", partial(_check_folder, "size of files", "labels and files of campaigns", files, forget)


def _check_prefect(advice: str, current: Settings) -> Iterator[Finding]:
    yield from _check_database("size of prefect", "Prefect's database", _prefect_database(current), advice)


def _prefect_database(current: Settings) -> str | Path | None:
    """The URL that the environment gives a Prefect server, else the file of this home's server or of another one."""
    from prefect.settings import PREFECT_API_URL, PREFECT_HOME, get_current_settings

    url = get_current_settings().server.database.connection_url
    if url is not None and not url.get_secret_value().startswith("sqlite"):
        return url.get_secret_value()
    files = [current.home / "prefect" / "prefect.db"]
    if is_loopback(urlsplit(PREFECT_API_URL.value() or "").hostname or ""):
        files.append(Path(PREFECT_HOME.value()) / "prefect.db")
    return next((file for file in files if file.exists()), None)


def _check_database(area: str, name: str, place: str | Path | None, advice: str) -> Iterator[Finding]:
    """place: a URL or an SQLite file; without one, or when the file is not there, there is no finding."""
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError

    try:
        size = _size_of(place)
    except (SQLAlchemyError, ArgumentError, sqlite3.Error, ImportError) as error:
        reason = str(getattr(error, "orig", None) or type(error).__name__).strip()
        yield Finding(area, Level.WARNING, f"the size of {name} could not be read: {reason}", "Check its URL")
        return
    if size is None:
        return
    message = f"{name} ({size.place}) has {_in_words(size.used)}"
    if size.free > size.used // 2 and size.used >= LARGE:
        message += f", of which {_in_words(size.free)} are free for further rows"
        advice = f"To give them back to the disk, stop everything that uses it, then: sqlite3 {size.place} vacuum"
    yield Finding(area, Level.WARNING, message, advice) if size.used >= LARGE else Finding(area, Level.OK, message)


def _size_of(place: str | Path | None) -> Size | None:
    """Raises SQLAlchemyError, sqlite3.Error, ImportError."""
    if isinstance(place, Path):
        return _size_of_file(place) if place.exists() else None
    if place is None:
        return None
    from sqlalchemy import create_engine, make_url, text

    url = make_url(place)
    if url.get_backend_name() == "sqlite":
        return _size_of(Path(url.database)) if url.database else None
    # Prefect's URL names an asynchronous driver.
    engine = create_engine(url.set(drivername="postgresql+psycopg"), connect_args={"connect_timeout": 5})
    try:
        with engine.connect() as connection:
            used = int(connection.scalar(text("select pg_database_size(current_database())")) or 0)
        return Size(f"PostgreSQL database {url.database}", used)
    finally:
        engine.dispose()


def _size_of_file(file: Path) -> Size:
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
        page, free = (connection.execute(f"pragma {name}").fetchone()[0] for name in ("page_size", "freelist_count"))
    used = sum(part.stat().st_size for part in (file, file.with_name(f"{file.name}-wal")) if part.exists())
    return Size(str(file), used, page * free)


def _check_folder(area: str, name: str, folder: Path, advice: str) -> Iterator[Finding]:
    if not folder.is_dir():
        return
    used = _bytes_below(folder)
    message = f"{name} ({folder}) have {_in_words(used)}"
    yield Finding(area, Level.WARNING, message, advice) if used >= LARGE else Finding(area, Level.OK, message)


def _bytes_below(folder: Path) -> int:
    """The sizes of all files; those that are removed meanwhile do not count."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += Path(parent, name).lstat().st_size
            except OSError:
                continue
    return total


def _in_words(number: int) -> str:
    for unit, size in (("GB", 1_000_000_000), ("MB", 1_000_000)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number / 1000:.0f} kB"
