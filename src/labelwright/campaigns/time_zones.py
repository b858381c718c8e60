"""Moments of a campaign file in the campaign's time zone: what a date means, and how a moment is shown."""

from __future__ import annotations

import difflib
import re
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_END_OF_DAY = time(23, 59, 59)


def time_zone(name: str) -> ZoneInfo:
    """The zone of an IANA name. Raises ValueError, which suggests a name or says that this machine knows none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    names = available_timezones()
    if not names:
        raise ValueError(
            "this machine has no data of time zones: install them (pip install tzdata), or leave 'timezone' out and "
            "write the deadline with its offset, such as 2026-12-18T17:00:00+01:00"
        )
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    raise ValueError(f"unknown time zone '{name}'{hint} (an IANA name, such as Europe/Amsterdam)")


def end_of_date(value: Any) -> Any:
    """For a date without a time the last second of that day, without a zone; any other value as it is."""
    if isinstance(value, str) and _DATE.fullmatch(value.strip()):
        try:
            value = date.fromisoformat(value.strip())
        except ValueError:
            return value  # which pydantic refuses
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, _END_OF_DAY)
    return value


def in_zone(moment: datetime, zone: ZoneInfo | None) -> datetime:
    """A moment without a zone as one of `zone`, by default of this machine's; one that has a zone as it is.

    When clocks are put back an hour comes twice, and its later one is meant. When they are put forward an hour is
    missing: a time in it is the one as many minutes after the hour's end.
    """
    if moment.tzinfo is not None:
        return moment
    readings = [moment.replace(fold=fold) for fold in (0, 1)]
    try:
        if zone is None:
            return max(reading.astimezone() for reading in readings)
        return max(reading.replace(tzinfo=zone).astimezone(UTC) for reading in readings).astimezone(zone)
    except (OverflowError, OSError):  # within a day of the first or last moment that Python knows
        raise ValueError(f"{moment:%Y-%m-%d} is out of range") from None


def show_moment(moment: datetime, zone_name: str | None = None) -> str:
    """The moment to the minute with its zone, as in "2026-12-18 23:59 Europe/Amsterdam (UTC+01:00)".

    zone_name: the campaign's time zone; a name that this machine does not know counts as none.
    """
    try:
        zone = ZoneInfo(zone_name) if zone_name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        zone = None
    local = moment.astimezone(zone) if zone is not None else moment
    offset = f"{local:%z}"
    shown = "UTC" if offset in ("", "+0000") else f"UTC{offset[:3]}:{offset[3:5]}"
    return f"{local:%Y-%m-%d %H:%M} " + (f"{zone_name} ({shown})" if zone is not None and zone_name != "UTC" else shown)
