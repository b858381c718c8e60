"""Converts label schemas to Label Studio's labeling configuration (XML), and reads such configurations.

Boxes, polygons, masks and labels of whole images are four controls. Each attribute of a label is a control of its own,
shown while an object of that label is selected. Names of controls depend on label and attribute alone: a control that
is renamed makes the server refuse the configuration once annotations use it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

from labelwright.domain import Attribute, Geometry, Label, LabelSchema
from labelwright.platforms.errors import PlatformRefused

from .client import NAME

IMAGE, BOX, POLYGON, MASK, CHOICE = "image", "box", "polygon", "mask", "choice"
"""Names of the image and of the controls."""
NOTE = "lw_note"
"""Field of a task's data that is shown above its image: why it was reopened."""

_TAGS = {BOX: "RectangleLabels", POLYGON: "PolygonLabels", MASK: "BrushLabels", CHOICE: "Choices"}
_HEADERS = {BOX: "Boxes", POLYGON: "Polygons", MASK: "Brush", CHOICE: "The whole image"}
_DRAWN: dict[Geometry, tuple[str, ...]] = {
    Geometry.BOX: (BOX,),
    Geometry.POLYGON: (POLYGON, MASK),
    Geometry.IMAGE: (CHOICE,),
    Geometry.ANY: (BOX, POLYGON, MASK, CHOICE),
}
_LONGEST = 1_000_000
"""Characters of a configuration that are parsed."""


@dataclass(frozen=True, slots=True)
class Control:
    """An attribute's control: which label it belongs to, and its values (none for free text)."""

    label: str
    attribute: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LabelConfig:
    """What a labeling configuration offers."""

    tags: Mapping[str, tuple[str, ...]]
    """Labels by the tag of their control, as in RectangleLabels."""
    controls: Mapping[str, Control] = field(default_factory=dict)
    """Controls of attributes, by name."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(label for labels in self.tags.values() for label in labels))

    def attributes(self, label: str) -> frozenset[str]:
        return frozenset(control.attribute for control in self.controls.values() if control.label == label)

    def geometry(self, label: str) -> Geometry:
        kinds = {kind for kind, tag in _TAGS.items() if label in self.tags.get(tag, ())}
        if kinds == {BOX}:
            return Geometry.BOX
        if kinds == {CHOICE}:
            return Geometry.IMAGE
        return Geometry.POLYGON if kinds <= {POLYGON, MASK} else Geometry.ANY


# Writing


def check_labels(schema: LabelSchema, options: Mapping[str, Any]) -> None:
    """Raises PlatformRefused for labels that a labeling configuration cannot hold."""
    for label in schema:
        for text in (label.name, *_values_of(label)):
            if text.startswith("$"):
                message = f"label '{label.name}': Label Studio reads '{text}' as the name of a field of the data"
                raise PlatformRefused(NAME, "take the labels", message=message, advice="Drop the $ at its beginning.")
        if label.attributes and "," in label.name:
            message = f"label '{label.name}' has attributes and a comma in its name, which separates labels there"
            raise PlatformRefused(NAME, "take the labels", message=message, advice="Give it a name without a comma.")
        if label.attributes and label.geometry is Geometry.ANY:
            message = f"label '{label.name}' has attributes, and may be drawn or hold for the image as a whole"
            advice = "Give it one geometry: box, polygon or image."
            raise PlatformRefused(NAME, "take the labels", message=message, advice=advice)


def _values_of(label: Label) -> Iterator[str]:
    for attribute in label.attributes:
        yield from attribute.values


def label_config(schema: LabelSchema, *, masks: bool = False) -> str:
    """Returns the labeling configuration for a schema."""
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Header", value=f"${NOTE}", size="5")
    ElementTree.SubElement(view, "Image", name=IMAGE, value=f"${IMAGE}", zoom="true", zoomControl="true")
    kinds = (BOX, POLYGON, MASK, CHOICE) if masks else (BOX, POLYGON, CHOICE)
    by_kind = {kind: [label for label in schema if kind in _DRAWN[label.geometry]] for kind in kinds}
    several = sum(map(bool, by_kind.values())) > 1
    for kind, labels in by_kind.items():
        if labels:
            if several:
                ElementTree.SubElement(view, "Header", value=_HEADERS[kind], size="6")
            more = {"choice": "multiple"} if kind == CHOICE else {}
            control = ElementTree.SubElement(view, _TAGS[kind], {"name": kind, "toName": IMAGE, **more})
            for label in labels:
                color = {"background": label.color} if label.color and kind != CHOICE else {}
                ElementTree.SubElement(control, "Choice" if kind == CHOICE else "Label", {"value": label.name, **color})
    for label in schema:
        for attribute in label.attributes:
            for kind in _DRAWN[label.geometry]:
                if kind in kinds:
                    view.append(_attribute(label, attribute, kind))
    return ElementTree.tostring(view, encoding="unicode")


def control_name(label: str, attribute: str, kind: str) -> str:
    """Returns the name of an attribute's control, the same whatever else the schema has."""
    digest = hashlib.sha256(f"{label}\0{attribute}\0{kind}".encode()).hexdigest()[:10]
    return f"attribute-{digest}"


def _attribute(label: Label, attribute: Attribute, kind: str) -> ElementTree.Element:
    if kind == CHOICE:
        shown = {"visibleWhen": "choice-selected", "whenTagName": CHOICE, "whenChoiceValue": label.name}
        per_region = {}
    else:
        shown = {"visibleWhen": "region-selected", "whenTagName": kind, "whenLabelValue": label.name}
        per_region = {"perRegion": "true"}
    view = ElementTree.Element("View", shown)
    ElementTree.SubElement(view, "Header", value=f"{label.name}: {attribute.name}", size="5")
    tag = "Choices" if attribute.values else "TextArea"
    more = {"choice": "single"} if attribute.values else {"maxSubmissions": "1", "rows": "1"}
    name = control_name(label.name, attribute.name, kind)
    fields = {"name": name, "toName": IMAGE, **per_region, **more, **_hints(label, attribute)}
    control = ElementTree.SubElement(view, tag, fields)
    for value in attribute.values:
        ElementTree.SubElement(control, "Choice", value=value)
    return view


def _hints(label: Label, attribute: Attribute) -> dict[str, str]:
    """Returns attributes of XML that Label Studio keeps and does not know: they say what the control is for."""
    return {"lwLabel": label.name, "lwAttribute": attribute.name}


# Reading


def read_config(text: str) -> LabelConfig:
    """Parses a labeling configuration. Raises PlatformRefused for one that is not valid XML."""
    operation = "read the labeling configuration"
    if len(text) > _LONGEST or "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise PlatformRefused(NAME, operation, message="it is too long, or declares entities")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - without a document type there are no entities to expand
    except ElementTree.ParseError as error:
        raise PlatformRefused(NAME, operation, message=f"it is not valid XML: {error}") from None
    tags: dict[str, list[str]] = {}
    controls: dict[str, Control] = {}
    for element in root.iter():
        name, values = element.get("name", ""), tuple(item.get("value", "") for item in element if item.get("value"))
        if element.get("lwAttribute") is not None:
            controls[name] = Control(element.get("lwLabel", ""), element.get("lwAttribute", ""), values)
        elif element.tag in _TAGS.values():
            tags.setdefault(element.tag, []).extend(values)
    return LabelConfig({tag: tuple(labels) for tag, labels in tags.items()}, controls)
