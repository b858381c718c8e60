"""What a server's answer says besides its data: its own words, when to come back, and nothing that is secret."""

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

LONGEST_WORDS = 500
LONGEST_WAIT = 86_400.0
"""A day, in seconds: whoever asks for more is asked again after a day."""

_NOT_TEXT = re.compile(r"(?is)<(script|style|head)\b.*?</\1\s*>|<!--.*?-->|<[^>]*>")
_TITLE = re.compile(r"(?is)<title[^>]*>(.*?)</title>")
_INVISIBLE = dict.fromkeys(map(ord, "\0\u00ad\u200b\u200c\u200d\u2060\ufeff"))
"""Zero bytes, and what pages put into long words so that these may be broken: between letters of a secret, too."""
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\s]+")


def message(content_type: str, body: bytes, secrets: Iterable[str] = ()) -> str:
    """What the server said, on one line, at most 500 characters, fit to be shown.

    Understands `{"error": {"message": ...}}`, `{"error": "..."}`, `{"detail": ...}` (a text, or FastAPI's list of
    faults), `{"message": ...}`, a mapping of fields to faults as Django gives it, plain text and HTML.
    """
    secrets = tuple(secrets)
    # Masked before anything is taken out of it or cut: half a secret is still a secret.
    # Without zero bytes UTF-16 reads as plain text; with blanks in their place a secret would pass as single letters.
    text = mask_values(body.decode("utf-8", errors="replace").translate(_INVISIBLE), secrets)
    if "json" in content_type or text.lstrip()[:1] in ("{", "["):
        with suppress(ValueError, RecursionError):
            text = _said(json.loads(text))
    elif "html" in content_type or text.lstrip()[:1] == "<":
        title = _TITLE.search(text)
        text = unescape(_NOT_TEXT.sub(" ", text))
        text = text if text.strip() or title is None else unescape(title[1])
    return cut(_UNPRINTABLE.sub(" ", mask(text.translate(_INVISIBLE), secrets)).strip())


def cut(text: str, longest: int = LONGEST_WORDS) -> str:
    return text if len(text) <= longest else text[: longest - 3] + "..."


def cut_masked(text: str, longest: int = LONGEST_WORDS) -> str:
    """Masked first, then cut: half a secret is still a secret."""
    return cut(mask(text), longest)


def _said(answer: Any) -> str:
    if isinstance(answer, str):
        return answer
    if isinstance(answer, list):
        return "; ".join(filter(None, map(_said, answer)))
    if not isinstance(answer, Mapping):
        return json.dumps(answer)
    if "msg" in answer and "loc" in answer:  # one fault of FastAPI's list
        place = answer["loc"]
        return f"{'.'.join(map(str, place)) if isinstance(place, list) else place}: {answer['msg']}"
    for name in ("error", "detail", "message", "errors", "title"):
        if answer.get(name):
            return _said(answer[name])
    return "; ".join(f"{field}: {_value_of(field, fault)}" for field, fault in answer.items())


def _value_of(field: str, value: Any) -> str:
    """A field's value; that of a password only as far as it is a sentence about it."""
    secret = isinstance(value, str) and is_secret_name(field) and not any(one.isspace() for one in value)
    return HIDDEN if secret and not is_plain_word(value) else _said(value)


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """The seconds that a Retry-After header asks for (RFC 9110, 10.2.3), from 0 to a day; None when it says nothing.

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
