"""What Scale tells on its own: a task that ended, was recalled or audited; a batch that is through.

Scale posts JSON with the account's callback key in the header `scale-callback-auth` (one key for live, one for test),
and tries up to twenty times over a day until somebody answers 2xx. So the same is told again, late, and out of order:
a note says only where to look.
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
_VERB = "open a callback"
_OF_THE_DELIVERY = frozenset({"callback_succeeded", "callback_succeeded_at", "callback_completed"})
"""What changes from one try to the next though nothing happened."""


def note_from(headers: Mapping[str, str], body: bytes, key: Secret | None) -> WebhookNote:
    """Raises AccessDenied for a key that is missing or wrong, PlatformRefused for a body that cannot be read."""
    if key is None or not key.value:
        told = "the connection holds no callback key, so nobody can tell a real callback from a forged one"
        raise AccessDenied(NAME, _VERB, message=told, advice="Set the connection's secret to the callback key.")
    given = headers.get(HEADER, "")
    # Compared as bytes: texts beyond ASCII would be refused by compare_digest itself.
    if not hmac.compare_digest(given.encode("utf-8", "replace"), key.value.encode()):
        told = f"the header {HEADER} is {'wrong' if given else 'missing'}"
        raise AccessDenied(NAME, _VERB, message=told, advice="It did not come from Scale, or the callback key changed.")
    try:
        told_us = json.loads(body)
    except (ValueError, RecursionError):
        told_us = None
    if not isinstance(told_us, dict):
        raise PlatformRefused(NAME, _VERB, message="the body is no JSON object")
    inner = told_us.get("task")
    task: dict[str, Any] = inner if isinstance(inner, dict) else {}
    if told_us.get("task_id") or task.get("task_id"):
        what, campaign = "task", task.get("batch")
    elif isinstance(told_us.get("batch"), str):
        what, campaign = "batch", told_us["batch"]
    else:
        raise PlatformRefused(NAME, _VERB, message="the body names neither a task nor a batch")
    status = told_us.get("status") or task.get("status") or "changed"
    return WebhookNote(
        id=sha256(json.dumps(_lasting(told_us), sort_keys=True).encode()).hexdigest(),
        kind=f"{what} {status}"[:80],
        campaign=campaign if isinstance(campaign, str) and campaign else None,
    )


def _lasting(value: Any) -> Any:
    """The same for every try of one delivery."""
    if isinstance(value, dict):
        return {name: _lasting(inner) for name, inner in value.items() if name not in _OF_THE_DELIVERY}
    return [_lasting(inner) for inner in value] if isinstance(value, list) else value
