"""Webhooks of CVAT: made, and told from forged ones.

CVAT signs each body: `X-Signature-256: sha256=<HMAC of the body>`. A note whose target was away is not sent again, some
come twice and in any order: a note only says where to look.
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
"""What moves a campaign on."""

_SUBJECTS = ("job", "task", "project", "webhook")


def secret_for(url: str, credential: Secret) -> Secret:
    """What our webhooks on a server are signed with: made of the credential, so that nobody has to keep another one.
    After the credential was changed the webhooks are to be made again."""
    made = hmac.new(credential.value.encode(), f"labelwright webhook {url}".encode(), hashlib.sha256)
    return Secret(made.hexdigest())


def put_webhook(
    client: Client, project: int, target: str, secret: Secret, events: Sequence[str] = EVENTS, description: str = ""
) -> int:
    """Have a project tell of its changes. One that leads to the same target is changed, not doubled.

    Answers the webhook's id.
    """
    operation = f"tell of changes in project {project}"
    said = {
        "target_url": target,
        "description": description or "labelwright",
        "content_type": "application/json",
        "secret": secret.value,
        "is_active": True,
        "enable_ssl": target.startswith("https://"),
        "events": sorted(events),
    }
    for one in client.all(operation, "/api/webhooks", {"project_id": project}):
        if one.json.get("project_id") == project and one.json.get("target_url") == target:
            return client.call(operation, "PATCH", f"/api/webhooks/{one.whole('id')}", json=said).whole("id")
    return client.call(
        operation, "POST", "/api/webhooks", json={**said, "type": "project", "project_id": project}
    ).whole("id")


def ping_webhook(client: Client, webhook: int) -> int:
    """Have a test note sent. Answers the status with which the target answered CVAT, 0 when it did not."""
    answer = client.call(f"try webhook {webhook}", "POST", f"/api/webhooks/{webhook}/ping")
    return answer.whole("status_code") if answer.has("status_code") else 0


def open_note(headers: Mapping[str, str], body: bytes, secret: Secret) -> WebhookNote:
    """A note whose signature is right. Raises AccessDenied for a forged one, PlatformRefused for one without sense."""
    operation = "open a webhook"
    signed = hmac.new(secret.value.encode(), body, hashlib.sha256).hexdigest()
    told = headers.get("x-signature-256", "")
    if not hmac.compare_digest(f"sha256={signed}".encode(), told.encode("utf-8", "replace")):
        why = "its signature is not ours" if told else "it bears no signature"
        raise AccessDenied(NAME, operation, message=why, advice="Make the webhook again if the credential was changed.")
    try:
        note = json.loads(body)
    except (ValueError, RecursionError):
        note = None
    if not isinstance(note, dict) or not isinstance(note.get("event"), str):
        raise PlatformRefused(NAME, operation, message="it is no note of CVAT's")
    # The same note told again has the same body; CVAT gives notes no number that their bodies bear.
    return WebhookNote(hashlib.sha256(body).hexdigest(), note["event"], _project(note))


def _project(note: Mapping[str, object]) -> str | None:
    for name in _SUBJECTS:
        subject = note.get(name)
        if isinstance(subject, dict):
            found = subject.get("id") if name == "project" else subject.get("project_id")
            return str(found) if isinstance(found, int) else None
    return None
