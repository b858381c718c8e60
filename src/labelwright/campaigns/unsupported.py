"""Refuses campaigns whose labels their platform cannot show to labelers, before anything is sent."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import ValidationError

from labelwright.datasets.writers.registry import missing_libraries
from labelwright.domain import Geometry, Label, LabelSchema
from labelwright.ledger import CampaignRecord
from labelwright.platforms import PlatformRefused
from labelwright.platforms.label_support import LabelSupport
from labelwright.platforms.protocol import ServesImages
from labelwright.platforms.registry import PLATFORMS

from .spec import CampaignSpec, stored_spec
from .yaml_loader import SpecError


class Unsupported(SpecError):
    """The campaign's platform cannot show the labels as the campaign file describes them."""

    error_code = "LW1202"


def refuse_unsupported(spec: CampaignSpec, record: CampaignRecord | None = None) -> None:
    """Raises Unsupported, which names each label, what its platform lacks, and what to write instead.

    record: of the campaign in the ledger. One whose images were checked, or whose file has not changed, goes on as it
    was launched.
    """
    if record is not None and (record.images is not None or stored_spec(record.spec) == spec):
        return
    reasons = reasons_to_refuse(spec)
    if reasons:
        raise Unsupported("\n".join(reasons))


def reasons_to_refuse(spec: CampaignSpec) -> list[str]:
    """Sentences for everything in the labels because of which a launch is refused."""
    losses = [] if spec.on_unsupported == "ignore" else [
        f"{loss}, or write 'on_unsupported: ignore' to launch without it" for loss in unsupported_in(spec)
    ]  # fmt: skip
    try:
        PLATFORMS[spec.platform].check_labels(spec.schema_of_labels(), spec.options)
    except PlatformRefused as refused:
        name = PLATFORMS[spec.platform].shown_name
        sentences = [part.rstrip(".") for part in (refused.message, refused.advice) if part]
        losses.append(f"labels: {name} cannot take them: {'. '.join(sentences)}")
    except ValidationError:
        pass  # unknown options are refused when the platform is connected
    name = PLATFORMS[spec.platform].shown_name
    losses += [f"{fault}, on {name}" for fault in PLATFORMS[spec.platform].names.faults(spec.schema_of_labels())]
    if spec.export.image_addresses == "platform" and not issubclass(PLATFORMS[spec.platform].adapter(), ServesImages):
        losses.append(f"export.image_addresses: {name} has no URLs of images. Remove 'image_addresses: platform'")
    return losses + missing_libraries(spec.export.formats)


def unsupported_in(spec: CampaignSpec) -> list[str]:
    """Sentences for everything in the campaign that its platform does not show to labelers."""
    entry = PLATFORMS[spec.platform]
    platform, support, schema = entry.shown_name, entry.labels, spec.schema_of_labels()
    losses = [
        f"label '{label.name}'{loss}"
        for label in schema
        for part in (_geometry_losses, _attribute_losses, _hierarchy_losses, _display_losses)
        for loss in part(platform, support, label, schema)
    ]
    if spec.instructions and not support.instructions:
        losses.append(
            f"instructions: {platform} has no place for them. Send them to the labelers yourself and remove them"
        )
    return losses


def _geometry_losses(platform: str, support: LabelSupport, label: Label, _schema: LabelSchema) -> Iterator[str]:
    if label.geometry is Geometry.POLYGON and not support.polygons:
        yield f": {platform} has no polygons. Write 'geometry: box'"
    if label.geometry is Geometry.IMAGE and not support.whole_images:
        yield f": {platform} has no labels of whole images. Write 'geometry: box'"


def _attribute_losses(platform: str, support: LabelSupport, label: Label, _schema: LabelSchema) -> Iterator[str]:
    for attribute in label.attributes:
        where = f", attribute '{attribute.name}': {platform}"
        if not (support.attribute_choices or support.attribute_texts):
            yield f"{where} has no attributes. Remove it, or make a label of each value"
            continue
        if attribute.values and not support.attribute_choices:
            yield f"{where} has no attributes with values to choose from. Remove its values"
        if not attribute.values and not support.attribute_texts:
            yield f"{where} has no attributes with free text. List its values"
        if attribute.default is not None and not support.attribute_defaults:
            yield f"{where} fills in no default. Remove 'default: {attribute.default}'"
        if attribute.required and not support.required_attributes:
            yield f"{where} cannot require an answer. Remove 'required: true'"


def _hierarchy_losses(platform: str, support: LabelSupport, label: Label, schema: LabelSchema) -> Iterator[str]:
    if label.parent is None:
        if support.hierarchy and not support.parents_drawn and any(below.parent == label.name for below in schema):
            yield f": {platform} lets labelers choose only labels without others below. Remove the 'parent' of those"
        return
    if not support.hierarchy:
        yield f": {platform} has no hierarchy of labels. Remove 'parent: {label.parent}'"
    elif not support.mixed_hierarchy and schema[label.parent].geometry is not label.geometry:
        yield (
            f": {platform} has no hierarchy between labels of different geometries. Remove 'parent: {label.parent}', "
            "or give both the same geometry"
        )


def _display_losses(platform: str, support: LabelSupport, label: Label, _schema: LabelSchema) -> Iterator[str]:
    if label.color and not support.colors:
        yield f": {platform} chooses the colours of labels itself. Remove 'color: \"{label.color}\"'"
    if label.translations and not support.translations:
        yield (
            f": {platform} shows one name of a label. Remove its translations, and name the label in the language of "
            "its labelers"
        )
