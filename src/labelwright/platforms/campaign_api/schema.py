"""The label schema in the JSON of the campaign API, and what of it a server without `label_schema` cannot hold."""

from __future__ import annotations

from typing import Any

from labelwright.domain import Geometry, Label, LabelSchema
from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.protocol import PlatformLabels

FEATURE = "label_schema"
"""Listed under `features` in GET /health by servers that take the whole schema."""

_SHOWN = 10


def schema_json(schema: LabelSchema) -> list[dict[str, Any]]:
    """The request field `label_schema`."""
    return [
        {
            "name": label.name,
            "geometry": label.geometry.value,
            "color": label.color,
            "parent": label.parent,
            "attributes": [
                {
                    "name": attribute.name,
                    "values": list(attribute.values),
                    "default": attribute.default,
                    "required": attribute.required,
                }
                for attribute in label.attributes
            ],
            "translations": dict(label.translations),
        }
        for label in schema
    ]


def needs_beyond_names(schema: LabelSchema) -> list[str]:
    """Phrases that name each label with what names alone cannot say. Empty for boxes and any shapes.

    Translations are a field of their own, which every server has.
    """
    phrases = []
    for label in schema:
        needs = _needs_of(label)
        if needs:
            phrases.append(f"label '{label.name}' needs {', '.join(needs)}")
    return phrases


def _needs_of(label: Label) -> list[str]:
    needs = []
    if label.geometry is Geometry.POLYGON:
        needs.append("the geometry polygon")
    elif label.geometry is Geometry.IMAGE:
        needs.append("the geometry image")
    if label.parent is not None:
        needs.append(f"its parent '{label.parent}'")
    if label.color is not None:
        needs.append("its colour")
    needs += [f"the attribute '{attribute.name}'" for attribute in label.attributes]
    return needs


def shortened(phrases: list[str]) -> str:
    more = f"; and {len(phrases) - _SHOWN} more" if len(phrases) > _SHOWN else ""
    return "; ".join(phrases[:_SHOWN]) + more


def platform_labels_from(campaign: Fields) -> PlatformLabels | None:
    """Returns the labels of a campaign: with geometries and attributes where the server has the schema."""
    if campaign.has(FEATURE):
        labels = list(campaign.each(FEATURE))
        return PlatformLabels(
            tuple(label.text("name") for label in labels),
            attributes={
                label.text("name"): frozenset(attribute.text("name") for attribute in label.each("attributes"))
                for label in labels
            },
            geometries={label.text("name"): _geometry_from(label) for label in labels},
        )
    if campaign.has("labels"):
        return PlatformLabels(tuple(value for value in campaign.list("labels") if isinstance(value, str)))
    return None


def _geometry_from(label: Fields) -> Geometry:
    value = label.text("geometry")
    if value not in set(Geometry):
        label.refuse("geometry", f"is '{value}', which is none of {', '.join(Geometry)}")
    return Geometry(value)
