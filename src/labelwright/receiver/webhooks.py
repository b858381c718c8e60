"""Platforms' own requests: told from forged ones by the adapter, and never believed beyond that."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from functools import lru_cache

from labelwright.campaigns.spec import BLOCK
from labelwright.ledger import Ledger
from labelwright.platforms import AccessDenied, PlatformRefused
from labelwright.platforms.protocol import OpensWebhooks
from labelwright.platforms.registry import PLATFORMS
from labelwright.settings import SettingsError
from labelwright.tasks.context import connect_platform

from .answers import Refused

EVENT = "labelwright.webhook.received"
_LONGEST = 200
_UNKNOWN_FOR, _MOST_UNKNOWN = 15.0, 1000
_unknown: dict[str, float] = {}
"""Names that led to no connection, each with the moment until which it is not looked for again."""


def take_webhook(ledger: Ledger, connection: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Write down what the platform of that connection tells. Answers whether it is new. Raises Refused."""
    if connection.startswith(BLOCK):
        _refuse_without_key(headers)
    platform, opens = opener(connection)
    try:
        note = opens.open_webhook(headers, body)
    except AccessDenied:
        raise Refused(401, "this request is not from the platform") from None
    except PlatformRefused:
        raise Refused(400, "this request cannot be read") from None
    resource = {
        "prefect.resource.id": f"labelwright.connection.{re.sub(r'[^a-z0-9]+', '-', connection.lower()).strip('-')}",
        "prefect.resource.name": connection,
    }
    payload = {
        "connection": connection,
        "platform": platform,
        "kind": note.kind[:_LONGEST],
        "campaign": note.campaign[:_LONGEST] if note.campaign is not None else None,
    }
    return ledger.inbox.put(f"webhook {connection}", note.id, EVENT, resource, payload)


def _refuse_without_key(headers: Mapping[str, str]) -> None:
    """Prefect is asked for the block only when somebody shows what could be a platform's key: else anybody could have
    it asked as often as they like. Raises Refused."""
    known = {entry.webhook_header for entry in PLATFORMS.values() if entry.webhook_header}
    if not any(headers.get(name, "").strip() for name in known):
        raise Refused(401, "this request is not from the platform")


@lru_cache(maxsize=100)
def opener(connection: str) -> tuple[str, OpensWebhooks]:
    """The connection's platform, by name and as one that reads webhooks; made once a process. Raises Refused."""
    if _unknown.get(connection, 0.0) > time.monotonic():
        raise Refused(404, "no such connection is known here")
    try:
        platform, adapter = connect_platform(connection)
    except (SettingsError, PlatformRefused):
        if len(_unknown) >= _MOST_UNKNOWN:
            _unknown.clear()
        if connection.startswith(BLOCK):  # for others nobody is asked
            _unknown[connection] = time.monotonic() + _UNKNOWN_FOR
        raise Refused(404, "no such connection is known here") from None
    if not isinstance(adapter, OpensWebhooks):
        raise Refused(404, f"{PLATFORMS[platform].name} tells nothing by webhooks")
    return platform, adapter
