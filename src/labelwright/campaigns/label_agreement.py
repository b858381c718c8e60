"""Compares the labels of a campaign with those that its platform offers."""

from __future__ import annotations

import unicodedata

from labelwright.domain import Geometry, LabelSchema
from labelwright.platforms.protocol import PlatformLabels


def missing_labels(schema: LabelSchema, remote_labels: PlatformLabels) -> list[str]:
    """Phrases that name labels of the schema, attributes and geometries that the platform lacks.

    Case and blanks make no difference, but each label of the platform matches one of the schema at most.
    """
    exact = set(remote_labels.names) & set(schema.names)
    names = {_folded(name): name for name in remote_labels.names if name not in exact}
    missing = []
    for label in schema:
        name = label.name if label.name in exact else names.pop(_folded(label.name), None)
        if name is None:
            missing.append(f"label '{label.name}'")
            continue
        geometry = (remote_labels.geometries or {}).get(name, label.geometry)
        if geometry not in (label.geometry, Geometry.ANY):  # a wider one still takes what the campaign asks for
            missing.append(f"geometry {label.geometry} of label '{label.name}' (there: {geometry})")
        if remote_labels.attributes is not None:
            remote_attributes = {_folded(attribute) for attribute in remote_labels.attributes.get(name, ())}
            absent = [
                attribute.name for attribute in label.attributes if _folded(attribute.name) not in remote_attributes
            ]
            missing += [f"attribute '{attribute}' of label '{label.name}'" for attribute in absent]
    return missing


def added_labels(schema: LabelSchema, remote_labels: PlatformLabels) -> list[str]:
    """Labels of the platform that the schema does not have."""
    exact = set(remote_labels.names) & set(schema.names)
    ours = {_folded(label.name) for label in schema if label.name not in exact}
    return [name for name in remote_labels.names if name not in exact and _folded(name) not in ours]


def _folded(name: str) -> str:
    """Platforms change capitals and blanks. Annotations with another spelling are refused later, by the validation."""
    return " ".join(unicodedata.normalize("NFC", name).split()).casefold()
