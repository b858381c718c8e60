"""Reads error messages and Retry-After from responses, and removes secrets from them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from html import unescape
from math import isfinite
from typing import Any

from labelwright.security.credential_shapes import HIDDEN, is_plain_word, is_secret_name
from labelwright.security.masking import mask, mask_values

LONGEST_MESSAGE = 500
LONGEST_WAIT = 86_400.0
"""A day, in seconds: the limit of a Retry-After."""

_NOT_TEXT = re.compile(r"(?is)<(script|style|head)\b.*?</\1\s*>|<!--.*?-->|<[^>]*>")
_TITLE = re.compile(r"(?is)<title[^>]*>(.*?)</title>")
_INVISIBLE = dict.fromkeys(map(ord, "\0\u00ad\u200b\u200c\u200d\u2060\ufeff"))
"""Zero bytes, and characters that pages put into long words to break lines: they may split a secret, too."""
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\s]+")


def message(content_type: str, body: bytes, secrets: Iterable[str] = ()) -> str:
    """Returns the error message of a response: one line of at most 500 characters, without secrets.

    Understands `{"error": {"message": ...}}`, `{"error": "..."}`, `{"detail": ...}` (a text, or FastAPI's list of
    errors), `{"message": ...}`, Django's mapping of fields to errors, plain text and HTML.
    """
    secrets = tuple(secrets)
    # Masked before anything is taken out of it or cut: half a secret is still a secret.
    # Without zero bytes UTF-16 reads as plain text; with blanks in their place a secret would pass as single letters.
    text = mask_values(body.decode("utf-8", errors="replace").translate(_INVISIBLE), secrets)
    if "json" in content_type or text.lstrip()[:1] in ("{", "["):
        with suppress(ValueError, RecursionError):
            text = _message_in(json.loads(text))
    elif "html" in content_type or text.lstrip()[:1] == "<":
        title = _TITLE.search(text)
        text = unescape(_NOT_TEXT.sub(" ", text))
        text = text if text.strip() or title is None else unescape(title[1])
    return cut(_UNPRINTABLE.sub(" ", mask(text.translate(_INVISIBLE), secrets)).strip())


def cut(text: str, longest: int = LONGEST_MESSAGE) -> str:
    return text if len(text) <= longest else text[: longest - 3] + "..."


def cut_masked(text: str, longest: int = LONGEST_MESSAGE) -> str:
    """Masks a text before cutting it: half a secret is still a secret."""
    return cut(mask(text), longest)


def _message_in(payload: Any) -> str:
    if isinstance(payload, str):
        return payload
    if isinstance(payload, list):
        return "; ".join(filter(None, map(_message_in, payload)))
    if not isinstance(payload, Mapping):
        return json.dumps(payload)
    if "msg" in payload and "loc" in payload:  # one fault of FastAPI's list
        place = payload["loc"]
        return f"{'.'.join(map(str, place)) if isinstance(place, list) else place}: {payload['msg']}"
    for name in ("error", "detail", "message", "errors", "title"):
        if payload.get(name):
            return _message_in(payload[name])
    return "; ".join(f"{field}: {_value_of(field, fault)}" for field, fault in payload.items())


def _value_of(field: str, value: Any) -> str:
    """Returns a field's value. That of a password field only when it is a sentence about it, such as an error."""
    secret = isinstance(value, str) and is_secret_name(field) and not any(character.isspace() for character in value)
    return HIDDEN if secret and not is_plain_word(value) else _message_in(value)


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Returns the seconds of a Retry-After header (RFC 9110, 10.2.3), from 0 to a day; None without a valid one.

    A date is compared with the server's own Date header where there is one, so that a clock that is wrong does no harm.
    """
    value = (headers.get("Retry-After") or "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        until = _date(value)
        if until is None:
            return None
        seconds = (until - (_date(headers.get("Date") or "") or now or datetime.now(UTC))).total_seconds()
    if not isfinite(seconds):
        return LONGEST_WAIT if seconds > 0 else None  # NaN and "-inf" say nothing
    return min(max(seconds, 0.0), LONGEST_WAIT)


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text.strip())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)
