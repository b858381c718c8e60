"""Verifies and parses Scale's callbacks: a task ended, was recalled or audited; a batch is completed.

Scale posts JSON with the account's callback key in the header `scale-callback-auth` (one key for live, one for test),
and retries up to twenty times over a day until it gets a 2xx. So callbacks come repeatedly, late and out of order: they
only trigger an earlier look at the campaign.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from labelwright.platforms.errors import AccessDenied, PlatformRefused
from labelwright.platforms.protocol import Secret, WebhookNote

NAME = "scale"
HEADER = "scale-callback-auth"
_OPERATION = "open a callback"
_DELIVERY_FIELDS = frozenset({"callback_succeeded", "callback_succeeded_at", "callback_completed"})
"""Fields that change from one delivery attempt to the next."""


def note_from(headers: Mapping[str, str], body: bytes, key: Secret | None) -> WebhookNote:
    """Raises AccessDenied for a key that is missing or wrong, PlatformRefused for a body that cannot be read."""
    if key is None or not key.value:
        message = "the connection has no callback key, so a callback cannot be verified"
        raise AccessDenied(NAME, _OPERATION, message=message, advice="Set the connection's secret to the callback key.")
    key_in_header = headers.get(HEADER, "")
    # Compared as bytes, since compare_digest does not accept text with non-ASCII characters.
    if not hmac.compare_digest(key_in_header.encode("utf-8", "replace"), key.value.encode()):
        message = f"the header {HEADER} is {'wrong' if key_in_header else 'missing'}"
        advice = "It did not come from Scale, or the callback key changed."
        raise AccessDenied(NAME, _OPERATION, message=message, advice=advice)
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        payload = None
    if not isinstance(payload, dict):
        raise PlatformRefused(NAME, _OPERATION, message="the body is not a JSON object")
    inner = payload.get("task")
    task: dict[str, Any] = inner if isinstance(inner, dict) else {}
    if payload.get("task_id") or task.get("task_id"):
        subject, campaign = "task", task.get("batch")
    elif isinstance(payload.get("batch"), str):
        subject, campaign = "batch", payload["batch"]
    else:
        raise PlatformRefused(NAME, _OPERATION, message="the body names neither a task nor a batch")
    status = payload.get("status") or task.get("status") or "changed"
    return WebhookNote(
        id=sha256(json.dumps(_without_delivery_fields(payload), sort_keys=True).encode()).hexdigest(),
        kind=f"{subject} {status}"[:80],
        campaign=campaign if isinstance(campaign, str) and campaign else None,
    )


def _without_delivery_fields(value: Any) -> Any:
    """Drops the fields that differ between attempts to deliver the same callback."""
    if isinstance(value, dict):
        return {name: _without_delivery_fields(inner) for name, inner in value.items() if name not in _DELIVERY_FIELDS}
    return [_without_delivery_fields(inner) for inner in value] if isinstance(value, list) else value
