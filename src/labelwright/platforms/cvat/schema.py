"""Label schemas: ours as CVAT takes them, and CVAT's with the ids that annotations bear."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from labelwright.domain import Attribute, Geometry, Label, LabelSchema
from labelwright.platforms.errors import PlatformRefused
from labelwright.platforms.http.json_fields import Fields

TYPES = {Geometry.BOX: "rectangle", Geometry.POLYGON: "polygon", Geometry.IMAGE: "tag", Geometry.ANY: "any"}
"""CVAT accepts a type that it does not know without a word; these are known."""

VALUES = 4096
"""Characters that all values of an attribute may take: CVAT keeps them as one text, a line each, and answers 500 to
more."""

_DRAWN = {
    Geometry.BOX: {"rectangle", "any"},
    Geometry.POLYGON: {"polygon", "mask", "any"},
    Geometry.IMAGE: {"tag", "any"},
    Geometry.ANY: {"any"},
}
"""The types of CVAT by which objects of a label can be drawn."""


@dataclass(frozen=True, slots=True)
class CvatLabel:
    """A label on the server. `attributes` maps their names to the ids that annotations bear."""

    id: int
    name: str
    type: str
    attributes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class CvatLabels:
    """All labels of a project or a task."""

    labels: tuple[CvatLabel, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(self.labels))

    def named(self, name: str) -> CvatLabel | None:
        return next((label for label in self.labels if label.name == name), None)

    @property
    def names(self) -> dict[int, str]:
        return {label.id: label.name for label in self.labels}

    @property
    def attribute_names(self) -> dict[int, str]:
        return {id: name for label in self.labels for name, id in label.attributes.items()}


def labels_for(schema: Iterable[Label]) -> list[dict[str, Any]]:
    """The labels as POST /api/projects takes them."""
    return [_label_for(label) for label in schema]


def _label_for(label: Label) -> dict[str, Any]:
    said: dict[str, Any] = {"name": label.name, "type": TYPES[label.geometry]}
    if label.color:
        said["color"] = label.color
    said["attributes"] = [_attribute_for(one) for one in label.attributes]
    return said


def _attribute_for(attribute: Attribute) -> dict[str, Any]:
    values = list(attribute.values)
    if len("\n".join(values)) > VALUES or any("\n" in value for value in values):
        told = f"the values of attribute '{attribute.name}' take more than {VALUES} characters, or hold line breaks"
        raise PlatformRefused(
            "cvat", "take the labels", message=told, advice="Use fewer or shorter ones, or free text."
        )
    return {
        "name": attribute.name,
        "mutable": False,
        "input_type": "select" if values else "text",
        "default_value": attribute.default if attribute.default is not None else (values[0] if values else ""),
        "values": values,
    }


def label_from(item: Fields) -> CvatLabel:
    attributes = item.each("attributes") if item.has("attributes") else ()
    return CvatLabel(
        id=item.whole("id"),
        name=item.text("name"),
        type=item.text("type") if item.has("type") else "any",
        attributes={one.text("name"): one.whole("id") for one in attributes},
    )


def missing_from(there: CvatLabels, schema: LabelSchema) -> tuple[Label, ...]:
    """The labels that a project lacks."""
    return tuple(label for label in schema if there.named(label.name) is None)


def differences(there: CvatLabels, schema: LabelSchema) -> list[str]:
    """In which labels a project that exists contradicts the schema, in words."""
    found = []
    for label in schema:
        known = there.named(label.name)
        if known is None:
            continue
        if known.type not in _DRAWN[label.geometry]:
            found.append(f"label '{label.name}' is drawn as {known.type} there, the campaign says {label.geometry}")
        lacking = [one.name for one in label.attributes if one.name not in known.attributes]
        if lacking:
            found.append(f"label '{label.name}' has no attribute {', '.join(lacking)} there")
    return found
