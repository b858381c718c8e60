"""Webhooks of platforms: verified by the adapter, stored, and used only as a reason to look at the platform earlier."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from labelwright.campaigns.connections import Connections
from labelwright.campaigns.spec import BLOCK
from labelwright.ledger import Ledger
from labelwright.platforms import AccessDenied, PlatformError, PlatformRefused
from labelwright.platforms.protocol import OpensWebhooks
from labelwright.platforms.registry import PLATFORMS
from labelwright.settings import SettingsError

from .errors import RequestRefused

EVENT = "labelwright.webhook.received"
_MAX_TEXT = 200
_MAX_PLATFORMS = 100
_MISSING_SECONDS, _MAX_MISSING = 15.0, 1000


class Webhooks:
    """Verifies and stores webhooks. Each connection's adapter is built once."""

    def __init__(self, ledger: Ledger, connections: Connections) -> None:
        self._ledger, self._connections = ledger, connections
        self._adapters: dict[str, tuple[str, OpensWebhooks]] = {}
        self._missing: dict[str, float] = {}
        """Names of blocks that do not exist, with the monotonic time until which they are not looked up again."""

    def record(self, connection: str, headers: Mapping[str, str], body: bytes) -> bool:
        """Stores a webhook of that connection's platform. Returns whether it is new. Raises RequestRefused."""
        if connection.startswith(BLOCK):
            _refuse_without_key(headers)
        platform, adapter = self._adapter(connection)
        try:
            note = adapter.open_webhook(headers, body)
        except AccessDenied:
            raise RequestRefused(401, "this request is not from the platform") from None
        except PlatformRefused:
            raise RequestRefused(400, "this request cannot be read") from None
        slug = re.sub(r"[^a-z0-9]+", "-", connection.lower()).strip("-")
        resource = {
            "prefect.resource.id": f"labelwright.connection.{slug}",
            "prefect.resource.name": connection,
        }
        payload = {
            "connection": connection,
            "platform": platform,
            "kind": note.kind[:_MAX_TEXT],
            "campaign": note.campaign[:_MAX_TEXT] if note.campaign is not None else None,
        }
        return self._ledger.inbox.put(f"webhook {connection}", note.id, EVENT, resource, payload)

    def _adapter(self, connection: str) -> tuple[str, OpensWebhooks]:
        """The platform's name and its adapter. Raises RequestRefused."""
        existing = self._adapters.get(connection)
        if existing is not None:
            return existing
        if self._missing.get(connection, 0.0) > time.monotonic():
            raise RequestRefused(404, "no such connection")
        try:
            platform, adapter = self._connections.connect_platform(connection)
        except (SettingsError, PlatformError):
            if len(self._missing) >= _MAX_MISSING:
                self._missing.clear()
            if connection.startswith(BLOCK):  # other names are looked up in the settings, which costs nothing
                self._missing[connection] = time.monotonic() + _MISSING_SECONDS
            raise RequestRefused(404, "no such connection") from None
        if not isinstance(adapter, OpensWebhooks):
            raise RequestRefused(404, f"{PLATFORMS[platform].name} has no webhooks")
        if len(self._adapters) >= _MAX_PLATFORMS:
            self._adapters.clear()
        self._adapters[connection] = platform, adapter
        return platform, adapter


def _refuse_without_key(headers: Mapping[str, str]) -> None:
    """Raises RequestRefused when no header could hold a platform's key.

    Else anybody could make this server look up blocks in Prefect as often as they like.
    """
    key_headers = {entry.webhook_header for entry in PLATFORMS.values() if entry.webhook_header}
    if not any(headers.get(name, "").strip() for name in key_headers):
        raise RequestRefused(401, "this request is not from the platform")
