"""This machine's clock beside those of servers."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from .findings import Finding, Level

SKEW = 30.0
"""Seconds that two clocks may differ: a lease lives for 90."""

_TIMEOUT = 10.0


def clock(area: str, url: str) -> Iterator[Finding]:
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
        says = f"this machine's clock is {apart:.0f} seconds {ahead} that of {plain(url)}"
        yield Finding(area, Level.ERROR, says, "Set the clock (NTP): leases and signatures depend on it")
    else:
        yield Finding(area, Level.OK, "the clocks agree")


def _date_of(url: str) -> datetime | None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    request = urllib.request.Request(f"{plain(url)}/", method="HEAD")  # noqa: S310 - the scheme was looked at
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


def plain(url: str) -> str:
    """Scheme, host and port: no user, no password, no query."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{parts.port}" if parts.port else f"{parts.scheme}://{host}"
