"""Converts label schemas to CVAT's labels, and reads CVAT's labels with the ids that annotations use."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from labelwright.domain import Attribute, Geometry, Label, LabelSchema
from labelwright.platforms.errors import PlatformRefused
from labelwright.platforms.http.json_fields import Fields

TYPES = {Geometry.BOX: "rectangle", Geometry.POLYGON: "polygon", Geometry.IMAGE: "tag", Geometry.ANY: "any"}
"""CVAT's label type for each geometry. CVAT accepts unknown types without an error."""

VALUES = 4096
"""Most characters of all values of an attribute together: CVAT stores them as one text, one per line, and returns 500
to more."""

_DRAWN = {
    Geometry.BOX: {"rectangle", "any"},
    Geometry.POLYGON: {"polygon", "mask", "any"},
    Geometry.IMAGE: {"tag", "any"},
    Geometry.ANY: {"any"},
}
"""Types of CVAT that accept objects of a geometry."""


@dataclass(frozen=True, slots=True)
class CvatLabel:
    """A label on the server. `attributes` maps attribute names to the ids that annotations use."""

    id: int
    name: str
    type: str
    attributes: Mapping[str, int]
    color: str = ""
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The values of each attribute; free text has none, or one that is empty."""


@dataclass(frozen=True, slots=True)
class CvatLabels:
    """All labels of a project or a task."""

    labels: tuple[CvatLabel, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(self.labels))

    def find(self, name: str) -> CvatLabel | None:
        return next((label for label in self.labels if label.name == name), None)

    @property
    def names(self) -> dict[int, str]:
        return {label.id: label.name for label in self.labels}

    @property
    def attribute_names(self) -> dict[int, str]:
        return {id: name for label in self.labels for name, id in label.attributes.items()}


def check_labels(schema: LabelSchema, _options: Mapping[str, Any]) -> None:
    """Raises PlatformRefused for labels that CVAT cannot store."""
    labels_for(schema)


def labels_for(schema: Iterable[Label]) -> list[dict[str, Any]]:
    """Converts labels to the payload of POST /api/projects."""
    return [_label_for(label) for label in schema]


def _label_for(label: Label) -> dict[str, Any]:
    payload: dict[str, Any] = {"name": label.name, "type": TYPES[label.geometry]}
    if label.color:
        payload["color"] = label.color
    payload["attributes"] = [_attribute_for(attribute) for attribute in label.attributes]
    return payload


def _attribute_for(attribute: Attribute) -> dict[str, Any]:
    values = list(attribute.values)
    if len("\n".join(values)) > VALUES or any("\n" in value for value in values):
        message = f"the values of attribute '{attribute.name}' take more than {VALUES} characters, or hold line breaks"
        raise PlatformRefused(
            "cvat", "take the labels", message=message, advice="Use fewer or shorter ones, or free text."
        )
    return {
        "name": attribute.name,
        "mutable": False,
        "input_type": "select" if values else "text",
        "default_value": attribute.default if attribute.default is not None else (values[0] if values else ""),
        "values": values,
    }


def label_from(item: Fields) -> CvatLabel:
    attributes = list(item.each("attributes")) if item.has("attributes") else []
    return CvatLabel(
        id=item.whole("id"),
        name=item.text("name"),
        type=item.text("type") if item.has("type") else "any",
        attributes={attribute.text("name"): attribute.whole("id") for attribute in attributes},
        color=item.text("color") if item.has("color") else "",
        values={
            attribute.text("name"): tuple(filter(None, map(str, attribute.list("values"))))
            for attribute in attributes
            if attribute.has("values")
        },
    )


def missing_from(existing: CvatLabels, schema: LabelSchema) -> tuple[Label, ...]:
    """Returns the schema's labels that the project does not have."""
    return tuple(label for label in schema if existing.find(label.name) is None)


def differences(existing: CvatLabels, schema: LabelSchema, widened: Collection[str] | None = None) -> list[str]:
    """Describes each label of an existing project that contradicts the schema.

    widened: the labels whose types may be changed, where attributes may be added too. None: nothing may be changed.
    """
    problems = []
    for label in schema:
        on_server = existing.find(label.name)
        if on_server is None:
            continue
        if on_server.type not in _DRAWN[label.geometry] and label.name not in (widened or ()):
            problems.append(
                f"label '{label.name}' is drawn as {on_server.type} there, the campaign says {label.geometry}"
            )
        if widened is not None:
            continue
        missing = [attribute.name for attribute in label.attributes if attribute.name not in on_server.attributes]
        if missing:
            problems.append(f"label '{label.name}' has no attribute {', '.join(missing)} there")
    return problems
