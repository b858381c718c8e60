"""Creates CVAT webhooks and verifies the events that they deliver.

CVAT signs each body: `X-Signature-256: sha256=<HMAC of the body>`. It does not retry failed deliveries, and events come
repeatedly and in any order: they only trigger an earlier look at the campaign.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence

from labelwright.platforms.errors import AccessDenied, PlatformRefused
from labelwright.platforms.protocol import Secret, WebhookNote

from .client import NAME, Client

EVENTS = ("update:job", "create:job", "delete:task")
"""Events that may change a campaign's progress."""

_SUBJECTS = ("job", "task", "project", "webhook")


def secret_for(url: str, credential: Secret) -> Secret:
    """Returns the signing secret of our webhooks on a server.

    It is derived from the credential, so that nobody has to store another secret. When the credential changes, the
    webhooks have to be created again.
    """
    digest = hmac.new(credential.value.encode(), f"labelwright webhook {url}".encode(), hashlib.sha256)
    return Secret(digest.hexdigest())


def put_webhook(
    client: Client, project: int, target: str, secret: Secret, events: Sequence[str] = EVENTS, description: str = ""
) -> int:
    """Creates a project's webhook, or updates the one with the same target. Returns its id. Idempotent."""
    operation = f"create a webhook for project {project}"
    payload = {
        "target_url": target,
        "description": description or "labelwright",
        "content_type": "application/json",
        "secret": secret.value,
        "is_active": True,
        "enable_ssl": target.startswith("https://"),
        "events": sorted(events),
    }
    for webhook in client.all(operation, "/api/webhooks", {"project_id": project}):
        if webhook.json.get("project_id") == project and webhook.json.get("target_url") == target:
            return client.call(operation, "PATCH", f"/api/webhooks/{webhook.whole('id')}", json=payload).whole("id")
    return client.call(
        operation, "POST", "/api/webhooks", json={**payload, "type": "project", "project_id": project}
    ).whole("id")


def open_note(headers: Mapping[str, str], body: bytes, secret: Secret) -> WebhookNote:
    """Verifies and parses an event. Raises AccessDenied for a wrong signature, PlatformRefused for a malformed body."""
    operation = "open a webhook"
    signed = hmac.new(secret.value.encode(), body, hashlib.sha256).hexdigest()
    signature = headers.get("x-signature-256", "")
    if not hmac.compare_digest(f"sha256={signed}".encode(), signature.encode("utf-8", "replace")):
        message = "the signature is wrong" if signature else "the signature is missing"
        advice = "Create the webhook again if the credential was changed."
        raise AccessDenied(NAME, operation, message=message, advice=advice)
    try:
        note = json.loads(body)
    except (ValueError, RecursionError):
        note = None
    if not isinstance(note, dict) or not isinstance(note.get("event"), str):
        raise PlatformRefused(NAME, operation, message="the body is not a CVAT event")
    # A repeated event has the same body; CVAT's events have no id.
    return WebhookNote(hashlib.sha256(body).hexdigest(), note["event"], _project(note))


def _project(note: Mapping[str, object]) -> str | None:
    for name in _SUBJECTS:
        subject = note.get(name)
        if isinstance(subject, dict):
            project_id = subject.get("id") if name == "project" else subject.get("project_id")
            return str(project_id) if isinstance(project_id, int) else None
    return None
