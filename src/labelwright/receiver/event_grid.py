"""Azure Event Grid: both validation handshakes, and blobs that were created in the drop container.

Sources: Microsoft's pages "Endpoint validation with Event Grid event schema" (the response repeats the code that was
sent), "Endpoint validation with CloudEvents schema" (OPTIONS with WebHook-Request-Origin) and "Azure Blob Storage as
an Event Grid source". Events are delivered at least once and in any order.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from labelwright.campaigns.drops import folder_of
from labelwright.ledger import DROPS, Ledger, drop_key
from labelwright.settings import ReceiverSettings

from .errors import RequestRefused

EVENT = "labelwright.drop.arrived"
_VALIDATION = "Microsoft.EventGrid.SubscriptionValidationEvent"
_CREATED = "Microsoft.Storage.BlobCreated"
_SUBJECT = re.compile(r"/blobServices/default/containers/([^/]+)/blobs/([^\n\ud800-\udfff]+)")


def check_secret(settings: ReceiverSettings, secret: str | None) -> None:
    """Compares in constant time. Raises RequestRefused when the secret is not that of the settings."""
    if settings.event_grid_secret is None:
        raise RequestRefused(403, "no Event Grid secret is configured here")
    expected = settings.event_grid_secret.get_secret_value()
    if not expected or not hmac.compare_digest(expected.encode(), (secret or "").encode()):
        raise RequestRefused(401, "the secret is missing or wrong")


def handshake_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The response headers of CloudEvents' handshake. Raises RequestRefused."""
    origin = headers.get("webhook-request-origin")
    if not origin:
        raise RequestRefused(400, "WebHook-Request-Origin is missing")
    return {"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": headers.get("webhook-request-rate", "*")}


def record_events(ledger: Ledger, settings: ReceiverSettings, body: bytes) -> dict[str, Any]:
    """Stores the campaign files that arrived. Returns the response's JSON. Raises RequestRefused.

    Without a drop container in the settings a campaign file is not accepted, so that Event Grid delivers it again.
    """
    count = 0
    for kind, subject, data in _parse_events(body):
        if kind == _VALIDATION:
            code = data.get("validationCode")
            if not isinstance(code, str):
                raise RequestRefused(400, "the validation event has no code")
            return {"validationResponse": code}
        if kind == _CREATED and not settings.drop_container and folder_of(_blob_name(subject)):
            raise RequestRefused(503, "no drop container is configured here")
        blob = _dropped_blob(settings.drop_container, subject, data) if kind == _CREATED else None
        folder = folder_of(blob) if blob else None
        if blob and folder:
            # The service writes the version's name in two spellings, and older events have a sequencer only.
            version = data.get("eTag") or data.get("etag") or data.get("sequencer") or ""
            count += _store_drop(ledger, blob, folder, str(version))
    return {"new": count}


def _store_drop(ledger: Ledger, blob: str, folder: str, etag: str) -> bool:
    """Returns whether this version of the blob is new."""
    slug = re.sub(r"[^a-z0-9]+", "-", folder.lower()).strip("-")[:80]
    resource = {
        "prefect.resource.id": f"labelwright.drop.{slug}-{sha256(folder.encode()).hexdigest()[:8]}",
        "prefect.resource.name": folder,
    }
    return ledger.inbox.put(DROPS, drop_key(blob, etag), EVENT, resource, {"blob": blob, "etag": etag})


def _parse_events(body: bytes) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Type, subject and data of each event, in Event Grid's schema or in CloudEvents', alone or in a list."""
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        raise RequestRefused(400, "the request is not JSON") from None
    for event in payload if isinstance(payload, list) else [payload]:
        if not isinstance(event, dict):
            raise RequestRefused(400, "an event is not a JSON object")
        data = event.get("data")
        kind = event.get("eventType") or event.get("type") or ""
        yield str(kind), str(event.get("subject") or ""), data if isinstance(data, dict) else {}


def _blob_name(subject: str) -> str:
    match = _SUBJECT.fullmatch(subject)
    return match[2] if match else ""


def _dropped_blob(container: str | None, subject: str, data: dict[str, Any]) -> str | None:
    """The name of the blob when it is in the drop container and not empty."""
    match = _SUBJECT.fullmatch(subject)
    if not container or match is None or data.get("contentLength") == 0:  # hierarchical accounts report empty files
        return None
    is_same_name = match[1] == container.rstrip("/").rpartition("/")[2]
    return match[2] if is_same_name and _account(str(data.get("url"))) == _account(container) else None


def _account(url: str) -> str:
    """The storage account: the first part of the host name, or of the path when the host is an IP address."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    host = parts.hostname or ""
    try:
        ip_address(host)
    except ValueError:
        return host.partition(".")[0]
    return f"{parts.netloc}/{parts.path.split('/')[1] if '/' in parts.path else ''}"
