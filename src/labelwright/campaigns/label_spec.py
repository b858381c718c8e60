"""The labels of a campaign specification, and everything that can be wrong with them together."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    model_serializer,
)

from labelwright import domain

from .spec_group import STORED, Faults, Group, at

Fault = tuple[tuple[Any, ...], str]
"""The place within `labels`, and the message."""


class AttributeSpec(Group):
    """An attribute that labelers fill in for each object of a label."""

    name: str = Field(title="Name", min_length=1)
    values: list[str] = Field([], title="Values", description="The answers to choose from; none means free text.")
    default: str | None = Field(None, title="Default")
    required: bool = Field(False, title="Required", description="Labelers must fill it in before they submit.")

    @model_serializer(mode="wrap")
    def _without_default(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leaves `required` out where it is false: campaigns in older ledgers, which lack it, still compare equal."""
        fields: dict[str, Any] = serialize(self)
        if not self.required:
            fields.pop("required", None)
        return fields


class LabelSpec(Group):
    """A label of the campaign's schema."""

    name: str = Field(title="Name", min_length=1, json_schema_extra=at(0))
    geometry: domain.Geometry = Field(
        domain.Geometry.BOX,
        title="Geometry",
        description="How objects are drawn: box, polygon, image (the image as a whole) or any.",
        json_schema_extra=at(1),
    )
    color: str | None = Field(None, title="Colour", description="#rrggbb", pattern=r"^#[0-9a-fA-F]{6}$")
    parent: str | None = Field(None, title="Parent", description="A label of the same schema.")
    attributes: list[AttributeSpec] = Field([], title="Attributes")
    translations: dict[str, str] = Field(
        {}, title="Translations", description="Language code to the name that labelers see."
    )

    def to_domain(self) -> domain.Label:
        """The label as a domain object. Raises InvalidSchema (a ValueError)."""
        return domain.Label(
            name=self.name,
            geometry=self.geometry,
            parent=self.parent,
            attributes=tuple(_attribute(attribute) for attribute in self.attributes),
            color=self.color,
            translations=dict(self.translations),
        )


def _attribute(attribute: AttributeSpec) -> domain.Attribute:
    return domain.Attribute(attribute.name, tuple(attribute.values), attribute.default, attribute.required)


def labels_from_names(value: Any) -> Any:
    """A list of labels, some of which may be names alone."""
    return [{"name": item} if isinstance(item, str) else item for item in value] if isinstance(value, list) else value


def checked_labels(labels: list[LabelSpec], info: ValidationInfo) -> list[LabelSpec]:
    """The labels. Raises Faults; stored campaigns are exempt from rules that their launch did not know."""
    faults = list(label_faults(dict(enumerate(labels)))) if info.context != STORED else []
    if faults:
        raise Faults(faults)
    return labels


def readable_labels(document: Any) -> dict[int, LabelSpec]:
    """The labels of a list by their position, without the fields of them that are wrong by themselves.

    Names that are wrong or missing are replaced by "number 1", "number 2", ...
    """
    labels: dict[int, LabelSpec] = {}
    for number, item in enumerate(labels_from_names(document) if isinstance(document, list) else ()):
        label = _readable(item, number)
        if label is not None:
            labels[number] = label
    return labels


def _readable(item: Any, number: int) -> LabelSpec | None:
    try:
        return LabelSpec.model_validate(item)
    except ValidationError as error:
        places = [fault["loc"] for fault in error.errors(include_url=False, include_context=False)]
    if not isinstance(item, dict):
        return None
    rest = _without_wrong_fields(item, number, {place[0] for place in places if place})
    attributes = item.get("attributes")
    if "attributes" not in rest and isinstance(attributes, list):
        rest["attributes"] = [
            _without_wrong_fields(
                attribute,
                position,
                {place[2] for place in places if place[:2] == ("attributes", position) and place[2:]},
            )
            for position, attribute in enumerate(attributes)
        ]
    try:
        return LabelSpec.model_validate(rest)
    except ValidationError:
        return None


def _without_wrong_fields(item: Any, number: int, wrong: set[Any]) -> dict[str, Any]:
    fields = {key: value for key, value in item.items() if key not in wrong} if isinstance(item, dict) else {}
    return {"name": f"number {number + 1}", **fields}


def label_faults(labels: Mapping[int, LabelSpec], complete: bool = True) -> Iterator[Fault]:
    """Everything that is wrong with labels, by their position.

    complete: whether these are all labels; otherwise a parent may be one of the others.
    """
    names = {number: label.name for number, label in labels.items()}
    for number, message in _repeated("label", names.items()):
        yield (number, "name"), message
    for number, label in labels.items():
        for place, text in _texts_of(label):
            if any(unicodedata.category(character) in _CONTROL for character in text):
                shown = text.encode("unicode_escape").decode()
                yield (number, *place), f"'{shown}' holds a line break or another control character: remove it"
        yield from _attribute_faults(number, label)
        if label.parent is not None and (fault := _parent_fault(label, labels.values(), complete)):
            yield (number, "parent"), fault


def _texts_of(label: LabelSpec) -> Iterator[Fault]:
    """Every text that platforms store, with its place in the label."""
    yield ("name",), label.name
    for language, name in label.translations.items():
        yield ("translations", language), language
        yield ("translations", language), name
    for number, attribute in enumerate(label.attributes):
        yield ("attributes", number, "name"), attribute.name
        yield ("attributes", number, "default"), attribute.default or ""
        for position, value in enumerate(attribute.values):
            yield ("attributes", number, "values", position), value


def _attribute_faults(number: int, label: LabelSpec) -> Iterator[Fault]:
    names = {position: attribute.name for position, attribute in enumerate(label.attributes)}
    for position, message in _repeated(f"label '{label.name}': attribute", names.items()):
        yield (number, "attributes", position, "name"), message
    for position, attribute in enumerate(label.attributes):
        place = (number, "attributes", position)
        for value, message in _repeated(f"attribute '{attribute.name}': value", enumerate(attribute.values)):
            yield (*place, "values", value), message
        try:
            _attribute(attribute)
        except domain.InvalidSchema as error:
            yield place, str(error)


def _repeated(kind: str, texts: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Position and message of every text that is an earlier one, or looks like it."""
    earlier: dict[str, str] = {}
    for position, text in texts:
        look = _look_of(text)
        if look not in earlier:
            earlier[look] = text
        elif earlier[look] == text:
            yield position, f"{kind} '{text}' is listed twice"
        else:
            spellings = " and ".join(one.encode("unicode_escape").decode() for one in (earlier[look], text))
            yield position, f"{kind} '{text}' is listed twice, in two spellings that look alike ({spellings})"


def _look_of(text: str) -> str:
    """The text in one of its equal spellings, without characters that nobody sees."""
    visible = "".join(character for character in text if unicodedata.category(character) != "Cf")
    return unicodedata.normalize("NFC", visible)


_CONTROL = frozenset({"Cc", "Cs", "Zl", "Zp"})


def _parent_fault(label: LabelSpec, labels: Iterable[LabelSpec], complete: bool) -> str:
    parents = {other.name: other.parent for other in labels}
    if complete and label.parent not in parents:
        return f"label '{label.name}': its parent '{label.parent}' is not in the schema"
    ancestors, parent = {label.name}, label.parent
    while parent is not None:
        if parent == label.name:
            return f"label '{label.name}' is its own ancestor"
        if parent in ancestors:
            return ""
        ancestors.add(parent)
        parent = parents.get(parent)
    return ""
