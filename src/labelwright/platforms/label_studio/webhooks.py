"""Creates Label Studio's webhooks and verifies what they deliver.

Label Studio does not sign its requests: it sends headers that were configured. Ours holds a secret that is derived from
the token, so that nobody has to store another one. Every member of the organization can read it there, so a request is
only a reason to look at the campaign earlier. They are sent once: one that is lost is lost.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence

from labelwright.platforms.errors import AccessDenied, PlatformRefused
from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.protocol import Secret, WebhookNote

from .client import NAME, Client

HEADER = "X-Labelwright-Secret"
ACTIONS = ("ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_DELETED", "TASKS_DELETED", "PROJECT_UPDATED")
"""What may change a campaign's progress."""


def secret_for(url: str, token: Secret) -> Secret:
    """Returns the secret of our webhooks on a server. With another token the webhooks have to be created again."""
    digest = hmac.new(token.value.encode(), f"labelwright webhook {url}".encode(), hashlib.sha256)
    return Secret(digest.hexdigest())


def put_webhook(client: Client, project: int, target: str, secret: Secret, actions: Sequence[str] = ACTIONS) -> int:
    """Creates a project's webhook, or updates the one with the same target. Returns its id. Idempotent."""
    operation = f"create a webhook for project {project}"
    payload = {
        "url": target,
        "send_payload": True,
        "send_for_all_actions": False,
        "actions": sorted(actions),
        "headers": {HEADER: secret.value},
        "is_active": True,
    }
    listed = client.call(operation, "GET", "/api/webhooks/", params={"project": project})
    for item in listed if isinstance(listed, list) else ():
        webhook = Fields(NAME, operation, item)
        if webhook.json.get("url") == target and webhook.json.get("project") == project:
            changed = client.call(operation, "PATCH", f"/api/webhooks/{webhook.whole('id')}/", json=payload)
            return Fields(NAME, operation, changed).whole("id")
    created = client.call(operation, "POST", "/api/webhooks/", json={**payload, "project": project})
    return Fields(NAME, operation, created).whole("id")


def open_note(headers: Mapping[str, str], body: bytes, secret: Secret) -> WebhookNote:
    """Raises AccessDenied for a wrong secret, PlatformRefused for a body that cannot be read."""
    operation = "open a webhook"
    sent = headers.get(HEADER.lower(), "")
    if not hmac.compare_digest(sent.encode("utf-8", "replace"), secret.value.encode()):
        message = f"the header {HEADER} is {'wrong' if sent else 'missing'}"
        advice = "Create the webhook again if the token was changed."
        raise AccessDenied(NAME, operation, message=message, advice=advice)
    try:
        note = json.loads(body)
    except (ValueError, RecursionError):
        note = None
    if not isinstance(note, dict) or not isinstance(note.get("action"), str):
        raise PlatformRefused(NAME, operation, message="the body is not an event of Label Studio")
    # A repeated event has the same body; events have no id.
    project = note.get("project")
    campaign = project.get("id") if isinstance(project, dict) else None
    return WebhookNote(
        hashlib.sha256(body).hexdigest(), note["action"], str(campaign) if isinstance(campaign, int) else None
    )
