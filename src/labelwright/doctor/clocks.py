"""Compares this machine's clock with those of servers."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from .findings import CLOCK, Finding, Level

SKEW = 30.0
"""Seconds that two clocks may differ: a lease lives for 90."""

_TIMEOUT = 10.0


def check_clock(area: str, url: str) -> Iterator[Finding]:
    """Compares this machine's clock with a server's, which is in the Date header of any response."""
    before = datetime.now(UTC)
    server_time = _date_of(url)
    if server_time is None:
        return
    elapsed = (datetime.now(UTC) - before).total_seconds()
    difference = (server_time - before).total_seconds()
    # The header has whole seconds, and the server set it at some moment within `elapsed`.
    skew = max(0.0, -difference - 1.0, difference - elapsed)
    if skew > SKEW:
        direction = "behind" if difference > 0 else "ahead of"
        message = f"this machine's clock is {skew:.0f} seconds {direction} that of {origin_of(url)}"
        advice = "Set the clock (NTP): leases and signatures depend on it"
        yield Finding(area, Level.ERROR, message, advice, CLOCK)
    else:
        yield Finding(area, Level.OK, "the clocks agree")


def _date_of(url: str) -> datetime | None:
    """Returns None when the server does not respond or sends no usable date."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    request = urllib.request.Request(f"{origin_of(url)}/", method="HEAD")  # noqa: S310 - the scheme was checked
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:  # noqa: S310
            header = response.headers.get("Date")
    except urllib.error.HTTPError as error:
        header = error.headers.get("Date")
        error.close()
    except (OSError, ValueError):
        return None
    try:
        moment = parsedate_to_datetime(header) if header else None
    except ValueError:
        return None
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)


def origin_of(url: str) -> str:
    """Returns scheme, host and port: no user, no password, no query."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{parts.port}" if parts.port else f"{parts.scheme}://{host}"
