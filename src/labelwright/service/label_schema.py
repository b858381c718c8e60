"""The label schema of a campaign: from a request to the database, and as the rules that objects are checked by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Row

from labelwright.domain import GROUP, OCCLUDED, Attribute, Geometry, InvalidSchema, Label, LabelSchema, Shape

from .api.errors import Invalid
from .request_faults import refuse

LabelFields = Mapping[str, Any]
"""A label as JSON: {name, geometry, color, parent, attributes: [{name, values, default, required}], translations}."""

_ATTRIBUTE_TEXT = 2_000
"""Characters of an attribute's value."""


def named_label(name: str) -> LabelFields:
    """A label of which only the name is known: it takes every geometry."""
    return {"name": name, "geometry": "any", "color": None, "parent": None, "attributes": [], "translations": {}}


def check_schema(labels: Sequence[LabelFields]) -> None:
    """Raises Invalid when the schema contradicts itself, with everything that is wrong in its details."""
    refuse(schema_faults(labels), "label_schema: {problem}")
    try:
        LabelSchema(tuple(_label_from(label) for label in labels))
    except InvalidSchema as error:
        raise Invalid(f"label_schema: {error}") from None


def schema_faults(labels: Sequence[LabelFields]) -> Iterator[tuple[str, str]]:
    """Place in the request and message of everything that is wrong with a schema."""
    earlier = set[str]()
    parents = {label["name"]: label["parent"] for label in labels}
    for number, label in enumerate(labels):
        where, name = f"body.label_schema[{number}]", label["name"]
        if name in earlier:
            yield f"{where}.name", f"label '{name}' is listed twice"
        earlier.add(name)
        if label["parent"] is not None and label["parent"] not in parents:
            yield f"{where}.parent", f"label '{name}': its parent '{label['parent']}' is not in the schema"
        elif _is_own_ancestor(name, parents):
            yield f"{where}.parent", f"label '{name}' is its own ancestor"
        attributes = [attribute["name"] for attribute in label["attributes"]]
        for position, attribute in enumerate(label["attributes"]):
            place = f"{where}.attributes[{position}]"
            if attribute["name"] in attributes[:position]:
                yield f"{place}.name", f"label '{name}': attribute '{attribute['name']}' is listed twice"
            for index, value in enumerate(attribute["values"]):
                if value in attribute["values"][:index]:
                    yield f"{place}.values[{index}]", f"label '{name}': value '{value}' is listed twice"
            try:
                _attribute_from(attribute)
            except InvalidSchema as error:
                yield place, str(error)


def _is_own_ancestor(name: str, parents: Mapping[str, str | None]) -> bool:
    passed, parent = set[str](), parents[name]
    while parent is not None and parent not in passed:
        if parent == name:
            return True
        passed.add(parent)
        parent = parents.get(parent)
    return False


def name_faults(labels: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The same of a list of names."""
    earlier = set[str]()
    for number, name in enumerate(labels):
        if name in earlier:
            yield f"body.labels[{number}]", f"label '{name}' is listed twice"
        earlier.add(name)


def translation_faults(labels: Sequence[str], translations: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The same of the translations of a list of names."""
    known = set(labels)
    for label in translations:
        if label not in known:
            yield f"body.label_translations.{label}", f"'{label}' is not one of the labels"


def names_and_translations(
    schema: Sequence[LabelFields], labels: Sequence[str] | None
) -> tuple[list[str], dict[str, dict[str, str]]]:
    """Returns the names of a schema and its translations by label.

    labels: the names that were sent beside it, if any. Raises Invalid when they differ, and for a schema that
    contradicts itself.
    """
    check_schema(schema)
    names = [label["name"] for label in schema]
    if labels is not None and list(labels) != names:
        raise Invalid("labels are not the names of label_schema in the same order: leave labels out, or send the same")
    return names, {label["name"]: label["translations"] for label in schema if label["translations"]}


def _label_from(label: LabelFields) -> Label:
    return Label(
        name=label["name"],
        geometry=Geometry(label["geometry"]),
        parent=label["parent"],
        attributes=tuple(_attribute_from(attribute) for attribute in label["attributes"]),
        color=label["color"],
        translations=label["translations"],
    )


def _attribute_from(attribute: Mapping[str, Any]) -> Attribute:
    return Attribute(attribute["name"], tuple(attribute["values"]), attribute["default"], attribute["required"])


@dataclass(frozen=True, slots=True)
class LabelRules:
    """What a campaign accepts. Campaigns without a schema accept every geometry and attribute."""

    names: frozenset[str] | None
    """None: any label."""
    labels: Mapping[str, Label] | None
    """None: the campaign has no schema."""

    @classmethod
    def of(cls, campaign: Row[Any]) -> LabelRules:
        """Reads the rules from the campaign's row."""
        names = frozenset[str](orjson.loads(campaign.labels)) if campaign.labels is not None else None
        if campaign.label_schema is None:
            return cls(names, None)
        return cls(names, {label["name"]: _label_from(label) for label in orjson.loads(campaign.label_schema)})

    def label_fault(self, label: str) -> str | None:
        if self.names is None or label in self.names:
            return None
        return f"label '{label}' is not one of the campaign's: {', '.join(sorted(self.names)[:50])}"

    def shape_fault(self, label: str, shape: Shape) -> str | None:
        geometry = self.labels[label].geometry if self.labels and label in self.labels else Geometry.ANY
        if geometry.takes(shape):
            return None
        return f"label '{label}' is for {_GEOMETRIES[geometry]}, not for {_kind_of(shape)}"

    def attribute_faults(self, label: str, attributes: Any, *, complete: bool = True) -> list[str]:
        """Everything that is wrong with an object's attributes, in the schema's order.

        `complete`: whether those that are required must be there.
        """
        if not isinstance(attributes, dict) or not all(_is_text(name) for name in attributes):
            return ["attributes is not {name: text}"]
        faults = [
            f"attribute '{name}' is not a text of at most {_ATTRIBUTE_TEXT} characters"[:300]
            for name, value in attributes.items()
            if not _is_text(value)
        ]
        if faults or self.labels is None or label not in self.labels:
            return faults
        expected = {attribute.name: attribute for attribute in self.labels[label].attributes}
        for name in attributes:
            if name not in expected and name not in (OCCLUDED, GROUP):
                known = ", ".join(expected) or "none"
                faults.append(f"label '{label}' has no attribute '{name}'; its attributes: {known}"[:300])
        for attribute in expected.values():
            value = attributes.get(attribute.name)
            if value is None and not complete:
                continue
            if value is None or not value.strip():
                if attribute.required:
                    faults.append(f"attribute '{attribute.name}' of label '{label}' is required")
                    continue
                if value is None:
                    continue
            if attribute.values and value not in attribute.values:
                choices = ", ".join(attribute.values[:50])
                faults.append(f"attribute '{attribute.name}' is '{value}', which is not one of: {choices}"[:500])
        return faults


_GEOMETRIES = {Geometry.BOX: "boxes", Geometry.POLYGON: "polygons", Geometry.IMAGE: "the image as a whole"}


def _kind_of(shape: Shape) -> str:
    return {"Box": "a box", "WholeImage": "the image as a whole"}.get(type(shape).__name__, "a polygon")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _ATTRIBUTE_TEXT and "\0" not in value
