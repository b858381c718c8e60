"""Azure Event Grid: both of its validation handshakes, and blobs that were created in the drop container.

Sources: Microsoft's pages "Endpoint validation with Event Grid event schema" (the code that is sent is answered),
"Endpoint validation with CloudEvents schema" (OPTIONS with WebHook-Request-Origin) and "Azure Blob Storage as an Event
Grid source". Deliveries come at least once and in any order.
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

from .answers import Refused

EVENT = "labelwright.drop.arrived"
_VALIDATION = "Microsoft.EventGrid.SubscriptionValidationEvent"
_CREATED = "Microsoft.Storage.BlobCreated"
_SUBJECT = re.compile(r"/blobServices/default/containers/([^/]+)/blobs/([^\n\ud800-\udfff]+)")


def let_in(settings: ReceiverSettings, given: str | None) -> None:
    """Compare the secret in a time that does not depend on where it differs. Raises Refused."""
    if settings.event_grid_secret is None:
        raise Refused(403, "no secret for Event Grid is set here")
    wanted = settings.event_grid_secret.get_secret_value()
    if not wanted or not hmac.compare_digest(wanted.encode(), (given or "").encode()):
        raise Refused(401, "the secret is missing or wrong")


def allow(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that answer CloudEvents' handshake. Raises Refused."""
    origin = headers.get("webhook-request-origin")
    if not origin:
        raise Refused(400, "WebHook-Request-Origin is missing")
    return {"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": headers.get("webhook-request-rate", "*")}


def take_events(ledger: Ledger, settings: ReceiverSettings, body: bytes) -> dict[str, Any]:
    """Write down the campaign files that arrived. Answers what Event Grid is told. Raises Refused."""
    new = 0
    for kind, subject, data in _events(body):
        if kind == _VALIDATION:
            code = data.get("validationCode")
            if not isinstance(code, str):
                raise Refused(400, "the validation holds no code")
            return {"validationResponse": code}
        blob = _blob(settings.drop_container, subject, data) if kind == _CREATED else None
        folder = folder_of(blob) if blob else None
        if blob and folder:
            # What tells a version from another is in the event, whichever of its names the service wrote.
            version = data.get("eTag") or data.get("etag") or data.get("sequencer") or ""
            new += _put(ledger, blob, folder, str(version))
    return {"new": new}


def _put(ledger: Ledger, blob: str, folder: str, etag: str) -> bool:
    readable = re.sub(r"[^a-z0-9]+", "-", folder.lower()).strip("-")[:80]
    resource = {
        "prefect.resource.id": f"labelwright.drop.{readable}-{sha256(folder.encode()).hexdigest()[:8]}",
        "prefect.resource.name": folder,
    }
    return ledger.inbox.put(DROPS, drop_key(blob, etag), EVENT, resource, {"blob": blob, "etag": etag})


def _events(body: bytes) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Kind, subject and data of each event, in Event Grid's schema or in CloudEvents', alone or in a list."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(400, "this is no JSON") from None
    for event in told if isinstance(told, list) else [told]:
        if not isinstance(event, dict):
            raise Refused(400, "an event is an object")
        data = event.get("data")
        kind = event.get("eventType") or event.get("type") or ""
        yield str(kind), str(event.get("subject") or ""), data if isinstance(data, dict) else {}


def _blob(container: str | None, subject: str, data: dict[str, Any]) -> str | None:
    """The name of a blob of the drop container that has something in it."""
    place = _SUBJECT.fullmatch(subject)
    if not container or place is None or data.get("contentLength") == 0:  # hierarchical accounts tell of empty files
        return None
    same = place[1] == container.rstrip("/").rpartition("/")[2]
    return place[2] if same and _account(str(data.get("url"))) == _account(container) else None


def _account(url: str) -> str:
    """The storage account: the first part of the host's name, or of the path where the host has none."""
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
