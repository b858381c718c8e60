"""Changes a campaign after its creation: PATCH /campaigns/{id}, which only newer servers have."""

from __future__ import annotations

from typing import Any

from labelwright.domain import LabelSchema
from labelwright.platforms.errors import PlatformRefused
from labelwright.platforms.http.client import Http
from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.protocol import CampaignOrder, LabelerAccess

from .models import access_from
from .optional_routes import optional_route
from .schema import FEATURE, needs_beyond_names, schema_json, shortened


def change_campaign(platform: str, http: Http, path: str, campaign: str, order: CampaignOrder) -> LabelerAccess | None:
    """Sends what differs from the campaign as it is, and reads it back. See `ChangesCampaigns`."""
    operation = f"change campaign {campaign}"
    current = Fields(platform, operation, http.call(operation, "GET", path)).json
    needs = [] if FEATURE in current or order.ignore_unsupported else needs_beyond_names(order.labels)
    if needs:
        message = f"the campaign has names of labels only there: {shortened(needs)}"
        advice = "Give them to a campaign of their own, or write 'on_unsupported: ignore' to go on without them."
        raise PlatformRefused(platform, operation, message=message, advice=advice)
    body: dict[str, Any] = {
        name: value for name, value in _details(order, current).items() if value != (current.get(name) or type(value)())
    }
    # The server does not tell who the labeler is.
    body["labeler_email"] = order.labeler
    message = "this server has no PATCH /campaigns/{id}, by which campaigns are changed"
    advice = "Update the platform and try again, or give the new labels to a campaign of its own."
    with optional_route(platform, operation, lambda: http.call(operation, "GET", path), message, advice):
        changed = Fields(platform, operation, http.call(operation, "PATCH", path, json=body))
    for name, value in body.items():
        if name != "labeler_email" and (changed.json.get(name) or type(value)()) != value:
            changed.refuse(name, "is not what was sent")
    return access_from(changed.inner("access_token"), order.labeler) if changed.has("access_token") else None


def _details(order: CampaignOrder, current: dict[str, Any]) -> dict[str, Any]:
    existing = [name for name in current.get("labels") or () if isinstance(name, str)]
    details: dict[str, Any] = {
        "instructions": order.instructions,
        "label_translations": {label.name: dict(label.translations) for label in order.labels if label.translations},
    }
    if order.metadata:
        details["metadata"] = dict(order.metadata)
    if FEATURE in current:
        details[FEATURE] = _widened(order.labels, current[FEATURE])
    elif "labels" in current:  # without, the campaign takes any label
        details["labels"] = [*existing, *(name for name in order.labels.names if name not in existing)]
    return details


def _widened(schema: LabelSchema, current: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The schema's labels as JSON: those that exist first, in their order, and none narrower than it is there.

    A label that somebody added there by its name takes every geometry: what is drawn with it is checked at export.
    """
    labels = {label["name"]: label for label in schema_json(schema)}
    existing = []
    for there in current:
        label = labels.pop(there["name"], there)
        asked = {attribute["name"] for attribute in label["attributes"]}
        more = [attribute for attribute in there["attributes"] if attribute["name"] not in asked]
        geometry = there["geometry"] if there["geometry"] == "any" else label["geometry"]
        existing.append({**label, "geometry": geometry, "attributes": [*label["attributes"], *more]})
    return [*existing, *labels.values()]
