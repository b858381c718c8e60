"""Whether a task that exists at Scale shows the image that was meant, by what Scale echoes of its attachment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

STORED = "scaledata://"
"""How addresses in Scale's own store begin: every upload gets another one."""

_SIGNATURE = re.compile(
    r"^(sig|se|st|sp|sv|sr|spr|sip|ss|srt|sdd|skoid|sktid|skt|ske|sks|skv|saoid|suoid|scid"
    r"|x-(amz|goog)-.*|signature|expires|policy|key-pair-id|awsaccesskeyid|googleaccessid|token|access_token)$",
    re.IGNORECASE,
)
"""Parameters of an address that sign it, and differ each time."""


def attachments_in(params: object) -> list[str]:
    """The addresses of what a task shows, as its parameters have them."""
    if not isinstance(params, Mapping):
        return []
    several = params.get("attachments")
    listed = [params.get("attachment"), *(several if isinstance(several, list) else [])]
    return [one if isinstance(one, str) else str(one) for one in listed if one is not None]


def same_attachments(ours: object, theirs: object) -> bool:
    """Whether the parameters of two tasks name the same addresses; signatures in them make no difference."""
    return list(map(_unsigned, attachments_in(ours))) == list(map(_unsigned, attachments_in(theirs)))


def shown(params: object) -> str:
    """The attachments of a task for people: without the part of an address that may hold a signature."""
    return ", ".join(address.partition("?")[0] for address in attachments_in(params)) or "none that Scale tells"


def _unsigned(address: str) -> tuple[Any, ...]:
    try:
        parts = urlsplit(address)
    except ValueError:
        return (address,)
    query = [(name, value) for name, value in parse_qsl(parts.query, True) if not _SIGNATURE.match(name)]
    return parts.scheme.lower(), parts.netloc.rpartition("@")[2].lower(), parts.path, sorted(query)
