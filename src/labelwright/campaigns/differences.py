"""Compares a campaign file with the campaign that was launched: what may change while labelers work, and what not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from labelwright.domain import Geometry

from .label_spec import AttributeSpec, LabelSpec
from .spec import CampaignSpec, ImagesFrom

_NEW_TITLE = "launch them under another title"

_FIXED = {
    "platform": "a campaign stays on its platform: launch the file under another title",
    "images": f"the images of a campaign do not change after its launch: {_NEW_TITLE}",
    "options": f"the platform's options hold for a whole campaign: restore them, or {_NEW_TITLE}",
}
"""By field: why it cannot change after the launch, and what to do instead."""

_SENT = frozenset({"labels", "labeler", "instructions", "metadata"})
"""Fields that the platform has as well."""

LOCAL = frozenset({"deadline", "export", "connection", "on_unsupported", "timezone"})
"""Fields that only this ledger has. A launch with a file that differs in nothing else records them."""


_EARLIER_MEGABYTES = 100.0
"""The default of images.max_megabytes in earlier versions."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference between a campaign and its file."""

    field: str
    """The key of the campaign file."""
    text: str
    refusal: str = ""
    """Why it cannot change after the launch, and what to do instead; empty when it can."""

    @property
    def sent(self) -> bool:
        """Whether the platform has to know."""
        return self.field in _SENT


def differences(before: CampaignSpec, after: CampaignSpec) -> list[Difference]:
    """Every difference, in the order of the fields. Paths have to be absolute in both."""
    old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
    found: list[Difference] = []
    _take_new_default(old["images"], new["images"])
    for field in type(before).model_fields:
        if old[field] == new[field]:
            continue
        if field == "labels":
            found += _label_differences(before.labels, after.labels)
        else:
            found.append(Difference(field, f"{field} changed", _FIXED.get(field, "")))
    return found


def _take_new_default(before: dict[str, Any], after: dict[str, Any]) -> None:
    """A default that grew is no difference: what was checked with the earlier one is within the new one."""
    default = ImagesFrom.model_fields["max_megabytes"].default
    if before["max_megabytes"] == _EARLIER_MEGABYTES and after["max_megabytes"] == default:
        before["max_megabytes"] = default


def _label_differences(before: Sequence[LabelSpec], after: Sequence[LabelSpec]) -> Iterator[Difference]:
    def difference(text: str, refusal: str = "") -> Difference:
        return Difference("labels", text, refusal)

    old, new = {label.name: label for label in before}, {label.name: label for label in after}
    added = [name for name in new if name not in old]
    for name in old:
        if name not in new:
            renamed = f" (renamed to {', '.join(map(repr, added))}?)" if added else ""
            yield difference(
                f"label '{name}' is not in the file{renamed}",
                "shapes that are drawn with it would be lost. Keep it, and ask labelers in the instructions not to use "
                "it; another name that labelers see is a translation",
            )
    kept = [name for name in new if name in old]
    if kept != [name for name in old if name in new] or list(new)[: len(kept)] != kept:
        yield difference(
            "the order of the labels changed",
            "a label's position is its number in the datasets. Keep the order, and add labels at the end",
        )
    for name in kept:
        yield from _changes_of(old[name], new[name])
    for name in added:
        yield difference(f"label '{name}' added")


def _changes_of(old: LabelSpec, new: LabelSpec) -> Iterator[Difference]:
    where = f"label '{old.name}'"
    if old.geometry is not new.geometry:
        widened = new.geometry is Geometry.ANY
        yield Difference(
            "labels",
            f"{where}: geometry {old.geometry.value} -> {new.geometry.value}",
            ""
            if widened
            else f"shapes that are drawn as {old.geometry.value} would be refused. Allow both with 'geometry: any', or "
            "add a label",
        )
    if old.parent != new.parent:
        refusal = "labels that are drawn would mean something else. Restore it, or add a label"
        yield Difference("labels", f"{where}: parent {old.parent or 'none'} -> {new.parent or 'none'}", refusal)
    if old.color != new.color:
        yield Difference("labels", f"{where}: colour {old.color or 'none'} -> {new.color or 'none'}")
    if old.translations != new.translations:
        yield Difference("labels", f"{where}: translations changed")
    attributes = {attribute.name: attribute for attribute in new.attributes}
    for attribute in old.attributes:
        yield from _attribute_changes(where, attribute, attributes.pop(attribute.name, None))
    for name in attributes:
        yield Difference("labels", f"{where}: attribute '{name}' added")


def _attribute_changes(where: str, old: AttributeSpec, new: AttributeSpec | None) -> Iterator[Difference]:
    attribute = f"{where}: attribute '{old.name}'"
    if new is None:
        yield Difference("labels", f"{attribute} is not in the file", "its values would be lost. Keep it")
        return
    lost = [value for value in old.values if value not in new.values] if new.values else []
    if lost or (new.values and not old.values):
        values = ", ".join(map(repr, lost)) or "free text"
        yield Difference("labels", f"{attribute} no longer takes {values}", "values in use would be lost. Keep them")
    elif old != new:
        yield Difference("labels", f"{attribute} changed")
