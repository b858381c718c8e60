"""Compares the attachments of Scale's tasks, to check that an existing task shows the right image."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

STORED = "scaledata://"
"""Prefix of URLs in Scale's own store: every upload gets a new one."""

_SIGNATURE = re.compile(
    r"^(sig|se|st|sp|sv|sr|spr|sip|ss|srt|sdd|skoid|sktid|skt|ske|sks|skv|saoid|suoid|scid"
    r"|x-(amz|goog)-.*|signature|expires|policy|key-pair-id|awsaccesskeyid|googleaccessid|token|access_token)$",
    re.IGNORECASE,
)
"""Query parameters that sign a URL and differ each time."""


def attachments_in(params: object) -> list[str]:
    """Returns the URLs of a task's attachments from its parameters."""
    if not isinstance(params, Mapping):
        return []
    several = params.get("attachments")
    listed = [params.get("attachment"), *(several if isinstance(several, list) else [])]
    return [address if isinstance(address, str) else str(address) for address in listed if address is not None]


def same_attachments(ours: object, theirs: object) -> bool:
    """Whether the parameters of two tasks have the same attachment URLs, apart from signatures."""
    return list(map(_unsigned, attachments_in(ours))) == list(map(_unsigned, attachments_in(theirs)))


def describe_attachments(params: object) -> str:
    """Returns the attachments of a task for messages: URLs without their query, which may contain a signature."""
    return ", ".join(address.partition("?")[0] for address in attachments_in(params)) or "no known attachment"


def _unsigned(address: str) -> tuple[Any, ...]:
    try:
        parts = urlsplit(address)
    except ValueError:
        return (address,)
    query = [(name, value) for name, value in parse_qsl(parts.query, True) if not _SIGNATURE.match(name)]
    return parts.scheme.lower(), parts.netloc.rpartition("@")[2].lower(), parts.path, sorted(query)
