"""Changes of a campaign that labelers may already work on: its labels, instructions, translations and labeler."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Row, update

from .access import Access
from .admin_file import KeyPair
from .api.errors import Conflict
from .campaigns import campaign_json, find_campaign
from .database import Database, campaigns
from .label_schema import LabelFields, name_faults, named_label, names_and_translations, translation_faults
from .request_faults import refuse


@dataclass(frozen=True, slots=True)
class Change:
    """The new values; None leaves the old one. `metadata` is JSON text."""

    labels: Sequence[str] | None = None
    instructions: str | None = None
    label_translations: Mapping[str, Mapping[str, str]] | None = None
    labeler_email: str | None = None
    metadata: str | None = None
    label_schema: Sequence[LabelFields] | None = None


class CampaignChanges:
    def __init__(self, database: Database, access: Access) -> None:
        self._database = database
        self._access = access

    def apply(self, campaign: int, change: Change) -> dict[str, Any]:
        """Applies a change as a whole. Idempotent. Returns the campaign, with the access of another labeler.

        Raises Conflict for a label, geometry or attribute that would be missing afterwards, or a finished campaign.
        """
        if change.label_schema is not None:
            names, translations = names_and_translations(change.label_schema, change.labels)
            change = replace(change, labels=names, label_translations=change.label_translations or translations)
        pair: KeyPair | None = None
        with self._database.write() as connection:
            row = find_campaign(connection, campaign)
            existing = json.loads(row.labels) if row.labels is not None else None
            values: dict[str, Any] = {}
            if change.labels is not None:
                values["labels"] = _dumped(_checked_labels(existing, change.labels))
            schema = _changed_schema(row, change)
            if schema is not None:
                values["label_schema"] = _dumped(schema)
            if change.instructions is not None:
                values["instructions"] = change.instructions or None
            if change.label_translations is not None:
                _check_translations(change.labels or existing, change.label_translations)
                values["label_translations"] = _dumped(change.label_translations) if change.label_translations else None
            if change.metadata is not None:
                values["metadata"] = change.metadata
            if change.labeler_email is not None:
                labeler, new_pair = self._access.labeler(connection, change.labeler_email)
                if labeler != row.labeler_id:
                    values["labeler_id"], pair = labeler, new_pair
            values = {name: value for name, value in values.items() if value != row._mapping[name]}
            if values and row.status == "finished":
                raise Conflict("the campaign is finished: it cannot be changed", details={"status": row.status})
            if values:
                changed = update(campaigns).where(campaigns.c.id == campaign)
                connection.execute(changed.values(**values, revision=row.revision + 1))
            body = campaign_json(find_campaign(connection, campaign))
        return body | ({"access_token": {"apikey": pair.key, "apisecret": pair.secret}} if pair else {})


def _changed_schema(row: Row[Any], change: Change) -> list[LabelFields] | None:
    """Returns the campaign's schema after the change; None when it has none, or stays as it is.

    Labels that are known by their names only take every geometry. Raises Conflict when objects that exist would be
    refused.
    """
    schema = json.loads(row.label_schema) if row.label_schema is not None else None
    before: dict[str, LabelFields] = {label["name"]: label for label in schema or ()}
    if change.label_schema is not None:
        before = before or {name: named_label(name) for name in json.loads(row.labels or "[]")}
        for label in change.label_schema:
            if label["name"] in before:
                _refuse_narrower(before[label["name"]], label)
        return list(change.label_schema)
    if schema is None:
        return None
    labels = [before.get(name) or named_label(name) for name in change.labels or before]
    if change.label_translations is None:
        return labels
    return [{**label, "translations": change.label_translations.get(label["name"], {})} for label in labels]


def _refuse_narrower(before: LabelFields, after: LabelFields) -> None:
    """Raises Conflict when a label would forbid what it allowed."""
    name, geometry = after["name"], after["geometry"]
    if geometry not in (before["geometry"], "any"):
        raise Conflict(
            f"label '{name}' takes {before['geometry']}: it can be widened to any, and not become {geometry}",
            details={"label": name},
        )
    kept = {attribute["name"]: attribute for attribute in after["attributes"]}
    for attribute in before["attributes"]:
        values = kept.get(attribute["name"], {}).get("values")
        narrower = values is None or (values and not (attribute["values"] and set(attribute["values"]) <= set(values)))
        if narrower:
            message = f"attribute '{attribute['name']}' of label '{name}' and its values can be added to, not removed"
            raise Conflict(message, details={"label": name, "attribute": attribute["name"]})


def _checked_labels(existing: list[str] | None, labels: Sequence[str]) -> list[str]:
    refuse(name_faults(labels), "labels: {problem}")
    if existing is None:
        raise Conflict("the campaign takes any label: a list of labels would forbid labels that are in use")
    missing = [name for name in existing if name not in labels]
    if missing:
        shown = ", ".join(repr(name) for name in missing[:10])
        raise Conflict(f"labels can be added and not removed: {shown} would be missing", details={"missing": missing})
    return list(labels)


def _check_translations(labels: Sequence[str] | None, translations: Mapping[str, Any]) -> None:
    if labels is not None:
        refuse(translation_faults(labels, translations), "label_translations: {problem}")


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
